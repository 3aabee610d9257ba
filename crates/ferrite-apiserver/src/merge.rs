//! Patches and field owners, as `ferrite-patch` has them, for the resources served here.

use std::sync::Arc;

use ferrite_patch::structured::{self, Scope, Versions, Write};
use ferrite_schema::Type;
use serde_json::{Value, json};

use crate::handlers::perform::Writer;
use crate::resources::{Resource, Served, split_group_version};
use crate::status::ApiError;

/// One write, as its field owners see it.
pub(crate) struct Writing<'a> {
    resource: &'a Resource,
    manager: &'a str,
    sub: &'a str,
    force: bool,
    served: Arc<Served>,
}

/// The result of a server-side apply, owners included.
pub(crate) struct Applied {
    pub(crate) value: Value,
}

impl<'a> Writing<'a> {
    pub(crate) fn of(writer: &'a Writer<'_>) -> Self {
        Self {
            resource: writer.resource,
            manager: &writer.options.manager,
            sub: writer.sub.unwrap_or_default(),
            force: writer.options.force,
            served: writer.server.registry.served(),
        }
    }

    fn scope(&self) -> Scope<'static> {
        match self.sub {
            "status" => Scope::Only(&["status"]),
            "" if self.resource.sub("status").is_some() && !self.resource.is("", "nodes") => {
                Scope::Except(&[&["status"]])
            }
            _ => Scope::Whole,
        }
    }

    fn with<R>(&self, run: impl FnOnce(&Write<'_>) -> R) -> R {
        let (version, now) = (self.resource.group_version(), crate::clock::now_text());
        let others = Others { served: &self.served, resource: self.resource };
        let several = self.resource.custom.is_some() || self.resource.group == "autoscaling";
        let write = Write {
            api_version: &version,
            kind: &self.resource.kind,
            manager: self.manager,
            subresource: self.sub,
            now: &now,
            scope: self.scope(),
            versions: several.then_some(&others as &dyn Versions),
        };
        run(&write)
    }
}

/// The other versions of a resource; those of a custom one differ in `apiVersion` only.
struct Others<'a> {
    served: &'a Served,
    resource: &'a Resource,
}

impl Versions for Others<'_> {
    fn convert(&self, object: &Value, to: &str) -> Option<Value> {
        let (group, version) = split_group_version(to);
        let target = self.served.find(group, version, &self.resource.plural)?;
        let mut object = object.clone();
        if target.custom.is_none() && object["apiVersion"] != *to {
            let from = object["apiVersion"].as_str().map(split_group_version).unwrap_or_default();
            crate::kinds::convert::to_storage(
                self.served.find(group, from.1, &self.resource.plural)?,
                &mut object,
            );
            crate::kinds::convert::from_storage(target, &mut object);
        }
        object["apiVersion"] = to.into();
        Some(object)
    }

    fn schema(&self, api_version: &str) -> Option<&Type> {
        let (group, version) = split_group_version(api_version);
        let found = self.served.find(group, version, &self.resource.plural)?;
        Some(crate::schema::of(found))
    }
}

/// Gives the fields that changed to the writer, in `metadata.managedFields` of the new state.
pub(crate) fn record_update(writing: &Writing<'_>, live: Option<&Value>, new: &mut Value) {
    let ty = crate::schema::of(writing.resource);
    let mut recorded = writing.with(|write| structured::update(live, new.take(), ty, write));
    if let Some(live) = live {
        structured::keep_times(live, &mut recorded);
    }
    *new = recorded;
}

/// Server-side apply of `patch` to the live object.
pub(crate) fn apply(writing: &Writing<'_>, live: Option<&Value>, patch: &Value) -> Result<Applied, ApiError> {
    let ty = crate::schema::of(writing.resource);
    let applied =
        writing.with(|write| structured::apply(live, patch, ty, write, writing.force)).map_err(refused)?;
    Ok(Applied { value: applied.object })
}

fn refused(error: structured::Error) -> ApiError {
    use structured::Error;
    match error {
        Error::BadRequest(why) => ApiError::bad_request(why),
        Error::Conflicts(conflicts) => {
            let causes: Vec<Value> = conflicts
                .iter()
                .map(
                    |c| json!({"reason": "FieldManagerConflict", "message": c.message(), "field": c.field()}),
                )
                .collect();
            ApiError::new(409, "Conflict", conflicts.to_string(), Some(json!({"causes": causes})))
        }
        Error::Patch { .. } | Error::Live { .. } | Error::Managers(_) => {
            ApiError::new(500, "", error.to_string(), None)
        }
    }
}

/// Whether two states of an object are the same to Kubernetes.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    structured::same(a, b)
}

/// A JSON merge patch (RFC 7386).
pub(crate) fn merge_patch(live: &Value, patch: &Value) -> Value {
    let mut new = live.clone();
    ferrite_patch::merge_patch::apply(&mut new, patch);
    new
}

/// A JSON patch (RFC 6902).
pub(crate) fn json_patch(live: &Value, patch: &Value) -> Result<Value, ApiError> {
    use ferrite_patch::json_patch::Error;
    ferrite_patch::json_patch::apply(live, patch).map_err(|error| match error {
        Error::NotAPatch { .. } => ApiError::bad_request(format!("error decoding patch: {error}")),
        Error::TooMany(_) => ApiError::new(413, "RequestEntityTooLarge", error.to_string(), Some(json!({}))),
        Error::Operation { .. } => ApiError::new(
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
            Some(json!({})),
        ),
    })
}

/// A strategic merge patch of a built-in object.
pub(crate) fn strategic(resource: &Resource, live: &Value, patch: &Value) -> Result<Value, ApiError> {
    use ferrite_patch::strategic::Error;
    if patch.is_null() {
        return Ok(live.clone());
    }
    ferrite_patch::strategic::apply(live, patch, crate::schema::of(resource)).map_err(|error| match error {
        Error::BadRequest(why) => ApiError::bad_request(why),
        Error::Unprocessable(why) => ApiError::new(422, "Invalid", why, Some(json!({}))),
        Error::Internal(why) => ApiError::new(500, "", why, None),
    })
}
