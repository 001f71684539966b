//! Invented learners and their skills records, the same for the same seed: what the demonstration's two holders hold.
//!
//! Records are flat SkillRecords, one a line, with the holder's *own* learner identifier in `sub` and with personal fields that no
//! offer opens. Terms and categories live in [`super::terms`]. The generator is fast and repeatable, not random in any
//! cryptographic sense: nothing secret may ever come from it.

use super::names::{FAMILY, GIVEN, ascii};
use super::numbers::{Rng, mix};
use super::record;
use super::skills::{self, Theme};

/// Records a learner has on average; exact over every whole [`Generator::spread`].
pub const RECORDS_PER_LEARNER: u64 = 3;

const DEFAULT_SPREAD: u64 = 100;
/// Learner `i` of a spread has `5 - i % 5` records: one to five of them, three on average.
const MOST_RECORDS: u64 = 5;
/// People known to France Travail alone have indices from here on.
const ADULTS: u64 = 1 << 40;

/// Who holds the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A school; knows its learners by an identifier shaped like the national student number (INE).
    Lycee,
    /// The public employment service; knows its learners by an identifier of its own.
    FranceTravail,
}

impl Holder {
    /// The participant identifier.
    pub const fn did(self) -> &'static str {
        match self {
            Self::Lycee => "did:web:lycee.example",
            Self::FranceTravail => "did:web:france-travail.example",
        }
    }

    /// The name that people read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lycee => "Lycée des Trois-Rivières",
            Self::FranceTravail => "France Travail",
        }
    }
}

/// One learner as one holder knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learner {
    /// The holder's own identifier: another holder knows the same person by another one.
    pub id: String,
    /// Given name.
    pub given_name: &'static str,
    /// Family name.
    pub family_name: &'static str,
    /// An address under `example.org` or `example.net`, which deliver nowhere (RFC 2606); no two people share one.
    pub email: String,
    /// Year of birth.
    pub birth_year: u64,
    /// Date of birth, `YYYY-MM-DD`.
    pub birth_date: String,
    /// An arrangement for exams or workplace, for about one learner in ten.
    pub special_needs: Option<&'static str>,
}

/// Makes the learners and records of one holder from a seed. Any record can be made without those before it.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    seed: u64,
    holder: Holder,
    spread: u64,
}

impl Generator {
    /// A generator whose whole output depends on `seed` and `holder` alone.
    pub const fn new(seed: u64, holder: Holder) -> Self {
        Self {
            seed,
            holder,
            spread: DEFAULT_SPREAD,
        }
    }

    /// Spreads the records of a learner evenly over the lines about `learners` learners (100 unless told otherwise, rounded up to a
    /// multiple of five), so that a withdrawal in the middle of a stream still has records of that learner to stop.
    pub const fn spread(self, learners: u64) -> Self {
        let groups = if learners == 0 {
            1
        } else {
            learners.div_ceil(MOST_RECORDS)
        };
        Self {
            spread: groups.saturating_mul(MOST_RECORDS),
            ..self
        }
    }

    /// The `i`-th learner of this holder. Learners with an even `i` are known to both holders under the same `i`; one with an odd `i`
    /// is another person at each.
    pub fn learner(&self, i: u64) -> Learner {
        let person = self.person(i);
        let (mut rng, number) = (self.rng(Stream::Person, person), person % ADULTS);
        let (given_name, family_name) = (rng.pick(&GIVEN), rng.pick(&FAMILY));
        let (birth_year, domain) = if person < ADULTS {
            (rng.between(2006, 2010), "org")
        } else {
            (rng.between(1966, 2005), "net")
        };
        Learner {
            id: self.local_id(i),
            given_name,
            family_name,
            email: format!(
                "{}.{}.{number}@courriel.example.{domain}",
                ascii(given_name),
                ascii(family_name)
            ),
            birth_year,
            birth_date: rng.date(birth_year, birth_year),
            special_needs: rng.percent(10).then(|| rng.pick(&ARRANGEMENTS)),
        }
    }

    /// Whether learner `i` consents, where `share` of all learners do (0.0 none, 1.0 all). The same person answers alike at both
    /// holders, and whoever consents at a smaller share also does at a larger one.
    pub fn consents(&self, i: u64, share: f64) -> bool {
        self.rng(Stream::Consent, self.person(i)).unit() < share
    }

    /// The learner that the `k`-th record is about, as an index for [`Generator::learner`].
    pub const fn learner_of(&self, k: u64) -> u64 {
        let block = self.spread.saturating_mul(RECORDS_PER_LEARNER);
        let (mut rest, groups, mut with_more) = (k % block, self.spread / MOST_RECORDS, MOST_RECORDS);
        // Round by round over the block, each round with the learners that have a record left.
        while rest >= groups * with_more {
            rest -= groups * with_more;
            with_more -= 1;
        }
        k / block * self.spread + rest / with_more * MOST_RECORDS + rest % with_more
    }

    /// Appends the `k`-th record to `out`: one JSON object and a line feed, about a kibibyte.
    pub fn record(&self, k: u64, out: &mut Vec<u8>) {
        let i = self.learner_of(k);
        let mut rng = self.rng(Stream::Record, k);
        if let Some(trade) = self.trade(i, &mut rng) {
            record::write(self.holder, &self.learner(i), trade, &mut rng, out);
        }
    }

    /// Most records are about the learner's own trade, some about another one.
    fn trade(&self, i: u64, rng: &mut Rng) -> Option<&'static Theme> {
        let own = self.rng(Stream::Trade, self.person(i)).next();
        let chosen = if rng.percent(80) { own } else { rng.next() };
        let count = skills::trades().count() as u64;
        skills::trades().nth(usize::try_from(chosen % count.max(1)).ok()?)
    }

    /// Even learners are the same people at both holders.
    const fn person(&self, i: u64) -> u64 {
        match self.holder {
            Holder::FranceTravail if i % 2 == 1 => ADULTS.saturating_add(i),
            _ => i,
        }
    }

    /// A bijection of the index (multiplier and modulus share no factor), so that identifiers are distinct, look unordered, and
    /// those of one holder tell nothing about those of the other. Valid for the first 260 million learners.
    fn local_id(&self, i: u64) -> String {
        let letter = |n: u64| char::from(b'A' + (n % 26) as u8);
        let scatter =
            |modulus: u64, salt: u64| ((i % modulus) * 160_690_813 + mix(self.seed ^ salt) % modulus) % modulus;
        match self.holder {
            Holder::Lycee => {
                let n = scatter(676_000_000, 1);
                let (digits, letters) = (n % 1_000_000, n / 1_000_000);
                format!("999{digits:06}{}{}", letter(letters / 26), letter(letters))
            }
            Holder::FranceTravail => {
                let n = scatter(260_000_000, 2);
                format!("{:07}{}", n % 10_000_000, letter(n / 10_000_000))
            }
        }
    }

    /// Independent streams of numbers, so that one more draw for a record never changes a learner.
    fn rng(&self, stream: Stream, index: u64) -> Rng {
        let holder = match stream {
            Stream::Record => self.holder as u64 + 1,
            Stream::Person | Stream::Consent | Stream::Trade => 0,
        };
        Rng::new(mix(mix(self.seed ^ ((stream as u64) << 8 | holder)) ^ index))
    }
}

#[derive(Clone, Copy)]
enum Stream {
    Person,
    Consent,
    Trade,
    Record,
}

const ARRANGEMENTS: [&str; 5] = [
    "tiers temps aux épreuves",
    "sujets en gros caractères",
    "ordinateur avec synthèse vocale",
    "interprète en langue des signes",
    "poste accessible en fauteuil roulant",
];

#[cfg(test)]
mod tests;
