//! From commit to cluster, and back out again.

use ferrite_e2e::{git_repository, kustomization, with_namespace};
use serde_json::{Value, json};

use crate::{config_map, deployment};

#[test]
fn a_push_reaches_the_cluster() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("deploy/config.yaml", &config_map("app", "one"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./deploy", in_namespace(&env))).await;
        let first = env.ready("Kustomization/app").await;
        assert_eq!(first["status"]["lastAppliedRevision"], format!("main@sha1:{}", git.head()));

        let pushed = git.commit(&[("deploy/config.yaml", &config_map("app", "two"))]);
        env.request_reconcile("GitRepository/app").await;

        env.wait_for("ConfigMap/app", |map| map["data"]["value"] == "two").await;
        let revision = format!("main@sha1:{pushed}");
        let synced =
            env.wait_for("Kustomization/app", |ks| ks["status"]["lastAppliedRevision"] == revision).await;
        assert_eq!(message(&synced), format!("Applied revision: {revision}"));
    });
}

#[test]
fn a_deleted_file_is_pruned() {
    with_namespace(|env| async move {
        let git = env
            .repository("app", &[("a.yaml", &config_map("a", "1")), ("b.yaml", &config_map("b", "1"))])
            .await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "", in_namespace(&env))).await;
        env.ready("Kustomization/app").await;

        git.remove(&["b.yaml"]);
        env.request_reconcile("GitRepository/app").await;

        env.gone("ConfigMap/b").await;
        assert_eq!(env.get("ConfigMap/a").await["data"]["value"], "1");
    });
}

#[test]
fn the_inventory_and_owner_labels_are_those_flux_writes() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("all.yaml", &config_map("app", "1"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./", in_namespace(&env))).await;
        let synced = env.ready("Kustomization/app").await;

        let id = format!("{}_app__ConfigMap", env.namespace);
        assert_eq!(synced["status"]["inventory"]["entries"], json!([{"id": id, "v": "v1"}]));
        let map = env.get("ConfigMap/app").await;
        assert_eq!(map["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"], "app");
        assert_eq!(map["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/namespace"], env.namespace);
        let managers: Vec<&Value> = map["metadata"]["managedFields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| &entry["manager"])
            .collect();
        assert_eq!(managers, ["kustomize-controller"]);
    });
}

#[test]
fn a_kustomization_file_is_built_with_everything_in_it() {
    with_namespace(|env| async move {
        let overlay = "namePrefix: prod-\nresources:\n- ../base\nimages:\n- name: example\n  newTag: '2'\nreplicas:\n- name: app\n  count: 3\n\
                       configMapGenerator:\n- name: settings\n  literals: [colour=red]\npatches:\n- target: {kind: Deployment}\n  \
                       patch: |\n    - op: add\n      path: /metadata/annotations/patched\n      value: 'yes'\n";
        let git = env
            .repository(
                "app",
                &[
                    ("base/deployment.yaml", &deployment("app", "{}")),
                    ("base/kustomization.yaml", "resources: [deployment.yaml]\n"),
                    ("prod/kustomization.yaml", overlay),
                ],
            )
            .await;
        env.apply(git_repository("app", &git.url())).await;
        let mut spec = in_namespace(&env);
        spec["wait"] = json!(true);
        env.apply(kustomization("app", "app", "./prod", spec)).await;
        env.ready("Kustomization/app").await;

        let built = env.get("Deployment/prod-app").await;
        assert_eq!(built["spec"]["replicas"], 3);
        assert_eq!(built["spec"]["template"]["spec"]["containers"][0]["image"], "example:2");
        assert_eq!(built["metadata"]["annotations"]["patched"], "yes");
    });
}

#[test]
fn deleting_the_kustomization_deletes_what_it_applied() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("all.yaml", &config_map("app", "1"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./", in_namespace(&env))).await;
        env.ready("Kustomization/app").await;

        env.delete("Kustomization/app").await;

        env.gone("ConfigMap/app").await;
        env.gone("Kustomization/app").await;
    });
}

#[test]
fn a_suspended_kustomization_keeps_its_hands_off() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("all.yaml", &config_map("app", "1"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./", in_namespace(&env))).await;
        env.ready("Kustomization/app").await;

        env.merge("Kustomization/app", json!({"spec": {"suspend": true}})).await;
        let token = env.request_reconcile("Kustomization/app").await;
        env.wait_for("Kustomization/app", |ks| ks["status"]["lastHandledReconcileAt"] == token).await;
        env.merge("ConfigMap/app", json!({"data": {"value": "edited"}})).await;
        let token = env.request_reconcile("Kustomization/app").await;
        env.wait_for("Kustomization/app", |ks| ks["status"]["lastHandledReconcileAt"] == token).await;
        assert_eq!(env.get("ConfigMap/app").await["data"]["value"], "edited");

        env.merge("Kustomization/app", json!({"spec": {"suspend": false}})).await;
        env.wait_for("ConfigMap/app", |map| map["data"]["value"] == "1").await;
    });
}

/// Objects of a test belong into its namespace.
pub(crate) fn in_namespace(env: &ferrite_e2e::Env) -> Value {
    json!({"targetNamespace": env.namespace})
}

pub(crate) fn message(object: &Value) -> &str {
    ferrite_e2e::ready(object).and_then(|c| c["message"].as_str()).unwrap_or_default()
}
