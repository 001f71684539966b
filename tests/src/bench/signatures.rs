//! What one signed message costs, against the bare ES256 signature and its verification in it.

use super::{Figure, median, millis_since};
use connector::{
    clock,
    jose::{self, Algorithm, Binding, Digest, Signer, SigningKey, Unverified, random},
};
use serde_json::json;
use std::time::Instant;

const ROUNDS: usize = 20;
const EACH: usize = 50;
const URL: &str = "https://localhost:9443/dsp/2025-1/negotiations/request";

/// Milliseconds for one bare signature and one bare verification with a fresh ES256 key.
pub fn bare() -> (f64, f64) {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let message = vec![b'x'; 2048];
    let signature = key.sign(&message).expect("a signature");
    let sign = each(|| drop(key.sign(&message).expect("a signature")));
    let verify = each(|| {
        key.verifying_key()
            .verify(Algorithm::Es256, &message, &signature)
            .expect("a good signature");
    });
    (sign, verify)
}

fn each(mut work: impl FnMut()) -> f64 {
    let begun = Instant::now();
    for _ in 0..EACH {
        work();
    }
    millis_since(begun) / EACH as f64
}

/// Prints `signatures`: microseconds to seal and open one message of DSP-JWS-1.
pub fn run() {
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let public = key.verifying_key().clone();
    let signer = Signer::new("did:web:localhost%3A9443#key-1", key).expect("a signer");
    let binding = Binding::Request {
        method: "POST",
        url: URL,
    };
    let body = vec![b'x'; 1500];
    let (mut ours, mut parts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (sign, verify) = bare();
        parts.push((sign + verify) * 1000.0);
        let whole = each(|| {
            let now = clock::now();
            let id = random::message_id(now).expect("an id");
            let sealed =
                jose::seal(&signer, signer.did(), binding, Digest::EMPTY, &body, now, &id).expect("a signature");
            let checked = Unverified::parse(&sealed).and_then(|parsed| parsed.check(signer.did(), binding, now));
            checked
                .and_then(|checked| checked.verify(&public, &body))
                .expect("a good signature");
        });
        ours.push(whole * 1000.0);
    }
    let figure = Figure {
        name: "signatures",
        value: median(&ours),
        unit: "µs",
        reference: "one bare ES256 signature and its verification",
        reference_value: median(&parts),
    };
    figure.print(json!({"algorithm": "ES256", "sealed_and_opened_per_second": (1e6 / median(&ours)).round()}));
}
