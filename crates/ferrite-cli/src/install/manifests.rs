//! The manifests of an installation, made of the embedded ones by the kustomize engine; pure.

use anyhow::{Context as _, Result, bail};
use ferrite_tree::MemoryTree;
use serde_json::{Value, json};

use super::embedded::FILES;
use crate::export::document;
use crate::version::VERSION;

/// The components there are, in the order of installation; all of them are the default.
pub(crate) const COMPONENTS: &[&str] =
    &["source-controller", "kustomize-controller", "helm-controller", "notification-controller"];

/// Flags of `install` and `bootstrap` that shape the manifests.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Shape {
    /// Components to install.
    #[arg(long, value_delimiter = ',', default_values_t = COMPONENTS.iter().map(|name| (*name).to_owned()))]
    pub(crate) components: Vec<String>,
    /// More components.
    #[arg(long, value_delimiter = ',')]
    pub(crate) components_extra: Vec<String>,
    /// Registry that the images are pulled from.
    #[arg(long, default_value = "ferrite")]
    pub(crate) registry: String,
    /// Version of the images. Default: this program's.
    #[arg(id = "image_version", short = 'v', long = "image-version", default_value = VERSION)]
    pub(crate) version: String,
    /// Secret for pulling the images.
    #[arg(long)]
    pub(crate) image_pull_secret: Option<String>,
    /// Credentials of the registry, as user:password, to store in --image-pull-secret.
    #[arg(long, requires = "image_pull_secret")]
    pub(crate) registry_creds: Option<String>,
    /// Watch all namespaces; else only the one of the installation.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) watch_all_namespaces: bool,
    /// Deny ingress to the controllers from other namespaces.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub(crate) network_policy: bool,
    /// How much the controllers log.
    #[arg(long, default_value = "info", value_parser = ["debug", "info", "error"])]
    pub(crate) log_level: String,
    /// Internal domain of the cluster.
    #[arg(long, default_value = "cluster.local")]
    pub(crate) cluster_domain: String,
    /// Keys of taints that the pods tolerate.
    #[arg(long, value_delimiter = ',')]
    pub(crate) toleration_keys: Vec<String>,
}

impl Shape {
    /// The components wanted, in the order of installation.
    ///
    /// # Errors
    ///
    /// When there is no such component.
    pub(crate) fn components(&self) -> Result<Vec<&'static str>> {
        let wanted: Vec<&String> = self.components.iter().chain(&self.components_extra).collect();
        if let Some(unknown) = wanted.iter().find(|name| !COMPONENTS.contains(&name.as_str())) {
            bail!("component {unknown} is not available; there are {}", COMPONENTS.join(", "));
        }
        if !wanted.iter().any(|name| *name == "source-controller") {
            bail!("component source-controller is required");
        }
        Ok(COMPONENTS.iter().copied().filter(|name| wanted.iter().any(|wanted| wanted == name)).collect())
    }
}

/// The objects, in the order of the build.
///
/// # Errors
///
/// When a component is unknown, or a value cannot be part of a manifest.
pub(crate) fn objects(shape: &Shape, namespace: &str) -> Result<Vec<Value>> {
    let components = shape.components()?;
    let mut tree = MemoryTree::builder();
    let mut definitions = Vec::new();
    for (index, text) in ferrite_api::crds::ALL.iter().enumerate() {
        let path = format!("crds/{index}.yaml");
        tree.insert(&path, text.as_bytes(), false)?;
        definitions.push(path);
    }
    for (path, text) in FILES {
        tree.insert(
            &format!("config/{path}"),
            adjusted(path, text, shape, namespace, &components).as_bytes(),
            false,
        )?;
    }
    let root = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": definitions.into_iter().chain(["config/base".to_owned()])
            .chain(components.iter().map(|name| format!("config/{name}"))).collect::<Vec<_>>(),
        "labels": [{"includeTemplates": true, "pairs": {
            "app.kubernetes.io/instance": namespace,
            "app.kubernetes.io/part-of": "flux",
            "app.kubernetes.io/version": shape.version,
        }}],
        "images": components.iter().map(|name| json!({
            "name": format!("ferrite/{name}"), "newName": format!("{}/{name}", shape.registry), "newTag": shape.version,
        })).collect::<Vec<_>>(),
        "patches": patches(shape),
    });
    tree.insert("kustomization.yaml", ferrite_yaml::write(&root).as_bytes(), false)?;
    let built = ferrite_kustomize::build(&tree.build(), ".", &ferrite_kustomize::Options::default());
    let mut objects = built.context("cannot build the manifests")?.into_objects();
    // Definitions and the namespace first, so that a plain apply of the stream works.
    objects.sort_by_key(|object| match object.get("kind").and_then(Value::as_str) {
        Some("Namespace") => 0,
        Some("CustomResourceDefinition") => 1,
        _ => 2,
    });
    Ok(objects)
}

/// An embedded text with the flags' values in it: they stand at known places of our own manifests.
fn adjusted(path: &str, text: &str, shape: &Shape, namespace: &str, components: &[&str]) -> String {
    let mut text = text.to_owned();
    if path == "base/kustomization.yaml" && !shape.network_policy {
        let kept = text.lines().filter(|line| !line.starts_with("- allow-"));
        text = kept.map(|line| format!("{line}\n")).collect();
    }
    if !components.contains(&"notification-controller") {
        let address = "--events-addr=http://notification-controller.$(RUNTIME_NAMESPACE).svc.cluster.local./";
        text = text.replace(address, "--events-addr=");
    }
    text.replace("flux-system", namespace)
        .replace(".svc.cluster.local.", &format!(".svc.{}.", shape.cluster_domain))
        .replace(
            "--watch-all-namespaces=true",
            &format!("--watch-all-namespaces={}", shape.watch_all_namespaces),
        )
        .replace("--log-level=info", &format!("--log-level={}", shape.log_level))
}

fn patches(shape: &Shape) -> Vec<Value> {
    let mut operations = Vec::new();
    let mut add = |path: &str, value: Value| {
        operations.push(json!({"op": "add", "path": format!("/spec/template/spec/{path}"), "value": value}));
    };
    if let Some(secret) = &shape.image_pull_secret {
        add("imagePullSecrets", json!([{"name": secret}]));
    }
    if !shape.toleration_keys.is_empty() {
        let keys = shape.toleration_keys.iter().map(|key| json!({"key": key, "operator": "Exists"}));
        add("tolerations", keys.collect());
    }
    if operations.is_empty() {
        return Vec::new();
    }
    vec![json!({"target": {"kind": "Deployment"}, "patch": ferrite_yaml::write(&operations.into())})]
}

/// The manifests as the file that is kept in Git.
///
/// # Errors
///
/// As [`objects`].
pub(crate) fn text(shape: &Shape, namespace: &str) -> Result<String> {
    let mut out = format!(
        "---\n# This manifest was generated by ferrite. DO NOT EDIT.\n# Ferrite Version: {}\n# Components: {}\n",
        shape.version,
        shape.components()?.join(",")
    );
    for object in objects(shape, namespace)? {
        out.push_str(&document(&object));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        shape: Shape,
    }

    fn shape(flags: &[&str]) -> Shape {
        Flags::parse_from([&["ferrite"], flags].concat()).shape
    }

    fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> Option<&'a Value> {
        objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
    }

    #[test]
    fn by_default_everything_is_there() {
        let objects = objects(&shape(&[]), "flux-system").unwrap();
        assert_eq!(objects[0]["kind"], "Namespace");
        assert_eq!(objects[1]["kind"], "CustomResourceDefinition");
        for name in COMPONENTS {
            let deployment = named(&objects, "Deployment", name).unwrap();
            let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
            assert_eq!(image, &json!(format!("ferrite/{name}:{VERSION}")));
        }
        assert!(named(&objects, "NetworkPolicy", "allow-egress").is_some());
    }

    #[test]
    fn flags_shape_the_manifests() {
        let flags = [
            "--components=source-controller,kustomize-controller",
            "--network-policy=false",
            "--watch-all-namespaces=false",
            "--log-level=debug",
            "--cluster-domain=example.org",
            "--registry=registry.example.com/ferrite",
            "--image-pull-secret=pull",
            "--toleration-keys=dedicated",
        ];
        let objects = objects(&shape(&flags), "gitops").unwrap();
        assert!(named(&objects, "NetworkPolicy", "allow-egress").is_none());
        assert!(named(&objects, "Deployment", "helm-controller").is_none());
        assert!(named(&objects, "ClusterRoleBinding", "cluster-reconciler-gitops").is_some());
        let deployment = named(&objects, "Deployment", "source-controller").unwrap();
        assert_eq!(deployment["metadata"]["namespace"], "gitops");
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["imagePullSecrets"], json!([{"name": "pull"}]));
        assert_eq!(pod["tolerations"], json!([{"key": "dedicated", "operator": "Exists"}]));
        assert_eq!(
            pod["containers"][0]["args"],
            json!([
                "--events-addr=",
                "--watch-all-namespaces=false",
                "--log-level=debug",
                "--log-encoding=json",
                "--enable-leader-election",
                "--storage-path=/data",
                "--storage-adv-addr=source-controller.$(RUNTIME_NAMESPACE).svc.example.org.",
            ])
        );
    }

    #[test]
    fn an_unknown_component_is_refused() {
        let error = objects(&shape(&["--components-extra=image-reflector-controller"]), "flux-system");
        assert!(error.unwrap_err().to_string().contains("image-reflector-controller is not available"));
    }
}
