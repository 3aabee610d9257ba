//! GitRepository: credentials, references, and what goes wrong with them.

use ferrite_e2e::{git_repository, with_namespace};
use serde_json::json;

use crate::config_map;
use crate::sync::message;

#[test]
fn an_unknown_branch_is_named() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("a.yaml", &config_map("a", "1"))]).await;
        let mut object = git_repository("app", &git.url());
        object["spec"]["ref"] = json!({"branch": "nowhere"});
        env.apply(object).await;

        env.failed("GitRepository/app", "nowhere").await;
    });
}

#[test]
fn an_unreachable_host_fails_alone() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("a.yaml", &config_map("a", "1"))]).await;
        env.apply(git_repository("away", "http://127.0.0.1:1/away")).await;
        env.apply(git_repository("app", &git.url())).await;

        env.ready("GitRepository/app").await;
        let failed = env.failed("GitRepository/away", "127.0.0.1:1").await;

        assert!(
            message(&failed).starts_with("failed to checkout and determine revision"),
            "{}",
            message(&failed)
        );
    });
}

#[test]
fn an_empty_repository_says_so() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[]).await;
        env.apply(git_repository("app", &git.url())).await;

        env.failed("GitRepository/app", "git repository is empty").await;
    });
}

#[test]
fn wrong_credentials_are_refused_and_never_shown() {
    with_namespace(|env| async move {
        let git = env
            .private_repository("app", "reader", "canary-right", &[("a.yaml", &config_map("a", "1"))])
            .await;
        let secret = |password: &str| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git"},
                "stringData": {"username": "reader", "password": password},
            })
        };
        env.apply(secret("canary-wrong")).await;
        let mut object = git_repository("app", &git.url());
        object["spec"]["secretRef"] = json!({"name": "git"});
        env.apply(object).await;
        let failed = env.failed("GitRepository/app", "").await;
        let events = format!("{:?}", env.events("GitRepository/app").await);
        assert!(!failed.to_string().contains("canary") && !events.contains("canary"), "{failed}\n{events}");

        env.apply(secret("canary-right")).await;
        env.request_reconcile("GitRepository/app").await;
        env.ready("GitRepository/app").await;
    });
}

#[test]
fn semver_picks_the_highest_tag_and_ignores_prereleases() {
    with_namespace(|env| async move {
        let git = env.repository("app", &[("a.yaml", &config_map("a", "1"))]).await;
        git.tag("v1.2.0");
        git.commit(&[("a.yaml", &config_map("a", "2"))]);
        git.tag("v1.10.0");
        let wanted = git.head();
        git.commit(&[("a.yaml", &config_map("a", "3"))]);
        git.tag("v2.0.0-rc.1");
        let mut object = git_repository("app", &git.url());
        object["spec"]["ref"] = json!({"semver": ">=1.0.0"});
        env.apply(object).await;

        let ready = env.ready("GitRepository/app").await;

        assert_eq!(ready["status"]["artifact"]["revision"], format!("v1.10.0@sha1:{wanted}"));
    });
}
