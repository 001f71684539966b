//! What one ending means for one record: pure rules over what a holder told us. Nothing is read or written here.

use super::message::{EndReason, LastOf};
use crate::{
    consent::{ConsentId, Pseudonym},
    dsp::{AgreementId, MessageId, ParticipantId, Pid},
    jose::{self, Digest},
};
use memchr::memmem;
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc, time::Duration};
use utoipa::ToSchema;

/// What clocks may differ by: as much as the signatures of messages allow.
pub(super) const SKEW: Duration = Duration::from_secs(60);
/// What a pseudonym as a JSON string begins with. Its characters are never escaped.
const START: &[u8] = b"\"p:";
/// How long a pseudonym is.
const LENGTH: usize = 24;

/// What a holder told us about a learner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retraction {
    /// The holder's message.
    pub notice: MessageId,
    /// The holder.
    pub holder: ParticipantId,
    /// The learner, until their records are erased.
    #[schema(required)]
    pub pseudonym: Option<Pseudonym>,
    /// Hash of holder and pseudonym.
    #[schema(value_type = String)]
    pub name: Digest,
    /// Why.
    pub reason: EndReason,
    /// What ended: none of it permits anything any more, whatever is said of it later.
    #[serde(default)]
    pub consents: Vec<ConsentId>,
    /// When it ended, as the holder says.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// When we were told.
    #[schema(value_type = String, format = DateTime)]
    pub received: Timestamp,
    /// Only what came under these agreements; all if none is listed.
    pub agreements: Vec<AgreementId>,
    /// The last number that may hold a record of the learner, by the holder's id of the transfer.
    pub streams: Vec<LastOf>,
    /// Until when everything is to be erased.
    #[schema(value_type = String, format = DateTime)]
    pub erase_by: Timestamp,
    /// How many records were erased, once that is done.
    #[schema(required)]
    pub erased: Option<u64>,
    /// Its records are being erased: what still arrives of them is left out.
    #[serde(skip)]
    pub closing: bool,
    /// A later consent of the learner, which permits later records.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub reopened: Option<Timestamp>,
}

/// The stream that a record came in.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The holder's id of the transfer.
    pub transfer: Option<Pid>,
    /// The agreement.
    pub agreement: AgreementId,
    /// When the transfer was asked for, here.
    pub created: Timestamp,
}

/// Where a record is when it is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is kept already.
    Kept,
    /// It arrives now.
    Arriving,
}

impl Retraction {
    /// What the holder says of a stream.
    fn last_of(&self, stream: &Stream) -> Option<&LastOf> {
        let mut named = self.streams.iter();
        named.find(|last| Some(&last.transfer) == stream.transfer.as_ref())
    }

    /// By when the holder had closed. What it tells has happened, whatever time it says: after its clock went back that may be one to come, and
    /// then nothing of it passed later than we were told.
    pub(super) fn closed(&self) -> Timestamp {
        match self.at > self.received.plus(SKEW) {
            true => self.received.minus(SKEW),
            false => self.at,
        }
    }

    /// Whether anything in a stream can be what this is about.
    pub fn concerns(&self, stream: &Stream) -> bool {
        if !self.agreements.is_empty() && !self.agreements.contains(&stream.agreement) {
            return false;
        }
        // What was asked for when the holder had long closed, or under a later consent, the holder has decided anew.
        let is_older =
            stream.created <= self.closed().plus(SKEW) && self.reopened.is_none_or(|given| stream.created < given);
        is_older || self.last_of(stream).is_some()
    }

    /// Whether a record of this learner, number `n` of a stream, may not be kept.
    pub(super) fn covers(&self, stream: &Stream, n: u64, place: Place) -> bool {
        if !self.concerns(stream) {
            return false;
        }
        match (self.last_of(stream), place) {
            // All that was here is erased, and nothing of it was let in since: what is here came under a later consent.
            (_, Place::Kept) if self.erased.is_some() => false,
            // What was on its way is erased with the rest.
            (Some(last), Place::Arriving) if n <= last.last_sequence => self.closing || self.erased.is_some(),
            (Some(last), Place::Kept) if n <= last.last_sequence => true,
            // Decided anew, by what else permits it.
            (Some(last), _) => !last.goes_on && self.reopened.is_none(),
            (None, Place::Kept) => true,
            // Nobody could tell later records from those that are still to be erased: they are let in when that is done.
            (None, Place::Arriving) => self.reopened.is_none() || self.erased.is_none(),
        }
    }

    /// A consent that was given at `given` comes too late: what it gave was taken back. What comes in the same instant comes in its order.
    pub(super) fn overtakes(&self, consent: &ConsentId, given: Timestamp) -> bool {
        given < self.closed() || self.consents.contains(consent)
    }
}

/// What one holder told us, by learner.
pub(super) type Rules = HashMap<Digest, Vec<Retraction>>;

/// What a holder told us, for one of its streams.
#[derive(Clone)]
pub struct Filter {
    pub(super) rules: Arc<Rules>,
    pub(super) holder: ParticipantId,
    pub(super) stream: Stream,
}

impl Filter {
    /// The message because of which a record may not be kept, if there is one.
    pub fn leaves_out(&self, n: u64, record: &[u8], place: Place) -> Option<&MessageId> {
        memmem::find_iter(record, START).find_map(|at| {
            // The quotation mark comes first.
            let end = at + 1 + LENGTH;
            let name = record.get(at + 1..end).filter(|_| record.get(end) == Some(&b'"'))?;
            let known = self.rules.get(&name_of(&self.holder, name))?;
            let covering = known.iter().find(|rule| rule.covers(&self.stream, n, place))?;
            Some(&covering.notice)
        })
    }
}

/// Hash of holder and pseudonym.
pub(super) fn name_of(holder: &ParticipantId, pseudonym: &[u8]) -> Digest {
    jose::digest::sha256_parts(&[holder.as_str().as_bytes(), b"\0", pseudonym])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn retraction() -> Retraction {
        let holder: ParticipantId = "did:web:school.example".parse().unwrap();
        let pseudonym: Pseudonym = "p:AAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
        Retraction {
            notice: "urn:uuid:n".parse().unwrap(),
            name: name_of(&holder, pseudonym.as_str().as_bytes()),
            holder,
            pseudonym: Some(pseudonym),
            reason: EndReason::Withdrawn,
            consents: Vec::new(),
            at: at(1_000),
            received: at(1_001),
            agreements: Vec::new(),
            streams: vec![LastOf {
                transfer: "urn:uuid:running".parse().unwrap(),
                last_sequence: 7,
                goes_on: false,
            }],
            erase_by: at(2_000),
            erased: None,
            closing: false,
            reopened: None,
        }
    }

    fn stream(transfer: &str, created: i64) -> Stream {
        Stream {
            transfer: Some(transfer.parse().unwrap()),
            agreement: "urn:uuid:agreement".parse().unwrap(),
            created: at(created),
        }
    }

    #[test]
    fn what_came_before_the_ending_is_covered_and_what_was_asked_for_long_after_is_not() {
        let told = retraction();
        for place in [Place::Kept, Place::Arriving] {
            assert_eq!(
                told.covers(&stream("urn:uuid:running", 900), 7, place),
                place == Place::Kept,
                "on its way"
            );
            let closing = Retraction {
                closing: true,
                ..told.clone()
            };
            assert!(closing.covers(&stream("urn:uuid:running", 900), 7, place));
            assert!(
                told.covers(&stream("urn:uuid:running", 900), 8, place),
                "it should not have come"
            );
            assert!(told.covers(&stream("urn:uuid:older", 900), 1, place));
            assert!(!told.covers(&stream("urn:uuid:newer", 1_100), 1, place));
        }
    }

    #[test]
    fn in_a_stream_that_goes_on_what_comes_after_the_number_is_kept() {
        let mut told = retraction();
        told.streams[0].goes_on = true;
        let running = stream("urn:uuid:running", 900);
        for place in [Place::Kept, Place::Arriving] {
            assert!(!told.covers(&running, 8, place));
        }
        assert!(told.covers(&running, 7, Place::Kept));
    }

    #[test]
    fn a_later_consent_lets_later_records_in_and_leaves_earlier_ones_out() {
        let told = Retraction {
            reopened: Some(at(1_050)),
            ..retraction()
        };
        let running = stream("urn:uuid:running", 900);
        assert!(told.covers(&running, 7, Place::Kept) && !told.covers(&running, 8, Place::Kept));
        assert!(!told.covers(&running, 8, Place::Arriving));
        let older = stream("urn:uuid:older", 900);
        assert!(told.covers(&older, 1, Place::Kept));
        let erased = Retraction {
            erased: Some(3),
            ..told
        };
        assert!(!erased.covers(&older, 1, Place::Arriving));
    }

    #[test]
    fn what_a_later_consent_let_in_is_not_erased_because_of_an_ending_before_it() {
        let told = Retraction {
            reopened: Some(at(1_050)),
            ..retraction()
        };
        let (running, older) = (stream("urn:uuid:running", 900), stream("urn:uuid:older", 900));
        // Asked for after the later consent, although within what clocks may differ by.
        let later = stream("urn:uuid:later", 1_055);
        for place in [Place::Kept, Place::Arriving] {
            assert!(!told.covers(&later, 1, place) && !told.concerns(&later));
            assert!(retraction().covers(&later, 1, place), "without a later consent");
        }
        // Of a stream without a number nothing is let in while there is something to erase, and nothing is erased after that.
        assert!(told.covers(&older, 1, Place::Arriving));
        let erased = Retraction {
            erased: Some(3),
            ..told
        };
        assert!(!erased.covers(&older, 1, Place::Arriving) && !erased.covers(&older, 1, Place::Kept));
        assert!(!erased.covers(&running, 8, Place::Kept) && erased.covers(&running, 7, Place::Arriving));
    }

    #[test]
    fn a_consent_in_the_instant_of_an_ending_comes_after_it_unless_it_is_what_ended() {
        let (ended, other): (ConsentId, ConsentId) = (
            "urn:uuid:00000000-0000-4000-8000-000000000001".parse().unwrap(),
            "urn:uuid:00000000-0000-4000-8000-000000000002".parse().unwrap(),
        );
        let mut told = retraction();
        told.consents.push(ended.clone());
        assert!(!told.overtakes(&other, at(1_000)) && told.overtakes(&other, at(999)));
        assert!(told.overtakes(&ended, at(1_000)) && told.overtakes(&ended, at(5_000)));
    }

    #[test]
    fn an_ending_that_is_said_to_be_in_the_future_is_one_of_when_it_was_told() {
        let told = Retraction {
            at: at(8_200),
            ..retraction()
        };
        let before = stream("urn:uuid:older", 1_001);
        assert!(told.concerns(&before) && told.covers(&before, 1, Place::Kept));
        assert!(
            !told.concerns(&stream("urn:uuid:newer", 1_002)),
            "what is asked for later"
        );
        let other: ConsentId = "urn:uuid:00000000-0000-4000-8000-000000000002".parse().unwrap();
        assert!(!told.overtakes(&other, at(1_050)), "what is given later");
        // As much as clocks may differ by, it is what the holder says.
        let ahead = Retraction {
            at: at(1_061),
            ..retraction()
        };
        assert_eq!(ahead.closed(), at(1_061));
    }

    #[test]
    fn a_stream_that_cannot_hold_anything_of_it_is_not_of_concern() {
        let mut told = retraction();
        assert!(told.concerns(&stream("urn:uuid:older", 900)) && told.concerns(&stream("urn:uuid:running", 5_000)));
        assert!(!told.concerns(&stream("urn:uuid:newer", 1_061)));
        told.agreements = vec!["urn:uuid:another".parse().unwrap()];
        assert!(!told.concerns(&stream("urn:uuid:older", 900)));
    }

    #[test]
    fn only_what_came_under_the_agreements_that_are_named_is_covered() {
        let mut told = retraction();
        told.agreements = vec!["urn:uuid:another".parse().unwrap()];
        assert!(!told.covers(&stream("urn:uuid:older", 900), 1, Place::Kept));
        told.agreements.push("urn:uuid:agreement".parse().unwrap());
        assert!(told.covers(&stream("urn:uuid:older", 900), 1, Place::Kept));
    }

    #[test]
    fn a_record_is_found_by_the_whole_pseudonym_of_that_holder_alone() {
        let told = retraction();
        let rules: Rules = [(told.name, vec![told.clone()])].into();
        let filter = |holder: &str| Filter {
            rules: Arc::new(rules.clone()),
            holder: holder.parse().unwrap(),
            stream: stream("urn:uuid:older", 900),
        };
        let (ours, other) = (filter("did:web:school.example"), filter("did:web:other.example"));
        let record = br#"{"a":"p:x","sub":"p:AAAAAAAAAAAAAAAAAAAAAA"}"#;
        assert_eq!(ours.leaves_out(1, record, Place::Kept), Some(&told.notice));
        assert_eq!(other.leaves_out(1, record, Place::Kept), None);
        for another in [
            br#"{"sub":"p:AAAAAAAAAAAAAAAAAAAAAB"}"#.as_slice(),
            br#"{"sub":"p:AAAAAAAAAAAAAAAAAAAAAAA"}"#,
            br#"{"sub":"p:AAAAAAAAAAAAAAAAAAAAA"}"#,
            br#"{"sub":"xp:AAAAAAAAAAAAAAAAAAAAAA"}"#,
            br#"{"sub":"p:"#,
        ] {
            assert_eq!(ours.leaves_out(1, another, Place::Kept), None);
        }
    }
}
