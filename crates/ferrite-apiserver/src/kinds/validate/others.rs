//! Kinds of the smaller groups.

use serde_json::{Value, json};

use super::{count_or_percent, immutable, label_selector, names, problems, unsupported};
use crate::json::{is_empty, items, text};
use crate::resources::Resource;
use crate::status::Cause;

pub(super) fn object(resource: &Resource, live: Option<&Value>, o: &Value, out: &mut Vec<Cause>) {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("autoscaling", _) => autoscaler(resource, o, out),
        ("policy", "poddisruptionbudgets") => budget(o, out),
        ("networking.k8s.io", "ingresses") => ingress(live, o, out),
        ("storage.k8s.io", "storageclasses") => {
            if text(o, "provisioner").is_empty() {
                out.push(Cause::required("provisioner", ""));
            }
            if let Some(live) = live {
                for key in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
                    if live[key] != o[key] {
                        match key {
                            "parameters" | "reclaimPolicy" => {
                                out.push(Cause::forbidden(key, "updates to parameters are forbidden."))
                            }
                            _ => out.push(Cause::invalid(key, &o[key], super::IMMUTABLE)),
                        }
                    }
                }
            }
        }
        ("scheduling.k8s.io", "priorityclasses") => priority_class(live, o, out),
        ("rbac.authorization.k8s.io", "roles" | "clusterroles") => role(resource, o, out),
        ("rbac.authorization.k8s.io", _) => binding(resource, live, o, out),
        ("coordination.k8s.io", "leases") => lease(o, out),
        ("node.k8s.io", "runtimeclasses") => {
            if let Some(live) = live {
                immutable("handler", &live["handler"], &o["handler"], out);
            }
        }
        _ => {}
    }
}

fn autoscaler(resource: &Resource, o: &Value, out: &mut Vec<Cause>) {
    let spec = &o["spec"];
    let (least, most) =
        (spec["minReplicas"].as_i64().unwrap_or(1), spec["maxReplicas"].as_i64().unwrap_or_default());
    if least < 1 {
        out.push(Cause::invalid("spec.minReplicas", &least.into(), "must be greater than or equal to 1"));
    }
    if most < 1 {
        out.push(Cause::required("spec.maxReplicas", "must be set and greater than 0"));
    }
    if most < least {
        out.push(Cause::invalid(
            "spec.maxReplicas",
            &most.into(),
            "must be greater than or equal to `minReplicas`",
        ));
    }
    let target = &spec["scaleTargetRef"];
    for key in ["kind", "name"] {
        if text(target, key).is_empty() {
            out.push(Cause::required(format!("spec.scaleTargetRef.{key}"), ""));
        }
    }
    if resource.version == "v2" || !text(target, "apiVersion").is_empty() {
        let version = text(target, "apiVersion");
        let core = ["ReplicationController"].contains(&text(target, "kind"));
        if version.is_empty() && !core {
            out.push(Cause::invalid(
                "spec.scaleTargetRef.apiVersion",
                &"".into(),
                "apiVersion must specify API group",
            ));
        }
    }
}

fn budget(o: &Value, out: &mut Vec<Cause>) {
    let spec = &o["spec"];
    let (least, most) = (&spec["minAvailable"], &spec["maxUnavailable"]);
    if !least.is_null() && !most.is_null() {
        let shown = json!({"MinAvailable": least, "Selector": spec["selector"], "MaxUnavailable": most,
            "UnhealthyPodEvictionPolicy": spec["unhealthyPodEvictionPolicy"]});
        out.push(Cause::invalid("spec", &shown, "minAvailable and maxUnavailable cannot be both set"));
    }
    for (key, value) in [("minAvailable", least), ("maxUnavailable", most)] {
        count_or_percent(&format!("spec.{key}"), value, out);
    }
    label_selector("spec.selector", &spec["selector"], out);
}

fn ingress(live: Option<&Value>, o: &Value, out: &mut Vec<Cause>) {
    let spec = &o["spec"];
    if is_empty(&spec["rules"]) && spec["defaultBackend"].is_null() {
        out.push(Cause::invalid(
            "spec",
            &Value::Null,
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    for (i, rule) in items(&spec["rules"]).iter().enumerate() {
        let at = format!("spec.rules[{i}]");
        let host = text(rule, "host");
        if host.parse::<std::net::IpAddr>().is_ok() {
            out.push(Cause::invalid(
                format!("{at}.host"),
                &host.into(),
                "must be a DNS name, not an IP address",
            ));
        } else if !host.is_empty() {
            problems(
                &format!("{at}.host"),
                host,
                &names::subdomain(host.strip_prefix("*.").unwrap_or(host)),
                out,
            );
        }
        if rule["http"].is_object() && items(&rule["http"]["paths"]).is_empty() {
            out.push(Cause::required(format!("{at}.http.paths"), ""));
        }
        for (j, path) in items(&rule["http"]["paths"]).iter().enumerate() {
            http_path(path, &format!("{at}.http.paths[{j}]"), out);
        }
    }
    if spec["defaultBackend"].is_object() {
        backend(&spec["defaultBackend"], "spec.defaultBackend", out);
    }
    let (class, noted) =
        (text(spec, "ingressClassName"), text(&o["metadata"]["annotations"], "kubernetes.io/ingress.class"));
    if live.is_none() && !class.is_empty() && !noted.is_empty() && class != noted {
        let why = "must match `ingressClassName` when both are specified";
        out.push(Cause::invalid("annotations.kubernetes.io/ingress.class", &noted.into(), why));
    }
}

fn http_path(path: &Value, at: &str, out: &mut Vec<Cause>) {
    match text(path, "pathType") {
        "" => out.push(Cause::required(format!("{at}.pathType"), "pathType must be specified")),
        "Exact" | "Prefix" => {
            if !text(path, "path").starts_with('/') {
                out.push(Cause::invalid(format!("{at}.path"), &path["path"], "must be an absolute path"));
            }
        }
        "ImplementationSpecific" => {
            let given = text(path, "path");
            if !given.is_empty() && !given.starts_with('/') {
                out.push(Cause::invalid(format!("{at}.path"), &path["path"], "must be an absolute path"));
            }
        }
        _ => unsupported(
            &format!("{at}.pathType"),
            &path["pathType"],
            &["Exact", "ImplementationSpecific", "Prefix"],
            out,
        ),
    }
    backend(&path["backend"], &format!("{at}.backend"), out);
}

fn backend(backend: &Value, at: &str, out: &mut Vec<Cause>) {
    let service = &backend["service"];
    if service.is_null() && backend["resource"].is_null() {
        return out.push(Cause::invalid(at, &"".into(), "resource or service backend is required"));
    }
    if !service.is_object() {
        return;
    }
    let name = text(service, "name");
    if name.is_empty() {
        out.push(Cause::required(format!("{at}.service.name"), ""));
    } else {
        problems(&format!("{at}.service.name"), name, &names::label_1035(name), out);
    }
    let (number, named) =
        (service["port"]["number"].as_i64().unwrap_or_default(), text(&service["port"], "name"));
    if number == 0 && named.is_empty() {
        out.push(Cause::required(at, "port name or number is required"));
    } else if named.is_empty() {
        super::port_number(&format!("{at}.service.port.number"), &service["port"]["number"], out);
    }
}

fn priority_class(live: Option<&Value>, o: &Value, out: &mut Vec<Cause>) {
    let name = text(&o["metadata"], "name");
    if name.starts_with("system-") && !matches!(name, "system-cluster-critical" | "system-node-critical") {
        let why = format!(
            "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a known system priority class"
        );
        out.push(Cause::forbidden("metadata.name", &why));
    }
    if let Some(live) = live {
        if live["value"].as_i64().unwrap_or_default() != o["value"].as_i64().unwrap_or_default() {
            out.push(Cause::forbidden("value", "may not be changed in an update."));
        }
        immutable("preemptionPolicy", &live["preemptionPolicy"], &o["preemptionPolicy"], out);
    }
}

fn role(resource: &Resource, o: &Value, out: &mut Vec<Cause>) {
    for (i, rule) in items(&o["rules"]).iter().enumerate() {
        let at = format!("rules[{i}]");
        if is_empty(&rule["verbs"]) {
            out.push(Cause::required(format!("{at}.verbs"), "verbs must contain at least one value"));
        }
        if !is_empty(&rule["nonResourceURLs"]) {
            if resource.namespaced {
                let why = "namespaced rules cannot apply to non-resource URLs";
                out.push(Cause::invalid(format!("{at}.nonResourceURLs"), &rule["nonResourceURLs"], why));
            }
            continue;
        }
        if is_empty(&rule["apiGroups"]) {
            out.push(Cause::required(
                format!("{at}.apiGroups"),
                "resource rules must supply at least one api group",
            ));
        }
        if is_empty(&rule["resources"]) {
            out.push(Cause::required(
                format!("{at}.resources"),
                "resource rules must supply at least one resource",
            ));
        }
    }
}

fn binding(resource: &Resource, live: Option<&Value>, o: &Value, out: &mut Vec<Cause>) {
    let role = &o["roleRef"];
    let group = text(role, "apiGroup");
    if group != "rbac.authorization.k8s.io" {
        out.push(Cause::unsupported("roleRef.apiGroup", &group.into(), &["rbac.authorization.k8s.io"]));
    }
    let kinds: &[&str] = if resource.namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    unsupported("roleRef.kind", &role["kind"], kinds, out);
    if text(role, "name").is_empty() {
        out.push(Cause::required("roleRef.name", ""));
    } else {
        problems("roleRef.name", text(role, "name"), &names::path_segment(text(role, "name")), out);
    }
    for (i, subject) in items(&o["subjects"]).iter().enumerate() {
        let at = format!("subjects[{i}]");
        if text(subject, "name").is_empty() {
            out.push(Cause::required(format!("{at}.name"), ""));
        }
        match text(subject, "kind") {
            "ServiceAccount" => {
                if !text(subject, "apiGroup").is_empty() {
                    out.push(Cause::unsupported(format!("{at}.apiGroup"), &subject["apiGroup"], &[""]));
                }
                if !resource.namespaced && text(subject, "namespace").is_empty() {
                    out.push(Cause::required(format!("{at}.namespace"), ""));
                }
            }
            "User" | "Group" => {
                if text(subject, "apiGroup") != "rbac.authorization.k8s.io" {
                    out.push(Cause::unsupported(
                        format!("{at}.apiGroup"),
                        &subject["apiGroup"],
                        &["rbac.authorization.k8s.io"],
                    ));
                }
            }
            _ => out.push(Cause::unsupported(
                format!("{at}.kind"),
                &subject["kind"],
                &["ServiceAccount", "User", "Group"],
            )),
        }
    }
    if let Some(live) = live
        && live["roleRef"] != *role
    {
        let shown = json!({"APIGroup": text(role, "apiGroup"), "Kind": text(role, "kind"), "Name": text(role, "name")});
        out.push(Cause::invalid("roleRef", &shown, "cannot change roleRef"));
    }
}

fn lease(o: &Value, out: &mut Vec<Cause>) {
    let spec = &o["spec"];
    if spec["leaseDurationSeconds"].as_i64().is_some_and(|d| d <= 0) {
        out.push(Cause::invalid(
            "spec.leaseDurationSeconds",
            &spec["leaseDurationSeconds"],
            "must be greater than 0",
        ));
    }
    super::natural("spec.leaseTransitions", &spec["leaseTransitions"], out);
}
