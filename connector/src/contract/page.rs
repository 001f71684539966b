//! An agreement as a page for people: French first, English second, printable, in one file that loads nothing.
//!
//! The page is a reading aid: what counts is the signed document, which it carries in full. Whatever comes from the parties passes through
//! `Page::text`, the only way in for a string that is not a literal of ours; a rule that cannot be put into words is shown as it stands.

use super::export::{AgreementExport, Checked, CheckedParty, KeySource};
use crate::{catalog::read_policy, jose};
use base64::{Engine, prelude::BASE64_STANDARD};
use policy::{Constraint, Duty, Language, Rule, Timestamp, words};
use serde_json::Value;

/// The whole style. Its hash is the one thing that the content security policy allows.
const STYLE: &str = include_str!("page.css");

/// Markup under construction.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Markup and words of ours.
    fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text from anywhere. Markup loses its meaning, and characters that hide or reorder what is shown become visible.
    fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' => self.0.push('\n'),
                c if c.is_control() || is_reordering(c) => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
        self
    }

    /// Text from anywhere, set as code.
    fn code(&mut self, text: &str) -> &mut Self {
        self.raw("<code>").text(text).raw("</code>")
    }

    /// A value as it stands, indented.
    fn verbatim(&mut self, value: &Value) -> &mut Self {
        self.raw("<pre>").text(&format!("{value:#}")).raw("</pre>\n")
    }

    /// A row of a table with one cell beside its heading.
    fn row(&mut self, heading: &'static str, cell: impl FnOnce(&mut Self)) -> &mut Self {
        self.raw("<tr><th scope=\"row\">").raw(heading).raw("</th><td>");
        cell(self);
        self.raw("</td></tr>\n")
    }
}

/// Marks of direction and invisible characters, with which a text can be made to read differently from what it says.
fn is_reordering(c: char) -> bool {
    matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Writes the page of an agreement that was checked at `now`.
pub fn write(export: &AgreementExport, checked: &Checked, now: Timestamp) -> String {
    let mut page = Page::default();
    let allowed = BASE64_STANDARD.encode(jose::sha256(STYLE.as_bytes()).as_bytes());
    page.raw("<!doctype html>\n<html lang=\"fr\">\n<head>\n<meta charset=\"utf-8\">\n")
        .raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-")
        .text(&allowed)
        .raw("'; base-uri 'none'; form-action 'none'\">\n")
        .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<title>Accord ")
        .text(&checked.agreement)
        .raw("</title>\n<style>")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n<main>\n");
    for language in [Language::French, Language::English] {
        page.raw(language.say("<section lang=\"fr\">\n", "<section lang=\"en\">\n"));
        part(&mut page, language, export, checked, now);
        page.raw("</section>\n");
    }
    annex(&mut page, export, checked);
    page.raw("</main>\n</body>\n</html>\n");
    page.0
}

/// Everything in one language.
fn part(page: &mut Page, language: Language, export: &AgreementExport, checked: &Checked, now: Timestamp) {
    let say = |french, english| language.say(french, english);
    page.raw(say(
        "<h1>Accord d’utilisation de données</h1>\n<p>Identifiant : ",
        "<h1>Agreement on the use of data</h1>\n<p>Identifier: ",
    ))
    .code(&checked.agreement)
    .raw("</p>\n");
    if !checked.is_complete() {
        page.raw(say(
            "<p class=\"warning\"><strong>Signé par une seule partie.</strong> L’autre partie ne signe pas : rien ne prouve ici qu’elle a accepté.</p>\n",
            "<p class=\"warning\"><strong>Signed by one party.</strong> The other party does not sign: nothing here proves that it agreed.</p>\n",
        ));
    }
    parties(page, language, checked);
    object(page, language, checked);
    terms(page, language, &checked.record.parts().agreement);
    page.raw(say("<h2>Comment vérifier</h2>\n<p>Cette page aide à lire ; elle ne prouve rien elle-même. Ce qui compte est le document signé, en annexe : un JWS en sérialisation JSON générale (RFC 7515), dont le contenu est la forme canonique (RFC 8785) de l’accord. Empreinte SHA-256 de ce contenu, en base64url : ",
        "<h2>How to check</h2>\n<p>This page helps reading; it proves nothing by itself. What counts is the signed document in the annex: a JWS in general JSON serialization (RFC 7515), whose payload is the canonical form (RFC 8785) of the agreement. SHA-256 of that payload, in base64url: "))
        .code(&checked.record_hash)
        .raw(say(".</p>\n<p>Enregistrez le document et les documents DID des parties, obtenus auprès d’elles, puis : ",
            ".</p>\n<p>Save the document and the DID documents of the parties, obtained from them, then: "))
        .raw("<code>connector agreement verify FILE --did-document DID.json</code>.")
        .raw(say(" Tout outil JOSE vérifie aussi chaque signature, avec la clé dont l’empreinte (RFC 7638) est ci-dessus.</p>\n",
            " Any JOSE tool checks each signature too, with the key whose thumbprint (RFC 7638) stands above.</p>\n"))
        .raw(say("<p>Vérifié à la création de cette page, le ", "<p>Checked when this page was made, at "))
        .text(&now.to_string())
        .raw(match (checked.keys_from, export.keys.len()) {
            (KeySource::DidDocuments, _) => say(", avec les clés de documents DID fournis.</p>\n", ", with keys from DID documents that were provided.</p>\n"),
            (KeySource::File, _) => say(", avec les clés conservées par le connecteur : comparez leurs empreintes avec celles que publient les parties.</p>\n",
                ", with the keys that the connector kept: compare their thumbprints with what the parties publish.</p>\n"),
        });
}

fn parties(page: &mut Page, language: Language, checked: &Checked) {
    let say = |french, english| language.say(french, english);
    page.raw(say("<h2>Les parties</h2>\n<table>\n<tr><th scope=\"col\">Partie</th><th scope=\"col\">Identifiant</th><th scope=\"col\">Signature</th></tr>\n",
        "<h2>The parties</h2>\n<table>\n<tr><th scope=\"col\">Party</th><th scope=\"col\">Identifier</th><th scope=\"col\">Signature</th></tr>\n"));
    for party in &checked.parties {
        page.raw("<tr><th scope=\"row\">")
            .raw(match party.role.as_str() {
                "assigner" => say("Fournisseur (accorde)", "Provider (grants)"),
                _ => say("Consommateur (reçoit)", "Consumer (receives)"),
            })
            .raw("</th><td>")
            .code(&party.did)
            .raw("</td><td>");
        signature(page, language, party);
        page.raw("</td></tr>\n");
    }
    page.raw("</table>\n");
}

fn signature(page: &mut Page, language: Language, party: &CheckedParty) {
    let say = |french, english| language.say(french, english);
    match &party.signature {
        None => page.raw(say("<strong>n’a pas signé</strong>", "<strong>has not signed</strong>")),
        Some(signature) => page
            .raw(say("signé le ", "signed at "))
            .text(&signature.at.to_string())
            .raw(say(" (selon sa propre horloge)<br>clé ", " (by its own clock)<br>key "))
            .code(&signature.kid)
            .raw(say("<br>empreinte de la clé ", "<br>thumbprint of the key "))
            .code(&signature.jkt),
    };
}

fn object(page: &mut Page, language: Language, checked: &Checked) {
    let say = |french, english| language.say(french, english);
    let parts = checked.record.parts();
    let text = |name: &str| {
        parts
            .agreement
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    page.raw(say("<h2>L’objet</h2>\n<table>\n", "<h2>The subject</h2>\n<table>\n"))
        .row(say("Jeu de données", "Dataset"), |page| {
            page.code(&text("target"));
        })
        .row(say("Conclu le", "Agreed at"), |page| {
            page.text(&text("timestamp"));
        })
        .row(say("Négociation", "Negotiation"), |page| {
            page.code(&parts.provider_pid).raw("<br>").code(&parts.consumer_pid);
        })
        .row(
            say(
                "Empreinte des messages qui y ont mené",
                "Hash over the messages that led to it",
            ),
            |page| {
                page.code(&parts.transcript.to_string());
            },
        )
        .raw("</table>\n");
}

/// What is permitted, prohibited and due. Terms that are not understood as a whole are shown as they stand.
fn terms(page: &mut Page, language: Language, agreement: &Value) {
    let say = |french, english| language.say(french, english);
    let Ok(policy) = read_policy(agreement) else {
        page.raw(say(
            "<h2>Les conditions</h2>\n<p>Elles ne peuvent être dites en mots ; les voici telles quelles.</p>\n",
            "<h2>The terms</h2>\n<p>They cannot be put into words; here they are as they stand.</p>\n",
        ))
        .verbatim(agreement);
        return;
    };
    let verbatim = |pointer: &str| agreement.pointer(pointer).cloned();
    page.raw(say("<h2>Ce qui est permis</h2>\n", "<h2>What is permitted</h2>\n"));
    rules(page, language, policy.permissions(), &verbatim);
    page.raw(say("<h2>Ce qui est interdit</h2>\n", "<h2>What is prohibited</h2>\n"));
    rules(page, language, policy.prohibitions(), &verbatim);
    page.raw(say("<h2>Obligations</h2>\n", "<h2>Obligations</h2>\n"));
    if policy.obligations().is_empty() {
        page.raw(say("<p>Aucune.</p>\n", "<p>None.</p>\n"));
    }
    duties(page, language, policy.obligations(), words::duty, &verbatim);
    page.raw(say("<p>Ce qui n’est pas permis ici ne l’est pas. Chaque enregistrement demande en outre le consentement de la personne concernée, ou une autre base légale que le fournisseur a déclarée. Le texte exact des conditions est en annexe.</p>\n",
        "<p>What is not permitted here is not permitted. Each record needs besides the learner’s consent, or another lawful basis that the provider has declared. The exact terms are in the annex.</p>\n"));
}

/// Finds the node of the agreement that a rule was read from.
type Verbatim<'a> = dyn Fn(&str) -> Option<Value> + 'a;

fn rules(page: &mut Page, language: Language, rules: &[Rule], verbatim: &Verbatim<'_>) {
    if rules.is_empty() {
        page.raw(language.say("<p>Rien de particulier.</p>\n", "<p>Nothing in particular.</p>\n"));
        return;
    }
    page.raw("<ul>\n");
    for rule in rules {
        page.raw("<li><strong>");
        page.text(&words::action(&rule.action, language));
        page.raw("</strong>");
        conditions(page, language, &rule.constraints, verbatim);
        if !rule.duties.is_empty() {
            page.raw(language.say(" — à charge de :", " — with the duty to:"));
            duties(page, language, &rule.duties, words::duty, verbatim);
        }
        duties(page, language, &rule.remedies, words::mends, verbatim);
        page.raw("</li>\n");
    }
    page.raw("</ul>\n");
}

/// Says a duty: one that is there from the start, or one that a failure brings.
type Said = fn(&Duty, Language) -> String;

/// Duties, each with its conditions and with what a failure to do it brings (ODRL 2.2 §2.6.6); remedies are such too (§2.6.7).
fn duties(page: &mut Page, language: Language, listed: &[Duty], said: Said, verbatim: &Verbatim<'_>) {
    if listed.is_empty() {
        return;
    }
    page.raw("<ul>\n");
    for duty in listed {
        page.raw("<li>");
        page.text(&said(duty, language));
        conditions(page, language, &duty.constraints, verbatim);
        duties(page, language, &duty.consequences, words::mends, verbatim);
        page.raw("</li>\n");
    }
    page.raw("</ul>\n");
}

fn conditions(page: &mut Page, language: Language, constraints: &[Constraint], verbatim: &Verbatim<'_>) {
    if constraints.is_empty() {
        return;
    }
    page.raw("\n<ul>\n");
    for constraint in constraints {
        page.raw("<li>");
        condition(page, language, constraint, verbatim);
        page.raw("</li>\n");
    }
    page.raw("</ul>\n");
}

fn condition(page: &mut Page, language: Language, constraint: &Constraint, verbatim: &Verbatim<'_>) {
    match constraint {
        Constraint::Atomic(atomic) => {
            if let Some(said) = words::comparison(atomic, language) {
                page.text(&said);
                return;
            }
            page.raw(language.say("condition, telle quelle :", "a condition, as it stands:"));
            match verbatim(constraint.pointer()) {
                Some(node) => page.verbatim(&node),
                None => page.code(&atomic.to_string()),
            };
        }
        Constraint::Logical { connective, parts, .. } => {
            page.raw(words::connective(*connective, language));
            conditions(page, language, parts, verbatim);
        }
    }
}

fn annex(page: &mut Page, export: &AgreementExport, checked: &Checked) {
    page.raw("<section class=\"annex\">\n<h2><span lang=\"fr\">Annexe : les conditions exactes</span> / <span lang=\"en\">Annex: the exact terms</span></h2>\n")
        .verbatim(&checked.record.parts().agreement)
        .raw("<h2><span lang=\"fr\">Annexe : le document signé</span> / <span lang=\"en\">Annex: the signed document</span></h2>\n<pre class=\"document\">")
        .text(&export.document.to_string())
        .raw("</pre>\n<h2><span lang=\"fr\">Annexe : les clés</span> / <span lang=\"en\">Annex: the keys</span></h2>\n");
    for key in &export.keys {
        page.raw("<p>").code(&key.kid).raw("</p>\n").verbatim(&key.jwk);
    }
    page.raw("</section>\n");
}

#[cfg(test)]
mod tests;
