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
    /// The end of some scopes takes something away that may have passed under this agreement, and that no others go on permitting.
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
        // In doubt something has passed.
        let may_have_passed = |scope: &&Scope| purposes.is_empty() || purposes.iter().any(|one| scope.is_for(one));
        let remaining: Vec<&Scope> = remaining.iter().filter(|scope| is_about(scope)).collect();
        ended.filter(may_have_passed).any(|ended| {
            let passed_for: Vec<&String> = purposes.iter().filter(|one| ended.is_for(one)).collect();
            let mut reached = ended.categories.iter().filter(|name| bounds.allows_category(name));
            reached.any(|name| !ended.goes_on(name, &passed_for, &remaining))
        })
    }
}

impl Scope {
    fn is_for(&self, purpose: &str) -> bool {
        self.purposes.iter().any(|mine| canonical_name(mine) == purpose)
    }

    /// It permits something of a data category: this field of it, or all of them.
    fn permits(&self, name: &str, field: Option<&String>) -> bool {
        let mine = self.categories.iter().any(|one| category(one) == category(name));
        mine && (self.fields.is_empty() || field.is_some_and(|field| self.fields.contains(field)))
    }

    /// All that this one, which has ended, permitted of a data category for these purposes is still permitted. Consents permit it together, as
    /// they do in the live index: for each purpose another may. A basis permits alone, and takes no consent's place (EDPB guidelines 05/2020,
    /// 122). In doubt, which is where no purpose is known, nothing goes on.
    fn goes_on(&self, name: &str, purposes: &[&String], remaining: &[&Self]) -> bool {
        let (bases, consents): (Vec<&Self>, Vec<&Self>) = remaining.iter().copied().partition(|scope| scope.is_basis);
        let fields = self
            .fields
            .iter()
            .map(Some)
            .chain(self.fields.is_empty().then_some(None));
        let fields: Vec<Option<&String>> = fields.collect();
        let by_a_consent = |purpose: &str, field: Option<&String>| {
            let mut consents = consents.iter();
            consents.any(|scope| scope.is_for(purpose) && scope.permits(name, field))
        };
        let mut each_purpose = purposes.iter();
        let by_consents = each_purpose.all(|purpose| fields.iter().all(|field| by_a_consent(purpose, *field)));
        let by_a_basis = |basis: &&Self| basis.permits(name, None) && purposes.iter().all(|one| basis.is_for(one));
        !purposes.is_empty() && (by_consents || self.is_basis && bases.iter().any(by_a_basis))
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

    /// An agreement for two purposes, and something for each of them.
    fn two_purposes() -> ([Agreed; 1], [Scope; 2]) {
        let mut several = agreed("a", None);
        let other = "https://w3id.org/dpv#Marketing";
        several.bounds.as_mut().unwrap().purposes.push(other.into());
        let mut second = scope(2, &["skills"]);
        second.purposes = vec![other.into()];
        ([several], [scope(1, &["skills"]), second])
    }

    #[test]
    fn the_end_of_a_consent_for_one_purpose_is_told_where_others_are_for_the_rest_alone() {
        let (all, [one, other]) = two_purposes();
        assert_eq!(
            told(&all, &one, std::slice::from_ref(&other)),
            Some(vec!["urn:uuid:a".into()])
        );
        let mut narrower = scope(3, &["skills"]);
        narrower.fields.push("/skills/0".into());
        assert_eq!(
            told(&all, &one, &[other.clone(), narrower]).map(|all| all.len()),
            Some(1)
        );
        assert_eq!(
            told(&all, &one, &[other, scope(3, &["skills"])]),
            None,
            "for that one again"
        );
    }

    #[test]
    fn consents_go_on_together_where_there_is_one_for_each_purpose_and_field() {
        let (all, each) = two_purposes();
        let mut wide = scope(3, &["skills"]);
        wide.purposes = each.iter().flat_map(|scope| scope.purposes.clone()).collect();
        assert_eq!(told(&all, &wide, &each), None);
        // No basis joins in, and none is one for each purpose.
        let bases = each.clone().map(|scope| Scope {
            is_basis: true,
            ..scope
        });
        let ended = Scope {
            is_basis: true,
            ..wide.clone()
        };
        for (ended, remaining) in [
            (&wide, [each[0].clone(), bases[1].clone()]),
            (&ended, [each[0].clone(), bases[1].clone()]),
            (&ended, bases.clone()),
        ] {
            let concerned = told(&all, ended, &remaining).map(|all| all.len());
            assert_eq!(concerned, Some(1), "{ended:?} {remaining:?}");
        }
        assert_eq!(told(&all, &ended, &each), None, "consents take the place of a basis");
        // Of two fields one each.
        let fields = ["/skills/0", "/skills/1"].map(String::from);
        let ended = Scope {
            fields: fields.to_vec(),
            ..scope(3, &["skills"])
        };
        let [first, second] = fields.map(|field| Scope {
            fields: vec![field],
            ..scope(4, &["skills"])
        });
        assert_eq!(told(&all, &ended, &[first.clone(), second]), None);
        assert_eq!(told(&all, &ended, &[first]).map(|all| all.len()), Some(1));
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
