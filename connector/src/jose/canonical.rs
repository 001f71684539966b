//! JSON Canonicalization Scheme (RFC 8785): one byte string for one JSON value.
//!
//! `serde_json` keeps members in the order read (`preserve_order` is on in the whole build), so sorting is explicit here.

use serde_json::{Map, Number, Value};
use std::fmt::Write as _;

/// Integers beyond this cannot be told apart once they are read as IEEE 754 doubles (RFC 7493 §2.2).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Why a value has no canonical form here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// RFC 8785 would write the nearest double, that is, another number.
    #[error("an integer is beyond 2^53 - 1 and would change when read as a double")]
    UnsafeInteger,
    /// What is signed holds no fractions and no exponents, because readers round them differently.
    #[error("a number with a fraction or an exponent cannot be signed; write it as a string")]
    Fraction,
}

/// The canonical bytes of any value, floating-point numbers included.
pub fn canonicalize(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    write_value(value, Numbers::All)
}

/// The canonical bytes of a value that is to be signed or hashed: as [`canonicalize`], and every number must be an integer.
pub fn signable(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    write_value(value, Numbers::Integers)
}

#[derive(Clone, Copy)]
enum Numbers {
    All,
    Integers,
}

fn write_value(value: &Value, numbers: Numbers) -> Result<Vec<u8>, CanonicalError> {
    let mut out = String::new();
    put_value(value, numbers, &mut out)?;
    Ok(out.into_bytes())
}

fn put_value(value: &Value, numbers: Numbers, out: &mut String) -> Result<(), CanonicalError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => put_number(number, numbers, out)?,
        Value::String(text) => put_string(text, out),
        Value::Array(items) => put_array(items, numbers, out)?,
        Value::Object(members) => put_object(members, numbers, out)?,
    }
    Ok(())
}

fn put_array(items: &[Value], numbers: Numbers, out: &mut String) -> Result<(), CanonicalError> {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        put_value(item, numbers, out)?;
    }
    out.push(']');
    Ok(())
}

/// RFC 8785 §3.2.3: names sorted by their UTF-16 code units, which is not the order of their UTF-8 bytes beyond U+FFFF.
fn put_object(members: &Map<String, Value>, numbers: Numbers, out: &mut String) -> Result<(), CanonicalError> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push('{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        put_string(name, out);
        out.push(':');
        put_value(value, numbers, out)?;
    }
    out.push('}');
    Ok(())
}

/// RFC 8785 §3.2.2.2: the two-character escapes where they exist, `\u00xx` for the other control characters, all else as it is.
fn put_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control @ '\0'..'\u{20}' => append(out, format_args!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

fn put_number(number: &Number, numbers: Numbers, out: &mut String) -> Result<(), CanonicalError> {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    match (magnitude, numbers) {
        (Some(magnitude), _) if magnitude > MAX_SAFE_INTEGER => Err(CanonicalError::UnsafeInteger),
        (Some(_), _) => {
            append(out, format_args!("{number}"));
            Ok(())
        }
        (None, Numbers::Integers) => Err(CanonicalError::Fraction),
        (None, Numbers::All) => {
            put_double(number, out);
            Ok(())
        }
    }
}

/// RFC 8785 §3.2.2.3, that is ECMA-262 `Number::toString`. The digits are those of serde_json, the shortest that read back as the same
/// double and of two equally near the even one (Rust's own `{:e}` rounds such a tie up); the layout is ours.
fn put_double(number: &Number, out: &mut String) {
    let text = number.to_string();
    let (sign, magnitude) = text
        .strip_prefix('-')
        .map_or(("", text.as_str()), |magnitude| ("-", magnitude));
    let (mantissa, exponent) = magnitude.split_once('e').unwrap_or((magnitude, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let written = format!("{whole}{fraction}");
    let significant = written.trim_start_matches('0');
    let digits = significant.trim_end_matches('0');
    if digits.is_empty() {
        out.push('0');
        return;
    }
    let leading_zeros = written.len() - significant.len();
    let exponent: i32 = exponent.parse().unwrap_or_default();
    // The decimal point stands after `point` digits.
    let point = exponent
        .saturating_add(length(whole))
        .saturating_sub(i32::try_from(leading_zeros).unwrap_or(i32::MAX));
    out.push_str(sign);
    lay_out(digits, point, out);
}

/// ECMA-262 §6.1.6.1.20 steps 6 to 10.
fn lay_out(digits: &str, point: i32, out: &mut String) {
    let count = length(digits);
    if (count..=21).contains(&point) {
        append(
            out,
            format_args!("{digits}{:0<width$}", "", width = width(point - count)),
        );
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = digits.split_at_checked(width(point)).unwrap_or((digits, ""));
        append(out, format_args!("{whole}.{fraction}"));
    } else if (-5..=0).contains(&point) {
        append(out, format_args!("0.{:0<width$}{digits}", "", width = width(-point)));
    } else {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
        let dot = if rest.is_empty() { "" } else { "." };
        append(out, format_args!("{first}{dot}{rest}e{:+}", point - 1));
    }
}

fn length(digits: &str) -> i32 {
    i32::try_from(digits.len()).unwrap_or(i32::MAX)
}

fn width(count: i32) -> usize {
    usize::try_from(count).unwrap_or_default()
}

fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests;
