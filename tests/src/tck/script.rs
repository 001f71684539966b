//! What the kit tests, and what the connector's operator does in each test: one table. No I/O.

/// One group of the kit's tests.
pub struct Group {
    /// As the kit writes it.
    pub name: &'static str,
    /// The ids of datasets (negotiations) or agreements (transfers) begin with this, followed by the test's number.
    pub prefix: &'static str,
    /// How many tests each of its parts 01, 02 and 03 has.
    pub parts: [u8; 3],
    /// How many of them the kit runs; the others are switched off in it.
    pub run: u32,
}

/// All of them.
#[rustfmt::skip]
pub const GROUPS: [Group; 6] = [
    Group { name: "MET", prefix: "", parts: [1, 0, 0], run: 1 },
    Group { name: "CAT", prefix: "CAT", parts: [3, 0, 0], run: 3 },
    Group { name: "CN", prefix: "ACN", parts: [4, 7, 4], run: 15 },
    Group { name: "CN_C", prefix: "ACNC", parts: [4, 6, 6], run: 16 },
    Group { name: "TP", prefix: "ATP", parts: [5, 5, 6], run: 15 },
    Group { name: "TP_C", prefix: "ATPC", parts: [5, 5, 6], run: 15 },
];

impl Group {
    /// The group of that name.
    pub fn named(name: &str) -> &'static Self {
        GROUPS
            .iter()
            .find(|group| group.name == name)
            .unwrap_or_else(|| panic!("the kit has no group {name}"))
    }

    /// Part and number of each test.
    pub fn tests(&self) -> impl Iterator<Item = (u8, u8)> + use<> {
        (1..)
            .zip(self.parts)
            .flat_map(|(part, count)| (1..=count).map(move |number| (part, number)))
    }

    /// The dataset or agreement of one test.
    pub fn key(&self, part: u8, number: u8) -> String {
        format!("{}{part:02}{number:02}", self.prefix)
    }

    /// The datasets or agreements of all its tests.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.tests().map(|(part, number)| self.key(part, number))
    }
}

/// How many tests the kit runs.
pub fn expected() -> u32 {
    GROUPS.iter().map(|group| group.run).sum()
}

/// The dataset over which the agreements `ATP…` are negotiated: one that no test of the kit negotiates about.
pub const SOLD: &str = "CAT0101";
/// The dataset of the plain peer over which the agreements `ATPC…` are negotiated.
pub const BOUGHT: &str = "SEED0101";

/// In which state which command follows, in this order, each once.
type Steps = &'static [(&'static str, &'static str)];

/// By the dataset of a negotiation or the agreement of a transfer. No steps: the operator leaves everything to the peer.
#[rustfmt::skip]
const TABLE: &[(&str, &[&str], Steps)] = &[
    ("ACN", &["0101", "0204", "0302", "0303", "0304"], &[("REQUESTED", "offer")]),
    ("ACN", &["0102"], &[("REQUESTED", "offer"), ("REQUESTED", "terminate")]),
    ("ACN", &["0103"], &[("REQUESTED", "offer"), ("ACCEPTED", "agree"), ("VERIFIED", "finalize")]),
    ("ACN", &["0104", "0301"], &[("REQUESTED", "agree"), ("VERIFIED", "finalize")]),
    ("ACN", &["0201"], &[("REQUESTED", "terminate")]),
    ("ACN", &["0202"], &[]),
    ("ACN", &["0203"], &[("REQUESTED", "agree")]),
    ("ACN", &["0205"], &[("REQUESTED", "offer"), ("OFFERED", "terminate")]),
    ("ACN", &["0206"], &[("REQUESTED", "offer"), ("ACCEPTED", "terminate")]),
    ("ACN", &["0207"], &[("REQUESTED", "agree"), ("VERIFIED", "terminate")]),

    ("ACNC", &["0101"], &[("OFFERED", "accept"), ("AGREED", "verify")]),
    ("ACNC", &["0102"], &[("OFFERED", "counter")]),
    ("ACNC", &["0103"], &[("OFFERED", "terminate")]),
    ("ACNC", &["0104", "0206"], &[("AGREED", "verify")]),
    ("ACNC", &["0201", "0204", "0301", "0302", "0303"], &[]),
    ("ACNC", &["0202"], &[("REQUESTED", "terminate")]),
    ("ACNC", &["0203"], &[("AGREED", "terminate")]),
    ("ACNC", &["0205", "0304", "0305", "0306"], &[("OFFERED", "accept")]),

    ("ATP", &["0101"], &[("REQUESTED", "start"), ("STARTED", "terminate")]),
    ("ATP", &["0102"], &[("REQUESTED", "start"), ("STARTED", "complete")]),
    ("ATP", &["0103"], &[("REQUESTED", "start"), ("STARTED", "suspend"), ("SUSPENDED", "terminate")]),
    ("ATP", &["0104"], &[("REQUESTED", "start"), ("STARTED", "suspend"), ("SUSPENDED", "start"), ("STARTED", "complete")]),
    ("ATP", &["0105"], &[("REQUESTED", "terminate")]),
    ("ATP", &["0201", "0202", "0203", "0204", "0303", "0304", "0305", "0306"], &[("REQUESTED", "start")]),
    ("ATP", &["0205", "0301", "0302"], &[]),

    ("ATPC", &["0101", "0102", "0103", "0104", "0105", "0301", "0302", "0303", "0304", "0305", "0306"], &[]),
    ("ATPC", &["0201"], &[("STARTED", "terminate")]),
    ("ATPC", &["0202"], &[("STARTED", "complete")]),
    ("ATPC", &["0203"], &[("STARTED", "suspend"), ("SUSPENDED", "terminate")]),
    ("ATPC", &["0204"], &[("STARTED", "suspend"), ("SUSPENDED", "start"), ("STARTED", "complete")]),
    ("ATPC", &["0205"], &[("REQUESTED", "terminate")]),

    // How the agreements of the transfer tests come about: SOLD and BOUGHT.
    ("CAT", &["0101"], &[("REQUESTED", "agree"), ("VERIFIED", "finalize")]),
    ("SEED", &["0101"], &[("AGREED", "verify")]),
];

/// The script of one process, as far as it has come.
#[derive(Debug)]
pub struct Script {
    left: Steps,
    last: Option<(String, bool)>,
}

impl Script {
    /// A fresh one for a process about this dataset or agreement; `None` for one that is not in the table.
    pub fn of(key: &str) -> Option<Self> {
        let (_, _, steps) = TABLE
            .iter()
            .find(|(prefix, numbers, _)| key.strip_prefix(prefix).is_some_and(|number| numbers.contains(&number)))?;
        Some(Self {
            left: steps,
            last: None,
        })
    }

    /// The command to give now that the process is in `state`; `settled`: no message of ours waits for its acknowledgement. The same
    /// state seen again is no new one, unless a message of ours was decided in between: a counter-offer that overtakes the
    /// acknowledgement of our offer leads from REQUESTED to REQUESTED.
    pub fn enter(&mut self, state: &str, settled: bool) -> Option<&'static str> {
        let now = Some((state.to_owned(), settled));
        let changed = self.last != now;
        self.last = now;
        match self.left {
            [(on, command), left @ ..] if changed && settled && *on == state => {
                self.left = left;
                Some(command)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(key: &str, states: &[(&str, bool)]) -> Vec<Option<&'static str>> {
        let mut script = Script::of(key).expect("a script");
        states
            .iter()
            .map(|(state, settled)| script.enter(state, *settled))
            .collect()
    }

    #[test]
    fn every_test_of_the_kit_has_exactly_one_script() {
        for name in ["CN", "CN_C", "TP", "TP_C"] {
            for key in Group::named(name).keys() {
                let rows = TABLE
                    .iter()
                    .flat_map(|(prefix, numbers, _)| numbers.iter().map(move |number| format!("{prefix}{number}")))
                    .filter(|row| *row == key);
                assert_eq!(rows.count(), 1, "{key}");
            }
        }
        assert!(Script::of(SOLD).is_some() && Script::of(BOUGHT).is_some());
        assert!(Script::of("ACN0199").is_none());
    }

    #[test]
    fn the_kit_has_67_tests_and_runs_65() {
        assert_eq!(GROUPS.iter().map(|group| group.tests().count()).sum::<usize>(), 67);
        assert_eq!(expected(), 65);
        assert_eq!(Group::named("TP_C").keys().last().as_deref(), Some("ATPC0306"));
    }

    #[test]
    fn a_command_follows_only_in_its_state_and_once() {
        let states = [
            ("REQUESTED", true),
            ("REQUESTED", false),
            ("OFFERED", true),
            ("ACCEPTED", true),
        ];
        assert_eq!(play("ACN0103", &states), [Some("offer"), None, None, Some("agree")]);
        assert_eq!(play("ACN0202", &states), [None, None, None, None]);
    }

    #[test]
    fn a_state_entered_again_takes_the_next_step() {
        let states = [("STARTED", true), ("SUSPENDED", true), ("STARTED", true)];
        assert_eq!(
            play("ATPC0204", &states),
            [Some("suspend"), Some("start"), Some("complete")]
        );
        let states = [
            ("REQUESTED", true),
            ("REQUESTED", false),
            ("OFFERED", true),
            ("REQUESTED", true),
        ];
        assert_eq!(play("ACN0102", &states), [Some("offer"), None, None, Some("terminate")]);
        assert_eq!(play("ACN0304", &states), [Some("offer"), None, None, None]);
    }

    #[test]
    fn a_repeated_event_is_no_new_state_but_an_overtaken_acknowledgement_is() {
        assert_eq!(
            play("ACN0102", &[("REQUESTED", true), ("REQUESTED", true)]),
            [Some("offer"), None]
        );
        let overtaken = [("REQUESTED", true), ("REQUESTED", false), ("REQUESTED", true)];
        assert_eq!(play("ACN0102", &overtaken), [Some("offer"), None, Some("terminate")]);
    }

    #[test]
    fn nothing_is_commanded_while_our_own_message_is_undecided() {
        assert_eq!(
            play("ATPC0205", &[("REQUESTED", false), ("REQUESTED", true)]),
            [None, Some("terminate")]
        );
    }
}
