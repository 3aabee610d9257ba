//! From rendered files to ordered manifests and hooks.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{error::Error, go_yaml};

/// Kinds in the order they are installed; unknown ones follow, alphabetically.
const INSTALL_ORDER: [&str; 37] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
];

/// The last of the known kinds.
const LAST_KIND: &str = "ValidatingWebhookConfiguration";

/// Kinds in the order they are removed; unknown ones follow, alphabetically.
const UNINSTALL_ORDER: [&str; 38] = [
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "APIService",
    "Ingress",
    "IngressClass",
    "Service",
    "CronJob",
    "Job",
    "StatefulSet",
    "HorizontalPodAutoscaler",
    "Deployment",
    "ReplicaSet",
    "ReplicationController",
    "Pod",
    "DaemonSet",
    "RoleBindingList",
    "RoleBinding",
    "RoleList",
    "Role",
    "ClusterRoleBindingList",
    "ClusterRoleBinding",
    "ClusterRoleList",
    "ClusterRole",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "ConfigMap",
    "SecretList",
    "Secret",
    "ServiceAccount",
    "PodDisruptionBudget",
    "PodSecurityPolicy",
    "LimitRange",
    "ResourceQuota",
    "NetworkPolicy",
    "Namespace",
    "PriorityClass",
];

/// Where a kind stands when objects are installed.
#[must_use]
pub fn install_rank(kind: &str) -> usize {
    match INSTALL_ORDER.iter().position(|known| *known == kind) {
        Some(rank) => rank,
        None if kind == LAST_KIND => INSTALL_ORDER.len(),
        None => usize::MAX,
    }
}

/// Where a kind stands when objects are removed.
#[must_use]
pub fn uninstall_rank(kind: &str) -> usize {
    UNINSTALL_ORDER.iter().position(|known| *known == kind).unwrap_or(usize::MAX)
}

/// One rendered document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Path of the template.
    pub path: String,
    /// The text, white space at its end kept.
    pub content: String,
    /// `apiVersion`
    pub api_version: String,
    /// `kind`, empty for a document of comments.
    pub kind: String,
}

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// `pre-install`
    PreInstall,
    /// `post-install`
    PostInstall,
    /// `pre-delete`
    PreDelete,
    /// `post-delete`
    PostDelete,
    /// `pre-upgrade`
    PreUpgrade,
    /// `post-upgrade`
    PostUpgrade,
    /// `pre-rollback`
    PreRollback,
    /// `post-rollback`
    PostRollback,
    /// `test`
    Test,
}

impl Event {
    const ALL: [Self; 9] = [
        Self::PreInstall,
        Self::PostInstall,
        Self::PreDelete,
        Self::PostDelete,
        Self::PreUpgrade,
        Self::PostUpgrade,
        Self::PreRollback,
        Self::PostRollback,
        Self::Test,
    ];

    /// The word in the annotation and in a stored release.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDelete => "pre-delete",
            Self::PostDelete => "post-delete",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::PreRollback => "pre-rollback",
            Self::PostRollback => "post-rollback",
            Self::Test => "test",
        }
    }

    /// Reads the word; `test-success` of Helm 2 is `test`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        if word == "test-success" {
            return Some(Self::Test);
        }
        Self::ALL.into_iter().find(|event| event.as_str() == word)
    }
}

/// An object that runs at an event rather than being part of the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// `metadata.name`
    pub name: String,
    /// `kind`
    pub kind: String,
    /// Path of the template.
    pub path: String,
    /// The text.
    pub manifest: String,
    /// When it runs.
    pub events: Vec<Event>,
    /// Lower runs first.
    pub weight: i64,
    /// `helm.sh/hook-delete-policy`, as written, lower case.
    pub delete_policies: Vec<String>,
    /// `helm.sh/hook-output-log-policy`, as written, lower case.
    pub output_log_policies: Vec<String>,
    /// Its last run, when it has run.
    pub last_run: HookRun,
}

/// How a hook ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookRun {
    /// RFC 3339, empty when it has not started.
    pub started_at: String,
    /// RFC 3339, empty when it has not ended.
    pub completed_at: String,
    /// `Running`, `Succeeded`, `Failed`, `Unknown` or empty.
    pub phase: String,
}

impl Hook {
    /// Whether the hook's object is deleted by a policy; without any, before a new one is made.
    #[must_use]
    pub fn deleted_by(&self, policy: &str) -> bool {
        if self.delete_policies.is_empty() {
            return policy == "before-hook-creation";
        }
        self.delete_policies.iter().any(|known| known == policy)
    }

    /// Whether this hook only runs in tests.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.events.contains(&Event::Test)
    }
}

/// The hooks of an event in the order they run: by weight, then by name; kinds decide between equals.
#[must_use]
pub fn hooks_for(hooks: &[Hook], event: Event) -> Vec<&Hook> {
    let mut chosen: Vec<&Hook> = hooks.iter().filter(|hook| hook.events.contains(&event)).collect();
    chosen.sort_by(|a, b| a.weight.cmp(&b.weight).then_with(|| a.name.cmp(&b.name)));
    chosen
}

/// Splits a file into its documents, as text: at lines that start with `---` and blanks.
#[must_use]
pub(crate) fn split(text: &str) -> Vec<&str> {
    let text = text.trim_start();
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("---") {
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            documents.extend(text.get(start..at));
            // A line that is only a separator ends with it; anything else belongs to the next document.
            start = at + 3 + blanks;
        }
        at += line.len();
    }
    documents.extend(text.get(start..));
    documents.into_iter().map(str::trim_start).filter(|document| !document.is_empty()).collect()
}

/// Manifests and hooks of rendered files, in install order.
///
/// # Errors
///
/// [`Error::Manifest`] when a document is no YAML, or its head is not that of an object.
pub(crate) fn sort(files: &BTreeMap<String, String>) -> Result<(Vec<Manifest>, Vec<Hook>), Error> {
    let (mut manifests, mut hooks) = (Vec::new(), Vec::new());
    for (path, content) in files {
        let base = path.rsplit('/').next().unwrap_or(path);
        if base.starts_with('_') || content.trim().is_empty() {
            continue;
        }
        for document in split(content) {
            let head = Head::read(document)
                .map_err(|e| Error::manifest(format!("YAML parse error on {path}: {e}")))?;
            match head.annotation("helm.sh/hook") {
                None => manifests.push(Manifest {
                    path: path.clone(),
                    content: document.to_owned(),
                    api_version: head.api_version,
                    kind: head.kind,
                }),
                Some(words) => hooks.extend(hook(path, document, &head, words)),
            }
        }
    }
    manifests.sort_by(|a, b| by_kind(&a.kind, &b.kind));
    hooks.sort_by(|a: &Hook, b: &Hook| by_kind(&a.kind, &b.kind));
    Ok((manifests, hooks))
}

fn by_kind(a: &str, b: &str) -> std::cmp::Ordering {
    let ranks = (install_rank(a), install_rank(b));
    ranks
        .0
        .cmp(&ranks.1)
        .then_with(|| if ranks.0 == usize::MAX { a.cmp(b) } else { std::cmp::Ordering::Equal })
}

/// A document with an unknown event is neither hook nor manifest.
fn hook(path: &str, document: &str, head: &Head, words: &str) -> Option<Hook> {
    let events: Option<Vec<Event>> =
        words.split(',').map(|word| Event::parse(word.trim().to_lowercase().as_str())).collect();
    let list = |key: &str| {
        let words =
            head.annotation(key).map(|text| text.split(',').map(|word| word.trim().to_lowercase()).collect());
        words.unwrap_or_default()
    };
    Some(Hook {
        name: head.name.clone(),
        kind: head.kind.clone(),
        path: path.to_owned(),
        manifest: document.to_owned(),
        events: events?,
        weight: head.annotation("helm.sh/hook-weight").and_then(|w| w.parse().ok()).unwrap_or(0),
        delete_policies: list("helm.sh/hook-delete-policy"),
        output_log_policies: list("helm.sh/hook-output-log-policy"),
        last_run: HookRun::default(),
    })
}

/// What Helm reads of every document.
#[derive(Debug, Default)]
struct Head {
    api_version: String,
    kind: String,
    name: String,
    annotations: Vec<(String, String)>,
}

impl Head {
    fn read(document: &str) -> Result<Self, String> {
        let value = go_yaml::decode_exact(document).map_err(|e| e.0)?;
        let root = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(root) => root,
            other => return Err(go_yaml::wrong_type(&other, "util.SimpleHead")),
        };
        let mut head = Self {
            api_version: text(&root, "apiVersion", "")?,
            kind: text(&root, "kind", "")?,
            ..Self::default()
        };
        match root.get("metadata") {
            None | Some(Value::Null) => {}
            Some(Value::Object(metadata)) => {
                head.name = text(metadata, "name", ".metadata")?;
                match metadata.get("annotations") {
                    None | Some(Value::Null) => {}
                    Some(Value::Object(annotations)) => {
                        for key in annotations.keys() {
                            head.annotations
                                .push((key.clone(), text(annotations, key, ".metadata.annotations")?));
                        }
                    }
                    Some(other) => return Err(mismatch(other, ".metadata.annotations", "map[string]string")),
                }
            }
            Some(other) => {
                return Err(mismatch(
                    other,
                    ".metadata",
                    "struct { Name string \"json:\\\"name\\\"\"; Annotations map[string]string \"json:\\\"annotations\\\"\" }",
                ));
            }
        }
        Ok(head)
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

fn mismatch(value: &Value, path: &str, wanted: &str) -> String {
    let kind = go_yaml::json_kind(value);
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go struct field {path} of type {wanted}"
    )
}

fn text(map: &serde_json::Map<String, Value>, key: &str, path: &str) -> Result<String, String> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Bool(flag)) => Ok(flag.to_string()),
        Some(Value::Number(number)) => Ok(match number.as_f64() {
            Some(float) if number.is_f64() => ferrite_gotemplate::format_float(float, b'g', None),
            _ => number.to_string(),
        }),
        Some(other) => Err(mismatch(other, &format!("{path}.{key}"), "string")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, hooks_for, install_rank, sort, split, uninstall_rank};

    #[test]
    fn documents_are_split_as_text() {
        assert_eq!(split("\n---\na: 1\n\n---\n\n  \n---\nb: 2\n"), ["a: 1\n\n", "b: 2\n"]);
        assert_eq!(
            split("a: |\n  x\n---apiVersion: v1\nk: ---\n--- # c\nd: 1"),
            ["a: |\n  x\n", "apiVersion: v1\nk: ---\n", "# c\nd: 1"]
        );
    }

    #[test]
    fn every_known_kind_has_a_place_in_both_orders() {
        assert!(install_rank("Secret") < install_rank("Deployment"));
        assert!(install_rank("ValidatingWebhookConfiguration") < install_rank("Widget"));
        assert!(uninstall_rank("Service") < uninstall_rank("Deployment"));
    }

    #[test]
    fn hooks_leave_the_manifest_and_run_by_weight() {
        let text = "apiVersion: v1\nkind: Job\nmetadata:\n  name: late\n  annotations:\n    helm.sh/hook: pre-install, POST-upgrade\n    helm.sh/hook-weight: \"5\"\n---\nkind: Pod\nmetadata:\n  name: early\n  annotations: {helm.sh/hook: pre-install}\n---\nkind: Job\nmetadata:\n  name: gone\n  annotations: {helm.sh/hook: never}\n---\nkind: Service\n---\nkind: Secret\n";
        let files = [("c/templates/x.yaml".to_owned(), text.to_owned())].into();
        let (manifests, hooks) = sort(&files).unwrap();
        assert_eq!(manifests.iter().map(|m| m.kind.as_str()).collect::<Vec<_>>(), ["Secret", "Service"]);
        let run: Vec<&str> =
            hooks_for(&hooks, Event::PreInstall).into_iter().map(|h| h.name.as_str()).collect();
        assert_eq!(run, ["early", "late"]);
        assert_eq!(hooks_for(&hooks, Event::PostUpgrade).len(), 1);
        assert!(hooks[0].deleted_by("before-hook-creation"));
    }
}
