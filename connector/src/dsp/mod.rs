//! The Dataspace Protocol 2025-1 as data: ids, messages, error bodies and the two state machines as pure functions.
//!
//! Everything here is a value or a function of values. No I/O, no clock, no HTTP.

pub mod catalog;
pub mod exchange;
pub mod ids;
pub mod json;
pub mod message;
pub mod negotiation;
pub mod transfer;

mod reader;

use serde_json::{Value, json};

pub use exchange::{Machine, Position, Refused, Role};
pub use ids::{AgreementId, DatasetId, IdError, MessageId, OfferId, ParticipantId, Pid};
pub use reader::MessageError;

/// The one JSON-LD context that every message carries (DSP 2025-1 §4.1).
pub const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";
/// The protocol version as version discovery names it.
pub const VERSION: &str = "2025-1";
/// The path of the protocol below a connector's root; one base serves both roles.
pub const PATH: &str = "/dsp/2025-1";
/// Where version discovery lives (DSP 2025-1 §4.3).
pub const WELL_KNOWN_VERSION: &str = "/.well-known/dspace-version";
/// The transfer format of an HTTP pull, by the name that Eclipse EDC gives it.
pub const FORMAT_HTTP_PULL: &str = "HttpData-PULL";
/// The transfer format of an HTTP push, by the same source.
pub const FORMAT_HTTP_PUSH: &str = "HttpData-PUSH";
/// The formats in which every dataset is offered.
pub const FORMATS: [&str; 2] = [FORMAT_HTTP_PULL, FORMAT_HTTP_PUSH];

/// The answer to version discovery (DSP 2025-1 §4.3): no `@context`, one version, and how its messages are signed.
pub fn versions() -> Value {
    let auth = json!({"protocol": "DSP-JWS", "version": "1"});
    let entry =
        json!({"version": VERSION, "path": PATH, "binding": "HTTPS", "identifierType": "did:web", "auth": auth});
    json!({"protocolVersions": [entry]})
}
