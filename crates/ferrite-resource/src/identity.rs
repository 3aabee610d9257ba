//! Which object: group, kind, namespace and name, and the inventory's spelling of them.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// An object of a cluster, whatever the version it is written in.
///
/// Displayed as `Kind/namespace/name`, or `Kind/name` without a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ObjectId {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// An object with the version it was last applied in: one line of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Entry {
    /// The object.
    pub id: ObjectId,
    /// The version without its group, e.g. `v1`.
    pub version: String,
}

/// Why something does not name an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A manifest misses one of the fields that name it.
    #[error("object {object} has no `{field}`; every object needs apiVersion, kind and metadata.name")]
    Missing {
        /// The missing field.
        field: &'static str,
        /// What can be said of the object, e.g. `ConfigMap/`.
        object: String,
    },
    /// An inventory id that was not written by Flux or Ferrite.
    #[error("`{id}` is not an inventory id: expected <namespace>_<name>_<group>_<kind>")]
    Id {
        /// The id.
        id: String,
    },
}

impl fmt::Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(formatter, "{}/{}", self.kind, self.name)
        } else {
            write!(formatter, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

impl ObjectId {
    /// The id from its four parts.
    pub fn new(
        group: impl Into<String>,
        kind: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self { group: group.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    /// The spelling of Flux's inventory: `<namespace>_<name>_<group>_<Kind>`.
    ///
    /// RBAC names may hold `:`, which is written `__` (fluxcd/cli-utils `object.ObjMetadata.String`).
    #[must_use]
    pub fn inventory_id(&self) -> String {
        let name = if self.is_rbac() { self.name.replace(':', "__") } else { self.name.clone() };
        format!("{}_{}_{}_{}", self.namespace, name, self.group, self.kind)
    }

    /// Reads the spelling of [`ObjectId::inventory_id`].
    ///
    /// # Errors
    ///
    /// [`IdentityError::Id`] when there are fewer than three underscores, or no name or kind.
    pub fn from_inventory_id(id: &str) -> Result<Self, IdentityError> {
        let wrong = || IdentityError::Id { id: id.to_owned() };
        let (namespace, rest) = id.split_once('_').ok_or_else(wrong)?;
        let (rest, kind) = rest.rsplit_once('_').ok_or_else(wrong)?;
        let (name, group) = rest.rsplit_once('_').ok_or_else(wrong)?;
        if name.is_empty() || kind.is_empty() {
            return Err(wrong());
        }
        let mut id = Self::new(group, kind, namespace, name);
        if id.is_rbac() {
            id.name = id.name.replace("__", ":");
        } else if name.contains('_') {
            return Err(wrong());
        }
        Ok(id)
    }

    fn is_rbac(&self) -> bool {
        self.group == "rbac.authorization.k8s.io"
            && matches!(self.kind.as_str(), "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding")
    }
}

impl Entry {
    /// The entry of a manifest.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Missing`] when `apiVersion`, `kind` or `metadata.name` is absent or empty.
    pub fn of(object: &Value) -> Result<Self, IdentityError> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("/apiVersion"), text("/kind"));
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let id = ObjectId::new(group, kind, namespace, name);
        for (field, value) in [("apiVersion", version), ("kind", kind), ("metadata.name", name)] {
            if value.is_empty() {
                return Err(IdentityError::Missing { field, object: id.to_string() });
            }
        }
        Ok(Self { id, version: version.to_owned() })
    }

    /// `group/version`, or the version alone in the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.id.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.id.group, self.version)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn round_trip(id: &ObjectId, text: &str) {
        assert_eq!(id.inventory_id(), text);
        assert_eq!(ObjectId::from_inventory_id(text).as_ref(), Ok(id));
    }

    #[test]
    fn inventory_ids_are_spelled_as_flux_spells_them() {
        round_trip(
            &ObjectId::new("apps", "Deployment", "default", "podinfo"),
            "default_podinfo_apps_Deployment",
        );
        round_trip(&ObjectId::new("", "Namespace", "", "flux-system"), "_flux-system__Namespace");
        round_trip(
            &ObjectId::new("rbac.authorization.k8s.io", "ClusterRole", "", "system:node:x"),
            "_system__node__x_rbac.authorization.k8s.io_ClusterRole",
        );
        round_trip(
            &ObjectId::new("apiextensions.k8s.io", "CustomResourceDefinition", "", "a.b.c"),
            "_a.b.c_apiextensions.k8s.io_CustomResourceDefinition",
        );
    }

    #[test]
    fn foreign_ids_are_refused() {
        for id in ["", "a", "a_b_c", "__apps_Deployment", "a_b_c_d_Kind", "ns_name_group_"] {
            assert!(ObjectId::from_inventory_id(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn a_manifest_without_a_name_says_so() {
        let error = Entry::of(&json!({"apiVersion": "v1", "kind": "ConfigMap"})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "object ConfigMap/ has no `metadata.name`; every object needs apiVersion, kind and metadata.name"
        );
    }

    #[test]
    fn the_version_is_kept_beside_the_id() {
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "b"}});
        let entry = Entry::of(&object).unwrap();
        assert_eq!(
            (entry.id.to_string().as_str(), entry.version.as_str(), entry.api_version().as_str()),
            ("Deployment/b/a", "v1", "apps/v1")
        );
    }
}
