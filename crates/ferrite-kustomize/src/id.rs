//! Which object is which: group, version, kind, name, namespace.

use std::fmt;

/// Group, version and kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group.
    pub version: String,
    /// Kind.
    pub kind: String,
}

/// The effective namespace of cluster-scoped objects, equal to no real one.
pub(crate) const CLUSTER: &str = "_non_namespaceable_";

impl Gvk {
    /// Splits an `apiVersion` at its first slash.
    #[must_use]
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = split_api_version(api_version);
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// The `apiVersion` text.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// True when each part of `filter` is empty or equal.
    pub(crate) fn is_selected(&self, group: &str, version: &str, kind: &str) -> bool {
        (kind.is_empty() || self.kind == kind)
            && (group.is_empty() || self.group == group)
            && (version.is_empty() || self.version == version)
    }

    /// `KIND.VERSION.GROUP` with `[noGrp]` and the like for empty parts.
    pub(crate) fn legacy(&self) -> String {
        let part = |text: &'_ str, none: &'static str| {
            if text.is_empty() { none.to_owned() } else { text.to_owned() }
        };
        format!(
            "{}.{}.{}",
            part(&self.kind, "[noKind]"),
            part(&self.version, "[noVer]"),
            part(&self.group, "[noGrp]")
        )
    }
}

pub(crate) fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// An object's identity, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Id<'a> {
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    /// The effective namespace, see [`effective`].
    pub(crate) namespace: &'a str,
}

impl Id<'_> {
    pub(crate) fn selected_by(&self, group: &str, version: &str, kind: &str) -> bool {
        (kind.is_empty() || self.kind == kind)
            && (group.is_empty() || self.group == group)
            && (version.is_empty() || self.version == version)
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text: &'_ str, none: &'static str| {
            if text.is_empty() { none.to_owned() } else { text.to_owned() }
        };
        let namespace = match self.namespace {
            CLUSTER | "default" => "[noNs]",
            other => other,
        };
        write!(
            f,
            "{}.{}.{}/{}.{}",
            part(self.kind, "[noKind]"),
            part(self.version, "[noVer]"),
            part(self.group, "[noGrp]"),
            part(self.name, "[noName]"),
            namespace
        )
    }
}

/// The namespace that decides whether two objects are the same one.
pub(crate) fn effective(namespace: &str, cluster: bool) -> &str {
    match namespace {
        _ if cluster => CLUSTER,
        "" => "default",
        other => other,
    }
}
