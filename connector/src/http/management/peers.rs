//! Whom this connector talks to, and how.

use super::{
    Ctx,
    reply::{Outcome, Path, ok},
};
use crate::{
    dsp::ParticipantId,
    trust::{self, Pin, Signatures, Trust, membership::MemberView},
};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// A peer as every list shows it.
#[derive(Serialize, ToSchema)]
pub(super) struct Peer {
    did: ParticipantId,
    #[schema(required)]
    name: Option<String>,
    /// Whether its messages and answers are to be signed.
    signatures: Signatures,
    /// They are: always, or since it is held to that.
    signs: bool,
    /// Why and since when it is held to signing, where that is not required from the start.
    #[schema(required)]
    pin: Option<Pin>,
}

impl Peer {
    fn of(peer: &trust::Peer, trust: &Trust) -> Self {
        Self {
            did: peer.did.clone(),
            name: peer.name.clone(),
            signatures: peer.signatures,
            signs: trust.is_held(peer),
            pin: trust.pins().get(&peer.did),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct PeerList {
    peers: Vec<Peer>,
    /// Members of the governance authority that are known now. Others are looked up when they call, or are called.
    members: Vec<MemberView>,
}

/// All peers of the configuration, and the members that are known
#[utoipa::path(get, path = "/v1/peers", tag = "status", responses((status = OK, body = PeerList)))]
pub(super) async fn peers(State(app): Ctx) -> Outcome<PeerList> {
    let mut peers: Vec<Peer> = app.trust.peers().map(|peer| Peer::of(peer, &app.trust)).collect();
    peers.sort_by(|a, b| a.did.cmp(&b.did));
    let memberships = app.trust.memberships();
    let members = memberships.map(|memberships| memberships.members((app.clock)()));
    ok(PeerList {
        peers,
        members: members.unwrap_or_default(),
    })
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Unpinned {
    peer: ParticipantId,
    /// It was held to signing until now.
    was_pinned: bool,
}

/// Forget that a peer signs
///
/// For a peer that may come without signatures, was once seen signing, and has ceased to. While its DID document says that it signs, it is
/// held to that again at once.
#[utoipa::path(delete, path = "/v1/peers/{peer}/pin", tag = "status", responses((status = OK, body = Unpinned)))]
pub(super) async fn unpin(State(app): Ctx, Path(name): Path<String>) -> Outcome<Unpinned> {
    let peer = app.peers.did_of(&name)?;
    let was_pinned = app.trust.pins().unpin(&peer, (app.clock)()).await?;
    ok(Unpinned { peer, was_pinned })
}
