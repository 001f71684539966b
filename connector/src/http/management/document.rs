//! The OpenAPI document: what the routes say of themselves, and what holds for all of them.

use super::reply::Refusal;
use http::StatusCode;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ComponentsBuilder, ContentBuilder, HeaderBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Ref,
        RefOr, Required, Response, ResponseBuilder, Schema, SecurityRequirement, Type,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// The name of the token among the security schemes.
const TOKEN: &str = "token";

/// What every operation may answer.
const ALWAYS: [StatusCode; 4] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// What every operation that changes something may answer.
const CHANGES: [StatusCode; 9] = [
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::CONFLICT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::BAD_GATEWAY,
];

/// The document before the routes are added to it.
pub(super) fn begin() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Management API of the DASES connector")
        .description(Some(
            "What operators and their programs do with a running daemon: over its Unix socket, whose file permissions decide who may, or \
             over a loopback port with a token. Bodies are JSON; a POST without a body counts as one with `{}`.",
        ))
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(utoipa::openapi::License::new(env!("CARGO_PKG_LICENSE"))))
        .build();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The management token; not asked for on the Unix socket."))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme(TOKEN, SecurityScheme::Http(scheme))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], &str>(TOKEN, [])]))
        .build()
}

/// Adds to each operation what is true of all: the variable segments of its path, the refusals, and the key that makes it safe to repeat.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let segments: Vec<&str> = variables(path).collect();
        for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
            describe_path(operation, &segments);
            describe_refusals(operation, &ALWAYS);
            operation.parameters.get_or_insert_default().push(RefOr::T(language()));
            if !segments.is_empty() {
                describe_refusals(operation, &[StatusCode::NOT_FOUND]);
            }
        }
        for change in [&mut item.post, &mut item.delete].into_iter().flatten() {
            describe_refusals(change, &CHANGES);
            change.parameters.get_or_insert_default().push(RefOr::T(key()));
            for answer in change.responses.responses.values_mut() {
                if let RefOr::T(answer) = answer {
                    let name = super::idempotency::REPLAYED.to_owned();
                    answer.headers.insert(name, RefOr::T(replayed()));
                }
            }
        }
    }
    document.components.get_or_insert_default().schemas.extend(schemas());
    document
}

/// The schemas of what every operation may answer.
fn schemas() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = Vec::new();
    Refusal::schemas(&mut schemas);
    schemas.push((Refusal::name().into_owned(), Refusal::schema()));
    schemas
}

fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn describe_path(operation: &mut Operation, segments: &[&str]) {
    let parameters = operation.parameters.get_or_insert_default();
    for segment in segments {
        let named = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(known) if known.name == *segment);
        if parameters.iter().any(named) {
            continue;
        }
        let parameter = ParameterBuilder::new()
            .name(*segment)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(text().min_length(Some(1)).build()));
        parameters.push(RefOr::T(parameter.build()));
    }
}

fn describe_refusals(operation: &mut Operation, statuses: &[StatusCode]) {
    for status in statuses {
        operation
            .responses
            .responses
            .entry(status.as_str().to_owned())
            .or_insert_with(|| RefOr::T(refusal(status.canonical_reason().unwrap_or("Refused"))));
    }
}

/// A refusal that a handler documents by itself has the same form.
fn refusal(description: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(
            "application/json",
            ContentBuilder::new()
                .schema(Some(Ref::from_schema_name(Refusal::name())))
                .build(),
        )
        .build()
}

fn language() -> Parameter {
    ParameterBuilder::new()
        .name("Accept-Language")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "In which language people are told why a policy refuses something, where `Content-Language` says which it is, and what \
             the author of an offer may not have meant: `fr` or `en`; English where neither is asked for.",
        ))
        .schema(Some(text().build()))
        .build()
}

fn key() -> Parameter {
    ParameterBuilder::new()
        .name(super::idempotency::KEY)
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Makes the request safe to repeat: for 24 hours the same key with the same request gets the same answer and changes nothing. \
             With another request it is refused (422), while the first is running too (409).",
        ))
        .schema(Some(
            text()
                .min_length(Some(1))
                .max_length(Some(super::idempotency::LONGEST_KEY))
                .pattern(Some("^[!-~]+$"))
                .build(),
        ))
        .build()
}

fn replayed() -> utoipa::openapi::Header {
    HeaderBuilder::new()
        .description(Some("`true` when this is the answer that was given before"))
        .schema(Some(text().enum_values(Some(["true"])).build()))
        .build()
}

#[cfg(test)]
mod tests {
    use super::{super::table, *};
    use std::collections::BTreeMap;

    /// The first name that two different schemas have. In the document one of them would silently take the place of the other.
    fn shared(all: impl IntoIterator<Item = (String, RefOr<Schema>)>) -> Option<String> {
        let mut known = BTreeMap::new();
        all.into_iter().find_map(|(name, schema)| {
            let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
            (*first != schema).then_some(name)
        })
    }

    #[test]
    fn no_two_types_have_one_name_in_the_document() {
        let routes = table().into_iter().flat_map(|(schemas, ..)| schemas);
        let all: Vec<(String, RefOr<Schema>)> = routes.chain(schemas()).collect();
        assert!(
            all.iter().any(|(name, _)| name == "DeclaredBasis"),
            "nothing was collected"
        );
        assert_eq!(shared(all), None);
    }

    #[test]
    fn a_name_that_two_types_share_is_found() {
        let named = |schema| ("Stage".to_owned(), schema);
        let (text, number) = (String::schema(), u32::schema());
        assert_eq!(
            shared([named(text.clone()), named(text.clone())]),
            None,
            "the same twice"
        );
        assert_eq!(shared([named(text), named(number)]), Some("Stage".into()));
    }
}
