//! Where things stand in a record: JSON pointers (RFC 6901) and the shape compiled from them, which says where the learner is
//! named and which data category covers which field. Reads no record: that is the data plane's.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// How many objects and arrays a record may have open at once, itself included.
pub const MAX_DEPTH: u32 = 64;

/// A JSON pointer that walks object members only. Never empty: the whole record is nobody's field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pointer {
    segments: Vec<String>,
}

/// Why a text is no [`Pointer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// The empty pointer, which stands for the whole record.
    #[error("the pointer is empty; name a field, such as /actor/account/name")]
    Empty,
    /// RFC 6901 §3: every segment begins with a slash.
    #[error("the pointer does not begin with a slash")]
    NoSlash,
    /// RFC 6901 §3: a tilde is followed by 0 or 1.
    #[error("the pointer has a ~ that is followed by neither 0 nor 1")]
    BadEscape,
    /// No record is nested deeply enough to have such a field.
    #[error("the pointer has more than {MAX_DEPTH} segments")]
    TooDeep,
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Err(PointerError::Empty);
        }
        let path = text.strip_prefix('/').ok_or(PointerError::NoSlash)?;
        let segments = path.split('/').map(unescape).collect::<Result<Vec<_>, _>>()?;
        if segments.len() > MAX_DEPTH as usize {
            return Err(PointerError::TooDeep);
        }
        Ok(Self { segments })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments
            .iter()
            .try_for_each(|segment| write!(f, "/{}", segment.replace('~', "~0").replace('/', "~1")))
    }
}

fn unescape(segment: &str) -> Result<String, PointerError> {
    let mut text = String::with_capacity(segment.len());
    let mut rest = segment.chars();
    while let Some(next) = rest.next() {
        text.push(match next {
            '~' => match rest.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PointerError::BadEscape),
            },
            plain => plain,
        });
    }
    Ok(text)
}

/// One data category of a dataset, by its number there: 0 to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Category(u8);

impl Category {
    /// The category of that number; `None` above 63.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 64 { Some(Self(number)) } else { None }
    }
}

/// A set of data categories. Where consents are limited to single fields, those have numbers among them as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CategorySet(u64);

impl CategorySet {
    /// No category.
    pub const EMPTY: Self = Self(0);

    /// Every category.
    pub const ALL: Self = Self(u64::MAX);

    /// The set whose members are the set bits of `bits`, category 0 in the lowest.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set as bits, category 0 in the lowest.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The set and one more category.
    #[must_use]
    pub const fn with(self, category: Category) -> Self {
        Self(self.0 | 1 << category.0)
    }

    /// Everything in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Everything in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Everything that is not in the other set.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the sets have a category in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the category is in the set.
    pub const fn contains(self, category: Category) -> bool {
        self.0 >> category.0 & 1 == 1
    }
}

impl From<Category> for CategorySet {
    fn from(category: Category) -> Self {
        Self::EMPTY.with(category)
    }
}

impl FromIterator<Category> for CategorySet {
    fn from_iter<I: IntoIterator<Item = Category>>(categories: I) -> Self {
        categories.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// Why pointers make no [`Shape`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A text is no pointer.
    #[error("{0:?}: {1}")]
    Pointer(String, PointerError),
    /// There is no number left for this category.
    #[error("there are more than 64 data categories; {0} is one too many")]
    TooManyCategories(String),
    /// The same pointer is claimed twice, so it is not clear whose consent opens it.
    #[error("the pointer {0} is claimed twice")]
    ClaimedTwice(Pointer),
}

/// What a dataset's records look like: where the learner is named, and which category covers which field.
///
/// A claim covers the whole value at its pointer, except where a more specific claim stands below it: that one decides for its
/// own part. What no claim covers is never kept. The subject is kept as pseudonym whatever covers it.
#[derive(Clone, Debug)]
pub struct Shape {
    root: Node,
}

impl Shape {
    /// Compiles the pointer to the learner's identifier and the claims: by which numbers each field is opened, its category's and, where it
    /// has one, its own.
    pub fn compile<'p, N: Into<CategorySet>>(
        subject: &Pointer,
        claims: impl IntoIterator<Item = (N, &'p Pointer)>,
    ) -> Result<Self, ShapeError> {
        let mut root = Node::default();
        for (numbers, pointer) in claims {
            let claim = &mut root.at(&pointer.segments).claim;
            if claim.replace(numbers.into()).is_some() {
                return Err(ShapeError::ClaimedTwice(pointer.clone()));
            }
        }
        root.at(&subject.segments).is_subject = true;
        root.settle(CategorySet::EMPTY);
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }
}

/// One place that pointers lead to or through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    claim: Option<CategorySet>,
    /// The numbers that decide here, those of the own claim or of the inherited one: any of them opens it.
    pub(crate) cover: CategorySet,
    /// Whether the learner is named here.
    pub(crate) is_subject: bool,
    /// By fingerprint, then name.
    children: Vec<Child>,
}

#[derive(Clone, Debug)]
struct Child {
    fingerprint: u64,
    name: String,
    node: Node,
}

impl Node {
    /// Whether a pointer leads further down, so that an object here has to be taken apart.
    pub(crate) fn is_divided(&self) -> bool {
        !self.children.is_empty()
    }

    /// The place of the member of that name, which has that [`fingerprint`].
    #[inline]
    pub(crate) fn child(&self, fingerprint: u64, name: &[u8]) -> Option<&Self> {
        let order = |child: &Child| {
            child
                .fingerprint
                .cmp(&fingerprint)
                .then_with(|| child.name.as_bytes().cmp(name))
        };
        let found = self.children.binary_search_by(order).ok()?;
        self.children.get(found).map(|child| &child.node)
    }

    /// The node at the end of `path`, made if need be.
    fn at(&mut self, path: &[String]) -> &mut Self {
        let Some((name, below)) = path.split_first() else {
            return self;
        };
        let known = self.children.iter().position(|child| child.name == *name);
        let index = known.unwrap_or_else(|| {
            let fingerprint = fingerprint(name.as_bytes());
            self.children.push(Child {
                fingerprint,
                name: name.clone(),
                node: Self::default(),
            });
            self.children.len() - 1
        });
        #[allow(clippy::indexing_slicing, reason = "the index was found or pushed on the line above")]
        self.children[index].node.at(below)
    }

    /// Hands covers down and puts children in the order that [`Node::child`] searches.
    fn settle(&mut self, inherited: CategorySet) {
        self.cover = self.claim.unwrap_or(inherited);
        self.children
            .sort_by(|a, b| (a.fingerprint, &a.name).cmp(&(b.fingerprint, &b.name)));
        self.children.iter_mut().for_each(|child| child.node.settle(self.cover));
    }
}

/// A number that equal names share and different names rarely do; names with equal ones are compared in full. Not keyed: it
/// only saves comparisons, and whoever forges collisions gains nothing but those.
#[inline]
pub(crate) fn fingerprint(name: &[u8]) -> u64 {
    let ends = if let (Some(head), Some(tail)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        u64::from_le_bytes(*head) ^ u64::from_le_bytes(*tail).rotate_left(23)
    } else if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        u64::from(u32::from_le_bytes(*head)) | u64::from(u32::from_le_bytes(*tail)) << 32
    } else {
        name.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    };
    ends ^ (name.len() as u64) << 56
}

/// The shape of a dataset's records, from its subject pointer and its categories; `cover` says by which numbers the field of a category at
/// a pointer is opened.
pub fn shape(
    subject: &str,
    categories: &BTreeMap<String, Vec<String>>,
    mut cover: impl FnMut(&str, &str) -> Option<CategorySet>,
) -> Result<Shape, ShapeError> {
    let pointer = |text: &str| {
        text.parse::<Pointer>()
            .map_err(|error| ShapeError::Pointer(text.to_owned(), error))
    };
    let mut claims = Vec::new();
    for (name, pointers) in categories {
        for text in pointers {
            let numbers = cover(name, text).ok_or_else(|| ShapeError::TooManyCategories(name.clone()))?;
            claims.push((numbers, pointer(text)?));
        }
    }
    Shape::compile(
        &pointer(subject)?,
        claims.iter().map(|(numbers, pointer)| (*numbers, pointer)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(text: &str) -> Pointer {
        text.parse().unwrap()
    }

    #[test]
    fn pointers_of_rfc_6901_section_5_are_read() {
        // RFC 6901 §5, without "" (the whole document).
        let vectors = [
            ("/foo", vec!["foo"]),
            ("/foo/0", vec!["foo", "0"]),
            ("/", vec![""]),
            ("/a~1b", vec!["a/b"]),
            ("/c%d", vec!["c%d"]),
            ("/e^f", vec!["e^f"]),
            ("/g|h", vec!["g|h"]),
            ("/i\\j", vec!["i\\j"]),
            ("/k\"l", vec!["k\"l"]),
            ("/ ", vec![" "]),
            ("/m~0n", vec!["m~n"]),
        ];
        for (text, segments) in vectors {
            assert_eq!(pointer(text).segments, segments, "{text}");
            assert_eq!(pointer(text).to_string(), text);
        }
    }

    #[test]
    fn escapes_are_undone_once() {
        // RFC 6901 §4: "~01" is the text "~1", never "/".
        assert_eq!(pointer("/~01").segments, ["~1"]);
    }

    #[test]
    fn texts_that_are_no_pointer_are_refused() {
        assert_eq!("".parse::<Pointer>(), Err(PointerError::Empty));
        assert_eq!("sub".parse::<Pointer>(), Err(PointerError::NoSlash));
        assert_eq!("/a~".parse::<Pointer>(), Err(PointerError::BadEscape));
        assert_eq!("/a~2b".parse::<Pointer>(), Err(PointerError::BadEscape));
        assert!("/a".repeat(64).parse::<Pointer>().is_ok());
        assert_eq!("/a".repeat(65).parse::<Pointer>(), Err(PointerError::TooDeep));
    }

    #[test]
    fn there_are_sixty_four_categories() {
        let last = Category::new(63).unwrap();
        assert_eq!(Category::new(64), None);
        assert_eq!(CategorySet::EMPTY.with(last).bits(), 1 << 63);
        assert!(CategorySet::from_bits(1 << 63).contains(last));
        assert!(!CategorySet::from_bits(!(1 << 63)).contains(last));
    }

    #[test]
    fn a_pointer_claimed_twice_makes_no_shape() {
        let (one, two) = (Category::new(1).unwrap(), Category::new(2).unwrap());
        let (subject, field) = (pointer("/sub"), pointer("/score"));
        let refused = Shape::compile(&subject, [(one, &field), (two, &field)]);
        assert_eq!(refused.unwrap_err(), ShapeError::ClaimedTwice(field.clone()));
        let nested = pointer("/score/raw");
        assert!(Shape::compile(&subject, [(one, &field), (two, &nested)]).is_ok());
    }

    #[test]
    fn children_are_found_by_name_even_when_fingerprints_collide() {
        // Same length, same first and last eight bytes.
        let [left, right, absent] = ["01234567-a-01234567", "01234567-b-01234567", "01234567-c-01234567"];
        let (at_left, at_right) = (pointer(&format!("/{left}")), pointer(&format!("/{right}")));
        let subject = pointer("/sub");
        let (one, two) = (Category::new(1).unwrap(), Category::new(2).unwrap());
        let shape = Shape::compile(&subject, [(one, &at_left), (two, &at_right)]).unwrap();
        let cover = |name: &str| {
            shape
                .root()
                .child(fingerprint(name.as_bytes()), name.as_bytes())
                .map(|node| node.cover)
        };
        assert_eq!(fingerprint(left.as_bytes()), fingerprint(right.as_bytes()));
        assert_eq!(cover(left), Some(CategorySet::EMPTY.with(one)));
        assert_eq!(cover(right), Some(CategorySet::EMPTY.with(two)));
        assert_eq!(cover(absent), None);
    }
}
