//! Lawful bases other than consent, and learners' objections to them.

use super::{
    Ctx,
    recipients::resolve_all,
    reply::{Body, Outcome, Path, Query, created, id, ok},
    uses::{Meant, UnknownHere},
};
use crate::consent::{Acknowledgement, Declared, NewBasis, NewObjection, Objection};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Serialize, ToSchema)]
pub(super) struct Bases {
    bases: Vec<Declared>,
}

/// Declared bases other than consent, ended ones too
#[utoipa::path(get, path = "/v1/bases", tag = "learners", responses((status = OK, body = Bases)))]
pub(super) async fn bases(State(app): Ctx) -> Outcome<Bases> {
    ok(Bases {
        bases: app.consents.bases().await?,
    })
}

/// What was declared.
#[derive(Serialize, ToSchema)]
#[schema(as = BegunBasis)]
pub(super) struct Begun {
    #[serde(flatten)]
    declared: Declared,
    unknown: UnknownHere,
}

/// Declare a basis other than consent
///
/// An entry of the register of processing (GDPR art. 30). It permits nothing where an agreement's policy asks for consent. Datasets that are not
/// here are recorded, and told of as `unknown`.
#[utoipa::path(post, path = "/v1/bases", tag = "learners", request_body = NewBasis, responses((status = CREATED, body = Begun)))]
pub(super) async fn basis_declare(State(app): Ctx, Body(mut new): Body<NewBasis>) -> Outcome<Begun> {
    resolve_all(&app, &mut new.recipients)?;
    let published = app.catalog.list().await?;
    let meant = Meant {
        datasets: &new.datasets,
        categories: &new.categories,
        fields: &[],
    };
    let unknown = meant.unknown(&published);
    let declared = app.consents.declare(new, (app.clock)()).await?;
    created(Begun { declared, unknown })
}

/// End a declared basis
#[utoipa::path(post, path = "/v1/bases/{id}/end", tag = "learners", responses((status = OK, body = Declared)))]
pub(super) async fn basis_end(State(app): Ctx, Path(wanted): Path<String>) -> Outcome<Declared> {
    let id = id(&wanted, "basis")?;
    ok(app.consents.end_basis(&id, (app.clock)()).await?)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// Only those of this learner, by the local identifier.
    subject: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Objections {
    objections: Vec<Objection>,
}

/// Learners' objections, the oldest first
#[utoipa::path(get, path = "/v1/objections", tag = "learners", params(Whose), responses((status = OK, body = Objections)))]
pub(super) async fn objections(State(app): Ctx, Query(query): Query<Whose>) -> Outcome<Objections> {
    ok(Objections {
        objections: app.consents.objections(query.subject.as_deref()).await?,
    })
}

#[derive(Serialize, ToSchema)]
pub(super) struct Objected {
    objection: Objection,
    acknowledgement: Acknowledgement,
}

/// Object as a learner to processing on another basis than consent
///
/// Answers when no running stream lets such a record of the learner through any more.
#[utoipa::path(post, path = "/v1/objections", tag = "learners", request_body = NewObjection, responses((status = CREATED, body = Objected)))]
pub(super) async fn object(State(app): Ctx, Body(new): Body<NewObjection>) -> Outcome<Objected> {
    let (objection, acknowledgement) = app.consents.object(&new, (app.clock)()).await?;
    created(Objected {
        objection,
        acknowledgement,
    })
}
