//! Pods and templates of pods.

use serde_json::Value;

use super::{label_selector, names, port_number, problems, unsupported};
use crate::json::{is_empty, items, text};
use crate::kinds::metadata;
use crate::status::Cause;

pub(super) fn pod(live: Option<&Value>, o: &Value, out: &mut Vec<Cause>) {
    spec(&o["spec"], "spec", out);
    if let Some(live) = live {
        let fixed = |spec: &Value| {
            let mut spec = spec.clone();
            for list in ["containers", "initContainers"] {
                crate::kinds::defaults::each(&mut spec, list, |c| drop(crate::json::remove(c, "image")));
            }
            for free in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"]
            {
                crate::json::remove(&mut spec, free);
            }
            spec
        };
        if fixed(&live["spec"]) != fixed(&o["spec"]) {
            let why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
            out.push(Cause::forbidden("spec", why));
        }
    }
}

/// A template at a path: labels, annotations and the spec.
pub(super) fn template(template: &Value, at: &str, out: &mut Vec<Cause>) {
    metadata::labels(&template["metadata"]["labels"], &format!("{at}.labels"), out);
    metadata::annotations(&template["metadata"]["annotations"], &format!("{at}.annotations"), out);
    spec(&template["spec"], &format!("{at}.spec"), out);
}

pub(super) fn spec(spec: &Value, at: &str, out: &mut Vec<Cause>) {
    if items(&spec["containers"]).is_empty() {
        out.push(Cause::required(format!("{at}.containers"), ""));
    }
    let volumes = volumes(spec, at, out);
    let mut seen = Vec::new();
    for list in ["initContainers", "containers"] {
        for (i, container) in items(&spec[list]).iter().enumerate() {
            let at = format!("{at}.{list}[{i}]");
            let name = text(container, "name");
            if name.is_empty() {
                out.push(Cause::required(format!("{at}.name"), ""));
            } else {
                problems(&format!("{at}.name"), name, &names::label(name), out);
                if seen.contains(&name) {
                    out.push(Cause::duplicate(format!("{at}.name"), &name.into()));
                }
                seen.push(name);
            }
            self::container(container, &at, &volumes, out);
        }
    }
    let restart = ["Always", "Never", "OnFailure"];
    if !spec["restartPolicy"].is_null() {
        unsupported(&format!("{at}.restartPolicy"), &spec["restartPolicy"], &restart, out);
    }
    let policies = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    if !spec["dnsPolicy"].is_null() {
        unsupported(&format!("{at}.dnsPolicy"), &spec["dnsPolicy"], &policies, out);
    }
    let account = text(spec, "serviceAccountName");
    if !account.is_empty() {
        problems(&format!("{at}.serviceAccountName"), account, &names::subdomain(account), out);
    }
    metadata::labels(&spec["nodeSelector"], &format!("{at}.nodeSelector"), out);
    tolerations(spec, at, out);
    for (i, constraint) in items(&spec["topologySpreadConstraints"]).iter().enumerate() {
        spread(constraint, &format!("{at}.topologySpreadConstraints[{i}]"), out);
    }
}

fn spread(constraint: &Value, at: &str, out: &mut Vec<Cause>) {
    if constraint["maxSkew"].as_i64().unwrap_or_default() <= 0 {
        out.push(Cause::invalid(
            format!("{at}.maxSkew"),
            &constraint["maxSkew"],
            "must be greater than zero",
        ));
    }
    if text(constraint, "topologyKey").is_empty() {
        out.push(Cause::required(format!("{at}.topologyKey"), "can not be empty"));
    }
    unsupported(
        &format!("{at}.whenUnsatisfiable"),
        &constraint["whenUnsatisfiable"],
        &["DoNotSchedule", "ScheduleAnyway"],
        out,
    );
    label_selector(&format!("{at}.labelSelector"), &constraint["labelSelector"], out);
}

fn volumes<'v>(spec: &'v Value, at: &str, out: &mut Vec<Cause>) -> Vec<&'v str> {
    let mut seen = Vec::new();
    for (i, volume) in items(&spec["volumes"]).iter().enumerate() {
        let at = format!("{at}.volumes[{i}]");
        let name = text(volume, "name");
        if name.is_empty() {
            out.push(Cause::required(format!("{at}.name"), ""));
        } else {
            problems(&format!("{at}.name"), name, &names::label(name), out);
            if seen.contains(&name) {
                out.push(Cause::duplicate(format!("{at}.name"), &name.into()));
            }
            seen.push(name);
        }
        sources(volume, &at, out);
    }
    seen
}

/// Sources in the order in which Kubernetes looks at them: all after the first are too many.
const SOURCES: [&str; 12] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "nfs",
    "persistentVolumeClaim",
    "configMap",
    "secret",
    "downwardAPI",
    "projected",
    "csi",
    "ephemeral",
    "image",
];

fn sources(volume: &Value, at: &str, out: &mut Vec<Cause>) {
    // Kubernetes looks at secrets before ConfigMaps, and at either after emptyDir.
    let found: Vec<&str> = SOURCES.into_iter().filter(|s| !volume[*s].is_null()).collect();
    for extra in found.iter().skip(1) {
        out.push(Cause::forbidden(format!("{at}.{extra}"), "may not specify more than 1 volume type"));
    }
    let named = [("persistentVolumeClaim", "claimName"), ("configMap", "name"), ("secret", "secretName")];
    for (source, key) in named {
        if found.first() == Some(&source) && text(&volume[source], key).is_empty() {
            out.push(Cause::required(format!("{at}.{source}.{key}"), ""));
        }
    }
    if found.first() == Some(&"hostPath") && text(&volume["hostPath"], "path").is_empty() {
        out.push(Cause::required(format!("{at}.hostPath.path"), ""));
    }
}

fn container(container: &Value, at: &str, volumes: &[&str], out: &mut Vec<Cause>) {
    let image = text(container, "image");
    if image.is_empty() {
        out.push(Cause::required(format!("{at}.image"), ""));
    }
    if !container["imagePullPolicy"].is_null() {
        unsupported(
            &format!("{at}.imagePullPolicy"),
            &container["imagePullPolicy"],
            &["Always", "IfNotPresent", "Never"],
            out,
        );
    }
    let mut seen = Vec::new();
    for (i, port) in items(&container["ports"]).iter().enumerate() {
        let at = format!("{at}.ports[{i}]");
        let name = text(port, "name");
        if !name.is_empty() {
            problems(&format!("{at}.name"), name, &names::port_name(name), out);
            if seen.contains(&name) {
                out.push(Cause::duplicate(format!("{at}.name"), &name.into()));
            }
            seen.push(name);
        }
        if port["containerPort"].as_i64().unwrap_or_default() == 0 {
            out.push(Cause::required(format!("{at}.containerPort"), ""));
        } else {
            port_number(&format!("{at}.containerPort"), &port["containerPort"], out);
        }
        if port["hostPort"].as_i64().is_some_and(|p| p != 0) {
            port_number(&format!("{at}.hostPort"), &port["hostPort"], out);
        }
        unsupported(&format!("{at}.protocol"), &port["protocol"], &["SCTP", "TCP", "UDP"], out);
    }
    environment(container, at, out);
    for (i, mount) in items(&container["volumeMounts"]).iter().enumerate() {
        let at = format!("{at}.volumeMounts[{i}]");
        let name = text(mount, "name");
        if name.is_empty() {
            out.push(Cause::required(format!("{at}.name"), ""));
        } else if !volumes.contains(&name) {
            out.push(Cause::not_found(format!("{at}.name"), &name.into()));
        }
        if text(mount, "mountPath").is_empty() {
            out.push(Cause::required(format!("{at}.mountPath"), ""));
        }
    }
    resources(container, at, out);
}

fn resources(container: &Value, at: &str, out: &mut Vec<Cause>) {
    use crate::quantity::Quantity;
    for (name, request) in super::sorted(&container["resources"]["requests"]) {
        let limit = &container["resources"]["limits"][name.as_str()];
        let over = Quantity::of(request).zip(Quantity::of(limit)).is_some_and(|(r, l)| r > l);
        if over {
            let limit = limit.as_str().map_or_else(|| limit.to_string(), str::to_owned);
            let why = format!("must be less than or equal to {name} limit of {limit}");
            out.push(Cause::invalid(format!("{at}.resources.requests"), request, &why));
        }
    }
}

fn environment(container: &Value, at: &str, out: &mut Vec<Cause>) {
    for (i, variable) in items(&container["env"]).iter().enumerate() {
        let at = format!("{at}.env[{i}]");
        let name = text(variable, "name");
        if name.is_empty() {
            out.push(Cause::required(format!("{at}.name"), ""));
        } else if name.contains('=') {
            out.push(Cause::invalid(format!("{at}.name"), &name.into(), "a valid environment variable name must consist only of printable ASCII characters other than '='"));
        }
        let from = &variable["valueFrom"];
        if from.is_object() && !text(variable, "value").is_empty() {
            out.push(Cause::invalid(
                format!("{at}.valueFrom"),
                &"".into(),
                "may not be specified when `value` is not empty",
            ));
        } else if from.is_object() {
            let count = from.as_object().map_or(0, serde_json::Map::len);
            if count == 0 {
                let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
                out.push(Cause::invalid(format!("{at}.valueFrom"), &"".into(), why));
            } else if count > 1 {
                out.push(Cause::invalid(
                    format!("{at}.valueFrom"),
                    &"".into(),
                    "may not have more than one field specified at a time",
                ));
            }
        }
    }
}

fn tolerations(spec: &Value, at: &str, out: &mut Vec<Cause>) {
    for (i, toleration) in items(&spec["tolerations"]).iter().enumerate() {
        let at = format!("{at}.tolerations[{i}]");
        let (key, operator) = (text(toleration, "key"), text(toleration, "operator"));
        if key.is_empty() {
            if operator != "Exists" {
                let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
                out.push(Cause::invalid(format!("{at}.operator"), &toleration["operator"], why));
            }
        } else {
            problems(&format!("{at}.key"), key, &names::qualified_name(key), out);
        }
        match operator {
            "" | "Equal" | "Lt" | "Gt" => {}
            "Exists" => {
                if !text(toleration, "value").is_empty() {
                    let why = "value must be empty when `operator` is 'Exists'";
                    out.push(Cause::invalid(format!("{at}.operator"), &toleration["value"], why));
                }
            }
            _ => out.push(Cause::unsupported(
                format!("{at}.operator"),
                &toleration["operator"],
                &["Equal", "Exists"],
            )),
        }
        if !is_empty(&toleration["effect"]) {
            let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            unsupported(&format!("{at}.effect"), &toleration["effect"], &effects, out);
        }
    }
}
