//! Single fields of a dataset as numbers beside those of its data categories (policy digest 5.3: a category set, optionally a field list).
//! They hold within one question: datasets have more fields together than a set has numbers.

use super::terms::{Scope, Vocabulary};
use crate::catalog::{Category, CategorySet};
use crate::consent::GrantError;
use std::collections::{BTreeMap, HashMap};

/// One field that a dataset claims.
#[derive(Clone, Copy, Debug)]
struct Field {
    category: Category,
    /// Its pointer, as the vocabulary numbers it.
    pointer: u32,
    /// What stands for it alone.
    number: Category,
}

/// The fields of a dataset that have numbers of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Box<[Field]>);

impl Fields {
    /// The fields with the categories that they are parts of.
    pub(super) fn each(&self, mut see: impl FnMut(Category, Category)) {
        self.0.iter().for_each(|field| see(field.category, field.number));
    }

    /// The numbers of those fields of these categories that terms name. A pointer at which the dataset claims nothing names none.
    pub(super) fn permitted(&self, categories: CategorySet, named: &Scope) -> CategorySet {
        let permits = |field: &&Field| categories.contains(field.category) && named.holds(field.pointer);
        self.0.iter().filter(permits).map(|field| field.number).collect()
    }
}

/// Numbers the fields of a dataset, and says by which numbers each is opened. A set has 64 numbers: those that stand for no category of the
/// dataset, and for none that the question is about, go to its fields in their order. A field for which none is left is opened by its
/// category alone, so that a consent which names it opens nothing there.
pub(super) fn number(
    vocabulary: &mut Vocabulary,
    allowed: CategorySet,
    claims: &BTreeMap<String, Vec<String>>,
) -> Result<(Fields, HashMap<String, CategorySet>), GrantError> {
    let mut taken = allowed;
    for name in claims.keys() {
        taken = taken.with(vocabulary.category(name)?);
    }
    let mut free = (0..64)
        .filter_map(Category::new)
        .filter(|number| !taken.contains(*number));
    let (mut fields, mut covers) = (Vec::new(), HashMap::new());
    for (name, pointers) in claims {
        let category = vocabulary.category(name)?;
        for pointer in pointers {
            let mut cover = CategorySet::from(category);
            if let Some(number) = free.next() {
                cover = cover.with(number);
                fields.push(Field {
                    category,
                    pointer: vocabulary.name(pointer),
                    number,
                });
            }
            covers.insert(pointer.clone(), cover);
        }
    }
    Ok((Fields(fields.into()), covers))
}

#[cfg(test)]
mod tests;
