//! Bad input: one clear condition on that object, the last good state stays, the others go on.

use ferrite_e2e::{git_repository, kustomization, with_namespace};
use serde_json::json;

use crate::config_map;
use crate::sync::{in_namespace, message};

#[test]
fn yaml_that_does_not_parse_names_file_and_line_and_changes_nothing() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("deploy/config.yaml", &config_map("app", "good"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./deploy", in_namespace(&env))).await;
        env.ready("Kustomization/app").await;

        git.commit(&[(
            "deploy/config.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app\ndata: [\n",
        )]);
        env.request_reconcile("GitRepository/app").await;
        let failed = env.failed("Kustomization/app", "config.yaml").await;

        assert!(message(&failed).contains("line") || message(&failed).contains(":5"), "{}", message(&failed));
        assert_eq!(env.get("ConfigMap/app").await["data"]["value"], "good");

        git.commit(&[("deploy/config.yaml", &config_map("app", "better"))]);
        env.request_reconcile("GitRepository/app").await;
        env.wait_for("ConfigMap/app", |map| map["data"]["value"] == "better").await;
    });
}

#[test]
fn a_path_that_does_not_exist_is_named() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("deploy/config.yaml", &config_map("app", "1"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./nowhere", in_namespace(&env))).await;

        let failed = env.failed("Kustomization/app", "kustomization path not found").await;

        assert!(message(&failed).contains("nowhere"), "{}", message(&failed));
    });
}

#[test]
fn an_unknown_kind_blocks_its_stage_and_is_named() {
    with_namespace(|env| async move {
        let unknown = "apiVersion: example.com/v1\nkind: Unheard\nmetadata:\n  name: of\n";
        let git = env.repository("app", &[("a.yaml", &config_map("app", "1")), ("b.yaml", unknown)]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./", in_namespace(&env))).await;

        env.failed("Kustomization/app", "Unheard").await;

        assert!(env.find("ConfigMap/app").await.is_none(), "nothing is half-applied");
    });
}

#[test]
fn an_object_the_api_server_refuses_is_named_with_the_field() {
    with_namespace(|env| async move {
        let refused =
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports:\n  - port: 99999\n";
        let git = env.repository("app", &[("a.yaml", refused)]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./", in_namespace(&env))).await;

        let failed = env.failed("Kustomization/app", "dry-run failed").await;

        assert!(message(&failed).contains("Service/"), "{}", message(&failed));
        assert!(message(&failed).contains("port"), "{}", message(&failed));
    });
}

#[test]
fn two_files_with_the_same_object_are_an_error() {
    with_namespace(|env| async move {
        let git = env
            .repository("app", &[("a.yaml", &config_map("app", "1")), ("b.yaml", &config_map("app", "2"))])
            .await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./", in_namespace(&env))).await;

        env.failed("Kustomization/app", "already registered").await;

        assert!(env.find("ConfigMap/app").await.is_none());
    });
}

#[test]
fn an_immutable_field_fails_until_force_is_set() {
    with_namespace(|env| async move {
        let map = |value: &str| format!("{}immutable: true\n", config_map("app", value));
        let git = env.repository("app", &[("a.yaml", &map("1"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./", in_namespace(&env))).await;
        env.ready("Kustomization/app").await;

        git.commit(&[("a.yaml", &map("2"))]);
        env.request_reconcile("GitRepository/app").await;
        env.failed("Kustomization/app", "immutable").await;
        assert_eq!(env.get("ConfigMap/app").await["data"]["value"], "1");

        env.merge("Kustomization/app", json!({"spec": {"force": true}})).await;
        env.wait_for("ConfigMap/app", |object| object["data"]["value"] == "2").await;
    });
}
