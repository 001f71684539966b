//! Our own presentation. Anyone may ask for it, so that asking costs no signature but now and then: it is made anew when half its time has
//! passed, by one at a time, and a key that does not sign is not asked again at once.

use super::presentation;
use crate::jose::{JoseError, Signer};
use policy::Timestamp;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a failure is remembered.
const FAILED: Duration = Duration::from_secs(10);

/// What was made last, or why it was not, with the key.
struct Made {
    token: Result<String, JoseError>,
    kid: String,
    /// The time that stands in it.
    at: Timestamp,
    /// When it was there: a signer may take its time to fail.
    done: Instant,
}

#[derive(Default)]
pub(super) struct Shown {
    made: Mutex<Option<Made>>,
    making: tokio::sync::Mutex<()>,
}

impl Shown {
    /// These credentials, signed.
    pub(super) async fn get(
        &self,
        signer: &Signer,
        credentials: &[String],
        now: Timestamp,
    ) -> Result<String, JoseError> {
        if let Some(token) = self.last(signer, now) {
            return token;
        }
        // Whoever waits here keeps no thread from other work.
        let _one = self.making.lock().await;
        if let Some(token) = self.last(signer, now) {
            return token;
        }
        let token = presentation::make(signer, credentials, None, now);
        if let Err(error) = &token {
            tracing::error!(%error, "our presentation cannot be signed");
        }
        let made = Made {
            token: token.clone(),
            kid: signer.kid().to_owned(),
            at: now,
            done: Instant::now(),
        };
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        token
    }

    fn last(&self, signer: &Signer, now: Timestamp) -> Option<Result<String, JoseError>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = |made: &&Made| {
            let lasts = match made.token {
                Ok(_) => made.at <= now && now.since(made.at) < presentation::LIFETIME / 2,
                Err(_) => made.done.elapsed() < FAILED,
            };
            lasts && made.kid == signer.kid()
        };
        made.as_ref().filter(lasts).map(|made| made.token.clone())
    }
}
