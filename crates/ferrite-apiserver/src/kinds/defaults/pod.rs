//! Defaults of pods and of everything that makes pods.

use serde_json::{Value, json};

use super::{child, each, set};
use crate::json::{is_empty, text};

/// A pod of its own: what its template form gets, and what only pods get.
pub(crate) fn pod(o: &mut Value) {
    set(child(o, "status"), "phase", "Pending");
    let spec = child(o, "spec");
    pod_spec(spec);
    for list in ["initContainers", "containers"] {
        each(spec, list, |c| {
            let limits = c["resources"]["limits"].as_object().cloned().unwrap_or_default();
            for (name, value) in limits {
                let requests = child(&mut c["resources"], "requests");
                if requests[&name].is_null() {
                    requests[name] = value;
                }
            }
        });
    }
    set(spec, "enableServiceLinks", true);
    if spec["hostNetwork"] == true {
        for list in ["initContainers", "containers"] {
            each(spec, list, |c| {
                each(c, "ports", |p| {
                    if p["hostPort"].is_null() {
                        p["hostPort"] = p["containerPort"].clone();
                    }
                })
            });
        }
    }
}

/// The template under `template` of a controller's spec.
pub(crate) fn template(holder: &mut Value) {
    pod_spec(child(child(holder, "template"), "spec"));
}

/// A pod's spec.
pub(crate) fn pod_spec(spec: &mut Value) {
    set(spec, "dnsPolicy", "ClusterFirst");
    set(spec, "restartPolicy", "Always");
    child(spec, "securityContext");
    set(spec, "terminationGracePeriodSeconds", 30);
    set(spec, "schedulerName", "default-scheduler");
    let (account, old) =
        (text(spec, "serviceAccountName").to_owned(), text(spec, "serviceAccount").to_owned());
    let account = if account.is_empty() { old } else { account };
    if !account.is_empty() {
        spec["serviceAccountName"] = account.as_str().into();
        spec["serviceAccount"] = account.into();
    }
    each(spec, "volumes", volume);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, list, container);
    }
}

fn pull_policy(image: &str) -> &'static str {
    if image.contains('@') {
        return "IfNotPresent";
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    match last.split_once(':') {
        None | Some((_, "latest" | "")) => "Always",
        Some(_) => "IfNotPresent",
    }
}

fn container(c: &mut Value) {
    let policy = pull_policy(text(c, "image"));
    set(c, "imagePullPolicy", policy);
    set(c, "terminationMessagePath", "/dev/termination-log");
    set(c, "terminationMessagePolicy", "File");
    child(c, "resources");
    each(c, "ports", |p| set(p, "protocol", "TCP"));
    each(c, "env", |e| {
        if e["valueFrom"]["fieldRef"].is_object() {
            set(&mut e["valueFrom"]["fieldRef"], "apiVersion", "v1");
        }
        if e["valueFrom"]["fileKeyRef"].is_object() {
            set(&mut e["valueFrom"]["fileKeyRef"], "optional", false);
        }
    });
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if c[name].is_object() {
            probe(&mut c[name]);
        }
    }
    for hook in ["postStart", "preStop"] {
        if c["lifecycle"][hook]["httpGet"].is_object() {
            http_get(&mut c["lifecycle"][hook]["httpGet"]);
        }
    }
}

fn http_get(action: &mut Value) {
    set(action, "path", "/");
    set(action, "scheme", "HTTP");
}

fn probe(probe: &mut Value) {
    for (key, default) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        if probe[key] == 0 || probe[key].is_null() {
            probe[key] = default.into();
        }
    }
    if probe["httpGet"].is_object() {
        http_get(&mut probe["httpGet"]);
    }
    if probe["grpc"].is_object() && probe["grpc"]["service"].is_null() {
        probe["grpc"]["service"] = "".into();
    }
}

fn field_items(holder: &mut Value) {
    each(holder, "items", |i| {
        if i["fieldRef"].is_object() {
            set(&mut i["fieldRef"], "apiVersion", "v1");
        }
    });
}

fn volume(v: &mut Value) {
    let sources = v.as_object().map_or(0, |o| o.iter().filter(|(k, v)| *k != "name" && !v.is_null()).count());
    if sources == 0 {
        v["emptyDir"] = json!({});
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if v[source].is_object() {
            set(&mut v[source], "defaultMode", 420);
        }
    }
    field_items(&mut v["downwardAPI"]);
    each(&mut v["projected"], "sources", |s| {
        field_items(&mut s["downwardAPI"]);
        if s["serviceAccountToken"].is_object() {
            set(&mut s["serviceAccountToken"], "expirationSeconds", 3600);
        }
        prune_nulls(s);
    });
    if v["hostPath"].is_object() && v["hostPath"]["type"].is_null() {
        v["hostPath"]["type"] = "".into();
    }
    if v["iscsi"].is_object() {
        set(&mut v["iscsi"], "iscsiInterface", "default");
    }
    if v["azureDisk"].is_object() {
        set(&mut v["azureDisk"], "cachingMode", "ReadWrite");
        set(&mut v["azureDisk"], "fsType", "ext4");
        set(&mut v["azureDisk"], "kind", "Shared");
        set(&mut v["azureDisk"], "readOnly", false);
    }
    if v["ephemeral"]["volumeClaimTemplate"].is_object() {
        let spec = child(&mut v["ephemeral"]["volumeClaimTemplate"], "spec");
        set(spec, "volumeMode", "Filesystem");
    }
    if is_empty(&v["image"]) {
        prune_nulls(v);
    } else {
        let image = text(&v["image"], "reference").to_owned();
        set(&mut v["image"], "pullPolicy", pull_policy(&image));
        prune_nulls(v);
    }
}

/// Looking at an absent key of a `Value` through `IndexMut` makes it null; this takes those away.
fn prune_nulls(v: &mut Value) {
    if let Some(map) = v.as_object_mut() {
        map.retain(|_, v| !v.is_null());
    }
}

/// A PersistentVolumeClaim or a template of one.
pub(crate) fn claim(o: &mut Value) {
    set(child(o, "status"), "phase", "Pending");
    set(child(o, "spec"), "volumeMode", "Filesystem");
}
