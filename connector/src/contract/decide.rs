//! The rules of automatic negotiation. Pure: records and policies in, replies out.

use super::{ContractError, NegotiationRecord};
use crate::{
    catalog::{self, CounterOffers, Dataset, Mode, OtherTerms, read_policy},
    dsp::{
        DatasetId, ParticipantId, Role,
        message::{self, Explanation},
    },
    net::guard,
    trust::{Party, Peer},
};
use policy::{Differences, Reason, Stage, Timestamp};
use serde_json::Value;
use std::{collections::BTreeSet, sync::OnceLock};
use url::Url;

/// After this many offers of ours in answer to other terms the negotiation ends.
const MAX_ROUNDS: u8 = 4;

/// What a provider does with a request.
pub(super) enum Proposal {
    /// The terms are acceptable: agree.
    Agree,
    /// Other terms: offer these.
    Offer(Value),
    /// Leave it to the operator.
    Hold,
    /// Enough.
    Terminate(Explanation),
}

/// What a consumer does with an offer.
pub(super) enum Reply {
    /// Take it.
    Accept,
    /// Ask for these terms instead.
    Ask(Value),
    /// Leave it to the operator.
    Hold,
    /// Not what was asked for.
    Terminate(Explanation),
}

/// How the terms in a peer's message differ from ours. It is found out only where it is told or decides something, and once for a message,
/// however often its answer is worked out: a peer must not buy more than that with it. The same goes for what both allow.
#[derive(Default)]
pub(super) struct Differing {
    differences: OnceLock<Differences>,
    common: OnceLock<Common>,
}

/// What both of two policies allow, or why that is nothing.
struct Common {
    of: [Value; 2],
    terms: Result<Value, String>,
}

impl Differing {
    fn of(&self, asked: &Value, offered: &Value) -> &Differences {
        self.differences.get_or_init(|| policy::differences(asked, offered))
    }

    /// What two parties' terms both allow, as an offer with the second's id. Where the record changed between two attempts, it is found out anew:
    /// these terms are not only told.
    fn common(&self, asked: &Value, offered: &Value, dataset: &DatasetId) -> Result<Value, String> {
        let kept = self.common.get_or_init(|| Common {
            of: [asked.clone(), offered.clone()],
            terms: common(asked, offered, dataset),
        });
        if kept.of.each_ref() == [asked, offered] {
            return kept.terms.clone();
        }
        common(asked, offered, dataset)
    }
}

/// The provider's rule. Terms that are not understood, and published terms that do not allow this peer, are refused before anything else.
pub(super) fn on_request(
    record: &NegotiationRecord,
    offer: &Value,
    (consumer, me): (&Party, &ParticipantId),
    dataset: Option<&Dataset>,
    differing: &Differing,
    now: Timestamp,
) -> Result<Proposal, ContractError> {
    let asked = understandable(offer)?;
    let ours = read_policy(&record.published)?;
    let possible = |terms: &policy::Policy| catalog::permitted(terms, Stage::Negotiation, consumer, dataset, now);
    possible(&ours).map_err(ContractError::NotPermitted)?;
    if record.decisions.negotiations == Mode::Manual {
        return Ok(Proposal::Hold);
    }
    if policy::same_terms(&asked, &ours).is_ok() {
        return Ok(Proposal::Agree);
    }
    let informs_no_others = || informs_no_others(&asked, &ours, [consumer.did.as_str(), me.as_str()]);
    let narrower = || policy::within(&asked, &ours).is_ok() && informs_no_others();
    let differ = || differing.of(offer, &record.published);
    let end = |why: String| Ok(Proposal::Terminate(explained("no-agreement", why, &differ().told)));
    let terms = match record.decisions.other_terms {
        OtherTerms::AcceptNarrower | OtherTerms::Intersect if narrower() => {
            return Ok(match possible(&asked) {
                Ok(()) => Proposal::Agree,
                Err(reasons) => Proposal::Terminate(nothing_comes(&reasons)),
            });
        }
        OtherTerms::Refuse => return end("only the published terms are accepted".to_owned()),
        // No number of rounds brings them together (policy.md §3.5). Who only ever offers the published terms offers them whatever was asked.
        OtherTerms::AcceptNarrower | OtherTerms::Intersect if differ().disjoint => {
            return end("the terms have nothing in common with those offered".to_owned());
        }
        OtherTerms::Offer | OtherTerms::AcceptNarrower => record.published.clone(),
        OtherTerms::Intersect if !informs_no_others() => {
            return end("who is informed of transfers is for the provider to name".to_owned());
        }
        OtherTerms::Intersect => match differing.common(offer, &record.published, &record.dataset) {
            Ok(terms) => match possible(&read_policy(&terms)?) {
                Ok(()) => terms,
                Err(reasons) => return Ok(Proposal::Terminate(nothing_comes(&reasons))),
            },
            Err(why) => return end(why),
        },
    };
    if record.rounds >= MAX_ROUNDS {
        return end("the terms did not meet; this offer is final".to_owned());
    }
    Ok(Proposal::Offer(terms))
}

/// Whom a provider tells of its transfers, the two `parties` apart, is its own to name: a duty that a consumer adds would have it write to whomever
/// that names.
fn informs_no_others(asked: &policy::Policy, ours: &policy::Policy, parties: [&str; 2]) -> bool {
    let ours: BTreeSet<&str> = ours.informs_here().map(|(_, party)| party).chain(parties).collect();
    asked.informs_here().all(|(_, party)| ours.contains(party))
}

/// Why a negotiation ends over terms that the provider could agree to, but under which no transfer of this dataset to this consumer would start.
fn nothing_comes(reasons: &[Reason]) -> Explanation {
    let why = "nothing of this dataset could be transferred under these terms".to_owned();
    explained(
        "no-agreement",
        why,
        &reasons.iter().map(Reason::disclosed).collect::<Vec<_>>(),
    )
}

/// Why a negotiation ends over its terms: the sentence, and how the two differ, as far as a recipient keeps it.
fn explained(code: &str, why: String, differences: &[String]) -> Explanation {
    let mut reasons = vec![why];
    reasons.extend_from_slice(differences);
    reasons.dedup();
    Explanation::of(code, reasons)
}

/// The consumer's rule: the provider's published terms are what the operator asked for, everything else needs a rule or the operator.
pub(super) fn on_counter_offer(record: &NegotiationRecord, differing: &Differing) -> Result<Reply, ContractError> {
    if record.decisions.negotiations == Mode::Manual {
        return Ok(Reply::Hold);
    }
    let offered = read_policy(&record.offer)?;
    let same = |terms: &Value| read_policy(terms).is_ok_and(|terms| policy::same_terms(&offered, &terms).is_ok());
    let rule = record.decisions.counter_offers;
    if same(record.wanted()) || (rule != CounterOffers::Refuse && same(&record.published)) {
        return Ok(Reply::Accept);
    }
    let wanted = read_policy(record.wanted())?;
    let wider = || policy::within(&wanted, &offered).is_ok();
    let other = "the offer has other terms than the one in the catalog".to_owned();
    let answer = match rule {
        CounterOffers::AcceptWider | CounterOffers::Intersect if wider() => return Ok(Reply::Accept),
        CounterOffers::Intersect if record.rounds < MAX_ROUNDS => {
            differing.common(record.wanted(), &record.offer, &record.dataset)
        }
        _ => Err(other),
    };
    Ok(match answer {
        Ok(terms) => Reply::Ask(terms),
        Err(why) => {
            let differ = differing.of(record.wanted(), &record.offer);
            Reply::Terminate(explained("other-terms", why, &differ.told))
        }
    })
}

/// What two parties' terms both allow, as an offer with the second's id.
fn common(asked: &Value, offered: &Value, dataset: &DatasetId) -> Result<Value, String> {
    let id = message::offer_id(offered).map_err(|error| error.to_string())?;
    let terms = policy::intersect(asked, offered).map_err(|none| none.to_string())?;
    Ok(offer_of(&terms, id.as_str(), dataset))
}

/// Terms as an offer in a message: with id, type and target (DSP 2025-1 §5.3).
pub(super) fn offer_of(terms: &Value, id: &str, dataset: &DatasetId) -> Value {
    let mut offer = terms.clone();
    if let Some(members) = offer.as_object_mut() {
        members.insert("@id".into(), id.into());
        members.insert("@type".into(), "Offer".into());
        members.insert("target".into(), dataset.as_str().into());
    }
    offer
}

/// A policy in which every term is understood; otherwise the unknown ones are named.
pub(super) fn understandable(offer: &Value) -> Result<policy::Policy, ContractError> {
    let policy = read_policy(offer)?;
    policy
        .check(Stage::Negotiation)
        .map_err(|reasons| ContractError::Policy(catalog::DatasetError::NotUnderstood(reasons)))?;
    Ok(policy)
}

/// Terms that the operator offers to this consumer in place of the published ones: understood, granted by us, and not for somebody else. An
/// agreement over them is with the consumer, whatever they say.
pub(super) fn offerable(
    offer: &Value,
    consumer: &ParticipantId,
    me: &ParticipantId,
) -> Result<policy::Policy, ContractError> {
    let policy = understandable(offer)?;
    catalog::granted_by(&policy, me).map_err(ContractError::Policy)?;
    policy
        .grants_to(consumer.as_str())
        .map_err(ContractError::NotPermitted)?;
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
    me: &Party,
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
    if text("assignee") != Some(me.did.as_str()) {
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
    catalog::permitted(&agreed, Stage::Negotiation, me, None, now).map_err(|reasons| {
        let why: Vec<String> = reasons.iter().map(Reason::disclosed).collect();
        differs(format!("the {whose} terms do not allow the use: {}", why.join("; ")))
    })
}

#[cfg(test)]
mod tests;
