//! Credentials, presentations, trust lists and status lists, truly signed over whatever the input is: what is accepted belongs to who signed
//! it, and written again it reads the same.
#![no_main]

use connector::{
    jose::{
        Signer, SigningKey, base64url,
        credential::{self, CredentialKey, Form, unwrap_enveloped},
        did,
    },
    trust::membership::{
        held::Held,
        list::Signed,
        status::{Bits, StatusEntry, StatusList},
    },
};
use libfuzzer_sys::fuzz_target;
use policy::Timestamp;
use std::sync::LazyLock;
use url::Url;

/// RFC 8037 A.1.
static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    Signer::new("did:web:a.example#k", SigningKey::from_pem(pem.as_bytes()).unwrap()).unwrap()
});

fn signed(header: &str, payload: &[u8]) -> String {
    let input = format!(
        "{}.{}",
        base64url::encode(header.as_bytes()),
        base64url::encode(payload)
    );
    let signature = SIGNER.key().sign(input.as_bytes()).unwrap();
    format!("{input}.{}", base64url::encode(&signature))
}

fn credentials(bytes: &[u8], now: Timestamp) {
    let key = CredentialKey::from(SIGNER.key().verifying_key().clone());
    let forms = [(Form::Credential, "vc+jwt", "vc"), (Form::Presentation, "vp+jwt", "vp")];
    for (form, typ, cty) in forms {
        let header = format!(r#"{{"alg":"EdDSA","cty":"{cty}","kid":"did:web:a.example#k","typ":"{typ}"}}"#);
        let Ok(read) = credential::verify(&signed(&header, bytes), form, &key, now) else {
            continue;
        };
        assert_eq!(read.issuer(), SIGNER.did());
        let _ = StatusEntry::all(read.claims());
        if let Some(address) = read.id().and_then(|id| Url::parse(id).ok()) {
            let _ = StatusList::read(&read, &address);
        }
        if let Some(subject) = read.subject_id() {
            let _ = Held::read(&read, SIGNER.key().verifying_key().thumbprint(), subject);
        }
        if let Ok(again) = credential::issue(&SIGNER, form, &read.claims().clone().into()) {
            let again = credential::verify(&again, form, &key, now).expect("what was accepted is issued as such");
            assert_eq!(again, read);
        }
    }
}

fn lists(bytes: &[u8]) {
    let header = r#"{"alg":"EdDSA","kid":"did:web:a.example#k","typ":"dases-trustlist+jws"}"#;
    let (key, authority) = (SIGNER.key().verifying_key(), "did:web:a.example".parse().unwrap());
    let open = |token: &str| Signed::open_with(token, &authority, &key.thumbprint(), key);
    if let Ok(list) = open(&signed(header, bytes)) {
        let again = Signed::seal(list.list.clone(), &SIGNER).expect("what was accepted can be signed");
        assert_eq!(open(&again.token).expect("and read").list, list.list);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    if let Ok(kid) = credential::kid(text) {
        assert!(did::of_kid(&kid).is_some());
    }
    if let Ok(bits) = Bits::decode(text) {
        assert_eq!(Bits::decode(&bits.encode().unwrap()), Ok(bits));
    }
    if let Ok(value) = connector::dsp::json::parse(bytes) {
        let _ = unwrap_enveloped(&value);
    }
    credentials(bytes, now);
    lists(bytes);
});
