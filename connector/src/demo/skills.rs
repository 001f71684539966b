//! A small table of real skill codes: ESCO v1.2 skills (English labels) and ROME 4.0 occupations (French labels), by theme.
//!
//! `skills.tsv` beside this file is made by `tests/derive-skills.py ../shared/data/skills`; `NOTICE` carries the attribution.
//! Only the table lives here; who has which skill is decided in [`super::learners`].

use serde::Serialize;
use std::sync::LazyLock;

static TABLE: LazyLock<Vec<Theme>> = LazyLock::new(|| parse(include_str!("skills.tsv")));

/// The framework that a code belongs to; written in lower case (`SkillRecord.skills[].fw`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Framework {
    /// ESCO v1.2; the code is the concept's URI, the label English.
    #[default]
    Esco,
    /// ROME 4.0; the code is a letter and four digits, the label French.
    Rome,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skill {
    /// Where the code is defined.
    pub framework: Framework,
    /// The code as the framework writes it.
    pub code: &'static str,
    /// The framework's own label, in its own language.
    pub label: &'static str,
}

/// Skills and occupations that go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Short English key, as in the table's first column.
    pub key: &'static str,
    /// What a French reader sees.
    pub fr: &'static str,
    /// ESCO skills; never empty.
    pub esco: Vec<Skill>,
    /// ROME occupations; empty for [`general`] alone.
    pub rome: Vec<Skill>,
}

/// All themes, in the table's order; [`general`] is the last one.
pub fn themes() -> &'static [Theme] {
    &TABLE
}

/// The theme of transversal skills (working with others, organising, communicating), useful in any occupation.
pub fn general() -> Option<&'static Theme> {
    TABLE.iter().find(|theme| theme.key == "general")
}

/// The themes that name occupations: all but [`general`].
pub fn trades() -> impl Iterator<Item = &'static Theme> {
    TABLE.iter().filter(|theme| !theme.rome.is_empty())
}

/// Rows that are not understood are left out; a test holds that there are none.
fn parse(text: &'static str) -> Vec<Theme> {
    let mut themes: Vec<Theme> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        let (Some(key), Some(framework), Some(code), Some(label), None) = (
            columns.next(),
            columns.next(),
            columns.next(),
            columns.next(),
            columns.next(),
        ) else {
            continue;
        };
        if themes.last().is_none_or(|theme| theme.key != key) {
            themes.push(Theme {
                key,
                fr: french(key),
                esco: Vec::new(),
                rome: Vec::new(),
            });
        }
        let Some(theme) = themes.last_mut() else { continue };
        match framework {
            "esco" => theme.esco.push(Skill {
                framework: Framework::Esco,
                code,
                label,
            }),
            "rome" => theme.rome.push(Skill {
                framework: Framework::Rome,
                code,
                label,
            }),
            _ => {}
        }
    }
    themes
}

fn french(key: &str) -> &'static str {
    match key {
        "digital" => "numérique et réseaux",
        "commerce" => "vente et relation client",
        "care" => "soin et aide à la personne",
        "cooking" => "cuisine et service",
        "building" => "bâtiment et travaux publics",
        "industry" => "industrie et maintenance",
        "logistics" => "transport et logistique",
        "office" => "gestion et administration",
        "nature" => "agriculture et paysage",
        "teaching" => "animation et enseignement",
        _ => "compétences transversales",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};
    use std::path::PathBuf;

    const TEXT: &str = include_str!("skills.tsv");

    fn all() -> impl Iterator<Item = Skill> {
        themes()
            .iter()
            .flat_map(|theme| theme.esco.iter().chain(&theme.rome).copied())
    }

    #[test]
    fn every_row_is_understood_and_the_table_stays_small() {
        let rows = TEXT.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(all().count(), rows);
        assert_eq!((themes().len(), trades().count()), (11, 10));
        assert!((450..=900).contains(&rows), "{rows} rows");
        assert!(TEXT.len() < 150 * 1024, "{} bytes", TEXT.len());
    }

    #[test]
    fn every_theme_can_fill_a_record_and_only_the_general_one_names_no_occupation() {
        for theme in themes() {
            assert!(theme.esco.len() >= 20, "{}", theme.key);
            assert_eq!(theme.rome.is_empty(), theme.key == "general", "{}", theme.key);
        }
        assert_eq!(
            themes().iter().map(|theme| theme.fr).collect::<HashSet<_>>().len(),
            themes().len()
        );
        assert!(general().is_some());
    }

    #[test]
    fn no_code_appears_twice() {
        let mut seen = HashSet::new();
        for skill in all() {
            assert!(seen.insert(skill.code), "{}", skill.code);
        }
    }

    /// The published tables, code to label; `None` (and a line saying so) where they are not at hand.
    fn published(file: &str) -> Option<HashMap<String, String>> {
        let shared = std::env::var_os("SHARED_DATA").map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
            PathBuf::from,
        );
        let Ok(text) = std::fs::read_to_string(shared.join("skills").join(file)) else {
            println!("skipped: ../shared/data is not here");
            return None;
        };
        Some(
            text.lines()
                .filter_map(|line| line.split_once('\t'))
                .map(|(c, l)| (c.into(), l.into()))
                .collect(),
        )
    }

    #[test]
    fn every_code_and_label_is_the_published_one() {
        let (Some(esco), Some(rome)) = (published("esco-skills.tsv"), published("rome.tsv")) else {
            return;
        };
        assert!(
            esco.len() > 10_000 && rome.len() > 1_500,
            "the published tables are cut short"
        );
        for skill in all() {
            let table = if skill.framework == Framework::Esco {
                &esco
            } else {
                &rome
            };
            assert_eq!(
                table.get(skill.code).map(String::as_str),
                Some(skill.label),
                "{}",
                skill.code
            );
        }
    }
}
