//! How far a policy reaches: for which purposes, and for data of which categories. What is asked, whether it may ever have let something pass
//! (`bounds`) or could let it out (`plan`), is said by who answers.

use crate::vocabulary::Category;
use std::collections::BTreeSet;

/// The purposes and data categories that a policy speaks for, taken together: not every category for every purpose, perhaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The purposes, as [`crate::canonical_name`] writes them, sorted; empty where the policy binds the use to none.
    pub purposes: Vec<String>,
    /// The data categories; `None` where it restricts them to none.
    pub categories: Option<BTreeSet<Category>>,
}

impl Reach {
    /// Whether it reaches data of this category; any accepted spelling. Of a category that is not known, only where it does not restrict them.
    pub fn allows_category(&self, category: &str) -> bool {
        let allowed = self.categories.as_ref();
        allowed.is_none_or(|allowed| Category::read(category).is_some_and(|category| allowed.contains(&category)))
    }
}
