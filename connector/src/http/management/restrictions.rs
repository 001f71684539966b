//! Restrictions of the processing of learners' records (GDPR art. 18).

use super::{
    Ctx,
    recipients::resolve,
    reply::{Body, Outcome, Path, Query, created, id, ok},
};
use crate::consent::{Acknowledgement, NewLift, NewRestriction, Restriction};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct WhoseRestrictions {
    /// Only those of this learner, by the local identifier.
    subject: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Restrictions {
    restrictions: Vec<Restriction>,
}

/// Restrictions of the processing of learners' records, lifted ones too
#[utoipa::path(get, path = "/v1/restrictions", tag = "learners", params(WhoseRestrictions), responses((status = OK, body = Restrictions)))]
pub(super) async fn restrictions(State(app): Ctx, Query(query): Query<WhoseRestrictions>) -> Outcome<Restrictions> {
    ok(Restrictions {
        restrictions: app.consents.restrictions(query.subject.as_deref()).await?,
    })
}

#[derive(Serialize, ToSchema)]
pub(super) struct Restricted {
    restriction: Restriction,
    acknowledgement: Acknowledgement,
}

/// Restrict the processing of a learner's records (GDPR art. 18)
///
/// Answers when no running stream lets a record of the learner through any more. While it stands nothing of the learner leaves to the recipient, or
/// to anybody if none is named, whatever permits it. No consent changes, and nobody is told.
#[utoipa::path(post, path = "/v1/restrictions", tag = "learners", request_body = NewRestriction, responses((status = CREATED, body = Restricted)))]
pub(super) async fn restrict(State(app): Ctx, Body(mut new): Body<NewRestriction>) -> Outcome<Restricted> {
    new.recipient
        .as_mut()
        .map_or(Ok(()), |recipient| resolve(&app, recipient))?;
    let (restriction, acknowledgement) = app.consents.restrict(&new, (app.clock)()).await?;
    created(Restricted {
        restriction,
        acknowledgement,
    })
}

/// Lift a restriction
///
/// What the learner's consents and other lawful bases permit by now may leave again.
#[utoipa::path(post, path = "/v1/restrictions/{id}/lift", tag = "learners", request_body = NewLift, responses((status = OK, body = Restriction)))]
pub(super) async fn lift(
    State(app): Ctx,
    Path(wanted): Path<String>,
    Body(new): Body<NewLift>,
) -> Outcome<Restriction> {
    let id = id(&wanted, "restriction")?;
    ok(app.consents.lift(&id, &new, (app.clock)()).await?)
}
