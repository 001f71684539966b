//! What consents say, once for all learners who said the same: recipients, purposes, datasets, categories and fields as numbers. Knows no
//! learner and no time.

use crate::catalog::{Category, CategorySet};
use crate::consent::GrantError;
use crate::dsp::{AgreementId, DatasetId, ParticipantId};
use policy::canonical_name;
use std::{collections::HashMap, sync::Arc};

/// Texts as small numbers, so that comparing them for each record costs nothing.
#[derive(Default)]
pub(super) struct Names(HashMap<String, u32>);

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.0.get(name) {
            return *number;
        }
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(name.to_owned(), number);
        number
    }
}

/// To which of several something applies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// All that there are and will be.
    All,
    /// These and no others, sorted.
    Only(Box<[u32]>),
}

impl Scope {
    pub(super) fn only(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut numbers: Vec<u32> = numbers.into_iter().collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self::Only(numbers.into())
    }

    /// The same, but naming none means all.
    pub(super) fn all_unless(numbers: impl IntoIterator<Item = u32>) -> Self {
        match Self::only(numbers) {
            Self::Only(none) if none.is_empty() => Self::All,
            some => some,
        }
    }

    pub(super) fn holds(&self, number: u32) -> bool {
        match self {
            Self::All => true,
            Self::Only(numbers) => numbers.binary_search(&number).is_ok(),
        }
    }
}

/// What a consent, a request for one and another lawful basis say alike: to whom, what for, and of what.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'a> {
    /// Who may receive.
    pub recipients: &'a [ParticipantId],
    /// For which purposes (IRIs, in any spelling).
    pub purposes: &'a [String],
    /// Of which datasets; none means all of this holder's.
    pub datasets: &'a [DatasetId],
    /// Which data categories.
    pub categories: &'a [String],
    /// Under this agreement alone; none means under any.
    pub agreement: Option<&'a AgreementId>,
}

/// Everything that a consent, an objection, a restriction or a basis says, but of whom and when.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Terms {
    pub(super) recipients: Scope,
    pub(super) purposes: Scope,
    pub(super) datasets: Scope,
    pub(super) categories: CategorySet,
    /// Of these categories only the fields at these pointers.
    pub(super) fields: Scope,
    /// Counted only in releases in which no group is smaller.
    pub(super) min_group_size: Option<u32>,
    /// Under this agreement alone.
    pub(super) agreement: Option<u32>,
}

/// The number of interned terms.
pub(super) type TermsId = u32;

/// All terms that were ever opened, and the numbers of what they name. Only grows: there are far fewer terms than learners, and a
/// stream keeps what it worked out for each.
#[derive(Default)]
pub(super) struct Vocabulary {
    names: Names,
    categories: Names,
    numbers: HashMap<Arc<Terms>, TermsId>,
    all: Vec<Arc<Terms>>,
}

impl Vocabulary {
    pub(super) fn category(&mut self, name: &str) -> Result<Category, GrantError> {
        let number = self.categories.number(name);
        u8::try_from(number)
            .ok()
            .and_then(Category::new)
            .ok_or(GrantError::TooManyCategories)
    }

    /// What is covered, in all fields of these categories and in groups of any size.
    pub(super) fn terms(&mut self, covered: &Covered<'_>) -> Result<Terms, GrantError> {
        let agreement = covered.agreement.map(|id| self.name(id.as_str()));
        let categories = covered.categories.iter().map(|name| self.category(name));
        Ok(Terms {
            categories: categories.collect::<Result<_, _>>()?,
            recipients: Scope::only(self.recipients(covered.recipients)),
            purposes: Scope::only(self.purposes(covered.purposes)),
            datasets: Scope::all_unless(self.datasets(covered.datasets)),
            fields: Scope::All,
            min_group_size: None,
            agreement,
        })
    }

    /// Policies and consents write purposes in several spellings; only the canonical ones are compared.
    pub(super) fn purposes(&mut self, names: &[String]) -> Vec<u32> {
        names
            .iter()
            .map(|name| self.names.number(&canonical_name(name)))
            .collect()
    }

    pub(super) fn name(&mut self, name: &str) -> u32 {
        self.names.number(name)
    }

    pub(super) fn names(&mut self, names: &[String]) -> Vec<u32> {
        names.iter().map(|name| self.names.number(name)).collect()
    }

    pub(super) fn recipients(&mut self, dids: &[ParticipantId]) -> Vec<u32> {
        dids.iter().map(|did| self.names.number(did.as_str())).collect()
    }

    pub(super) fn datasets(&mut self, ids: &[DatasetId]) -> Vec<u32> {
        ids.iter().map(|id| self.names.number(id.as_str())).collect()
    }

    pub(super) fn intern(&mut self, terms: Terms) -> TermsId {
        if let Some(id) = self.numbers.get(&terms) {
            return *id;
        }
        // More than 2^32 different terms would have filled the memory long before.
        let id = TermsId::try_from(self.all.len()).unwrap_or(TermsId::MAX);
        let terms = Arc::new(terms);
        self.numbers.insert(terms.clone(), id);
        self.all.push(terms);
        id
    }

    /// What has this number.
    pub(super) fn get(&self, id: TermsId) -> Option<&Terms> {
        self.all.get(id as usize).map(|terms| &**terms)
    }

    /// The terms from a number on.
    pub(super) fn since(&self, first: usize) -> impl Iterator<Item = &Terms> {
        self.all.iter().skip(first).map(|terms| &**terms)
    }
}
