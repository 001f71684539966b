//! The seam for keys that never enter this process: a hardware module, or a program that speaks to one.

use super::SIGNATURE_LEN;

/// Keeps a private key and signs with it.
pub trait External: Send + Sync {
    /// The signature over `message`: r and s, or R and S, of fixed length. May take its time; callers must be able to wait.
    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], ExternalError>;
}

/// Why an external signer gave no signature. Carries nothing of what it was given or said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    /// The program cannot be run.
    #[error("cannot be started")]
    NotStarted,
    /// All its places are taken, and none became free in time.
    #[error("is busy")]
    Busy,
    /// It did not answer in time.
    #[error("did not answer in time")]
    TimedOut,
    /// It ended with this status, or by a signal.
    #[error("failed{}", .0.map(|code| format!(" with status {code}")).unwrap_or_default())]
    Failed(Option<i32>),
    /// What it wrote is not one signature in base64url.
    #[error("did not write 64 bytes in base64url")]
    Malformed,
    /// The signature does not fit the configured public key.
    #[error("signed with another key than the configured one")]
    WrongSignature,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{
        Algorithm, SigningKey,
        key::KeyError,
        testing::{rfc7515_private, rfc8037_private},
    };

    /// Signs with a key of this process, or fails.
    struct Keeper(Result<SigningKey, ExternalError>);

    impl External for Keeper {
        fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], ExternalError> {
            let key = self.0.as_ref().map_err(|error| *error)?;
            Ok(key.sign(message).unwrap().try_into().unwrap())
        }
    }

    #[test]
    fn a_key_kept_elsewhere_signs_like_one_that_is_here() {
        for here in [rfc7515_private(), rfc8037_private()] {
            let key = SigningKey::external(here.verifying_key().clone(), Keeper(Ok(here.clone())));
            let signature = key.sign(b"x").unwrap();
            assert!(here.verifying_key().verify(here.algorithm(), b"x", &signature).is_ok());
            assert_eq!(key.to_pem().unwrap_err(), KeyError::Elsewhere);
            assert_eq!(key.to_private_jwk().unwrap_err(), KeyError::Elsewhere);
        }
    }

    #[test]
    fn what_another_key_signed_never_gets_out() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let other = SigningKey::generate(algorithm).unwrap();
            let key = SigningKey::external(rfc8037_private().verifying_key().clone(), Keeper(Ok(other)));
            assert_eq!(
                key.sign(b"x").unwrap_err(),
                KeyError::External(ExternalError::WrongSignature)
            );
        }
    }

    #[test]
    fn its_failure_keeps_its_name() {
        for error in [
            ExternalError::NotStarted,
            ExternalError::Busy,
            ExternalError::TimedOut,
            ExternalError::Failed(Some(3)),
            ExternalError::Malformed,
        ] {
            let key = SigningKey::external(rfc8037_private().verifying_key().clone(), Keeper(Err(error)));
            assert_eq!(key.sign(b"x").unwrap_err(), KeyError::External(error));
        }
        assert_eq!(ExternalError::Failed(Some(3)).to_string(), "failed with status 3");
        assert_eq!(ExternalError::Failed(None).to_string(), "failed");
    }
}
