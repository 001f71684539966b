//! What an ending takes away: pure rules over what a consent or another basis permits and what agreements let through. Nothing is read here.

use super::message::EndReason;
use crate::{
    consent::{Consent, ConsentId, Declared, StreamEnd},
    dsp::{AgreementId, DatasetId, ParticipantId},
};
use policy::{Category, Reach, Timestamp, canonical_name};

/// An ending, for those who have to be told.
pub(super) struct Ending<'a> {
    /// Why.
    pub(super) reason: EndReason,
    /// What ended.
    pub(super) ended: &'a [Scope],
    /// What remains in force for the learner.
    pub(super) remaining: &'a [Scope],
    /// When: nothing of it passed later.
    pub(super) at: Timestamp,
    /// The epoch that all streams have confirmed.
    pub(super) epoch: u64,
    /// How far each stream was then.
    pub(super) streams: &'a [StreamEnd],
}

/// What one consent or declared basis permits, as far as endings need it.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// Which one.
    pub(super) id: ConsentId,
    /// Another basis than consent.
    pub(super) is_basis: bool,
    /// Who may receive.
    pub(super) recipients: Vec<ParticipantId>,
    /// For which purposes.
    pub(super) purposes: Vec<String>,
    /// Only these datasets; empty means all.
    pub(super) datasets: Vec<DatasetId>,
    /// Which data categories.
    pub(super) categories: Vec<String>,
    /// Only these fields of them; empty means all.
    pub(super) fields: Vec<String>,
    /// Under this agreement alone; none means under any.
    pub(super) agreement: Option<AgreementId>,
}

impl From<&Consent> for Scope {
    fn from(consent: &Consent) -> Self {
        Self {
            id: consent.id.clone(),
            is_basis: false,
            recipients: consent.recipients.clone(),
            purposes: consent.purposes.clone(),
            datasets: consent.datasets.clone(),
            categories: consent.categories.clone(),
            fields: consent.fields.clone(),
            agreement: consent.agreement.clone(),
        }
    }
}

impl From<&Declared> for Scope {
    fn from(basis: &Declared) -> Self {
        let declared = &basis.declared;
        Self {
            id: basis.id.clone(),
            is_basis: true,
            recipients: declared.recipients.clone(),
            purposes: declared.purposes.clone(),
            datasets: declared.datasets.clone(),
            categories: declared.categories.clone(),
            fields: Vec::new(),
            agreement: None,
        }
    }
}

/// An agreement of a recipient, and what it lets through.
#[derive(Clone, Debug)]
pub(super) struct Agreed {
    /// Which one.
    pub(super) id: AgreementId,
    /// Its dataset.
    pub(super) dataset: DatasetId,
    /// What may ever have passed under it, which is not what it lets pass now: times and claims change. None where that cannot be told.
    pub(super) bounds: Option<Reach>,
}

fn category(name: &str) -> &str {
    Category::read(name).map_or(name, |known| known.name())
}

impl Agreed {
    /// The end of some scopes takes something away that may have passed under this agreement, and that no other one goes on permitting.
    fn loses(&self, recipient: &ParticipantId, ended: &[Scope], remaining: &[Scope]) -> bool {
        let is_about = |scope: &Scope| {
            scope.recipients.contains(recipient)
                && (scope.datasets.is_empty() || scope.datasets.contains(&self.dataset))
                && scope.agreement.as_ref().is_none_or(|named| *named == self.id)
        };
        let mut ended = ended.iter().filter(|scope| is_about(scope));
        let Some(bounds) = &self.bounds else {
            return ended.next().is_some();
        };
        let purposes = &bounds.purposes;
        let named =
            |scope: &Scope, purpose: &String| scope.purposes.iter().any(|mine| canonical_name(mine) == *purpose);
        // In doubt something has passed, and in doubt nothing goes on.
        let may_have_passed = |scope: &&Scope| purposes.is_empty() || purposes.iter().any(|one| named(scope, one));
        let goes_on = |scope: &Scope, ended: &Scope| {
            let passed_for = |one: &&String| named(ended, one);
            is_about(scope) && !purposes.is_empty() && purposes.iter().filter(passed_for).all(|one| named(scope, one))
        };
        ended.filter(may_have_passed).any(|ended| {
            let lost = |name: &&String| {
                let mut remaining = remaining.iter().filter(|scope| goes_on(scope, ended));
                bounds.allows_category(name) && !remaining.any(|scope| scope.takes_the_place_of(ended, name))
            };
            ended.categories.iter().any(|name| lost(&name))
        })
    }
}

impl Scope {
    /// All that another one permits of a data category is permitted by this one. No other basis takes the place of a consent that has ended
    /// (EDPB guidelines 05/2020, 122).
    fn takes_the_place_of(&self, ended: &Self, name: &str) -> bool {
        let fields = self.fields.is_empty()
            || !ended.fields.is_empty() && ended.fields.iter().all(|field| self.fields.contains(field));
        let mine = self.categories.iter().any(|one| category(one) == category(name));
        (ended.is_basis || !self.is_basis) && mine && fields
    }
}

/// The agreements of a recipient under which an ending takes something away: an empty list for all of them, where nothing of the learner goes
/// to that recipient any more; none where each is covered by what remains.
pub(super) fn concerned(theirs: &[Agreed], recipient: &ParticipantId, ending: &Ending<'_>) -> Option<Vec<AgreementId>> {
    let lost = theirs
        .iter()
        .filter(|agreed| agreed.loses(recipient, ending.ended, ending.remaining));
    let lost: Vec<AgreementId> = lost.map(|agreed| agreed.id.clone()).collect();
    if !ending
        .remaining
        .iter()
        .any(|scope| scope.recipients.contains(recipient))
    {
        // Of a basis, which is about everybody, the ending is told where it was one for something; of a consent in any case.
        let is_told = !lost.is_empty() || ending.ended.iter().any(|scope| !scope.is_basis);
        return is_told.then(Vec::new);
    }
    (!lost.is_empty()).then_some(lost)
}

/// Records may have passed to a recipient with these agreements on a basis.
pub(super) fn may_have_passed_on(basis: &Declared, theirs: &[Agreed], recipient: &ParticipantId) -> bool {
    let scope = [Scope::from(basis)];
    theirs.iter().any(|agreed| agreed.loses(recipient, &scope, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSE: &str = "https://w3id.org/dpv#ServiceProvision";

    fn work() -> ParticipantId {
        "did:web:work.example".parse().unwrap()
    }

    fn scope(number: u8, categories: &[&str]) -> Scope {
        Scope {
            id: format!("urn:uuid:00000000-0000-4000-8000-0000000000{number:02}")
                .parse()
                .unwrap(),
            is_basis: false,
            recipients: vec![work()],
            purposes: vec![PURPOSE.into()],
            datasets: Vec::new(),
            categories: categories.iter().map(|name| (*name).to_owned()).collect(),
            fields: Vec::new(),
            agreement: None,
        }
    }

    fn agreed(dataset: &str, categories: Option<&[&str]>) -> Agreed {
        let categories = categories.map(|all| all.iter().filter_map(|name| Category::read(name)).collect());
        Agreed {
            id: format!("urn:uuid:{dataset}").parse().unwrap(),
            dataset: dataset.parse().unwrap(),
            bounds: Some(Reach {
                purposes: vec![PURPOSE.into()],
                categories,
            }),
        }
    }

    fn told(theirs: &[Agreed], ended: &Scope, remaining: &[Scope]) -> Option<Vec<String>> {
        let ending = Ending {
            reason: EndReason::Withdrawn,
            ended: std::slice::from_ref(ended),
            remaining,
            at: Timestamp::from_seconds(1),
            epoch: 1,
            streams: &[],
        };
        let found = concerned(theirs, &work(), &ending);
        found.map(|all| all.iter().map(|id| id.as_str().to_owned()).collect())
    }

    #[test]
    fn an_agreement_is_concerned_if_a_narrower_consent_lets_less_through_than_before() {
        let wide = scope(1, &["skills", "results"]);
        let all = [agreed("a", None), agreed("b", Some(&["skills"]))];
        assert_eq!(told(&all, &wide, &[scope(2, &["skills", "results"])]), None, "the same");
        assert_eq!(
            told(&all, &wide, &[scope(2, &["skills"])]),
            Some(vec!["urn:uuid:a".into()])
        );
        let two = [scope(2, &["skills"]), scope(3, &["results"])];
        assert_eq!(told(&all, &wide, &two), None, "each is covered by another");
        let mut fewer = scope(2, &["skills", "results"]);
        fewer.datasets.push("b".parse().unwrap());
        assert_eq!(
            told(&all, &wide, &[fewer]),
            Some(vec!["urn:uuid:a".into()]),
            "fewer datasets"
        );
        let mut fields = scope(2, &["skills", "results"]);
        fields.fields.push("/skills/0".into());
        assert_eq!(
            told(&all, &wide, &[fields]).map(|all| all.len()),
            Some(2),
            "fewer fields"
        );
        let mut other = scope(2, &["skills", "results"]);
        other.purposes = vec!["https://w3id.org/dpv#Marketing".into()];
        assert_eq!(
            told(&all, &wide, &[other]).map(|all| all.len()),
            Some(2),
            "another purpose"
        );
        let mut another = scope(2, &["skills", "results"]);
        another.recipients = vec!["did:web:edtech.example".parse().unwrap()];
        assert_eq!(
            told(&all, &wide, &[another]),
            Some(Vec::new()),
            "nothing goes there any more"
        );
    }

    #[test]
    fn what_passed_for_one_of_several_purposes_goes_on_with_a_consent_to_that_one() {
        let mut several = agreed("a", None);
        let other = "https://w3id.org/dpv#Marketing";
        several.bounds.as_mut().unwrap().purposes.push(other.into());
        let (all, ended) = ([several], scope(1, &["skills"]));
        assert_eq!(told(&all, &ended, &[scope(2, &["skills"])]), None);
        let mut wide = scope(1, &["skills"]);
        wide.purposes.push(other.into());
        assert_eq!(
            told(&all, &wide, &[scope(2, &["skills"])]),
            Some(vec!["urn:uuid:a".into()])
        );
    }

    #[test]
    fn what_did_not_rest_on_what_ended_is_not_concerned() {
        let mut ended = scope(1, &["skills"]);
        ended.datasets.push("a".parse().unwrap());
        let mut other = scope(2, &["skills"]);
        other.datasets.push("c".parse().unwrap());
        let all = [agreed("a", None), agreed("b", None), agreed("c", None)];
        assert_eq!(told(&all, &ended, &[other]), Some(vec!["urn:uuid:a".into()]));
    }

    #[test]
    fn a_consent_for_one_agreement_concerns_that_one_alone_and_stands_in_for_no_other() {
        let all = [agreed("a", None), agreed("b", None)];
        let bound = |number, agreement: &str| Scope {
            agreement: Some(format!("urn:uuid:{agreement}").parse().unwrap()),
            ..scope(number, &["skills"])
        };
        assert_eq!(
            told(&all, &bound(1, "a"), &[bound(2, "b")]),
            Some(vec!["urn:uuid:a".into()])
        );
        assert_eq!(
            told(&all, &bound(1, "a"), &[scope(2, &["skills"])]),
            None,
            "one for any goes on"
        );
        let any = scope(1, &["skills"]);
        assert_eq!(
            told(&all, &any, &[bound(2, "b")]),
            Some(vec!["urn:uuid:a".into()]),
            "what was for any"
        );
        assert_eq!(
            told(&all, &bound(1, "c"), &[bound(2, "b")]),
            None,
            "another's agreement"
        );
    }

    #[test]
    fn another_basis_takes_the_place_of_a_basis_and_not_of_a_consent() {
        let basis = |number| Scope {
            is_basis: true,
            ..scope(number, &["skills"])
        };
        let all = [agreed("a", None)];
        assert_eq!(told(&all, &basis(1), &[basis(2)]), None);
        assert_eq!(told(&all, &basis(1), &[scope(2, &["skills"])]), None);
        assert_eq!(
            told(&all, &scope(1, &["skills"]), &[basis(2)]),
            Some(vec!["urn:uuid:a".into()])
        );
    }
}
