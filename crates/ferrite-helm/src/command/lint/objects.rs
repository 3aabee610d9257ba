//! What lint says of rendered objects: names, versions that are gone, selectors.

use serde_json::Value;

use super::{Finding, Severity, finding};
use crate::{KubeVersion, Rendered, go_yaml};

/// `apiVersion`, kind, minor version of Kubernetes that deprecated it, that removed it, and what to use instead.
const GONE: [(&str, &str, u32, u32, &str); 25] = [
    ("extensions/v1beta1", "Deployment", 8, 16, "apps/v1 Deployment"),
    ("extensions/v1beta1", "DaemonSet", 8, 16, "apps/v1 DaemonSet"),
    ("extensions/v1beta1", "ReplicaSet", 8, 16, "apps/v1 ReplicaSet"),
    ("extensions/v1beta1", "NetworkPolicy", 9, 16, "networking.k8s.io/v1 NetworkPolicy"),
    ("extensions/v1beta1", "Ingress", 14, 22, "networking.k8s.io/v1 Ingress"),
    ("apps/v1beta1", "Deployment", 8, 16, "apps/v1 Deployment"),
    ("apps/v1beta1", "StatefulSet", 8, 16, "apps/v1 StatefulSet"),
    ("apps/v1beta2", "Deployment", 9, 16, "apps/v1 Deployment"),
    ("apps/v1beta2", "DaemonSet", 9, 16, "apps/v1 DaemonSet"),
    ("apps/v1beta2", "ReplicaSet", 9, 16, "apps/v1 ReplicaSet"),
    ("apps/v1beta2", "StatefulSet", 9, 16, "apps/v1 StatefulSet"),
    ("policy/v1beta1", "PodDisruptionBudget", 21, 25, "policy/v1 PodDisruptionBudget"),
    ("batch/v1beta1", "CronJob", 21, 25, "batch/v1 CronJob"),
    ("rbac.authorization.k8s.io/v1beta1", "Role", 17, 22, "rbac.authorization.k8s.io/v1 Role"),
    ("rbac.authorization.k8s.io/v1beta1", "RoleBinding", 17, 22, "rbac.authorization.k8s.io/v1 RoleBinding"),
    ("rbac.authorization.k8s.io/v1beta1", "ClusterRole", 17, 22, "rbac.authorization.k8s.io/v1 ClusterRole"),
    (
        "rbac.authorization.k8s.io/v1beta1",
        "ClusterRoleBinding",
        17,
        22,
        "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "ValidatingWebhookConfiguration",
        16,
        22,
        "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io/v1beta1",
        "MutatingWebhookConfiguration",
        16,
        22,
        "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration",
    ),
    ("networking.k8s.io/v1beta1", "Ingress", 19, 22, "networking.k8s.io/v1 Ingress"),
    ("networking.k8s.io/v1beta1", "IngressClass", 19, 22, "networking.k8s.io/v1 IngressClass"),
    ("storage.k8s.io/v1beta1", "StorageClass", 19, 22, "storage.k8s.io/v1 StorageClass"),
    ("storage.k8s.io/v1beta1", "CSIDriver", 19, 22, "storage.k8s.io/v1 CSIDriver"),
    ("scheduling.k8s.io/v1beta1", "PriorityClass", 14, 22, "scheduling.k8s.io/v1 PriorityClass"),
    ("coordination.k8s.io/v1beta1", "Lease", 19, 22, "coordination.k8s.io/v1 Lease"),
];

/// Findings for the chart's own objects, hooks among them, in the order of their files.
pub(super) fn findings(rendered: &Rendered, kube: &KubeVersion) -> Vec<Finding> {
    let manifests = rendered.manifests.iter().map(|m| (m.path.as_str(), m.content.as_str()));
    let hooks = rendered.hooks.iter().map(|h| (h.path.as_str(), h.manifest.as_str()));
    let mut documents: Vec<(&str, &str)> = manifests.chain(hooks).collect();
    documents.sort_by_key(|(path, _)| *path);
    let mut findings = Vec::new();
    for (path, text) in documents {
        let Some((_, path)) = path.split_once('/') else { continue };
        if path.starts_with("charts/") {
            continue;
        }
        if let Ok(object @ Value::Object(_)) = go_yaml::decode_exact(text) {
            object_findings(path, text, &object, kube, &mut findings);
        }
    }
    findings
}

fn object_findings(path: &str, text: &str, object: &Value, kube: &KubeVersion, findings: &mut Vec<Finding>) {
    let field = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (field("apiVersion"), field("kind"));
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let generated = object.pointer("/metadata/generateName").is_some();
    if let Some(why) = bad_name(kind, name).filter(|_| !generated && !kind.ends_with("List")) {
        let quoted = ferrite_gotemplate::quote(name.as_bytes());
        let text = format!(
            "object name does not conform to Kubernetes naming requirements: {quoted}: metadata.name: Invalid value: {quoted}: {why}"
        );
        findings.push(finding(Severity::Warning, path, text));
    }
    let minor: u32 = kube.minor.parse().unwrap_or(u32::MAX);
    if let Some((_, _, deprecated, removed, instead)) =
        GONE.iter().find(|(v, k, deprecated, ..)| *v == version && *k == kind && minor >= *deprecated)
    {
        let text = format!(
            "{version} {kind} is deprecated in v1.{deprecated}+, unavailable in v1.{removed}+; use {instead}"
        );
        findings.push(finding(Severity::Warning, path, text));
    }
    let selects = matches!(kind, "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet");
    if selects && !text.contains("matchLabels") && !text.contains("matchExpressions") {
        let text = format!("a {kind} must contain matchLabels or matchExpressions, and {name:?} does not");
        findings.push(finding(Severity::Error, path, text));
    }
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1123: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// Which rule of Kubernetes a name breaks.
fn bad_name(kind: &str, name: &str) -> Option<String> {
    let label = |part: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(part.chars().next())
            && edge(part.chars().last())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let (longest, fits, rule) = match kind {
        "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding" | "CertificateSigningRequest" => {
            return match name {
                "." | ".." => Some(format!("may not be '{name}'")),
                name if name.contains('/') => Some("may not contain '/'".into()),
                name if name.contains('%') => Some("may not contain '%'".into()),
                _ => None,
            };
        }
        "Service" => (63, label(name) && name.starts_with(|c: char| c.is_ascii_lowercase()), LABEL_1035),
        "Namespace" => (63, label(name), LABEL_1123),
        _ => (253, name.split('.').all(label), SUBDOMAIN),
    };
    let mut broken = Vec::new();
    if name.len() > longest {
        broken.push(format!("must be no more than {longest} characters"));
    }
    if !fits {
        broken.push(rule.to_owned());
    }
    (!broken.is_empty()).then(|| broken.join(", "))
}

#[cfg(test)]
mod tests {
    use super::bad_name;

    #[test]
    fn names_follow_the_rules_of_their_kind() {
        assert_eq!(bad_name("ConfigMap", "a.b-c"), None);
        assert!(bad_name("ConfigMap", "").is_some_and(|why| why.contains("RFC 1123 subdomain")));
        assert!(bad_name("Service", "1a").is_some_and(|why| why.contains("DNS-1035")));
        assert_eq!(bad_name("ClusterRole", "system:x"), None);
        assert_eq!(bad_name("ClusterRole", "a/b").as_deref(), Some("may not contain '/'"));
        let long = "a".repeat(64);
        assert_eq!(bad_name("Service", &long).as_deref(), Some("must be no more than 63 characters"));
    }
}
