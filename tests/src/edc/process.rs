//! An EDC runtime as a process: its settings, its start until it is ready, its log and its end. It keeps everything in memory.

use crate::harness;
use connector::jose::{Algorithm, SigningKey};
use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A release of EDC: its version and the folder with its jars.
#[derive(Clone, Debug)]
pub struct Release {
    /// `0.14.1`
    pub version: String,
    /// Made by `maven_libs` of `tests/run`.
    pub libs: PathBuf,
}

impl Release {
    /// Reads `VERSION=FOLDER`.
    pub fn parse(text: &str) -> Option<Self> {
        let (version, libs) = text.split_once('=')?;
        Some(Self {
            version: version.to_owned(),
            libs: libs.into(),
        })
    }

    /// Only the first line of releases brings the endpoint from which others pull (edc.md §4.2).
    pub fn serves_pulls(&self) -> bool {
        self.libs_named("data-plane-public-api-v2")
    }

    fn libs_named(&self, module: &str) -> bool {
        fs::read_dir(&self.libs).is_ok_and(|mut jars| {
            jars.any(|jar| jar.is_ok_and(|jar| jar.file_name().to_string_lossy().starts_with(module)))
        })
    }
}

/// The ports of one runtime.
#[derive(Clone, Copy, Debug)]
struct Ports {
    health: u16,
    management: u16,
    protocol: u16,
    control: u16,
    public: u16,
    version: u16,
}

/// One running EDC.
pub struct Edc {
    /// Its participant id.
    pub id: String,
    /// What it runs.
    pub release: Release,
    pub(super) client: reqwest::Client,
    ports: Ports,
    folder: TempDir,
    process: Child,
}

impl Edc {
    /// Starts an EDC that tells others to reach it under `callback` (its own protocol address if there is none). `wait` is the pause of
    /// its state machines between two looks at the store, in milliseconds; its default is 1000.
    pub async fn start(release: &Release, id: &str, callback: Option<&str>, wait: Option<u32>) -> Self {
        let held: Vec<_> = (0..6).map(|_| harness::free()).collect();
        let port = |at: usize| held[at].local_addr().expect("a bound port").port();
        let ports = Ports {
            health: port(0),
            management: port(1),
            protocol: port(2),
            control: port(3),
            public: port(4),
            version: port(5),
        };
        drop(held);
        let folder = TempDir::new().expect("a temporary folder");
        let own = format!("http://localhost:{}/protocol", ports.protocol);
        let settings = settings(id, callback.unwrap_or(&own), ports, wait);
        let path = folder.path().join("edc.properties");
        fs::write(&path, settings).expect("settings can be written");
        let log = fs::File::create(folder.path().join("edc.log")).expect("a log file");
        let process = Command::new("java")
            .arg(format!("-Dedc.fs.config={}", path.display()))
            .arg("-cp")
            .arg(release.libs.join("*"))
            .arg("org.eclipse.edc.boot.system.runtime.BaseRuntime")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("java runs");
        let mut edc = Self {
            id: id.to_owned(),
            release: release.clone(),
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            ports,
            folder,
            process,
        };
        edc.wait_until_ready().await;
        edc
    }

    /// Its readiness endpoint answers before its APIs are there, so the log has the last word.
    async fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        while !self
            .log()
            .lines()
            .any(|line| line.contains("Runtime ") && line.ends_with(" ready"))
        {
            let ended = self.process.try_wait().expect("a process of ours");
            assert!(
                ended.is_none() && begun.elapsed() < Duration::from_secs(180),
                "EDC {} did not start:\n{}",
                self.release.version,
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let readiness = format!("http://localhost:{}/api/check/readiness", self.ports.health);
        let answer = self.client.get(readiness).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", self.log());
    }

    /// The root of its protocol endpoints, without the version's path.
    pub fn protocol(&self) -> String {
        format!("http://localhost:{}/protocol", self.ports.protocol)
    }

    /// The root of its management API.
    pub(super) fn management(&self) -> String {
        format!("http://localhost:{}/management/v3", self.ports.management)
    }

    /// Its log so far, without colours.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("edc.log")).unwrap_or_default();
        let mut parts = log.split("\u{1b}[");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            text + part.split_once('m').map_or("", |(_, rest)| rest)
        })
    }

    /// The last complaint in its log after its first `before` bytes.
    pub fn complaint(&self, before: usize) -> Option<String> {
        let log = self.log();
        let new = log.get(before..).unwrap_or(&log);
        let mut lines = new.lines().rev();
        let found = lines.find(|line| {
            ["SEVERE", "ERROR", "WARNING"]
                .iter()
                .any(|level| line.starts_with(level))
        });
        found.map(|line| line.chars().take(400).collect())
    }

    /// Resident memory, in MiB.
    pub fn rss_mib(&self) -> f64 {
        harness::rss_mib(self.process.id())
    }
}

impl Drop for Edc {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn settings(id: &str, callback: &str, ports: Ports, wait: Option<u32>) -> String {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let private = String::from_utf8_lossy(&key.to_pem().expect("a key of ours"))
        .trim()
        .replace('\n', "\\n");
    let Ports {
        health,
        management,
        protocol,
        control,
        public,
        version,
    } = ports;
    let mut text = format!(
        "edc.participant.id={id}\nedc.hostname=localhost\nedc.dsp.callback.address={callback}\n\
         web.http.port={health}\nweb.http.path=/api\n\
         web.http.management.port={management}\nweb.http.management.path=/management\n\
         web.http.protocol.port={protocol}\nweb.http.protocol.path=/protocol\n\
         web.http.control.port={control}\nweb.http.control.path=/control\n\
         web.http.public.port={public}\nweb.http.public.path=/public\n\
         web.http.version.port={version}\nweb.http.version.path=/version\n\
         edc.dataplane.api.public.baseurl=http://localhost:{public}/public\n\
         edc.transfer.proxy.token.signer.privatekey.alias=private-key\n\
         edc.transfer.proxy.token.verifier.publickey.alias=public-key\n\
         private-key={private}\nedc.iam.publickeys.pk.id=public-key\nedc.iam.publickeys.pk.value={}\n",
        key.public_jwk()
    );
    for part in ["negotiation.consumer", "negotiation.provider", "transfer", "dataplane"] {
        if let Some(wait) = wait {
            text += &format!("edc.{part}.state-machine.iteration-wait-millis={wait}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_names_its_version_and_its_jars() {
        let release = Release::parse("0.14.1=/x/lib").unwrap();
        assert_eq!(
            (release.version.as_str(), release.libs),
            ("0.14.1", PathBuf::from("/x/lib"))
        );
        assert!(Release::parse("0.14.1").is_none());
    }
}
