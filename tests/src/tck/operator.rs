//! The connector's operator during the run: follows the event feed, and gives the commands of [`script`](super::script) through the
//! management API, one script for each process.

use super::{
    events::{Event, Reader},
    script::Script,
};
use crate::harness::text;
use connector::net::{NetError, local::Local};
use futures_util::StreamExt;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// How long the operator thinks. The kit moves its own state only some time after an answer or a message, and polls every 100 ms; a
/// reaction that comes earlier breaks its tests.
const REACTION: Duration = Duration::from_millis(500);

/// What the driver did and saw, for whoever reads about a failure.
pub struct Journal {
    file: Mutex<File>,
    begun: Instant,
}

impl Journal {
    /// A new file.
    pub fn new(path: &Path) -> Arc<Self> {
        let file = Mutex::new(File::create(path).expect("a journal can be written"));
        Arc::new(Self {
            file,
            begun: Instant::now(),
        })
    }

    /// One line.
    pub fn line(&self, text: &str) {
        let mut file = self.file.lock().expect("nobody panics with it");
        let _ = writeln!(file, "{:9.3} {text}", self.begun.elapsed().as_secs_f64());
    }

    /// A call of the management API and its answer.
    pub fn note(&self, what: &str, answer: &Result<(StatusCode, Value), NetError>) {
        match answer {
            Ok((status, _)) if status.is_success() => self.line(&format!("{what}: {}", status.as_u16())),
            Ok((status, said)) => self.line(&format!("{what}: REFUSED {status} {said}")),
            Err(error) => self.line(&format!("{what}: FAILED {error}")),
        }
    }
}

/// The scripts, and what transfers' agreements are called there.
pub struct Operator {
    api: Local,
    journal: Arc<Journal>,
    names: Mutex<BTreeMap<String, String>>,
}

impl Operator {
    /// Follows the feed from now on, until it ends; the task's end is a fault, since the feed has none.
    pub async fn start(api: Local, journal: Arc<Journal>) -> (Arc<Self>, JoinHandle<String>) {
        let operator = Arc::new(Self {
            api,
            journal,
            names: Mutex::default(),
        });
        let (status, mut feed) = operator.api.open("/v1/events").await.expect("the event feed");
        assert!(status.is_success(), "the event feed: {status}");
        let this = operator.clone();
        let followed = tokio::spawn(async move {
            let (mut reader, mut scripts) = (Reader::default(), HashMap::new());
            while let Some(chunk) = feed.next().await {
                match chunk {
                    Ok(bytes) => reader
                        .feed(&bytes)
                        .iter()
                        .for_each(|event| this.take(event, &mut scripts)),
                    Err(error) => return error.to_string(),
                }
            }
            "the event feed ended".to_owned()
        });
        (operator, followed)
    }

    /// Says which agreement is which test's: keys to ids.
    pub fn name(&self, agreements: &BTreeMap<String, String>) {
        let names = agreements.iter().map(|(key, id)| (id.clone(), key.clone()));
        self.names.lock().expect("nobody panics with it").extend(names);
    }

    fn take(self: &Arc<Self>, event: &Event, scripts: &mut HashMap<String, Option<Script>>) {
        self.journal.line(&format!("event {} {}", event.name, event.data));
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
            return self.journal.line("FAULT the event is not JSON");
        };
        let (collection, key) = match &*event.name {
            "negotiation" => ("negotiations", text(&data, "dataset")),
            "transfer" => ("transfers", self.key_of(&text(&data, "agreement"))),
            _ => return,
        };
        let pid = text(&data, "pid");
        let script = scripts.entry(pid.clone()).or_insert_with(|| {
            let script = Script::of(&key);
            if script.is_none() {
                self.journal.line(&format!("FAULT no script for {key:?}"));
            }
            script
        });
        let settled = data["pending"].as_array().is_none_or(Vec::is_empty);
        if let Some(command) = script
            .as_mut()
            .and_then(|script| script.enter(&text(&data, "state"), settled))
        {
            let this = self.clone();
            tokio::spawn(async move { this.command(collection, &pid, &key, command).await });
        }
    }

    fn key_of(&self, agreement: &str) -> String {
        self.names
            .lock()
            .expect("nobody panics with it")
            .get(agreement)
            .cloned()
            .unwrap_or_default()
    }

    async fn command(&self, collection: &str, pid: &str, key: &str, command: &str) {
        tokio::time::sleep(REACTION).await;
        let path = format!("/v1/{collection}/{pid}/{command}");
        let answer = self.api.call(Method::POST, &path, Some(&json!({}))).await;
        self.journal.note(&format!("{key} {path}"), &answer);
    }
}
