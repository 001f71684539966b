//! The lines of a stream, and of the file that a receiver keeps. Records are `{"t":"r","n":N,"record":{…}}`; `begin`, checkpoint (`cp`) and `end` lines carry a signature over
//! their own canonical form. Writing and reading of both; no I/O.

use super::PlaneError;
use crate::audit::merkle;
use crate::jose::{JoseError, Signer, VerifyingKey, base64url, canonical, token};
use serde_json::{Map, Value};

/// The media type of a stream.
pub const MEDIA_TYPE: &str = "application/x-ndjson";

/// What a record line begins with, before its number.
const HEAD: &[u8] = b"{\"t\":\"r\",\"n\":";
const MIDDLE: &[u8] = b",\"record\":";

/// Appends a record line up to where the record's JSON goes.
pub fn begin_record(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(HEAD);
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            // A decimal digit always fits.
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
    out.extend_from_slice(MIDDLE);
}

/// Ends the line that [`begin_record`] began; the line feed is not part of what is hashed.
pub fn end_record(out: &mut Vec<u8>) {
    out.push(b'}');
}

/// One line as a receiver reads it.
pub enum Line<'a> {
    /// A record, with its number.
    Record {
        /// Its number in the stream.
        number: u64,
        /// The record's JSON.
        record: &'a [u8],
    },
    /// A control line whose signature was checked.
    Control(Map<String, Value>),
}

/// Takes a record line apart without parsing the record.
pub fn read_record(line: &[u8]) -> Option<(u64, &[u8])> {
    let rest = line.strip_prefix(HEAD)?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let (number, rest) = rest.split_at(digits);
    let record = rest.strip_prefix(MIDDLE)?.strip_suffix(b"}")?;
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    Some((number, record))
}

/// What stands in a file of received records where one was erased: its number, and the hash that goes on proving the others. Nobody finds the
/// record by it who does not know the pseudonym in it, which is a random number for whoever has forgotten it.
pub fn erased(number: u64, record_line: &[u8]) -> Vec<u8> {
    let leaf = merkle::leaf_hash(record_line);
    format!("{{\"t\":\"erased\",\"n\":{number},\"leaf\":\"{leaf}\"}}").into_bytes()
}

/// Signs a control line: the signature is a compact JWS whose payload part is left out, because it is the line itself.
pub fn control(signer: &Signer, members: Map<String, Value>) -> Result<Vec<u8>, JoseError> {
    let mut line = Value::Object(members);
    let signed = token::sign(signer, token::Kind::StreamLine, &line)?;
    let mut parts = signed.split('.');
    let (head, tail) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
    if let Some(members) = line.as_object_mut() {
        members.insert("sig".into(), format!("{head}..{tail}").into());
    }
    Ok(line.to_string().into_bytes())
}

/// Reads a line; control lines must be signed with one of the keys.
pub fn read<'a>(
    line: &'a [u8],
    number: u64,
    key: impl Fn(&str) -> Option<VerifyingKey>,
) -> Result<Line<'a>, PlaneError> {
    if let Some((number, record)) = read_record(line) {
        return Ok(Line::Record { number, record });
    }
    let refuse = |problem: String| PlaneError::Stream { line: number, problem };
    let Value::Object(mut members) = crate::dsp::json::parse(line).map_err(|error| refuse(error.to_string()))? else {
        return Err(refuse("it is not a JSON object".into()));
    };
    let Some(Value::String(sig)) = members.remove("sig") else {
        return Err(refuse("it is neither a record nor signed".into()));
    };
    let (head, tail) = sig
        .split_once("..")
        .ok_or_else(|| refuse("its signature is malformed".into()))?;
    let payload = canonical::signable(&Value::Object(members.clone())).map_err(|error| refuse(error.to_string()))?;
    let whole = format!("{head}.{}.{tail}", base64url::encode(&payload));
    token::verify(&whole, token::Kind::StreamLine, key).map_err(|error| refuse(error.to_string()))?;
    Ok(Line::Control(members))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_line_is_read_as_it_was_written() {
        for number in [0, 1, 9, 10, 1024, u64::MAX] {
            let mut line = Vec::new();
            begin_record(&mut line, number);
            line.extend_from_slice(b"{\"a\":1}");
            end_record(&mut line);
            assert_eq!(read_record(&line), Some((number, b"{\"a\":1}".as_slice())));
            let value: Value = serde_json::from_slice(&line).unwrap();
            assert_eq!(value["n"].as_u64(), Some(number));
        }
    }
}
