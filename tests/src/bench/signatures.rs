//! What one signed message costs, against the bare signature and verification in it.

use super::{Figure, median, millis_since};
use connector::{
    clock,
    jose::{self, Algorithm, Binding, Digest, Signer, SigningKey, Unverified, base64url, random},
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

/// A request of 1 KiB to be signed and opened over and over, by one thread.
struct Message {
    signer: Signer,
    body: Vec<u8>,
}

impl Message {
    fn new(algorithm: Algorithm) -> Self {
        let key = SigningKey::generate(algorithm).expect("a key");
        Self {
            signer: Signer::new("did:web:localhost%3A9443#key-1", key).expect("a signer"),
            body: vec![b'x'; 1024],
        }
    }

    const BINDING: Binding<'static> = Binding::Request {
        method: "POST",
        url: URL,
    };

    fn seal(&self) -> String {
        let now = clock::now();
        let id = random::message_id(now).expect("an id");
        let audience = self.signer.did();
        jose::seal(
            &self.signer,
            audience,
            Self::BINDING,
            Digest::EMPTY,
            &self.body,
            now,
            &id,
        )
        .expect("a signature")
    }

    fn open(&self, sealed: &str) {
        let key = self.signer.key().verifying_key();
        Unverified::parse(sealed)
            .and_then(|parsed| parsed.check(self.signer.did(), Self::BINDING, clock::now()))
            .and_then(|checked| checked.verify(key, &self.body))
            .expect("a good signature");
    }

    /// The bytes that the signature of such a message is over (RFC 7515 §5.1): what the bare primitive gets too.
    fn input(&self, sealed: &str) -> Vec<u8> {
        let header = sealed.split("..").next().expect("a detached signature");
        format!("{header}.{}", base64url::encode(&self.body)).into_bytes()
    }

    /// Microseconds, each the median of [`ROUNDS`]: seal, bare signature, open, bare verification. The four take turns, so that whatever
    /// else the machine does meets all of them.
    fn measure(&self) -> [f64; 4] {
        let key = self.signer.key();
        let sealed = self.seal();
        let input = self.input(&sealed);
        let signature = key.sign(&input).expect("a signature");
        let mut taken: [Vec<f64>; 4] = Default::default();
        for _ in 0..ROUNDS {
            let round = [
                each(|| drop(self.seal())),
                each(|| drop(key.sign(&input).expect("a signature"))),
                each(|| self.open(&sealed)),
                each(|| {
                    let verified = key.verifying_key().verify(key.algorithm(), &input, &signature);
                    verified.expect("a good signature");
                }),
            ];
            for (all, millis) in taken.iter_mut().zip(round) {
                all.push(millis * 1000.0);
            }
        }
        taken.map(|all| median(&all))
    }
}

/// Prints `seal_vs_primitive` and `open_vs_primitive`: microseconds to sign and to open one message of 1 KiB by DSP-JWS-1.
pub fn run() {
    let [seal, sign, open, verify] = Message::new(Algorithm::Es256).measure();
    let [eddsa_seal, eddsa_sign, eddsa_open, eddsa_verify] = Message::new(Algorithm::EdDsa).measure();
    let lines = [
        (
            "seal_vs_primitive",
            "the bare signature of as many bytes",
            seal,
            sign,
            eddsa_seal / eddsa_sign,
        ),
        (
            "open_vs_primitive",
            "the bare verification of as many bytes",
            open,
            verify,
            eddsa_open / eddsa_verify,
        ),
    ];
    for (name, reference, value, reference_value, eddsa_ratio) in lines {
        let figure = Figure {
            name,
            value,
            unit: "µs",
            reference,
            reference_value,
        };
        let per_second = (1e6 / value).round();
        figure.print(json!({"algorithm": "ES256", "per_second_and_core": per_second, "eddsa_ratio": (eddsa_ratio * 100.0).round() / 100.0}));
    }
}
