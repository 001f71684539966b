//! Keys that are kept elsewhere: a program of the operator's signs, without a shell between. The seam for a hardware module.
//!
//! The program reads the bytes to sign from its standard input until that ends, and writes the signature, 64 bytes in base64url without
//! padding, to its standard output; for ES256 those are r and s (RFC 7518 §3.4), never DER. Whatever it says on its standard error goes
//! nowhere: it may be about the key.

use crate::jose::{
    base64url,
    key::{External, ExternalError, SIGNATURE_LEN},
};
use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    runtime::{Builder, Handle, RuntimeFlavor},
    time::timeout,
};

/// How many of the program run at once: a hardware module has few sessions.
const AT_ONCE: usize = 4;

/// How many may wait for it: each keeps a thread.
const WAITING: usize = 32;

/// More than a signature in base64url with a line end, and little enough to read whole.
const MOST_READ: u64 = 256;

/// The runs that are possible now, and who waits for one.
struct Places {
    free: usize,
    waiting: usize,
}

/// A program that signs.
pub struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    limit: Duration,
    places: Mutex<Places>,
    freed: Condvar,
}

impl Program {
    /// Runs `path` with these arguments for each signature; it has `limit` for an answer.
    pub fn new(path: PathBuf, arguments: Vec<String>, limit: Duration) -> Self {
        Self {
            path,
            arguments,
            limit,
            places: Mutex::new(Places {
                free: AT_ONCE,
                waiting: 0,
            }),
            freed: Condvar::new(),
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place, as long as for an answer, unless too many wait already.
    fn enter(&self) -> Result<Place<'_>, ExternalError> {
        let mut places = self.places();
        if places.free == 0 && places.waiting >= WAITING {
            return Err(ExternalError::Busy);
        }
        places.waiting += 1;
        let (mut places, _) = self
            .freed
            .wait_timeout_while(places, self.limit, |places| places.free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        places.waiting -= 1;
        places.free = places.free.checked_sub(1).ok_or(ExternalError::Busy)?;
        Ok(Place(self))
    }

    /// One run. A thread of its own has its own small runtime, because this may be called from inside one.
    fn run(&self, message: &[u8]) -> Result<Vec<u8>, ExternalError> {
        thread::scope(|scope| {
            let run = || {
                let runtime = Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|_| ExternalError::NotStarted)?;
                runtime.block_on(async {
                    timeout(self.limit, self.ask(message))
                        .await
                        .map_err(|_| ExternalError::TimedOut)?
                })
            };
            scope.spawn(run).join().map_err(|_| ExternalError::NotStarted)?
        })
    }

    /// Dropped half-way, this kills the program.
    async fn ask(&self, message: &[u8]) -> Result<Vec<u8>, ExternalError> {
        let mut child = Command::new(&self.path)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|_| ExternalError::NotStarted)?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ExternalError::NotStarted);
        };
        let write = async move {
            // A program that does not read to the end has failed, which its answer or its status says.
            drop(stdin.write_all(message).await);
        };
        let read = async move {
            let mut answer = Vec::new();
            let read = stdout.take(MOST_READ).read_to_end(&mut answer).await;
            read.map(|_| answer).map_err(|_| ExternalError::Malformed)
        };
        let ((), answer) = tokio::join!(write, read);
        let status = child.wait().await.map_err(|_| ExternalError::Failed(None))?;
        if status.success() {
            answer
        } else {
            Err(ExternalError::Failed(status.code()))
        }
    }
}

impl External for Program {
    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LEN], ExternalError> {
        let signed = aside(|| {
            let _place = self.enter()?;
            self.run(message)
        });
        let signature = signed.and_then(|answer| {
            let text = std::str::from_utf8(&answer).map_err(|_| ExternalError::Malformed)?;
            base64url::decode_array(text.trim_ascii_end()).ok_or(ExternalError::Malformed)
        });
        signature.inspect_err(|error| tracing::error!(program = %self.path.display(), "the external signer {error}"))
    }
}

/// Waits without keeping one of the runtime's workers from other work.
fn aside<T>(wait: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        _ => wait(),
    }
}

/// A place among the [`AT_ONCE`], given back when dropped.
struct Place<'a>(&'a Program);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.places().free += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::{Algorithm, SigningKey, VerifyingKey};
    use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Instant};

    /// A script in a folder of its own.
    fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("sign");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn said(text: &str, limit: Duration) -> Result<[u8; SIGNATURE_LEN], ExternalError> {
        let folder = tempfile::tempdir().unwrap();
        Program::new(script(folder.path(), text), Vec::new(), limit).sign(b"message")
    }

    const PATIENT: Duration = Duration::from_secs(10);

    #[test]
    fn a_signature_in_base64url_is_taken_and_nothing_else() {
        let good = base64url::encode(&[7; SIGNATURE_LEN]);
        assert_eq!(said(&format!("cat >/dev/null; echo {good}"), PATIENT), Ok([7; 64]));
        assert_eq!(
            said(&format!("printf %s {good}"), PATIENT),
            Ok([7; 64]),
            "it need not read"
        );
        let short = base64url::encode(&[7; 63]);
        for bad in [
            String::new(),
            format!("echo {short}"),
            format!("echo {good}="),
            format!("echo {good} {good}"),
            format!("echo; echo {good}"),
            "head -c 64 /dev/zero".into(),
            "head -c 1000000 /dev/zero || true".into(),
        ] {
            assert_eq!(said(&bad, PATIENT), Err(ExternalError::Malformed), "{bad}");
        }
    }

    #[test]
    fn each_failure_has_its_name() {
        assert_eq!(said("exit 3", PATIENT), Err(ExternalError::Failed(Some(3))));
        assert_eq!(said("kill -9 $$", PATIENT), Err(ExternalError::Failed(None)));
        let nowhere = Program::new("/nonexistent/sign".into(), Vec::new(), PATIENT);
        assert_eq!(nowhere.sign(b"x"), Err(ExternalError::NotStarted));
        let before = Instant::now();
        assert_eq!(
            said("exec sleep 60", Duration::from_millis(200)),
            Err(ExternalError::TimedOut)
        );
        assert!(before.elapsed() < PATIENT, "it is not waited for");
    }

    #[test]
    fn arguments_arrive_as_they_are_and_no_shell_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = script(
            folder.path(),
            r#"[ "$1" = '; echo $HOME' ] && [ "$#" = 1 ] || exit 9; printf %086d 0 | tr 0 A"#,
        );
        let program = Program::new(path, vec!["; echo $HOME".into()], PATIENT);
        assert_eq!(program.sign(b"x"), Ok([0; 64]));
    }

    /// Ed25519 through the command line of OpenSSL, which many modules are reached by.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn openssl_signs_and_the_only_worker_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let here = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let pem = folder.path().join("key.pem");
        fs::write(&pem, here.to_pem().unwrap()).unwrap();
        let text = format!(
            "cat > {0}/in.$$ && openssl pkeyutl -sign -rawin -inkey {0}/key.pem -in {0}/in.$$ | base64 -w0 | tr '+/' '-_' | tr -d =",
            folder.path().display()
        );
        let program = Program::new(script(folder.path(), &text), Vec::new(), PATIENT);
        let public: VerifyingKey = here.verifying_key().clone();
        let key = SigningKey::external(public.clone(), program);
        let signed: Vec<_> = (0..8u8)
            .map(|n| {
                let key = key.clone();
                tokio::spawn(async move { (n, key.sign(&[n; 100_000])) })
            })
            .collect();
        for task in signed {
            let (n, signature) = task.await.unwrap();
            public
                .verify(Algorithm::EdDsa, &[n; 100_000], &signature.unwrap())
                .unwrap();
        }
    }

    #[test]
    fn whoever_waits_too_long_for_a_place_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::new(
            script(folder.path(), "exec sleep 60"),
            Vec::new(),
            Duration::from_millis(300),
        );
        let places: Vec<_> = (0..AT_ONCE).map(|_| program.enter().unwrap()).collect();
        assert_eq!(program.sign(b"x"), Err(ExternalError::Busy));
        drop(places);
        assert_eq!(program.sign(b"x"), Err(ExternalError::TimedOut));
    }

    #[test]
    fn whoever_finds_too_many_waiting_is_told_at_once() {
        let program = Program::new("/nonexistent/sign".into(), Vec::new(), PATIENT);
        let places: Vec<_> = (0..AT_ONCE).map(|_| program.enter().unwrap()).collect();
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..WAITING)
                .map(|_| scope.spawn(|| program.enter().map(drop)))
                .collect();
            while program.places().waiting < WAITING {
                thread::sleep(Duration::from_millis(1));
            }
            let before = Instant::now();
            assert_eq!(program.sign(b"x"), Err(ExternalError::Busy));
            assert!(before.elapsed() < PATIENT);
            drop(places);
            for one in waiting {
                assert_eq!(one.join().unwrap(), Ok(()), "the others get their turn");
            }
        });
    }
}
