//! From a record's bytes to the bytes that may leave: find the learner, then keep what is permitted.
//!
//! [`Shape::find`] checks the whole record and remembers where its fields stand; [`Found::project`] only copies. So nothing is
//! written for a record that is refused, and the consent look-up sits between the two. Decides nothing itself and allocates
//! nothing per record once its buffers have grown.
//!
//! **Fields.** A record is taken apart along the pointers of its shape. A *field* is a member that is not taken apart further:
//! it is kept whole or removed whole, and counts one either way. The subject counts neither way.
//! **Objects taken apart** are kept where something in them is kept or their own category is permitted (then possibly as `{}`)
//! and vanish otherwise: that they exist is information too.
//! **Arrays** that stand where the shape would take an object apart are removed: a pointer cannot reach into them, so what a
//! more specific claim protects could not be told from the rest.

use super::scan::{MAX_DEPTH, RecordError, Scanner, Span};
use crate::catalog::shape::{CategorySet, Node, Shape, fingerprint};

/// Up to this many members of one object, each name is compared with all before it; above, names are sorted once at the end,
/// so that a record made of names costs no quadratic time.
const FEW_NAMES: usize = 32;

/// Buffers that one stream lends to each of its records in turn.
#[derive(Debug, Default)]
pub struct Scratch {
    steps: Vec<Step>,
    names: Vec<Name>,
    /// The texts of member names that were written with escapes.
    unescaped: String,
    subject: String,
}

/// What to do at one place of the record, in source order. Offsets are bytes of the record.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// One or more neighbouring fields that one category covers, from the first name's quote to the last value's end.
    Fields {
        from: u32,
        to: u32,
        cover: CategorySet,
        count: u32,
    },
    /// The subject; `from..to` is its name with quotes.
    Subject {
        from: u32,
        to: u32,
    },
    /// An object taken apart; `from..to` is its name with quotes, and its `Close` ends the next `steps`.
    Open {
        from: u32,
        to: u32,
        inside: Inside,
        steps: u32,
    },
    Close,
}

/// What an object taken apart holds.
#[derive(Clone, Copy, Debug, Default)]
struct Inside {
    /// Its own category and those of all that is in it.
    covers: CategorySet,
    subject: bool,
    fields: u32,
}

impl Inside {
    fn add(&mut self, other: Self) {
        self.covers = self.covers.union(other.covers);
        self.subject |= other.subject;
        self.fields += other.fields;
    }
}

/// A member name of an object that is being taken apart.
#[derive(Clone, Copy, Debug)]
struct Name {
    fingerprint: u64,
    from: usize,
    to: usize,
    /// Whether the offsets are into [`Scratch::unescaped`] instead of the record.
    unescaped: bool,
}

impl Name {
    fn text<'t>(&self, record: &'t [u8], unescaped: &'t str) -> &'t [u8] {
        let texts = if self.unescaped { unescaped.as_bytes() } else { record };
        texts.get(self.from..self.to).unwrap_or_default()
    }
}

/// A record that was checked in full and names its learner.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    record: &'a [u8],
    subject: &'a str,
    steps: &'a [Step],
}

/// What a projection did, in fields (see the module's documentation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Projected {
    /// Fields written.
    pub fields_kept: u32,
    /// Fields left out. Kept and removed fields of one record always add up to the same number.
    pub fields_removed: u32,
}

impl Shape {
    /// Checks one record, without its line end, and finds its learner. An error means that nothing of it may be used; of
    /// several reasons, the first that the walk meets is given.
    pub fn find<'a>(&self, scratch: &'a mut Scratch, record: &'a [u8]) -> Result<Found<'a>, RecordError> {
        scratch.steps.clear();
        scratch.names.clear();
        scratch.unescaped.clear();
        scratch.subject.clear();
        let mut scan = Scanner::new(record)?;
        if scan.peek() != Some(b'{') {
            scan.value(0)?;
            scan.end()?;
            return Err(RecordError::NotAnObject);
        }
        let mut walk = Walk {
            record,
            scan,
            scratch,
            subject: None,
        };
        walk.object(self.root(), 0)?;
        walk.scan.end()?;
        let subject = walk.subject.ok_or(RecordError::NoSubject)?;
        if subject.escaped {
            walk.scan.unescape(subject, &mut walk.scratch.subject)?;
        }
        let verbatim = walk.scan.raw(subject);
        let scratch: &'a Scratch = scratch;
        let subject = if subject.escaped {
            scratch.subject.as_str()
        } else {
            verbatim
        };
        Ok(Found {
            record,
            subject,
            steps: &scratch.steps,
        })
    }
}

/// The walk over one record along a shape.
struct Walk<'w, 'a> {
    record: &'a [u8],
    scan: Scanner<'a>,
    scratch: &'w mut Scratch,
    subject: Option<Span>,
}

impl Walk<'_, '_> {
    /// Takes the object at `node` apart, which stands inside `depth` open containers.
    fn object(&mut self, node: &Node, depth: u32) -> Result<Inside, RecordError> {
        if depth >= MAX_DEPTH {
            return Err(RecordError::TooDeep);
        }
        let mut inside = Inside {
            covers: node.cover,
            ..Inside::default()
        };
        self.scan.expect(b'{')?;
        self.scan.space();
        if self.scan.accept(b'}') {
            return Ok(inside);
        }
        let siblings = self.scratch.names.len();
        loop {
            let from = self.scan.at();
            let name = self.scan.string()?;
            let child = self.name(node, siblings, name)?;
            let quoted = (offset(from), offset(self.scan.at()));
            self.scan.colon()?;
            inside.add(self.member(node, child, quoted, depth + 1)?);
            self.scan.space();
            match self.scan.bump() {
                Some(b',') => self.scan.space(),
                Some(b'}') => break,
                _ => return Err(RecordError::NotJson),
            }
        }
        self.close_names(siblings)?;
        Ok(inside)
    }

    /// Walks a member's value and notes what to do with the member, whose name with quotes is at `quoted`.
    fn member(
        &mut self,
        parent: &Node,
        child: Option<&Node>,
        quoted: (u32, u32),
        depth: u32,
    ) -> Result<Inside, RecordError> {
        let Some(node) = child else {
            return self.field(parent.cover, quoted.0, depth);
        };
        if node.is_subject {
            return self.subject(quoted);
        }
        match self.scan.peek() {
            Some(b'{') if node.is_divided() => self.open(node, quoted, depth),
            Some(b'[') if node.is_divided() => self.field(CategorySet::EMPTY, quoted.0, depth),
            _ => self.field(node.cover, quoted.0, depth),
        }
    }

    /// Walks a value that is kept or removed whole. Neighbours that share their fate become one step: those that are removed
    /// anyway, and those with nothing but a comma between them, so that the output stays compact.
    fn field(&mut self, cover: CategorySet, from: u32, depth: u32) -> Result<Inside, RecordError> {
        self.scan.value(depth)?;
        let end = offset(self.scan.at());
        match self.scratch.steps.last_mut() {
            Some(Step::Fields {
                to,
                cover: before,
                count,
                ..
            }) if *before == cover && (cover == CategorySet::EMPTY || *to + 1 == from) => {
                *to = end;
                *count += 1;
            }
            _ => self.scratch.steps.push(Step::Fields {
                from,
                to: end,
                cover,
                count: 1,
            }),
        }
        Ok(Inside {
            covers: cover,
            subject: false,
            fields: 1,
        })
    }

    fn subject(&mut self, (from, to): (u32, u32)) -> Result<Inside, RecordError> {
        if self.scan.peek() != Some(b'"') {
            return Err(RecordError::SubjectNotText);
        }
        self.subject = Some(self.scan.string()?);
        self.scratch.steps.push(Step::Subject { from, to });
        Ok(Inside {
            subject: true,
            ..Inside::default()
        })
    }

    fn open(&mut self, node: &Node, (from, to): (u32, u32), depth: u32) -> Result<Inside, RecordError> {
        let index = self.scratch.steps.len();
        self.scratch.steps.push(Step::Open {
            from,
            to,
            inside: Inside::default(),
            steps: 0,
        });
        let inside = self.object(node, depth)?;
        if inside.fields == 0 && !inside.subject {
            // Nothing to take apart: the empty object is a field of its own.
            self.scratch.steps.truncate(index);
            let to = offset(self.scan.at());
            self.scratch.steps.push(Step::Fields {
                from,
                to,
                cover: node.cover,
                count: 1,
            });
            return Ok(Inside { fields: 1, ..inside });
        }
        self.scratch.steps.push(Step::Close);
        let below = offset(self.scratch.steps.len() - index - 1);
        if let Some(opened) = self.scratch.steps.get_mut(index) {
            *opened = Step::Open {
                from,
                to,
                inside,
                steps: below,
            };
        }
        Ok(inside)
    }

    /// Notes a member name, refuses it if an earlier sibling has it, and returns its place in the shape.
    #[inline]
    fn name<'n>(&mut self, node: &'n Node, siblings: usize, span: Span) -> Result<Option<&'n Node>, RecordError> {
        let Scratch { names, unescaped, .. } = &mut *self.scratch;
        let (mut from, mut to) = (span.from, span.to);
        if span.escaped {
            from = unescaped.len();
            self.scan.unescape(span, unescaped)?;
            to = unescaped.len();
        }
        let mut name = Name {
            fingerprint: 0,
            from,
            to,
            unescaped: span.escaped,
        };
        let text = name.text(self.record, unescaped);
        name.fingerprint = fingerprint(text);
        let earlier = names.get(siblings..).unwrap_or_default();
        let same = |other: &Name| other.fingerprint == name.fingerprint && other.text(self.record, unescaped) == text;
        if earlier.len() < FEW_NAMES && earlier.iter().any(same) {
            return Err(RecordError::DuplicateMember);
        }
        names.push(name);
        Ok(node.child(name.fingerprint, text))
    }

    /// Forgets the names of an object that ends, after the check that [`Walk::name`] left out if there were many.
    fn close_names(&mut self, siblings: usize) -> Result<(), RecordError> {
        let Scratch { names, unescaped, .. } = &mut *self.scratch;
        let own = names.get_mut(siblings..).unwrap_or_default();
        if own.len() > FEW_NAMES {
            own.sort_unstable_by_key(|name| name.text(self.record, unescaped));
            let twice = own.is_sorted_by(|a, b| a.text(self.record, unescaped) < b.text(self.record, unescaped));
            if !twice {
                return Err(RecordError::DuplicateMember);
            }
        }
        names.truncate(siblings);
        Ok(())
    }
}

impl<'a> Found<'a> {
    /// The learner's identifier as the record's source writes it, escapes undone.
    pub fn subject(&self) -> &'a str {
        self.subject
    }

    /// Appends the record to `out` as one JSON object without a line end: the members of the permitted categories, verbatim and
    /// in source order, and the subject, whose value becomes `pseudonym`.
    pub fn project(&self, permitted: CategorySet, pseudonym: &str, out: &mut Vec<u8>) -> Projected {
        let mut done = Projected::default();
        let mut rest = self.steps;
        out.push(b'{');
        while let Some((&step, below)) = rest.split_first() {
            rest = below;
            match step {
                Step::Fields { from, to, cover, count } if cover.meets(permitted) => {
                    self.copy(from, to, out);
                    done.fields_kept += count;
                }
                Step::Fields { count, .. } => done.fields_removed += count,
                Step::Subject { from, to } => {
                    self.copy(from, to, out);
                    out.push(b':');
                    write_text(pseudonym, out);
                }
                Step::Open { from, to, inside, .. } if inside.subject || inside.covers.meets(permitted) => {
                    self.copy(from, to, out);
                    out.extend_from_slice(b":{");
                }
                Step::Open { inside, steps, .. } => {
                    done.fields_removed += inside.fields;
                    rest = below.get(steps as usize..).unwrap_or_default();
                }
                Step::Close => out.push(b'}'),
            }
        }
        out.push(b'}');
        done
    }

    /// Copies bytes of the record that begin a member. No value ends in `{`, so the last byte tells whether one came before.
    #[inline]
    fn copy(&self, from: u32, to: u32, out: &mut Vec<u8>) {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        #[allow(
            clippy::indexing_slicing,
            reason = "the offsets were taken from this very record, which is still borrowed"
        )]
        out.extend_from_slice(&self.record[from as usize..to as usize]);
    }
}

/// Appends `text` as a JSON string.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(if byte < 0x10 { b"\\u000" } else { b"\\u001" });
                out.push(match byte & 0xF {
                    digit @ 0..10 => b'0' + digit,
                    letter => b'a' - 10 + letter,
                });
            }
            plain => out.push(plain),
        }
    }
    out.push(b'"');
}

/// An offset into a record or its steps; both are bounded by [`super::scan::MAX_RECORD`], so nothing is ever cut.
#[inline]
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod bench;
#[cfg(test)]
mod tests;
