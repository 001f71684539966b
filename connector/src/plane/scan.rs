//! A strict walk over one JSON record, without allocation: the grammar of RFC 8259 and where each value ends.
//! Knows nothing of shapes, categories or consent.
//!
//! Accepts exactly what `serde_json` reads into a `Value`, except that it also refuses: more than [`MAX_DEPTH`] nested
//! containers, more than [`MAX_RECORD`] bytes, and a carriage return or line feed between tokens. A record is one line of a
//! stream, and kept bytes are copied verbatim: a line break inside would end the record early for its receiver.

/// Largest record, in bytes, without its line end. A larger one is withheld.
pub const MAX_RECORD: usize = 256 * 1024;
pub use crate::catalog::MAX_DEPTH;

/// A number shorter than this and without an exponent is always below the largest `f64` (1.8e308).
const SURELY_FINITE: usize = 300;

/// Why a record is withheld. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RecordError {
    /// Not UTF-8, not JSON, or more than one line.
    #[error("the record is not one line of valid JSON")]
    NotJson,
    /// Valid JSON, but an array or a scalar.
    #[error("the record is not a JSON object")]
    NotAnObject,
    /// More than [`MAX_DEPTH`] containers are nested.
    #[error("the record is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// An object on the way to a named field has two members of one name, so readers may disagree about its content.
    #[error("the record has a member twice")]
    DuplicateMember,
    /// Nothing stands at the subject pointer.
    #[error("the record does not name its learner")]
    NoSubject,
    /// What stands at the subject pointer is not a string.
    #[error("the record's learner is not a text")]
    SubjectNotText,
    /// More than [`MAX_RECORD`] bytes.
    #[error("the record is longer than {MAX_RECORD} bytes")]
    TooLong,
}

impl RecordError {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::NotJson,
        Self::NotAnObject,
        Self::TooDeep,
        Self::DuplicateMember,
        Self::NoSubject,
        Self::SubjectNotText,
        Self::TooLong,
    ];

    /// A stable name for counters, logs and the audit trail.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotJson => "not-json",
            Self::NotAnObject => "not-an-object",
            Self::TooDeep => "too-deep",
            Self::DuplicateMember => "duplicate-member",
            Self::NoSubject => "no-subject",
            Self::SubjectNotText => "subject-not-text",
            Self::TooLong => "too-long",
        }
    }
}

/// Whether these bytes are exactly one JSON object on one line.
pub fn is_object(bytes: &[u8]) -> bool {
    let check = || {
        let mut scan = Scanner::new(bytes)?;
        let object = scan.peek() == Some(b'{');
        scan.value(0)?;
        scan.end()?;
        Ok::<bool, RecordError>(object)
    };
    check().unwrap_or(false)
}

/// The content of a string, quotes excluded, as byte offsets into the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Whether the content holds escapes, so that its bytes are not its text.
    pub(super) escaped: bool,
}

/// A position in one record. Every method moves it past what it accepted.
#[derive(Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Starts at the first token of `line`, whose length and UTF-8 are checked here once.
    pub(super) fn new(line: &'a [u8]) -> Result<Self, RecordError> {
        if line.len() > MAX_RECORD {
            return Err(RecordError::TooLong);
        }
        let text = std::str::from_utf8(line).map_err(|_| RecordError::NotJson)?;
        let mut scanner = Self {
            text,
            bytes: line,
            at: 0,
        };
        scanner.space();
        Ok(scanner)
    }

    /// The offset of the next byte.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next byte, if there is one.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Takes the next byte.
    #[inline]
    pub(super) fn bump(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Takes the next byte if it is `byte`.
    #[inline]
    pub(super) fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes `byte`, or refuses the record.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), RecordError> {
        if self.accept(byte) {
            Ok(())
        } else {
            Err(RecordError::NotJson)
        }
    }

    /// Skips blanks and tabs; line breaks are no white space inside a record.
    #[inline]
    pub(super) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Refuses anything after the record.
    pub(super) fn end(&mut self) -> Result<(), RecordError> {
        self.space();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(RecordError::NotJson)
        }
    }

    /// Takes the colon between a member's name and its value.
    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), RecordError> {
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(())
    }

    /// The text of `span` as it stands in the record, escapes not undone.
    pub(super) fn raw(&self, span: Span) -> &'a str {
        self.text.get(span.from..span.to).unwrap_or_default()
    }

    /// Appends the text of `span` to `text`, escapes undone.
    pub(super) fn unescape(&self, span: Span, text: &mut String) -> Result<(), RecordError> {
        let mut from = span.from;
        while let Some(plain) = memchr::memchr(b'\\', self.bytes.get(from..span.to).unwrap_or_default()) {
            let backslash = from + plain;
            text.push_str(self.text.get(from..backslash).unwrap_or_default());
            let mut escape = Self {
                at: backslash + 1,
                ..self.clone()
            };
            text.push(escape.escape()?);
            from = escape.at;
        }
        text.push_str(self.text.get(from..span.to).unwrap_or_default());
        Ok(())
    }

    /// Walks a string.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<Span, RecordError> {
        self.expect(b'"')?;
        let from = self.at;
        self.at += plain_run(self.rest());
        if self.accept(b'"') {
            return Ok(Span {
                from,
                to: self.at - 1,
                escaped: false,
            });
        }
        self.escaped_string(from)
    }

    /// Walks on in a string that began at `from`, from its first byte that is not plain. Kept apart so that strings without
    /// escapes, nearly all, cost no call.
    #[cold]
    fn escaped_string(&mut self, from: usize) -> Result<Span, RecordError> {
        loop {
            match self.bump() {
                Some(b'"') => {
                    return Ok(Span {
                        from,
                        to: self.at - 1,
                        escaped: true,
                    });
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(RecordError::NotJson),
            };
            self.at += plain_run(self.rest());
        }
    }

    /// Walks one value of any kind inside `depth` open containers.
    pub(super) fn value(&mut self, depth: u32) -> Result<(), RecordError> {
        let mut open = Open { kinds: 0, count: 0 };
        loop {
            if self.value_begins(&mut open, depth)? {
                continue;
            }
            loop {
                if open.count == 0 {
                    return Ok(());
                }
                self.space();
                match (self.bump(), open.in_object()) {
                    (Some(b','), true) => {
                        self.space();
                        self.string()?;
                        self.colon()?;
                        break;
                    }
                    (Some(b','), false) => {
                        self.space();
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => open.pop(),
                    _ => return Err(RecordError::NotJson),
                }
            }
        }
    }

    /// Walks a scalar, an empty container or a container's opening; true if a value inside it comes next.
    #[inline]
    fn value_begins(&mut self, open: &mut Open, depth: u32) -> Result<bool, RecordError> {
        let container = match self.peek() {
            Some(b'"') => return self.string().map(|_| false),
            Some(b'-' | b'0'..=b'9') => return self.number().map(|()| false),
            Some(b't') => return self.literal(b"true").map(|()| false),
            Some(b'f') => return self.literal(b"false").map(|()| false),
            Some(b'n') => return self.literal(b"null").map(|()| false),
            Some(container @ (b'{' | b'[')) => container,
            _ => return Err(RecordError::NotJson),
        };
        if depth + open.count >= MAX_DEPTH {
            return Err(RecordError::TooDeep);
        }
        self.at += 1;
        self.space();
        let object = container == b'{';
        if self.accept(if object { b'}' } else { b']' }) {
            return Ok(false);
        }
        open.push(object);
        if object {
            self.string()?;
            self.colon()?;
        }
        Ok(true)
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), RecordError> {
        if !self.rest().starts_with(word) {
            return Err(RecordError::NotJson);
        }
        self.at += word.len();
        Ok(())
    }

    /// RFC 8259 §6. A number beyond `f64` is refused as `serde_json` does: no receiver could be relied on to read it.
    fn number(&mut self) -> Result<(), RecordError> {
        let from = self.at;
        self.accept(b'-');
        if !self.accept(b'0') {
            self.digits()?;
        }
        if self.accept(b'.') {
            self.digits()?;
        }
        let scaled = self.accept(b'e') || self.accept(b'E');
        if scaled {
            let _sign = self.accept(b'+') || self.accept(b'-');
            self.digits()?;
        }
        if scaled || self.at - from > SURELY_FINITE {
            let number = self.text.get(from..self.at).unwrap_or_default().parse::<f64>();
            if !number.is_ok_and(f64::is_finite) {
                return Err(RecordError::NotJson);
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), RecordError> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > from {
            Ok(())
        } else {
            Err(RecordError::NotJson)
        }
    }

    /// The character of an escape whose backslash was taken (RFC 8259 §7).
    fn escape(&mut self) -> Result<char, RecordError> {
        match self.bump() {
            Some(b'"') => Ok('"'),
            Some(b'\\') => Ok('\\'),
            Some(b'/') => Ok('/'),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self.code_point(),
            _ => Err(RecordError::NotJson),
        }
    }

    /// A `\u` escape, or a pair of them for a character beyond the basic plane. A lone surrogate is no character.
    fn code_point(&mut self) -> Result<char, RecordError> {
        let unit = self.code_unit()?;
        let code = if (0xD800..0xDC00).contains(&unit) {
            self.literal(b"\\u")?;
            let low = self.code_unit()?;
            if !(0xDC00..0xE000).contains(&low) {
                return Err(RecordError::NotJson);
            }
            0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
        } else {
            unit
        };
        char::from_u32(code).ok_or(RecordError::NotJson)
    }

    fn code_unit(&mut self) -> Result<u32, RecordError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.bump().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit << 4 | digit.ok_or(RecordError::NotJson)?;
        }
        Ok(unit)
    }
}

/// The containers that one value has open, innermost in the lowest bit: 1 for an object. [`MAX_DEPTH`] of them fit.
struct Open {
    kinds: u64,
    count: u32,
}

impl Open {
    fn push(&mut self, object: bool) {
        self.kinds = self.kinds << 1 | u64::from(object);
        self.count += 1;
    }

    fn pop(&mut self) {
        self.kinds >>= 1;
        self.count -= 1;
    }

    fn in_object(&self) -> bool {
        self.kinds & 1 == 1
    }
}

/// How many bytes at the start of `bytes` are neither a quote, nor a backslash, nor a control character.
///
/// Most strings of a record are short, so eight bytes at a time in a register beat a call into a vector search, and the
/// control characters, which a search for two needles would miss, come for free.
#[inline]
fn plain_run(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut run = 0;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        let special = specials(u64::from_le_bytes(*word));
        if special != 0 {
            return run + (special.trailing_zeros() / 8) as usize;
        }
        run += 8;
        rest = tail;
    }
    run + rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
        .unwrap_or(rest.len())
}

/// Marks the quotes, backslashes and control characters among eight bytes by their high bits. A borrow can mark wrongly only
/// above a byte that is marked rightly, so the lowest mark is always true.
#[inline]
fn specials(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let marks = (quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash)
        | (word.wrapping_sub(ONES * 0x20) & !word);
    marks & HIGH
}

#[cfg(test)]
pub(super) mod tests;
