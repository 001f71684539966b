use super::*;
use crate::{
    net::Reach,
    trust::{Identity, Signatures},
};

#[test]
fn a_recipient_is_a_configured_peer_or_has_an_id_that_it_could_be_known_by() {
    let named = |text: &str| recipient(None, &text.parse().unwrap());
    let stranger = "did:web:agence.example%3A8443:sud";
    assert_eq!(named(stranger).unwrap().as_str(), stranger);
    for text in [
        "work",
        "nodid",
        "did:web:",
        "did:web:work.example#k1",
        "did:key:z6Mk",
        "DID:web:work.example",
    ] {
        assert!(
            matches!(named(text), Err(PeerError::NoParticipant(said)) if said == text),
            "{text}"
        );
    }
    // Not every participant has a DID: EDC's have whatever their configuration says, and so has ours of them.
    let plain = Arc::new(Peer {
        did: "edc-consumer".parse().unwrap(),
        name: Some("work".into()),
        identity: Identity::EdcMock,
        signatures: Signatures::Off,
        address: None,
        reach: Reach::default(),
    });
    assert_eq!(recipient(Some(&plain), &"work".parse().unwrap()).unwrap(), plain.did);
}

fn next(links: &[&'static str]) -> Option<String> {
    let asked = Url::parse("https://a.example/dsp/catalog/request?continuationToken=1").unwrap();
    let headers = links
        .iter()
        .map(|link| (header::LINK, HeaderValue::from_static(link)))
        .collect();
    next_page(&asked, &headers).unwrap().map(|url| url.to_string())
}

#[test]
fn the_next_page_is_found_in_whatever_header_names_it() {
    let expected = Some("https://a.example/dsp/catalog/request?continuationToken=2".to_owned());
    assert_eq!(
        next(&["<https://a.example/dsp/catalog/request?continuationToken=2>; rel=\"next\""]),
        expected
    );
    assert_eq!(
        next(&["<?continuationToken=0>; rel=prev, <?continuationToken=2>; title=x; rel=next"]),
        expected
    );
    assert_eq!(
        next(&[
            "<?continuationToken=0>; rel=\"previous\"",
            "<?continuationToken=2>;rel=\"last next\""
        ]),
        expected
    );
    assert_eq!(next(&["<?continuationToken=0>; rel=\"previous\""]), None);
    assert_eq!(next(&[]), None);
}

#[test]
fn a_link_leads_to_no_other_host_and_not_to_the_same_page() {
    let moved = next(&["<https://169.254.169.254/latest?continuationToken=2>; rel=next"]);
    assert_eq!(
        moved.as_deref(),
        Some("https://a.example/dsp/catalog/request?continuationToken=2")
    );
    assert_eq!(next(&["<?continuationToken=1>; rel=next"]), None);
}
