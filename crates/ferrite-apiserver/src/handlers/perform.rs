//! Writing one object: defaults, rules, owners of fields, admission, the store.
//!
//! Everything that changes an object comes through here: requests, and the controllers inside the server.

use std::sync::Arc;

use serde_json::Value;

use super::Scope;
use super::options::Options;
use super::read::value_in_version;
use crate::auth::User;
use crate::http::request::Call;
use crate::json::text;
use crate::kinds::{self, metadata};
use crate::merge::{self, Writing};
use crate::resources::Resource;
use crate::server::Server;
use crate::status::{ApiError, Cause, Subject};
use crate::store::{Refused, Stored, Ticket};
use crate::{admission, crd, schema};

/// How often a patch is computed anew when somebody else writes in between.
const ATTEMPTS: usize = 8;

/// Who writes which object how.
pub(crate) struct Writer<'a> {
    pub(crate) server: &'a Arc<Server>,
    pub(crate) resource: &'a Arc<Resource>,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) user: &'a User,
    pub(crate) options: Options,
    pub(crate) sub: Option<&'a str>,
    /// The request, unless the server itself writes.
    pub(crate) call: Option<&'a Call>,
}

/// What a write left behind.
pub(crate) struct Outcome {
    /// The object in the version of the request.
    pub(crate) value: Value,
    /// The write's way to the disk; none when nothing was written.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) created: bool,
}

/// Who owns the fields of a new state.
pub(crate) enum Owners {
    /// Fields that changed belong to the writer from now on.
    Changed,
    /// `metadata.managedFields` of the new state is computed already.
    Computed,
}

impl<'a> Writer<'a> {
    pub(crate) fn of(scope: &'a Scope<'_>, options: Options, sub: Option<&'a str>) -> Self {
        Self {
            server: scope.server,
            resource: &scope.resource,
            namespace: scope.namespace,
            name: scope.name,
            user: &scope.call.user,
            options,
            sub,
            call: Some(scope.call),
        }
    }

    fn subject(&self, name: &'a str) -> Subject<'a> {
        self.resource.subject(name)
    }

    pub(crate) fn invalid(&self, name: &str, causes: &[Cause]) -> ApiError {
        ApiError::invalid(self.resource.kind_subject(name), causes)
    }

    pub(crate) fn warn(&self, text: &str) {
        if let Some(call) = self.call {
            call.warn(text);
        }
    }

    /// Creates the object. It is of the right kind and its JSON types fit.
    pub(crate) fn create(&self, object: Value, owners: &Owners) -> Result<Outcome, ApiError> {
        let generated = text(&object["metadata"], "name").is_empty()
            && !text(&object["metadata"], "generateName").is_empty();
        for _ in 0..ATTEMPTS {
            match self.create_once(object.clone(), owners) {
                Err(error) if generated && error.reason() == "AlreadyExists" => {}
                result => return result,
            }
        }
        self.create_once(object, owners)
    }

    fn create_once(&self, mut object: Value, owners: &Owners) -> Result<Outcome, ApiError> {
        let managed = object["metadata"].get("managedFields").cloned();
        self.place(&mut object)?;
        admission::lifecycle(self, &object)?;
        crd::accepts(self, &object)?;
        metadata::on_create(&mut object);
        if let (Owners::Computed, Some(managed)) = (owners, managed) {
            object["metadata"]["managedFields"] = managed;
        }
        kinds::confine(self.resource, None, None, &mut object);
        schema::complete(self.resource, &mut object);
        if let Owners::Changed = owners {
            merge::record_update(&Writing::of(self), None, &mut object);
        }
        admission::mutate(self, &mut object)?;
        kinds::on_create(self.resource, &mut object);
        schema::complete(self.resource, &mut object);
        self.validate(None, &object)?;
        self.allocate(None, &mut object)?;
        schema::normalize(self.resource, &mut object);
        metadata::tidy(&mut object);
        admission::policies(self, "CREATE", None, Some(&object))?;
        let quota = admission::quota(self, &object)?;
        let name = text(&object["metadata"], "name").to_owned();
        let exists = || ApiError::already_exists(self.resource.subject(&name));
        if self.options.dry_run {
            let found = self.server.store.get(&self.resource.key, self.namespace, &name);
            return if found.is_some() {
                Err(exists())
            } else {
                Ok(Outcome { value: object, ticket: None, created: true })
            };
        }
        let stored = self.to_storage(&mut object);
        let written = self.server.store.create(&self.resource.key, stored).map_err(|_| exists())?;
        if quota.is_some() {
            admission::recount_all(self.server, self.namespace);
        }
        drop(quota);
        object["metadata"]["resourceVersion"] = written.stored.version.to_string().into();
        Ok(Outcome { value: object, ticket: Some(written.durable), created: true })
    }

    /// Name and namespace: from the body, the path, or made up.
    fn place(&self, object: &mut Value) -> Result<(), ApiError> {
        if text(&object["metadata"], "resourceVersion").parse::<u64>().is_ok_and(|v| v != 0) {
            return Err(ApiError::new(
                500,
                "",
                "resourceVersion should not be set on objects to be created",
                None,
            ));
        }
        self.check_namespace(object)?;
        metadata::edit(object, |meta| {
            let name = meta.get("name").and_then(Value::as_str).unwrap_or_default();
            let prefix = meta.get("generateName").and_then(Value::as_str).unwrap_or_default();
            if name.is_empty() && !prefix.is_empty() {
                let name = metadata::generate_name(prefix);
                meta.insert("name".into(), name.into());
            }
        });
        Ok(())
    }

    fn check_namespace(&self, object: &mut Value) -> Result<(), ApiError> {
        let given = text(&object["metadata"], "namespace");
        if !self.resource.namespaced {
            if !given.is_empty() {
                metadata::edit(object, |meta| meta.shift_remove("namespace"));
            }
            return Ok(());
        }
        if given.is_empty() {
            object["metadata"]["namespace"] = self.namespace.into();
        } else if given != self.namespace {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        Ok(())
    }

    fn validate(&self, live: Option<&Value>, object: &Value) -> Result<(), ApiError> {
        let mut causes = Vec::new();
        metadata::validate(self.resource, object, &mut causes);
        if let Some(live) = live {
            metadata::validate_update(live, object, &mut causes);
        }
        if self.resource.custom.is_some() {
            crd::validate(self.resource, self.sub, live, object, &mut causes);
        } else {
            kinds::validate::object(self.resource, self.sub, live, object, &mut causes);
        }
        crate::rbac::escalation::check(self, object)?;
        metadata::warnings(live, object).iter().for_each(|w| self.warn(w));
        kinds::warnings(self.resource, object).iter().for_each(|w| self.warn(w));
        if causes.is_empty() { Ok(()) } else { Err(self.invalid(text(&object["metadata"], "name"), &causes)) }
    }

    fn allocate(&self, live: Option<&Value>, object: &mut Value) -> Result<(), ApiError> {
        if !self.resource.is("", "services") || self.sub.is_some() {
            return Ok(());
        }
        let causes = self.server.allocations.lock().assign(live, object, self.options.dry_run);
        if causes.is_empty() { Ok(()) } else { Err(self.invalid(text(&object["metadata"], "name"), &causes)) }
    }

    /// Changes the object to what `make` returns for its present state, in the version of the request.
    ///
    /// `make` is called again when somebody else wrote in between, unless its result names a resource version.
    pub(crate) fn update(
        &self,
        make: impl Fn(&Value) -> Result<(Value, Owners), ApiError>,
    ) -> Result<Outcome, ApiError> {
        let missing = || ApiError::not_found(self.subject(self.name));
        for _ in 0..ATTEMPTS {
            let live =
                self.server.store.get(&self.resource.key, self.namespace, self.name).ok_or_else(missing)?;
            let value = value_in_version(self.resource, &live);
            let (new, owners) = make(&value)?;
            match self.update_once(&live, &value, new, &owners) {
                Ok(Ok(outcome)) => return Ok(outcome),
                Ok(Err(Refused::Missing)) => return Err(missing()),
                Ok(Err(Refused::Changed | Refused::Exists)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ApiError::modified(self.subject(self.name)))
    }

    fn update_once(
        &self,
        stored: &Arc<Stored>,
        live: &Value,
        mut new: Value,
        owners: &Owners,
    ) -> Result<Result<Outcome, Refused>, ApiError> {
        self.check_identity(live, &mut new)?;
        kinds::confine(self.resource, self.sub, Some(live), &mut new);
        metadata::on_update(live, &mut new);
        schema::complete(self.resource, &mut new);
        if let Owners::Changed = owners {
            merge::record_update(&Writing::of(self), Some(live), &mut new);
        }
        admission::mutate_update(self, live, &mut new)?;
        kinds::on_update(self.resource, self.sub, live, &mut new);
        self.validate(Some(live), &new)?;
        self.allocate(Some(live), &mut new)?;
        schema::normalize(self.resource, &mut new);
        metadata::tidy(&mut new);
        let removed = metadata::is_released(&new)
            && !self.resource.is("", "namespaces")
            && graceful_done(self.resource, &new);
        if merge::same(live, &new) && !removed {
            return Ok(Ok(Outcome { value: live.clone(), ticket: None, created: false }));
        }
        admission::policies(self, "UPDATE", Some(live), Some(&new))?;
        let quota = admission::quota_update(self, live, &new)?;
        if self.options.dry_run {
            return Ok(Ok(Outcome { value: new, ticket: None, created: false }));
        }
        if removed {
            return Ok(self.drop_released(stored, new));
        }
        let to_store = self.to_storage(&mut new);
        let written = match self.server.store.update(&self.resource.key, stored.version, to_store) {
            Ok(written) => written,
            Err(refused) => return Ok(Err(refused)),
        };
        drop(quota);
        new["metadata"]["resourceVersion"] = written.stored.version.to_string().into();
        Ok(Ok(Outcome { value: new, ticket: Some(written.durable), created: false }))
    }

    /// The object in the stored version. What that version does not know is lost, to the answer too.
    fn to_storage(&self, object: &mut Value) -> Value {
        let resource = self.resource;
        let mut stored = object.clone();
        if resource.custom.is_none() {
            kinds::convert::to_storage(resource, &mut stored);
        } else if resource.version != resource.storage {
            crate::resources::set_version(&mut stored, &resource.group, &resource.storage);
            let served = self.server.registry.served();
            if let Some(custom) = served.by_key(&resource.key).and_then(|r| r.custom.as_ref()) {
                schema::prune_and_default(&custom.ty, &mut stored);
            }
            *object = stored.clone();
            crate::handlers::read::convert(resource, object);
        }
        stored
    }

    /// The last finalizer is gone: so is the object. It is answered as it would have been stored.
    fn drop_released(&self, stored: &Arc<Stored>, value: Value) -> Result<Outcome, Refused> {
        let written =
            self.server.store.delete(&self.resource.key, stored.version, &stored.namespace, &stored.name)?;
        Ok(Outcome { value, ticket: Some(written.durable), created: false })
    }

    fn check_identity(&self, live: &Value, new: &mut Value) -> Result<(), ApiError> {
        let meta = &new["metadata"];
        let name = text(meta, "name");
        if name.is_empty() {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                self.name
            )));
        }
        if name != self.name {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                self.name
            )));
        }
        self.check_namespace(new)?;
        let (meta, old) = (&new["metadata"], &live["metadata"]);
        let subject = self.subject(self.name);
        let uid = text(meta, "uid");
        if !uid.is_empty() && uid != text(old, "uid") {
            if self.call.is_none_or(|c| c.method != http::Method::PUT) {
                let cause = Cause::invalid("metadata.uid", &uid.into(), "field is immutable");
                return Err(self.invalid(self.name, &[cause]));
            }
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                text(old, "uid")
            );
            return Err(ApiError::conflict(subject, &why));
        }
        let version = text(meta, "resourceVersion");
        if version.is_empty() || version == "0" {
            if self.resource.custom.is_some() {
                let cause =
                    Cause::invalid("metadata.resourceVersion", &0.into(), "must be specified for an update");
                return Err(ApiError::invalid(subject, &[cause]));
            }
        } else if version != text(old, "resourceVersion") {
            return Err(ApiError::modified(subject));
        }
        new["metadata"]["resourceVersion"] = old["resourceVersion"].clone();
        Ok(())
    }
}

/// A pod on a node goes when its grace is over, which a second deletion with grace 0 says.
fn graceful_done(resource: &Resource, object: &Value) -> bool {
    !resource.is("", "pods")
        || object["metadata"]["deletionGracePeriodSeconds"].as_i64().is_none_or(|s| s == 0)
}
