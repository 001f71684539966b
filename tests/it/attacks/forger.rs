//! Requests that would be believed, before somebody changes their protected header, their signature or their body.

use super::{Attack, Rig, picture, repel};
use connector::jose::SigningKey;
use connector_tests::{
    harness::Connector,
    peer::{Letter, Peer, uuid},
};
use serde_json::{Value, json};

/// Where what is forged is sent to.
pub(super) const OPEN: &str = "/negotiations/request";

/// Makes one fresh request after the other, each with one thing wrong.
pub(super) struct Forger<'a> {
    pub(super) peer: &'a Peer,
    pub(super) to: &'a Connector,
    pub(super) body: Value,
}

impl<'a> Forger<'a> {
    /// Of the rig's consumer against its provider.
    pub(super) fn of(rig: &'a Rig) -> Self {
        Self {
            peer: &rig.consumer,
            to: rig.school(),
            body: rig.request(),
        }
    }

    /// A body that was not sent yet.
    pub(super) fn fresh(&self) -> Value {
        let mut body = self.body.clone();
        body["consumerPid"] = json!(uuid());
        body["@id"] = json!(uuid());
        body
    }

    /// With nothing wrong.
    pub(super) fn letter(&self) -> Letter {
        self.peer.letter(self.to, OPEN, &self.fresh())
    }

    /// With another protected header, correctly signed.
    pub(super) fn with(&self, change: impl FnOnce(&mut Value)) -> Letter {
        self.with_key(self.peer.signer.key(), change)
    }

    /// The same with another key.
    pub(super) fn with_key(&self, key: &SigningKey, change: impl FnOnce(&mut Value)) -> Letter {
        let mut protected = self.peer.protected(self.to, "POST", OPEN);
        change(&mut protected);
        self.raw(key, protected.to_string().as_bytes())
    }

    /// Any bytes as protected header, correctly signed.
    pub(super) fn raw(&self, key: &SigningKey, protected: &[u8]) -> Letter {
        let mut letter = self.letter();
        letter.signatures = vec![Peer::sign(key, protected, &letter.body)];
        letter
    }

    /// Changed after it was signed.
    pub(super) fn changed(&self, change: impl FnOnce(&mut Letter)) -> Letter {
        let mut letter = self.letter();
        change(&mut letter);
        letter
    }

    /// With the text of its signature header changed.
    pub(super) fn cut(&self, edit: impl FnOnce(&str) -> String) -> Letter {
        self.changed(|letter| letter.signatures[0] = edit(&letter.signatures[0]))
    }

    /// With other bytes as the signature itself.
    pub(super) fn resigned(&self, edit: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Letter {
        use connector::jose::base64url::{decode, encode};
        self.cut(|text| {
            let (head, signature) = text.rsplit_once('.').unwrap();
            format!("{head}.{}", encode(&edit(decode(signature).unwrap())))
        })
    }
}

pub(super) fn set(member: &'static str, value: Value) -> impl FnOnce(&mut Value) {
    move |protected| protected[member] = value
}

pub(super) fn claim(member: &'static str, value: Value) -> impl FnOnce(&mut Value) {
    move |protected| protected["dspsig"][member] = value
}

pub(super) fn shift(iat: i64, exp: i64) -> impl FnOnce(&mut Value) {
    move |protected| {
        let now = protected["dspsig"]["iat"].as_i64().unwrap();
        protected["dspsig"]["iat"] = json!(now + iat);
        protected["dspsig"]["exp"] = json!(now + exp);
    }
}

pub(super) fn without(member: &'static str) -> impl FnOnce(&mut Value) {
    move |protected| {
        protected.as_object_mut().unwrap().remove(member);
    }
}

/// Attacks that all end with one code.
pub(super) fn all_refused(code: &'static str, letters: Vec<(String, Letter)>) -> Vec<Attack> {
    let refused = letters.into_iter();
    refused
        .map(|(name, letter)| Attack::new(name, letter, 401, code))
        .collect()
}

/// One row of the table of pitfalls: every attack is repelled, and every twin, which differs from an attack in nothing but what is wrong
/// with it, is believed, answered with a signature, and changes something.
pub(super) async fn row(name: &str, rig: &Rig, attacks: Vec<Attack>, twins: Vec<(&str, Letter)>) {
    assert!(!attacks.is_empty() && !twins.is_empty(), "{name}");
    rig.introduce().await;
    repel(name, rig.school(), &rig.consumer, attacks).await;
    for (twin, letter) in twins {
        let before = picture(rig.school()).await;
        let reply = rig.consumer.send(rig.school(), &letter).await;
        assert_eq!(
            (reply.status, reply.signed),
            (201, true),
            "{name}: {twin}: {}",
            reply.body
        );
        assert_ne!(before, picture(rig.school()).await, "{name}: {twin}");
    }
}
