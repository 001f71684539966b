//! Consents: what is asked for, given, refused and withdrawn, and the receipts of it.

use super::{
    Ctx,
    recipients::{resolve, resolve_all},
    reply::{Body, Outcome, Path, Query, created, id, ok},
};
use crate::{
    consent::{
        Acknowledgement, Changed, Consent, ConsentId, Forgotten, NewConsent, NewEvent, NewShare, Stored, StreamEnd,
        exchange::PassedOn, state,
    },
    dsp::ParticipantId,
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
        consents.push(Listed { stored, passed_on });
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
}

/// Record consents that learners gave to the holder
///
/// A newer one takes the place of older ones of the same learner for the same recipient, purpose and data, whole: what only those covered is
/// covered no more. `superseded` names them.
#[utoipa::path(post, path = "/v1/consents", tag = "learners", request_body = Vec<NewConsent>, responses((status = CREATED, body = Granted)))]
pub(super) async fn consent_grant(State(app): Ctx, Body(mut new): Body<Vec<NewConsent>>) -> Outcome<Granted> {
    for one in &mut new {
        resolve_all(&app, &mut one.recipients)?;
    }
    let entered = app.consents.enter(new, (app.clock)()).await?.into_iter();
    let consents: Vec<Entered> = entered
        .map(|one| Entered {
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
        stored,
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
        return Err(crate::http::problem::Problem::not_found("consent"));
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
            stored: changed.stored,
            signed: changed.receipt,
            epoch,
            streams,
            superseded: changed.superseded,
            passed_on: None,
        }
    }
}

/// Ask a learner for a consent, for somebody
#[utoipa::path(post, path = "/v1/consents/requests", tag = "learners", request_body = NewConsent, responses((status = CREATED, body = Told)))]
pub(super) async fn consent_request(State(app): Ctx, Body(mut new): Body<NewConsent>) -> Outcome<Told> {
    resolve_all(&app, &mut new.recipients)?;
    created(app.consents.ask(new, (app.clock)()).await?.into())
}

/// Decide about a consent
///
/// To give, refuse, defer, reaffirm, withdraw or object as the learner, or with a power to act for them; to revoke or invalidate as the
/// holder or an authority. What ends something answers when no running stream lets a record of the learner through any more. Of a consent that
/// is kept for another holder that holder is told, which `passedOn` shows.
#[utoipa::path(post, path = "/v1/consents/{id}/events", tag = "learners", request_body = NewEvent, responses((status = OK, body = Told)))]
pub(super) async fn consent_event(
    State(app): Ctx,
    Path(wanted): Path<String>,
    Body(new): Body<NewEvent>,
) -> Outcome<Told> {
    let id = id(&wanted, "consent")?;
    let changed = app.consents.decide(&id, &new, (app.clock)()).await?;
    ok(Told {
        passed_on: app.exchange.passed_on(&changed.stored).await?,
        ..changed.into()
    })
}

/// Share as a learner, unasked
#[utoipa::path(post, path = "/v1/shares", tag = "learners", request_body = NewShare, responses((status = CREATED, body = Told)))]
pub(super) async fn share(State(app): Ctx, Body(mut new): Body<NewShare>) -> Outcome<Told> {
    resolve(&app, &mut new.recipient)?;
    created(app.consents.share(new, (app.clock)()).await?.into())
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
    // From whoever is configured no more a consent can still be withdrawn; one that concerns nobody is answered with that.
    if let Some(recipient) = &mut wanted.recipient
        && let Ok(known) = app.peers.recipient(recipient)
    {
        *recipient = known;
    }
    let recipient = wanted.recipient.as_ref();
    ok(app.consents.withdraw(&wanted.subject, recipient, (app.clock)()).await?)
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
