//! Opening and ending the provider's streams: from a token to a running pipeline, and what it released.

use super::{
    TransferError, TransferRecord, Transfers, hours::Hours, question::Wanted, refused::Asking, releases::Sought,
    usage::Limits,
};
use crate::{
    audit::{Entry, Kind as Recorded},
    catalog::{Dataset, Shape, SourceSpec, shape},
    consent::{Index, Occurrence, Question, exchange::Disclosure},
    contract::StoredAgreement,
    dsp::{
        Pid, Role,
        message::{DataAddress, ENDPOINT_TYPE_HTTP, ENDPOINT_TYPE_HTTP_DATA},
        transfer::State,
    },
    jose::{Digest, Signer, sha256},
    plane::{
        PlaneError, Rules, Telling, outgoing,
        pipeline::{Content, Pipeline},
        release::{Reading, named},
    },
    process::{ProcessError, Verdict},
    trust::membership::held,
};
use policy::{Action, Code, Plan, Reason, Timestamp};
use serde_json::json;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use url::Url;

/// What a stream is opened with, and what is noted of it.
struct Ruled {
    rules: Rules,
    limits: Limits,
    due: Vec<Disclosure>,
    /// What was withheld from the release that it carries.
    withheld: BTreeMap<String, u64>,
}

/// How long after it could not be written the end of a stream is tried again.
const AGAIN: Duration = Duration::from_millis(20);

impl Transfers {
    /// Where the data of a transfer are fetched from us or sent to us, with a new token; the old one is good no more.
    pub(super) fn data_address(&self, record: &mut TransferRecord, now: Timestamp) -> DataAddress {
        record.token_serial += 1;
        let expires = now.plus(self.parts.token_lifetime);
        let token = self
            .parts
            .keys
            .tokens
            .make(&record.core.pid, record.token_serial, expires);
        let root = self.parts.root.as_str().trim_end_matches('/');
        let endpoint_type = if record.is_push() {
            ENDPOINT_TYPE_HTTP_DATA
        } else {
            ENDPOINT_TYPE_HTTP
        };
        DataAddress {
            endpoint_type: endpoint_type.to_owned(),
            endpoint: Url::parse(&format!("{root}/data/{}", record.core.pid)).ok(),
            authorization: Some(token),
        }
    }

    /// Opens the stream of a transfer for whoever holds its token.
    pub async fn stream(
        self: &Arc<Self>,
        pid: &Pid,
        token: &str,
        cursor: Option<&str>,
        reset: CancellationToken,
        now: Timestamp,
    ) -> Result<outgoing::Outgoing, TransferError> {
        let (record, _) = self.ledger.load(pid).await?.ok_or(TransferError::Token)?;
        if record.core.role != Role::Provider
            || record.is_push()
            || !self.parts.keys.tokens.verify(token, pid, record.token_serial, now)
        {
            return Err(TransferError::Token);
        }
        if record.core.position.is_terminal() {
            return Err(TransferError::Ended);
        }
        // The consumer's acknowledgement of our start may still be on its way: its coming here is one (R3).
        if record.core.position.intended(Role::Provider) != Some(State::Started) {
            return Err(TransferError::NotStarted);
        }
        match self.open_stream(&record, cursor, reset, now).await {
            Ok((body, _)) => Ok(body),
            Err(error) => {
                if let TransferError::Release(why) = &error
                    && why.is_final()
                {
                    self.end_refused(pid, why, now).await;
                }
                // No more often than streams may be opened: a receiver that asks without end would fill the log.
                if error.reasons().is_empty() || !self.openings.take(pid.clone(), now) {
                    return Err(error);
                }
                let asked = Asking {
                    peer: &record.core.peer,
                    agreement: &record.agreement,
                    process: Some(pid),
                    spent: None,
                };
                Err(self.refused(asked, error, now).await)
            }
        }
    }

    /// Opens the stream of a transfer; the handle ends when what it released is recorded. `reset` cuts the connection that carries it.
    pub(super) async fn open_stream(
        self: &Arc<Self>,
        record: &TransferRecord,
        cursor: Option<&str>,
        reset: CancellationToken,
        now: Timestamp,
    ) -> Result<(outgoing::Outgoing, JoinHandle<()>), TransferError> {
        let pid = &record.core.pid;
        // First: to make a stream ready may mean to read the whole source.
        if !self.openings.take(pid.clone(), now) {
            return Err(TransferError::TooOften);
        }
        let stored = self.agreement(&record.agreement, Role::Provider).await?;
        // An agreement has no force while its consumer is not one that we talk to.
        self.parts.trust.meet(&stored.consumer, now).await?;
        let claims = self.claims.note(pid, &self.parts.trust.party(&stored.consumer, now));
        let wanted = Wanted::by(record, cursor);
        let ruled = self.rules(record, wanted, cursor.is_some(), &stored, now).await?;
        let Ruled {
            rules,
            limits,
            due,
            withheld,
        } = ruled;
        let rules = Arc::new(rules);
        let pipeline = read_from(rules.clone(), cursor).await?;
        let entry = Entry::new(Recorded::StreamOpened)
            .with("process", pid.as_str())
            .with("peer", record.core.peer.as_str())
            .with("agreement", record.agreement.as_str())
            .with("from", pipeline.state().sent);
        let begins = (&entry, due.as_slice());
        let piece = self.usage.open(wanted.of(&stored.id), limits, begins, now).await?;
        let hours = Hours {
            pid: pid.clone(),
            format: record.format.clone(),
            agreement: stored.id,
            until: rules.plan.valid_until,
            limits,
            piece,
        };
        let (body, ended) = self.set_going(hours, (&rules, withheld), pipeline, reset);
        // Whoever stopped the transfer while all this was made ready found no gate to close. Now there is one, and the question is asked
        // again; the body that is dropped here lets nothing out.
        if self.may_flow(record, &claims).await? {
            return Ok((body, ended));
        }
        if let Some((record, _)) = self.ledger.load(&record.core.pid).await? {
            self.drop_release_if_over(&record).await;
        }
        Err(TransferError::NotStarted)
    }

    /// Starts a stream that was made ready, with what watches its time and what records its end.
    fn set_going(
        self: &Arc<Self>,
        hours: Hours,
        (rules, withheld): (&Rules, BTreeMap<String, u64>),
        pipeline: Pipeline,
        reset: CancellationToken,
    ) -> (outgoing::Outgoing, JoinHandle<()>) {
        let (pid, telling) = (hours.pid.clone(), rules.telling.clone());
        let gate = Arc::new(rules.gate(pipeline.state().sent, reset));
        let (body, report) = outgoing::start(
            pid.clone(),
            self.parts.consents.index().clone(),
            gate.clone(),
            pipeline,
            self.parts.stream_bytes_per_second,
        );
        let (over, is_over) = oneshot::channel::<()>();
        let watched = async { is_over.await.unwrap_or_default() };
        self.ends.spawn(self.clone().watch(hours, gate, watched));
        let service = self.clone();
        let ended = self.ends.spawn(async move {
            let _over = over;
            if let Ok(report) = report.await {
                service.record_end(&pid, &report, (telling.as_deref(), &withheld)).await;
            }
        });
        (body, ended)
    }

    /// Whether the transfer is still what it was when its stream was asked for: started, not started anew since, with a peer that is one
    /// and of whom the same is verified.
    async fn may_flow(&self, asked: &TransferRecord, claims: &Digest) -> Result<bool, TransferError> {
        let (pid, peer) = (&asked.core.pid, &asked.core.peer);
        let (record, _) = self.ledger.load(pid).await?.ok_or(ProcessError::NotFound)?;
        let (trust, now) = (&self.parts.trust, (self.parts.clock)());
        Ok(record.core.position.intended(Role::Provider) == Some(State::Started)
            && record.token_serial == asked.token_serial
            && trust.known(peer, now).is_some()
            && held::digest(&trust.party(peer, now).claims) == *claims)
    }

    async fn rules(
        &self,
        record: &TransferRecord,
        wanted: Wanted<'_>,
        taken_up: bool,
        stored: &StoredAgreement,
        now: Timestamp,
    ) -> Result<Ruled, TransferError> {
        let (plan, limits) = self.plan(wanted, stored, now).await?;
        // Before a release is made, which would be noted as something that the recipient has.
        let due = self.due(record, stored, &plan, now).await?;
        let (_, dataset) = self.agreed(stored).await?;
        let index = self.parts.consents.index().clone();
        let reading = self.usage.reading(wanted.of(&stored.id), now).await?;
        let occurrence = Occurrence::new(&record.core.pid, reading);
        let (question, shape) = asks(&index, stored, &dataset, &plan)?;
        let sought = Sought {
            occurrence,
            record,
            dataset: &dataset,
            terms: terms(&dataset, &plan),
            taken_up,
            now,
        };
        let (path, content, withheld) = self
            .content(sought, plan.action, |path| Reading {
                names: self.releases.names(&path, &stored.consumer),
                path,
                shape: shape.clone(),
                question: question.clone(),
                index: index.clone(),
                occurrence,
                now,
            })
            .await?;
        let telling = self.telling(record, content, &path, now).await?;
        let rules = Rules {
            transfer: record.core.pid.clone(),
            agreement: stored.id.clone(),
            dataset: dataset.id,
            path,
            content,
            shape,
            question,
            index,
            recipient: stored.consumer.clone(),
            pseudonyms: Arc::new(self.parts.consents.pseudonyms().towards(&stored.consumer)),
            deliveries: self.parts.deliveries.clone(),
            occurrences: self.parts.consents.occurrences().clone(),
            occurrence,
            signer: self.signer(),
            cursors: self.parts.keys.cursors.clone(),
            plan,
            telling,
            clock: self.parts.clock,
        };
        Ok(Ruled {
            rules,
            limits,
            due,
            withheld,
        })
    }

    /// What the end line of a transfer tells. A release was decided as a whole: its stream withholds nothing.
    async fn telling(
        &self,
        record: &TransferRecord,
        content: Content,
        path: &Path,
        now: Timestamp,
    ) -> Result<Option<Arc<Telling>>, TransferError> {
        if content != Content::Records {
            return Ok(None);
        }
        let (store, core) = (self.parts.log.store().clone(), &record.core);
        let telling = Telling::open(store, &core.peer, path, &core.pid, now).await?;
        Ok(Some(Arc::new(telling)))
    }

    /// What is read: the dataset's own records, or the release that takes their place. An agreement about groups never opens records, and a
    /// dataset that declares a release opens nothing else. With it comes what was withheld from a release.
    async fn content(
        &self,
        sought: Sought<'_>,
        permitted: Action,
        reading: impl Fn(PathBuf) -> Reading,
    ) -> Result<(PathBuf, Content, BTreeMap<String, u64>), TransferError> {
        let SourceSpec::File { path } = &sought.dataset.source;
        match (&sought.dataset.release, permitted) {
            (None, Action::Use) => Ok((path.clone(), Content::Records, BTreeMap::new())),
            (None, _) => {
                let text = "the agreement permits groups alone, and the dataset declares no table of them";
                let reason = Reason::new(Code::NoPermission, "", text);
                Err(TransferError::NotPermitted(vec![reason]))
            }
            (Some(spec), _) => {
                let source = tokio::fs::canonicalize(path).await.map_err(PlaneError::Source)?;
                let ready = self.release(sought, spec, || reading(source.clone())).await?;
                let only_under = ready.only_under;
                Ok((ready.path, Content::Released { only_under }, ready.withheld))
            }
        }
    }

    pub(super) fn signer(&self) -> Arc<Signer> {
        self.parts.trust.signer()
    }

    /// Ends all outgoing streams; their receivers take them up again by cursor. Returns when what they released is recorded.
    pub async fn stop_streams(&self) {
        self.parts.consents.index().stop_all();
        self.ends.close();
        self.ends.wait().await;
    }

    /// Records the end of a stream, however often somebody else is quicker. What is left are failures that no attempt mends: a store that failed
    /// takes nothing until the next start, nor does the daemon acknowledge anything; the log then has the stream's opening alone.
    async fn record_end(
        &self,
        pid: &Pid,
        report: &outgoing::Report,
        (telling, of_release): (Option<&Telling>, &BTreeMap<String, u64>),
    ) {
        // Each record of a stream is decided as it is read; those of a release were when it was made.
        let mut withheld = named(&report.release.withheld());
        withheld.extend(of_release.clone());
        loop {
            match self.released(pid, report, telling, &withheld).await {
                Ok(()) => return,
                Err(TransferError::Process(ProcessError::Busy)) => tokio::time::sleep(AGAIN).await,
                Err(error) => {
                    return tracing::error!(%pid, %error, "what a stream released could not be recorded");
                }
            }
        }
    }

    /// Records what a stream released and told, complete or broken off.
    async fn released(
        &self,
        pid: &Pid,
        report: &outgoing::Report,
        telling: Option<&Telling>,
        withheld: &BTreeMap<String, u64>,
    ) -> Result<(), TransferError> {
        let now = (self.parts.clock)();
        let told = telling.and_then(Telling::told).filter(|_| report.complete);
        let entry = Entry::new(Recorded::Release)
            .with("process", pid.as_str())
            .with("sent", report.sent)
            .with("complete", report.complete)
            .with("withheld", json!(withheld))
            .with("fieldsRemoved", report.release.fields_removed())
            .of("root", &report.root);
        let entry = match told {
            Some(told) => entry.with("told", told),
            None => entry,
        };
        self.ledger
            .change(
                pid,
                now,
                |record: &mut TransferRecord, turn| -> Result<(), TransferError> {
                    // A stream of which nothing left says nothing about those before it.
                    if report.framing.begin.is_some() {
                        record.released(report, withheld);
                    }
                    record.told = told.or(record.told);
                    let framing = report.framing.clone();
                    let lines = [("begin", framing.begin), ("end", framing.end)];
                    let entry = record.keep_lines(turn, lines, entry.clone(), now);
                    turn.record(entry);
                    Ok(())
                },
            )
            .await?;
        Ok(())
    }
}

/// The source, at its beginning or where a cursor says.
async fn read_from(rules: Arc<Rules>, cursor: Option<&str>) -> Result<Pipeline, PlaneError> {
    let cursor = cursor.map(str::to_owned);
    tokio::task::spawn_blocking(move || Pipeline::open(rules, cursor.as_deref()))
        .await
        .map_err(|_| PlaneError::Incomplete)?
}

/// What the index is asked about each record of a dataset, and where in a record what it is asked about is found.
fn asks(
    index: &Index,
    stored: &StoredAgreement,
    dataset: &Dataset,
    plan: &Plan,
) -> Result<(Question, Shape), TransferError> {
    let unusable = |error: &dyn std::fmt::Display| TransferError::Invalid(error.to_string());
    let question = index.question(
        (&stored.consumer, &stored.id),
        &plan.purposes,
        &dataset.id,
        dataset.categories.keys(),
        |record| plan.permits(record),
    );
    let mut question = question.map_err(|error| unusable(&error))?;
    let covers = index.number_fields(&mut question, &dataset.categories);
    let covers = covers.map_err(|error| unusable(&error))?;
    let shape = shape::shape(&dataset.subject, &dataset.categories, |_, pointer| {
        covers.get(pointer).copied()
    });
    Ok((question, shape.map_err(|error| unusable(&error))?))
}

/// What a release is made under besides consents: how and of what it is made, and what its agreement says now, of each record that there can
/// be as well.
pub(super) fn terms(dataset: &Dataset, plan: &Plan) -> Digest {
    let of = json!([dataset.release, dataset.source, dataset.subject, dataset.categories]);
    let under = json!([plan.action, plan.purposes, plan.answers()]);
    sha256(format!("{of}{under}").as_bytes())
}
