//! What was told and heard about learners' consents, and links between identities.

use super::{
    Ctx,
    reply::{Body, Outcome, Path, Query, created, ok},
};
use crate::consent::{
    exchange::{Ask, Asked, Disclosed, PassedOn, Received, Retraction, Told},
    links::{Link, Offered},
};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    /// The learner's local identifier.
    subject: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToldList {
    told: Vec<Told>,
    /// Anything about the learner is recorded here. Where nothing is, they were never here or are forgotten, and nobody knows who was told.
    known: bool,
    /// Of consents that are kept here as their intermediary: what their holders were told last, and whether they have confirmed it.
    passed_on: Vec<PassedOn>,
}

/// Who was told that a learner's consent has ended
///
/// Only those that received records of the learner; each with its signed acknowledgement and what it says that it erased. At an intermediary
/// also what the holders of the consents that it keeps were told of them.
#[utoipa::path(get, path = "/v1/consents/told", tag = "learners", params(About), responses((status = OK, body = ToldList)))]
pub(super) async fn told(State(app): Ctx, Query(query): Query<About>) -> Outcome<ToldList> {
    let notices = app.exchange.notices();
    let told = notices.of(app.consents.pseudonyms(), &query.subject).await?;
    let mut passed_on = Vec::new();
    for stored in app.consents.list(Some(&query.subject)).await? {
        passed_on.extend(app.exchange.passed_on(&stored).await?);
    }
    // Of a learner whose records left on a declared basis nothing else may be recorded.
    let has_received = !notices.recipients(&query.subject).await?.is_empty();
    ok(ToldList {
        known: has_received || !told.is_empty() || app.consents.knows(&query.subject).await?,
        told,
        passed_on,
    })
}

#[derive(Serialize, ToSchema)]
pub(super) struct Retractions {
    retractions: Vec<Retraction>,
}

/// What holders told us that we may not keep, and what was erased
#[utoipa::path(get, path = "/v1/consents/retractions", tag = "learners", responses((status = OK, body = Retractions)))]
pub(super) async fn retractions(State(app): Ctx) -> Outcome<Retractions> {
    ok(Retractions {
        retractions: app.exchange.retractions().list(),
    })
}

#[derive(Serialize, ToSchema)]
pub(super) struct Disclosures {
    disclosures: Vec<Disclosed>,
}

/// Who was told of transfers because an agreement says so, and what other providers told us
///
/// Those with a `delivery` are ours; the others were told to us, as the party that an agreement of others' names to be informed. The oldest
/// first.
#[utoipa::path(get, path = "/v1/disclosures", tag = "transfers", responses((status = OK, body = Disclosures)))]
pub(super) async fn disclosures(State(app): Ctx) -> Outcome<Disclosures> {
    ok(Disclosures {
        disclosures: app.exchange.disclosures().list().await?,
    })
}

/// Ask a holder for a learner's consent, under an agreement with it
///
/// Or an intermediary in its place, with `at`: the learner decides there, and the holder enters what they decided.
#[utoipa::path(post, path = "/v1/consents/ask", tag = "learners", request_body = Ask, responses((status = CREATED, body = Asked)))]
pub(super) async fn ask(State(app): Ctx, Body(wanted): Body<Ask>) -> Outcome<Asked> {
    created(app.exchange.ask(wanted, (app.clock)()).await?)
}

#[derive(Serialize, ToSchema)]
pub(super) struct AskedList {
    asked: Vec<Asked>,
}

/// What holders were asked for, and whether they took it
#[utoipa::path(get, path = "/v1/consents/asked", tag = "learners", responses((status = OK, body = AskedList)))]
pub(super) async fn asked(State(app): Ctx) -> Outcome<AskedList> {
    ok(AskedList {
        asked: app.exchange.asked().await?,
    })
}

#[derive(Serialize, ToSchema)]
pub(super) struct ReceivedList {
    received: Vec<Received>,
}

/// Where learners' consents stand, as their holders have signed
#[utoipa::path(get, path = "/v1/consents/received", tag = "learners", responses((status = OK, body = ReceivedList)))]
pub(super) async fn received(State(app): Ctx) -> Outcome<ReceivedList> {
    ok(ReceivedList {
        received: app.exchange.received().await?,
    })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct OfLearner {
    /// Only those of this learner, by the local identifier.
    subject: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct LinkList {
    links: Vec<Link>,
}

/// Links between identities
#[utoipa::path(get, path = "/v1/links", tag = "learners", params(OfLearner), responses((status = OK, body = LinkList)))]
pub(super) async fn links(State(app): Ctx, Query(query): Query<OfLearner>) -> Outcome<LinkList> {
    ok(LinkList {
        links: app.exchange.links().list(query.subject.as_deref()).await?,
    })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLink {
    /// The learner's local identifier here.
    subject: String,
    /// The other participant's id or name.
    peer: String,
}

/// Make a code with which a learner links themselves at another participant
///
/// The code is good for ten minutes and once. It is shown here and nowhere else.
#[utoipa::path(post, path = "/v1/links", tag = "learners", request_body = NewLink, responses((status = CREATED, body = Offered)))]
pub(super) async fn link_create(State(app): Ctx, Body(new): Body<NewLink>) -> Outcome<Offered> {
    let peer = app.peers.named(&new.peer).await?;
    let links = app.exchange.links();
    created(links.offer(&new.subject, &peer.did, (app.clock)()).await?)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Redeem {
    /// The participant that made the code, by id or name.
    peer: String,
    /// The code.
    code: String,
    /// The learner's local identifier here.
    subject: String,
}

/// Send a learner's code to the participant that made it
#[utoipa::path(post, path = "/v1/links/redeem", tag = "learners", request_body = Redeem, responses((status = CREATED, body = Link)))]
pub(super) async fn link_redeem(State(app): Ctx, Body(wanted): Body<Redeem>) -> Outcome<Link> {
    let peer = app.peers.named(&wanted.peer).await?;
    let links = app.exchange.links();
    created(
        links
            .redeem(&peer.did, &wanted.code, &wanted.subject, (app.clock)())
            .await?,
    )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    /// The learner who confirms, by the local identifier: the link must be theirs.
    subject: String,
}

/// Confirm a link, for the learner who is logged in here
#[utoipa::path(post, path = "/v1/links/{id}/confirm", tag = "learners", request_body = Confirm, responses((status = OK, body = Link)))]
pub(super) async fn link_confirm(
    State(app): Ctx,
    Path(id): Path<String>,
    Body(wanted): Body<Confirm>,
) -> Outcome<Link> {
    let links = app.exchange.links();
    ok(links
        .confirm(app.consents.pseudonyms(), &id, &wanted.subject, (app.clock)())
        .await?)
}

#[derive(Serialize, ToSchema)]
pub(super) struct LinkRemoved {
    removed: String,
}

/// End a link here
#[utoipa::path(delete, path = "/v1/links/{id}", tag = "learners", responses((status = OK, body = LinkRemoved)))]
pub(super) async fn link_remove(State(app): Ctx, Path(id): Path<String>) -> Outcome<LinkRemoved> {
    app.exchange.links().remove(&id, (app.clock)()).await?;
    ok(LinkRemoved { removed: id })
}
