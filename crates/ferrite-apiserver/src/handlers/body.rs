//! The object in a request's body.

use serde_json::Value;

use super::Scope;
use super::options::Validation;
use crate::json;
use crate::resources::{Resource, split_group_version};
use crate::schema;
use crate::status::ApiError;

/// What a body held.
pub(crate) struct Decoded {
    pub(crate) value: Value,
    /// Complaints about doubled keys.
    pub(crate) doubled: Vec<String>,
}

/// Reads the body as JSON or YAML, whichever it says it is.
pub(crate) fn read(scope: &Scope<'_>) -> Result<Decoded, ApiError> {
    let header = scope.call.header("content-type").unwrap_or_default();
    let media = header.split(';').next().unwrap_or_default().trim();
    match media {
        "" | "application/json" => from_json(scope),
        "application/yaml" => from_yaml(scope),
        "application/vnd.kubernetes.protobuf" if scope.resource.custom.is_none() => {
            let value = crate::protobuf::decode(&scope.call.body).ok_or_else(|| unsupported(scope))?;
            Ok(Decoded { value, doubled: Vec::new() })
        }
        _ => Err(unsupported(scope)),
    }
}

fn unsupported(scope: &Scope<'_>) -> ApiError {
    let more = if scope.resource.custom.is_some() { "" } else { ", application/vnd.kubernetes.protobuf" };
    let message = format!(
        "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml{more}"
    );
    ApiError::new(415, "UnsupportedMediaType", message, None)
}

fn unrecognized(scope: &Scope<'_>, why: &str, shown: &str) -> ApiError {
    let kind = &scope.resource.kind;
    ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why} ({shown})"
    ))
}

/// The first bytes of a body, as the real server quotes them.
fn excerpt(bytes: &[u8], hex: bool) -> String {
    let head = bytes.get(..30).unwrap_or(bytes);
    let text: String = if hex {
        head.iter().map(|b| format!("{b:02x}")).collect()
    } else {
        String::from_utf8_lossy(head).into_owned()
    };
    if bytes.len() > 30 { format!("{text} ...") } else { text }
}

fn from_json(scope: &Scope<'_>) -> Result<Decoded, ApiError> {
    let body = &scope.call.body;
    // Only what looks like JSON is quoted as text.
    let hex = body.first() != Some(&b'{');
    let (value, doubled) = json::parse(body).map_err(|why| {
        unrecognized(
            scope,
            &format!("couldn't get version/kind; json parse error: {why}"),
            &excerpt(body, hex),
        )
    })?;
    let doubled = doubled.iter().map(|path| format!("duplicate field {path:?}")).collect();
    typed(scope, &value, &excerpt(body, hex))?;
    Ok(Decoded { value, doubled })
}

fn from_yaml(scope: &Scope<'_>) -> Result<Decoded, ApiError> {
    let body = &scope.call.body;
    let shown = excerpt(body, true);
    let text = std::str::from_utf8(body)
        .map_err(|_| unrecognized(scope, "yaml: invalid leading UTF-8 octet", &shown))?;
    let (value, doubled) = crate::yaml::parse(text).map_err(|why| unrecognized(scope, &why, &shown))?;
    typed(scope, &value, &shown)?;
    Ok(Decoded { value, doubled })
}

/// Refuses what has no readable `apiVersion` and `kind`.
fn typed(scope: &Scope<'_>, value: &Value, shown: &str) -> Result<(), ApiError> {
    let fail = |why: &str| Err(unrecognized(scope, why, shown));
    let Value::Object(_) = value else {
        let found = go_word(value);
        let target = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
        return fail(&format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type {target}"
        ));
    };
    for key in ["apiVersion", "kind"] {
        if !matches!(value[key], Value::Null | Value::String(_)) {
            let found = go_word(&value[key]);
            return fail(&format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go struct field .{key} of type string"
            ));
        }
    }
    let version = json::text(value, "apiVersion");
    if version.matches('/').count() > 1 {
        return fail(&format!("unexpected GroupVersion string: {version}"));
    }
    Ok(())
}

fn go_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// `ConfigMap in version "v1" cannot be handled as a ConfigMap: ...`
pub(crate) fn unhandled(resource: &Resource, value: &Value, why: &str) -> ApiError {
    let kind = Some(json::text(value, "kind")).filter(|k| !k.is_empty()).unwrap_or(&resource.kind);
    let (_, version) = split_group_version(json::text(value, "apiVersion"));
    let version = if version.is_empty() { &resource.version } else { version };
    ApiError::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {}: {why}",
        resource.kind
    ))
}

const SCHEME: &str = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30";

/// Refuses an object of another kind or version than the resource's.
pub(crate) fn check_kind(scope: &Scope<'_>, value: &mut Value) -> Result<(), ApiError> {
    let resource = &scope.resource;
    let (kind, version) = (json::text(value, "kind").to_owned(), json::text(value, "apiVersion").to_owned());
    let own = resource.group_version();
    if (kind.is_empty() || kind == resource.kind) && (version.is_empty() || version == own) {
        value["apiVersion"] = own.into();
        value["kind"] = resource.kind.as_str().into();
        return Ok(());
    }
    let served = scope.server.registry.served();
    let (group, v) = split_group_version(&version);
    if resource.custom.is_some() {
        if version == own || version.is_empty() {
            return Err(ApiError::bad_request(format!(
                "the kind in the data ({kind}) does not match the expected kind ({})",
                resource.kind
            )));
        }
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({own})"
        )));
    }
    if group == resource.group && (kind.is_empty() || kind == resource.kind) && v != resource.version {
        let old = matches!((group, v), ("apps", "v1beta1" | "v1beta2"));
        if old || served.by_kind(group, v, &resource.kind).is_some() {
            return Err(ApiError::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version ({own})"
            )));
        }
    }
    let known = served.by_kind(group, v, &kind).is_some_and(|r| r.custom.is_none());
    let why = if known {
        let mine = if resource.group.is_empty() {
            "core"
        } else {
            resource.group.split('.').next().unwrap_or_default()
        };
        format!("converting ({v}.{kind}) to ({mine}.{}): unknown conversion", resource.kind)
    } else {
        format!("no kind {kind:?} is registered for version {version:?} in scheme {SCHEME:?}")
    };
    Err(unhandled(resource, value, &why))
}

/// The object of a create or replace: of the right kind, with fields that the schema knows.
pub(crate) fn object(scope: &Scope<'_>, validation: Validation) -> Result<Value, ApiError> {
    let Decoded { mut value, doubled } = read(scope)?;
    check_kind(scope, &mut value)?;
    if let Some(why) = schema::decode_error(&scope.resource, &value) {
        return Err(unhandled(&scope.resource, &value, &why));
    }
    let mut complaints = doubled;
    complaints.extend(schema::unknown_fields(&scope.resource, &value));
    complain(scope, validation, &complaints, |why| unhandled(&scope.resource, &value, why))?;
    Ok(value)
}

/// Refuses, warns about or ignores complaints, as the client wants it.
pub(crate) fn complain(
    scope: &Scope<'_>,
    validation: Validation,
    complaints: &[String],
    refuse: impl FnOnce(&str) -> ApiError,
) -> Result<(), ApiError> {
    match validation {
        _ if complaints.is_empty() => Ok(()),
        Validation::Ignore => Ok(()),
        Validation::Warn => {
            complaints.iter().for_each(|c| scope.call.warn(c.as_str()));
            Ok(())
        }
        Validation::Strict => {
            // Those of YAML are one complaint.
            let (lines, others): (Vec<&String>, Vec<&String>) =
                complaints.iter().partition(|c| c.starts_with("line "));
            let lines: Vec<&str> = lines.iter().map(|l| l.as_str()).collect();
            let yaml =
                (!lines.is_empty()).then(|| format!("yaml: unmarshal errors:\n  {}", lines.join("\n  ")));
            let all: Vec<String> = yaml.into_iter().chain(others.into_iter().cloned()).collect();
            Err(refuse(&format!("strict decoding error: {}", all.join(", "))))
        }
    }
}
