//! Rows of nodes, volumes and the kinds around them.

use serde_json::Value;

use super::{NONE, plain, shown};
use crate::json::{at, items, text};

fn modes(list: &Value) -> String {
    let short = |m: &Value| match m.as_str() {
        Some("ReadWriteOnce") => "RWO",
        Some("ReadOnlyMany") => "ROX",
        Some("ReadWriteMany") => "RWX",
        Some("ReadWriteOncePod") => "RWOP",
        Some(_) | None => "",
    };
    items(list).iter().map(short).collect::<Vec<_>>().join(",")
}

pub(super) fn volume(key: &str, o: &Value, age: Value) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let going = !o["metadata"]["deletionTimestamp"].is_null();
    let phase = if going { "Terminating" } else { text(status, "phase") };
    let class = match text(spec, "volumeAttributesClassName") {
        "" => "<unset>",
        name => name,
    };
    let mode = match text(spec, "volumeMode") {
        "" => "<unset>",
        mode => mode,
    };
    if key == "/persistentvolumes" {
        let claim = &spec["claimRef"];
        let claim = if claim.is_object() {
            format!("{}/{}", text(claim, "namespace"), text(claim, "name"))
        } else {
            String::new()
        };
        return vec![
            plain(&spec["capacity"]["storage"]).into(),
            modes(&spec["accessModes"]).into(),
            text(spec, "persistentVolumeReclaimPolicy").into(),
            phase.into(),
            claim.into(),
            text(spec, "storageClassName").into(),
            class.into(),
            text(status, "reason").into(),
            age,
            mode.into(),
        ];
    }
    let bound = !text(spec, "volumeName").is_empty();
    let (capacity, access) = if bound {
        (plain(&status["capacity"]["storage"]), modes(&status["accessModes"]))
    } else {
        (String::new(), String::new())
    };
    vec![
        phase.into(),
        text(spec, "volumeName").into(),
        capacity.into(),
        access.into(),
        text(spec, "storageClassName").into(),
        class.into(),
        age,
        mode.into(),
    ]
}

pub(super) fn node(o: &Value, age: Value) -> Vec<Value> {
    let ready = items(&o["status"]["conditions"]).iter().find(|c| c["type"] == "Ready");
    let mut state = match ready {
        Some(c) if c["status"] == "True" => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if o["spec"]["unschedulable"] == true {
        state.push_str(",SchedulingDisabled");
    }
    let prefix = "node-role.kubernetes.io/";
    let labels = o["metadata"]["labels"].as_object().into_iter().flatten();
    let mut roles: Vec<&str> =
        labels.filter_map(|(k, _)| k.strip_prefix(prefix)).filter(|r| !r.is_empty()).collect();
    roles.sort_unstable();
    let roles = if roles.is_empty() { NONE.to_owned() } else { roles.join(",") };
    let info = &o["status"]["nodeInfo"];
    let address = |kind: &str| {
        items(&o["status"]["addresses"])
            .iter()
            .find(|a| a["type"] == kind)
            .map_or(NONE, |a| text(a, "address"))
            .to_owned()
    };
    let unknown = |key: &str| {
        if text(info, key).is_empty() { "<unknown>".to_owned() } else { text(info, key).to_owned() }
    };
    vec![
        state.into(),
        roles.into(),
        age,
        text(info, "kubeletVersion").into(),
        address("InternalIP").into(),
        address("ExternalIP").into(),
        unknown("osImage").into(),
        unknown("kernelVersion").into(),
        unknown("containerRuntimeVersion").into(),
    ]
}

/// The rest of those: storage, scheduling, admission.
pub(super) fn rare(key: &str, o: &Value, age: Value) -> Vec<Value> {
    let field = |path: &[&str]| -> Value { shown(at(o, path)) };
    match key {
        "storage.k8s.io/storageclasses" => {
            let expands = o["allowVolumeExpansion"] == true;
            vec![
                field(&["provisioner"]),
                field(&["reclaimPolicy"]),
                field(&["volumeBindingMode"]),
                expands.into(),
                age,
            ]
        }
        "storage.k8s.io/csidrivers" => {
            let spec = &o["spec"];
            let modes: Vec<&str> =
                items(&spec["volumeLifecycleModes"]).iter().filter_map(Value::as_str).collect();
            let tokens: Vec<&str> =
                items(&spec["tokenRequests"]).iter().map(|t| text(t, "audience")).collect();
            let tokens = if tokens.is_empty() { "<unset>".to_owned() } else { tokens.join(",") };
            vec![
                spec["attachRequired"].clone(),
                spec["podInfoOnMount"].clone(),
                spec["storageCapacity"].clone(),
                tokens.into(),
                spec["requiresRepublish"].clone(),
                modes.join(",").into(),
                age,
            ]
        }
        "storage.k8s.io/csinodes" => vec![items(&o["spec"]["drivers"]).len().into(), age],
        "storage.k8s.io/volumeattachments" => vec![
            field(&["spec", "attacher"]),
            field(&["spec", "source", "persistentVolumeName"]),
            field(&["spec", "nodeName"]),
            (o["status"]["attached"] == true).into(),
            age,
        ],
        "scheduling.k8s.io/priorityclasses" => {
            let value = o["value"].as_i64().unwrap_or_default();
            vec![value.into(), (o["globalDefault"] == true).into(), age, field(&["preemptionPolicy"])]
        }
        "node.k8s.io/runtimeclasses" => vec![field(&["handler"]), age],
        "admissionregistration.k8s.io/mutatingwebhookconfigurations"
        | "admissionregistration.k8s.io/validatingwebhookconfigurations" => {
            vec![items(&o["webhooks"]).len().into(), age]
        }
        "admissionregistration.k8s.io/validatingadmissionpolicies" => {
            let kind = &o["spec"]["paramKind"];
            let shown = if kind.is_object() {
                format!("{}/{}", text(kind, "apiVersion"), text(kind, "kind"))
            } else {
                "<unset>".into()
            };
            vec![items(&o["spec"]["validations"]).len().into(), shown.into(), age]
        }
        "admissionregistration.k8s.io/validatingadmissionpolicybindings" => {
            let reference = &o["spec"]["paramRef"];
            let shown = if reference.is_object() { plain(&reference["name"]) } else { "<unset>".into() };
            vec![field(&["spec", "policyName"]), shown.into(), age]
        }
        "flowcontrol.apiserver.k8s.io/flowschemas" => {
            let method = text(&o["spec"]["distinguisherMethod"], "type");
            let level = field(&["spec", "priorityLevelConfiguration", "name"]);
            let precedence = o["spec"]["matchingPrecedence"].clone();
            vec![
                level,
                precedence,
                if method.is_empty() { NONE.into() } else { method.into() },
                age,
                "?".into(),
            ]
        }
        _ => vec![age],
    }
}
