//! gzip for answers that peers can decode (DSP 2025-1 §6.1). Signatures cover the bytes before this.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, header};
use std::io::Write;

/// Smaller answers gain nothing.
const WORTH_IT: usize = 1024;

/// Whether the caller decodes gzip: named in `Accept-Encoding`, and not with a weight of zero (RFC 9110 §12.5.3).
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let refused = parameters
                .trim()
                .strip_prefix("q=")
                .is_some_and(|weight| weight.trim().parse() == Ok(0.0_f32));
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        })
}

/// Puts the bytes into the answer, compressed if the caller decodes that and it is worth it.
pub(super) fn body(mut response: Response, bytes: Bytes, gzip: bool) -> Response {
    let coded = (gzip && bytes.len() >= WORTH_IT).then(|| encode(&bytes)).flatten();
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let bytes = match coded {
        Some(coded) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            coded.into()
        }
        None => bytes,
    };
    *response.body_mut() = Body::from(bytes);
    response
}

fn encode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn accepts(value: &'static str) -> bool {
        accepts_gzip(&HeaderMap::from_iter([(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static(value),
        )]))
    }

    #[test]
    fn gzip_is_used_only_for_callers_that_name_it() {
        for yes in ["gzip", "br, GZIP;q=0.5", "deflate,gzip ; q=1"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "gzip;q=0.0", "x-gzipped"] {
            assert!(!accepts(no), "{no}");
        }
    }

    #[test]
    fn a_compressed_body_decodes_to_the_same_bytes() {
        let text = "learner ".repeat(1000);
        let mut decoded = String::new();
        let coded = encode(text.as_bytes()).unwrap();
        assert!(coded.len() < text.len() / 10);
        flate2::read::GzDecoder::new(coded.as_slice())
            .read_to_string(&mut decoded)
            .unwrap();
        assert_eq!(decoded, text);
    }
}
