//! The messages of negotiation and transfer, their acknowledgements and errors (DSP 2025-1 §7, §9): lenient reading, strict writing.
//!
//! Policies stay JSON values exactly as they were sent: peers compare them verbatim.

mod address;
mod explanation;

pub use address::{DataAddress, ENDPOINT_TYPE_HTTP, ENDPOINT_TYPE_HTTP_DATA};
pub use explanation::{Explanation, read_error};

use super::{
    AgreementId, CONTEXT, MessageError, MessageId, OfferId, Pid, Role, negotiation, reader::Reader, reader::invalid,
    transfer,
};
use explanation::explain;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

/// Both process ids; the counterpart's is unknown until its first answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    /// Chosen by the consumer.
    pub consumer: Option<Pid>,
    /// Chosen by the provider.
    pub provider: Option<Pid>,
}

impl Pids {
    /// The own id and the other side's, as whoever has this part sees them.
    pub fn seen_by(&self, role: Role) -> (Option<&Pid>, Option<&Pid>) {
        let (consumer, provider) = (self.consumer.as_ref(), self.provider.as_ref());
        match role {
            Role::Consumer => (consumer, provider),
            Role::Provider => (provider, consumer),
        }
    }
}

/// A negotiation message.
#[derive(Clone, Debug, PartialEq)]
pub enum NegotiationMessage {
    /// `ContractRequestMessage`: opens a negotiation (with `callback`) or answers an offer with other terms.
    Request {
        /// A `MessageOffer`, verbatim.
        offer: Value,
        /// Where the provider reaches the consumer; only in the first request.
        callback: Option<Url>,
    },
    /// `ContractOfferMessage`.
    Offer {
        /// A `MessageOffer`, verbatim.
        offer: Value,
        /// Where the consumer reaches the provider; only when the provider opens.
        callback: Option<Url>,
    },
    /// `ContractNegotiationEventMessage` with `ACCEPTED`.
    Accepted,
    /// `ContractAgreementMessage`.
    Agreement {
        /// The `Agreement`, verbatim.
        agreement: Value,
    },
    /// `ContractAgreementVerificationMessage`.
    Verification,
    /// `ContractNegotiationEventMessage` with `FINALIZED`.
    Finalized,
    /// `ContractNegotiationTerminationMessage`.
    Termination(Explanation),
}

/// A transfer message.
#[derive(Clone, Debug, PartialEq)]
pub enum TransferMessage {
    /// `TransferRequestMessage`.
    Request {
        /// Under which agreement.
        agreement: AgreementId,
        /// One of the dataset's distribution formats.
        format: String,
        /// Where the provider reaches the consumer.
        callback: Url,
        /// Only for push formats.
        data_address: Option<DataAddress>,
    },
    /// `TransferStartMessage`.
    Start {
        /// Where and with what to fetch; required when a provider starts a pull.
        data_address: Option<DataAddress>,
    },
    /// `TransferSuspensionMessage`.
    Suspension(Explanation),
    /// `TransferCompletionMessage`.
    Completion,
    /// `TransferTerminationMessage`.
    Termination(Explanation),
}

/// Longest URL, in bytes.
const MAX_URL: usize = 2_048;
/// Longest member of a data address, in bytes; tokens are the longest.
const MAX_ADDRESS: usize = 8_192;

/// A received message: what it says, between which processes, and the id under which a repetition is recognised.
#[derive(Clone, Debug, PartialEq)]
pub struct Received<M> {
    /// The sender's `@id`, if it sent one.
    pub id: Option<MessageId>,
    /// The ids that the body carries.
    pub pids: Pids,
    /// The message itself.
    pub message: M,
}

impl NegotiationMessage {
    /// Reads any negotiation message.
    pub fn read(body: &Value) -> Result<Received<Self>, MessageError> {
        let reader = Reader::new(body)?;
        let kind = reader.message_type()?;
        let message = match kind {
            "ContractRequestMessage" => {
                let callback = exclusive(reader, "callbackAddress", "providerPid")?;
                Self::Request {
                    offer: message_offer(reader)?,
                    callback,
                }
            }
            "ContractOfferMessage" => {
                let callback = exclusive(reader, "callbackAddress", "consumerPid")?;
                Self::Offer {
                    offer: message_offer(reader)?,
                    callback,
                }
            }
            "ContractAgreementMessage" => Self::Agreement {
                agreement: reader.object("agreement")?.clone(),
            },
            "ContractAgreementVerificationMessage" => Self::Verification,
            "ContractNegotiationEventMessage" => match reader.text("eventType")? {
                "ACCEPTED" => Self::Accepted,
                "FINALIZED" => Self::Finalized,
                _ => return Err(invalid("eventType", "is neither ACCEPTED nor FINALIZED")),
            },
            "ContractNegotiationTerminationMessage" => Self::Termination(Explanation::read(body)),
            other => return Err(wrong_type(other, "a contract negotiation message")),
        };
        let (provider_needed, consumer_needed) = match &message {
            Self::Request { callback, .. } => (callback.is_none(), true),
            Self::Offer { callback, .. } => (true, callback.is_none()),
            _ => (true, true),
        };
        Ok(Received {
            id: message_id(reader),
            pids: pids(reader, provider_needed, consumer_needed)?,
            message,
        })
    }

    /// The message as JSON that validates against the protocol's schema.
    pub fn write(&self, id: &MessageId, pids: &Pids) -> Value {
        let mut body = start(self.type_name(), id, pids);
        match self {
            Self::Request { offer, callback } | Self::Offer { offer, callback } => {
                body.insert("offer".into(), offer.clone());
                if let Some(callback) = callback {
                    body.insert("callbackAddress".into(), address(callback));
                }
            }
            Self::Agreement { agreement } => {
                body.insert("agreement".into(), agreement.clone());
            }
            Self::Accepted => {
                body.insert("eventType".into(), "ACCEPTED".into());
            }
            Self::Finalized => {
                body.insert("eventType".into(), "FINALIZED".into());
            }
            Self::Termination(explanation) => explain(&mut body, explanation),
            Self::Verification => {}
        }
        Value::Object(body)
    }

    /// The step of the state machine that this message takes.
    pub fn step(&self) -> negotiation::Step {
        match self {
            Self::Request { .. } => negotiation::Step::Request,
            Self::Offer { .. } => negotiation::Step::Offer,
            Self::Accepted => negotiation::Step::Accept,
            Self::Agreement { .. } => negotiation::Step::Agree,
            Self::Verification => negotiation::Step::Verify,
            Self::Finalized => negotiation::Step::Finalize,
            Self::Termination(_) => negotiation::Step::Terminate,
        }
    }

    /// The `@type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Request { .. } => "ContractRequestMessage",
            Self::Offer { .. } => "ContractOfferMessage",
            Self::Accepted | Self::Finalized => "ContractNegotiationEventMessage",
            Self::Agreement { .. } => "ContractAgreementMessage",
            Self::Verification => "ContractAgreementVerificationMessage",
            Self::Termination(_) => "ContractNegotiationTerminationMessage",
        }
    }
}

impl TransferMessage {
    /// Reads any transfer message.
    pub fn read(body: &Value) -> Result<Received<Self>, MessageError> {
        let reader = Reader::new(body)?;
        let kind = reader.message_type()?;
        let data_address = || reader.get("dataAddress").map(DataAddress::read).transpose();
        let message = match kind {
            "TransferRequestMessage" => Self::Request {
                agreement: reader.id("agreementId")?,
                format: bounded("format", reader.text("format")?)?,
                callback: url(reader, "callbackAddress")?.ok_or(MessageError::Missing("callbackAddress"))?,
                data_address: data_address()?,
            },
            "TransferStartMessage" => Self::Start {
                data_address: data_address()?,
            },
            "TransferSuspensionMessage" => Self::Suspension(Explanation::read(body)),
            "TransferCompletionMessage" => Self::Completion,
            "TransferTerminationMessage" => Self::Termination(Explanation::read(body)),
            other => return Err(wrong_type(other, "a transfer process message")),
        };
        let provider_needed = !matches!(message, Self::Request { .. });
        Ok(Received {
            id: message_id(reader),
            pids: pids(reader, provider_needed, true)?,
            message,
        })
    }

    /// The message as JSON that validates against the protocol's schema.
    pub fn write(&self, id: &MessageId, pids: &Pids) -> Value {
        let mut body = start(self.type_name(), id, pids);
        match self {
            Self::Request {
                agreement,
                format,
                callback,
                data_address,
            } => {
                body.insert("agreementId".into(), agreement.as_str().into());
                body.insert("format".into(), format.as_str().into());
                body.insert("callbackAddress".into(), address(callback));
                if let Some(address) = data_address {
                    body.insert("dataAddress".into(), address.write());
                }
            }
            Self::Start {
                data_address: Some(address),
            } => {
                body.insert("dataAddress".into(), address.write());
            }
            Self::Suspension(explanation) | Self::Termination(explanation) => explain(&mut body, explanation),
            Self::Start { data_address: None } | Self::Completion => {}
        }
        Value::Object(body)
    }

    /// The step of the state machine that this message takes.
    pub fn step(&self) -> transfer::Step {
        match self {
            Self::Request { .. } => transfer::Step::Request,
            Self::Start { .. } => transfer::Step::Start,
            Self::Suspension(_) => transfer::Step::Suspend,
            Self::Completion => transfer::Step::Complete,
            Self::Termination(_) => transfer::Step::Terminate,
        }
    }

    /// The `@type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Request { .. } => "TransferRequestMessage",
            Self::Start { .. } => "TransferStartMessage",
            Self::Suspension(_) => "TransferSuspensionMessage",
            Self::Completion => "TransferCompletionMessage",
            Self::Termination(_) => "TransferTerminationMessage",
        }
    }
}

/// The acknowledgement `ContractNegotiation` or `TransferProcess`.
pub fn acknowledgement(type_name: &str, pids: &Pids, state: &dyn std::fmt::Display) -> Value {
    let mut body = Map::new();
    body.insert("@context".into(), json!([CONTEXT]));
    body.insert("@type".into(), type_name.into());
    insert_pids(&mut body, pids);
    body.insert("state".into(), state.to_string().into());
    Value::Object(body)
}

/// A typed error body. `ContractNegotiationError` and `TransferError` need both ids by schema; an unknown one is written as empty text.
pub fn error(type_name: &str, pids: Option<&Pids>, explanation: &Explanation) -> Value {
    let mut body = Map::new();
    body.insert("@context".into(), json!([CONTEXT]));
    body.insert("@type".into(), type_name.into());
    if let Some(pids) = pids {
        let text = |pid: &Option<Pid>| pid.as_ref().map_or("", |pid| pid.as_str()).to_owned();
        body.insert("consumerPid".into(), text(&pids.consumer).into());
        body.insert("providerPid".into(), text(&pids.provider).into());
    }
    explain(&mut body, explanation);
    Value::Object(body)
}

/// The counterpart's process id from an acknowledgement body, if it carries one.
pub fn acknowledged_pid(body: &Value, member: &str) -> Option<Pid> {
    body.get(member)?.as_str()?.parse().ok()
}

/// The offer's id inside a `MessageOffer`.
pub fn offer_id(offer: &Value) -> Result<OfferId, MessageError> {
    Reader::new(offer)
        .map_err(|_| invalid("offer", "is not an object"))?
        .id("@id")
}

fn message_offer(reader: Reader<'_>) -> Result<Value, MessageError> {
    let offer = reader.object("offer")?;
    offer_id(offer)?;
    // Prose of DSP 2025-1 §7.2.1 and §7.2.2: offers in messages name their dataset, whatever the schema says.
    Reader::new(offer)?.text("target")?;
    Ok(offer.clone())
}

fn exclusive(reader: Reader<'_>, callback: &'static str, pid: &'static str) -> Result<Option<Url>, MessageError> {
    match (url(reader, callback)?, reader.optional_text(pid)?) {
        (Some(address), None) => Ok(Some(address)),
        (None, Some(_)) => Ok(None),
        _ => Err(MessageError::ExactlyOne(callback, pid)),
    }
}

fn url(reader: Reader<'_>, member: &'static str) -> Result<Option<Url>, MessageError> {
    reader
        .optional_text(member)?
        .map(|text| parse_url(member, text))
        .transpose()
}

fn parse_url(member: &'static str, text: &str) -> Result<Url, MessageError> {
    let too_long = || invalid(member, format_args!("is longer than {MAX_URL} bytes"));
    if text.len() > MAX_URL {
        return Err(too_long());
    }
    let url = Url::parse(text).map_err(|error| invalid(member, format_args!("is not an absolute URL: {error}")))?;
    // Percent-encoding makes it longer, and we write it in that form.
    if url.as_str().len() > MAX_URL {
        return Err(too_long());
    }
    match url.scheme() {
        "https" | "http" if url.has_host() && url.username().is_empty() && url.password().is_none() => Ok(url),
        _ => Err(invalid(member, "is not an https URL without credentials")),
    }
}

fn bounded(member: &'static str, text: &str) -> Result<String, MessageError> {
    if text.len() > MAX_ADDRESS {
        return Err(invalid(member, format_args!("is longer than {MAX_ADDRESS} bytes")));
    }
    Ok(text.to_owned())
}

/// A URL as we advertise it: no trailing slash, because EDC concatenates (trap 27).
fn address(url: &Url) -> Value {
    url.as_str().trim_end_matches('/').into()
}

fn message_id(reader: Reader<'_>) -> Option<MessageId> {
    reader.optional_id("@id").ok().flatten()
}

fn pids(reader: Reader<'_>, provider_needed: bool, consumer_needed: bool) -> Result<Pids, MessageError> {
    let pids = Pids {
        consumer: reader.optional_id("consumerPid")?,
        provider: reader.optional_id("providerPid")?,
    };
    if provider_needed && pids.provider.is_none() {
        return Err(MessageError::Missing("providerPid"));
    }
    if consumer_needed && pids.consumer.is_none() {
        return Err(MessageError::Missing("consumerPid"));
    }
    Ok(pids)
}

fn start(type_name: &str, id: &MessageId, pids: &Pids) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("@context".into(), json!([CONTEXT]));
    body.insert("@type".into(), type_name.into());
    body.insert("@id".into(), id.as_str().into());
    insert_pids(&mut body, pids);
    body
}

fn insert_pids(body: &mut Map<String, Value>, pids: &Pids) {
    if let Some(pid) = &pids.consumer {
        body.insert("consumerPid".into(), pid.as_str().into());
    }
    if let Some(pid) = &pids.provider {
        body.insert("providerPid".into(), pid.as_str().into());
    }
}

fn wrong_type(found: &str, expected: &'static str) -> MessageError {
    MessageError::WrongType {
        found: found.chars().take(80).collect(),
        expected,
    }
}

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod interop;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;
