//! Order between Kustomizations, and health.

use ferrite_e2e::{git_repository, kustomization, with_namespace};
use serde_json::json;

use crate::sync::in_namespace;
use crate::{config_map, deployment};

#[test]
fn a_dependent_starts_when_its_dependency_is_ready() {
    with_namespace(|env| async move {
        let git = env
            .repository(
                "app",
                &[("one/a.yaml", &config_map("one", "1")), ("two/b.yaml", &config_map("two", "1"))],
            )
            .await;
        env.apply(git_repository("app", &git.url())).await;
        let mut second = in_namespace(&env);
        second["dependsOn"] = json!([{"name": "one"}]);
        env.apply(kustomization("two", "app", "./two", second)).await;
        env.failed("Kustomization/two", "dependency").await;

        env.apply(kustomization("one", "app", "./one", in_namespace(&env))).await;

        env.ready("Kustomization/two").await;
        env.get("ConfigMap/two").await;
    });
}

#[test]
fn wait_names_the_object_that_fails() {
    with_namespace(|env| async move {
        let broken = deployment("web", "{ferrite.dev/fail: 'image cannot be pulled'}");
        let git = env.repository("app", &[("all.yaml", &broken)]).await;
        env.apply(git_repository("app", &git.url())).await;
        let mut spec = in_namespace(&env);
        spec["wait"] = json!(true);
        env.apply(kustomization("app", "app", "./", spec)).await;

        let failed = env.failed("Kustomization/app", "health check failed").await;

        let wanted = format!("Deployment/{}/web", env.namespace);
        assert!(crate::sync::message(&failed).contains(&wanted), "{failed}");
        assert_eq!(failed["status"]["conditions"][0]["type"], "Reconciling", "{failed}");
    });
}

#[test]
fn one_that_never_becomes_healthy_delays_nobody() {
    with_namespace(|env| async move {
        let hanging = deployment("hanging", "{ferrite.dev/hang: 'true'}");
        let git = env
            .repository("app", &[("bad/all.yaml", &hanging), ("good/all.yaml", &config_map("good", "1"))])
            .await;
        env.apply(git_repository("app", &git.url())).await;
        let mut waiting = in_namespace(&env);
        waiting["wait"] = json!(true);
        waiting["timeout"] = json!("10m");
        // More of them than the controller has workers.
        for number in 0..6 {
            env.apply(kustomization(&format!("bad-{number}"), "app", "./bad", waiting.clone())).await;
        }
        env.wait_for("Deployment/hanging", |_| true).await;

        env.apply(kustomization("good", "app", "./good", in_namespace(&env))).await;

        env.ready("Kustomization/good").await;
    });
}
