//! The evidence of a demonstration: it verifies with nothing but its bytes, and whatever anybody changes about it is found and named:
//! somebody who has no key, somebody with a key of their own, and the exporter itself.

pub mod bundle;

use bundle::{Bundle, demonstration};
use connector::{
    evidence::{Flaw, Pin, Report, verify},
    jose::{Signer, SigningKey, sha256},
};
use serde_json::{Value, json};

fn checked(bytes: &[u8]) -> Report {
    verify(bytes, &[]).unwrap_or_else(|flaw| panic!("{flaw}"))
}

fn refused(what: &str, bytes: &[u8]) -> Flaw {
    match verify(bytes, &[]) {
        Ok(_) => panic!("{what}: it verifies"),
        Err(flaw) => flaw,
    }
}

/// Refuses, and names the part.
fn names(what: &str, bytes: &[u8], part: &str) {
    let flaw = refused(what, bytes);
    assert!(flaw.part.contains(part), "{what}: {flaw}, and not {part}");
}

#[test]
fn evidence_of_either_party_proves_the_same_agreement() {
    let demo = demonstration();
    let (provider, consumer) = (checked(&demo.provider), checked(&demo.consumer));
    assert_eq!((provider.signatures, consumer.signatures), (2, 2));
    assert_eq!(provider.signed_by, "both parties");
    assert_eq!(provider.agreement, consumer.agreement);
    assert_eq!(
        (&provider.exporter, &provider.counterparty),
        (&consumer.counterparty, &consumer.exporter)
    );
    for report in [&provider, &consumer] {
        // Request, agreement, verification, finalization; request, start, completion.
        let messages = &report.messages;
        assert_eq!(
            messages.from_counterparty + messages.acknowledged + messages.unanswered,
            7,
            "{messages:?}"
        );
        assert_eq!(messages.unsigned, 0);
        assert_eq!(report.releases.len(), 1);
        assert!(report.releases[0].receipt && report.releases[0].records.is_some());
        assert_eq!(
            report.log.entries,
            report.log.entries.min(usize::try_from(report.log.size).unwrap())
        );
    }
    let roots = [&provider, &consumer].map(|report| (report.releases[0].records, report.releases[0].root.clone()));
    assert_eq!(roots[0], roots[1]);
    assert!(provider.consents > 0 && provider.withdrawn > 0);
    assert_eq!(consumer.consents, 0);
}

#[test]
fn evidence_holds_no_learner_and_no_record() {
    let demo = demonstration();
    for bytes in [&demo.provider, &demo.consumer] {
        for (name, content) in Bundle::unpack(bytes).files {
            let text = String::from_utf8_lossy(&content);
            for learner in &demo.learners {
                assert!(!text.contains(&format!("\"{learner}\"")), "{name} names {learner}");
            }
            for pseudonym in &demo.pseudonyms {
                assert!(!text.contains(pseudonym.as_str()), "{name} names {pseudonym}");
            }
        }
    }
}

/// Bytes at the beginning, the end and in between of every file, and all over the framing.
#[test]
fn evidence_with_one_byte_changed_anywhere_is_refused_and_the_part_named() {
    let demo = demonstration();
    let (mut content, mut framing, mut files) = (0, 0, 0);
    for bytes in [&demo.provider, &demo.consumer] {
        let places = Bundle::places(bytes);
        let step = (bytes.len() / 500).max(1);
        let mut positions: Vec<usize> = (0..bytes.len()).step_by(step).collect();
        for (_, range) in &places {
            files += 1;
            positions.extend([range.start, range.start + range.len() / 2, range.end.saturating_sub(1)]);
        }
        positions.sort_unstable();
        positions.dedup();
        for at in positions.into_iter().filter(|at| *at < bytes.len()) {
            for bit in [0x01, 0x80] {
                let mut changed = bytes.clone();
                changed[at] ^= bit;
                let flaw = refused(&format!("byte {at}"), &changed);
                assert!(!flaw.part.is_empty());
                let Some((name, _)) = places.iter().find(|(_, range)| range.contains(&at)) else {
                    framing += 1;
                    continue;
                };
                content += 1;
                let expected = if name.starts_with("manifest.") {
                    "manifest."
                } else {
                    name
                };
                assert!(flaw.part.contains(expected), "byte {at} of {name}: {flaw}");
            }
        }
    }
    println!("{content} changed bytes in {files} files and {framing} in the framing: all refused, each with its part");
    assert!(content > 500 && framing > 100);
}

#[test]
fn evidence_with_files_moved_removed_added_or_doubled_is_refused() {
    let demo = demonstration();
    let bundle = Bundle::unpack(&demo.provider);
    let mut attacks = 0;
    for at in 0..bundle.files.len() {
        let name = bundle.files[at].0.clone();
        let mut without = bundle.clone();
        without.files.remove(at);
        names(
            "removed",
            &without.pack(),
            if name.starts_with("manifest.") {
                "manifest."
            } else {
                &name
            },
        );
        let mut doubled = bundle.clone();
        doubled.files.insert(at, bundle.files[at].clone());
        refused("doubled", &doubled.pack());
        attacks += 2;
        if at > 0 {
            let mut moved = bundle.clone();
            moved.files.swap(at - 1, at);
            refused("moved", &moved.pack());
            attacks += 1;
        }
    }
    for (name, at) in [
        ("AAA.txt", 0),
        ("messages/999-Extra.json", 5),
        ("zzz", bundle.files.len()),
    ] {
        let mut more = bundle.clone();
        more.files.insert(at, (name.to_owned(), b"{}".to_vec()));
        names("added", &more.pack(), name);
        attacks += 1;
    }
    println!("{attacks} archives with files moved, removed, added or doubled: all refused");
}

#[test]
fn evidence_signed_again_by_somebody_else_is_refused() {
    let demo = demonstration();
    let bundle = Bundle::unpack(&demo.provider);
    let kid = demo.signer.kid();
    // A stranger's key under the exporter's id, the counterparty's own key, and a stranger's under its own id.
    let strangers = [
        Signer::new(kid, SigningKey::generate(demo.signer.key().algorithm()).unwrap()).unwrap(),
        Signer::new(demo.peer_signer.kid(), demo.peer_signer.key().clone()).unwrap(),
        Signer::new("did:web:stranger.example#k1", demo.peer_signer.key().clone()).unwrap(),
    ];
    for stranger in &strangers {
        names("signed again", &bundle.clone().sign(stranger).pack(), "manifest.jws");
    }
    // The same by the exporter changes nothing.
    checked(&bundle.sign(&demo.signer).pack());
}

/// The exporter has the key of the manifest: what it cannot make are the other party's signatures, and a second history of its log.
#[test]
fn evidence_that_the_exporter_has_changed_and_signed_is_refused_and_the_part_named() {
    let demo = demonstration();
    let whole = Bundle::unpack(&demo.provider);
    let file = |kind: &str, end: &str| whole.find(kind, end);
    let (request, request_jws) = (
        file("-ContractRequestMessage", ".json"),
        file("-ContractRequestMessage", ".jws"),
    );
    let (verification, verification_jws) = (
        file("-ContractAgreementVerificationMessage", ".json"),
        file("-ContractAgreementVerificationMessage", ".jws"),
    );
    let answer = file("-ContractAgreementMessage.answer", ".json");
    let receipt = file("-receipt", ".jws");
    let begin = file("-begin", ".json");
    let end = file("-end", ".json");
    let entry = whole.entry_of(&request);
    let attack = |what: &str, part: &str, change: &dyn Fn(&mut Bundle)| {
        let mut changed = whole.clone();
        change(&mut changed);
        assert!(
            changed.files != whole.files || changed.manifest() != whole.manifest(),
            "{what}: nothing was changed"
        );
        names(what, &changed.sign(&demo.signer).pack(), part);
        1
    };
    let mut attacks = 0;
    for name in [
        &request,
        &verification,
        &answer,
        &receipt,
        &begin,
        &end,
        &request_jws,
        &verification_jws,
    ] {
        attacks += attack("a byte of it", name.split('.').next().unwrap(), &|bundle| {
            bundle.flip(name, 40)
        });
    }
    attacks += attack("a byte of it, and its entry", &entry.1, &|bundle| {
        bundle.flip(&request, 200);
        let hash = sha256(bundle.get(&request)).to_string();
        bundle.edit(&entry.0, |value| value["body"] = json!(hash));
    });
    attacks += attack("an entry", &entry.1, &|bundle| {
        bundle.edit(&entry.0, |value| value["state"] = json!("OFFERED"))
    });
    attacks += attack("signatures of two messages exchanged", "messages/", &|bundle| {
        bundle.exchange(&request_jws, &verification_jws);
    });
    attacks += attack(
        "bodies and signatures of two messages exchanged",
        "messages/",
        &|bundle| {
            bundle.exchange(&request_jws, &verification_jws);
            bundle.exchange(&request, &verification);
        },
    );
    attacks += attack("another agreement, validly signed", "agreement.json", &|bundle| {
        bundle.set("agreement.json", demo.other_agreement.clone());
    });
    attacks += attack("no agreement", "agreement.json", &|bundle| {
        bundle.remove("agreement.json")
    });
    attacks += attack("a message left out, not its entry", "log/entries/", &|bundle| {
        bundle.drop_exhibit(&request, false)
    });
    for name in [&request, &verification] {
        attacks += attack("a message left out with its entries", "", &|bundle| {
            bundle.drop_exhibit(name, true)
        });
    }
    for name in [&receipt, &end] {
        attacks += attack("a receipt or a line left out", "", &|bundle| {
            bundle.drop_exhibit(name, false)
        });
        attacks += attack(
            "a receipt or a line left out, and the rest counted again",
            "",
            &|bundle| {
                bundle.drop_exhibit(name, false);
                bundle.count_again();
            },
        );
    }
    attacks += attack("another number of exhibits", "manifest.json", &|bundle| {
        bundle.manifest_edit(|manifest| manifest["processes"][0]["exhibits"] = json!(100))
    });
    attacks += attack("no number of exhibits", "", &|bundle| {
        bundle.manifest_edit(|manifest| {
            manifest["processes"][0].as_object_mut().unwrap().remove("exhibits");
            manifest["exhibits"][0].as_object_mut().unwrap().remove("number");
        })
    });
    attacks += attack("two messages in another order", "messages/", &|bundle| {
        bundle.manifest_edit(|manifest| {
            manifest["exhibits"].as_array_mut().unwrap().swap(1, 2);
        })
    });
    attacks += attack("another address", ".jws", &|bundle| {
        bundle.manifest_edit(|manifest| {
            manifest["exhibits"][0]["url"] = json!("https://elsewhere.example/dsp/negotiations/request");
        })
    });
    attacks += attack("another time", "messages/", &|bundle| {
        bundle.manifest_edit(|manifest| {
            manifest["exhibits"][0]["at"] = json!("2020-01-01T00:00:00Z");
        })
    });
    attacks += attack("an answer with another status", "messages/", &|bundle| {
        bundle.manifest_edit(|manifest| {
            let items = manifest["exhibits"].as_array_mut().unwrap();
            let item = items.iter_mut().find(|item| item.get("answer").is_some()).unwrap();
            item["answer"]["status"] = json!(202);
        })
    });
    let agreed = file("-ContractAgreementMessage", ".json");
    for header in ["x-dases-claims", "x-dases-rulebook"] {
        for value in [sha256(b"another").to_string(), "no hash".to_owned()] {
            attacks += attack("a header that names what was not signed", &agreed, &|bundle| {
                bundle.manifest_edit(|manifest| {
                    let items = manifest["exhibits"].as_array_mut().unwrap();
                    let item = items.iter_mut().find(|item| item["body"] == json!(agreed)).unwrap();
                    item["headers"][header] = json!(value);
                })
            });
        }
    }
    attacks += attack("another consent", "manifest.json", &|bundle| {
        bundle.manifest_edit(|manifest| {
            manifest["consents"][0]["given"] = json!(sha256(b"another"));
        })
    });
    attacks += attack("a key that was never published", "did/001.json", &|bundle| {
        let jwk = SigningKey::generate(demo.signer.key().algorithm())
            .unwrap()
            .public_jwk();
        bundle.edit("did/001.json", |value| {
            let kid = format!("{}#k9", demo.signer.did());
            let method =
                json!({"id": kid, "type": "JsonWebKey2020", "controller": demo.signer.did(), "publicKeyJwk": jwk});
            value["verificationMethod"].as_array_mut().unwrap().push(method);
            value["assertionMethod"].as_array_mut().unwrap().push(json!(kid));
        });
    });
    attacks += attack("no document of the other party", "", &|bundle| {
        bundle.drop_documents(&demo.peer_signer)
    });
    attacks += attack("a file that nothing explains", "secret.txt", &|bundle| {
        bundle.set("secret.txt", b"x".to_vec())
    });
    attacks += attack("another checkpoint", "log/checkpoint", &|bundle| {
        bundle.flip("log/checkpoint", 30)
    });
    attacks += attack("a proof of another entry", &entry.1, &|bundle| {
        let other = bundle
            .files
            .iter()
            .rev()
            .find(|(name, _)| name.ends_with(".tlog-proof"))
            .unwrap()
            .1
            .clone();
        bundle.set(&entry.1, other);
    });
    attacks += attack("another exporter", "", &|bundle| {
        bundle.manifest_edit(|manifest| {
            manifest["exporter"] = manifest["counterparty"].clone();
        })
    });
    println!("{attacks} changes that the exporter itself signed: all refused, each with its part");
}

#[test]
fn evidence_rests_on_the_keys_that_the_caller_trusts() {
    let demo = demonstration();
    let report = checked(&demo.provider);
    assert!(report.keys.len() >= 2 && report.keys.iter().all(|key| !key.pinned));
    let pin = |did: &str, thumbprint: &str| Pin {
        did: did.parse().unwrap(),
        thumbprint: thumbprint.parse().unwrap(),
    };
    let pins: Vec<Pin> = report.keys.iter().map(|key| pin(&key.did, &key.thumbprint)).collect();
    assert!(verify(&demo.provider, &pins).unwrap().keys.iter().all(|key| key.pinned));
    let stranger = sha256(b"another key").to_string();
    for key in &report.keys {
        let flaw = verify(&demo.provider, &[pin(&key.did, &stranger)]).unwrap_err();
        assert_eq!(flaw.part, key.kid);
    }
    let flaw = verify(&demo.provider, &[pin("did:web:nobody.example", &stranger)]).unwrap_err();
    assert_eq!(flaw.part, "did:web:nobody.example");
    let shown: Value = json!(report);
    assert_eq!(shown["signedBy"], "both parties");
}
