//! Real connectors for tests: made with `connector init`, run as processes of the real binary, spoken to through their management
//! sockets. Every process ends with the value that holds it.

use connector::net::local::{Endpoint, Local};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The purpose of the tests' agreements.
pub const PURPOSE: &str = "https://w3id.org/dases/ns/purpose/orientation";
/// A well-formed hash of a notice.
pub const NOTICE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// The `connector` binary: `CONNECTOR_BIN`, or the one beside the running test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("CONNECTOR_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("a test lies two folders below the profile's");
    let path = folder.join("connector");
    assert!(
        path.exists(),
        "{} is missing: build it first (cargo build -p connector, same profile)",
        path.display()
    );
    path
}

/// Some connectors that know each other, all below one folder.
pub struct World {
    /// Removed at the end.
    pub folder: TempDir,
    /// In the order of their names.
    pub connectors: Vec<Connector>,
}

impl World {
    /// Makes and starts connectors with these names; each lists all others as peers.
    pub async fn start(names: &[&'static str]) -> Self {
        Self::start_with(names, |_, config| config).await
    }

    /// The same, with a change to each configuration file before the start.
    pub async fn start_with(names: &[&'static str], change: impl Fn(&str, String) -> String) -> Self {
        let mut world = Self::init(names);
        for connector in &mut world.connectors {
            let text = fs::read_to_string(connector.config()).expect("init wrote a configuration");
            fs::write(connector.config(), change(connector.name, text)).expect("a configuration can be written");
            connector.start().await;
        }
        world
    }

    /// Makes connectors without starting them.
    pub fn init(names: &[&'static str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let held: Vec<TcpListener> = names.iter().map(|_| free()).collect();
        let port = |at: usize| held[at].local_addr().expect("a bound port").port();
        let did = |at: usize| format!("did:web:localhost%3A{}", port(at));
        let connectors: Vec<Connector> = names
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let dir = folder.path().join(name);
                let mut command = Command::new(binary());
                command
                    .args(["init", "--allow-private", "--did", &did(at), "--dir"])
                    .arg(&dir);
                command.args(["--listen", &format!("127.0.0.1:{}", port(at))]);
                if at > 0 {
                    command.arg("--ca").arg(folder.path().join(names[0]));
                }
                for (other, peer) in names.iter().enumerate().filter(|(other, _)| *other != at) {
                    command.args(["--peer", &format!("{}={peer}", did(other))]);
                }
                let made = command.output().expect("connector init runs");
                assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
                Connector {
                    name,
                    did: did(at),
                    port: port(at),
                    dir,
                    process: None,
                    environment: Vec::new(),
                }
            })
            .collect();
        Self { folder, connectors }
    }

    /// A connector by name.
    pub fn get(&self, name: &str) -> &Connector {
        self.connectors
            .iter()
            .find(|connector| connector.name == name)
            .expect("a connector of that name")
    }

    /// A connector by name, to stop or start it.
    pub fn get_mut(&mut self, name: &str) -> &mut Connector {
        self.connectors
            .iter_mut()
            .find(|connector| connector.name == name)
            .expect("a connector of that name")
    }
}

/// A port below those that the system hands out by itself, each only once in this process: between its choice and the daemon's start no
/// other test and no outgoing connection can take it.
pub fn free() -> TcpListener {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    (0..10_000)
        .find_map(|_| {
            let at = std::process::id()
                .wrapping_mul(97)
                .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let port = u16::try_from(20_000 + at % 10_000).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
        })
        .expect("a free port")
}

/// One connector.
pub struct Connector {
    /// Its name among its peers.
    pub name: &'static str,
    /// Its DID.
    pub did: String,
    /// Its public port on localhost.
    pub port: u16,
    /// Its folder.
    pub dir: PathBuf,
    /// Variables for its process (a fault shim).
    pub environment: Vec<(String, String)>,
    process: Option<Child>,
}

impl Connector {
    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("connector.toml")
    }

    /// Its public root address.
    pub fn root(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("connector.log")).unwrap_or_default()
    }

    /// Starts the process; the log goes on where it was.
    pub fn spawn(&mut self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.join("connector.log"))
            .expect("a log file");
        let mut command = Command::new(binary());
        command
            .arg("serve")
            .arg("--config")
            .arg(self.config())
            .envs(self.environment.clone());
        self.process = Some(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("connector serve runs"),
        );
    }

    /// Starts the process and waits until it is ready.
    pub async fn start(&mut self) {
        self.spawn();
        assert!(self.ready().await, "{} did not start:\n{}", self.name, self.log());
    }

    /// Waits until the management API answers; `false` when the process ended instead.
    pub async fn ready(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if self.api().call(Method::GET, "/v1/peers", None).await.is_ok() {
                return true;
            }
            if self
                .process
                .as_mut()
                .is_none_or(|process| process.try_wait().ok().flatten().is_some())
            {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Sends a signal by name (`TERM`, `HUP`).
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .expect("kill runs");
        assert!(sent.success());
    }

    /// SIGTERM, and what the process ended with; panics after half a minute.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.signal("TERM");
        let mut process = self.process.take().expect("a running process");
        let begun = Instant::now();
        loop {
            if let Some(status) = process.try_wait().expect("a process of ours") {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{} did not stop", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running process").id()
    }

    /// No process runs.
    pub fn is_stopped(&self) -> bool {
        self.process.is_none()
    }

    /// Resident memory, in MiB.
    pub fn rss_mib(&self) -> f64 {
        rss_mib(self.pid())
    }

    /// The management API.
    pub fn api(&self) -> Local {
        Local::new(Endpoint::Socket(self.dir.join("management.sock"))).expect("a client")
    }

    /// Calls the management API.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        self.api()
            .call(method, path, body)
            .await
            .unwrap_or_else(|error| panic!("{}: {path}: {error}\n{}", self.name, self.log()))
    }

    /// Calls the management API and expects success.
    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, None).await;
        assert!(status.is_success(), "{}: GET {path}: {status} {answer}", self.name);
        answer
    }

    /// Calls the management API and expects success.
    pub async fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, Some(body)).await;
        assert!(
            status.is_success(),
            "{}: POST {path}: {status} {answer}\n{}",
            self.name,
            self.log()
        );
        answer
    }

    /// Runs a command of the CLI against this connector.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        Command::new(binary())
            .arg("--config")
            .arg(self.config())
            .args(arguments)
            .output()
            .expect("the CLI runs")
    }

    /// Writes `count` small records of `learners` learners (`l0`, `l1`, …, in turn) and publishes them as the dataset `records`.
    pub async fn publish(&self, count: u64, learners: u64) -> PathBuf {
        self.publish_under(count, learners, offer()).await
    }

    /// The same under other terms than [`offer`].
    pub async fn publish_under(&self, count: u64, learners: u64, offer: Value) -> PathBuf {
        let path = self.dir.join("records.ndjson");
        let mut text = String::new();
        for k in 0..count {
            text += &record(k, k % learners);
        }
        fs::write(&path, text).expect("records can be written");
        self.post("/v1/datasets", &dataset("records", &path, offer)).await;
        path
    }

    /// Publishes a file as the dataset `records` with [`offer`].
    pub async fn publish_file(&self, path: &Path) {
        self.post("/v1/datasets", &dataset("records", path, offer())).await;
    }

    /// Records consents of learners `l0`… below `learners` for one recipient.
    pub async fn consent(&self, learners: u64, recipient: &str) {
        let consents: Vec<Value> = (0..learners)
            .map(|learner| consent(&format!("l{learner}"), recipient))
            .collect();
        for chunk in consents.chunks(500) {
            self.post("/v1/consents", &json!(chunk)).await;
        }
    }

    /// Negotiates the dataset `records` of a peer to the end; returns the agreement's id.
    pub async fn negotiate(&self, provider: &Self) -> String {
        self.negotiate_for(provider, "records").await
    }

    /// The same for any dataset.
    pub async fn negotiate_for(&self, provider: &Self, dataset: &str) -> String {
        let opened = self
            .post("/v1/negotiations", &json!({"peer": provider.did, "offer": dataset}))
            .await;
        let ended = self
            .get(&format!("/v1/negotiations/{}/wait?timeout=30", text(&opened, "pid")))
            .await;
        assert_eq!(
            text(&ended, "stateName"),
            "FINALIZED",
            "{ended}\n{}\n{}",
            self.log(),
            provider.log()
        );
        text(&ended, "agreementId")
    }

    /// Starts a transfer; returns our id of it.
    pub async fn transfer(&self, agreement: &str) -> String {
        text(
            &self.post("/v1/transfers", &json!({ "agreement": agreement })).await,
            "pid",
        )
    }

    /// Waits until a transfer has this state and returns it.
    pub async fn transfer_until(&self, pid: &str, state: &str) -> Value {
        let begun = Instant::now();
        loop {
            let shown = self.get(&format!("/v1/transfers/{pid}")).await;
            if text(&shown, "stateName") == state {
                return shown;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "not {state}: {shown}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The records of a complete transfer as they came, control lines included.
    pub fn received(&self, pid: &str) -> Vec<Value> {
        let name = format!("{}.ndjson", pid.rsplit(':').next().unwrap_or_default());
        let text = fs::read_to_string(self.dir.join("received").join(name)).expect("received records");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }
}

/// Resident memory of a process, in MiB.
pub fn rss_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}

impl Drop for Connector {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A string member.
pub fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// One small record.
pub fn record(number: u64, learner: u64) -> String {
    let record = json!({
        "id": format!("urn:record:{number}"), "sub": format!("l{learner}"), "person": {"name": format!("Learner {learner}")},
        "skills": [{"fw": "esco", "code": format!("http://data.europa.eu/esco/skill/{number}")}], "result": {"value": "0.5"},
    });
    format!("{record}\n")
}

/// An offer for orientation, of skills and results, with the learners' consent.
pub fn offer() -> Value {
    json!({"permission": [{"action": "use", "constraint": [
        {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": PURPOSE},
        {"leftOperand": "dases:dataCategory", "operator": "isAnyOf", "rightOperand": ["skills", "results"]},
        {"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given"},
    ]}]})
}

/// The same with one more constraint.
pub fn offer_and(constraint: Value) -> Value {
    let mut offer = offer();
    let constraints = offer["permission"][0]["constraint"].as_array_mut();
    constraints.expect("the offer has constraints").push(constraint);
    offer
}

/// A dataset over a file of [`record`]s.
pub fn dataset(id: &str, path: &Path, offer: Value) -> Value {
    json!({
        "id": id, "source": {"type": "file", "path": path}, "subject": "/sub",
        "categories": {"identity": ["/person"], "skills": ["/id", "/skills"], "results": ["/result"]}, "offer": offer,
    })
}

/// A consent for [`offer`].
pub fn consent(subject: &str, recipient: &str) -> Value {
    json!({"subject": subject, "recipients": [recipient], "purposes": [PURPOSE], "categories": ["skills", "results"],
        "method": "paper-form", "notice": NOTICE, "evidence": "file 1"})
}
