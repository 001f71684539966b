//! All processes of one kind in the store: loading them, and the one commit that every change of theirs goes through.

use super::{
    Answer, Core, Events, Incoming, Kind, MessageKey, Outgoing, ProcessError, Protocol, Queue, Turn, Verdict, decode,
    encode, events::Change, open::Open, outbox, turn::SEEN,
};
use crate::{
    audit::{Entry, Kind as Recorded, Log},
    dsp::{ParticipantId, Pid, Position, Role},
    jose,
    store::{Batch, Guard, StoreError, Version},
    trust::{SIGNATURE_HEADER, Spent},
};
use policy::{Reason, Timestamp};
use serde_json::Value;
use std::{marker::PhantomData, sync::Arc};

/// How often a change is decided again because somebody else was quicker.
const ATTEMPTS: usize = 64;

/// All processes of one kind.
pub struct Ledger<K: Kind> {
    log: Arc<Log>,
    queue: Arc<Queue>,
    events: Arc<Events>,
    open: Open,
    kind: PhantomData<K>,
}

impl<K: Kind> Ledger<K> {
    /// The ledger of the log's store. A peer may have `most` processes open here and then opens no more.
    pub async fn over(log: Arc<Log>, queue: Arc<Queue>, events: Arc<Events>, most: usize) -> Result<Self, StoreError> {
        let open = Open::new(most);
        super::each(&**log.store(), K::TABLE, |record: K| {
            open.note(record.core());
            Ok(())
        })
        .await?;
        Ok(Self {
            log,
            queue,
            events,
            open,
            kind: PhantomData,
        })
    }

    /// Where changes are announced.
    pub fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// The log that everything is committed through.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// A record with the version that it was read at.
    pub async fn load(&self, pid: &Pid) -> Result<Option<(K, Version)>, StoreError> {
        let item = self.log.store().get(K::TABLE, pid.as_str().as_bytes()).await?;
        item.map(|item| Ok((decode(&item.value)?, item.version))).transpose()
    }

    /// A record that belongs to `peer`; a foreign one looks like none.
    pub async fn of_peer(&self, pid: &Pid, peer: &ParticipantId) -> Result<K, ProcessError> {
        match self.load(pid).await? {
            Some((record, _)) if record.core().peer == *peer => Ok(record),
            _ => Err(ProcessError::NotFound),
        }
    }

    /// All records, oldest id first.
    pub async fn list(&self) -> Result<Vec<K>, StoreError> {
        super::all(&**self.log.store(), K::TABLE).await
    }

    /// Our id for the process that the peer calls `theirs`.
    pub async fn find(&self, peer: &ParticipantId, role: Role, theirs: &Pid) -> Result<Option<Pid>, StoreError> {
        let item = self.log.store().get(K::INDEX, &index_key(peer, role, theirs)).await?;
        item.map(|item| decode(&item.value)).transpose()
    }

    /// The answer to the message that opened the process, if this is a repetition of it (R2). Its signature is spent all the same.
    pub async fn opened(&self, pid: &Pid, message: &Incoming<'_, K::Machine>) -> Result<Option<Answer>, ProcessError> {
        let Some(item) = self.log.store().get(SEEN, &message.key.opening(pid)).await? else {
            return Ok(None);
        };
        self.spend(&message.spent).await?;
        Ok(Some(decode(&item.value)?))
    }

    /// How a message in an existing process was answered before, if it was (R2, R6), as it is to be remembered from now on.
    async fn answered(
        &self,
        core: &Core<K::Machine>,
        message: &Incoming<'_, K::Machine>,
    ) -> Result<Option<Answer>, ProcessError> {
        let Some(item) = self.log.store().get(SEEN, &message.key.later(&core.pid)).await? else {
            return Ok(None);
        };
        let mut answer: Answer = decode(&item.value)?;
        let MessageKey::Body(body) = &message.key else {
            return Ok(Some(answer));
        };
        let accepted = answer.refusal.is_none();
        let Some((_, since)) = answer.last.as_mut().filter(|(last, _)| last == body) else {
            return Ok(None);
        };
        if !core
            .position
            .repeats(core.role, message.step, accepted, *since, core.acknowledged)?
        {
            return Ok(None);
        }
        if !accepted {
            *since = core.position.sets_out_next(false, core.sent);
        }
        Ok(Some(answer))
    }

    /// Commits that an answer is given again.
    async fn repeat(
        &self,
        mut batch: Batch,
        pid: &Pid,
        message: &Incoming<'_, K::Machine>,
        answer: &Answer,
    ) -> Result<(), ProcessError> {
        if matches!(message.key, MessageKey::Body(_)) {
            batch.put(SEEN, message.key.later(pid), encode(answer)?);
        }
        self.log.store().commit(batch).await?;
        Ok(())
    }

    /// Burns a message id that leads to no change.
    pub async fn spend(&self, spent: &Spent) -> Result<(), ProcessError> {
        let mut batch = Batch::new();
        if spent.burn(&mut batch).is_none() {
            return Ok(());
        }
        match self.log.store().commit(batch).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict { .. }) => Err(ProcessError::Replayed),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores a process that we open ourselves.
    pub async fn open(&self, record: &K, turn: Turn, now: Timestamp) -> Result<(), ProcessError> {
        let mut batch = Batch::new();
        batch.insert(K::TABLE, record.core().pid.as_str(), encode(record)?);
        self.finish(batch, None, record, turn, now).await
    }

    /// Refuses a peer that has as many open processes as it may have. It is asked again where one is stored.
    pub fn room(&self, peer: &ParticipantId) -> Result<(), ProcessError> {
        self.open.room(peer)
    }

    /// Stores a process that a peer's message opens, with the answer to that message.
    pub async fn admit(
        &self,
        record: &K,
        message: &Incoming<'_, K::Machine>,
        answer: &Answer,
        mut turn: Turn,
        now: Timestamp,
    ) -> Result<(), ProcessError> {
        let core = record.core();
        self.open.room(&core.peer)?;
        let mut batch = Batch::new();
        let theirs = message.peer_pid.ok_or(ProcessError::PidMismatch)?;
        let spent = message.spent.burn(&mut batch);
        batch.insert(K::TABLE, core.pid.as_str(), encode(record)?);
        batch.insert(K::INDEX, index_key(&core.peer, core.role, theirs), encode(&core.pid)?);
        batch.put(SEEN, message.key.opening(&core.pid), encode(answer)?);
        let entry = received(Recorded::MessageIn, record, message);
        turn.entries.insert(0, entry.archived(0));
        turn.exhibits.insert(0, (0, message.exhibit.clone()));
        match self.finish(batch, None, record, turn, now).await {
            Err(ProcessError::Store(StoreError::Conflict { guard })) if Some(guard) == spent => {
                Err(ProcessError::Replayed)
            }
            Err(ProcessError::Store(StoreError::Conflict { .. })) => Err(ProcessError::Busy),
            other => other,
        }
    }

    /// Takes a peer's message in an existing process: R2 first, then the position, then `decide`, then one commit.
    ///
    /// A refusal is remembered like an acceptance: otherwise a late copy could be accepted after its sender has given it up.
    pub async fn receive<E: Verdict>(
        &self,
        pid: &Pid,
        message: Incoming<'_, K::Machine>,
        now: Timestamp,
        mut decide: impl FnMut(&mut K, &mut Turn) -> Result<Option<Value>, E>,
    ) -> Result<(K, Answer), E> {
        for _ in 0..ATTEMPTS {
            let Some((before, version)) = self.load(pid).await.map_err(ProcessError::from)? else {
                return Err(ProcessError::NotFound.into());
            };
            if before.core().peer != *message.sender {
                return Err(ProcessError::NotFound.into());
            }
            let mut batch = Batch::new();
            batch.require(K::TABLE, pid.as_str(), Guard::At(version));
            let spent = message.spent.burn(&mut batch);
            if let Some(answer) = self.answered(before.core(), &message).await? {
                match self.repeat(batch, pid, &message, &answer).await {
                    Err(ProcessError::Store(StoreError::Conflict { guard })) if Some(guard) == spent => {
                        return Err(ProcessError::Replayed.into());
                    }
                    Err(ProcessError::Store(StoreError::Conflict { .. })) => continue,
                    other => return other.map(|()| (before, answer)).map_err(E::from),
                }
            }
            let (record, mut answer, turn, refused) = match step(&before, &message, now, &mut decide) {
                Ok((record, answer, turn)) => {
                    batch.put(K::TABLE, pid.as_str(), encode(&record).map_err(ProcessError::from)?);
                    (record, answer, turn, None)
                }
                Err(error) if error.is_final() => {
                    let (answer, mut turn) = (refusal(&before, &error), Turn::default());
                    // We sign a refusal; this is what we can show of what it answered.
                    let entry = received(Recorded::MessageRefused, &before, &message);
                    let entry = entry.with("reason", error.to_string());
                    turn.record(match &answer.code {
                        Some(code) => entry.with("code", code.as_str()),
                        None => entry,
                    });
                    (before.clone(), answer, turn, Some(error))
                }
                Err(error) => return Err(error),
            };
            if let MessageKey::Body(body) = &message.key {
                let core = record.core();
                answer.last = Some((*body, core.position.sets_out_next(refused.is_none(), core.sent)));
            }
            let value = encode(&answer).map_err(ProcessError::from)?;
            batch.put(SEEN, message.key.later(pid), value);
            match self
                .finish(batch, Some(&before.core().position), &record, turn, now)
                .await
            {
                Err(ProcessError::Store(StoreError::Conflict { guard })) if Some(guard) == spent => {
                    return Err(ProcessError::Replayed.into());
                }
                Err(ProcessError::Store(StoreError::Conflict { .. })) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => return refused.map_or(Ok((record, answer)), Err),
            }
        }
        Err(ProcessError::Busy.into())
    }

    /// Changes a record by our own decision: a command, or what follows from a delivery.
    pub async fn change<T, E: From<ProcessError>>(
        &self,
        pid: &Pid,
        now: Timestamp,
        mut decide: impl FnMut(&mut K, &mut Turn) -> Result<T, E>,
    ) -> Result<(K, T), E> {
        for _ in 0..ATTEMPTS {
            let Some((mut record, version)) = self.load(pid).await.map_err(ProcessError::from)? else {
                return Err(ProcessError::NotFound.into());
            };
            let mut turn = Turn::default();
            let before = record.core().position.clone();
            record.core_mut().updated = now;
            let result = decide(&mut record, &mut turn)?;
            let mut batch = Batch::new();
            batch.replace(
                K::TABLE,
                pid.as_str(),
                version,
                encode(&record).map_err(ProcessError::from)?,
            );
            match self.finish(batch, Some(&before), &record, turn, now).await {
                Err(ProcessError::Store(StoreError::Conflict { .. })) => {}
                other => return other.map(|()| (record, result)).map_err(E::from),
            }
        }
        Err(ProcessError::Busy.into())
    }

    /// Settles a delivered message: the position takes the outcome, `decide` adds what follows, the outbox entry goes.
    pub async fn settle<E: From<ProcessError>>(
        &self,
        entry: &Outgoing,
        outcome: &outbox::Outcome,
        now: Timestamp,
        mut decide: impl FnMut(&mut K, &mut Turn) -> Result<(), E>,
    ) -> Result<K, E> {
        let (record, ()) = self
            .change(&entry.pid, now, |record: &mut K, turn| {
                turn.delivered = Some(entry.clone());
                turn.reply = outcome.reply().cloned();
                turn.record(settled(entry, outcome));
                let core = record.core_mut();
                if !core.position.awaits(entry.number) {
                    // Its fate was already known by another way (R3), or the process is over: the answer is evidence all the same.
                    return Ok(());
                }
                match outcome {
                    outbox::Outcome::Acknowledged { peer_pid, .. } => {
                        core.meet(peer_pid.as_ref())?;
                        core.position = core.position.acknowledged(core.role, entry.number);
                        core.head = jose::sha256(entry.body.as_bytes());
                        core.acknowledged = entry.number + 1;
                    }
                    outbox::Outcome::Refused { explanation, .. } => {
                        core.position = core.position.refused(core.role, entry.number);
                        core.explanation = Some(explanation.clone());
                    }
                }
                decide(record, turn)
            })
            .await?;
        Ok(record)
    }

    async fn finish(
        &self,
        mut batch: Batch,
        before: Option<&Position<K::Machine>>,
        record: &K,
        turn: Turn,
        now: Timestamp,
    ) -> Result<(), ProcessError> {
        // R1: the outbox holds exactly what is pending.
        for number in before
            .into_iter()
            .flat_map(|before| record.core().position.left_since(before))
        {
            outbox::unqueue(&record.core().pid, number, &mut batch);
        }
        for outgoing in &turn.outgoing {
            outgoing.queue(&mut batch)?;
        }
        if let Some(delivered) = &turn.delivered {
            outbox::unqueue(&delivered.pid, delivered.number, &mut batch);
            if let Some(reply) = &turn.reply {
                reply.keep(&mut batch, &delivered.pid, delivered.number)?;
            }
        }
        for (number, exhibit) in &turn.exhibits {
            exhibit.keep(&mut batch, &record.core().pid, *number)?;
        }
        batch.writes.extend(turn.batch.writes);
        let core = record.core();
        let ticket = self.events.place(&core.pid);
        let mut entries = turn.entries.into_iter();
        match entries.next() {
            Some(first) => self.log.commit(batch, first, entries.collect(), now).await?,
            None => self.log.store().commit(batch).await?,
        };
        if !turn.outgoing.is_empty() {
            self.queue.wake(K::PROTOCOL, &core.pid);
        }
        if before != Some(&core.position) {
            self.open.note(core);
            ticket.announce(Change::of(record));
        }
        self.events.stir(K::PROTOCOL, &core.pid);
        Ok(())
    }
}

type Step<K> = (K, Answer, Turn);

/// One message taken: the record after it, what to answer, what else to commit.
fn step<K: Kind, E: Verdict>(
    before: &K,
    message: &Incoming<'_, K::Machine>,
    now: Timestamp,
    decide: &mut impl FnMut(&mut K, &mut Turn) -> Result<Option<Value>, E>,
) -> Result<Step<K>, E> {
    let mut record = before.clone();
    let core = record.core_mut();
    core.meet(message.peer_pid)?;
    let renews = message.renews_in.is_some() && message.renews_in == core.position.state;
    if !renews {
        core.position = core
            .position
            .receive(core.role, message.step)
            .map_err(ProcessError::from)?;
    }
    core.head = message.body;
    core.updated = now;
    let mut turn = Turn::default();
    let entry = received(Recorded::MessageIn, &record, message);
    let number = turn.exhibit(&mut record, message.exhibit.clone());
    turn.record(entry.archived(number));
    let state = record.core().state_name();
    let extra = decide(&mut record, &mut turn)?;
    let answer = Answer {
        state,
        extra,
        ..Answer::of(200, record.core())
    };
    Ok((record, answer, turn))
}

fn refusal<K: Kind>(record: &K, error: &impl Verdict) -> Answer {
    let reasons = error.reasons();
    let told = match reasons.as_slice() {
        [] => error.to_string(),
        reasons => reasons.iter().map(Reason::disclosed).collect::<Vec<_>>().join("; "),
    };
    Answer {
        refusal: Some(told),
        code: reasons.first().map(|reason| reason.code.to_string()),
        ..Answer::of(400, record.core())
    }
}

fn received<K: Kind>(kind: Recorded, record: &K, message: &Incoming<'_, K::Machine>) -> Entry {
    let entry = Entry::new(kind)
        .with("process", record.core().pid.as_str())
        .with("peer", message.sender.as_str())
        .with("message", message.kind)
        .with("state", record.core().state_name())
        .of("body", &message.body);
    let signature = message.exhibit.about.header(SIGNATURE_HEADER);
    match (&message.signed_with, signature) {
        (Some(key), Some(signature)) => entry
            .of("signedWith", key)
            .of("signature", &jose::sha256(signature.as_bytes())),
        _ => entry.with("signed", false),
    }
}

/// What became of a message of ours, with the hashes that tie the entry to what is kept.
pub fn settled(sent: &Outgoing, outcome: &outbox::Outcome) -> Entry {
    let kind = match outcome {
        outbox::Outcome::Acknowledged { .. } => Recorded::Acknowledged,
        outbox::Outcome::Refused { .. } => Recorded::Refused,
    };
    let entry = Entry::new(kind)
        .with("peer", sent.peer.as_str())
        .with("message", sent.kind.as_str())
        .of("body", &jose::sha256(sent.body.as_bytes()));
    // The queue of messages about consents is named after a learner: it does not go into the log.
    let entry = match sent.protocol {
        Protocol::Consent => entry,
        Protocol::Negotiation | Protocol::Transfer => entry.with("process", sent.pid.as_str()),
    };
    let Some(reply) = outcome.reply() else { return entry };
    let entry = entry
        .with("status", reply.about.status)
        .of("answer", &jose::sha256(&reply.body));
    match (&reply.about.signature, &reply.about.answer_signature) {
        (Some(ours), Some(theirs)) => entry
            .of("signature", &jose::sha256(ours.as_bytes()))
            .of("answerSignature", &jose::sha256(theirs.as_bytes())),
        _ => entry.with("signed", false),
    }
}

fn index_key(peer: &ParticipantId, role: Role, theirs: &Pid) -> Vec<u8> {
    jose::sha256(format!("{peer}\0{role}\0{theirs}").as_bytes())
        .as_bytes()
        .to_vec()
}
