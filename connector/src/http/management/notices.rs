//! Notices: the texts that learners are shown, with their versions.

use super::{
    Ctx,
    reply::{Body, Outcome, created, ok},
};
use crate::consent::{NewNotice, Notice, Replacement};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(super) struct Notices {
    notices: Vec<Notice>,
}

/// The registered notices
#[utoipa::path(get, path = "/v1/notices", tag = "learners", responses((status = OK, body = Notices)))]
pub(super) async fn notices(State(app): Ctx) -> Outcome<Notices> {
    ok(Notices {
        notices: app.consents.notices().await?,
    })
}

/// Register a notice
#[utoipa::path(post, path = "/v1/notices", tag = "learners", request_body = NewNotice, responses((status = CREATED, body = Notice)))]
pub(super) async fn notice_add(State(app): Ctx, Body(new): Body<NewNotice>) -> Outcome<Notice> {
    created(app.consents.add_notice(new, (app.clock)()).await?)
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Replace {
    /// `sha256:` and the hash of the text that is replaced.
    old: String,
    /// The newer one, of the same name and language.
    notice: NewNotice,
    /// It means something else: consents under the old one and all versions before it end and are asked for anew.
    changes_meaning: bool,
}

/// Replace a notice by a newer version
///
/// In one language: the same notice in another stands until it is replaced too, and `otherLanguages` names those where it means something else.
#[utoipa::path(post, path = "/v1/notices/replace", tag = "learners", request_body = Replace, responses((status = CREATED, body = Replacement)))]
pub(super) async fn notice_replace(State(app): Ctx, Body(wanted): Body<Replace>) -> Outcome<Replacement> {
    let now = (app.clock)();
    let done = app
        .consents
        .replace_notice(&wanted.old, wanted.notice, wanted.changes_meaning, now);
    created(done.await?)
}
