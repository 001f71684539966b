//! What is written is read as it was, and hostile bodies are refused in few words.

use super::{explanation::MAX_REASONS, tests::all_bodies, *};
use crate::dsp::{json, reader::has_empty_array};
use proptest::{collection::vec, option, prelude::*};

fn id<T>() -> impl Strategy<Value = T>
where
    T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug,
{
    "[!-~é]{1,60}".prop_map(|text| text.parse().unwrap())
}

/// JSON as a policy may hold it: nested, with text of any kind, without empty arrays.
fn policy(kind: &'static str) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from)
    ];
    let any_json = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..3).prop_map(Value::from),
            vec(("[a-zA-Z:@]{1,8}", inner), 0..3).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    (vec(("[a-z]{2,8}", any_json), 0..4), "[!-~]{1,20}", "[!-~]{1,20}").prop_map(move |(members, id, target)| {
        let mut body: Map<String, Value> = members.into_iter().collect();
        body.insert("@id".into(), id.into());
        body.insert("@type".into(), kind.into());
        body.insert("target".into(), target.into());
        Value::Object(body)
    })
}

fn url() -> impl Strategy<Value = Url> {
    "https?://[a-z]{1,8}\\.example(:[1-9][0-9]{3})?(/[a-z0-9][a-z0-9._~-]{0,7}){0,3}"
        .prop_map(|text| text.parse().unwrap())
}

fn explanation() -> impl Strategy<Value = Explanation> {
    (option::of("\\PC{0,30}"), vec("\\PC{0,50}", 0..=MAX_REASONS))
        .prop_map(|(code, reasons)| Explanation { code, reasons })
}

fn data_address() -> impl Strategy<Value = DataAddress> {
    ("[!-~]{1,40}", option::of(url()), option::of("[!-~]{0,100}")).prop_map(
        |(endpoint_type, endpoint, authorization)| DataAddress {
            endpoint_type,
            endpoint,
            authorization,
        },
    )
}

/// Both ids, without those that the message cannot know.
fn pids(consumer: bool, provider: bool) -> impl Strategy<Value = Pids> {
    (id::<Pid>(), id::<Pid>()).prop_map(move |(one, other)| Pids {
        consumer: consumer.then_some(one),
        provider: provider.then_some(other),
    })
}

fn negotiation_message() -> impl Strategy<Value = (NegotiationMessage, Pids)> {
    use NegotiationMessage as M;
    let counter = (policy("Offer"), pids(true, true), any::<bool>()).prop_map(|(offer, pids, asks)| {
        let message = if asks {
            M::Request { offer, callback: None }
        } else {
            M::Offer { offer, callback: None }
        };
        (message, pids)
    });
    let request = (policy("Offer"), url(), pids(true, false)).prop_map(|(offer, callback, pids)| {
        (
            M::Request {
                offer,
                callback: Some(callback),
            },
            pids,
        )
    });
    let offer = (policy("Offer"), url(), pids(false, true)).prop_map(|(offer, callback, pids)| {
        (
            M::Offer {
                offer,
                callback: Some(callback),
            },
            pids,
        )
    });
    let later = prop_oneof![
        Just(M::Accepted),
        Just(M::Verification),
        Just(M::Finalized),
        policy("Agreement").prop_map(|agreement| M::Agreement { agreement }),
        explanation().prop_map(M::Termination),
    ];
    prop_oneof![counter, request, offer, (later, pids(true, true))]
}

fn transfer_message() -> impl Strategy<Value = (TransferMessage, Pids)> {
    use TransferMessage as M;
    let request = (
        id::<AgreementId>(),
        "[!-~]{1,30}",
        url(),
        option::of(data_address()),
        pids(true, false),
    )
        .prop_map(|(agreement, format, callback, data_address, pids)| {
            (
                M::Request {
                    agreement,
                    format,
                    callback,
                    data_address,
                },
                pids,
            )
        });
    let later = prop_oneof![
        option::of(data_address()).prop_map(|data_address| M::Start { data_address }),
        explanation().prop_map(M::Suspension),
        Just(M::Completion),
        explanation().prop_map(M::Termination),
    ];
    prop_oneof![request, (later, pids(true, true))]
}

fn hostile() -> impl Strategy<Value = Value> {
    prop_oneof![
        policy("x"),
        Just("x".repeat(5_000).into()),
        Just(json!(vec![vec!["y"; 50]; 50])),
        any::<String>().prop_map(Value::from)
    ]
}

proptest! {
    #[test]
    fn a_written_negotiation_message_is_read_as_it_was((message, pids) in negotiation_message(), id in id::<MessageId>()) {
        let written = message.write(&id, &pids);
        prop_assert!(!has_empty_array(&written));
        prop_assert_eq!(written["@type"].as_str(), Some(message.type_name()));
        let sent = json::parse(written.to_string().as_bytes()).unwrap();
        prop_assert_eq!(NegotiationMessage::read(&sent), Ok(Received { id: Some(id), pids, message }));
    }

    #[test]
    fn a_written_transfer_message_is_read_as_it_was((message, pids) in transfer_message(), id in id::<MessageId>()) {
        let written = message.write(&id, &pids);
        prop_assert!(!has_empty_array(&written));
        prop_assert_eq!(written["@type"].as_str(), Some(message.type_name()));
        let sent = json::parse(written.to_string().as_bytes()).unwrap();
        prop_assert_eq!(TransferMessage::read(&sent), Ok(Received { id: Some(id), pids, message }));
    }

    #[test]
    fn hostile_bodies_are_refused_and_never_panic(
        kind in proptest::sample::select(all_bodies()),
        members in vec(("(@id|@type|offer|agreement|dataAddress|reason|code|callbackAddress|consumerPid|eventType)", hostile()), 0..4),
    ) {
        let mut body = kind.0;
        for (name, value) in members {
            body[name] = value;
        }
        for error in [NegotiationMessage::read(&body).err(), TransferMessage::read(&body).err()].into_iter().flatten() {
            prop_assert!(error.to_string().len() < 500, "an error does not repeat what it was sent: {error}");
        }
        let why = read_error(&body);
        prop_assert!(why.reasons.len() <= MAX_REASONS);
    }
}
