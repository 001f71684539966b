//! The driver of the Dataspace Protocol conformance kit (TCK): an operator in a program. It starts the unmodified connector with manual
//! decisions, seeds it through the management API, takes the kit's two "initiate" calls, follows the event feed and decides by
//! [`script`]; then it runs the kit and judges what it printed. Nothing here is known to the product.

pub mod events;
pub mod hooks;
pub mod kit;
pub mod operator;
pub mod plain;
pub mod properties;
pub mod script;
pub mod seed;
pub mod subject;
pub mod verdict;

use axum::Router;
use connector::http::{Limits, server};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The participant as which the kit speaks; it cannot be configured.
pub const PARTICIPANT: &str = "TCK_PARTICIPANT";
/// The one distribution format of what is seeded.
pub const FORMAT: &str = "HttpData-PULL";

/// A free loopback port and the root address of what will listen there.
async fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let root = format!("http://{}", listener.local_addr().expect("a bound port"));
    (listener, root)
}

/// Serves until the process ends.
fn serve(listener: TcpListener, routes: Router) {
    let stop = CancellationToken::new();
    tokio::spawn(server::serve_loopback(listener, routes, Limits::default(), stop));
}

/// A request's body, or null.
fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or(Value::Null)
}
