//! What the API server answered, and how it is told.

use std::{error::Error as _, fmt};

use ferrite_resource::{ChangeSet, Entry, IdentityError, ObjectId, mask};
use serde_json::Value;

use crate::wait::WaitError;

/// Messages of an API server are cut after this many characters.
const MAX_MESSAGE: usize = 4096;
/// At most this many objects are told of in one error.
const MAX_OBJECTS: usize = 20;

/// A request that failed.
///
/// Displayed as the message of the API server, or as why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The message, at most 4096 characters.
    pub message: String,
    /// The machine-readable reason, e.g. `NotFound`; empty when there is none.
    pub reason: String,
    /// The HTTP status; 0 when there was no answer.
    pub code: u16,
    /// The answer is about an object of this name; otherwise it is about a path, e.g. one that is not served any more.
    pub about: Option<String>,
}

impl ApiError {
    pub(crate) fn new(reason: &str, code: u16, message: impl Into<String>) -> Self {
        Self { message: shortened(message.into()), reason: reason.to_owned(), code, about: None }
    }

    /// The kind is not served. The text is the one of apimachinery.
    pub(crate) fn no_match(entry: &Entry) -> Self {
        let message =
            format!("no matches for kind \"{}\" in version \"{}\"", entry.id.kind, entry.api_version());
        Self::new("", 0, message)
    }

    /// The kind is not served in this version.
    #[must_use]
    pub fn is_no_match(&self) -> bool {
        self.code == 0 && self.message.starts_with("no matches for kind ")
    }

    /// The object is not there, or its resource or namespace is not.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.reason == "NotFound" || self.code == 404
    }

    /// The path is not there: no object of it can be asked about. Its kind may be served elsewhere.
    #[must_use]
    pub fn is_path_not_found(&self) -> bool {
        self.is_not_found() && self.about.is_none()
    }

    /// The identity may not do it, or the server does not offer it.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self.code, 401 | 403 | 405)
    }

    /// Somebody else changed the object.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.reason == "Conflict" || self.code == 409
    }

    /// The resource version is too old to watch from.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.code == 410 || matches!(self.reason.as_str(), "Gone" | "Expired")
    }

    /// The server did answer, and refused: the write did not happen.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// The change is one that can only be made by creating the object anew.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        self.is_conflict()
            || self.reason == "Invalid"
            || self.code == 422
            || self.message.contains("is immutable")
            || self.message.contains("immutable field")
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let conflict = status.details.as_ref().is_some_and(|details| {
                    details.causes.iter().any(|cause| cause.reason == "FieldManagerConflict")
                });
                let reason = if conflict { "FieldManagerConflict" } else { status.reason.as_str() };
                let message = if status.message.is_empty() { reason } else { status.message.as_str() };
                let about = status.details.as_ref().map(|details| details.name.clone());
                Self {
                    about: about.filter(|name| !name.is_empty()),
                    ..Self::new(reason, status.code, message)
                }
            }
            other => {
                // kube says the kind of failure before the failure; the chain of causes says it better.
                let mut parts: Vec<String> = Vec::new();
                let mut cause = other.source();
                while let Some(error) = cause {
                    let part = error.to_string();
                    if parts.last().is_none_or(|last| !last.ends_with(&part)) {
                        parts.push(part);
                    }
                    cause = error.source();
                }
                let text = if parts.is_empty() { other.to_string() } else { parts.join(": ") };
                Self::new("", 0, text)
            }
        }
    }
}

fn shortened(text: String) -> String {
    if text.chars().count() <= MAX_MESSAGE {
        return text;
    }
    text.chars().take(MAX_MESSAGE).chain(['…']).collect()
}

/// What was being done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading it, or the dry run.
    DryRun,
    /// Writing it.
    Apply,
    /// Deleting it, to create it with a changed immutable field.
    Recreate,
    /// Reading it before it is deleted.
    Query,
    /// Deleting it.
    Delete,
}

/// One object that failed, in Flux's words (fluxcd/pkg `ssa/errors`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectError {
    /// The object.
    pub entry: Entry,
    /// What was being done.
    pub step: Step,
    /// Why it failed. Holds no value of a Secret.
    pub error: ApiError,
}

impl ObjectError {
    pub(crate) fn new(entry: &Entry, step: Step, error: ApiError) -> Self {
        Self { entry: entry.clone(), step, error }
    }

    /// The same, without what the API server quotes of a Secret.
    pub(crate) fn scrubbed(mut self, desired: &Value) -> Self {
        if mask::is_secret(desired) {
            self.error.message = mask::scrub(&self.error.message, desired);
        }
        self
    }
}

impl std::error::Error for ObjectError {}

impl fmt::Display for ObjectError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, error) = (&self.entry.id, &self.error);
        match self.step {
            Step::DryRun if error.is_not_found() && id.namespace.is_empty() => {
                write!(formatter, "{id} namespace not specified: {error}")
            }
            Step::DryRun if error.is_not_found() => write!(formatter, "{id} not found: {error}"),
            Step::DryRun if error.reason.is_empty() => write!(formatter, "{id} dry-run failed: {error}"),
            Step::DryRun => write!(formatter, "{id} dry-run failed ({}): {error}", error.reason),
            Step::Apply => write!(formatter, "{id} apply failed: {error}"),
            Step::Recreate => {
                write!(formatter, "{id} immutable field detected, failed to delete object: {error}")
            }
            Step::Query => write!(formatter, "{id} query failed: {error}"),
            Step::Delete => write!(formatter, "{id} delete failed: {error}"),
        }
    }
}

/// An apply that stopped.
///
/// Displayed as Flux does: what failed, then what earlier stages changed, one object a line. All objects of a stage
/// that failed their dry run are told (Flux tells one), at most 20.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A manifest does not name an object. Nothing was done.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Objects were refused.
    #[error("{}", told(.failed, .earlier))]
    Objects {
        /// The objects, in apply order; at least one.
        failed: Vec<ObjectError>,
        /// What earlier stages changed.
        earlier: ChangeSet,
    },
    /// Definitions or classes did not become ready, so that what needs them was not applied.
    #[error("{}", told(&[source], .earlier))]
    Stage {
        /// Which, and how they are.
        #[source]
        source: WaitError,
        /// What was changed.
        earlier: ChangeSet,
    },
}

impl ApplyError {
    /// The objects that were refused.
    #[must_use]
    pub fn failed(&self) -> &[ObjectError] {
        match self {
            Self::Objects { failed, .. } => failed,
            Self::Identity(_) | Self::Stage { .. } => &[],
        }
    }
}

fn told<T: fmt::Display>(failed: &[T], earlier: &ChangeSet) -> String {
    let mut lines: Vec<String> = failed.iter().take(MAX_OBJECTS).map(ToString::to_string).collect();
    if failed.len() > MAX_OBJECTS {
        lines.push(format!("and {} more", failed.len() - MAX_OBJECTS));
    }
    let earlier = earlier.notable();
    if !earlier.is_empty() {
        lines.push(earlier.to_string());
    }
    lines.join("\n")
}

/// Objects that could not be deleted; all others were tried. They belong back into the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneError {
    /// The objects, in the order they were tried; at least one.
    pub failed: Vec<ObjectError>,
}

impl std::error::Error for PruneError {}

impl fmt::Display for PruneError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("delete failed, errors: ")?;
        for error in self.failed.iter().take(MAX_OBJECTS) {
            write!(formatter, "{error};")?;
        }
        if self.failed.len() > MAX_OBJECTS {
            write!(formatter, "and {} more;", self.failed.len() - MAX_OBJECTS)?;
        }
        Ok(())
    }
}

impl PruneError {
    /// The objects that are still there.
    pub fn survivors(&self) -> impl Iterator<Item = &Entry> {
        self.failed.iter().map(|error| &error.entry)
    }

    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = &ObjectId> {
        self.survivors().map(|entry| &entry.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrite_resource::Action;
    use serde_json::json;

    fn entry(kind: &str, namespace: &str) -> Entry {
        Entry { id: ObjectId::new("", kind, namespace, "x"), version: "v1".into() }
    }

    #[test]
    fn errors_are_told_in_the_words_of_flux() {
        for (namespace, step, reason, code, message, expect) in [
            ("a", Step::DryRun, "Invalid", 422, "no", "Service/a/x dry-run failed (Invalid): no"),
            ("a", Step::DryRun, "", 0, "refused", "Service/a/x dry-run failed: refused"),
            (
                "a",
                Step::DryRun,
                "NotFound",
                404,
                "namespaces \"a\" not found",
                "Service/a/x not found: namespaces \"a\" not found",
            ),
            (
                "",
                Step::DryRun,
                "NotFound",
                404,
                "the server could not find the requested resource",
                "Service/x namespace not specified: the server could not find the requested resource",
            ),
            ("a", Step::Apply, "Forbidden", 403, "no", "Service/a/x apply failed: no"),
            (
                "a",
                Step::Recreate,
                "",
                500,
                "no",
                "Service/a/x immutable field detected, failed to delete object: no",
            ),
            ("a", Step::Delete, "", 500, "no", "Service/a/x delete failed: no"),
        ] {
            let error =
                ObjectError::new(&entry("Service", namespace), step, ApiError::new(reason, code, message));
            assert_eq!(error.to_string(), expect);
        }
    }

    #[test]
    fn an_apply_that_stopped_tells_what_it_had_done() {
        let mut earlier = ChangeSet::default();
        earlier.push(entry("Namespace", ""), Action::Created);
        earlier.push(entry("ClusterRole", ""), Action::Unchanged);
        let failed =
            vec![ObjectError::new(&entry("Service", "a"), Step::DryRun, ApiError::new("Invalid", 422, "no"))];
        assert_eq!(
            ApplyError::Objects { failed, earlier }.to_string(),
            "Service/a/x dry-run failed (Invalid): no\nNamespace/x created"
        );
    }

    #[test]
    fn a_prune_tells_every_failure() {
        let failed = vec![
            ObjectError::new(&entry("Service", "a"), Step::Delete, ApiError::new("", 500, "one")),
            ObjectError::new(&entry("Secret", "a"), Step::Delete, ApiError::new("", 500, "two")),
        ];
        assert_eq!(
            PruneError { failed }.to_string(),
            "delete failed, errors: Service/a/x delete failed: one;Secret/a/x delete failed: two;"
        );
    }

    #[test]
    fn secrets_are_not_quoted() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"k": "hunter2"}});
        let error = ObjectError::new(
            &entry("Secret", "a"),
            Step::DryRun,
            ApiError::new("Invalid", 422, "bad \"hunter2\""),
        );
        assert_eq!(error.scrubbed(&secret).to_string(), "Secret/a/x dry-run failed (Invalid): bad \"***\"");
    }
}
