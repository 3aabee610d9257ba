//! What is particular to built-in kinds: defaults, rules, generations, conversions.

pub(crate) mod addresses;
pub(crate) mod convert;
pub(crate) mod defaults;
pub(crate) mod metadata;
pub(crate) mod names;
pub(crate) mod validate;

use serde_json::Value;

use crate::json::text;
use crate::resources::Resource;

/// Groups and kinds of which a change of the spec is counted in `metadata.generation`.
const COUNTED: &[(&str, &str)] = &[
    ("", "pods"),
    ("", "podtemplates"),
    ("", "replicationcontrollers"),
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
    ("networking.k8s.io", "ingresses"),
    ("networking.k8s.io", "ingressclasses"),
    ("networking.k8s.io", "networkpolicies"),
    ("policy", "poddisruptionbudgets"),
    ("discovery.k8s.io", "endpointslices"),
    ("scheduling.k8s.io", "priorityclasses"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("flowcontrol.apiserver.k8s.io", "flowschemas"),
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
];

/// Whether `metadata.generation` is kept for the resource.
pub(crate) fn counts_generations(resource: &Resource) -> bool {
    resource.custom.is_some() || COUNTED.contains(&(resource.group.as_str(), resource.plural.as_str()))
}

/// Whether two objects differ in what the generation counts.
pub(crate) fn spec_differs(resource: &Resource, old: &Value, new: &Value) -> bool {
    let keeps_status = resource.sub("status").is_some();
    let counted =
        |key: &str| !matches!(key, "metadata" | "apiVersion" | "kind") && (key != "status" || !keeps_status);
    let fields = |o: &'_ Value| -> Vec<String> {
        o.as_object().into_iter().flatten().map(|(k, _)| k.clone()).collect()
    };
    let mut keys = fields(old);
    keys.extend(fields(new));
    keys.iter().filter(|k| counted(k)).any(|k| old[k.as_str()] != new[k.as_str()])
}

/// Adds the parts that Go writes even when they are empty.
pub(crate) fn empty_parts(resource: &Resource, object: &mut Value) {
    if resource.custom.is_none() {
        crate::schema::normalize(resource, object);
    }
}

/// Whether the main endpoint leaves the status alone.
fn guards_status(resource: &Resource) -> bool {
    resource.sub("status").is_some() && !resource.is("", "nodes")
}

/// Makes `new` differ from `live` only in what the endpoint may change.
pub(crate) fn confine(resource: &Resource, sub: Option<&str>, live: Option<&Value>, new: &mut Value) {
    if let (None, Some(live), true) = (sub, live, resource.is("", "namespaces")) {
        new["spec"] = live["spec"].clone();
        new["metadata"]["labels"]["kubernetes.io/metadata.name"] = live["metadata"]["name"].clone();
    }
    match (sub, live) {
        (None, _) if guards_status(resource) => match live.and_then(|l| l.get("status")) {
            Some(status) => new["status"] = status.clone(),
            None => {
                crate::json::remove(new, "status");
            }
        },
        (Some("status"), Some(live)) => {
            let status = crate::json::remove(new, "status");
            let metadata = new["metadata"].take();
            *new = live.clone();
            match status.filter(|s| !s.is_null()) {
                Some(status) => new["status"] = status,
                None => {
                    crate::json::remove(new, "status");
                }
            }
            let kept = resource.custom.is_some();
            if !kept {
                let labels = new["metadata"].get("labels").cloned();
                new["metadata"] = metadata;
                if resource.group == "apps" {
                    match labels {
                        Some(labels) => new["metadata"]["labels"] = labels,
                        None => drop(crate::json::remove(&mut new["metadata"], "labels")),
                    }
                }
            } else if let Some(managed) = metadata.get("managedFields") {
                new["metadata"]["managedFields"] = managed.clone();
            }
        }
        _ => {}
    }
}

/// What creation sets besides metadata.
pub(crate) fn on_create(resource: &Resource, object: &mut Value) {
    if counts_generations(resource) {
        object["metadata"]["generation"] = 1.into();
    }
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => namespace(object),
        ("batch", "jobs") => job(object),
        ("apps", "daemonsets") => {
            object["metadata"]["annotations"]["deprecated.daemonset.template.generation"] = "1".into();
        }
        ("apiextensions.k8s.io", "customresourcedefinitions") => crate::crd::on_create(object),
        ("", "pods") => object["status"]["qosClass"] = quality(object).into(),
        _ => {}
    }
}

/// What an update sets besides metadata.
pub(crate) fn on_update(resource: &Resource, sub: Option<&str>, live: &Value, object: &mut Value) {
    if resource.is("", "services") && sub.is_none() {
        addresses::forget(live, object);
    }
    if !counts_generations(resource) || !matches!(sub, None | Some("scale")) {
        return;
    }
    if resource.is("apps", "daemonsets") {
        template_generation(live, object);
    }
    let annotated = resource.is("apps", "deployments")
        && live["metadata"]["annotations"] != object["metadata"]["annotations"];
    if annotated || spec_differs(resource, live, object) {
        let next = live["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
        object["metadata"]["generation"] = next.into();
    }
}

/// An annotation counts the templates of a DaemonSet.
fn template_generation(live: &Value, object: &mut Value) {
    const COUNT: &str = "deprecated.daemonset.template.generation";
    let before = text(&live["metadata"]["annotations"], COUNT).parse::<u64>().unwrap_or(1);
    let changed = live["spec"]["template"] != object["spec"]["template"];
    let count = if changed { before + 1 } else { before };
    object["metadata"]["annotations"][COUNT] = count.to_string().into();
}

/// What Kubernetes warns about although it takes it.
pub(crate) fn warnings(resource: &Resource, o: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let spread = |spec: &Value, at: &str, out: &mut Vec<String>| {
        for (i, constraint) in crate::json::items(&spec["topologySpreadConstraints"]).iter().enumerate() {
            if constraint["labelSelector"].is_null() {
                let field = format!("{at}.topologySpreadConstraints[{i}].labelSelector");
                out.push(format!("{field}: a null labelSelector results in matching no pod"));
            }
        }
    };
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "services") if o["spec"]["trafficDistribution"] == "PreferClose" => {
            out.push(
                "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".to_owned(),
            );
        }
        ("", "secrets") if o["type"] == "kubernetes.io/tls" => {
            use base64::Engine as _;
            let data = base64::engine::general_purpose::STANDARD
                .decode(text(&o["data"], "tls.crt"))
                .unwrap_or_default();
            if !data.is_empty() && !String::from_utf8_lossy(&data).contains("-----BEGIN") {
                out.push("tls: failed to find any PEM data in certificate input".to_owned());
            }
        }
        ("", "pods") => spread(&o["spec"], "spec", &mut out),
        ("", "podtemplates") => spread(&o["template"]["spec"], "template.spec", &mut out),
        ("apps", _) | ("batch", "jobs") => {
            spread(&o["spec"]["template"]["spec"], "spec.template.spec", &mut out)
        }
        _ => {}
    }
    out
}

fn namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    let mut finalizers = object["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !finalizers.iter().any(|f| f == "kubernetes") {
        finalizers.push("kubernetes".into());
    }
    object["spec"]["finalizers"] = finalizers.into();
    object["status"]["phase"] = "Active".into();
}

/// A Job selects its pods by its own uid unless it says otherwise.
fn job(object: &mut Value) {
    if object["spec"]["manualSelector"] == true {
        return;
    }
    let (uid, name) =
        (text(&object["metadata"], "uid").to_owned(), text(&object["metadata"], "name").to_owned());
    let labels = &mut object["spec"]["template"]["metadata"]["labels"];
    for prefix in ["", "batch.kubernetes.io/"] {
        labels[format!("{prefix}controller-uid")] = uid.as_str().into();
        labels[format!("{prefix}job-name")] = name.as_str().into();
    }
    object["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"] = uid.into();
    if crate::json::is_empty(&object["metadata"]["labels"]) {
        object["metadata"]["labels"] = object["spec"]["template"]["metadata"]["labels"].clone();
    }
}

/// The quality of service class of a pod.
fn quality(pod: &Value) -> &'static str {
    let containers = || {
        ["containers", "initContainers"].into_iter().flat_map(|list| crate::json::items(&pod["spec"][list]))
    };
    let has = |c: &Value, side: &str, name: &str| !c["resources"][side][name].is_null();
    if containers().all(|c| ["limits", "requests"].iter().all(|s| !has(c, s, "cpu") && !has(c, s, "memory")))
    {
        return "BestEffort";
    }
    let whole = |c: &Value| {
        ["cpu", "memory"].iter().all(|r| {
            has(c, "limits", r)
                && (!has(c, "requests", r) || c["resources"]["limits"][r] == c["resources"]["requests"][r])
        })
    };
    if containers().all(whole) { "Guaranteed" } else { "Burstable" }
}

/// Resources whose deletion answers with the object instead of a Status.
pub(crate) fn deletion_shows_object(resource: &Resource) -> bool {
    match resource.group.as_str() {
        "" => matches!(
            resource.plural.as_str(),
            "pods"
                | "services"
                | "serviceaccounts"
                | "persistentvolumeclaims"
                | "persistentvolumes"
                | "podtemplates"
                | "resourcequotas"
        ),
        "storage.k8s.io" => matches!(
            resource.plural.as_str(),
            "storageclasses" | "csidrivers" | "csinodes" | "volumeattachments"
        ),
        _ => false,
    }
}

/// Resources that a replace may create.
pub(crate) fn replace_creates(resource: &Resource) -> bool {
    match resource.group.as_str() {
        "" => matches!(resource.plural.as_str(), "endpoints" | "events" | "limitranges" | "services"),
        "coordination.k8s.io" | "rbac.authorization.k8s.io" | "events.k8s.io" | "node.k8s.io" => true,
        _ => false,
    }
}
