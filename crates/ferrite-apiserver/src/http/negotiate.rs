//! What form of answer a client asks for.

use crate::status::ApiError;

/// Text form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
    /// Only for clients that take nothing else.
    Protobuf,
}

/// What of an object is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Object,
    Table(&'static str),
    Metadata(&'static str),
}

/// One accepted form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accept {
    pub(crate) format: Format,
    pub(crate) view: View,
}

/// One clause of an Accept header: type, parameters, weight in thousandths.
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    weight: u32,
}

fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = header
        .split(',')
        .filter_map(|part| {
            let mut pieces = part.split(';').map(str::trim);
            let media = pieces.next().filter(|m| !m.is_empty())?;
            let parameters: Vec<(&str, &str)> = pieces.filter_map(|p| p.split_once('=')).collect();
            let weight = parameters.iter().find(|(k, _)| *k == "q").and_then(|(_, q)| q.parse::<f32>().ok());
            Some(Clause {
                media,
                parameters,
                weight: weight.map_or(1000, |q| (q.clamp(0.0, 1.0) * 1000.0) as u32),
            })
        })
        .collect();
    clauses.sort_by_key(|c| std::cmp::Reverse(c.weight));
    clauses
}

/// The refusal that lists what there is; lists and single objects differ by the watch forms.
fn not_acceptable(streams: bool) -> ApiError {
    let base = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf";
    let message = if streams {
        format!("{base}, application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch")
    } else {
        base.to_owned()
    };
    ApiError::new(406, "NotAcceptable", message, Some(serde_json::json!({})))
}

/// Chooses the form of an answer about objects; `streams` tells that the path can be watched.
pub(crate) fn objects(header: Option<&str>, streams: bool) -> Result<Accept, ApiError> {
    let header = header.unwrap_or_default();
    let plain = Accept { format: Format::Json, view: View::Object };
    let clauses = clauses(header);
    if clauses.is_empty() {
        return Ok(plain);
    }
    let mut refused_view = false;
    let other = clauses.iter().any(|c| matches!(c.media, "application/json" | "*/*" | "application/yaml"));
    for clause in &clauses {
        let format = match clause.media {
            "application/vnd.kubernetes.protobuf" if !other => Format::Protobuf,
            "application/json" | "*/*" => Format::Json,
            "application/yaml" => Format::Yaml,
            _ => continue,
        };
        match view(&clause.parameters) {
            Some(view) => return Ok(Accept { format, view }),
            None => refused_view = true,
        }
    }
    if refused_view {
        let message = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf";
        return Err(ApiError::new(406, "NotAcceptable", message, None));
    }
    Err(not_acceptable(streams))
}

fn view(parameters: &[(&str, &str)]) -> Option<View> {
    let get = |key: &str| parameters.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
    let Some(kind) = get("as") else { return Some(View::Object) };
    if get("g") != Some("meta.k8s.io") {
        return None;
    }
    let version = match get("v") {
        Some("v1") => "meta.k8s.io/v1",
        Some("v1beta1") => "meta.k8s.io/v1beta1",
        Some(_) | None => return None,
    };
    match kind {
        "Table" => Some(View::Table(version)),
        "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(View::Metadata(version)),
        _ => None,
    }
}

/// Which aggregated discovery version an Accept header prefers, if any.
pub(crate) fn aggregated(header: Option<&str>) -> Option<&'static str> {
    for clause in clauses(header.unwrap_or_default()) {
        let get = |key: &str| clause.parameters.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        match (get("as"), get("g"), get("v")) {
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) => return Some("v2"),
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2beta1")) => {
                return Some("v2beta1");
            }
            (None, _, _) if clause.media == "application/json" || clause.media == "*/*" => return None,
            _ => {}
        }
    }
    None
}
