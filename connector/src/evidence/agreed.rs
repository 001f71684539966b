//! Checking the agreement of a bundle: both signatures, and that it is what the messages led to.

use super::{
    Flaw,
    checks::{Bundle, Keys, When},
    exchanged,
    manifest::{AGREEMENT, Item},
};
use crate::{
    contract::{AGREEMENT_DOCUMENT_HEADER, AGREEMENT_SIGNATURE_HEADER, CLAIMS_HEADER, RULEBOOK_HEADER},
    dsp::{Role, message::NegotiationMessage},
    jose::{
        AgreementError, VerifyingKey,
        agreement::{Document, PartySignature, Record, Role as Place, Signed, SingleDocument, transcript},
        canonical,
        did::of_kid,
        sha256,
    },
    process::Protocol,
};
use serde_json::{Value, json};

/// Whose signatures an agreement carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignedBy {
    /// Those of both parties.
    Both,
    /// The exporter's alone: the counterparty is one that cannot sign.
    Exporter,
    /// Nobody's: there is no agreement in the bundle.
    Nobody,
}

/// Verifies the agreement's signatures and holds it against the negotiation.
pub(super) fn check(bundle: &Bundle, keys: &Keys) -> Result<SignedBy, Flaw> {
    let refuse = |error: AgreementError| Flaw::of(AGREEMENT, error.to_string());
    if !bundle.has(AGREEMENT) {
        if exchanged::is_signed(bundle) {
            return Err(Flaw::of(AGREEMENT, "it is missing, although the counterparty signs"));
        }
        return Ok(SignedBy::Nobody);
    }
    let bytes = bundle.bytes(AGREEMENT)?;
    let negotiation = bundle.manifest.processes.first().map(|process| &process.pid);
    let when = negotiation.map_or(When::at(0), |pid| bundle.during(pid));
    if SingleDocument::fits(bytes).map_err(refuse)? {
        let document = SingleDocument::parse(bytes).map_err(refuse)?;
        let record = document.record();
        let verified = document.verify(|kid| key(keys, record, kid, when)).map_err(refuse)?;
        relied(bundle, keys, record, &[(verified.role(), verified.signed())])?;
        canonical_form(bundle, document.to_bytes())?;
        if record.party(verified.role()).did != bundle.manifest.exporter.as_str() {
            return Err(Flaw::of(
                AGREEMENT,
                "the one signature that it has is not the exporter's",
            ));
        }
        negotiated(bundle, record)?;
        return Ok(SignedBy::Exporter);
    }
    let document = Document::parse(bytes).map_err(refuse)?;
    let record = document.record();
    let verified = document.verify(|kid| key(keys, record, kid, when)).map_err(refuse)?;
    let both = [
        (Place::Assigner, verified.assigner()),
        (Place::Assignee, verified.assignee()),
    ];
    relied(bundle, keys, record, &both)?;
    canonical_form(bundle, document.to_bytes())?;
    negotiated(bundle, record)?.fit(&document)?;
    Ok(SignedBy::Both)
}

/// The key that a signature names, if the record names it too.
fn key(keys: &Keys, record: &Record, kid: &str, when: When) -> Option<VerifyingKey> {
    let parties = [Place::Assigner, Place::Assignee].map(|place| record.party(place));
    let owner = parties.into_iter().find(|party| of_kid(kid) == Some(&party.did))?;
    keys.exactly(kid, &owner.jkt?, when)
}

/// Both parties of the record are those of the bundle; the keys that signed are noted.
fn relied(bundle: &Bundle, keys: &Keys, record: &Record, signed: &[(Place, &Signed)]) -> Result<(), Flaw> {
    let refuse = |why: String| Flaw::of(AGREEMENT, why);
    for (role, place) in [(Role::Provider, Place::Assigner), (Role::Consumer, Place::Assignee)] {
        let did = &record.party(place).did;
        if did != bundle.party(role).as_str() {
            return Err(refuse(format!(
                "its {role} is {did}, who is not a party of this bundle"
            )));
        }
    }
    for (place, signed) in signed {
        if let Some(jkt) = &record.party(*place).jkt {
            keys.relied_on(&signed.kid, jkt, "the agreement");
        }
    }
    let id = record.parts().agreement.get("@id").and_then(Value::as_str);
    if id == Some(bundle.manifest.agreement.as_str()) {
        return Ok(());
    }
    Err(refuse("it is another agreement than the manifest says".into()))
}

fn canonical_form(bundle: &Bundle, again: Result<Vec<u8>, AgreementError>) -> Result<(), Flaw> {
    if again.ok().as_deref() == Some(bundle.bytes(AGREEMENT)?) {
        return Ok(());
    }
    Err(Flaw::of(AGREEMENT, "it is not in canonical form"))
}

/// The ids, the transcript and the terms are those of the negotiation's messages; returns the messages that concluded it.
fn negotiated<'a>(bundle: &'a Bundle, record: &Record) -> Result<Steps<'a>, Flaw> {
    let refuse = |why: &str| Flaw::of(AGREEMENT, why);
    let process = bundle.manifest.processes.first();
    let process = process
        .filter(|process| process.protocol == Protocol::Negotiation)
        .ok_or_else(|| refuse("the negotiation is missing"))?;
    let parts = record.parts();
    for (role, pid) in [
        (Role::Provider, &parts.provider_pid),
        (Role::Consumer, &parts.consumer_pid),
    ] {
        if bundle.pid_of(role, &process.pid).map(|pid| pid.as_str()) != Some(pid) {
            return Err(refuse("it belongs to another negotiation"));
        }
    }
    let (mut hashes, mut steps) = (Vec::new(), Steps::default());
    for item in exchanged::messages(bundle, process) {
        let value = bundle.json(&item.body)?;
        let read = NegotiationMessage::read(&value).map_err(|error| Flaw::of(item.body.as_str(), error.to_string()))?;
        match read.message {
            NegotiationMessage::Request { .. } | NegotiationMessage::Offer { .. } | NegotiationMessage::Accepted
                if steps.agreement.is_none() =>
            {
                hashes.push(sha256(bundle.bytes(&item.body)?));
            }
            NegotiationMessage::Agreement { agreement } => steps.agreement = Some((item, agreement)),
            NegotiationMessage::Verification => steps.verification = Some(item),
            NegotiationMessage::Finalized => steps.finalized = Some(item),
            _ => {}
        }
    }
    if parts.transcript != transcript(&hashes) {
        return Err(refuse(
            "its transcript is not the hash over the requests, offers and acceptances before it",
        ));
    }
    let (proposed, terms) = steps.proposal()?;
    let same = |value: &Value| canonical::canonicalize(value).ok();
    if same(terms) != same(&parts.agreement) {
        return Err(Flaw::of(
            proposed.body.as_str(),
            "it is not the agreement that was signed",
        ));
    }
    for (header, rests_on) in [
        (CLAIMS_HEADER, parts.claims_hash),
        (RULEBOOK_HEADER, parts.rulebook_hash),
    ] {
        let named = proposed.headers.get(header);
        if named.is_some_and(|named| rests_on.map(|hash| hash.to_string()).as_ref() != Some(named)) {
            return Err(Flaw::of(
                proposed.body.as_str(),
                format!("its {header} is not what the agreement that was signed rests on"),
            ));
        }
    }
    Ok(steps)
}

/// The messages that conclude a negotiation.
#[derive(Default)]
struct Steps<'a> {
    agreement: Option<(&'a Item, Value)>,
    verification: Option<&'a Item>,
    finalized: Option<&'a Item>,
}

fn missing(what: &str) -> Flaw {
    Flaw::of(AGREEMENT, format!("the message with {what} is missing"))
}

impl Steps<'_> {
    fn proposal(&self) -> Result<(&Item, &Value), Flaw> {
        let (item, terms) = self.agreement.as_ref().ok_or_else(|| missing("the agreement"))?;
        Ok((item, terms))
    }

    /// The signatures are those that came with the messages, and the finalization names the document.
    fn fit(&self, document: &Document) -> Result<(), Flaw> {
        let (proposed, _) = self.proposal()?;
        let verified = self.verification.ok_or_else(|| missing("the consumer's signature"))?;
        let [assigner, assignee] = document.signatures();
        for (item, place, signature) in [
            (proposed, Place::Assigner, assigner),
            (verified, Place::Assignee, assignee),
        ] {
            let sent = item.headers.get(AGREEMENT_SIGNATURE_HEADER);
            let sent = sent.and_then(|value| PartySignature::parse(value).ok());
            if sent.as_ref() != Some(signature) {
                return Err(Flaw::of(
                    item.body.as_str(),
                    format!("the signature of the {place} that came with it is not the one in {AGREEMENT}"),
                ));
            }
        }
        let finalized = self.finalized.ok_or_else(|| missing("the finalization"))?;
        let hash = document
            .digest()
            .map_err(|error| Flaw::of(AGREEMENT, error.to_string()))?;
        if finalized
            .headers
            .get(AGREEMENT_DOCUMENT_HEADER)
            .map(|value| json!(value))
            != Some(json!(hash))
        {
            return Err(Flaw::of(
                finalized.body.as_str(),
                format!("it does not finalize {AGREEMENT}"),
            ));
        }
        Ok(())
    }
}
