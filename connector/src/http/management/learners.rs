//! Learners: whose word counts for them, and the names under which recipients know them.

use super::{
    Ctx,
    reply::{Body, Outcome, Query, ok},
};
use crate::consent::{NewStanding, exchange::Recipient, law::Standing};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// The learner's local identifier.
    subject: String,
}

/// Whose word counts for a learner
#[utoipa::path(get, path = "/v1/learners", tag = "learners", params(Whose), responses((status = OK, body = Standing)))]
pub(super) async fn standing(State(app): Ctx, Query(query): Query<Whose>) -> Outcome<Standing> {
    ok(app.consents.standing(&query.subject).await?)
}

/// Record whose word counts for a learner
///
/// A birth date is computed with and not kept. What is not named stays as it was recorded: without an age the learner's stays, and nobody comes of
/// age because a guardian is removed. Powers that are named take the place of all that were recorded. Consents given before are held to it: what
/// was not signed by enough is invalid, and what rests on a power ends with the power.
#[utoipa::path(post, path = "/v1/learners", tag = "learners", request_body = NewStanding, responses((status = OK, body = Standing)))]
pub(super) async fn standing_set(State(app): Ctx, Body(new): Body<NewStanding>) -> Outcome<Standing> {
    ok(app.consents.set_standing(&new, (app.clock)()).await?)
}

#[derive(Serialize, ToSchema)]
pub(super) struct Recipients {
    recipients: Vec<Recipient>,
    /// Anything about the learner is recorded here. Where nothing is, they were never here or are forgotten, and no recipient is known.
    known: bool,
}

/// Who received records of a learner (GDPR art. 15(1)(c))
///
/// Those to whom a record was about to be handed over, and when that was first; a stream that broke off there may have handed over none. Under
/// which agreements is not kept for each learner. Nobody is here for numbers about groups or rows made anonymous, nor for a learner who was
/// forgotten.
#[utoipa::path(get, path = "/v1/learners/recipients", tag = "learners", params(Whose), responses((status = OK, body = Recipients)))]
pub(super) async fn recipients(State(app): Ctx, Query(query): Query<Whose>) -> Outcome<Recipients> {
    let recipients = app.exchange.notices().recipients(&query.subject).await?;
    ok(Recipients {
        known: !recipients.is_empty() || app.consents.knows(&query.subject).await?,
        recipients,
    })
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
