//! The source cursor: where a stream can be taken up again, sealed so that the receiver learns nothing from it. A plain offset would
//! tell how much was withheld between two records.

use super::{PlaneError, pipeline::State};
use crate::{
    audit::merkle::Frontier,
    dsp::Pid,
    jose::{base64url, random},
};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use policy::Timestamp;

/// The key that seals cursors; made from the daemon's own secret, never shared.
pub struct CursorKey(LessSafeKey);

/// The plain content that a cursor seals.
const FINGERPRINT: usize = 32;
const NONCE: usize = 12;

impl CursorKey {
    /// A key from 32 secret bytes; `None` if there are not exactly 32.
    pub fn new(secret: &[u8]) -> Option<Self> {
        UnboundKey::new(&AES_256_GCM, secret)
            .ok()
            .map(|key| Self(LessSafeKey::new(key)))
    }

    /// Seals a position for one transfer.
    pub(super) fn seal(&self, transfer: &Pid, fingerprint: &[u8; FINGERPRINT], state: &State) -> Option<String> {
        let nonce: [u8; NONCE] = random::bytes().ok()?;
        let mut plain = fingerprint.to_vec();
        plain.extend_from_slice(&state.position.to_be_bytes());
        plain.extend_from_slice(&state.sent.to_be_bytes());
        plain.extend_from_slice(&state.since.millis().to_be_bytes());
        for count in state.release.counts() {
            plain.extend_from_slice(&count.to_be_bytes());
        }
        plain.extend_from_slice(&state.frontier.to_bytes());
        let aad = Aad::from(transfer.as_str().as_bytes());
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut plain)
            .ok()?;
        let mut sealed = nonce.to_vec();
        sealed.append(&mut plain);
        Some(base64url::encode(&sealed))
    }

    /// Opens a cursor of this transfer: the source's fingerprint and the position in it.
    pub(super) fn open(&self, transfer: &Pid, cursor: &str) -> Result<([u8; FINGERPRINT], State), PlaneError> {
        let refuse = || PlaneError::Cursor("it was not given for this transfer");
        let mut sealed = base64url::decode(cursor).ok_or_else(refuse)?;
        let (nonce, _) = sealed.split_first_chunk::<NONCE>().ok_or_else(refuse)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let rest = sealed.get_mut(NONCE..).ok_or_else(refuse)?;
        let aad = Aad::from(transfer.as_str().as_bytes());
        let mut plain: &[u8] = self.0.open_in_place(nonce, aad, rest).map_err(|_| refuse())?;
        let (fingerprint, rest) = plain.split_first_chunk::<FINGERPRINT>().ok_or_else(refuse)?;
        plain = rest;
        let mut number = || {
            let (bytes, rest) = plain.split_first_chunk::<8>()?;
            plain = rest;
            Some(u64::from_be_bytes(*bytes))
        };
        let mut state = State {
            position: number().ok_or_else(refuse)?,
            sent: number().ok_or_else(refuse)?,
            ..State::begun(Timestamp::from_millis(number().ok_or_else(refuse)?.cast_signed()))
        };
        for count in state.release.counts_mut() {
            *count = number().ok_or_else(refuse)?;
        }
        state.frontier = Frontier::from_bytes(plain).map_err(|_| refuse())?;
        if state.frontier.size() != state.sent {
            return Err(refuse());
        }
        Ok((*fingerprint, state))
    }
}
