//! What somebody changes by hand is put right at once.

use std::time::{Duration, Instant};

use ferrite_e2e::{git_repository, kustomization, with_namespace};
use serde_json::json;

use crate::sync::in_namespace;
use crate::{config_map, deployment};

#[test]
fn an_edited_deployment_snaps_back() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("all.yaml", &deployment("web", "{}"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        let mut spec = in_namespace(&env);
        spec["wait"] = json!(true);
        env.apply(kustomization("app", "app", "./", spec)).await;
        env.ready("Kustomization/app").await;

        let start = Instant::now();
        env.merge("Deployment/web", json!({"spec": {"replicas": 7}})).await;
        env.wait_for("Deployment/web", |object| object["spec"]["replicas"] == 1).await;
        let took = start.elapsed();

        // The interval is an hour, so only the watch can have done it; the bound is wide for a loaded machine.
        assert!(took < Duration::from_secs(20), "repaired after {took:?}");
    });
}

#[test]
fn a_deleted_object_comes_back() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("all.yaml", &config_map("app", "1"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./", in_namespace(&env))).await;
        env.ready("Kustomization/app").await;
        let before = env.get("ConfigMap/app").await["metadata"]["uid"].clone();

        env.delete("ConfigMap/app").await;

        env.wait_for("ConfigMap/app", |map| map["metadata"]["uid"] != before).await;
    });
}

#[test]
fn a_field_added_with_kubectl_is_removed() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("all.yaml", &config_map("app", "1"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./", in_namespace(&env))).await;
        env.ready("Kustomization/app").await;

        env.merge("ConfigMap/app", json!({"data": {"extra": "by hand"}})).await;

        env.wait_for("ConfigMap/app", |map| map["data"].get("extra").is_none()).await;
    });
}
