//! Learners with one consent each in a live index, the plan under which records are asked about, and the records to decide about.

use crate::harness::{PURPOSE, offer, rss_mib};
use connector::{
    consent::{ConsentId, Covered, Grant, Index, Reader},
    dsp::ParticipantId,
};
use policy::{Action, Facts, Plan, Policy, Timestamp};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region};
use std::sync::Arc;

/// All identifiers have this length, so that one text holds them and what is measured is the index.
const LENGTH: usize = 33;
/// Records of one learner in a row where the source is sorted.
const RUN: usize = 8;
const CATEGORIES: [&str; 4] = ["skills", "results", "identity", "certificates"];

/// When everything happens.
pub fn now() -> Timestamp {
    Timestamp::from_seconds(1_767_225_600)
}

/// In which order records come.
#[derive(Clone, Copy)]
pub enum Order {
    /// All records of one learner in a row, as exports have them.
    Sorted,
    /// Each of any learner.
    Random,
}

impl Order {
    /// What it is called in the figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sorted => "sorted",
            Self::Random => "random",
        }
    }
}

/// The learners.
pub struct People {
    names: String,
    count: usize,
    denied: u32,
    index: Arc<Index>,
    plan: Plan,
    bytes: usize,
    resident: f64,
}

impl People {
    /// So many, of whom so many in a hundred consented to something else.
    pub fn new(count: usize, denied: u32) -> Self {
        let names: String = (0..count).map(|k| format!("did:web:learner.example:{k:09}")).collect();
        let mut people = Self {
            names,
            count,
            denied,
            index: Arc::default(),
            plan: plan(),
            bytes: 0,
            resident: 0.0,
        };
        let (region, resident) = (Region::new(&INSTRUMENTED_SYSTEM), rss_mib(std::process::id()));
        people.index = Arc::new(Index::default());
        for who in 0..count as u32 {
            people.open(who);
        }
        let change = region.change();
        people.bytes = change.bytes_allocated - change.bytes_deallocated;
        people.resident = (rss_mib(std::process::id()) - resident) * 1024.0 * 1024.0;
        people
    }

    fn open(&self, who: u32) {
        let purpose = if self.is_denied(who) {
            "https://w3id.org/dpv#Marketing"
        } else {
            PURPOSE
        };
        let (mixed, id) = (mix(u64::from(who)), id(who));
        // Nobody gives all sixteen combinations of anything, but some do give different ones.
        let some = |at: usize| at == 0 || mixed >> at & 1 == 1;
        let categories: Vec<String> = (0..CATEGORIES.len())
            .filter(|at| some(*at))
            .map(|at| CATEGORIES[at].to_owned())
            .collect();
        let grant = Grant {
            id: &id,
            subject: self.name(who),
            covered: Covered {
                recipients: &[recipient()],
                purposes: &[purpose.to_owned()],
                datasets: &[],
                categories: &categories,
                agreement: None,
            },
            fields: &[],
            from: now(),
            until: now().plus(std::time::Duration::from_secs(3600 + mixed % 30_000_000)),
            aggregate_only: false,
            min_group_size: None,
            guardian_missing: false,
            guardian_gave: false,
            most_transfers: None,
            of_age: None,
            ended: None,
        };
        self.index.open(&grant).expect("a consent");
    }

    /// Withdraws the `number`-th of a row of learners who follow each other at random, as a withdrawal in production does: the learner's entry
    /// changes, the epoch is raised, and the gates confirm it. Then the same consent is given again, so that as many as before are permitted.
    pub fn withdraw(&self, number: u32) {
        let who = (mix(u64::from(number) ^ 0x5A5A) % self.count as u64) as u32;
        let given = id(who);
        self.index.close(self.name(who), |known| *known == given, now());
        self.open(who);
    }

    /// A reader with the question that all records are asked: what the plan answers for each kind of record is worked out here, at the start of
    /// a stream, and looked up for each record.
    pub fn reader(&self) -> Reader {
        let categories = ["skills".to_owned(), "results".to_owned()];
        let dataset = "records".parse().expect("an id");
        let agreement = "urn:uuid:1".parse().expect("an id");
        let question = self
            .index
            .question(
                (&recipient(), &agreement),
                &self.plan.purposes,
                &dataset,
                &categories,
                |record| self.plan.permits(record),
            )
            .expect("a question");
        Reader::new(self.index.clone(), question)
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// How many in a hundred are denied.
    pub fn denied(&self) -> u32 {
        self.denied
    }

    /// Whether this learner's records are.
    pub fn is_denied(&self, who: u32) -> bool {
        mix(u64::from(who) + 7) % 100 < u64::from(self.denied)
    }

    /// A learner's identifier.
    pub fn name(&self, who: u32) -> &str {
        self.name_in(&self.names, who)
    }

    fn name_in<'a>(&self, names: &'a str, who: u32) -> &'a str {
        let at = who as usize % self.count * LENGTH;
        &names[at..at + LENGTH]
    }

    /// All identifiers, one behind the other.
    pub fn all_names(&self) -> &str {
        &self.names
    }

    /// All identifiers, each for itself, out of a copy of them all.
    pub fn names_in<'a>(&self, copy: &'a str) -> impl Iterator<Item = &'a str> {
        (0..self.count as u32).map(move |who| self.name_in(copy, who))
    }

    /// What the index allocated and kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// By how much the process grew meanwhile.
    pub fn resident(&self) -> f64 {
        self.resident
    }

    /// The learners of so many records.
    pub fn records(&self, order: Order, count: usize) -> Vec<u32> {
        let of = |at: usize| match order {
            Order::Sorted => (at / RUN % self.count) as u32,
            Order::Random => (mix(at as u64) % self.count as u64) as u32,
        };
        (0..count).map(of).collect()
    }
}

/// The plan of an agreement that asks for consent, made of its text as for every transfer.
fn plan() -> Plan {
    let policy = json!({
        "@type": "Agreement", "@id": "urn:uuid:1", "target": "records", "assigner": "did:web:school.example",
        "assignee": recipient(), "permission": offer()["permission"],
    });
    let policy = Policy::parse(&policy).expect("a policy");
    let facts = Facts::new(now(), recipient().as_str(), Action::Use).with_minors_told();
    policy.plan(&facts).expect("it permits a transfer")
}

fn id(who: u32) -> ConsentId {
    let mixed = mix(u64::from(who)) as u32;
    serde_json::from_value(format!("urn:uuid:{mixed:08x}-0000-7000-8000-{who:012x}").into()).expect("an id")
}

fn recipient() -> ParticipantId {
    "did:web:work.example".parse().expect("a DID")
}

/// A fixed sequence that looks random.
fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
