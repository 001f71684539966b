//! Catalog requests and answers (DSP 2025-1 §5): DCAT as the protocol narrows it.

use super::{
    CONTEXT, DatasetId, FORMATS, MessageError, OfferId, ParticipantId,
    reader::{Reader, invalid},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// The body of a catalog request.
pub fn request() -> Value {
    json!({"@context": [CONTEXT], "@type": "CatalogRequestMessage"})
}

/// Reads a `CatalogRequestMessage`: what it carries as filters, whose content the protocol leaves free.
pub fn read_request(body: &Value) -> Result<&[Value], MessageError> {
    let reader = Reader::new(body)?;
    match reader.message_type()? {
        "CatalogRequestMessage" => Ok(reader.one_or_many("filter")),
        other => Err(MessageError::WrongType {
            found: other.chars().take(80).collect(),
            expected: "CatalogRequestMessage",
        }),
    }
}

/// A dataset as a catalog lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ListedDataset {
    /// Its id.
    pub id: DatasetId,
    /// Its title, if it has one.
    #[schema(required)]
    pub title: Option<String>,
    /// Its offers, verbatim.
    #[schema(value_type = Vec<Object>)]
    pub offers: Vec<Value>,
    /// The formats in which it can be transferred.
    pub formats: Vec<String>,
}

/// A peer's catalog as we read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Listed {
    /// Who offers.
    pub participant: ParticipantId,
    /// What is offered to the caller.
    pub datasets: Vec<ListedDataset>,
}

/// A dataset as the catalog of `base` shows it; `root` adds `@context`. It must have an offer and a format: the schema wants both.
pub fn write_dataset(dataset: &ListedDataset, base: &str, root: bool) -> Value {
    let mut body = Map::new();
    if root {
        body.insert("@context".into(), json!([CONTEXT]));
    }
    body.insert("@id".into(), dataset.id.as_str().into());
    body.insert("@type".into(), "Dataset".into());
    if let Some(title) = &dataset.title {
        body.insert("title".into(), title.as_str().into());
    }
    body.insert("hasPolicy".into(), dataset.offers.clone().into());
    let distributions: Vec<Value> = dataset
        .formats
        .iter()
        .map(|format| json!({"@type": "Distribution", "format": format, "accessService": service(base)}))
        .collect();
    body.insert("distribution".into(), distributions.into());
    Value::Object(body)
}

/// A whole catalog. Empty arrays are left out, and datasets that nobody could negotiate: the schema refuses both.
pub fn write(listed: &Listed, base: &str) -> Value {
    let mut body = Map::new();
    body.insert("@context".into(), json!([CONTEXT]));
    body.insert("@id".into(), format!("{base}/catalog").into());
    body.insert("@type".into(), "Catalog".into());
    body.insert("participantId".into(), listed.participant.as_str().into());
    body.insert("service".into(), json!([service(base)]));
    let complete = |dataset: &&ListedDataset| !dataset.offers.is_empty() && !dataset.formats.is_empty();
    let shown = listed
        .datasets
        .iter()
        .filter(complete)
        .map(|dataset| write_dataset(dataset, base, false));
    let datasets: Vec<Value> = shown.collect();
    if !datasets.is_empty() {
        body.insert("dataset".into(), datasets.into());
    }
    Value::Object(body)
}

fn service(base: &str) -> Value {
    json!({"@id": format!("{base}#service"), "@type": "DataService", "endpointURL": base})
}

/// Reads a peer's catalog and the catalogs in it (DSP 2025-1 §5.1). A dataset without a usable id, or with an offer without one, is an
/// error and not skipped. What a nested catalog says to be another participant's is left out: this peer cannot negotiate it.
pub fn read(body: &Value) -> Result<Listed, MessageError> {
    let reader = Reader::new(body)?;
    match reader.message_type()? {
        "Catalog" => {}
        other => {
            return Err(MessageError::WrongType {
                found: other.chars().take(80).collect(),
                expected: "Catalog",
            });
        }
    }
    let participant = participant(reader)?;
    let mut datasets = Vec::new();
    collect(reader, &participant, &mut datasets)?;
    Ok(Listed { participant, datasets })
}

fn participant(reader: Reader<'_>) -> Result<ParticipantId, MessageError> {
    match reader.name("participantId") {
        Some(name) => name.parse().map_err(|error| invalid("participantId", error)),
        None => reader.id("participantId"),
    }
}

/// The datasets of a catalog and of those in it. The depth is bounded by that of the JSON text.
fn collect(catalog: Reader<'_>, whose: &ParticipantId, datasets: &mut Vec<ListedDataset>) -> Result<(), MessageError> {
    for dataset in catalog.one_or_many("dataset") {
        datasets.push(read_dataset(dataset)?);
    }
    for nested in catalog.one_or_many("catalog") {
        let nested = Reader::new(nested)?;
        if nested.name("participantId").is_none_or(|named| named == whose.as_str()) {
            collect(nested, whose, datasets)?;
        }
    }
    Ok(())
}

fn read_dataset(value: &Value) -> Result<ListedDataset, MessageError> {
    let reader = Reader::new(value)?;
    let mut formats: Vec<String> = reader
        .one_or_many("distribution")
        .iter()
        .filter_map(|distribution| Some(Reader::new(distribution).ok()?.name("format")?.to_owned()))
        .collect();
    let mut known = HashSet::new();
    formats.retain(|format| known.insert(format.clone()));
    let offers = reader.one_or_many("hasPolicy").to_vec();
    for offer in &offers {
        super::message::offer_id(offer)?;
    }
    Ok(ListedDataset {
        id: reader.id("@id")?,
        title: reader.optional_text("title").ok().flatten().map(str::to_owned),
        offers,
        formats,
    })
}

impl ListedDataset {
    /// The offer with this id.
    pub fn offer(&self, id: &OfferId) -> Option<&Value> {
        self.offers
            .iter()
            .find(|offer| offer.get("@id").and_then(Value::as_str) == Some(id.as_str()))
    }

    /// Whether it is offered in a format that we know.
    pub fn is_transferable(&self) -> bool {
        self.formats.iter().any(|format| FORMATS.contains(&format.as_str()))
    }
}

#[cfg(test)]
mod tests;
