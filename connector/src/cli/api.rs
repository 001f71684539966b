//! The management API as commands use it: paths that are safe to build, and answers that are either a value or a failure.

use super::exit::{Exit, Failure, Outcome};
use crate::net::local::{Endpoint, Local};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::Method;
use policy::Language;
use serde_json::Value;

/// Longest line of a stream, in bytes; longer ones are not from our daemon.
const LONGEST_LINE: usize = 64 * 1024;

/// A daemon, not yet contacted.
pub(super) struct Api(Local);

impl Api {
    pub(super) fn new(endpoint: Endpoint, language: Language) -> Outcome<Self> {
        Ok(Self(Local::new(endpoint)?.in_language(language.tag())))
    }

    pub(super) async fn get(&self, path: &str) -> Outcome<Value> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Outcome<Value> {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Outcome<Value> {
        let (status, answer) = self.0.call(method, path, body).await?;
        if status.is_success() {
            Ok(answer)
        } else {
            Err(Failure::answered(status.as_u16(), &answer))
        }
    }

    /// The body of an answer as it arrives.
    pub(super) async fn stream(&self, path: &str) -> Outcome<impl Stream<Item = Outcome<Bytes>> + Unpin + use<>> {
        self.open(path, None).await
    }

    async fn open(
        &self,
        path: &str,
        since: Option<u64>,
    ) -> Outcome<impl Stream<Item = Outcome<Bytes>> + Unpin + use<>> {
        let (status, mut body) = self.0.follow(path, since).await?;
        if status.is_success() {
            return Ok(body.map(|chunk| Ok(chunk?)));
        }
        let mut error = Vec::new();
        while let Some(Ok(chunk)) = body.next().await {
            error.extend_from_slice(chunk.get(..LONGEST_LINE.min(chunk.len())).unwrap_or_default());
            if error.len() >= LONGEST_LINE {
                break;
            }
        }
        Err(Failure::answered(
            status.as_u16(),
            &serde_json::from_slice(&error).unwrap_or(Value::Null),
        ))
    }

    /// The lines of an NDJSON answer, each handed to `each` as it arrives.
    pub(super) async fn lines(&self, path: &str, mut each: impl FnMut(Value) -> Outcome) -> Outcome {
        let body = self.stream(path).await?;
        split(body, |line| {
            each(serde_json::from_slice(line).map_err(|_| not_understood())?)
        })
        .await
    }

    /// Server-sent events from the one after `since` on, each handed to `each` with its id and name.
    pub(super) async fn events(
        &self,
        path: &str,
        since: Option<u64>,
        mut each: impl FnMut(u64, &str, Value) -> Outcome,
    ) -> Outcome {
        let body = self.open(path, since).await?;
        let (mut id, mut name, mut data) = (0, String::new(), String::new());
        split(body, |line| {
            let line = std::str::from_utf8(line).map_err(|_| not_understood())?;
            match line.trim_end().split_once(": ") {
                Some(("id", value)) => id = value.parse().map_err(|_| not_understood())?,
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("data", value)) => value.clone_into(&mut data),
                _ if line.trim_end().is_empty() && !data.is_empty() => {
                    each(id, &name, serde_json::from_str(&data).map_err(|_| not_understood())?)?;
                    data.clear();
                }
                _ => {}
            }
            Ok(())
        })
        .await
    }
}

async fn split(
    mut body: impl Stream<Item = Outcome<Bytes>> + Unpin,
    mut each: impl FnMut(&[u8]) -> Outcome,
) -> Outcome {
    let mut rest: Vec<u8> = Vec::new();
    while let Some(chunk) = body.next().await {
        rest.extend_from_slice(&chunk?);
        while let Some(end) = memchr::memchr(b'\n', &rest) {
            let line: Vec<u8> = rest.drain(..=end).collect();
            each(&line)?;
        }
        if rest.len() > LONGEST_LINE {
            return Err(not_understood());
        }
    }
    Ok(())
}

fn not_understood() -> Failure {
    Failure::new(Exit::Failed, "the daemon's answer is not understood")
        .next("use the same version of `connector` for the daemon and for this command")
}

/// A path of fixed and variable segments: `path(&["negotiations", pid, "wait"])`.
pub(super) fn path(segments: &[&str]) -> Outcome<String> {
    let mut path = String::from("/v1");
    for segment in segments {
        // URL parsers remove dot segments, encoded or not; an empty one would name the list instead of the item.
        if matches!(*segment, "" | "." | "..") {
            return Err(
                Failure::usage(format!("{segment:?} cannot be an id")).next("take the id from the command's `list`")
            );
        }
        path.push('/');
        path.push_str(&encode(segment));
    }
    Ok(path)
}

/// Percent-encodes everything but unreserved characters (RFC 3986 §2.3): fit for a path segment and for a query value.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_leave_its_segment() {
        assert_eq!(
            path(&["negotiations", "urn:uuid:1", "wait"]).unwrap(),
            "/v1/negotiations/urn%3Auuid%3A1/wait"
        );
        assert_eq!(
            path(&["datasets", "../status?x#y/é"]).unwrap(),
            "/v1/datasets/..%2Fstatus%3Fx%23y%2F%C3%A9"
        );
        for bad in ["", ".", ".."] {
            assert_eq!(path(&["datasets", bad]).unwrap_err().exit(), Exit::Usage);
        }
    }

    #[test]
    fn an_encoded_path_survives_the_url_parser() {
        let path = path(&["datasets", "a:b%2e/c d"]).unwrap();
        let url = url::Url::parse(&format!("http://connector{path}")).unwrap();
        assert_eq!(url.path(), path);
    }

    #[tokio::test]
    async fn no_daemon_is_told_as_such() {
        let api = Api::new(
            Endpoint::Socket("/nonexistent/management.sock".into()),
            Language::English,
        )
        .unwrap();
        assert_eq!(api.get("/v1/status").await.unwrap_err().exit(), Exit::Unreachable);
    }
}
