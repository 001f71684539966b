//! Consents, withdrawals, and the names under which recipients know learners.

use super::{
    Ctx,
    reply::{Body, Outcome, Query, created, ok},
};
use crate::{
    consent::{Acknowledgement, Consent, Forgotten, NewConsent, Stored},
    dsp::ParticipantId,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct OfLearner {
    /// Only those of this learner, by the local identifier.
    subject: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Consents {
    consents: Vec<Stored>,
}

/// Consents, in force and withdrawn
#[utoipa::path(get, path = "/v1/consents", tag = "learners", params(OfLearner), responses((status = OK, body = Consents)))]
pub(super) async fn consents(State(app): Ctx, Query(query): Query<OfLearner>) -> Outcome<Consents> {
    ok(Consents {
        consents: app.consents.list(query.subject.as_deref()).await?,
    })
}

#[derive(Serialize, ToSchema)]
pub(super) struct Granted {
    /// How many.
    granted: usize,
    consents: Vec<Consent>,
}

/// Record consents that learners gave to the holder
#[utoipa::path(post, path = "/v1/consents", tag = "learners", request_body = Vec<NewConsent>, responses((status = CREATED, body = Granted)))]
pub(super) async fn consent_grant(State(app): Ctx, Body(new): Body<Vec<NewConsent>>) -> Outcome<Granted> {
    let consents = app.consents.grant(new, (app.clock)()).await?;
    created(Granted {
        granted: consents.len(),
        consents,
    })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Withdraw {
    /// The learner's local identifier.
    subject: String,
    /// Only what concerns this recipient; all consents without it.
    #[serde(default)]
    recipient: Option<ParticipantId>,
}

/// Withdraw a learner's consents
///
/// Answers when no running stream lets a record of the learner through any more.
#[utoipa::path(post, path = "/v1/consents/withdraw", tag = "learners", request_body = Withdraw, responses((status = OK, body = Acknowledgement)))]
pub(super) async fn consent_withdraw(State(app): Ctx, Body(wanted): Body<Withdraw>) -> Outcome<Acknowledgement> {
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
/// Deletes the records of their consents, all of which must have ended, and what links them to the audit log. Its entries and proofs stay
/// valid, but nobody can say any more whom they are about. Answers that were kept for repeated requests go within 24 hours.
#[utoipa::path(post, path = "/v1/consents/forget", tag = "learners", request_body = Forget, responses((status = OK, body = Forgotten)))]
pub(super) async fn consent_forget(State(app): Ctx, Body(wanted): Body<Forget>) -> Outcome<Forgotten> {
    ok(app.consents.forget(&wanted.subject, (app.clock)()).await?)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskPseudonyms {
    /// The peer's id or name.
    recipient: String,
    /// The learners' local identifiers.
    subjects: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Named {
    /// By local identifier.
    pseudonyms: HashMap<String, String>,
}

/// How a recipient sees learners
///
/// A holder needs it to answer a learner's questions about what was handed over (GDPR Art. 15).
#[utoipa::path(post, path = "/v1/pseudonyms", tag = "learners", request_body = AskPseudonyms, responses((status = OK, body = Named)))]
pub(super) async fn pseudonyms(State(app): Ctx, Body(wanted): Body<AskPseudonyms>) -> Outcome<Named> {
    let names = app.consents.pseudonyms().towards(&app.peers.did_of(&wanted.recipient)?);
    let named = wanted.subjects.into_iter().map(|subject| {
        let name = names.name(&subject);
        (subject, name)
    });
    ok(Named {
        pseudonyms: named.collect(),
    })
}
