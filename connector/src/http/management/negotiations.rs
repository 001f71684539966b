//! Negotiations and the agreements that they lead to.

use super::{
    Command, Ctx,
    idempotency::Opening,
    process::{self, Process},
    reply::{self, Body, Outcome, Path, Query, Refusal, created, id, ok},
};
use crate::{
    catalog::Mode,
    contract::{
        self, AgreedTerms, AgreementExport, ContractError, Contradiction, NegotiationRecord, Payment, Proposed,
        StoredAgreement, Wanted,
    },
    dsp::{
        AgreementId, DatasetId, FORMATS, ParticipantId, Pid, Role, catalog::ListedDataset,
        negotiation::State as NegotiationState,
    },
    http::{App, problem::Problem},
    process::Protocol,
    trust::{Peer, Trust},
};
use axum::extract::State;
use http::StatusCode;
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use url::Url;
use utoipa::{IntoParams, ToSchema};

/// A negotiation as the management API shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Negotiation {
    #[serde(flatten)]
    process: Process,
    /// The state that both sides know; null before the first message is acknowledged.
    #[schema(required)]
    state: Option<NegotiationState>,
    /// What is negotiated about.
    dataset: DatasetId,
    /// The terms on the table.
    #[schema(value_type = Object)]
    offer: Value,
    /// Who put them there.
    offer_by: Role,
    /// The operator decides about every step.
    manual: bool,
    /// The next step is ours and waits for the operator.
    held: bool,
    /// The agreement, once there is one.
    #[schema(required)]
    agreement_id: Option<AgreementId>,
    /// Consumer: which terms were agreed, where others than the published ones were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    agreed_terms: Option<AgreedTerms>,
}

impl From<NegotiationRecord> for Negotiation {
    fn from(record: NegotiationRecord) -> Self {
        let (agreement_id, held) = (record.agreement_id(), record.is_held());
        let agreed_terms = record.agreed_terms();
        Self {
            state: record.core.position.state,
            process: record.core.into(),
            dataset: record.dataset,
            offer: record.offer,
            offer_by: record.offer_by,
            manual: record.decisions.negotiations == Mode::Manual,
            held,
            agreement_id,
            agreed_terms,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Negotiations {
    negotiations: Vec<Negotiation>,
}

/// All negotiations
#[utoipa::path(get, path = "/v1/negotiations", tag = "negotiations", responses((status = OK, body = Negotiations)))]
pub(super) async fn negotiations(State(app): Ctx) -> Outcome<Negotiations> {
    let all = app.contracts.list().await?;
    ok(Negotiations {
        negotiations: all.into_iter().map(Negotiation::from).collect(),
    })
}

/// What a consumer's operator asks for: an offer of the peer's catalog, or one that is known without it, by address and dataset.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Negotiate {
    /// The provider's id or name; may be left out where its configured address is the beginning of `address`.
    #[serde(default)]
    peer: Option<String>,
    /// The id of an offer, or of a dataset with one offer, in the peer's catalog.
    offer: String,
    /// The provider's base address, with the version's path: negotiates without discovery and catalog. Goes with `dataset`.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uri")]
    address: Option<Url>,
    /// The dataset, where the catalog is not asked. Goes with `address`.
    #[serde(default)]
    dataset: Option<DatasetId>,
    /// Terms to ask for instead of the offered ones.
    #[serde(default, deserialize_with = "reply::object")]
    #[schema(value_type = Option<Object>)]
    terms: Option<Value>,
    /// Hold every step for the operator.
    #[serde(default)]
    manual: bool,
}

/// Negotiate an offer of a peer, as its consumer
#[utoipa::path(post, path = "/v1/negotiations", tag = "negotiations", request_body = Negotiate, responses((status = CREATED, body = Negotiation)))]
pub(super) async fn negotiate(
    State(app): Ctx,
    Opening(pid): Opening,
    Body(asked): Body<Negotiate>,
) -> Outcome<Negotiation> {
    if let Some(record) = opened(&app, &pid).await? {
        return created(record.into());
    }
    let wanted = wanted(&app, pid, asked).await?;
    created(app.contracts.request(wanted, (app.clock)()).await?.into())
}

async fn opened(app: &App, pid: &Pid) -> Result<Option<NegotiationRecord>, Problem> {
    process::opened(app.contracts.get(pid).await, |error| match error {
        ContractError::Process(cause) => Some(cause),
        _ => None,
    })
}

async fn wanted(app: &App, pid: Pid, asked: Negotiate) -> Result<Wanted, Problem> {
    let peer = match (&asked.peer, &asked.address) {
        (Some(peer), _) => app.peers.named(peer).await?,
        (None, Some(address)) => at(app, address)?.clone(),
        (None, None) => return Err(Problem::bad_request("invalid", "peer or address is needed")),
    };
    let (base, dataset, offer) = match (asked.address, asked.dataset) {
        (Some(address), Some(dataset)) => {
            // Without a catalog the operator's terms are all that is known of the offer.
            let offer = json!({"@id": asked.offer, "@type": "Offer", "permission": [{"action": "use"}]});
            (address, dataset, offer)
        }
        (None, None) => {
            let listed = app.peers.catalog(&peer).await?;
            let (dataset, offer) = contract::pick(&listed.datasets, &asked.offer).ok_or_else(|| {
                Problem::not_found("offer in the peer's catalog").hint("list it with: connector catalog PEER")
            })?;
            transferable(dataset)?;
            (app.peers.base(&peer).await?, dataset.id.clone(), offer.clone())
        }
        _ => {
            return Err(Problem::bad_request(
                "invalid",
                "address and dataset belong together: both, to negotiate without the peer's catalog, or neither",
            ));
        }
    };
    Ok(Wanted {
        pid,
        peer: peer.did.clone(),
        base,
        dataset,
        offer,
        terms: asked.terms,
        manual: asked.manual,
    })
}

/// The one peer whose configured address is the beginning of this one.
fn at<'a>(app: &'a App, address: &Url) -> Result<&'a Arc<Peer>, Problem> {
    let begins = |peer: &&Arc<Peer>| {
        peer.address
            .as_ref()
            .is_some_and(|root| root.origin() == address.origin() && address.path().starts_with(root.path()))
    };
    let mut found = app.trust.peers().filter(begins);
    match (found.next(), found.next()) {
        (Some(peer), None) => Ok(peer),
        _ => Err(Problem::bad_request(
            "invalid",
            format!("not exactly one peer is configured with an address that {address} begins with"),
        )
        .hint("name the peer as well")),
    }
}

fn transferable(dataset: &ListedDataset) -> Result<(), Problem> {
    if dataset.is_transferable() {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "unknown-format",
        format!(
            "the dataset is not offered as {}, but as {}",
            FORMATS.join(" or "),
            dataset.formats.join(", ")
        ),
    ))
}

/// What a provider's operator proposes to a consumer that has not asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Propose {
    /// The consumer's id or name.
    peer: String,
    /// One of our datasets.
    dataset: DatasetId,
    /// The consumer's base address, with the version's path: proposes without discovery.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uri")]
    address: Option<Url>,
    /// Terms to propose instead of the published ones.
    #[serde(default, deserialize_with = "reply::object")]
    #[schema(value_type = Option<Object>)]
    terms: Option<Value>,
    /// Hold every step for the operator.
    #[serde(default)]
    manual: bool,
}

/// Propose an agreement about one of our datasets, as its provider
#[utoipa::path(post, path = "/v1/offers", tag = "negotiations", request_body = Propose, responses((status = CREATED, body = Negotiation)))]
pub(super) async fn propose(
    State(app): Ctx,
    Opening(pid): Opening,
    Body(asked): Body<Propose>,
) -> Outcome<Negotiation> {
    if let Some(record) = opened(&app, &pid).await? {
        return created(record.into());
    }
    let peer = app.peers.named(&asked.peer).await?;
    let dataset = app.catalog.get(&asked.dataset).await?;
    let proposed = Proposed {
        pid,
        peer: peer.did.clone(),
        dataset: dataset.ok_or_else(|| Problem::not_found("dataset"))?,
        base: match asked.address {
            Some(address) => address,
            None => app.peers.base(&peer).await?,
        },
        terms: asked.terms,
        manual: asked.manual,
    };
    created(app.contracts.propose(proposed, (app.clock)()).await?.into())
}

/// One negotiation
#[utoipa::path(get, path = "/v1/negotiations/{pid}", tag = "negotiations", responses((status = OK, body = Negotiation)))]
pub(super) async fn negotiation(State(app): Ctx, Path(pid): Path<String>) -> Outcome<Negotiation> {
    ok(app.contracts.get(&id(&pid, "negotiation")?).await?.into())
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Patience {
    /// How many seconds to wait, one hour at most.
    #[serde(default = "minute")]
    #[param(format = "uint64")]
    timeout: u64,
}

const fn minute() -> u64 {
    60
}

/// Wait until a negotiation has ended or waits for the operator
///
/// Listens before it looks, so that nothing is missed.
#[utoipa::path(get, path = "/v1/negotiations/{pid}/wait", tag = "negotiations", params(Patience), responses(
    (status = OK, body = Negotiation),
    (status = REQUEST_TIMEOUT, body = Refusal, description = "Not in that time"),
))]
pub(super) async fn negotiation_wait(
    State(app): Ctx,
    Path(pid): Path<String>,
    Query(patience): Query<Patience>,
) -> Outcome<Negotiation> {
    let pid: Pid = id(&pid, "negotiation")?;
    let mut changes = app.transfers.events().stirs(Protocol::Negotiation, &pid);
    let ended = async {
        loop {
            let record = app.contracts.get(&pid).await?;
            if record.core.position.is_terminal() || record.is_held() {
                return ok(record.into());
            }
            changes.next().await;
        }
    };
    let late = Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "timeout",
        "the negotiation has not ended in that time",
    );
    let stopping = Problem::unavailable(
        "stopping",
        "the daemon is stopping; the negotiation goes on when it runs again",
    );
    let longest = Duration::from_secs(patience.timeout.min(3600));
    tokio::select! {
        ended = tokio::time::timeout(longest, ended) => ended.unwrap_or(Err(late)),
        () = app.shutdown.cancelled() => Err(stopping),
    }
}

/// What can be done about a negotiation.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum NegotiationStep {
    /// Consumer: take the provider's offer.
    Accept,
    /// Consumer: ask for other `terms`.
    Counter,
    /// Consumer: confirm the agreement.
    Verify,
    /// Provider: answer a request with an offer, of the published or of other `terms`.
    Offer,
    /// Provider: agree to the terms on the table.
    Agree,
    /// Provider: put a confirmed agreement in force.
    Finalize,
    /// End it.
    Terminate,
}

/// Take a step in a negotiation
#[utoipa::path(post, path = "/v1/negotiations/{pid}/{command}", tag = "negotiations",
    params(("command" = inline(NegotiationStep), Path)), request_body = Command, responses((status = OK, body = Negotiation)))]
pub(super) async fn negotiation_command(
    State(app): Ctx,
    Path((pid, step)): Path<(String, NegotiationStep)>,
    Body(details): Body<Command>,
) -> Outcome<Negotiation> {
    let pid: Pid = id(&pid, "negotiation")?;
    let now = (app.clock)();
    let terms = details.terms.as_ref();
    let record = match step {
        NegotiationStep::Accept => app.contracts.accept(&pid, now).await?,
        NegotiationStep::Counter => app.contracts.counter(&pid, terms, now).await?,
        NegotiationStep::Verify => app.contracts.verify(&pid, now).await?,
        NegotiationStep::Offer => app.contracts.offer(&pid, terms, now).await?,
        NegotiationStep::Agree => app.contracts.agree(&pid, now).await?,
        NegotiationStep::Finalize => app.contracts.finalize(&pid, now).await?,
        NegotiationStep::Terminate => app.contracts.terminate(&pid, details.why(), now).await?,
    };
    ok(record.into())
}

/// An agreement as the management API lists it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Agreement {
    id: AgreementId,
    dataset: DatasetId,
    provider: ParticipantId,
    consumer: ParticipantId,
    /// Our part.
    role: Role,
    /// Our id of the negotiation that led to it.
    negotiation: Pid,
    /// When the second signature arrived here.
    #[schema(value_type = String, format = DateTime)]
    signed: Timestamp,
    /// How many parties signed it.
    signatures: usize,
    /// The same in words: `both parties`, or `one party` where the peer cannot sign.
    signed_by: &'static str,
    /// Why nothing can be done under it: the other party is out, as far as is known. None where it has force.
    #[schema(required)]
    without_force: Option<String>,
    /// The agreement as the protocol writes it, verbatim.
    #[schema(value_type = Object)]
    agreement: Value,
}

impl Agreement {
    fn of(stored: StoredAgreement, trust: &Trust, now: Timestamp) -> Self {
        let signatures = stored.signatures();
        let standing = trust.standing(stored.other_party(), now);
        Self {
            id: stored.id,
            dataset: stored.dataset,
            provider: stored.provider,
            consumer: stored.consumer,
            role: stored.role,
            negotiation: stored.negotiation,
            signed: stored.signed,
            signatures,
            signed_by: if stored.one_party { "one party" } else { "both parties" },
            without_force: standing.err().map(|error| error.to_string()),
            agreement: stored.agreement,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Agreements {
    agreements: Vec<Agreement>,
}

/// All agreements
#[utoipa::path(get, path = "/v1/agreements", tag = "agreements", responses((status = OK, body = Agreements)))]
pub(super) async fn agreements(State(app): Ctx) -> Outcome<Agreements> {
    let all = app.contracts.agreements().list().await?;
    let now = (app.clock)();
    let all = all.into_iter();
    ok(Agreements {
        agreements: all.map(|stored| Agreement::of(stored, &app.trust, now)).collect(),
    })
}

/// An agreement with everything that an offline check of it needs, and how it stands to others.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShownAgreement)]
pub(super) struct Shown {
    #[serde(flatten)]
    export: AgreementExport,
    /// Other agreements in force between the same parties about the same dataset, one of which permits what the other prohibits. Each is kept
    /// by itself.
    contradicts: Vec<Contradiction>,
    /// How many others were not compared with it, because there are too many terms between the same parties about the same dataset.
    not_compared: usize,
}

/// One agreement with everything that an offline check of it needs, be it signed by both parties or by this one alone
#[utoipa::path(get, path = "/v1/agreements/{id}", tag = "agreements", responses((status = OK, body = Shown)))]
pub(super) async fn agreement(State(app): Ctx, Path(name): Path<String>) -> Outcome<Shown> {
    let wanted: AgreementId = id(&name, "agreement")?;
    let stored = app.contracts.agreements().get(&wanted).await?;
    let stored = stored.ok_or_else(|| Problem::not_found("agreement"))?;
    let found = app.contracts.contradicted(&stored).await?;
    ok(Shown {
        export: stored.export()?,
        contradicts: found.by,
        not_compared: found.not_compared,
    })
}

/// What was paid under an agreement, as it was recorded last
#[utoipa::path(get, path = "/v1/agreements/{id}/payment", tag = "agreements", responses((status = OK, body = Payment)))]
pub(super) async fn payment(State(app): Ctx, Path(name): Path<String>) -> Outcome<Payment> {
    let paid = app.contracts.agreements().paid(&id(&name, "agreement")?).await?;
    ok(paid.ok_or_else(|| Problem::not_found("payment"))?)
}

/// Record what was paid under an agreement in all
///
/// For constraints on `odrl:payAmount`: transfers that start from now on are decided by it. It takes the place of what was recorded before.
#[utoipa::path(post, path = "/v1/agreements/{id}/payment", tag = "agreements", request_body = Payment, responses((status = OK, body = Payment)))]
pub(super) async fn payment_record(
    State(app): Ctx,
    Path(name): Path<String>,
    Body(payment): Body<Payment>,
) -> Outcome<Payment> {
    let id = id(&name, "agreement")?;
    ok(app.contracts.record_payment(&id, payment, (app.clock)()).await?)
}
