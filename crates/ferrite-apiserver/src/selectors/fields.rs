//! `metadata.name=x,spec.nodeName!=y`

use serde_json::Value;

use super::text_of;
use crate::resources::Resource;
use crate::status::ApiError;
use crate::store::Stored;

/// Requirements on fields, all of which must hold.
#[derive(Debug, Default, Clone)]
pub(crate) struct FieldSelector(Vec<Requirement>);

#[derive(Debug, Clone)]
struct Requirement {
    path: String,
    equal: bool,
    value: String,
}

fn supported(resource: &Resource) -> Vec<String> {
    let builtin: &[&str] = match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ("", "secrets") => &["type"],
        ("", "namespaces") => &["status.phase"],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "replicationcontrollers") | ("apps", "replicasets") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        ("certificates.k8s.io", _) => &["spec.signerName"],
        ("" | "events.k8s.io", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        _ => &[],
    };
    let mut all: Vec<String> = builtin.iter().map(|s| (*s).to_owned()).collect();
    all.push("metadata.name".into());
    all.push("metadata.namespace".into());
    if let Some(custom) = &resource.custom {
        all.extend(custom.selectable.iter().map(|p| p.trim_start_matches('.').to_owned()));
    }
    all
}

impl FieldSelector {
    pub(crate) fn parse(text: &str, resource: &Resource) -> Result<Self, ApiError> {
        let supported = supported(resource);
        let mut requirements = Vec::new();
        for term in split(text).into_iter().filter(|t| !t.is_empty()) {
            let Some((path, equal, value)) = operator(&term) else {
                return Err(ApiError::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{term}'"
                )));
            };
            if !supported.contains(&path) {
                // Kinds with selectable fields of their own word it in an older way.
                let only_metadata = resource.custom.is_none() && supported.len() == 2;
                return Err(ApiError::bad_request(if only_metadata {
                    format!(
                        "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                    )
                } else {
                    format!("field label not supported: {path}")
                }));
            }
            requirements.push(Requirement { path, equal, value: unescape(&value) });
        }
        Ok(Self(requirements))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches(&self, object: &Stored) -> bool {
        let mut parsed: Option<Value> = None;
        self.0.iter().all(|r| {
            let actual = match r.path.as_str() {
                "metadata.name" => object.name.to_string(),
                "metadata.namespace" => object.namespace.to_string(),
                path => read(parsed.get_or_insert_with(|| object.value()), path),
            };
            (actual == r.value) == r.equal
        })
    }
}

fn read(value: &Value, path: &str) -> String {
    let found = path.split('.').fold(value, |v, key| &v[key]);
    match path {
        "spec.hostNetwork" | "spec.unschedulable" => found.as_bool().unwrap_or_default().to_string(),
        "status.replicas" => found.as_i64().unwrap_or_default().to_string(),
        "status.successful" => value["status"]["succeeded"].as_i64().unwrap_or_default().to_string(),
        "source" => {
            let component = text_of(&value["source"]["component"]);
            if component.is_empty() { text_of(&value["reportingComponent"]) } else { component }
        }
        _ => text_of(found),
    }
}

/// Splits at commas that no backslash protects.
fn split(text: &str) -> Vec<String> {
    let (mut terms, mut current, mut escaped) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        if c == ',' && !escaped {
            terms.push(std::mem::take(&mut current));
            continue;
        }
        escaped = c == '\\' && !escaped;
        current.push(c);
    }
    terms.push(current);
    terms
}

fn operator(term: &str) -> Option<(String, bool, String)> {
    let (path, rest) = term.split_at(term.find(['=', '!'])?);
    let (equal, value) = if let Some(value) = rest.strip_prefix("!=") {
        (false, value)
    } else {
        (true, rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?)
    };
    Some((path.to_owned(), equal, value.to_owned()))
}

fn unescape(text: &str) -> String {
    let (mut out, mut escaped) = (String::new(), false);
    for c in text.chars() {
        if c == '\\' && !escaped {
            escaped = true;
            continue;
        }
        escaped = false;
        out.push(c);
    }
    out
}
