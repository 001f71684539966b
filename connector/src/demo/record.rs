//! One SkillRecord as a line of JSON: its fields, and how they hang together.
//!
//! Which learner it is about is decided in [`super::learners`]; nothing here knows an index.

use super::learners::{Holder, Learner};
use super::numbers::Rng;
use super::skills::{self, Framework, Skill, Theme};
use serde::Serialize;
use uuid::fmt::Urn;

/// How a record came to be; it fixes several fields together.
#[derive(Clone, Copy, Default)]
struct Form {
    kind: &'static str,
    assurance: &'static str,
    format: &'static str,
    /// Carries a result.
    marked: bool,
    fr: &'static str,
    en: &'static str,
}

const ASSESSED: Form = Form {
    kind: "assessment",
    assurance: "assessed",
    format: "xapi",
    marked: true,
    fr: "",
    en: "",
};
const ACHIEVED: Form = Form {
    kind: "achievement",
    assurance: "attested",
    format: "ob3",
    marked: false,
    fr: "",
    en: "",
};
const PLACED: Form = Form {
    kind: "activity",
    assurance: "attested",
    format: "xapi",
    marked: false,
    fr: "",
    en: "",
};
const QUALIFIED: Form = Form {
    kind: "qualification",
    assurance: "certified",
    format: "elm",
    marked: true,
    fr: "",
    en: "",
};
const WORKED: Form = Form {
    kind: "experience",
    assurance: "attested",
    format: "hr-open",
    marked: false,
    fr: "",
    en: "",
};
const DECLARED: Form = Form {
    kind: "self-declared",
    assurance: "self",
    format: "europass",
    marked: false,
    fr: "",
    en: "",
};

impl Form {
    const fn titled(self, fr: &'static str, en: &'static str) -> Self {
        Self { fr, en, ..self }
    }
}

/// Each entry is a tenth of the school's records.
const SCHOOL: [Form; 10] = [
    ASSESSED.titled("Contrôle en cours de formation", "Continuous assessment"),
    ASSESSED.titled("Évaluation de fin de séquence", "End-of-unit assessment"),
    ASSESSED.titled("Épreuve pratique en atelier", "Practical workshop test"),
    ASSESSED.titled("Mise en situation professionnelle", "Professional simulation"),
    ASSESSED.titled("Soutenance de projet", "Project presentation"),
    ACHIEVED.titled("Badge de réussite", "Achievement badge"),
    ACHIEVED.titled("Engagement dans la vie du lycée", "Commitment to school life"),
    PLACED.titled("Période de formation en entreprise", "Work placement"),
    QUALIFIED.titled("Bloc de compétences du baccalauréat", "Baccalaureate competence unit"),
    QUALIFIED.titled("Attestation intermédiaire", "Intermediate certificate"),
];

/// Each entry is a tenth of France Travail's records.
const EMPLOYMENT: [Form; 10] = [
    WORKED.titled("Expérience professionnelle", "Work experience"),
    WORKED.titled("Mission d'intérim", "Temporary work"),
    WORKED.titled("Contrat saisonnier", "Seasonal work"),
    WORKED.titled("Immersion professionnelle", "Job shadowing"),
    DECLARED.titled("Compétences déclarées dans le profil", "Skills declared in the profile"),
    DECLARED.titled("Compétences déclarées en entretien", "Skills declared in an interview"),
    ASSESSED.titled("Évaluation en ligne", "Online assessment"),
    ASSESSED.titled("Recrutement par simulation", "Simulation-based assessment"),
    QUALIFIED.titled("Titre professionnel", "Professional certificate"),
    QUALIFIED.titled("Certificat de compétences", "Certificate of competence"),
];

/// Appends one record and a line feed.
#[allow(
    clippy::expect_used,
    reason = "a vector takes every write, and every key of a record is a string"
)]
pub(super) fn write(holder: Holder, learner: &Learner, trade: &Theme, rng: &mut Rng, out: &mut Vec<u8>) {
    let form = rng.pick(match holder {
        Holder::Lycee => &SCHOOL,
        Holder::FranceTravail => &EMPLOYMENT,
    });
    let record = Record {
        v: 1,
        id: rng.uuid().urn(),
        rev: if rng.percent(8) { 2 } else { 1 },
        sub: &learner.id,
        kind: form.kind,
        title: Title {
            fr: format!("{} : {}", form.fr, trade.fr),
            en: format!("{}: {}", form.en, trade.key),
        },
        issuer: issuer(holder, rng),
        awarded: &rng.date(2023, 2025),
        assurance: form.assurance,
        category: "skills",
        skills: held(holder, trade, rng),
        result: form.marked.then(|| mark(holder, form, rng)),
        src: Source {
            format: form.format,
            id: rng.uuid().urn(),
            sha256: format!("{}{}", rng.hex(), rng.hex()),
        },
        ret: "2031-08-31",
        person: Person {
            given_name: learner.given_name,
            family_name: learner.family_name,
            email: &learner.email,
            birth_date: &learner.birth_date,
        },
        special_needs: learner.special_needs.map(|arrangement| SpecialNeeds { arrangement }),
    };
    serde_json::to_writer(&mut *out, &record).expect("writes to memory");
    out.push(b'\n');
}

/// A school awards its own records; what France Travail holds was mostly awarded by others.
fn issuer(holder: Holder, rng: &mut Rng) -> Issuer {
    let of = |did, name, uai, siret| Issuer { did, name, uai, siret };
    match holder {
        Holder::Lycee => of(holder.did(), holder.name(), "9990001A", ""),
        Holder::FranceTravail => rng.pick(&[
            of(holder.did(), holder.name(), "", "99999999900011"),
            of(
                "did:web:atelier-des-docks.example",
                "Atelier des Docks",
                "",
                "99999999900029",
            ),
            of(
                "did:web:formation-ouest.example",
                "Formation Ouest",
                "",
                "99999999900037",
            ),
            of("did:web:maison-verdier.example", "Maison Verdier", "", "99999999900045"),
        ]),
    }
}

/// An occupation of the trade (France Travail always, a school now and then), then two distinct ESCO skills or one.
fn held(holder: Holder, trade: &Theme, rng: &mut Rng) -> Vec<Held> {
    let mut chosen: Vec<Skill> = Vec::with_capacity(3);
    if holder == Holder::FranceTravail || rng.percent(25) {
        chosen.push(rng.pick(&trade.rome));
    }
    chosen.push(rng.pick(&trade.esco));
    let other = if rng.percent(60) {
        skills::general().unwrap_or(trade)
    } else {
        trade
    };
    let second = rng.pick(&other.esco);
    if rng.percent(70) && !chosen.contains(&second) {
        chosen.push(second);
    }
    let level = |skill: Skill| Held {
        fw: skill.framework,
        code: skill.code,
        label: skill.label,
        level: rng.between(1, 5).to_string(),
        scale: "dases-5",
    };
    chosen.into_iter().map(level).collect()
}

/// Marks out of twenty at school, percentages elsewhere. What is certified was passed; of the rest, seven in ten.
fn mark(holder: Holder, form: Form, rng: &mut Rng) -> Mark {
    let halves = rng.between(if form.assurance == "certified" { 20 } else { 12 }, 40);
    let passed = halves >= 20;
    match holder {
        Holder::Lycee => Mark {
            value: format!("{}.{}", halves / 2, halves % 2 * 5),
            min: "0",
            max: "20",
            passed,
        },
        Holder::FranceTravail => Mark {
            value: format!("{}.{}", halves * 5 / 2, halves % 2 * 5),
            min: "0",
            max: "100",
            passed,
        },
    }
}

#[derive(Serialize)]
struct Record<'a> {
    v: u8,
    id: Urn,
    rev: u8,
    sub: &'a str,
    kind: &'a str,
    title: Title,
    issuer: Issuer,
    awarded: &'a str,
    assurance: &'a str,
    category: &'a str,
    skills: Vec<Held>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Mark>,
    src: Source,
    ret: &'a str,
    person: Person<'a>,
    #[serde(rename = "specialNeeds", skip_serializing_if = "Option::is_none")]
    special_needs: Option<SpecialNeeds>,
}

#[derive(Serialize)]
struct Title {
    fr: String,
    en: String,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Issuer {
    did: &'static str,
    name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uai: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    siret: &'static str,
}

#[derive(Serialize)]
struct Held {
    fw: Framework,
    code: &'static str,
    label: &'static str,
    level: String,
    scale: &'static str,
}

/// Decimals travel as strings, so that a canonical form (RFC 8785) never meets a float.
#[derive(Serialize)]
struct Mark {
    value: String,
    min: &'static str,
    max: &'static str,
    passed: bool,
}

/// Where the record was made from. Here `sha256` is the hash of nothing: there is no original.
#[derive(Serialize)]
struct Source {
    format: &'static str,
    id: Urn,
    sha256: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Person<'a> {
    given_name: &'a str,
    family_name: &'a str,
    email: &'a str,
    birth_date: &'a str,
}

#[derive(Serialize)]
struct SpecialNeeds {
    arrangement: &'static str,
}
