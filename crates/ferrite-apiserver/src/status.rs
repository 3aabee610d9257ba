//! Failures as the `Status` bodies that clients of a Kubernetes API read.

use serde_json::{Map, Value, json};

/// One entry of an Invalid status: which field is wrong and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) field: String,
}

impl Cause {
    /// `Required value[: detail]`.
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Self {
        let message =
            if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        Self { reason: "FieldValueRequired", message, field: field.into() }
    }

    /// `Invalid value: <json>: detail`.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {}: {detail}", go_value(value)),
            field: field.into(),
        }
    }

    /// `Unsupported value: <json>: supported values: "a", "b"`.
    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let list = supported.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", ");
        Self {
            reason: "FieldValueNotSupported",
            message: format!("Unsupported value: {}: supported values: {list}", go_value(value)),
            field: field.into(),
        }
    }

    /// `Forbidden: detail`.
    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self { reason: "FieldValueForbidden", message: format!("Forbidden: {detail}"), field: field.into() }
    }

    /// `Duplicate value: <json>`.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            message: format!("Duplicate value: {}", go_value(value)),
            field: field.into(),
        }
    }

    /// `Not found: <json>`.
    pub(crate) fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueNotFound",
            message: format!("Not found: {}", go_value(value)),
            field: field.into(),
        }
    }

    /// `Too long: may not be more than n bytes`.
    pub(crate) fn too_long(field: impl Into<String>, limit: usize) -> Self {
        Self {
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {limit} bytes"),
            field: field.into(),
        }
    }
}

/// A value as Kubernetes' field errors print it: strings quoted, the rest as JSON.
pub(crate) fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

/// A request that was not answered with what it asked for.
#[derive(Debug, Clone)]
pub(crate) struct ApiError(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
    retry_after: Option<u32>,
}

/// What an error speaks about: a resource and, mostly, one object of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) name: &'a str,
}

impl Subject<'_> {
    /// `deployments.apps`, or `pods` for the core group.
    pub(crate) fn qualified(&self) -> String {
        qualified(self.resource, self.group)
    }

    fn details(&self) -> Value {
        let mut details = Map::new();
        if !self.name.is_empty() {
            details.insert("name".into(), self.name.into());
        }
        if !self.group.is_empty() {
            details.insert("group".into(), self.group.into());
        }
        if !self.resource.is_empty() {
            details.insert("kind".into(), self.resource.into());
        }
        Value::Object(details)
    }
}

/// `name.group`, or the bare name for the core group.
pub(crate) fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

impl ApiError {
    /// Any failure; `details` is left out of the body when `None`.
    pub(crate) fn new(
        code: u16,
        reason: &'static str,
        message: impl Into<String>,
        details: Option<Value>,
    ) -> Self {
        Self(Box::new(Inner { code, reason, message: message.into(), details, retry_after: None }))
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message, None)
    }

    pub(crate) fn not_found(subject: Subject<'_>) -> Self {
        Self::new(
            404,
            "NotFound",
            format!("{} {:?} not found", subject.qualified(), subject.name),
            Some(subject.details()),
        )
    }

    /// The path names nothing that is served.
    pub(crate) fn no_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource", Some(json!({})))
    }

    pub(crate) fn already_exists(subject: Subject<'_>) -> Self {
        let message = format!("{} {:?} already exists", subject.qualified(), subject.name);
        Self::new(409, "AlreadyExists", message, Some(subject.details()))
    }

    pub(crate) fn conflict(subject: Subject<'_>, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} {:?}: {why}", subject.qualified(), subject.name);
        Self::new(409, "Conflict", message, Some(subject.details()))
    }

    /// Somebody else wrote the object in between.
    pub(crate) fn modified(subject: Subject<'_>) -> Self {
        Self::conflict(
            subject,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(crate) fn forbidden(subject: Subject<'_>, why: &str) -> Self {
        let message = if subject.name.is_empty() {
            format!("{} is forbidden: {why}", subject.qualified())
        } else {
            format!("{} {:?} is forbidden: {why}", subject.qualified(), subject.name)
        };
        Self::new(403, "Forbidden", message, Some(subject.details()))
    }

    /// `kind` takes the place of the resource: Kubernetes names the kind here.
    pub(crate) fn invalid(subject: Subject<'_>, causes: &[Cause]) -> Self {
        let lines: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let mut seen = Vec::new();
        for line in lines {
            if !seen.contains(&line) {
                seen.push(line);
            }
        }
        let text = if seen.len() == 1 { seen.concat() } else { format!("[{}]", seen.join(", ")) };
        let mut details = subject.details();
        details["causes"] = causes
            .iter()
            .map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field}))
            .collect();
        let message = format!("{} {:?} is invalid: {text}", subject.qualified(), subject.name);
        Self::new(422, "Invalid", message, Some(details))
    }

    pub(crate) fn method_not_supported(group: &str, resource: &str, action: &str) -> Self {
        let subject = Subject { group, resource, name: "" };
        let message = format!("{action} is not supported on resources of kind {:?}", subject.qualified());
        Self::new(405, "MethodNotAllowed", message, Some(subject.details()))
    }

    /// The verb has no meaning for this path at all.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
            Some(json!({})),
        )
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message, None)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized", None)
    }

    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        let message = format!("Internal error occurred: {message}");
        Self::new(500, "InternalError", message.clone(), Some(json!({"causes": [{"message": message}]})))
    }

    pub(crate) fn too_large() -> Self {
        Self::new(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728", None)
    }

    pub(crate) fn too_many_requests(seconds: u32) -> Self {
        let details = json!({"retryAfterSeconds": seconds});
        let message = "Too many requests, please try again later.";
        let mut error = Self::new(429, "TooManyRequests", message, Some(details));
        error.0.retry_after = Some(seconds);
        error
    }

    pub(crate) fn with_retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    pub(crate) fn with_details(mut self, details: Option<Value>) -> Self {
        self.0.details = details;
        self
    }

    pub(crate) fn code(&self) -> u16 {
        self.0.code
    }

    pub(crate) fn reason(&self) -> &'static str {
        self.0.reason
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn retry_after(&self) -> Option<u32> {
        self.0.retry_after
    }

    pub(crate) fn body(&self) -> Value {
        let inner = &self.0;
        let mut body = Map::new();
        body.insert("kind".into(), "Status".into());
        body.insert("apiVersion".into(), "v1".into());
        body.insert("metadata".into(), json!({}));
        body.insert("status".into(), "Failure".into());
        body.insert("message".into(), inner.message.as_str().into());
        if !inner.reason.is_empty() {
            body.insert("reason".into(), inner.reason.into());
        }
        if let Some(details) = &inner.details {
            body.insert("details".into(), details.clone());
        }
        body.insert("code".into(), inner.code.into());
        Value::Object(body)
    }
}

/// The body of a deletion that is done.
pub(crate) fn deleted(subject: Subject<'_>, uid: &str) -> Value {
    let mut details = subject.details();
    details["uid"] = uid.into();
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
