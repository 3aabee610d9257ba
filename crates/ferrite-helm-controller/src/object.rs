//! Single requests about objects of a release, and the objects in a manifest.

use ferrite_apply::Cluster;
use ferrite_helm::ApplyMethod;
use ferrite_patch::{merge_patch, strategic};
use ferrite_resource::{Entry, fold_updates, mask};
use ferrite_runtime::chain;
use ferrite_schema::Schemas;
use ferrite_yaml::{Dialect, Limits};
use kube::{
    Client,
    api::{DeleteParams, GetParams, Patch, PatchParams, PostParams, PropagationPolicy, ValidationDirective},
    core::Request,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::NAME;

/// An object and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) entry: Entry,
    pub(crate) object: Value,
    collection: String,
}

/// The documents of a manifest as objects; lists are taken apart.
pub(crate) fn objects(manifest: &str) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    let mut document = String::new();
    for line in manifest.split_inclusive('\n') {
        let separator = line.strip_prefix("---").is_some_and(|rest| rest.trim_end().is_empty());
        if separator {
            take(&mut all, &document)?;
            document.clear();
        } else {
            document.push_str(line);
        }
    }
    take(&mut all, &document)?;
    Ok(all)
}

fn take(all: &mut Vec<Value>, document: &str) -> Result<(), String> {
    if document.trim().is_empty() {
        return Ok(());
    }
    let node = ferrite_yaml::parse(document, &Limits::default()).map_err(|error| error.to_string())?;
    let value =
        node.map(|node| node.to_json(Dialect::Yaml11)).transpose().map_err(|error| error.to_string())?;
    let mut object = match value {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(object)) if object.is_empty() => return Ok(()),
        Some(Value::Object(object)) => object,
        Some(_) => return Err("a document of the manifest is no object".to_owned()),
    };
    let is_list = object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match object.remove("items") {
        Some(Value::Array(items)) if is_list => all.extend(items),
        items => {
            if let Some(items) = items {
                object.insert("items".to_owned(), items);
            }
            all.push(Value::Object(object));
        }
    }
    Ok(())
}

/// Finds out where an object is; one of a namespaced kind without a namespace is in `namespace`.
pub(crate) async fn locate(cluster: &Cluster, mut object: Value, namespace: &str) -> Result<Item, String> {
    let mut entry = Entry::of(&object).map_err(|error| error.to_string())?;
    let mapping = cluster.mapper().resolve(&entry).await.map_err(|error| {
        if !error.is_no_match() {
            return error.to_string();
        }
        format!(
            "resource mapping not found for name: \"{}\" namespace: \"{}\" from \"\": {error}\nensure CRDs are installed first",
            entry.id.name, entry.id.namespace
        )
    })?;
    if mapping.namespaced && entry.id.namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
        namespace.clone_into(&mut entry.id.namespace);
    }
    if !mapping.namespaced {
        entry.id.namespace.clear();
    }
    for name in [&entry.id.name, &entry.id.namespace] {
        if matches!(name.as_str(), "." | "..") || name.contains(['/', '%', '?', '#']) {
            return Err(format!(
                "`{name}` is not a name: it may not be `.` or `..` or hold `/`, `%`, `?` or `#`"
            ));
        }
    }
    let collection = mapping.collection(&entry.id.namespace);
    Ok(Item { entry, object, collection })
}

/// [`locate`] for objects of an older manifest: those of kinds that are not served any more cannot exist, and are left
/// out.
pub(crate) async fn locate_served(
    cluster: &Cluster,
    objects: Vec<Value>,
    namespace: &str,
) -> Result<Vec<Item>, String> {
    let mut items = Vec::with_capacity(objects.len());
    for object in objects {
        let served = match Entry::of(&object) {
            Ok(entry) => !matches!(cluster.mapper().resolve(&entry).await, Err(error) if error.is_no_match()),
            Err(_) => true,
        };
        if served {
            items.push(locate(cluster, object, namespace).await?);
        }
    }
    Ok(items)
}

pub(crate) async fn locate_all(
    cluster: &Cluster,
    objects: Vec<Value>,
    namespace: &str,
) -> Result<Vec<Item>, String> {
    let mut items = Vec::with_capacity(objects.len());
    for object in objects {
        items.push(locate(cluster, object, namespace).await?);
    }
    Ok(items)
}

async fn send<T: DeserializeOwned>(
    client: &Client,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<T, kube::Error> {
    let request = request.map_err(kube::Error::BuildRequest)?;
    let again = request.clone();
    match client.request::<T>(request).await {
        Err(kube::Error::Api(status)) if is_hiccup(&status) => client.request::<T>(again).await,
        answer => answer,
    }
}

/// What etcd says while it elects a leader; helm-controller asks once more then.
fn is_hiccup(status: &kube::core::Status) -> bool {
    let messages = ["etcdserver: leader changed", "raft proposal dropped"];
    status.code >= 500 && messages.iter().any(|message| status.message.ends_with(message))
}

/// What an error of the API server says.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => chain(other),
    }
}

/// Whether an error means that something is not there.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// A content type of a patch.
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";

/// How objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Write {
    /// By the server's apply, or by patches that are made here.
    pub(crate) method: ApplyMethod,
    /// Client-side only: objects are replaced instead of patched.
    pub(crate) replace: bool,
    /// Server-side only: unknown and duplicate fields are errors.
    pub(crate) strict: bool,
    /// Server-side only: what client-side apply set is folded into what the server applies.
    pub(crate) fold: bool,
    /// Client-side only: custom resources are compared with how they are, too.
    pub(crate) three_way_custom: bool,
}

impl Write {
    /// Server-side apply as Helm does it by default.
    pub(crate) const SERVER: Self = Self {
        method: ApplyMethod::Server,
        replace: false,
        strict: true,
        fold: false,
        three_way_custom: false,
    };
}

impl Item {
    /// `group/version, Kind=kind`, as Go prints it.
    fn kind_text(&self) -> String {
        format!("{}/{}, Kind={}", self.entry.id.group, self.entry.version, self.entry.id.kind)
    }

    /// `Kind "name" in namespace "ns"`
    pub(crate) fn described(&self) -> String {
        let id = &self.entry.id;
        format!("{} \"{}\" in namespace \"{}\"", id.kind, id.name, id.namespace)
    }

    /// An error's words without what a Secret holds.
    fn scrubbed(&self, error: &kube::Error) -> String {
        mask::scrub(&said(error), &self.object)
    }

    /// The object as it is; `None` when it is not there.
    pub(crate) async fn read(&self, client: &Client) -> Result<Option<Value>, String> {
        let request = Request::new(&self.collection).get(&self.entry.id.name, &GetParams::default());
        match send(client, request).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(format!(
                "could not get information about the resource {}: {}",
                self.described(),
                self.scrubbed(&error)
            )),
        }
    }

    /// Makes the object, which was not there.
    pub(crate) async fn create(&self, client: &Client, how: Write) -> Result<(), String> {
        if how.method == ApplyMethod::Server {
            return self.apply(client, how.strict).await;
        }
        let body = serde_json::to_vec(&self.object).map_err(|error| error.to_string())?;
        let params = PostParams { field_manager: Some(NAME.to_owned()), ..PostParams::default() };
        let made = send::<Value>(client, Request::new(&self.collection).create(&params, body)).await;
        made.map(drop).map_err(|error| self.scrubbed(&error))
    }

    /// Brings the object, which is `live`, to what it should be; `old` is what was last wanted of it.
    pub(crate) async fn update(
        &self,
        client: &Client,
        live: &Value,
        old: Option<&Value>,
        how: Write,
    ) -> Result<(), String> {
        if how.method == ApplyMethod::Server {
            if how.fold {
                self.fold(client, live).await?;
            }
            return self.apply(client, how.strict).await;
        }
        if how.replace {
            return self.replace(client, live).await;
        }
        let old = old.unwrap_or(&self.object);
        let kind = Schemas::builtin().for_api_version(&self.api_version(), &self.entry.id.kind);
        let (patch, content) = match kind {
            Some(kind) => (strategic::three_way(old, &self.object, live, kind), STRATEGIC_PATCH),
            None if how.three_way_custom => (merge_patch::three_way(old, &self.object, live), MERGE_PATCH),
            None => (merge_patch::between(old, &self.object), MERGE_PATCH),
        };
        if patch.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(());
        }
        let patched = self.patch(client, content, &patch).await;
        let id = &self.entry.id;
        patched.map_err(|error| {
            format!("cannot patch \"{}\" with kind {}: {}", id.name, id.kind, self.scrubbed(&error))
        })
    }

    fn api_version(&self) -> String {
        match self.entry.id.group.as_str() {
            "" => self.entry.version.clone(),
            group => format!("{group}/{}", self.entry.version),
        }
    }

    async fn apply(&self, client: &Client, strict: bool) -> Result<(), String> {
        let mut params = PatchParams::apply(NAME).force();
        params.field_validation =
            Some(if strict { ValidationDirective::Strict } else { ValidationDirective::Ignore });
        let request =
            Request::new(&self.collection).patch(&self.entry.id.name, &params, &Patch::Apply(&self.object));
        let id = &self.entry.id;
        send::<Value>(client, request).await.map(drop).map_err(|error| {
            let conflict = matches!(&error, kube::Error::Api(status) if status.code == 409);
            let what = if conflict {
                "conflict occurred while applying object"
            } else {
                "server-side apply failed for object"
            };
            let (kind, why) = (self.kind_text(), self.scrubbed(&error));
            format!("{what} {}/{} {kind}: {why}", id.namespace, id.name)
        })
    }

    async fn replace(&self, client: &Client, live: &Value) -> Result<(), String> {
        let mut whole = self.object.clone();
        if let (Some(version), Some(meta)) =
            (live.pointer("/metadata/resourceVersion"), whole.get_mut("metadata"))
        {
            meta["resourceVersion"] = version.clone();
        }
        let body = serde_json::to_vec(&whole).map_err(|error| error.to_string())?;
        let params = PostParams { field_manager: Some(NAME.to_owned()), ..PostParams::default() };
        let request = Request::new(&self.collection).replace(&self.entry.id.name, &params, body);
        let replaced = send::<Value>(client, request).await;
        replaced.map(drop).map_err(|error| format!("failed to replace object: {}", self.scrubbed(&error)))
    }

    /// Folds what Helm set by client-side apply into what the server applies for us.
    async fn fold(&self, client: &Client, live: &Value) -> Result<(), String> {
        let mut live = live.clone();
        for attempt in 0..4 {
            let Some(patch) = fold_updates(&live, &["helm", NAME], NAME) else { return Ok(()) };
            let error = match self.patch(client, JSON_PATCH, &patch).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let conflict = matches!(&error, kube::Error::Api(status) if status.code == 409);
            if !conflict || attempt == 3 {
                let kind = self.kind_text();
                return Err(format!(
                    "failed to patch object to upgrade CSA field manager {}/{} {kind}: {}",
                    self.entry.id.namespace,
                    self.entry.id.name,
                    self.scrubbed(&error)
                ));
            }
            match self.read(client).await? {
                Some(now) => live = now,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    async fn patch(&self, client: &Client, content: &str, patch: &Value) -> Result<(), kube::Error> {
        let url = format!("{}/{}?fieldManager={NAME}", self.collection, self.entry.id.name);
        let body = serde_json::to_vec(patch).map_err(kube::Error::SerdeError)?;
        let request = http::Request::patch(url).header(http::header::CONTENT_TYPE, content).body(body);
        let request = request.map_err(kube::core::request::Error::BuildRequest);
        send::<Value>(client, request).await.map(drop)
    }

    /// Deletes the object; says whether it was there.
    pub(crate) async fn delete(&self, client: &Client, policy: PropagationPolicy) -> Result<bool, String> {
        let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        match send::<Value>(client, Request::new(&self.collection).delete(&self.entry.id.name, &params)).await
        {
            Ok(_) => Ok(true),
            Err(error) if is_not_found(&error) => Ok(false),
            Err(error) => Err(said(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_split_and_lists_taken_apart() {
        let manifest = "---\n# Source: a\nkind: A\n---\n# only a comment\n---\nkind: ConfigMapList\nitems:\n- kind: B\n- kind: C\n";
        let kinds: Vec<Value> =
            objects(manifest).unwrap().iter().map(|object| object["kind"].clone()).collect();
        assert_eq!(kinds, ["A", "B", "C"]);
        assert!(objects("---\n- a\n").is_err());
    }
}
