//! What a stream asks of the index: the question, compiled once, and the reader that asks it for each record without allocating,
//! unless the learner has an open request or a consent for a number of transfers. Consents of one learner add up, over data and over purposes.

use super::{
    Index, Reason,
    answers::{Answers, Cover},
    basis::{Bases, Ground},
    fields::Fields,
    joint::{Joint, Part},
    limits::{Limits, Place},
    table::{Entry, Learner, Marks, OfAge, Standing},
    terms::{Scope, Terms, TermsId},
};
use crate::{
    catalog::CategorySet,
    consent::{ConsentId, Occurrence},
};
use policy::{Code, Timestamp, release::GroupSize};
use std::{collections::HashSet, sync::Arc};
use uuid::Uuid;

/// In what form something of learners' records leaves. One of groups says how small they may be: nobody can ask about them and not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As records.
    Records,
    /// As anonymous rows, of which so many learners at least have the same.
    Rows(GroupSize),
    /// As numbers about groups of so many learners at least, never as records: consents for aggregates count too.
    Groups(GroupSize),
}

impl Form {
    /// Groups leave, and may be smaller than this.
    fn has_groups_below(self, least: Option<u32>) -> bool {
        match self {
            Self::Records => false,
            Self::Rows(size) | Self::Groups(size) => least.is_some_and(|least| size.get() < least),
        }
    }
}

/// What a stream asks about each record, compiled once.
#[derive(Clone, Debug)]
pub struct Question {
    pub(super) recipient: u32,
    pub(super) purposes: Box<[u32]>,
    pub(super) dataset: u32,
    pub(super) agreement: u32,
    /// What the policy says of each record.
    pub(super) answers: Answers,
    /// The categories that it lets out at all.
    pub(super) allowed: CategorySet,
    /// Those of them that it lets out where another lawful basis than consent covers them.
    pub(super) without_consent: CategorySet,
    /// In what form it will leave.
    pub form: Form,
    /// The dataset's fields that have numbers of their own.
    pub(super) fields: Fields,
}

/// Why nothing of a learner's records may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// Neither a consent nor another lawful basis covers any of it.
    Consent(Reason),
    /// The policy refuses what is covered: one of [`policy::Plan::REFUSALS`].
    Policy(Code),
}

impl Withheld {
    /// The stable code.
    pub const fn code(self) -> Code {
        match self {
            Self::Consent(reason) => reason.code(),
            Self::Policy(code) => code,
        }
    }
}

/// What some terms mean to one question: worked out once for all learners who agreed to them.
#[derive(Clone, Copy)]
pub(super) struct Verdict {
    /// The categories and single fields that may go out while the consent is in force; if none, the reason.
    pub(super) permits: CategorySet,
    reason: Reason,
    /// What may go out for some of the purposes, where the terms are not for all of them.
    part: Part,
    /// The categories about which the terms say anything to this recipient, for any of the purposes: whole ones, even where only some of
    /// their fields are named, because other bases know no fields; and under any agreement, or a learner's no would be gone around by another
    /// one about the same.
    touches: CategorySet,
    /// They are for larger groups than those that leave.
    groups_too_small: bool,
    /// They are for another agreement alone.
    elsewhere: bool,
}

impl Question {
    pub(super) fn verdict(&self, terms: &Terms) -> Verdict {
        let common = terms.categories.and(self.allowed);
        let permits = match &terms.fields {
            Scope::All => common,
            limited @ Scope::Only(_) => self.fields.permitted(common, limited),
        };
        let mut verdict = Verdict {
            permits: CategorySet::EMPTY,
            reason: Reason::None,
            part: Part::NONE,
            touches: CategorySet::EMPTY,
            groups_too_small: self.form.has_groups_below(terms.min_group_size),
            elsewhere: terms.agreement.is_some_and(|named| named != self.agreement),
        };
        let recipient = terms.recipients.holds(self.recipient);
        let dataset = terms.datasets.holds(self.dataset);
        if recipient && dataset && self.purposes.iter().any(|purpose| terms.purposes.holds(*purpose)) {
            verdict.touches = common;
        }
        if !recipient {
            verdict.reason = Reason::Recipient;
        } else if self.purposes.is_empty() || !self.purposes.iter().all(|purpose| terms.purposes.holds(*purpose)) {
            // An agreement that binds to no purpose could serve any: no consent covers that.
            verdict.reason = Reason::Purpose;
            if dataset && !verdict.elsewhere {
                let with_fields = permits.union(self.fields.permitted(permits, &Scope::All));
                verdict.part = Part::of(with_fields, &self.purposes, &terms.purposes);
            }
        } else if !dataset || permits == CategorySet::EMPTY {
            verdict.reason = Reason::Category;
        } else if verdict.elsewhere {
            verdict.reason = Reason::Agreement;
        } else {
            verdict.permits = permits;
        }
        verdict
    }
}

/// What of the restrictions of a learner's records counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restrictions {
    /// Those that stand.
    Standing,
    /// None: they may be lifted while a stream runs.
    Lifted,
}

impl Question {
    /// Whether something of a learner's records may follow: now, or when what has been given begins, and under `Restrictions::Lifted` when nothing is
    /// restricted any more. Asked of running streams when something ends, so nothing is kept for the next time.
    pub(super) fn is_met(
        &self,
        index: &Index,
        (learner, by): (Learner, Occurrence),
        restrictions: Restrictions,
        now: Timestamp,
    ) -> bool {
        let (mut sum, mut uses, mut joint) = (Sum::NOTHING, Vec::new(), Joint::new(self.purposes.len()));
        let vocabulary = index.vocabulary();
        index.table.each(learner, |entry| {
            if let Some(terms) = vocabulary.get(entry.terms) {
                let asking = Asking {
                    now: now.max(entry.from),
                    form: self.form,
                    limits: &index.limits,
                    by: Some(by),
                };
                sum.add(entry, &self.verdict(terms), &asking, (&mut uses, &mut joint));
            }
        });
        drop(vocabulary);
        sum.cover = sum.cover.union(joint.cover());
        sum.restricted &= restrictions == Restrictions::Standing;
        let mut bases = Bases::default();
        index.bases.follow(&mut bases, self);
        sum.conclude(bases.ground(now), &self.answers, now).is_ok()
    }
}

/// As of when, and for what, a learner's entries are asked.
struct Asking<'a> {
    now: Timestamp,
    form: Form,
    limits: &'a Limits,
    by: Option<Occurrence>,
}

/// A consent that permits something because there is room for one more transfer.
#[derive(Clone, Copy)]
struct Use {
    id: Uuid,
    permits: CategorySet,
    /// For some of the purposes: it is used where others permit the same for the rest of them.
    is_part: bool,
}

impl Use {
    /// Something of this left by it: of what leaves, `joined` is what consents permit together.
    const fn was_made(&self, left: CategorySet, joined: CategorySet) -> bool {
        let theirs = if self.is_part { left.and(joined) } else { left };
        self.permits.meets(theirs)
    }
}

impl Asking<'_> {
    /// What a consent in force that covers something has to say: why it permits nothing, if that is so. One that permits because there is room
    /// for another transfer is among the `uses`.
    fn lacking(&self, entry: &Entry, verdict: &Verdict, uses: &mut Vec<Use>) -> Option<Reason> {
        if entry.marks.has(Marks::AGGREGATE_ONLY) && !matches!(self.form, Form::Groups(_)) {
            Some(Reason::Aggregate)
        } else if entry.marks.has(Marks::GUARDIAN_MISSING) {
            Some(Reason::Guardian)
        } else if verdict.groups_too_small {
            Some(Reason::GroupSize)
        } else if entry.marks.has(Marks::LIMITED) {
            match self.limits.place(entry.id, self.by) {
                Place::Counted => None,
                Place::Free => {
                    let is_part = verdict.permits == CategorySet::EMPTY;
                    let permits = if is_part { verdict.part.permits } else { verdict.permits };
                    let id = entry.id;
                    uses.push(Use { id, permits, is_part });
                    None
                }
                Place::UsedUp => Some(Reason::UsedUp),
            }
        } else {
            None
        }
    }
}

/// Why nothing is permitted: what is about this question came nearer to permitting than what is about something else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Nearest {
    is_about_this: bool,
    reason: Reason,
}

/// What a learner's entries add up to.
struct Sum {
    /// What their consents cover.
    cover: Cover,
    of_age: OfAge,
    /// Categories for which the learner was asked for consent, and there is none now.
    asked: CategorySet,
    /// Categories for which the learner objected to other bases.
    objected: CategorySet,
    /// The learner's records are restricted towards this recipient: all of them, whatever permits them.
    restricted: bool,
    nearest: Nearest,
}

impl Sum {
    const NOTHING: Self = Self {
        cover: Cover::NOTHING,
        of_age: OfAge::UNKNOWN,
        asked: CategorySet::EMPTY,
        objected: CategorySet::EMPTY,
        restricted: false,
        nearest: Nearest {
            is_about_this: false,
            reason: Reason::None,
        },
    };

    fn near(&mut self, verdict: &Verdict, reason: Reason) {
        let is_about_this = verdict.touches != CategorySet::EMPTY;
        self.nearest = self.nearest.max(Nearest { is_about_this, reason });
    }

    fn add(
        &mut self,
        entry: &Entry,
        verdict: &Verdict,
        asking: &Asking<'_>,
        (uses, joint): (&mut Vec<Use>, &mut Joint),
    ) {
        // An objection or a restriction may not say it; those that do say the same.
        if entry.of_age != OfAge::UNKNOWN {
            self.of_age = entry.of_age;
        }
        let lacking = match entry.standing {
            Standing::Objection => return self.objected = self.objected.union(verdict.touches),
            // It says nothing but towards whom.
            Standing::Restricted => return self.restricted |= verdict.reason != Reason::Recipient,
            Standing::Refused => Reason::Refused,
            Standing::Withdrawn => Reason::Withdrawn,
            Standing::Revoked => Reason::Revoked,
            Standing::Expired => Reason::Expired,
            Standing::Given if asking.now < entry.from || asking.now >= entry.until => Reason::Expired,
            // In force, but about something else: it says nothing against other bases.
            Standing::Given if verdict.permits == CategorySet::EMPTY && verdict.part == Part::NONE => {
                return self.near(verdict, verdict.reason);
            }
            Standing::Given => match asking.lacking(entry, verdict, uses) {
                Some(reason) => reason,
                None if verdict.permits == CategorySet::EMPTY => {
                    joint.add(verdict.part, entry.marks.has(Marks::GUARDIAN_GAVE));
                    // Unless others are for the other purposes.
                    return self.near(verdict, verdict.reason);
                }
                None => {
                    return self
                        .cover
                        .consent(verdict.permits, entry.marks.has(Marks::GUARDIAN_GAVE));
                }
            },
        };
        // What has ended and was about something else is no reason here.
        if verdict.touches != CategorySet::EMPTY {
            self.asked = self.asked.union(verdict.touches);
            self.near(verdict, lacking);
        }
    }

    /// First whether anything may leave at all (GDPR art. 18) and is covered, then what the policy says of that (policy.md §6.2).
    fn conclude(&self, ground: Ground, answers: &Answers, now: Timestamp) -> Result<CategorySet, Withheld> {
        if self.restricted {
            return Err(Withheld::Consent(Reason::Restricted));
        }
        let cover = Cover {
            based: ground.without(self.asked, self.objected),
            ..self.cover
        };
        if cover.all() != CategorySet::EMPTY {
            answers
                .decide(self.of_age.is_minor(now), cover)
                .map_err(Withheld::Policy)
        } else if ground.is_some() && self.objected != CategorySet::EMPTY {
            Err(Withheld::Consent(Reason::Objected))
        } else {
            Err(Withheld::Consent(self.nearest.reason))
        }
    }
}

/// One stream's way of asking. Chunk by chunk: [`Reader::begin`] notes the epoch, and everything that is answered until the next call is
/// true of that epoch or of a later one. So a chunk whose epoch still holds at the gate holds nothing that has been withdrawn.
pub struct Reader {
    index: Arc<Index>,
    question: Question,
    /// The use that is counted where a consent permits a number of transfers.
    by: Option<Occurrence>,
    /// Of the learner who is asked about.
    considered: Vec<Use>,
    /// Of the same: their consents for some of the purposes.
    joint: Joint,
    /// Consents without which something of the chunk would not leave, and of which this use is not counted yet.
    uses: HashSet<Uuid>,
    /// By [`super::terms::TermsId`].
    verdicts: Vec<Verdict>,
    bases: Bases,
    ground: Ground,
    now: Timestamp,
    epoch: u64,
    /// The learner asked about last and the answer, good until the next chunk: sources often hold a learner's records in one go.
    last: Option<Result<CategorySet, Withheld>>,
    subject: String,
}

impl Reader {
    /// A reader for one stream.
    pub fn new(index: Arc<Index>, question: Question) -> Self {
        Self {
            joint: Joint::new(question.purposes.len()),
            index,
            question,
            by: None,
            considered: Vec::new(),
            uses: HashSet::new(),
            verdicts: Vec::new(),
            bases: Bases::default(),
            ground: Ground::default(),
            now: Timestamp::MIN,
            epoch: 0,
            last: None,
            subject: String::new(),
        }
    }

    /// The same for this use, which may have been counted already where a consent permits a number of transfers.
    pub fn of(mut self, by: Occurrence) -> Self {
        self.by = Some(by);
        self
    }

    /// The consents that permitted something since the chunk began because there is room for one more transfer: this one is to be counted
    /// ([`super::super::Occurrences::count`]) before anything of the chunk leaves.
    pub fn uses(&mut self) -> Vec<ConsentId> {
        self.uses.drain().map(ConsentId::from_uuid).collect()
    }

    /// Begins a chunk: everything asked from here on is answered as of `now`, or of the last chunk's time if the clock has gone back
    /// since. Returns that instant.
    pub fn begin(&mut self, now: Timestamp) -> Timestamp {
        // The epoch first. Whoever closes something changes the table, then the epoch: what is read after this is no older than it.
        self.epoch = self.index.epoch();
        self.now = self.now.max(now);
        self.last = None;
        self.uses.clear();
        self.index.bases.follow(&mut self.bases, &self.question);
        self.ground = self.bases.ground(self.now);
        self.now
    }

    /// The epoch of the chunk.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Which categories of this learner's records, and which single fields of them, may go out now: those that consent or another basis
    /// covers, as far as the policy permits them. Never an empty set.
    pub fn ask(&mut self, subject: &str) -> Result<CategorySet, Withheld> {
        match self.last {
            Some(answer) if self.subject == subject => answer,
            _ => {
                let answer = self.decide(subject);
                self.last = Some(answer);
                self.subject.clear();
                self.subject.push_str(subject);
                answer
            }
        }
    }

    fn decide(&mut self, subject: &str) -> Result<CategorySet, Withheld> {
        let learner = self.index.table.learner(subject);
        loop {
            self.considered.clear();
            self.joint.clear();
            let (mut sum, mut unknown) = (Sum::NOTHING, false);
            let asking = Asking {
                now: self.now,
                form: self.question.form,
                limits: &self.index.limits,
                by: self.by,
            };
            self.index
                .table
                .each(learner, |entry| match self.verdicts.get(entry.terms as usize) {
                    Some(verdict) => sum.add(entry, verdict, &asking, (&mut self.considered, &mut self.joint)),
                    None => unknown = true,
                });
            if unknown {
                self.learn();
                continue;
            }
            let joined = self.joint.cover();
            sum.cover = sum.cover.union(joined);
            let answer = sum.conclude(self.ground, &self.question.answers, self.now);
            if let Ok(permitted) = answer
                && !self.considered.is_empty()
            {
                let considered = self.considered.iter();
                let used = considered.filter(|one| one.was_made(permitted, joined.consented));
                self.uses.extend(used.map(|one| one.id));
            }
            return answer.map_err(|why| self.explain(learner, why, sum.nearest));
        }
    }

    /// Why there is nothing for this recipient; where no consent is about it, perhaps one is asked for.
    fn explain(&mut self, learner: Learner, why: Withheld, nearest: Nearest) -> Withheld {
        // Whatever the learner has said: what could cover it is missing in the agreement.
        if self.question.purposes.is_empty() && why != Withheld::Consent(Reason::Restricted) {
            return Withheld::Consent(Reason::Unbound);
        }
        if nearest.is_about_this || why != Withheld::Consent(nearest.reason) {
            return why;
        }
        let asked = self.index.requests.of(learner, self.now);
        if asked.is_empty() {
            return why;
        }
        self.learn();
        let is_about_this = |terms: &TermsId| {
            let verdict = self.verdicts.get(*terms as usize);
            verdict.is_some_and(|verdict| !verdict.elsewhere && verdict.touches != CategorySet::EMPTY)
        };
        match asked.iter().any(is_about_this) {
            true => Withheld::Consent(Reason::Requested),
            false => why,
        }
    }

    /// Works out what terms mean that were opened since.
    fn learn(&mut self) {
        let vocabulary = self.index.vocabulary();
        let new = vocabulary.since(self.verdicts.len());
        self.verdicts.extend(new.map(|terms| self.question.verdict(terms)));
    }
}
