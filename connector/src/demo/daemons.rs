//! Three daemons of this same binary: made with `init`, run with `serve`, spoken to through their management sockets.

use super::run::DemoError;
use crate::net::local::{Endpoint, Local};
use http::{Method, StatusCode};
use serde_json::Value;
use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long a daemon may take to be ready.
const START: Duration = Duration::from_secs(20);

/// One running connector.
pub(super) struct Daemon {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) did: String,
    pub(super) dir: PathBuf,
    pub(super) startup_ms: f64,
    process: Child,
    keep: bool,
    api: Local,
}

/// A participant before its daemon runs.
pub(super) struct Planned {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) did: String,
    port: u16,
}

/// Participants with a port each that is free now.
pub(super) fn plan(names: &[(&'static str, &'static str)]) -> Result<Vec<Planned>, DemoError> {
    // All ports are held until all are known, so that no two are the same.
    let held: Vec<TcpListener> = names
        .iter()
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    names
        .iter()
        .zip(&held)
        .map(|((name, title), listener)| {
            let port = listener.local_addr()?.port();
            Ok(Planned {
                name,
                title,
                did: format!("did:web:localhost%3A{port}"),
                port,
            })
        })
        .collect()
}

impl Planned {
    /// Makes keys, certificate and configuration with `connector init`.
    pub(super) fn init(&self, root: &Path, all: &[Self], pace: u64) -> Result<(), DemoError> {
        let dir = root.join(self.name);
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["init", "--json", "--allow-private", "--did", &self.did, "--dir"])
            .arg(&dir);
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        if let Some(first) = all.first().filter(|first| first.name != self.name) {
            command.arg("--ca").arg(root.join(first.name));
        }
        for peer in all.iter().filter(|peer| peer.name != self.name) {
            command.args(["--peer", &format!("{}={}", peer.did, peer.name)]);
        }
        let made = command.stdin(Stdio::null()).output()?;
        if !made.status.success() {
            return Err(DemoError::Step(
                "connector init",
                String::from_utf8_lossy(&made.stderr).into_owned(),
            ));
        }
        let path = dir.join("connector.toml");
        // What is shown at the end is what was received.
        let mut text = std::fs::read_to_string(&path)?.replace("#erase_after = \"10s\"", "erase_after = \"1d\"");
        if pace > 0 {
            let line = format!("stream_bytes_per_second = {pace}");
            text = text.replace("#stream_bytes_per_second = 0", &line);
        }
        std::fs::write(&path, text)?;
        Ok(())
    }

    /// Starts `connector serve` and waits until its management API answers.
    pub(super) async fn start(&self, root: &Path, keep: bool) -> Result<Daemon, DemoError> {
        let dir = root.join(self.name);
        let log = std::fs::File::create(dir.join("connector.log"))?;
        let begun = Instant::now();
        let process = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg("--config")
            .arg(dir.join("connector.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let api = Local::new(Endpoint::Socket(dir.join("management.sock")))
            .map_err(|error| DemoError::Step("api", error.to_string()))?;
        let mut daemon = Daemon {
            name: self.name,
            title: self.title,
            did: self.did.clone(),
            dir,
            startup_ms: 0.0,
            process,
            keep,
            api,
        };
        loop {
            if daemon.api.call(Method::GET, "/v1/peers", None).await.is_ok() {
                daemon.startup_ms = begun.elapsed().as_secs_f64() * 1000.0;
                return Ok(daemon);
            }
            if let Some(status) = daemon.process.try_wait()? {
                return Err(DemoError::Step(
                    "connector serve",
                    format!(
                        "it ended with {status}; see {}",
                        daemon.dir.join("connector.log").display()
                    ),
                ));
            }
            if begun.elapsed() > START {
                return Err(DemoError::Step("connector serve", "it was not ready in time".into()));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Daemon {
    /// Calls the management API; anything but success is an error with what the daemon said.
    pub(super) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, DemoError> {
        let (status, answer) = self.try_call(method, path, body).await?;
        if status.is_success() {
            return Ok(answer);
        }
        let message = answer
            .pointer("/error/message")
            .and_then(Value::as_str)
            .unwrap_or("no explanation");
        Err(DemoError::Step(
            "management API",
            format!("{}: {path}: {status}: {message}", self.name),
        ))
    }

    /// Calls the management API and leaves the status to the caller.
    pub(super) async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), DemoError> {
        self.api
            .call(method, path, body)
            .await
            .map_err(|error| DemoError::Step("management API", error.to_string()))
    }

    /// The way to the management API, for streams.
    pub(super) fn api(&self) -> &Local {
        &self.api
    }

    /// Resident memory, in MiB.
    pub(super) fn rss_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
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
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // An orderly end first, as an operator would do it; then by force.
        let _ = Command::new("kill")
            .arg("-TERM")
            .arg(self.process.id().to_string())
            .stderr(Stdio::null())
            .status();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
