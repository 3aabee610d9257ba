//! What the service account admission adds to pods.

use serde_json::{Value, json};

use crate::handlers::perform::Writer;
use crate::json::{items, text};
use crate::status::ApiError;

const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Names the service account, which must exist, and mounts its token.
pub(crate) fn account(writer: &Writer<'_>, pod: &mut Value) -> Result<(), ApiError> {
    let name = match text(&pod["spec"], "serviceAccountName") {
        "" => "default".to_owned(),
        name => name.to_owned(),
    };
    pod["spec"]["serviceAccountName"] = name.as_str().into();
    pod["spec"]["serviceAccount"] = name.as_str().into();
    let Some(stored) = writer.server.store.get("/serviceaccounts", writer.namespace, &name) else {
        let subject = writer.resource.subject(text(&pod["metadata"], "name"));
        let why = format!(
            "error looking up service account {}/{name}: serviceaccount {name:?} not found",
            writer.namespace
        );
        return Err(ApiError::forbidden(subject, &why));
    };
    let account = stored.value();
    let secrets = &account["imagePullSecrets"];
    if items(&pod["spec"]["imagePullSecrets"]).is_empty() && !items(secrets).is_empty() {
        pod["spec"]["imagePullSecrets"] = secrets.clone();
    }
    let wanted = pod["spec"]["automountServiceAccountToken"]
        .as_bool()
        .or_else(|| account["automountServiceAccountToken"].as_bool());
    if wanted.unwrap_or(true) {
        mount(pod);
    }
    tolerations(pod);
    Ok(())
}

fn mount(pod: &mut Value) {
    let name = crate::kinds::metadata::generate_name("kube-api-access-");
    let mut used = false;
    for list in ["initContainers", "containers"] {
        crate::kinds::defaults::each(&mut pod["spec"], list, |container| {
            let mut mounts = items(&container["volumeMounts"]).to_vec();
            if !mounts.iter().any(|m| m["mountPath"] == TOKEN_PATH) {
                mounts.push(json!({"name": name, "readOnly": true, "mountPath": TOKEN_PATH}));
                container["volumeMounts"] = mounts.into();
                used = true;
            }
        });
    }
    if used {
        let mut volumes = items(&pod["spec"]["volumes"]).to_vec();
        volumes.push(json!({"name": name, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}
        ]}}));
        pod["spec"]["volumes"] = volumes.into();
    }
}

/// The tolerations and the priority that admission adds to every pod.
fn tolerations(pod: &mut Value) {
    let mut list = items(&pod["spec"]["tolerations"]).to_vec();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = list.iter().any(|t| {
            (t["key"] == key || text(t, "key").is_empty()) && matches!(text(t, "effect"), "NoExecute" | "")
        });
        if !tolerated {
            list.push(
                json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}),
            );
        }
    }
    pod["spec"]["tolerations"] = list.into();
    if pod["spec"]["priority"].is_null() && text(&pod["spec"], "priorityClassName").is_empty() {
        pod["spec"]["priority"] = 0.into();
    }
    if pod["spec"]["preemptionPolicy"].is_null() {
        pod["spec"]["preemptionPolicy"] = "PreemptLowerPriority".into();
    }
}
