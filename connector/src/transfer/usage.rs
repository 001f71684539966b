//! How much of an agreement was used: transfers and the time that streams were open. What is counted is reserved in a commit before the use
//! and what is left over is given back after it, so that a crash never lets more be used than was agreed.

use super::TransferError;
use crate::{
    audit::{Entry, Log},
    consent::exchange::{Disclosure, Disclosures},
    dsp::{AgreementId, Pid},
    jose,
    process::{decode, encode},
    store::{Batch, Guard, StoreError, Table, Version},
};
use policy::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};

/// What was used of each agreement.
const USED: Table = Table(70);
/// Which of an agreement's transfers has been counted, and as which.
const COUNTED: Table = Table(71);
/// Open time is reserved in pieces of this length: what a crash can cost.
const PIECE: Duration = Duration::from_secs(60);
/// How often a change is decided again because another stream was quicker.
const ATTEMPTS: usize = 64;
/// Within this time after it was counted, a transfer may be read from the beginning without being counted again: what was sent may not have
/// arrived. Later, that is another use.
const MEND: Duration = Duration::from_secs(3600);

/// One use of an agreement.
#[derive(Clone, Copy)]
pub(super) struct Use<'a> {
    pub(super) agreement: &'a AgreementId,
    pub(super) pid: &'a Pid,
    /// It reads from the beginning, and may have all of it already.
    pub(super) again: bool,
}

/// What was used of one agreement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Used {
    transfers: u64,
    open_millis: u64,
    last_transfer: Option<Timestamp>,
}

/// One transfer that has been counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    number: u64,
    /// When the one before it began.
    previous: Option<Timestamp>,
    /// When it was counted.
    since: Timestamp,
    /// How often it has been counted: once, and once more for each time that it was read anew later than it could be mended.
    times: u32,
}

impl Counted {
    /// It is this place that a use has, not a new one.
    fn is_of(&self, one: Use<'_>, now: Timestamp) -> bool {
        !one.again || now <= self.since.plus(MEND)
    }
}

/// What an agreement leaves to use, as the plan has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// How many transfers there may ever be.
    pub(super) transfers: Option<u64>,
    /// How long all streams together may be open.
    pub(super) open: Option<Duration>,
    /// What was used before when the plan was made, where the plan depends on it.
    pub(super) after: Option<policy::Usage>,
}

impl Limits {
    /// Nobody else used the agreement since the plan was made, or the plan would be the same.
    fn are_current(&self, before: &policy::Usage) -> bool {
        self.after
            .as_ref()
            .is_none_or(|after| (after.transfers, after.last_transfer) == (before.transfers, before.last_transfer))
    }
}

/// Counts for all agreements of one connector.
pub(super) struct Usage {
    log: Arc<Log>,
    disclosures: Arc<Disclosures>,
}

impl Usage {
    pub(super) fn new(log: Arc<Log>, disclosures: Arc<Disclosures>) -> Self {
        Self { log, disclosures }
    }

    /// What was used of an agreement apart from this use's own place in the count.
    pub(super) async fn before(&self, one: Use<'_>, now: Timestamp) -> Result<policy::Usage, StoreError> {
        let (used, _) = self.read::<Used>(USED, &key(one.agreement, None)).await?;
        let (counted, _) = self
            .read::<Counted>(COUNTED, &key(one.agreement, Some(one.pid)))
            .await?;
        let counted = counted.filter(|counted| counted.is_of(one, now));
        Ok(used.unwrap_or_default().before(counted.as_ref()))
    }

    /// Which reading of its transfer this use is: 1 for the first, and one more for each that is counted as another use.
    pub(super) async fn reading(&self, one: Use<'_>, now: Timestamp) -> Result<u32, StoreError> {
        let place = key(one.agreement, Some(one.pid));
        let (counted, _) = self.read::<Counted>(COUNTED, &place).await?;
        Ok(match counted {
            Some(counted) if counted.is_of(one, now) => counted.times,
            Some(counted) => counted.times.saturating_add(1),
            None => 1,
        })
    }

    /// Takes a transfer's place in the count, unless it has one, and a first piece of open time where that is limited; both in the commit of
    /// `entry`. Where it takes a place, what is `due` to be told of that is queued in it too. Returns the piece.
    pub(super) async fn open(
        &self,
        one: Use<'_>,
        limits: Limits,
        (entry, due): (&Entry, &[Disclosure]),
        now: Timestamp,
    ) -> Result<Option<Duration>, TransferError> {
        let place = key(one.agreement, Some(one.pid));
        for _ in 0..ATTEMPTS {
            let (used, version) = self.read::<Used>(USED, &key(one.agreement, None)).await?;
            let (counted, _) = self.read::<Counted>(COUNTED, &place).await?;
            let times = counted.as_ref().map_or(0, |counted| counted.times);
            let counted = counted.filter(|counted| counted.is_of(one, now));
            let (mut used, mut batch, mut told) = (used.unwrap_or_default(), Batch::new(), Vec::new());
            if !limits.are_current(&used.before(counted.as_ref())) {
                // What the plan says was decided about another past: whoever asks again has it decided about this one.
                return Err(crate::process::ProcessError::Busy.into());
            }
            if counted.is_none() {
                if limits.transfers.is_some_and(|most| used.transfers >= most) {
                    return Err(TransferError::UsedUp(
                        "all transfers that the agreement allows were made",
                    ));
                }
                used.transfers += 1;
                let counted = Counted {
                    number: used.transfers,
                    previous: used.last_transfer.replace(now),
                    since: now,
                    times: times.saturating_add(1),
                };
                // Whoever counts this transfer at the same time changes what was used as well, and one of the two decides again.
                batch.put(COUNTED, place.clone(), encode(&counted)?);
                let put = |one| self.disclosures.put(&mut batch, one, now);
                told = due.iter().map(put).collect::<Result<_, _>>()?;
            }
            let piece = limits.open.map(|most| used.reserve(most)).transpose()?;
            write(&mut batch, one.agreement, &used, version)?;
            match self.log.commit(batch, entry.clone(), told, now).await {
                Ok(_) => {
                    self.disclosures.wake(due);
                    return Ok(piece);
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(crate::process::ProcessError::Busy.into())
    }

    /// Reserves one more piece of open time.
    pub(super) async fn go_on(&self, agreement: &AgreementId, most: Duration) -> Result<Duration, TransferError> {
        self.change(agreement, |used| used.reserve(most)).await
    }

    /// Gives back what was reserved and not used.
    pub(super) async fn give_back(&self, agreement: &AgreementId, unused: Duration) -> Result<(), TransferError> {
        self.change(agreement, |used| {
            used.open_millis = used.open_millis.saturating_sub(millis(unused));
            Ok(())
        })
        .await
    }

    async fn change<T>(
        &self,
        agreement: &AgreementId,
        change: impl Fn(&mut Used) -> Result<T, TransferError>,
    ) -> Result<T, TransferError> {
        for _ in 0..ATTEMPTS {
            let (used, version) = self.read::<Used>(USED, &key(agreement, None)).await?;
            let (mut used, mut batch) = (used.unwrap_or_default(), Batch::new());
            let changed = change(&mut used)?;
            write(&mut batch, agreement, &used, version)?;
            match self.log.store().commit(batch).await {
                Ok(_) => return Ok(changed),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(crate::process::ProcessError::Busy.into())
    }

    async fn read<T: DeserializeOwned>(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<(Option<T>, Option<Version>), StoreError> {
        let Some(item) = self.log.store().get(table, key).await? else {
            return Ok((None, None));
        };
        Ok((Some(decode(&item.value)?), Some(item.version)))
    }
}

impl Used {
    /// What was used apart from this place in the count.
    fn before(&self, counted: Option<&Counted>) -> policy::Usage {
        let (transfers, last_transfer) = match counted {
            Some(counted) => (counted.number.saturating_sub(1), counted.previous),
            None => (self.transfers, self.last_transfer),
        };
        policy::Usage {
            transfers,
            metered: Duration::from_millis(self.open_millis),
            last_transfer,
        }
    }

    fn reserve(&mut self, most: Duration) -> Result<Duration, TransferError> {
        let left = millis(most).saturating_sub(self.open_millis).min(millis(PIECE));
        if left == 0 {
            return Err(TransferError::UsedUp("all the time that the agreement allows was used"));
        }
        self.open_millis += left;
        Ok(Duration::from_millis(left))
    }
}

fn write(batch: &mut Batch, agreement: &AgreementId, used: &Used, version: Option<Version>) -> Result<(), StoreError> {
    let key = key(agreement, None);
    batch.require(USED, key.clone(), version.map_or(Guard::Absent, Guard::At));
    batch.put(USED, key, encode(used)?);
    Ok(())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Ids of peers are up to 512 bytes long; their hashes are short.
fn key(agreement: &AgreementId, pid: Option<&Pid>) -> Vec<u8> {
    let mut key = jose::sha256(agreement.as_str().as_bytes()).as_bytes().to_vec();
    if let Some(pid) = pid {
        key.extend_from_slice(jose::sha256(pid.as_str().as_bytes()).as_bytes());
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Kind, LogSigner},
        consent::exchange::Post,
        jose::HmacKey,
        store::{MemoryStore, Store},
    };

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_767_225_600)
    }

    async fn counts(store: &Arc<MemoryStore>) -> Usage {
        let signer = LogSigner::of("https://lycee.example", &HmacKey::new(&[4; 32])).unwrap();
        let log = Arc::new(Log::new(store.clone() as Arc<dyn Store>, signer));
        let post = Arc::new(Post::load(&**store, Arc::default()).await.unwrap());
        let me = "did:web:lycee.example".parse().unwrap();
        let disclosures = Disclosures::load(log.clone(), me, post).await.unwrap();
        Usage::new(log, Arc::new(disclosures))
    }

    fn agreement() -> AgreementId {
        "urn:uuid:agreement".parse().unwrap()
    }

    fn transfer(number: usize) -> Pid {
        format!("urn:uuid:{number}").parse().unwrap()
    }

    async fn open(usage: &Usage, number: usize, limits: Limits) -> Result<Option<Duration>, TransferError> {
        opened(usage, number, false, limits, now()).await
    }

    async fn reading(usage: &Usage, again: bool, now: Timestamp) -> u32 {
        let one = Use {
            agreement: &agreement(),
            pid: &transfer(1),
            again,
        };
        usage.reading(one, now).await.unwrap()
    }

    async fn opened(
        usage: &Usage,
        number: usize,
        again: bool,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Option<Duration>, TransferError> {
        let one = Use {
            agreement: &agreement(),
            pid: &transfer(number),
            again,
        };
        let entry = Entry::new(Kind::StreamOpened);
        usage.open(one, limits, (&entry, &[]), now).await
    }

    async fn before(usage: &Usage, number: usize) -> policy::Usage {
        let one = Use {
            agreement: &agreement(),
            pid: &transfer(number),
            again: false,
        };
        usage.before(one, now()).await.unwrap()
    }

    #[tokio::test]
    async fn a_transfer_that_is_read_anew_later_is_another_use() {
        let usage = counts(&Arc::default()).await;
        let limits = Limits {
            transfers: Some(2),
            ..Limits::default()
        };
        let later = now().plus(MEND + Duration::from_millis(1));
        opened(&usage, 1, false, limits, now()).await.unwrap();
        // Taken up where it broke off, or read anew while it may be mended: the same use.
        opened(&usage, 1, false, limits, later).await.unwrap();
        opened(&usage, 1, true, limits, now().plus(MEND)).await.unwrap();
        assert_eq!(before(&usage, 2).await.transfers, 1);
        assert_eq!(
            [reading(&usage, false, later).await, reading(&usage, true, now()).await],
            [1, 1]
        );
        assert_eq!(reading(&usage, true, later).await, 2);
        opened(&usage, 1, true, limits, later).await.unwrap();
        assert_eq!(reading(&usage, false, later.plus(MEND * 9)).await, 2);
        assert_eq!(before(&usage, 2).await.transfers, 2);
        // That one has its own time to mend, and after it there is none left.
        opened(&usage, 1, true, limits, later.plus(MEND)).await.unwrap();
        let third = opened(&usage, 1, true, limits, later.plus(MEND * 2)).await;
        assert!(matches!(third, Err(TransferError::UsedUp(_))));
        assert_eq!(before(&usage, 2).await.transfers, 2);
    }

    #[tokio::test]
    async fn a_plan_that_was_made_after_another_past_opens_nothing() {
        let usage = counts(&Arc::default()).await;
        let made_after = before(&usage, 1).await;
        let limits = Limits {
            after: Some(made_after),
            ..Limits::default()
        };
        open(&usage, 2, Limits::default()).await.unwrap();
        assert!(open(&usage, 1, limits).await.is_err());
        let anew = Limits {
            after: Some(before(&usage, 1).await),
            ..Limits::default()
        };
        open(&usage, 1, anew).await.unwrap();
        // Its own place is no past of its own.
        open(&usage, 1, anew).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn as_many_transfers_as_agreed_are_opened_however_many_ask_at_once() {
        let usage = Arc::new(counts(&Arc::default()).await);
        let limits = Limits {
            transfers: Some(5),
            ..Limits::default()
        };
        let asked: Vec<_> = (0..32)
            .map(|number| {
                let usage = usage.clone();
                tokio::spawn(async move { open(&usage, number, limits).await.is_ok() })
            })
            .collect();
        let mut opened = Vec::new();
        for (number, one) in asked.into_iter().enumerate() {
            if one.await.unwrap() {
                opened.push(number);
            }
        }
        assert_eq!(opened.len(), 5);
        // One that has its place is opened again, as often as it likes; the others stay outside.
        for number in 0..32 {
            assert_eq!(open(&usage, number, limits).await.is_ok(), opened.contains(&number));
        }
        let all = before(&usage, 99).await;
        assert_eq!((all.transfers, all.last_transfer), (5, Some(now())));
        let mut places = Vec::new();
        for number in opened {
            places.push(before(&usage, number).await.transfers);
        }
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn open_time_is_taken_before_it_is_used_and_what_is_over_is_given_back() {
        let store = Arc::<MemoryStore>::default();
        let usage = counts(&store).await;
        let most = Duration::from_secs(100);
        let limits = Limits {
            open: Some(most),
            ..Limits::default()
        };
        assert_eq!(open(&usage, 1, limits).await.unwrap(), Some(PIECE));
        // A crash here: another start over the same store finds the piece taken.
        let usage = counts(&store).await;
        assert_eq!(open(&usage, 2, limits).await.unwrap(), Some(most - PIECE));
        assert!(matches!(open(&usage, 3, limits).await, Err(TransferError::UsedUp(_))));
        assert!(matches!(
            usage.go_on(&agreement(), most).await,
            Err(TransferError::UsedUp(_))
        ));
        usage.give_back(&agreement(), Duration::from_secs(10)).await.unwrap();
        assert_eq!(usage.go_on(&agreement(), most).await.unwrap(), Duration::from_secs(10));
        let all = before(&usage, 3).await;
        // The third was refused, so it has no place in the count.
        assert_eq!((all.metered, all.transfers), (most, 2));
    }
}
