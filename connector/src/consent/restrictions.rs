//! Restrictions of the processing of a learner's records (GDPR art. 18): while one stands, nothing of the learner leaves to those whom it is
//! towards, whatever permits it. What is kept of one, who may set and lift it, and its receipts. No consent changes by it, nothing is erased, and
//! nobody is told.

use super::{
    ConsentError, Consents,
    acts::{LearnerAct, Step},
    change::Ended,
    decide::{Acknowledgement, acknowledgement},
    exchange::post::Sheet,
    index, is_named, not_before,
    receipt::{self, Slip},
    record::{Actor, CONTEXT, ConsentId, EvidenceSalt},
    state::{Act, Role},
};
use crate::{
    audit::{Entry, Kind},
    dsp::ParticipantId,
    jose::{self, Digest, JoseError},
    process::{self, decode},
    store::{StoreError, Table},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Where restrictions are kept. They are few.
const RESTRICTIONS: Table = Table(58);

/// What is to be restricted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRestriction {
    /// The learner's local identifier.
    pub subject: String,
    /// Only towards this recipient, by id, or in the management API by the name of a configured peer; without it towards everybody.
    #[serde(default)]
    pub recipient: Option<ParticipantId>,
    /// At whose word: the learner's side, the holder itself, or a supervisory authority.
    pub actor: Actor,
}

/// The end of a restriction.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewLift {
    /// At whose word. A holder who lifts what a learner asked for says in `evidence` where it is kept that the learner was told beforehand.
    pub actor: Actor,
}

/// How a restriction ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LiftedRestriction)]
pub struct Lifted {
    /// At whose word.
    pub actor: Actor,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Hash of the receipt.
    #[schema(value_type = String)]
    pub receipt: Digest,
}

/// A restriction of the processing of a learner's records.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restriction {
    /// Its id.
    pub id: ConsentId,
    /// The learner's local identifier.
    pub subject: String,
    /// Only towards this recipient; none means towards everybody.
    pub recipient: Option<ParticipantId>,
    /// At whose word it was set.
    pub actor: Actor,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What the hashes of the evidence in the receipts are salted with.
    #[schema(value_type = String)]
    pub salt: EvidenceSalt,
    /// Hash of the receipt.
    #[schema(value_type = String)]
    pub receipt: Digest,
    /// How it ended; none while it stands.
    pub lifted: Option<Lifted>,
}

impl LearnerAct for Restriction {
    const TABLE: Table = RESTRICTIONS;
    /// When it was set, and when it was lifted.
    const MOST_RECEIPTS: u32 = 2;

    fn id(&self) -> &ConsentId {
        &self.id
    }

    fn subject(&self) -> &str {
        &self.subject
    }
}

/// Whether somebody in this role may have a restriction set: also the holder, as its own pause, and an authority (GDPR art. 58(2)(f)).
pub(super) const fn may_set(role: Role) -> bool {
    role.is_learners_side() || matches!(role, Role::Holder | Role::Authority)
}

/// Whether somebody in this role may lift what was `set` by another. An authority's word is not for others to take back, a holder's pause is its
/// own, and of a child and a guardian neither lifts what the other asked for.
pub(super) fn may_lift(set: Role, by: Role, is_minor: bool) -> bool {
    match set {
        Role::Authority => by == Role::Authority,
        Role::Holder => matches!(by, Role::Holder | Role::Authority),
        _ => match by {
            Role::Holder | Role::Authority => true,
            Role::Learner => set == Role::Learner || !is_minor,
            by => by == set,
        },
    }
}

impl Restriction {
    fn stands(&self) -> bool {
        self.lifted.is_none()
    }

    /// Another of the same one, towards the same: each has their own, so that lifting the one leaves the other. On the learner's side two
    /// guardians are two.
    fn is_like(&self, new: &NewRestriction) -> bool {
        let (mine, theirs) = (&self.actor, &new.actor);
        let same_one = mine.role == theirs.role && (!mine.role.is_learners_side() || mine.id == theirs.id);
        self.recipient == new.recipient && same_one
    }

    fn in_index(&self) -> index::Restriction<'_> {
        index::Restriction {
            id: &self.id,
            subject: &self.subject,
            recipients: self.recipient.as_slice(),
        }
    }
}

impl Consents {
    /// Reads the restrictions that stand into the index.
    pub(super) async fn load_restrictions(&self) -> Result<(), StoreError> {
        process::each(&**self.log.store(), RESTRICTIONS, |restriction: Restriction| {
            if !restriction.stands() {
                return Ok(());
            }
            let taken = self.index.restrict(&restriction.in_index(), Timestamp::MIN);
            taken.map(drop).map_err(|error| StoreError::Corrupt(error.to_string()))
        })
        .await
    }

    /// All restrictions, or one learner's, the oldest first; those that were lifted too.
    pub async fn restrictions(&self, subject: Option<&str>) -> Result<Vec<Restriction>, StoreError> {
        let mut all: Vec<Restriction> = match subject {
            Some(subject) => self.acts_of(subject).await?,
            None => process::all(&**self.log.store(), RESTRICTIONS).await?,
        };
        all.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        Ok(all)
    }

    /// Whether a restriction of this learner's records stands, towards anybody.
    pub(super) async fn is_restricted(&self, subject: &str) -> Result<bool, StoreError> {
        let all = self.restrictions(Some(subject)).await?;
        Ok(all.iter().any(Restriction::stands))
    }

    /// Restricts the processing of a learner's records. The index is closed first; the answer is given when it is committed and every running
    /// stream has confirmed.
    pub async fn restrict(
        &self,
        new: &NewRestriction,
        now: Timestamp,
    ) -> Result<(Restriction, Acknowledgement), ConsentError> {
        new.actor.check()?;
        let subject = new.subject.as_str();
        if !is_named(subject) {
            return Err(ConsentError::Restriction("subject is missing or too long"));
        }
        let role = new.actor.role;
        if !may_set(role) {
            return Err(ConsentError::NotTheirRestriction(role));
        }
        let _turn = self.turns.of(&[subject]).await;
        let standing = self.standing(subject).await?;
        standing.may(role, new.actor.id.as_deref(), Act::Withdraw, now)?;
        let known = self.restrictions(Some(subject)).await?;
        if let Some(known) = known.iter().find(|known| known.stands() && known.is_like(new)) {
            return Err(ConsentError::AlreadyRestricted(known.id.clone()));
        }
        let mut restriction = Restriction {
            id: ConsentId::from_uuid(jose::uuid(now).map_err(JoseError::from)?),
            subject: subject.to_owned(),
            recipient: new.recipient.clone(),
            actor: new.actor.clone(),
            at: now,
            salt: EvidenceSalt::fresh()?,
            receipt: Digest::EMPTY,
            lifted: None,
        };
        let (epoch, streams) = self.index.restrict(&restriction.in_index(), now)?;
        let recorded = self.record_restriction(&mut restriction, epoch, now).await;
        recorded.inspect_err(|error| self.take_back(&restriction, error))?;
        self.reset_stalled();
        let told = Acknowledgement {
            recipients: restriction.recipient.iter().cloned().collect(),
            ..acknowledgement(subject, &[], Ended { epoch, streams }, now)
        };
        Ok((restriction, told))
    }

    async fn record_restriction(
        &self,
        restriction: &mut Restriction,
        epoch: u64,
        now: Timestamp,
    ) -> Result<(), ConsentError> {
        let receipt = self.restriction_receipt(restriction, Some(epoch))?;
        restriction.receipt = receipt::digest(&receipt);
        let entry = Entry::new(Kind::ProcessingRestricted)
            .with("restriction", restriction.id.as_str())
            .with("epoch", epoch)
            .of("object", &restriction.receipt);
        let step = Step {
            act: &*restriction,
            version: None,
            number: 0,
            receipt: &receipt,
            entry,
        };
        self.commit_act(step, Sheet::default(), now).await
    }

    /// Lifts a restriction. Committed first, opened after.
    pub async fn lift(&self, id: &ConsentId, new: &NewLift, now: Timestamp) -> Result<Restriction, ConsentError> {
        new.actor.check()?;
        let all = self.restrictions(None).await?;
        let found = all.into_iter().find(|known| known.id == *id);
        let found = found.ok_or(ConsentError::UnknownRestriction)?;
        let _turn = self.turns.of(&[found.subject.as_str()]).await;
        // Again, now that nobody else changes it.
        let item = self.log.store().get(RESTRICTIONS, &self.place_of(&found)).await?;
        let item = item.ok_or(ConsentError::UnknownRestriction)?;
        let mut restriction: Restriction = decode(&item.value)?;
        self.check_lift(&restriction, &new.actor, now).await?;
        restriction.lifted = Some(Lifted {
            actor: new.actor.clone(),
            at: not_before(now, restriction.at),
            receipt: Digest::EMPTY,
        });
        let receipt = self.restriction_receipt(&restriction, None)?;
        let digest = receipt::digest(&receipt);
        if let Some(lifted) = &mut restriction.lifted {
            lifted.receipt = digest;
        }
        let entry = Entry::new(Kind::RestrictionLifted)
            .with("restriction", restriction.id.as_str())
            .of("object", &digest);
        let step = Step {
            act: &restriction,
            version: Some(item.version),
            number: 1,
            receipt: &receipt,
            entry,
        };
        self.commit_act(step, Sheet::default(), now).await?;
        self.index.forget(&restriction.subject, |known| known == id);
        Ok(restriction)
    }

    async fn check_lift(&self, restriction: &Restriction, actor: &Actor, now: Timestamp) -> Result<(), ConsentError> {
        if let Some(lifted) = &restriction.lifted {
            return Err(ConsentError::AlreadyLifted(lifted.at));
        }
        let standing = self.standing(&restriction.subject).await?;
        let set = restriction.actor.role;
        if !may_lift(set, actor.role, standing.is_minor(now)) {
            return Err(ConsentError::NotTheirRestriction(actor.role));
        }
        // Whoever asked for it is told before it is lifted (GDPR art. 18(3)).
        if set.is_learners_side() && !actor.role.is_learners_side() && actor.evidence.is_none() {
            return Err(ConsentError::LiftUntold);
        }
        // It lets go on what was stopped: the power to say yes is what it takes.
        Ok(standing.may(actor.role, actor.id.as_deref(), Act::Give, now)?)
    }

    /// The signed receipt of the newest step; `epoch` is the one that every running stream has confirmed. It names no stream: the restriction may
    /// be towards several recipients, none of whom reads of the others.
    fn restriction_receipt(&self, restriction: &Restriction, epoch: Option<u64>) -> Result<String, ConsentError> {
        let (number, previous, created) = match &restriction.lifted {
            None => (0, None, restriction.at),
            Some(lifted) => (1, Some(restriction.receipt), lifted.at),
        };
        let record = self.restriction_record(restriction);
        let slip = Slip {
            number,
            previous,
            ended: epoch.map(|epoch| json!({ "epoch": epoch })),
            ..Slip::new(restriction.id.as_str(), created, self.holder(), record)?
        };
        Ok(slip.sign(&self.trust.signer())?)
    }

    /// What is restricted, and at whose word: no consent record.
    fn restriction_record(&self, restriction: &Restriction) -> Value {
        let step = |actor: &Actor, at: Timestamp| {
            json!({
                "time": at, "role": actor.role, "method": actor.method,
                "evidence": actor.evidence.as_ref().map(|text| restriction.salt.hash(text)),
            })
        };
        let recipient = |did: &ParticipantId| json!({"@type": "dpv:Recipient", "dct:identifier": did});
        let id = &restriction.id;
        let lifted = restriction.lifted.as_ref();
        let names = self.pseudonyms.towards(self.holder());
        let exercised = restriction.actor.role.is_learners_side();
        json!({
            "@context": CONTEXT, "@type": "dpv:Process", "@id": id, "dct:identifier": id,
            "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": names.name(&restriction.subject)},
            "dpv:hasDataController": [{"@type": "dpv:DataController", "dct:identifier": self.holder()}],
            "dpv:hasRecipient": restriction.recipient.iter().map(recipient).collect::<Vec<_>>(),
            "dpv:isExercisedRight": exercised.then_some("eu-gdpr:A18"),
            "dases:restriction": {
                "holder": self.holder(), "recipient": restriction.recipient, "set": step(&restriction.actor, restriction.at),
                "lifted": lifted.map(|lifted| step(&lifted.actor, lifted.at)),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sets_a_restriction_says_who_may_lift_it() {
        use Role::{Authority, Clock, Consumer, Delegate, Guardian, Holder, Learner};
        let lifters = |set, is_minor| -> Vec<Role> {
            let may = |by: &Role| may_lift(set, *by, is_minor);
            Role::ALL.into_iter().filter(may).collect()
        };
        assert_eq!(lifters(Authority, false), [Authority]);
        assert_eq!(lifters(Holder, false), [Holder, Authority]);
        assert_eq!(lifters(Learner, true), [Learner, Holder, Authority]);
        assert_eq!(lifters(Guardian, true), [Guardian, Holder, Authority]);
        assert_eq!(lifters(Guardian, false), [Learner, Guardian, Holder, Authority]);
        assert_eq!(lifters(Delegate, false), [Learner, Delegate, Holder, Authority]);
        assert!(!may_set(Consumer) && !may_set(Clock));
    }
}
