//! The one place that reads the wall clock. Everything below takes the time as an argument.

use policy::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now, from the operating system.
#[allow(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
