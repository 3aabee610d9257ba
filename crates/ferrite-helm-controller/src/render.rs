//! Rendering: what the cluster can do, what templates look up in it, and what is changed afterwards.

use std::{collections::BTreeMap, sync::Arc};

use ferrite_api::{
    CommonMetadata,
    helm::{GROUP, HelmRelease, PostRenderStrategy, PostRenderer},
};
use ferrite_apply::Cluster;
use ferrite_helm::{
    Capabilities, Chart, KubeVersion, Lookup, PostRender, ReleaseInfo, RenderOptions, Rendered, Request,
    Strategy,
};
use ferrite_resource::{Entry, ObjectId};
use ferrite_tree::MemoryTree;
use kube::{
    Client,
    api::{GetParams, ListParams},
};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use crate::object::{self, said};

/// What to render.
#[derive(Debug)]
pub(crate) struct Rendering {
    pub(crate) chart: Arc<Chart>,
    pub(crate) values: Map<String, Value>,
    /// In place of the chart's default values.
    pub(crate) defaults: Option<Map<String, Value>>,
    pub(crate) info: ReleaseInfo,
    pub(crate) skip_schema: bool,
    pub(crate) post_renderer: Arc<Changes>,
    pub(crate) strategy: Strategy,
    /// Whether `getHostByName` resolves names.
    pub(crate) dns: bool,
}

/// Renders a chart for a cluster.
pub(crate) async fn render(cluster: &Cluster, rendering: Rendering) -> Result<Rendered, String> {
    let capabilities = capabilities(cluster.client()).await?;
    let lookup = ClusterLookup { cluster: cluster.clone(), handle: Handle::current(), dns: rendering.dns };
    let rendered = tokio::task::spawn_blocking(move || {
        ferrite_helm::check_release_name(&rendering.info.name)?;
        ferrite_helm::check_installable(&rendering.chart)?;
        let mut request = Request::install(&rendering.info.name, &rendering.info.namespace);
        request.release = rendering.info;
        request.capabilities = capabilities;
        request.skip_schema = rendering.skip_schema;
        request.defaults = rendering.defaults;
        request.options = RenderOptions { lookup: Some(Arc::new(lookup)), ..RenderOptions::default() };
        let changes: Arc<dyn PostRender> = rendering.post_renderer;
        request.post_renderer = Some((changes, rendering.strategy));
        ferrite_helm::render(&rendering.chart, &rendering.values, &request)
    });
    rendered.await.map_err(|panic| panic.to_string())?.map_err(|error| error.to_string())
}

async fn capabilities(client: &Client) -> Result<Capabilities, String> {
    let version = client.apiserver_version().await.map_err(|error| said(&error))?;
    let kube_version = KubeVersion::parse(&version.git_version).map_err(|error| error.to_string())?;
    let mut apis = Vec::new();
    for list in [client.list_core_api_versions_aggregated().await, client.list_api_groups_aggregated().await]
    {
        for group in list.map_err(|error| said(&error))?.items {
            let name = group.metadata.and_then(|meta| meta.name).unwrap_or_default();
            for version in group.versions {
                let Some(number) = version.version else { continue };
                let whole = if name.is_empty() { number } else { format!("{name}/{number}") };
                let kinds = version.resources.into_iter().filter_map(|r| r.response_kind?.kind);
                apis.extend(kinds.map(|kind| format!("{whole}/{kind}")));
                apis.push(whole);
            }
        }
    }
    apis.sort();
    apis.dedup();
    Ok(Capabilities { kube_version, api_versions: apis })
}

struct ClusterLookup {
    cluster: Cluster,
    handle: Handle,
    dns: bool,
}

impl Lookup for ClusterLookup {
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        if [namespace, name].iter().any(|part| part.contains(['/', '%', '?', '#'])) {
            return Err(format!("`{namespace}/{name}` names no object"));
        }
        let entry = Entry { id: ObjectId::new(group, kind, namespace, name), version: version.to_owned() };
        self.handle.block_on(async {
            let mapping = self.cluster.mapper().resolve(&entry).await.map_err(|error| error.to_string())?;
            let request = kube::core::Request::new(mapping.collection(namespace));
            let request = if name.is_empty() {
                request.list(&ListParams::default())
            } else {
                request.get(name, &GetParams::default())
            };
            let request = request.map_err(|error| error.to_string())?;
            match self.cluster.client().request::<Value>(request).await {
                Ok(found) => Ok(found),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(json!({})),
                Err(error) => Err(said(&error)),
            }
        })
    }

    fn address(&self, host: &str) -> String {
        if !self.dns {
            return String::new();
        }
        let found = self.handle.block_on(tokio::net::lookup_host((host, 0)));
        found.ok().and_then(|mut all| all.next()).map(|at| at.ip().to_string()).unwrap_or_default()
    }
}

/// What is changed after rendering: kustomize's patches and images, then labels and annotations.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    kustomizations: Vec<Value>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Changes {
    pub(crate) fn of(object: &HelmRelease) -> Self {
        let CommonMetadata { mut labels, annotations } =
            object.spec.common_metadata.clone().unwrap_or_default();
        labels.extend(origin(object));
        let kustomizations = object.spec.post_renderers.iter().filter_map(kustomization).collect();
        Self { kustomizations, labels, annotations }
    }
}

/// The labels that lead back to the HelmRelease.
pub(crate) fn origin(object: &HelmRelease) -> [(String, String); 2] {
    [
        (format!("{GROUP}/name"), object.metadata.name.clone().unwrap_or_default()),
        (format!("{GROUP}/namespace"), object.metadata.namespace.clone().unwrap_or_default()),
    ]
}

/// Which documents are changed.
pub(crate) fn strategy(object: &HelmRelease, helm3_defaults: bool) -> Strategy {
    match object.spec.post_render_strategy {
        Some(PostRenderStrategy::NoHooks) => Strategy::NoHooks,
        Some(PostRenderStrategy::Separate) => Strategy::Separate,
        Some(PostRenderStrategy::Combined) => Strategy::Combined,
        None if helm3_defaults => Strategy::NoHooks,
        None => Strategy::Combined,
    }
}

fn kustomization(post_renderer: &PostRenderer) -> Option<Value> {
    let kustomize = post_renderer.kustomize.as_ref()?;
    let mut patches: Vec<Value> = kustomize.patches.iter().map(|patch| json!(patch)).collect();
    patches.extend(
        kustomize.patches_strategic_merge.iter().map(|patch| json!({"patch": ferrite_yaml::write(patch)})),
    );
    patches.extend(
        kustomize
            .patches_json6902
            .iter()
            .map(|patch| json!({"target": patch.target, "patch": ferrite_yaml::write(&json!(patch.patch))})),
    );
    Some(json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["all.yaml"], "patches": patches, "images": kustomize.images,
    }))
}

impl PostRender for Changes {
    fn run(&self, manifests: &str) -> Result<String, String> {
        let mut text = manifests.to_owned();
        for kustomization in &self.kustomizations {
            if object::objects(&text)?.is_empty() {
                break;
            }
            let mut files = MemoryTree::builder();
            for (path, content) in
                [("kustomization.yaml", &ferrite_yaml::write(kustomization)), ("all.yaml", &text)]
            {
                files.insert(path, content.as_bytes(), false).map_err(|error| error.to_string())?;
            }
            let built = ferrite_kustomize::build(&files.build(), "", &ferrite_kustomize::Options::default());
            text = built.map_err(|error| error.to_string())?.to_yaml();
        }
        let mut out = String::new();
        for mut object in object::objects(&text)? {
            label(&mut object, "labels", &self.labels);
            label(&mut object, "annotations", &self.annotations);
            out.push_str("---\n");
            ferrite_yaml::write_into(&mut out, &object);
        }
        Ok(out)
    }
}

/// Sets labels or annotations over those an object has.
pub(crate) fn label(object: &mut Value, field: &str, entries: &BTreeMap<String, String>) {
    if entries.is_empty() || !object.is_object() {
        return;
    }
    for place in ["metadata", field] {
        let parent = if place == "metadata" { Some(&mut *object) } else { object.get_mut("metadata") };
        let Some(Value::Object(parent)) = parent else { return };
        let value = parent.entry(place).or_insert_with(|| json!({}));
        if !value.is_object() {
            *value = json!({});
        }
    }
    if let Some(Value::Object(map)) = object.get_mut("metadata").and_then(|meta| meta.get_mut(field)) {
        map.extend(entries.iter().map(|(key, value)| (key.clone(), json!(value))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_images_and_labels_are_put_on() {
        let object: HelmRelease = serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "interval": "1m", "commonMetadata": {"annotations": {"team": "a"}},
                "postRenderers": [{"kustomize": {
                    "images": [{"name": "nginx", "newTag": "2"}],
                    "patches": [{"patch": "- op: replace\n  path: /spec/replicas\n  value: 3\n", "target": {"kind": "Deployment"}}],
                }}],
            },
        }))
        .unwrap();
        let manifest = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n  template: {spec: {containers: [{name: a, image: 'nginx:1'}]}}\n";
        let changed = Changes::of(&object).run(manifest).unwrap();
        let objects = object::objects(&changed).unwrap();
        assert_eq!(objects[0]["spec"]["replicas"], 3);
        assert_eq!(objects[0]["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:2");
        assert_eq!(objects[0]["metadata"]["annotations"], json!({"team": "a"}));
        let labels =
            json!({"helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "shop"});
        assert_eq!(objects[0]["metadata"]["labels"], labels);
    }
}
