//! Why something ended, was suspended or refused, as messages and errors say it: what is kept of a peer's words has limits.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most sentences kept of a peer's explanation.
pub(super) const MAX_REASONS: usize = 8;
/// Longest sentence kept, in characters.
pub(super) const MAX_REASON: usize = 1_000;
/// Longest code kept, in characters.
pub(super) const MAX_CODE: usize = 100;

/// Why something ended, was suspended or refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Explanation {
    /// A short stable code.
    #[schema(required)]
    pub code: Option<String>,
    /// Sentences for people.
    pub reasons: Vec<String>,
}

impl Explanation {
    /// One code and one sentence.
    pub fn new(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            code: Some(code.into()),
            reasons: vec![reason.into()],
        }
    }

    /// One code and several sentences, each of them and all together cut to what a recipient keeps: what goes to a peer must also fit into a
    /// record here.
    pub fn of(code: impl Into<String>, reasons: impl IntoIterator<Item = String>) -> Self {
        let cut = |reason: String| reason.chars().take(MAX_REASON).collect();
        Self {
            code: Some(code.into()),
            reasons: reasons.into_iter().take(MAX_REASONS).map(cut).collect(),
        }
    }

    /// From the `code` and `reason` of any body. Nothing here is a reason to refuse a message: whatever is not text is shown as
    /// JSON, and what is too much for a record is cut off.
    pub(super) fn read(body: &Value) -> Self {
        let text = |value: &Value, limit: usize| -> String {
            match value.as_str() {
                Some(text) => text.chars().take(limit).collect(),
                None => value.to_string().chars().take(limit).collect(),
            }
        };
        let reasons = match body.get("reason") {
            Some(Value::Array(items)) => items.as_slice(),
            Some(Value::Null) | None => &[],
            Some(one) => std::slice::from_ref(one),
        };
        Self {
            code: body
                .get("code")
                .filter(|code| !code.is_null())
                .map(|code| text(code, MAX_CODE)),
            reasons: reasons
                .iter()
                .take(MAX_REASONS)
                .map(|reason| text(reason, MAX_REASON))
                .collect(),
        }
    }
}

/// What an error body says, for people; peers leave members out or write them differently.
pub fn read_error(body: &Value) -> Explanation {
    Explanation::read(body)
}

/// Adds an explanation to the members of a body.
pub(super) fn explain(body: &mut Map<String, Value>, explanation: &Explanation) {
    if let Some(code) = &explanation.code {
        body.insert("code".into(), code.as_str().into());
    }
    if !explanation.reasons.is_empty() {
        body.insert("reason".into(), explanation.reasons.clone().into());
    }
}
