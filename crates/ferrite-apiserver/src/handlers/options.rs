//! The query parameters of a write.

use serde_json::Value;

use crate::http::request::Call;
use crate::status::{ApiError, Cause, Subject};

/// What happens to unknown and doubled fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validation {
    Ignore,
    Warn,
    Strict,
}

/// How to write.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) dry_run: bool,
    pub(crate) manager: String,
    pub(crate) validation: Validation,
    pub(crate) force: bool,
}

impl Options {
    /// For the server's own controllers.
    pub(crate) fn internal(manager: &str) -> Self {
        Self { dry_run: false, manager: manager.to_owned(), validation: Validation::Ignore, force: false }
    }

    /// `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`; `apply` says whether a patch is an apply.
    pub(crate) fn of(call: &Call, kind: &str, apply: Option<bool>) -> Result<Self, ApiError> {
        let mut causes = Vec::new();
        let query = &call.query;
        let force = query.get("force").is_some().then(|| query.flag("force"));
        if apply == Some(false) && force.is_some() {
            causes.push(Cause::forbidden("force", "may not be specified for non-apply patch"));
        }
        let manager = query.text("fieldManager");
        if apply == Some(true) && manager.is_none() {
            causes.push(Cause::required("fieldManager", "is required for apply patch"));
        }
        if let Some(manager) = manager {
            check_manager(manager, &mut causes);
        }
        let dry = query.all("dryRun");
        let dry_run = !dry.is_empty();
        if dry.iter().any(|d| *d != "All") {
            causes.push(Cause::unsupported("dryRun", &dry.into(), &["All"]));
        }
        let validation = match query.get("fieldValidation") {
            None | Some("" | "Warn") => Validation::Warn,
            Some("Ignore") => Validation::Ignore,
            Some("Strict") => Validation::Strict,
            Some(other) => {
                causes.push(Cause::unsupported(
                    "fieldValidation",
                    &other.into(),
                    &["", "Ignore", "Strict", "Warn"],
                ));
                Validation::Warn
            }
        };
        if !causes.is_empty() {
            return Err(ApiError::invalid(
                Subject { group: "meta.k8s.io", resource: kind, name: "" },
                &causes,
            ));
        }
        let manager = manager.map_or_else(|| call.agent(), str::to_owned);
        Ok(Self { dry_run, manager, validation, force: force.unwrap_or_default() })
    }
}

fn check_manager(manager: &str, causes: &mut Vec<Cause>) {
    if manager.len() > 128 {
        causes.push(Cause::too_long("fieldManager", 128));
    }
    if let Some((at, bad)) = manager.chars().enumerate().find(|(_, c)| c.is_control()) {
        let why = format!("invalid character U+{:04X} (at position {at})", u32::from(bad));
        causes.push(Cause::invalid("fieldManager", &Value::from(manager), &why));
    }
}
