//! The rules of automatic negotiation. Pure: records and policies in, replies out.

use super::{ContractError, NegotiationRecord};
use crate::{
    catalog::{self, read_policy},
    dsp::{DatasetId, Role, message::Explanation},
    net::guard,
    trust::Peer,
};
use policy::{Stage, Timestamp};
use serde_json::Value;
use url::Url;

/// After this many offers of ours in answer to other terms the negotiation ends.
const MAX_ROUNDS: u8 = 4;

/// What a provider does with a request.
pub(super) enum Proposal {
    /// The terms are ours: agree.
    Agree,
    /// Other terms: offer ours.
    Offer(Value),
    /// Enough.
    Terminate(Explanation),
}

/// What a consumer does with an offer.
pub(super) enum Reply {
    /// Take it.
    Accept,
    /// Leave it to the operator.
    Hold,
    /// Not what was published.
    Terminate(Explanation),
}

/// The provider's rule. Terms that are not understood are refused with their names before anything is compared.
pub(super) fn on_request(record: &NegotiationRecord, offer: &Value, now: Timestamp) -> Result<Proposal, ContractError> {
    let asked = understandable(offer)?;
    let ours = read_policy(&record.published)?;
    catalog::permitted(&ours, Stage::Negotiation, &record.core.peer, now)
        .map_err(|reasons| ContractError::NotPermitted(catalog::list(&reasons)))?;
    if policy::same_terms(&asked, &ours).is_ok() {
        return Ok(Proposal::Agree);
    }
    if record.rounds >= MAX_ROUNDS {
        return Ok(Proposal::Terminate(Explanation::new(
            "no-agreement",
            "the terms did not meet; this offer is final",
        )));
    }
    Ok(Proposal::Offer(record.published.clone()))
}

/// The consumer's rule: the provider's published terms are what the operator asked for, everything else needs the operator.
pub(super) fn on_counter_offer(record: &NegotiationRecord) -> Reply {
    let same = |a: &Value, b: &Value| match (read_policy(a), read_policy(b)) {
        (Ok(a), Ok(b)) => policy::same_terms(&a, &b).is_ok(),
        _ => false,
    };
    if record.manual {
        Reply::Hold
    } else if same(&record.offer, &record.published) {
        Reply::Accept
    } else {
        Reply::Terminate(Explanation::new(
            "other-terms",
            "the offer has other terms than the one in the catalog",
        ))
    }
}

/// A policy in which every term is understood; otherwise the unknown ones are named.
pub(super) fn understandable(offer: &Value) -> Result<policy::Policy, ContractError> {
    let policy = read_policy(offer)?;
    policy
        .check(Stage::Negotiation)
        .map_err(|reasons| ContractError::Policy(catalog::DatasetError::NotUnderstood(reasons)))?;
    Ok(policy)
}

/// An offer in a message names its dataset.
pub(super) fn target(offer: &Value, dataset: &DatasetId) -> Result<(), ContractError> {
    match offer.get("target").and_then(Value::as_str) {
        Some(target) if target == dataset.as_str() => Ok(()),
        other => Err(ContractError::Invalid(format!(
            "the offer's target is {other:?}; expected {dataset}"
        ))),
    }
}

/// A callback address must be one that we would call: https, and not on a network that the peer may not be on.
pub(super) fn callback(url: &Url, peer: &Peer) -> Result<(), ContractError> {
    guard::check(url, peer.reach).map_err(|why| ContractError::Callback(why.to_string()))
}

/// The agreement must say what was on the table, between the right parties.
pub(super) fn agreement(
    record: &NegotiationRecord,
    agreement: &Value,
    me: &str,
    now: Timestamp,
) -> Result<(), ContractError> {
    let differs = |what: String| ContractError::AgreementDiffers(what);
    let agreed = understandable(agreement)?;
    let text = |name: &str| agreement.get(name).and_then(Value::as_str);
    if text("@type") != Some("Agreement") {
        return Err(differs("@type is not Agreement".into()));
    }
    if text("assigner") != Some(record.core.peer.as_str()) {
        return Err(differs("assigner is not the provider".into()));
    }
    if text("assignee") != Some(me) {
        return Err(differs("assignee is not this connector".into()));
    }
    if text("target") != Some(record.dataset.as_str()) {
        return Err(differs("target is not the negotiated dataset".into()));
    }
    let stamp: Timestamp = text("timestamp")
        .and_then(|stamp| stamp.parse().ok())
        .ok_or_else(|| differs("timestamp is missing or not a date-time with zone".into()))?;
    let tolerance = std::time::Duration::from_secs(600);
    if stamp > now.plus(tolerance) || stamp.plus(tolerance) < record.core.created {
        return Err(differs(format!("timestamp {stamp} is not within this negotiation")));
    }
    let offered = read_policy(&record.offer)?;
    policy::same_terms(&agreed, &offered).map_err(|difference| differs(difference.to_string()))?;
    let whose = if record.offer_by == Role::Provider {
        "accepted"
    } else {
        "requested"
    };
    catalog::permitted(
        &agreed,
        Stage::Negotiation,
        &me.parse().map_err(|_| differs("assignee".into()))?,
        now,
    )
    .map_err(|reasons| {
        differs(format!(
            "the {whose} terms do not allow the use: {}",
            catalog::list(&reasons)
        ))
    })
}
