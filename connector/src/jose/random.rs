//! Random values: message ids, secret tokens, salts. The only place that draws from the generator directly.

use super::{JoseError, base64url};
use aws_lc_rs::rand;
use policy::Timestamp;
use uuid::{Builder, Uuid};

/// The operating system gave no random bytes. Nothing can be signed or named safely without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes are available")]
pub struct RandomError;

/// `N` bytes from the cryptographic generator.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

impl From<RandomError> for JoseError {
    fn from(_: RandomError) -> Self {
        Self::CannotSign("no random bytes are available")
    }
}

/// A UUID version 7 (RFC 9562 §5.7) for the instant `now`: 48 bits of time in milliseconds, 74 random bits. Ids made later sort
/// later; ids made in the same millisecond are in no particular order.
pub fn uuid(now: Timestamp) -> Result<Uuid, RandomError> {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    Ok(Builder::from_unix_timestamp_millis(millis, &bytes()?).into_uuid())
}

/// A fresh [`uuid()`] as text.
pub fn message_id(now: Timestamp) -> Result<String, RandomError> {
    Ok(uuid(now)?.to_string())
}

/// 256 random bits as 43 base64url characters, for bearer tokens.
pub fn token() -> Result<String, RandomError> {
    Ok(base64url::encode(&bytes::<32>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_message_id_is_a_uuid_of_version_7_that_carries_the_instant() {
        let now = Timestamp::from_millis(1_767_225_600_123);
        let id = Uuid::parse_str(&message_id(now).unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 7);
        let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos / 1_000_000), (1_767_225_600, 123));
    }

    #[test]
    fn later_ids_sort_later() {
        let early = message_id(Timestamp::from_millis(1_000)).unwrap();
        assert!(early < message_id(Timestamp::from_millis(1_001)).unwrap());
    }

    #[test]
    fn a_time_before_the_epoch_still_gives_an_id() {
        assert!(Uuid::parse_str(&message_id(Timestamp::MIN).unwrap()).is_ok());
    }

    #[test]
    fn nothing_repeats() {
        let now = Timestamp::from_millis(0);
        let ids: HashSet<_> = (0..1000).map(|_| message_id(now).unwrap()).collect();
        let tokens: HashSet<_> = (0..1000).map(|_| token().unwrap()).collect();
        assert_eq!((ids.len(), tokens.len()), (1000, 1000));
        assert!(tokens.iter().all(|token| token.len() == 43));
    }
}
