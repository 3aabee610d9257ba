//! Which path serves a kind: the REST mapping of an API server.

use std::collections::HashMap;

use ferrite_resource::{Entry, ObjectId};
use kube::Client;
use parking_lot::RwLock;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::{error::ApiError, fetch};

/// More kinds than this are not remembered.
const MAX_KINDS: usize = 50_000;

/// What may stand in a path unescaped (RFC 3986 unreserved, and `:` which names of roles hold).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// Where the objects of one kind in one version are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// `/api/v1` or `/apis/<group>/<version>`.
    root: String,
    /// The resource, e.g. `deployments`.
    plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Mapping {
    /// The path of the objects of a namespace; of all of them when `namespace` is empty or the kind has none.
    #[must_use]
    pub fn collection(&self, namespace: &str) -> String {
        if self.namespaced && !namespace.is_empty() {
            format!("{}/namespaces/{}/{}", self.root, segment(namespace), self.plural)
        } else {
            format!("{}/{}", self.root, self.plural)
        }
    }

    /// The path of the collection that the object is in.
    ///
    /// # Errors
    ///
    /// [`ApiError`] as the API server answers for an object of a namespaced kind that names no namespace, and for a
    /// name that is no part of a path.
    pub(crate) fn collection_of(&self, id: &ObjectId) -> Result<String, ApiError> {
        if self.namespaced && id.namespace.is_empty() {
            return Err(ApiError::new("NotFound", 404, "the server could not find the requested resource"));
        }
        for name in [&id.name, &id.namespace] {
            if matches!(name.as_str(), "." | "..") || name.contains(['/', '%']) {
                let message = format!("`{name}` is not a name: it may not be `.` or `..` or hold `/` or `%`");
                return Err(ApiError::new("Invalid", 422, message));
            }
        }
        Ok(self.collection(&id.namespace))
    }
}

/// A name as a part of a path.
pub(crate) fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

type Key = (String, String, String);

#[derive(Debug, Default)]
struct Kinds {
    known: HashMap<Key, Mapping>,
    /// Aggregated discovery was read, or is not offered.
    read: bool,
}

/// The kinds of one API server. Read at once when the first is asked for; a kind that is not known then is asked for
/// again each time, because a definition may have been applied since.
pub struct Mapper {
    client: Client,
    kinds: RwLock<Kinds>,
    reading: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Mapper {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Mapper")
            .field("kinds", &self.kinds.read().known.len())
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct ResourceList {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    kind: String,
    namespaced: bool,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

impl Mapper {
    /// The kinds of the API server of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, kinds: RwLock::default(), reading: tokio::sync::Mutex::default() }
    }

    /// Where an object is.
    ///
    /// # Errors
    ///
    /// [`ApiError`] `no matches for kind … in version …` when the kind is not served, or why that is not known.
    pub async fn resolve(&self, entry: &Entry) -> Result<Mapping, ApiError> {
        if let Some(mapping) = self.known(entry) {
            return Ok(mapping);
        }
        let _one_at_a_time = self.reading.lock().await;
        if let Some(mapping) = self.known(entry) {
            return Ok(mapping);
        }
        if !self.kinds.read().read {
            self.read_all().await;
            if let Some(mapping) = self.known(entry) {
                return Ok(mapping);
            }
        }
        self.read_version(&entry.id.group, &entry.version).await?;
        self.known(entry).ok_or_else(|| ApiError::no_match(entry))
    }

    /// Where an object is, in another version if its own is not served any more; `None` when no version of the kind is
    /// served, so that no such object can exist.
    ///
    /// # Errors
    ///
    /// [`ApiError`] when it cannot be told: a group that does not answer is not a group that is gone.
    pub async fn resolve_any(&self, entry: &Entry) -> Result<Option<Mapping>, ApiError> {
        match self.resolve(entry).await {
            Ok(mapping) => return Ok(Some(mapping)),
            Err(error) if error.is_no_match() => {}
            Err(error) => return Err(error),
        }
        for version in self.versions(&entry.id.group).await? {
            let other = Entry { id: entry.id.clone(), version };
            match self.resolve(&other).await {
                Ok(mapping) => return Ok(Some(mapping)),
                Err(error) if error.is_no_match() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Forgets a version of a group, whose resources turned out not to be where they were.
    pub(crate) fn forget(&self, entry: &Entry) {
        self.kinds
            .write()
            .known
            .retain(|(group, version, _), _| *group != entry.id.group || *version != entry.version);
    }

    fn known(&self, entry: &Entry) -> Option<Mapping> {
        let key = (entry.id.group.clone(), entry.version.clone(), entry.id.kind.clone());
        self.kinds.read().known.get(&key).cloned()
    }

    /// Reads aggregated discovery: two requests for all kinds. A server that has none is asked version by version.
    async fn read_all(&self) {
        let mut known = HashMap::new();
        for list in [
            self.client.list_core_api_versions_aggregated().await,
            self.client.list_api_groups_aggregated().await,
        ] {
            for group in list.map(|list| list.items).unwrap_or_default() {
                let name = group.metadata.and_then(|meta| meta.name).unwrap_or_default();
                for version in group.versions {
                    let Some(number) = version.version else { continue };
                    for resource in version.resources {
                        let (Some(plural), Some(kind)) =
                            (resource.resource, resource.response_kind.and_then(|kind| kind.kind))
                        else {
                            continue;
                        };
                        let namespaced = resource.scope.as_deref() == Some("Namespaced");
                        insert(&mut known, &name, &number, Resource { name: plural, kind, namespaced });
                    }
                }
            }
        }
        let mut kinds = self.kinds.write();
        kinds.known.extend(known);
        kinds.read = true;
    }

    async fn read_version(&self, group: &str, version: &str) -> Result<(), ApiError> {
        let path = root(group, version);
        let list: ResourceList = match fetch::json(&self.client, &path).await {
            Ok(list) => list,
            Err(error) if error.is_not_found() => ResourceList { resources: Vec::new() },
            Err(error) => return Err(error),
        };
        let mut kinds = self.kinds.write();
        for resource in list.resources {
            insert(&mut kinds.known, group, version, resource);
        }
        Ok(())
    }

    async fn versions(&self, group: &str) -> Result<Vec<String>, ApiError> {
        if group.is_empty() {
            return Ok(vec!["v1".to_owned()]);
        }
        match fetch::json::<Group>(&self.client, &format!("/apis/{}", segment(group))).await {
            Ok(group) => Ok(group.versions.into_iter().map(|version| version.version).collect()),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn root(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("/api/{}", segment(version))
    } else {
        format!("/apis/{}/{}", segment(group), segment(version))
    }
}

fn insert(known: &mut HashMap<Key, Mapping>, group: &str, version: &str, resource: Resource) {
    // Subresources are listed among the resources, as `pods/log`.
    if resource.name.contains('/') || resource.kind.is_empty() || known.len() >= MAX_KINDS {
        return;
    }
    let mapping = Mapping {
        root: root(group, version),
        plural: segment(&resource.name),
        namespaced: resource.namespaced,
    };
    known.entry((group.to_owned(), version.to_owned(), resource.kind)).or_insert(mapping);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(namespaced: bool) -> Mapping {
        Mapping { root: "/apis/apps/v1".into(), plural: "deployments".into(), namespaced }
    }

    #[test]
    fn paths_are_those_of_the_scope() {
        assert_eq!(mapping(true).collection("a"), "/apis/apps/v1/namespaces/a/deployments");
        assert_eq!(mapping(true).collection(""), "/apis/apps/v1/deployments");
        assert_eq!(mapping(false).collection("a"), "/apis/apps/v1/deployments");
    }

    #[test]
    fn names_stay_inside_their_path() {
        let id = |namespace: &str, name: &str| ObjectId::new("apps", "Deployment", namespace, name);
        assert!(mapping(true).collection_of(&id("a", "b")).is_ok());
        for (namespace, name) in [("..", "b"), ("a", ".."), ("a/b", "c"), ("a", "b/../c"), ("a", "b%2fc")] {
            let error = mapping(true).collection_of(&id(namespace, name)).unwrap_err();
            assert_eq!(error.reason, "Invalid", "{namespace} {name}");
        }
        assert_eq!(segment("a?b#c d"), "a%3Fb%23c%20d");
        assert_eq!(segment("system:node.x"), "system:node.x");
    }

    #[test]
    fn a_namespaced_object_without_a_namespace_is_not_found() {
        let error = mapping(true).collection_of(&ObjectId::new("apps", "Deployment", "", "b")).unwrap_err();
        assert_eq!(
            (error.code, error.to_string().as_str()),
            (404, "the server could not find the requested resource")
        );
    }
}
