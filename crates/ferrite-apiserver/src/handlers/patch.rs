//! PATCH: four languages, one way to write.

use http::Response;
use serde_json::Value;

use super::options::{Options, Validation};
use super::perform::{Owners, Writer};
use super::{Scope, authorize_as, body, read, write};
use crate::http::Body;
use crate::json::{self, text};
use crate::merge::{self, Applied, Writing};
use crate::schema;
use crate::status::{ApiError, Cause, Subject};

/// The language of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Json,
    Merge,
    Strategic,
    Apply,
}

fn language(scope: &Scope<'_>) -> Result<Language, ApiError> {
    let header = scope.call.header("content-type").unwrap_or_default();
    let custom = scope.resource.custom.is_some();
    match header.split(';').next().unwrap_or_default().trim() {
        "application/json-patch+json" => Ok(Language::Json),
        "application/merge-patch+json" => Ok(Language::Merge),
        "application/strategic-merge-patch+json" if !custom => Ok(Language::Strategic),
        "application/apply-patch+yaml" => Ok(Language::Apply),
        "application/apply-patch+cbor" => Err(ApiError::new(
            415,
            "UnsupportedMediaType",
            "415: Unsupported Media Type",
            Some(serde_json::json!({})),
        )),
        _ => {
            let strategic = if custom { "" } else { ", application/strategic-merge-patch+json" };
            let message = format!(
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json{strategic}, application/apply-patch+yaml"
            );
            Err(ApiError::new(415, "UnsupportedMediaType", message, None))
        }
    }
}

/// The refusal of a patch whose result is no object of the kind.
fn invalid_patch(shown: &str, why: &str) -> ApiError {
    let cause = Cause::invalid("patch", &Value::from(shown), why);
    ApiError::invalid(Subject { group: "", resource: "", name: "" }, &[cause])
}

pub(crate) async fn patch(scope: &Scope<'_>, sub: Option<&str>) -> Result<Response<Body>, ApiError> {
    let accept = read::accept(scope, false)?;
    let language = language(scope)?;
    let options = Options::of(scope.call, "PatchOptions", Some(language == Language::Apply))?;
    let outcome = if language == Language::Apply {
        apply(scope, options, sub)?
    } else {
        let patch = Patch::read(scope, language)?;
        let validation = options.validation;
        let writer = Writer::of(scope, options, sub);
        writer.update(|live| {
            let value = patch.result(scope, live, validation)?;
            Ok((value, Owners::Changed))
        })?
    };
    write::answer(scope, accept, outcome).await
}

/// A patch that was read once and may be applied several times.
struct Patch {
    language: Language,
    value: Value,
    doubled: Vec<String>,
}

impl Patch {
    fn read(scope: &Scope<'_>, language: Language) -> Result<Self, ApiError> {
        let strategic = language == Language::Strategic;
        let prefix = if strategic { "" } else { "error decoding patch: " };
        let (value, doubled) =
            json::parse(&scope.call.body).map_err(|why| ApiError::bad_request(format!("{prefix}{why}")))?;
        let found = match &value {
            Value::Array(_) => "array",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Bool(_) => "bool",
            Value::Object(_) => "object",
            Value::Null => "null",
        };
        let fits = match language {
            Language::Json => value.is_array() || value.is_null(),
            Language::Merge | Language::Strategic | Language::Apply => {
                value.is_object() || value.is_null() && strategic
            }
        };
        if !fits {
            if language == Language::Merge && value.is_null() {
                return Err(ApiError::bad_request("Invalid JSON Patch"));
            }
            let wanted =
                if language == Language::Json { "[]handlers.jsonPatchOp" } else { "map[string]interface {}" };
            return Err(ApiError::bad_request(format!(
                "{prefix}json: cannot unmarshal {found} into Go value of type {wanted}"
            )));
        }
        let doubled = if language == Language::Json { Vec::new() } else { doubled };
        Ok(Self { language, value, doubled })
    }

    fn result(&self, scope: &Scope<'_>, live: &Value, validation: Validation) -> Result<Value, ApiError> {
        let resource = &scope.resource;
        let mut new = match self.language {
            Language::Json => merge::json_patch(live, &self.value)?,
            Language::Merge => merge::merge_patch(live, &self.value),
            Language::Strategic | Language::Apply => merge::strategic(resource, live, &self.value)?,
        };
        let shown = || match self.language {
            Language::Strategic => go_map(&self.value),
            Language::Json | Language::Merge | Language::Apply => "<object>".to_owned(),
        };
        if !new.is_object() {
            return Err(invalid_patch(&shown(), "Object 'Kind' is missing"));
        }
        // The data are decoded before the kind is looked at.
        if let Some(why) = schema::base64_error(&new, &scope.server.registry.served()) {
            let why = if self.language == Language::Strategic { restored(&why) } else { why };
            return Err(invalid_patch(&shown(), &why));
        }
        body::check_kind(scope, &mut new).map_err(|e| {
            let why = e.message().split_once(": ").map_or(e.message(), |(_, why)| why).to_owned();
            invalid_patch(&shown(), &why)
        })?;
        if let Some(why) = schema::decode_error(resource, &new) {
            let why = if self.language == Language::Strategic { restored(&why) } else { why };
            return Err(invalid_patch(&shown(), &why));
        }
        let mut complaints: Vec<String> =
            self.doubled.iter().map(|p| format!("duplicate field {p:?}")).collect();
        complaints.extend(schema::unknown_fields(resource, &new));
        body::complain(scope, validation, &complaints, |why| invalid_patch(&shown(), why))?;
        Ok(new)
    }
}

/// A strategic patch is turned into the Go object by another decoder, which words mismatches of shape in its own way.
fn restored(why: &str) -> String {
    let into = |found: &str| why.starts_with(&format!("json: cannot unmarshal {found} into"));
    let list = why.contains(" of type []");
    match () {
        () if list && into("object") => "cannot restore slice from map".to_owned(),
        () if list && into("string") => "cannot restore slice from string".to_owned(),
        () if !list && into("array") => "cannot restore struct from: slice".to_owned(),
        () => why.to_owned(),
    }
}

/// A value as Go's `%v` prints a map.
fn go_map(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(k, _)| k.as_str());
            format!(
                "map[{}]",
                entries.iter().map(|(k, v)| format!("{k}:{}", go_map(v))).collect::<Vec<_>>().join(" ")
            )
        }
        Value::Array(items) => format!("[{}]", items.iter().map(go_map).collect::<Vec<_>>().join(" ")),
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn read_apply(scope: &Scope<'_>, validation: Validation) -> Result<Value, ApiError> {
    let text = std::str::from_utf8(&scope.call.body)
        .map_err(|_| ApiError::bad_request("error decoding YAML: invalid UTF-8"))?;
    let (mut value, doubled) = match json::parse(&scope.call.body) {
        Ok((value, doubled)) if doubled.is_empty() => (value, Vec::new()),
        Ok(_) | Err(_) => crate::yaml::parse(text)
            .map_err(|why| ApiError::bad_request(format!("error decoding YAML: {why}")))?,
    };
    if validation == Validation::Warn {
        doubled.iter().for_each(|line| scope.call.warn(line.as_str()));
    }
    if !doubled.is_empty() && validation == Validation::Strict {
        return Err(ApiError::bad_request(format!(
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {}",
            doubled.join("\n  ")
        )));
    }
    if !value.is_object() {
        return Err(ApiError::bad_request("error decoding YAML: the patch is no object"));
    }
    for key in ["apiVersion", "kind"] {
        if text_of(&value, key).is_empty() {
            let message = format!(
                "invalid object type: {}, Kind={}",
                text_of(&value, "apiVersion"),
                text_of(&value, "kind")
            );
            return Err(ApiError::bad_request(message));
        }
    }
    if text_of(&value, "apiVersion") != scope.resource.group_version()
        || text_of(&value, "kind") != scope.resource.kind
    {
        body::check_kind(scope, &mut value)?;
    }
    Ok(value)
}

/// `/v1` or `apps/v1`, as Go prints a group and version.
fn go_version(version: &str) -> String {
    if version.contains('/') { version.to_owned() } else { format!("/{version}") }
}

fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    text(value, key)
}

fn apply(
    scope: &Scope<'_>,
    options: Options,
    sub: Option<&str>,
) -> Result<super::perform::Outcome, ApiError> {
    let mut patch = read_apply(scope, options.validation)?;
    if patch["metadata"].get("managedFields").is_some_and(Value::is_null) {
        json::remove(&mut patch["metadata"], "managedFields");
    }
    let metadata = &patch["metadata"];
    if !json::is_empty(&metadata["managedFields"]) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let name = text(metadata, "name");
    if !name.is_empty() && name != scope.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            scope.name
        )));
    }
    let namespace = text(metadata, "namespace");
    if scope.resource.namespaced && !namespace.is_empty() && namespace != scope.namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let writer = Writer::of(scope, options, sub);
    let exists = scope.server.store.get(&scope.resource.key, scope.namespace, scope.name).is_some();
    if !exists {
        return create_applied(scope, &writer, &patch);
    }
    writer.update(|live| {
        let uid = text(&patch["metadata"], "uid");
        if !uid.is_empty() && uid != text(&live["metadata"], "uid") {
            let cause = Cause::invalid("metadata.uid", &uid.into(), "field is immutable");
            return Err(writer.invalid(scope.name, &[cause]));
        }
        Ok((merged(&writer, Some(live), &patch)?, Owners::Computed))
    })
}

fn create_applied(
    scope: &Scope<'_>,
    writer: &Writer<'_>,
    patch: &Value,
) -> Result<super::perform::Outcome, ApiError> {
    if writer.sub.is_some() {
        return Err(ApiError::not_found(scope.subject()));
    }
    authorize_as(scope, "create")?;
    let uid = text(&patch["metadata"], "uid");
    if !uid.is_empty() {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        );
        return Err(ApiError::conflict(scope.subject(), &why));
    }
    let mut object = merged(writer, None, patch)?;
    json::remove(&mut object["metadata"], "resourceVersion");
    object["metadata"]["name"] = scope.name.into();
    match writer.create(object, &Owners::Computed) {
        // Somebody created it meanwhile: apply to theirs.
        Err(error) if error.reason() == "AlreadyExists" => {
            writer.update(|live| Ok((merged(writer, Some(live), patch)?, Owners::Computed)))
        }
        result => result,
    }
}

fn merged(writer: &Writer<'_>, live: Option<&Value>, patch: &Value) -> Result<Value, ApiError> {
    let Applied { mut value } = merge::apply(&Writing::of(writer), live, patch)?;
    if !matches!(value.get("metadata"), None | Some(Value::Object(_))) {
        return Err(ApiError::bad_request("metadata is no object"));
    }
    if text(&value["metadata"], "name").is_empty() {
        value["metadata"]["name"] = writer.name.into();
    }
    if live.is_some() && text(&value["metadata"], "resourceVersion").is_empty() {
        value["metadata"]["resourceVersion"] =
            live.map(|l| l["metadata"]["resourceVersion"].clone()).unwrap_or_default();
    }
    if let Some(why) = schema::decode_error(writer.resource, &value) {
        let (namespace, name) = (text(&patch["metadata"], "namespace"), text(&patch["metadata"], "name"));
        let kind = format!("{}, Kind={}", go_version(&writer.resource.group_version()), writer.resource.kind);
        return Err(ApiError::new(
            500,
            "",
            format!(
                "failed to convert new object ({namespace}/{name}; {kind}) to proper version: unable to convert unstructured object to {kind}: error decoding from json: {why}"
            ),
            None,
        ));
    }
    Ok(value)
}
