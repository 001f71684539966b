//! Reads the right operands of a constraint, each as a value of its left operand's type.

use super::{Fault, Length, Span};
use crate::{
    model::Value,
    odrl::{Decimal, Duration, Value as Typed},
    reason::{Said, quoted},
    timestamp::Timestamp,
    vocabulary::{Category, XSD, is_consent_given},
};

const DAY_MILLIS: i64 = 86_400_000;
const NANOS_PER_MILLI: i128 = 1_000_000;

/// The fault of a value in place of which something else is expected: what, in English and in French.
fn expected(english: &str, french: &str, value: &Value) -> Fault {
    let found = quoted(&value.text);
    Fault::Value(Said::new(
        format!("{english} is expected, not {found}"),
        format!("il faut {french}, et non {found}"),
    ))
}

/// The text of a value that names something: a plain string, an IRI, or a typed string.
pub(super) fn name(value: &Value) -> Result<&str, Fault> {
    let datatype = value.datatype.as_deref();
    let fits = match datatype {
        None | Some("@id") => true,
        Some(datatype) => matches!(XSD.local(datatype), Some("string" | "anyURI")),
    };
    if !fits {
        let datatype = quoted(datatype.unwrap_or_default());
        return Err(Fault::Value(Said::new(
            format!("a name is expected, not a value of type {datatype}"),
            format!("il faut un nom, et non une valeur de type {datatype}"),
        )));
    }
    // Names are compared character by character, so white space around one would make it match nothing.
    if value.text.is_empty() || value.text.trim() != value.text {
        return Err(expected(
            "a name without white space around it",
            "un nom sans espaces autour",
            value,
        ));
    }
    Ok(&value.text)
}

pub(super) fn category(value: &Value) -> Result<Category, Fault> {
    let text = name(value)?;
    Category::read(text).ok_or_else(|| {
        let known: Vec<&str> = Category::ALL.iter().map(|category| category.name()).collect();
        let (text, known) = (quoted(text), known.join(", "));
        Fault::Value(Said::new(
            format!("the data category {text} is not known; known are {known}"),
            format!("la catégorie de données {text} n’est pas connue ; sont connues {known}"),
        ))
    })
}

/// Reads an `xsd:dateTime` (seconds may be missing, as in the examples of DSP 2025-1) or an `xsd:date`. A time zone is
/// required: without one the comparison is uncertain by 14 hours either way.
pub(super) fn span(value: &Value) -> Result<Span, Fault> {
    let either = || {
        expected(
            "a date-time or date with a time zone, such as 2026-06-30T22:00:00Z or 2026-06-30Z,",
            "une date avec ou sans heure et avec un fuseau horaire, telle que 2026-06-30T22:00:00Z ou 2026-06-30Z",
            value,
        )
    };
    let of_time = || {
        expected(
            "a date-time with a time zone, such as 2026-06-30T22:00:00Z,",
            "une date avec heure et fuseau horaire, telle que 2026-06-30T22:00:00Z",
            value,
        )
    };
    let of_day = || {
        expected(
            "a date with a time zone, such as 2026-06-30Z,",
            "une date avec fuseau horaire, telle que 2026-06-30Z",
            value,
        )
    };
    let of_type = || {
        expected(
            "a value of type xsd:dateTime or xsd:date",
            "une valeur de type xsd:dateTime ou xsd:date",
            value,
        )
    };
    let text = value.text.as_str();
    match value.datatype.as_deref().map(|datatype| XSD.local(datatype)) {
        None => instant(text).or_else(|| day(text)).ok_or_else(either),
        Some(Some("dateTime" | "dateTimeStamp")) => instant(text).ok_or_else(of_time),
        Some(Some("date")) => day(text).ok_or_else(of_day),
        Some(_) => Err(of_type()),
    }
}

fn instant(text: &str) -> Option<Span> {
    let with_seconds = || {
        let (head, zone) = text.split_at_checked("2026-06-30T22:00".len())?;
        zone.starts_with(['Z', '+', '-'])
            .then(|| format!("{head}:00{zone}"))?
            .parse::<Timestamp>()
            .ok()
    };
    let start = text.parse::<Timestamp>().ok().or_else(with_seconds)?.millis();
    Some(Span {
        start,
        end: start.saturating_add(1),
    })
}

fn day(text: &str) -> Option<Span> {
    let (date, zone) = text.split_at_checked("2026-06-30".len())?;
    let start = format!("{date}T00:00:00{zone}").parse::<Timestamp>().ok()?.millis();
    Some(Span {
        start,
        end: start.saturating_add(DAY_MILLIS),
    })
}

/// The value as its datatype has it; where none is written, as `plain` reads it.
fn typed<T>(value: &Value, plain: fn(&str) -> Option<T>, typed: fn(Typed) -> Option<T>) -> Option<T> {
    match value.datatype.as_deref() {
        None => plain(&value.text),
        Some(datatype) => Typed::literal(&value.text, Some(datatype)).ok().and_then(typed),
    }
}

/// A length of time that is not negative and a whole number of milliseconds.
pub(super) fn length(value: &Value) -> Result<Length, Fault> {
    let fault = || {
        expected(
            "a duration such as P3M or PT60M",
            "une durée telle que P3M ou PT60M",
            value,
        )
    };
    let read = typed(value, Duration::read, |value| match value {
        Typed::Duration(duration) => Some(duration),
        _ => None,
    })
    .ok_or_else(fault)?;
    let months = u32::try_from(read.months).map_err(|_| fault())?;
    if read.nanos < 0 || read.nanos % NANOS_PER_MILLI != 0 {
        return Err(fault());
    }
    let millis = i64::try_from(read.nanos / NANOS_PER_MILLI).map_err(|_| fault())?;
    Ok(Length { months, millis })
}

/// A length of time that can be counted up.
pub(super) fn stretch(value: &Value) -> Result<Span, Fault> {
    match length(value)? {
        Length { months: 0, millis } => Ok(Span::at(millis)),
        _ => {
            let found = quoted(&value.text);
            Err(Fault::Value(Said::new(
                format!("time that is counted up has no months: {found} means months; PT60M means 60 minutes"),
                format!("un temps cumulé n’a pas de mois : {found} compte des mois ; PT60M compte 60 minutes"),
            )))
        }
    }
}

pub(super) fn number(value: &Value) -> Result<Decimal, Fault> {
    typed(value, Decimal::read, |value| match value {
        Typed::Number(number) => Some(number),
        _ => None,
    })
    .ok_or_else(|| expected("a number", "un nombre", value))
}

/// A whole number that is not negative.
pub(super) fn count(value: &Value) -> Result<Span, Fault> {
    let whole = number(value)?
        .to_string()
        .parse::<i64>()
        .ok()
        .filter(|whole| *whole >= 0);
    whole
        .map(Span::at)
        .ok_or_else(|| expected("a whole number from 0 on", "un nombre entier à partir de 0", value))
}

pub(super) fn boolean(value: &Value) -> Result<bool, Fault> {
    let plain = |text: &str| text.parse().ok();
    typed(value, plain, |value| match value {
        Typed::Boolean(set) => Some(set),
        _ => None,
    })
    .ok_or_else(|| expected("true or false", "true ou false", value))
}

/// The one state of consent that can be asked for.
pub(super) fn given(value: &Value) -> Result<(), Fault> {
    if is_consent_given(name(value)?) {
        return Ok(());
    }
    let found = quoted(&value.text);
    Err(Fault::Value(Said::new(
        format!("consent can only be compared with \"given\", not with {found}"),
        format!("le consentement ne se compare qu’avec \"given\", et non avec {found}"),
    )))
}
