use super::*;
use crate::{
    contract::{PublishedKey, verify_export},
    jose::{
        Digest, Signer, SigningKey,
        agreement::{Document, Parts, Party, Record, Role, SingleDocument},
        testing,
    },
};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);
const LYCEE: &str = "did:web:lycee.example";
const FT: &str = "did:web:ft.example";

fn key_of(signer: &Signer) -> PublishedKey {
    PublishedKey::of(signer.kid(), signer.key().verifying_key())
}

fn party(did: &str, key: Option<&SigningKey>) -> Party {
    Party {
        did: did.to_owned(),
        jkt: key.map(|key| key.verifying_key().thumbprint()),
    }
}

/// The page of this agreement object, signed by both or by the provider alone.
fn page(agreement: Value, both: bool) -> String {
    let (provider, consumer) = (testing::provider(), testing::consumer());
    let record = Record::new(Parts {
        provider_pid: agreement["providerPid"].as_str().unwrap_or("urn:uuid:p").to_owned(),
        consumer_pid: agreement["consumerPid"].as_str().unwrap_or("urn:uuid:c").to_owned(),
        provider: party(LYCEE, Some(provider.key())),
        consumer: party(FT, both.then(|| consumer.key())),
        agreement,
        transcript: Digest::EMPTY,
        claims_hash: None,
        offer_hash: None,
        rulebook_hash: None,
    })
    .unwrap();
    let by_provider = record.sign(&provider, Role::Assigner, NOW).unwrap();
    let (bytes, keys) = if both {
        let by_consumer = record.sign(&consumer, Role::Assignee, NOW).unwrap();
        let document = Document::assemble(record, &by_provider, &by_consumer).unwrap();
        (document.to_bytes().unwrap(), vec![key_of(&provider), key_of(&consumer)])
    } else {
        let document = SingleDocument::assemble(record, &by_provider).unwrap();
        (document.to_bytes().unwrap(), vec![key_of(&provider)])
    };
    let export = AgreementExport::new(serde_json::from_slice(&bytes).unwrap(), keys);
    let checked = verify_export(&serde_json::to_vec(&export).unwrap()).unwrap();
    write(&export, &checked, NOW)
}

fn agreement(more: Value) -> Value {
    let mut agreement = json!({
        "@id": "urn:uuid:e8dc8655-44c2-46ef-b701-4cffdc2faa44", "@type": "Agreement", "assigner": LYCEE, "assignee": FT,
        "target": "urn:uuid:3dd1add4-4d2d-569e-d634-8394a8836d23", "timestamp": "2026-01-01T00:00:00Z",
    });
    agreement
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    agreement
}

fn usual() -> Value {
    agreement(json!({
        "permission": [{"action": "use", "constraint": [
            {"leftOperand": "odrl:purpose", "operator": "eq", "rightOperand": "https://w3id.org/dases/ns/purpose/orientation"},
            {"leftOperand": "dases:dataCategory", "operator": "isAnyOf", "rightOperand": ["skills", "results"]},
            {"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "given"},
            {"leftOperand": "odrl:dateTime", "operator": "lt", "rightOperand": "2027-08-31T22:00:00Z"},
        ], "duty": [{"action": "delete"}]}],
        "prohibition": [{"action": "odrl:sell"}],
        "obligation": [{"action": "inform", "informedParty": "did:web:ministry.example"}],
    }))
}

#[test]
fn a_page_says_in_both_languages_what_was_agreed() {
    let page = page(usual(), true);
    for said in [
        "<html lang=\"fr\">",
        "<section lang=\"fr\">",
        "<section lang=\"en\">",
        "utiliser les données",
        "use the data",
        "<li>si finalité est purpose/orientation</li>",
        "est l’un de : compétences, résultats</li>",
        "is one of: skills, results</li>",
        "<li>si consentement de la personne : oui</li>",
        "avant 2027-08-31T22:00:00Z</li>",
        "effacer les données",
        "les vendre",
        "<li>inform did:web:ministry.example</li>",
        "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "did:web:ft.example#k1",
        "connector agreement verify",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(!page.contains("une seule partie"), "both signed");
    let (french, english) = (page.find("<section lang=\"fr\">"), page.find("<section lang=\"en\">"));
    assert!(french < english, "French first");
}

#[test]
fn what_one_party_signed_is_shown_as_that() {
    let page = page(usual(), false);
    for said in [
        "Signé par une seule partie.",
        "Signed by one party.",
        "n’a pas signé",
        "has not signed",
    ] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn what_has_no_words_is_shown_as_it_stands() {
    let odd = json!({"leftOperand": "https://example.org/weather", "operator": "eq", "rightOperand": "sunny"});
    let consent = json!({"leftOperand": "dases:consent", "operator": "eq", "rightOperand": "withdrawn"});
    let policy = agreement(json!({"permission": [
        {"action": "https://example.org/dance", "constraint": [odd, consent]},
        {"action": "use", "constraint": [{"or": [
            {"leftOperand": "purpose", "operator": "hasPart", "rightOperand": "x-ray"},
            {"leftOperand": "purpose", "operator": "eq", "rightOperand": "orientation"},
        ]}]},
    ]}));
    let shown = page(policy, true);
    let before_the_annex = shown.split("class=\"annex\"").next().unwrap();
    for said in [
        "https://example.org/dance",
        "https://example.org/weather",
        "sunny",
        "withdrawn",
        "hasPart",
        "x-ray",
        "si au moins une de ces conditions est remplie :",
        "si finalité est orientation",
    ] {
        assert!(before_the_annex.contains(said), "{said}");
    }
    let unreadable = page(agreement(json!({"permission": "everything!"})), true);
    assert!(
        unreadable
            .split("class=\"annex\"")
            .next()
            .unwrap()
            .contains("everything!")
    );
    assert!(unreadable.contains("They cannot be put into words"));
}

#[test]
fn a_page_says_what_the_explanation_of_a_policy_says() {
    let terms = agreement(
        json!({"permission": [{"action": "aggregate", "constraint": [{"andSequence": [
            {"leftOperand": "purpose", "operator": "eq", "rightOperand": "orientation"},
            {"leftOperand": "dateTime", "operator": "lt", "rightOperand": "2027-08-31T22:00:00Z"},
        ]}]}]}),
    );
    let policy = read_policy(&terms).unwrap();
    let shown = page(terms, true);
    for language in Language::ALL {
        let told = policy::explain(&policy, language);
        let (_, action) = told.permissions[0].text.split_once(": ").unwrap();
        assert!(shown.contains(&format!("<strong>{action}</strong>")), "{action}");
        let sequence = &told.permissions[0].parts[0];
        for said in std::iter::once(sequence).chain(&sequence.parts) {
            assert!(shown.contains(&said.text), "{}", said.text);
        }
    }
    assert!(shown.contains("their order is not checked") && shown.contains("instead of records"));
}

#[test]
fn a_page_says_what_a_failure_brings() {
    let late = json!({"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": "P30D"});
    let shown = page(
        agreement(json!({
            "permission": [{"action": "use", "duty": [
                {"action": "delete", "consequence": [{"action": "compensate", "constraint": [late]}]},
            ]}],
            "prohibition": [{"action": "distribute", "remedy": [{"action": "delete"}]}],
            "obligation": [{"action": "log", "consequence": [{"action": "attribute"}]}],
        })),
        true,
    );
    let before_the_annex = shown.split("class=\"annex\"").next().unwrap();
    for (begin, pay, delete, attribute) in [
        (
            "En cas de manquement, oblige aussi à : ",
            "payer",
            "effacer les données",
            "citer la source",
        ),
        (
            "After a failure, obliges as well to: ",
            "pay",
            "delete the data",
            "name the source",
        ),
    ] {
        for said in [
            // With its own condition below it.
            format!("<li>{delete}<ul>\n<li>{begin}{pay}\n<ul>"),
            format!("</strong><ul>\n<li>{begin}{delete}</li>"),
            format!("<li>{begin}{attribute}</li>"),
        ] {
            assert_eq!(before_the_annex.matches(&said).count(), 1, "{said}: {before_the_annex}");
        }
    }
    assert_eq!(before_the_annex.matches("P30D").count(), 2, "{before_the_annex}");
}

#[test]
fn nothing_of_a_hostile_party_becomes_markup() {
    const HOSTILE: &str = "</pre></code><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u{202e}\u{7}";
    let mut policy = agreement(json!({
        "@id": format!("urn:{HOSTILE}"), "target": HOSTILE, "timestamp": HOSTILE, "providerPid": HOSTILE, "consumerPid": HOSTILE,
        "profile": HOSTILE, HOSTILE: HOSTILE,
        "permission": [
            {"action": HOSTILE, "constraint": [
                {"leftOperand": HOSTILE, "operator": HOSTILE, "rightOperand": HOSTILE},
                {"leftOperand": "purpose", "operator": "eq", "rightOperand": HOSTILE},
                {"leftOperand": "recipient", "operator": "isAnyOf", "rightOperand": [HOSTILE, {"@id": HOSTILE}]},
                {"leftOperand": "dateTime", "operator": "lt", "rightOperand": {"@value": HOSTILE, "@type": HOSTILE}},
                {"leftOperand": "dases:dataCategory", "operator": "eq", "rightOperand": HOSTILE},
                {"and": [{"leftOperand": HOSTILE, "operator": "eq", "rightOperand": HOSTILE}]},
            ], "duty": [{"action": HOSTILE, "consequence": [{"action": HOSTILE}]}]},
        ],
        "prohibition": [{"action": HOSTILE, "remedy": [{"action": HOSTILE}]}],
        "obligation": [{"action": HOSTILE, "constraint": [{"leftOperand": HOSTILE, "operator": "gt", "rightOperand": "1"}]}],
    }));
    for attempt in 0..2 {
        let page = page(policy.clone(), true);
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "it is shown");
        for markup in [
            "<script",
            "<img",
            "onerror=alert(2)>",
            "\u{202e}",
            "\u{7}",
            "</pre></code>",
        ] {
            assert!(!page.contains(markup), "{attempt}: {markup:?}");
        }
        let tags: Vec<&str> = page
            .split('<')
            .skip(1)
            .map(|rest| rest.split(['>', ' ', '\n']).next().unwrap())
            .collect();
        const OURS: &[&str] = &[
            "!doctype", "html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "p", "strong",
            "table", "tr", "th", "td", "code", "pre", "ul", "li", "q", "br", "span",
        ];
        for tag in tags {
            assert!(OURS.contains(&tag.trim_start_matches('/')), "<{tag}");
        }
        // Once more as a policy that cannot be read at all.
        policy["permission"] = json!(HOSTILE);
    }
}

#[test]
fn a_page_loads_nothing_and_allows_its_own_style_alone() {
    let page = page(usual(), true);
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = BASE64_STANDARD.encode(jose::sha256(style.as_bytes()).as_bytes());
    let policy =
        format!("content=\"default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\"");
    assert!(page.contains(&policy), "the text of a hash needs no escaping: {policy}");
    for outside in [
        "src=",
        "href=",
        "url(",
        "@import",
        "http-equiv=\"refresh",
        "<link",
        "<script",
        "style=",
        "<form",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("@media print"));
}
