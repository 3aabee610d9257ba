//! Single requests about objects of a release, and the objects in a manifest.

use ferrite_apply::Cluster;
use ferrite_resource::{Entry, Managers, takeover};
use ferrite_runtime::chain;
use ferrite_yaml::{Dialect, Limits};
use kube::{
    Client,
    api::{DeleteParams, GetParams, Patch, PatchParams, PropagationPolicy, ValidationDirective},
    core::Request,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

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
        format!(
            "resource mapping not found for name: \"{}\" namespace: \"{}\": {error}",
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
    client.request::<T>(request.map_err(kube::Error::BuildRequest)?).await
}

/// What an error of the API server says.
pub(crate) fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => chain(other),
    }
}

impl Item {
    /// The object as it is; `None` when it is not there.
    pub(crate) async fn read(&self, client: &Client) -> Result<Option<Value>, String> {
        let request = Request::new(&self.collection).get(&self.entry.id.name, &GetParams::default());
        match send(client, request).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(said(&error)),
        }
    }

    /// Applies the object, taking over the fields of former appliers.
    pub(crate) async fn apply(
        &self,
        client: &Client,
        live: Option<&Value>,
        managers: &Managers,
    ) -> Result<Value, String> {
        if let Some(patch) = live.and_then(|live| takeover(live, managers)) {
            let url = format!("{}/{}?fieldManager={}", self.collection, self.entry.id.name, managers.own);
            let body = serde_json::to_vec(&patch).map_err(|error| error.to_string())?;
            let request = http::Request::patch(url)
                .header(http::header::CONTENT_TYPE, "application/json-patch+json")
                .body(body);
            send::<Value>(client, request.map_err(kube::core::request::Error::BuildRequest))
                .await
                .map_err(|error| said(&error))?;
        }
        let mut params = PatchParams::apply(&managers.own).force();
        params.field_validation = Some(ValidationDirective::Strict);
        let request =
            Request::new(&self.collection).patch(&self.entry.id.name, &params, &Patch::Apply(&self.object));
        send(client, request).await.map_err(|error| said(&error))
    }

    /// Deletes the object; says whether it was there.
    pub(crate) async fn delete(&self, client: &Client, policy: PropagationPolicy) -> Result<bool, String> {
        let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        match send::<Value>(client, Request::new(&self.collection).delete(&self.entry.id.name, &params)).await
        {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
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
