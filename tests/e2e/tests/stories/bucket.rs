//! Bucket: from objects of a store to objects of the cluster.

use ferrite_e2e::{kustomization, with_namespace};
use serde_json::json;

use crate::config_map;

#[test]
fn files_of_a_bucket_are_applied_and_follow_it() {
    with_namespace(|env| async move {
        let name = env.namespace.clone();
        env.s3().put(&name, "prod/app.yaml", config_map("app", "1"));
        env.apply(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"},
            "stringData": {"accesskey": "e2e", "secretkey": "canary-s3"},
        }))
        .await;
        // The older version, as manifests of years ago have it.
        env.apply(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1beta2", "kind": "Bucket", "metadata": {"name": "apps"},
            "spec": {
                "endpoint": env.s3().endpoint(), "bucketName": name, "insecure": true, "interval": "1h",
                "secretRef": {"name": "s3"},
            },
        }))
        .await;
        let source =
            json!({"sourceRef": {"kind": "Bucket", "name": "apps"}, "targetNamespace": env.namespace});
        env.apply(kustomization("apps", "apps", "./prod", source)).await;
        env.wait_for("ConfigMap/app", |map| map["data"]["value"] == "1").await;

        env.s3().put(&name, "prod/app.yaml", config_map("app", "2"));
        env.request_reconcile("Bucket/apps").await;
        env.wait_for("ConfigMap/app", |map| map["data"]["value"] == "2").await;
        let bucket = env.ready("Bucket/apps").await;
        let events = env.events("Bucket/apps").await;
        assert!(!format!("{bucket}{events:?}").contains("canary"), "{bucket} {events:?}");
    });
}
