//! Tokens of data requests: self-contained, bound to one transfer and one serial number, so that nothing is looked up for them and
//! raising the serial revokes the old ones. The message that carries one is kept as evidence, token and all.

use crate::{
    dsp::Pid,
    jose::{Digest, HmacKey, base64url},
};
use policy::Timestamp;

/// Makes and checks tokens.
pub struct TokenKey(HmacKey);

const LENGTH: usize = 8 + 8 + Digest::LEN;

impl TokenKey {
    /// From the daemon's secret.
    pub fn new(key: HmacKey) -> Self {
        Self(key)
    }

    fn tag(&self, pid: &Pid, head: &[u8]) -> Digest {
        self.0.tag_parts(&[head, pid.as_str().as_bytes()])
    }

    /// A token for one transfer, good until `expires` and until its serial is passed.
    pub fn make(&self, pid: &Pid, serial: u64, expires: Timestamp) -> String {
        let mut token = serial.to_be_bytes().to_vec();
        token.extend_from_slice(&expires.millis().to_be_bytes());
        let tag = self.tag(pid, &token);
        token.extend_from_slice(tag.as_bytes());
        base64url::encode(&token)
    }

    /// Whether this is the current token of this transfer. The comparison of the tag takes constant time.
    pub fn verify(&self, token: &str, pid: &Pid, serial: u64, now: Timestamp) -> bool {
        let Some(bytes) = base64url::decode_array::<LENGTH>(token) else {
            return false;
        };
        let (head, tag) = bytes.split_at(16);
        let Ok(tag) = <[u8; Digest::LEN]>::try_from(tag) else {
            return false;
        };
        let genuine = self.tag(pid, head).matches(&Digest::from_bytes(tag));
        let expires = head
            .get(8..)
            .and_then(|part| part.try_into().ok())
            .map_or(i64::MIN, i64::from_be_bytes);
        genuine && head.starts_with(&serial.to_be_bytes()) && now.millis() < expires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_transfer_serial_and_time_only() {
        let key = TokenKey::new(HmacKey::new(b"a secret of thirty-two bytes ...."));
        let (a, b): (Pid, Pid) = ("urn:uuid:a".parse().unwrap(), "urn:uuid:b".parse().unwrap());
        let expires = Timestamp::from_seconds(1000);
        let before = Timestamp::from_seconds(999);
        let token = key.make(&a, 1, expires);
        assert!(key.verify(&token, &a, 1, before));
        assert!(!key.verify(&token, &b, 1, before));
        assert!(!key.verify(&token, &a, 2, before));
        assert!(!key.verify(&token, &a, 1, expires));
        let other = TokenKey::new(HmacKey::new(b"another secret of thirty-two bytes"));
        assert!(!other.verify(&token, &a, 1, before));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(!key.verify(&String::from_utf8(changed).unwrap(), &a, 1, before), "{at}");
        }
    }
}
