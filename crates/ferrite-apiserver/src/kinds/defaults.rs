//! What Kubernetes fills into built-in objects (`SetDefaults_*` of the respective API group).

mod pod;

use serde_json::{Value, json};

use crate::json::{is_empty, text};

/// Sets `key` unless the object has a value there; null and the empty string are none.
pub(crate) fn set(object: &mut Value, key: &str, default: impl Into<Value>) {
    if object.is_object() && matches!(&object[key], Value::Null) || object[key] == "" {
        object[key] = default.into();
    }
}

/// The object under `key`, made when absent.
pub(crate) fn child<'v>(object: &'v mut Value, key: &str) -> &'v mut Value {
    if !object[key].is_object() {
        object[key] = json!({});
    }
    &mut object[key]
}

/// Calls `change` for each item of the list under `key`.
pub(crate) fn each(object: &mut Value, key: &str, mut change: impl FnMut(&mut Value)) {
    if let Some(list) = object.get_mut(key).and_then(Value::as_array_mut) {
        list.iter_mut().filter(|v| v.is_object()).for_each(&mut change);
    }
}

/// Fills in the defaults of a built-in object; anything else is left as it is.
pub(crate) fn apply(group: &str, version: &str, kind: &str, o: &mut Value) {
    match (group, kind) {
        ("", "Pod") => pod::pod(o),
        ("", "PodTemplate") => pod::template(o),
        ("", "ReplicationController") => controller(o),
        ("", "Service") => service(o),
        ("", "Secret") => secret(o),
        ("", "Namespace") => {
            set(child(o, "status"), "phase", "Active");
        }
        ("", "PersistentVolumeClaim") => pod::claim(o),
        ("", "PersistentVolume") => {
            set(child(o, "status"), "phase", "Pending");
            let spec = child(o, "spec");
            set(spec, "persistentVolumeReclaimPolicy", "Retain");
            set(spec, "volumeMode", "Filesystem");
        }
        ("", "Node") => {
            let status = child(o, "status");
            if status["allocatable"].is_null() && !status["capacity"].is_null() {
                status["allocatable"] = status["capacity"].clone();
            }
        }
        ("", "Endpoints") => each(o, "subsets", |s| each(s, "ports", |p| set(p, "protocol", "TCP"))),
        ("discovery.k8s.io", "EndpointSlice") => each(o, "ports", |p| {
            if p["name"].is_null() {
                p["name"] = "".into();
            }
            set(p, "protocol", "TCP");
        }),
        ("", "LimitRange") => each(child(o, "spec"), "limits", limit),
        ("apps", _) => apps(kind, o),
        ("batch", "Job") => job(child(o, "spec"), true),
        ("batch", "CronJob") => cron_job(o),
        ("autoscaling", _) => autoscaler(version, child(o, "spec")),
        ("networking.k8s.io", "NetworkPolicy") => network_policy(child(o, "spec")),
        ("networking.k8s.io", "IngressClass") if o["spec"]["parameters"].is_object() => {
            set(&mut o["spec"]["parameters"], "scope", "Cluster")
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(o),
        ("storage.k8s.io", "StorageClass") => {
            set(o, "reclaimPolicy", "Delete");
            set(o, "volumeBindingMode", "Immediate");
        }
        ("storage.k8s.io", "CSIDriver") => csi_driver(child(o, "spec")),
        ("scheduling.k8s.io", "PriorityClass") => set(o, "preemptionPolicy", "PreemptLowerPriority"),
        ("admissionregistration.k8s.io", _) => admission(kind, o),
        ("apiregistration.k8s.io", "APIService") if o["spec"]["service"].is_object() => {
            set(&mut o["spec"]["service"], "port", 443)
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crate::crd::defaults(o),
        _ => {}
    }
}

fn secret(o: &mut Value) {
    set(o, "type", "Opaque");
    if let Some(Value::Object(plain)) = crate::json::remove(o, "stringData") {
        for (key, value) in plain {
            use base64::Engine as _;
            let bytes = value.as_str().unwrap_or_default().as_bytes();
            child(o, "data")[key] = base64::engine::general_purpose::STANDARD.encode(bytes).into();
        }
    }
}

fn controller(o: &mut Value) {
    let labels = o["spec"]["template"]["metadata"]["labels"].clone();
    if !is_empty(&labels) {
        if is_empty(&o["spec"]["selector"]) {
            o["spec"]["selector"] = labels.clone();
        }
        if is_empty(&o["metadata"]["labels"]) {
            o["metadata"]["labels"] = labels;
        }
    }
    set(child(o, "spec"), "replicas", 1);
    if o["spec"]["template"].is_object() {
        pod::template(&mut o["spec"]);
    }
}

fn service(o: &mut Value) {
    let spec = child(o, "spec");
    set(spec, "sessionAffinity", "None");
    set(spec, "type", "ClusterIP");
    if spec["sessionAffinity"] == "ClientIP" {
        let client = child(child(spec, "sessionAffinityConfig"), "clientIP");
        set(client, "timeoutSeconds", 10800);
    } else if spec["sessionAffinity"] == "None" {
        crate::json::remove(spec, "sessionAffinityConfig");
    }
    each(spec, "ports", |p| {
        set(p, "protocol", "TCP");
        if p["targetPort"].is_null() || p["targetPort"] == 0 || p["targetPort"] == "" {
            p["targetPort"] = p["port"].clone();
        }
    });
    let kind = text(spec, "type").to_owned();
    let ingress = o["status"]["loadBalancer"].get_mut("ingress");
    for ingress in ingress.and_then(Value::as_array_mut).into_iter().flatten() {
        if !text(ingress, "ip").is_empty() {
            set(ingress, "ipMode", "VIP");
        }
    }
    let spec = child(o, "spec");
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer")
        || kind == "ClusterIP" && !is_empty(&spec["externalIPs"])
    {
        set(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        set(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
    }
}

fn limit(l: &mut Value) {
    if l["type"] != "Container" {
        return;
    }
    for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
        for (name, value) in l[from].as_object().cloned().unwrap_or_default() {
            let target = child(l, to);
            if target[&name].is_null() {
                target[name] = value;
            }
        }
    }
}

fn apps(kind: &str, o: &mut Value) {
    if kind == "ControllerRevision" {
        return;
    }
    let spec = child(o, "spec");
    match kind {
        "Deployment" => {
            set(spec, "replicas", 1);
            let strategy = child(spec, "strategy");
            set(strategy, "type", "RollingUpdate");
            if strategy["type"] == "RollingUpdate" {
                let rolling = child(strategy, "rollingUpdate");
                set(rolling, "maxUnavailable", "25%");
                set(rolling, "maxSurge", "25%");
            }
            set(spec, "revisionHistoryLimit", 10);
            set(spec, "progressDeadlineSeconds", 600);
        }
        "DaemonSet" => {
            let strategy = child(spec, "updateStrategy");
            set(strategy, "type", "RollingUpdate");
            if strategy["type"] == "RollingUpdate" {
                let rolling = child(strategy, "rollingUpdate");
                set(rolling, "maxUnavailable", 1);
                set(rolling, "maxSurge", 0);
            }
            set(spec, "revisionHistoryLimit", 10);
        }
        "StatefulSet" => {
            set(spec, "podManagementPolicy", "OrderedReady");
            let strategy = child(spec, "updateStrategy");
            set(strategy, "type", "RollingUpdate");
            if strategy["type"] == "RollingUpdate" {
                set(child(strategy, "rollingUpdate"), "partition", 0);
            }
            let policy = child(spec, "persistentVolumeClaimRetentionPolicy");
            set(policy, "whenDeleted", "Retain");
            set(policy, "whenScaled", "Retain");
            set(spec, "replicas", 1);
            set(spec, "revisionHistoryLimit", 10);
            each(spec, "volumeClaimTemplates", |c| {
                set(c, "apiVersion", "v1");
                set(c, "kind", "PersistentVolumeClaim");
                pod::claim(c);
            });
        }
        "ReplicaSet" => set(spec, "replicas", 1),
        _ => {}
    }
    pod::template(spec);
}

fn job(spec: &mut Value, whole: bool) {
    if whole {
        if spec["completions"].is_null() && spec["parallelism"].is_null() {
            spec["completions"] = 1.into();
        }
        set(spec, "parallelism", 1);
        if spec["backoffLimitPerIndex"].is_null() {
            set(spec, "backoffLimit", 6);
        } else {
            set(spec, "backoffLimit", i32::MAX);
        }
        set(spec, "completionMode", "NonIndexed");
        set(spec, "suspend", false);
        set(spec, "manualSelector", false);
        let default = if spec["podFailurePolicy"].is_object() { "Failed" } else { "TerminatingOrFailed" };
        set(spec, "podReplacementPolicy", default);
        if spec["podFailurePolicy"].is_object() {
            each(&mut spec["podFailurePolicy"], "rules", |r| {
                each(r, "onPodConditions", |c| set(c, "status", "True"))
            });
        }
    }
    pod::template(spec);
}

fn cron_job(o: &mut Value) {
    let spec = child(o, "spec");
    set(spec, "concurrencyPolicy", "Allow");
    set(spec, "suspend", false);
    set(spec, "successfulJobsHistoryLimit", 3);
    set(spec, "failedJobsHistoryLimit", 1);
    job(child(child(spec, "jobTemplate"), "spec"), false);
}

fn autoscaler(version: &str, spec: &mut Value) {
    set(spec, "minReplicas", 1);
    if version == "v2" {
        if is_empty(&spec["metrics"]) {
            spec["metrics"] = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]);
        }
        if spec["behavior"].is_object() {
            behavior(&mut spec["behavior"]);
        }
    }
}

fn behavior(behavior: &mut Value) {
    let up = child(behavior, "scaleUp");
    set(up, "stabilizationWindowSeconds", 0);
    set(up, "selectPolicy", "Max");
    if up["policies"].is_null() {
        up["policies"] = json!([{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]);
    }
    let down = child(behavior, "scaleDown");
    set(down, "selectPolicy", "Max");
    if down["policies"].is_null() {
        down["policies"] = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
    }
}

fn network_policy(spec: &mut Value) {
    if is_empty(&spec["policyTypes"]) {
        spec["policyTypes"] =
            if is_empty(&spec["egress"]) { json!(["Ingress"]) } else { json!(["Ingress", "Egress"]) };
    }
    for rules in ["ingress", "egress"] {
        each(spec, rules, |r| each(r, "ports", |p| set(p, "protocol", "TCP")));
    }
}

fn binding(o: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    set(child(o, "roleRef"), "apiGroup", GROUP);
    each(o, "subjects", |s| {
        if matches!(text(s, "kind"), "User" | "Group") {
            set(s, "apiGroup", GROUP);
        }
    });
}

fn csi_driver(spec: &mut Value) {
    set(spec, "attachRequired", true);
    set(spec, "podInfoOnMount", false);
    if is_empty(&spec["volumeLifecycleModes"]) {
        spec["volumeLifecycleModes"] = json!(["Persistent"]);
    }
    set(spec, "storageCapacity", false);
    set(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    set(spec, "requiresRepublish", false);
    set(spec, "seLinuxMount", false);
}

fn admission(kind: &str, o: &mut Value) {
    fn selectors(o: &mut Value) {
        child(o, "namespaceSelector");
        child(o, "objectSelector");
        set(o, "matchPolicy", "Equivalent");
    }
    match kind {
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => each(o, "webhooks", |w| {
            set(w, "failurePolicy", "Fail");
            selectors(w);
            set(w, "timeoutSeconds", 10);
            if kind == "MutatingWebhookConfiguration" {
                set(w, "reinvocationPolicy", "Never");
            }
            each(w, "rules", |r| set(r, "scope", "*"));
            if w["clientConfig"]["service"].is_object() {
                set(&mut w["clientConfig"]["service"], "port", 443);
            }
        }),
        "ValidatingAdmissionPolicy" | "MutatingAdmissionPolicy" => {
            let spec = child(o, "spec");
            set(spec, "failurePolicy", "Fail");
            if spec["matchConstraints"].is_object() {
                let constraints = &mut spec["matchConstraints"];
                selectors(constraints);
                for rules in ["resourceRules", "excludeResourceRules"] {
                    each(constraints, rules, |r| set(r, "scope", "*"));
                }
            }
        }
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding"
            if o["spec"]["matchResources"].is_object() =>
        {
            selectors(&mut o["spec"]["matchResources"]);
        }
        _ => {}
    }
}
