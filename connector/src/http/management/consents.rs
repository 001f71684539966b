//! Consents: what is asked for, given, refused and withdrawn, and the receipts of it.

use super::{
    Ctx,
    recipients::{resolve, resolve_all},
    reply::{Body, Outcome, Path, Query, created, id, ok},
    uses::{Meant, UnknownHere, check_agreement},
};
use crate::{
    catalog::Dataset,
    consent::{
        Acknowledgement, Changed, Consent, ConsentError, ConsentId, Forgotten, NewConsent, NewEvent, NewShare, Stored,
        StreamEnd, exchange::PassedOn, state,
    },
    dsp::ParticipantId,
    http::{App, problem::Problem},
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct OfLearner {
    /// Only those of this learner, by the local identifier.
    subject: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Consents {
    consents: Vec<Listed>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ListedConsent)]
struct Listed {
    #[serde(flatten)]
    stored: Stored,
    /// Of one that is kept here as its intermediary: what its holder was told last, and whether it has confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    passed_on: Option<PassedOn>,
}

/// Consents, open, in force and ended
#[utoipa::path(get, path = "/v1/consents", tag = "learners", params(OfLearner), responses((status = OK, body = Consents)))]
pub(super) async fn consents(State(app): Ctx, Query(query): Query<OfLearner>) -> Outcome<Consents> {
    let mut consents = Vec::new();
    for stored in app.consents.list(query.subject.as_deref()).await? {
        let passed_on = app.exchange.passed_on(&stored).await?;
        consents.push(Listed {
            stored: stored.shown(),
            passed_on,
        });
    }
    ok(Consents { consents })
}

#[derive(Serialize, ToSchema)]
pub(super) struct Granted {
    /// How many.
    granted: usize,
    consents: Vec<Entered>,
}

/// What was entered, and whether it is in force: where two must sign, the other's word may be missing.
#[derive(Serialize, ToSchema)]
struct Entered {
    #[serde(flatten)]
    consent: Consent,
    state: state::State,
    /// The older consents that have ended because this one takes their place, even where they covered more.
    superseded: Vec<ConsentId>,
    unknown: UnknownHere,
}

/// What a consent is for, among what is published.
fn meant(consent: &Consent) -> Meant<'_> {
    Meant {
        datasets: &consent.datasets,
        categories: &consent.categories,
        fields: &consent.fields,
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// The number of the first of them in a longer list of which this is a part: refusals name entries by it. Without it they are numbered from 1.
    first: Option<u32>,
}

/// Record consents that learners gave to the holder
///
/// A newer one takes the place of older ones of the same learner for the same recipient, purpose and data, whole: what only those covered is
/// covered no more. `superseded` names them. An agreement has to be one under which one of the recipients receives from us; datasets and
/// fields that are not here are recorded, and told of as `unknown`.
///
/// They are recorded in pieces of 64, each whole or not at all. A refusal names the entry that is wrong, and the pieces before its own are
/// recorded; where it is the recipient or the agreement that is wrong, nothing is.
#[utoipa::path(post, path = "/v1/consents", tag = "learners", params(Part), request_body = Vec<NewConsent>, responses((status = CREATED, body = Granted)))]
pub(super) async fn consent_grant(
    State(app): Ctx,
    Query(part): Query<Part>,
    Body(mut new): Body<Vec<NewConsent>>,
) -> Outcome<Granted> {
    let first = part.first.and_then(|first| usize::try_from(first).ok());
    let first = first.or_else(|| (new.len() > 1).then_some(1));
    for (offset, one) in new.iter_mut().enumerate() {
        let named = match resolve_all(&app, &mut one.recipients) {
            Ok(()) => check_agreement(&app, one).await,
            nobody => nobody,
        };
        named.map_err(|problem| match first {
            Some(first) => problem.of_entry(first + offset),
            None => problem,
        })?;
    }
    let published = app.catalog.list().await?;
    let entered = app.consents.enter(new, first, (app.clock)()).await?.into_iter();
    let consents: Vec<Entered> = entered
        .map(|one| Entered {
            unknown: meant(&one.stored.consent).unknown(&published),
            consent: one.stored.consent,
            state: one.stored.state,
            superseded: one.superseded,
        })
        .collect();
    created(Granted {
        granted: consents.len(),
        consents,
    })
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShownConsent)]
pub(super) struct Shown {
    #[serde(flatten)]
    stored: Stored,
    /// Of a consent that is limited to a number of transfers: how many have been counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    transfers: Option<usize>,
    /// Of one that is kept here as its intermediary: what its holder was told last, and whether it has confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    passed_on: Option<PassedOn>,
    /// The record with the fields of ISO/IEC TS 27560 and the GDPR, in JSON-LD.
    #[schema(value_type = Object)]
    record: Value,
}

/// One consent
#[utoipa::path(get, path = "/v1/consents/{id}", tag = "learners", responses((status = OK, body = Shown)))]
pub(super) async fn consent(State(app): Ctx, Path(wanted): Path<String>) -> Outcome<Shown> {
    let stored = app.consents.get(&id(&wanted, "consent")?).await?;
    let record = app.consents.rendered(&stored).await?;
    let transfers = match stored.consent.max_count {
        Some(_) => Some(app.consents.occurrences().counted(&stored.consent.id).await?),
        None => None,
    };
    ok(Shown {
        passed_on: app.exchange.passed_on(&stored).await?,
        stored: stored.shown(),
        transfers,
        record,
    })
}

#[derive(Serialize, ToSchema)]
pub(super) struct Receipts {
    /// Signed receipts (JWS), the oldest first.
    receipts: Vec<String>,
}

/// The receipts of a consent, an objection or a restriction
#[utoipa::path(get, path = "/v1/consents/{id}/receipts", tag = "learners", responses((status = OK, body = Receipts)))]
pub(super) async fn consent_receipts(State(app): Ctx, Path(wanted): Path<String>) -> Outcome<Receipts> {
    let id: ConsentId = id(&wanted, "consent")?;
    let receipts = app.consents.receipts(id.as_str()).await?;
    if receipts.is_empty() {
        return Err(Problem::not_found("consent"));
    }
    ok(Receipts { receipts })
}

/// What became of a consent.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    #[serde(flatten)]
    stored: Stored,
    /// The signed receipt (JWS) of this step. Named so because `receipt` is its hash.
    signed: String,
    /// Of an end by somebody's word: the epoch that every running stream has confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    epoch: Option<u64>,
    /// And the last sequence number of each: no record of the learner is in it beyond that number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    streams: Option<Vec<StreamEnd>>,
    /// Of what was given: the older consents that have ended because it takes their place, even where they covered more.
    superseded: Vec<ConsentId>,
    /// Of one that is kept here as its intermediary: its holder is told, and until it has confirmed it, what ended here may go on there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    passed_on: Option<PassedOn>,
}

impl From<Changed> for Told {
    fn from(changed: Changed) -> Self {
        let (epoch, streams) = changed.ended.map(|ended| (ended.epoch, ended.streams)).unzip();
        Self {
            stored: changed.stored.shown(),
            signed: changed.receipt,
            epoch,
            streams,
            superseded: changed.superseded,
            passed_on: None,
        }
    }
}

/// What was asked for or shared.
#[derive(Serialize, ToSchema)]
pub(super) struct Begun {
    #[serde(flatten)]
    told: Told,
    unknown: UnknownHere,
}

impl Begun {
    /// With what is published, as read before the change: what is recorded is not answered with an error.
    fn of(published: &[Dataset], changed: Changed) -> Self {
        Self {
            unknown: meant(&changed.stored.consent).unknown(published),
            told: changed.into(),
        }
    }
}

/// Ask a learner for a consent, for somebody
#[utoipa::path(post, path = "/v1/consents/requests", tag = "learners", request_body = NewConsent, responses((status = CREATED, body = Begun)))]
pub(super) async fn consent_request(State(app): Ctx, Body(mut new): Body<NewConsent>) -> Outcome<Begun> {
    resolve_all(&app, &mut new.recipients)?;
    check_agreement(&app, &new).await?;
    let published = app.catalog.list().await?;
    let asked = app.consents.ask(new, (app.clock)()).await?;
    created(Begun::of(&published, asked))
}

/// Decide about a consent
///
/// To give, refuse, defer, reaffirm, withdraw or object as the learner, or with a power to act for them; to revoke or invalidate as the
/// holder or an authority. To reaffirm is to say yes for as long again as was chosen first; `until` says the new end. What ends something answers
/// when no running stream lets a record of the learner through any more. Of a consent that is kept for another holder that holder is told, which
/// `passedOn` shows.
#[utoipa::path(post, path = "/v1/consents/{id}/events", tag = "learners", request_body = NewEvent, responses((status = OK, body = Told)))]
pub(super) async fn consent_event(
    State(app): Ctx,
    Path(wanted): Path<String>,
    Body(new): Body<NewEvent>,
) -> Outcome<Told> {
    let id = id(&wanted, "consent")?;
    let changed = app.consents.decide(&id, &new, (app.clock)()).await?;
    // The step is taken, whatever becomes of this: `GET /v1/consents/told` shows it as well.
    let passed_on = app.exchange.passed_on(&changed.stored).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "what a holder was told of a consent could not be read");
        None
    });
    ok(Told {
        passed_on,
        ..changed.into()
    })
}

/// Share as a learner, unasked
#[utoipa::path(post, path = "/v1/shares", tag = "learners", request_body = NewShare, responses((status = CREATED, body = Begun)))]
pub(super) async fn share(State(app): Ctx, Body(mut new): Body<NewShare>) -> Outcome<Begun> {
    resolve(&app, &mut new.recipient)?;
    let published = app.catalog.list().await?;
    let shared = app.consents.share(new, (app.clock)()).await?;
    created(Begun::of(&published, shared))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Withdraw {
    /// The learner's local identifier.
    subject: String,
    /// Only the consents that name this recipient, by id or by the name of a configured peer; all consents without it.
    #[serde(default)]
    recipient: Option<ParticipantId>,
}

/// Withdraw a learner's consents
///
/// All of them, or those that name a recipient. A consent that names several recipients ends for all of them, and the answer says who they are;
/// for whom it is to go on it is given anew. Answers when no running stream here lets a record of the learner through any more. Of consents that
/// are kept here for other holders, an intermediary's, those are told, and `unconfirmed` names them.
#[utoipa::path(post, path = "/v1/consents/withdraw", tag = "learners", request_body = Withdraw, responses((status = OK, body = Acknowledgement)))]
pub(super) async fn consent_withdraw(State(app): Ctx, Body(mut wanted): Body<Withdraw>) -> Outcome<Acknowledgement> {
    if let Some(recipient) = &mut wanted.recipient {
        match app.peers.recipient(recipient) {
            Ok(known) => *recipient = known,
            // From whoever is configured no more a consent can still be withdrawn.
            Err(_) if is_named(&app, &wanted.subject, recipient).await? => {}
            Err(nobody) => return Err(nobody.into()),
        }
    }
    let recipient = wanted.recipient.as_ref();
    let done = app.consents.withdraw(&wanted.subject, recipient, (app.clock)()).await;
    ok(done.map_err(|error| match (error, recipient) {
        // There may be others: who reads it is told which were meant.
        (ConsentError::NothingToWithdraw, Some(recipient)) => ConsentError::NothingTowards(recipient.clone()),
        (error, _) => error,
    })?)
}

/// Whether a consent of the learner names this recipient.
async fn is_named(app: &App, subject: &str, recipient: &ParticipantId) -> Result<bool, Problem> {
    let all = app.consents.list(Some(subject)).await?;
    Ok(all.iter().any(|stored| stored.consent.recipients.contains(recipient)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Forget {
    /// The learner's local identifier.
    subject: String,
}

/// Forget a learner
///
/// Deletes the records of their consents, all of which must have ended, and what links them to the audit log. Refused while one of them, or
/// an objection, keeps records from going out on another lawful basis, and while such a basis is in force on which records of theirs may have gone out:
/// end that first, so that its recipients are told (GDPR art. 19). The log's entries and proofs stay valid, but nobody can say any more whom
/// they are about. Answers that were kept for repeated requests go within 24 hours.
#[utoipa::path(post, path = "/v1/consents/forget", tag = "learners", request_body = Forget, responses((status = OK, body = Forgotten)))]
pub(super) async fn consent_forget(State(app): Ctx, Body(wanted): Body<Forget>) -> Outcome<Forgotten> {
    ok(app.consents.forget(&wanted.subject, (app.clock)()).await?)
}
