//! The event feed: every change of a negotiation or transfer, as server-sent events.

use super::Ctx;
use crate::{
    http::{App, problem::Problem},
    process::events::{Change, Heard, Listener},
};
use axum::{body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::json;
use std::{convert::Infallible, sync::Arc, time::Duration};

/// After this long without an event a comment shows that the connection lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Follow every change of a negotiation or transfer, as server-sent events
///
/// `id` is the event's number, `event` is `negotiation` or `transfer`, and `data` is a `Change`. An event `reset` says that changes were
/// missed which the daemon does not remember: list the negotiations and transfers then. The feed begins before the answer does, so
/// whoever lists them after the answer has begun misses nothing. It ends when the daemon stops.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<u64>, Header, description = "Go on after this event instead of from now on")),
    responses((status = OK, body = Change, content_type = "text/event-stream")))]
pub(super) async fn events(State(app): Ctx, headers: HeaderMap) -> Result<Response, Problem> {
    let seen = resumed(&headers)?;
    let listener = app.transfers.events().listen(seen);
    Ok(feed(app, listener))
}

/// The last event that the client has heard.
fn resumed(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    let id = id.ok_or_else(|| Problem::bad_request("invalid", "Last-Event-ID is not the number of an event"))?;
    Ok(Some(id))
}

fn feed(app: Arc<App>, listener: Listener) -> Response {
    // The number alone, without data, is no event for a client, but it knows from where to go on when the connection breaks now.
    let first = format!("retry: 1000\nid: {}\n\n", listener.seen());
    let first = futures_util::stream::iter([first]);
    let rest = futures_util::stream::unfold((app, listener), |(app, mut listener)| async move {
        let text = tokio::select! {
            heard = listener.next() => written(&heard),
            () = tokio::time::sleep(KEEP_ALIVE) => ":\n\n".to_owned(),
            () = app.shutdown.cancelled() => return None,
        };
        Some((text, (app, listener)))
    });
    let frames = futures_util::StreamExt::chain(first, rest);
    let frames = futures_util::StreamExt::map(frames, |text| Ok::<_, Infallible>(Frame::data(Bytes::from(text))));
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn written(heard: &Heard) -> String {
    let (id, name, data) = match heard {
        Heard::Event(event) => (event.id, event.change.protocol.name(), json!(event.change)),
        Heard::Missed(newest) => (
            *newest,
            "reset",
            json!({"message": "events were missed that are not remembered; list the negotiations and transfers"}),
        ),
    };
    format!("id: {id}\nevent: {name}\ndata: {data}\n\n")
}
