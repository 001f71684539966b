//! Keys, signatures and canonical forms: JWS with ES256 and EdDSA (RFC 7515, RFC 7518, RFC 8037), the message profile DSP-JWS-1, the
//! agreement that both parties signed, credentials (W3C VC 2.0 as JWT), JSON Canonicalization (RFC 8785).
//!
//! Nothing here does I/O, reads a clock, or knows who a peer is: keys are handed in, and what comes out is "this key signed this".

pub mod agreement;
pub mod base64url;
pub mod canonical;
mod compact;
pub mod credential;
pub mod did;
pub mod digest;
pub mod error;
pub mod key;
pub mod message;
mod pkcs8;
pub mod random;
mod rsa;
#[cfg(test)]
pub(crate) mod testing;
pub mod token;
#[cfg(test)]
mod vectors;

pub use agreement::AgreementError;
pub use compact::Signer;
pub use credential::{Credential, CredentialError, CredentialKey};
pub use digest::{Digest, HmacKey, sha256, sha256_parts};
pub use error::JoseError;
pub use key::{Algorithm, SigningKey, VerifyingKey};
pub use message::{Binding, Opened, Unverified, seal};
pub use random::uuid;
