//! What a participant says of itself: legal person, acceptance of the terms, a registration number, perhaps a service; and the
//! presentation that carries them to a clearing house.

use super::{CONTEXT, GaiaXError, TERMS};
use crate::jose::{
    self, JoseError, Signer, base64url,
    credential::{self, Form},
};
use policy::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

/// How long the credentials are valid. They are made anew as often as one likes.
const LIFETIME: Duration = Duration::from_secs(365 * 86_400);

/// How long the presentation is valid: it is made for one errand.
const ERRAND: Duration = Duration::from_secs(600);

/// Longest text that is taken in, in characters.
const MAX_TEXT: usize = 256;

/// What kind of registration number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKind {
    /// VAT identification number.
    Vat,
    /// Legal Entity Identifier (ISO 17442).
    Lei,
    /// Economic Operators Registration and Identification.
    Eori,
    /// European Unique Identifier of business registers.
    Euid,
    /// A tax number of the country.
    TaxId,
}

impl NumberKind {
    /// All kinds, by the names that operators use.
    pub const ALL: [(&'static str, Self); 5] = [
        ("vat", Self::Vat),
        ("lei", Self::Lei),
        ("eori", Self::Eori),
        ("euid", Self::Euid),
        ("tax-id", Self::TaxId),
    ];

    /// Its type and its claim in the ontology.
    pub const fn terms(self) -> (&'static str, &'static str) {
        match self {
            Self::Vat => ("gx:VatID", "gx:vatID"),
            Self::Lei => ("gx:LeiCode", "gx:leiCode"),
            Self::Eori => ("gx:EORI", "gx:eori"),
            Self::Euid => ("gx:EUID", "gx:euid"),
            Self::TaxId => ("gx:TaxID", "gx:taxID"),
        }
    }
}

/// A registration number as the participant states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Its kind.
    pub kind: NumberKind,
    /// The number.
    pub value: String,
}

/// Where the registration number comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// Signed by the participant itself, and marked so: no clearing house takes it for a notary's.
    SelfDeclared(Number),
    /// A notary's credential, as a compact JWT; it is passed on as it is.
    Notarised(String),
}

/// A service that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offering {
    /// Its name.
    pub name: String,
    /// Where its terms and conditions are.
    pub terms_url: Url,
    /// SHA-256 of them, hexadecimal.
    pub terms_hash: String,
}

/// Who describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// The legal name.
    pub legal_name: String,
    /// Country of the legal address, ISO 3166-1 alpha-2.
    pub country: String,
    /// Country of the headquarters.
    pub headquarters: String,
    /// The registration number.
    pub registration: Registration,
    /// A service, if one is described.
    pub offering: Option<Offering>,
}

/// The signed self-description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Each credential under a name that is good for a file: `legal-person`, `issuer`, `registration-number`, `service-offering`.
    pub credentials: Vec<(&'static str, String)>,
    /// The presentation that envelops them.
    pub presentation: String,
}

/// Signs the self-description of `signer`'s participant.
pub fn describe(signer: &Signer, participant: &Participant, now: Timestamp) -> Result<Description, GaiaXError> {
    check(participant)?;
    let author = Author { signer, now };
    let did = signer.did();
    let mut credentials = Vec::new();
    let number = match &participant.registration {
        Registration::SelfDeclared(number) => {
            credentials.push(("registration-number", author.number(number, &participant.country)?));
            format!("{did}#registration-number")
        }
        Registration::Notarised(token) => {
            let subject = subject_of(token).ok_or(GaiaXError::Argument(
                "the registration credential",
                "expected is a notary's JWT whose credentialSubject has an id",
            ))?;
            credentials.push(("registration-number", token.clone()));
            subject
        }
    };
    credentials.push(("legal-person", author.legal_person(participant, &number)?));
    let terms = json!({"id": format!("{did}#issuer"), "gx:gaiaxTermsAndConditions": TERMS});
    credentials.push(("issuer", author.credential("gx:Issuer", terms, None)?));
    if let Some(offering) = &participant.offering {
        credentials.push(("service-offering", author.offering(offering)?));
    }
    let presentation = author.presentation(&credentials)?;
    Ok(Description {
        credentials,
        presentation,
    })
}

struct Author<'a> {
    signer: &'a Signer,
    now: Timestamp,
}

impl Author<'_> {
    fn id(&self) -> Result<String, GaiaXError> {
        let id = jose::uuid(self.now).map_err(|error| GaiaXError::Sign(error.into()))?;
        Ok(format!("urn:uuid:{id}"))
    }

    fn credential(&self, kind: &str, subject: Value, description: Option<&str>) -> Result<String, GaiaXError> {
        let mut claims = json!({
            "@context": [credential::CONTEXT, CONTEXT],
            "id": self.id()?,
            "type": ["VerifiableCredential", kind],
            "issuer": self.signer.did(),
            "validFrom": self.now,
            "validUntil": self.now.plus(LIFETIME),
            "credentialSubject": subject,
        });
        if let (Some(text), Value::Object(members)) = (description, &mut claims) {
            members.insert("description".to_owned(), json!(text));
        }
        credential::issue(self.signer, Form::Credential, &claims).map_err(GaiaXError::Sign)
    }

    fn number(&self, number: &Number, country: &str) -> Result<String, GaiaXError> {
        let (kind, claim) = number.kind.terms();
        let mut subject = json!({"id": format!("{}#registration-number", self.signer.did()), "type": kind});
        if let Value::Object(members) = &mut subject {
            members.insert(claim.to_owned(), json!(number.value));
            if matches!(number.kind, NumberKind::Vat | NumberKind::Lei) {
                members.insert("gx:countryCode".to_owned(), json!(country));
            }
        }
        let mark = "Self-declared: no notary has looked this number up";
        self.credential(kind, subject, Some(mark))
    }

    fn legal_person(&self, participant: &Participant, number: &str) -> Result<String, GaiaXError> {
        let address = |country: &str| json!({"type": "gx:Address", "gx:countryCode": country});
        let subject = json!({
            "id": format!("{}#legal-person", self.signer.did()),
            "type": "gx:LegalPerson",
            "https://schema.org/name": participant.legal_name,
            "gx:registrationNumber": {"id": number},
            "gx:legalAddress": address(&participant.country),
            "gx:headquartersAddress": address(&participant.headquarters),
        });
        self.credential("gx:LegalPerson", subject, None)
    }

    fn offering(&self, offering: &Offering) -> Result<String, GaiaXError> {
        let subject = json!({
            "id": format!("{}#service-offering", self.signer.did()),
            "type": "gx:ServiceOffering",
            "https://schema.org/name": offering.name,
            "gx:providedBy": {"id": format!("{}#legal-person", self.signer.did())},
            "gx:serviceOfferingTermsAndConditions":
                {"type": "gx:TermsAndConditions", "gx:url": offering.terms_url.as_str(), "gx:hash": offering.terms_hash},
            "gx:dataAccountExport":
                {"type": "gx:DataAccountExport", "gx:requestType": "API", "gx:accessType": "digital", "gx:formatType": "application/x-ndjson"},
        });
        self.credential("gx:ServiceOffering", subject, None)
    }

    fn presentation(&self, credentials: &[(&str, String)]) -> Result<String, GaiaXError> {
        let enveloped: Vec<Value> = credentials
            .iter()
            .map(|(_, token)| credential::enveloped(token))
            .collect();
        let claims = json!({
            "@context": [credential::CONTEXT],
            "id": self.id()?,
            "type": ["VerifiablePresentation"],
            "holder": self.signer.did(),
            "iat": self.now.seconds(),
            "exp": self.now.plus(ERRAND).seconds(),
            "verifiableCredential": enveloped,
        });
        credential::issue(self.signer, Form::Presentation, &claims).map_err(GaiaXError::Sign)
    }
}

/// The subject's id in a credential of others, unproven: only to refer to it. Whoever relies on it verifies it.
fn subject_of(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let payload = base64url::decode(parts.nth(1)?)?;
    let claims = crate::dsp::json::parse(&payload).ok()?;
    Some(claims.get("credentialSubject")?.get("id")?.as_str()?.to_owned())
}

fn check(participant: &Participant) -> Result<(), GaiaXError> {
    let text = |name, value: &str| {
        let fits =
            !value.trim().is_empty() && value.chars().count() <= MAX_TEXT && !value.chars().any(char::is_control);
        fits.then_some(())
            .ok_or(GaiaXError::Argument(name, "expected is a text of 1 to 256 characters"))
    };
    let country = |name, value: &str| {
        let fits = value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_uppercase());
        fits.then_some(()).ok_or(GaiaXError::Argument(
            name,
            "expected are the two capital letters of ISO 3166-1, such as FR",
        ))
    };
    text("the legal name", &participant.legal_name)?;
    country("the country", &participant.country)?;
    country("the headquarters' country", &participant.headquarters)?;
    if let Registration::SelfDeclared(number) = &participant.registration {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/');
        if number.value.is_empty() || number.value.len() > 64 || !number.value.bytes().all(plain) {
            return Err(GaiaXError::Argument(
                "the registration number",
                "expected are up to 64 letters and digits",
            ));
        }
        if number.kind == NumberKind::Lei && !is_lei(&number.value) {
            return Err(GaiaXError::Argument(
                "the LEI",
                "expected are 20 letters and digits whose check digits fit (ISO 17442)",
            ));
        }
    }
    if let Some(offering) = &participant.offering {
        text("the service's name", &offering.name)?;
        if offering.terms_hash.len() != 64
            || !offering
                .terms_hash
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(GaiaXError::Argument(
                "the hash of the terms",
                "expected is a SHA-256 of 64 small hexadecimal digits",
            ));
        }
        if offering.terms_url.scheme() != "https" {
            return Err(GaiaXError::Argument(
                "the address of the terms",
                "expected is an https address",
            ));
        }
    }
    Ok(())
}

/// ISO 17442: 20 characters, and the number that they spell (A = 10 …) is 1 modulo 97 (ISO 7064 MOD 97-10).
fn is_lei(text: &str) -> bool {
    let remainder = text.chars().try_fold(0_u32, |remainder, character| {
        let digit = character.to_digit(36).filter(|_| !character.is_ascii_lowercase())?;
        let factor = if digit < 10 { 10 } else { 100 };
        Some((remainder * factor + digit) % 97)
    });
    text.len() == 20 && remainder == Some(1)
}

impl From<JoseError> for GaiaXError {
    fn from(error: JoseError) -> Self {
        Self::Credential(error.into())
    }
}
