//! Consents, withdrawals, and the names under which recipients know learners.

use super::{Ctx, answer, body, ok};
use crate::consent::NewConsent;
use axum::{
    extract::{Query, Request, State},
    response::Response,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;

pub(super) async fn consents(State(app): Ctx, Query(query): Query<HashMap<String, String>>) -> Response {
    answer(
        async {
            let all = app.consents.list(query.get("subject").map(String::as_str)).await?;
            ok(json!({ "consents": all }))
        }
        .await,
    )
}

pub(super) async fn consent_grant(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let new: Vec<NewConsent> = body(&app, request).await?;
            let granted = app.consents.grant(new, (app.clock)()).await?;
            Ok((
                StatusCode::CREATED,
                json!({"granted": granted.len(), "consents": granted}),
            ))
        }
        .await,
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdraw {
    subject: String,
    #[serde(default)]
    recipient: Option<crate::dsp::ParticipantId>,
}

pub(super) async fn consent_withdraw(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let wanted: Withdraw = body(&app, request).await?;
            ok(json!(
                app.consents
                    .withdraw(&wanted.subject, wanted.recipient.as_ref(), (app.clock)())
                    .await?
            ))
        }
        .await,
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskPseudonyms {
    recipient: String,
    subjects: Vec<String>,
}

/// How a recipient sees learners: a holder needs it to answer a learner's questions about what was handed over (GDPR Art. 15).
pub(super) async fn pseudonyms(State(app): Ctx, request: Request) -> Response {
    answer(
        async {
            let wanted: AskPseudonyms = body(&app, request).await?;
            let names = app
                .consents
                .pseudonyms()
                .towards(&app.peers.named(&wanted.recipient)?.did);
            let named: HashMap<&str, String> = wanted
                .subjects
                .iter()
                .map(|subject| (subject.as_str(), names.name(subject)))
                .collect();
            ok(json!({ "pseudonyms": named }))
        }
        .await,
    )
}
