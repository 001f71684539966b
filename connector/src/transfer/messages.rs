//! What peers send: a consumer's request, or a message that takes a step of a transfer.

use super::{RECEIPT_HEADER, TransferError, TransferRecord, Transfers, question::Wanted, refused::Asking};
use crate::{
    catalog::Mode,
    contract::StoredAgreement,
    dsp::{
        AgreementId, MessageError, ParticipantId, Pid, Role,
        message::{DataAddress, Received, TransferMessage},
        transfer::{State, Transfer},
    },
    jose, net,
    process::{Answer, Core, Incoming, Turn},
    trust::{Peer, Verified, did::Document},
};
use policy::Timestamp;
use serde_json::Value;

/// A verified request to us, with the header that belongs to a completion.
pub struct Call<'a> {
    /// The message with the proof of its sender.
    pub message: &'a Verified<Received<TransferMessage>>,
    /// The receipt, if one came along.
    pub receipt: Option<&'a str>,
    /// The address that it was sent to, as we advertise it.
    pub url: &'a str,
}

impl Transfers {
    /// A consumer's request. A repetition of its `consumerPid` is the same process (DSP 2025-1 §9.2).
    pub async fn open(&self, call: Call<'_>, now: Timestamp) -> Result<Answer, TransferError> {
        let received = call.message.value();
        let TransferMessage::Request {
            agreement,
            format,
            callback,
            data_address,
        } = &received.message
        else {
            return Err(TransferError::Invalid(
                "only a TransferRequestMessage opens a transfer".into(),
            ));
        };
        let sender = call.message.sender();
        let theirs = received.pids.consumer.as_ref();
        let theirs = theirs.ok_or(MessageError::Missing("consumerPid"))?;
        let incoming = incoming(&call, Some(theirs), now);
        if let Some(pid) = self.ledger.find(&sender.did, Role::Provider, theirs).await? {
            return self.asked_before(&pid, &incoming).await;
        }
        net::guard::check(callback, sender.reach).map_err(|why| TransferError::Callback(why.to_string()))?;
        let pid = Pid::from_uuid(jose::uuid(now).map_err(jose::JoseError::from)?);
        let asked = Asking {
            peer: &sender.did,
            agreement,
            process: None,
            spent: Some(&incoming.spent),
        };
        let (stored, held) = match self.asked_for(&pid, agreement, format, &sender.did, now).await {
            Ok(found) => found,
            Err(error) => return Err(self.refused(asked, error, now).await),
        };
        let mut core = Core::new(pid, sender.did.clone(), Role::Provider, callback.clone(), now);
        core.opened_by(&incoming)?;
        let mut record = TransferRecord::new(core, &stored, format, held);
        destination(&mut record, data_address.as_ref(), sender)?;
        let answer = Answer::opened(&record.core);
        let mut turn = Turn::default();
        if !held {
            let start = self.start_message(&mut record, now);
            record.send(&mut turn, &start, Vec::new(), now)?;
        }
        self.ledger.admit(&record, &incoming, &answer, turn, now).await?;
        Ok(answer)
    }

    /// The request has opened this process already.
    async fn asked_before(&self, pid: &Pid, incoming: &Incoming<'_, Transfer>) -> Result<Answer, TransferError> {
        let record = self.ledger.of_peer(pid, incoming.sender).await?;
        if let Some(answer) = self.ledger.opened(pid, incoming).await? {
            return Ok(answer);
        }
        self.ledger.spend(&incoming.spent).await?;
        Ok(Answer::opened(&record.core))
    }

    /// The agreement under which this consumer may have the data in this format now, and whether the operator decides about the start.
    async fn asked_for(
        &self,
        pid: &Pid,
        agreement: &AgreementId,
        format: &str,
        consumer: &ParticipantId,
        now: Timestamp,
    ) -> Result<(StoredAgreement, bool), TransferError> {
        let stored = self.agreement(agreement, Role::Provider).await?;
        if stored.consumer != *consumer {
            return Err(TransferError::UnknownAgreement(agreement.to_string()));
        }
        let wanted = Wanted {
            pid,
            format,
            again: false,
        };
        self.plan(wanted, &stored, now).await?;
        let dataset = self.parts.catalog.get(&stored.dataset).await?;
        let dataset = dataset.ok_or(TransferError::UnknownDataset)?;
        if !dataset.formats().contains(&format) {
            return Err(TransferError::UnknownFormat(format.chars().take(80).collect()));
        }
        let held = dataset.decisions.over(self.parts.decisions).transfers == Mode::Manual;
        Ok((stored, held))
    }

    /// Any later message, addressed to our process id.
    pub async fn receive(&self, pid: &Pid, call: Call<'_>, now: Timestamp) -> Result<Answer, TransferError> {
        let received = call.message.value();
        let record = self.ledger.of_peer(pid, &call.message.sender().did).await?;
        let (mine, theirs) = received.pids.seen_by(record.core.role);
        if mine != Some(pid) {
            return Err(MessageError::PidMismatch.into());
        }
        let mut incoming = incoming(&call, theirs, now);
        if matches!(received.message, TransferMessage::Start { .. }) && call.message.signed_with().is_none() {
            incoming.renews_in = Some(State::Started);
        }
        let keys = match call.receipt {
            Some(_) => self.parts.trust.keys_of(call.message.sender(), now).await.ok(),
            None => None,
        };
        let (record, answer) = self
            .ledger
            .receive(pid, incoming, now, |record: &mut TransferRecord, turn| {
                self.take(record, turn, &call, keys.as_deref(), now)
            })
            .await?;
        match record.core.position.state {
            Some(State::Started) => self.go_on(&record),
            _ => {
                self.halt(&record);
                self.drop_release_if_over(&record).await;
            }
        }
        Ok(answer)
    }

    fn take(
        &self,
        record: &mut TransferRecord,
        turn: &mut Turn,
        call: &Call<'_>,
        keys: Option<&Document>,
        now: Timestamp,
    ) -> Result<Option<Value>, TransferError> {
        match (&call.message.value().message, record.core.role) {
            (TransferMessage::Request { .. }, _) => Err(TransferError::Invalid("the transfer exists already".into())),
            (TransferMessage::Start { data_address }, Role::Consumer) => {
                match data_address {
                    _ if record.is_push() => {}
                    Some(address) => record.take_address(address)?,
                    None if record.data_address.is_some() => {}
                    None => return Err(MessageError::Missing("dataAddress").into()),
                }
                Ok(None)
            }
            // The consumer goes on; a fresh token travels in our answer, whose body the protocol leaves to us.
            (TransferMessage::Start { .. }, Role::Provider) if record.is_push() => Ok(None),
            // EDC reads no answer and waits for a start of the provider's with the new address. It takes no step: nothing hangs on it.
            (TransferMessage::Start { .. }, Role::Provider) if call.message.signed_with().is_none() => {
                let message = self.start_message(record, now);
                record.remind(turn, &message, now)?;
                Ok(None)
            }
            (TransferMessage::Start { .. }, Role::Provider) => Ok(Some(self.data_address(record, now).write())),
            (TransferMessage::Suspension(why), _) => {
                record.core.explanation = Some(why.clone());
                Ok(None)
            }
            (TransferMessage::Termination(why), _) => {
                record.core.explanation = Some(why.clone());
                Ok(None)
            }
            (TransferMessage::Completion, _) => {
                if let Some(receipt) = call.receipt {
                    let digest = record.take_receipt(receipt, keys)?;
                    record.record_receipt(turn, receipt, &digest, now);
                }
                Ok(None)
            }
        }
    }
}

/// A push names where it goes, a pull must not (DSP 2025-1 §9.2.1). The place is one that we would contact for this peer.
fn destination(record: &mut TransferRecord, address: Option<&DataAddress>, sender: &Peer) -> Result<(), TransferError> {
    match (record.is_push(), address) {
        (false, None) => Ok(()),
        (false, Some(_)) => Err(TransferError::Invalid(
            "a pull takes no dataAddress in its request".into(),
        )),
        (true, None) => Err(MessageError::Missing("dataAddress").into()),
        (true, Some(address)) => {
            record.take_address(address)?;
            let place = address.endpoint.as_ref().ok_or(MessageError::Missing("dataAddress"))?;
            net::guard::check(place, sender.reach).map_err(|why| TransferError::Invalid(format!("dataAddress: {why}")))
        }
    }
}

fn incoming<'a>(call: &Call<'a>, peer_pid: Option<&'a Pid>, now: Timestamp) -> Incoming<'a, Transfer> {
    let message = &call.message.value().message;
    let taken = (message.step(), message.type_name());
    let headers = [(RECEIPT_HEADER, call.receipt)];
    Incoming::of(call.message, taken, peer_pid, call.url, &headers, now)
}
