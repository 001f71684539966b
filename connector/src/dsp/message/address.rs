//! Data addresses: where data can be fetched or is to be pushed to, in the protocol's words and in EDC's.

use super::{MessageError, Reader, bounded, invalid, parse_url};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

/// Where data can be fetched (DSP 2025-1 §9.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataAddress {
    /// An IRI or name of the transport.
    pub endpoint_type: String,
    /// The URL.
    pub endpoint: Option<Url>,
    /// The bearer token, if there is one.
    pub authorization: Option<String>,
}

/// The transport of our own data endpoint.
pub const ENDPOINT_TYPE_HTTP: &str = "https://w3id.org/idsa/v4.1/HTTP";
/// The transport of a destination to push to, by the name that EDC gives it.
pub const ENDPOINT_TYPE_HTTP_DATA: &str = "HttpData";

/// The namespace of the property names that EDC looks for; it drops the member `endpoint`.
const EDC: &str = "https://w3id.org/edc/v0.0.1/ns/";

impl DataAddress {
    /// Reads an address; the URL may stand in `endpoint` or, as EDC writes it, in a property of that name, or in `baseUrl` of a push.
    pub fn read(value: &Value) -> Result<Self, MessageError> {
        let reader = Reader::new(value).map_err(|_| invalid("dataAddress", "is not an object"))?;
        let property = |wanted: &str| {
            let mut properties = reader.one_or_many("endpointProperties").iter();
            properties.find_map(|property| {
                // Plain, with a prefix (`edc:endpoint`), or as a whole IRI.
                let name = property.get("name")?.as_str()?.rsplit(['/', '#', ':']).next()?;
                // EDC writes an object as the value of what we do not use; such a property is passed over.
                property.get("value")?.as_str().filter(|_| name == wanted)
            })
        };
        let endpoint = reader
            .optional_text("endpoint")?
            .or_else(|| property("endpoint"))
            .or_else(|| property("baseUrl"));
        Ok(Self {
            endpoint_type: bounded("endpointType", reader.text("endpointType")?)?,
            endpoint: endpoint.map(|text| parse_url("endpoint", text)).transpose()?,
            authorization: property("authorization")
                .or_else(|| property("authCode"))
                .map(|token| bounded("authorization", token))
                .transpose()?,
        })
    }

    /// The address as the schema wants it; empty arrays are left out. What the protocol names plainly stands again under EDC's names.
    pub fn write(&self) -> Value {
        let mut body = Map::new();
        body.insert("@type".into(), "DataAddress".into());
        body.insert("endpointType".into(), self.endpoint_type.as_str().into());
        let property = |name: &str, value: &str| json!({"@type": "EndpointProperty", "name": name, "value": value});
        let for_edc = |name: &str, value: &str| property(&format!("{EDC}{name}"), value);
        let is_destination = self.endpoint_type == ENDPOINT_TYPE_HTTP_DATA;
        let mut properties = Vec::new();
        if let Some(endpoint) = &self.endpoint {
            body.insert("endpoint".into(), endpoint.as_str().into());
            let name = if is_destination { "baseUrl" } else { "endpoint" };
            properties.push(for_edc(name, endpoint.as_str()));
        }
        if let Some(token) = &self.authorization {
            properties.push(property("authorization", token));
            properties.push(property("authType", "bearer"));
            if is_destination {
                properties.push(for_edc("authKey", "Authorization"));
                properties.push(for_edc("authCode", token));
            } else {
                properties.push(for_edc("authorization", token));
                properties.push(for_edc("authType", "bearer"));
            }
        }
        if !properties.is_empty() {
            body.insert("endpointProperties".into(), properties.into());
        }
        Value::Object(body)
    }
}
