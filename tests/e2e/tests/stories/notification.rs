//! What happened reaches Slack, and a webhook starts it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrite_e2e::{Env, git_repository, kustomization, with_namespace};
use ferrite_testkit::{Delivery, Mail, SmtpOptions, SmtpSink, WebhookReceiver};
use serde_json::{Value, json};

use crate::config_map;
use crate::sync::in_namespace;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_pushed_webhook_ends_in_a_message_to_slack() {
    with_namespace(|env| async move {
        let slack = WebhookReceiver::start().await.expect("a receiver");
        tell_slack(&env, &slack, "info").await;
        let git = env.repository("app", &[("deploy/config.yaml", &config_map("app", "one"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./deploy", in_namespace(&env))).await;
        env.ready("Kustomization/app").await;
        env.apply(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "webhook"}, "stringData": {"token": "canary-token"},
        }))
        .await;
        env.apply(json!({
            "apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver", "metadata": {"name": "push"},
            "spec": {
                "type": "generic", "secretRef": {"name": "webhook"},
                "resources": [{"kind": "GitRepository", "name": "app"}],
            },
        }))
        .await;
        let receiver = env.ready("Receiver/push").await;

        let pushed = git.commit(&[("deploy/config.yaml", &config_map("app", "two"))]);
        let path = receiver["status"]["webhookPath"].as_str().expect("a path");
        assert_eq!(env.post_webhook(path, "{}").await, 200);

        let message = arrived(&slack, "ConfigMap/").await;
        env.wait_for("ConfigMap/app", |map| map["data"]["value"] == "two").await;
        let told = slack
            .wait_for("the commit", PATIENCE, |d| {
                d.text().contains(&pushed) && d.text().contains("configured")
            })
            .await
            .expect("a message about the commit");
        let body: Value = serde_json::from_slice(&told.body).expect("JSON");
        let attachment = &body["attachments"][0];
        assert_eq!(attachment["author_name"], format!("kustomization/app.{}", env.namespace));
        assert_eq!(attachment["text"], format!("ConfigMap/{}/app configured", env.namespace));
        assert_eq!((body["channel"].as_str(), attachment["color"].as_str()), (Some("ops"), Some("good")));
        assert_eq!(message.headers["content-type"], "application/json");
    });
}

#[test]
fn a_failure_and_its_end_are_mailed_in_own_words() {
    with_namespace(|env| async move {
        let sink = SmtpSink::start(SmtpOptions::default()).await.expect("a mail server");
        env.apply(json!({
            "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Provider", "metadata": {"name": "mail"},
            "spec": {
                "type": "smtp", "address": format!("smtp://{}?tls=none", sink.address()),
                "username": "flux@acme.example", "channel": "ops@acme.example",
            },
        }))
        .await;
        env.apply(json!({
            "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert", "metadata": {"name": "mail"},
            "spec": {
                "providerRef": {"name": "mail"}, "eventSeverity": "error", "recovery": {"cooldown": "1h"},
                "messageTemplate": "{{ .involvedObject.name | upper }} says {{ .reason }}",
                "eventSources": [{"kind": "Kustomization", "name": "*"}],
            },
        }))
        .await;
        let git = env.repository("app", &[("deploy/config.yaml", "kind: [\n")]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./deploy", in_namespace(&env))).await;
        env.failed("Kustomization/app", "config.yaml").await;
        let said = |mail: &Mail| {
            let body: String =
                mail.data.split("\n\n").nth(1).unwrap_or_default().split_whitespace().collect();
            String::from_utf8(STANDARD.decode(body).unwrap_or_default()).unwrap_or_default()
        };
        let failure = |mail: &Mail| said(mail).starts_with("APP says BuildFailed");
        let told = sink.wait_for("the failure", PATIENCE, failure).await.expect("a mail");
        assert_eq!(told.to, ["ops@acme.example"]);

        git.commit(&[("deploy/config.yaml", &config_map("app", "two"))]);
        env.request_reconcile("GitRepository/app").await;
        let success = |mail: &Mail| said(mail).starts_with("APP says ReconciliationSucceeded");
        sink.wait_for("the end of it", PATIENCE, success).await.expect("a mail");
        assert_eq!(sink.taken().iter().filter(|mail| success(mail)).count(), 1, "{:?}", sink.taken());
    });
}

#[test]
fn only_errors_reach_an_alert_for_errors() {
    with_namespace(|env| async move {
        let slack = WebhookReceiver::start().await.expect("a receiver");
        tell_slack(&env, &slack, "error").await;
        let git = env.repository("app", &[("deploy/config.yaml", &config_map("app", "one"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./deploy", in_namespace(&env))).await;
        env.ready("Kustomization/app").await;

        git.commit(&[("deploy/config.yaml", "kind: [\n")]);
        env.request_reconcile("GitRepository/app").await;
        env.failed("Kustomization/app", "config.yaml").await;

        let told = arrived(&slack, "config.yaml").await;
        assert!(told.text().contains("\"color\":\"danger\""), "{}", told.text());
        let others = slack.received().iter().filter(|d| !d.text().contains("danger")).count();
        assert_eq!(others, 0, "information was asked for by nobody");
    });
}

#[test]
fn a_provider_that_refuses_is_told_on_the_alert_without_its_address() {
    with_namespace(|env| async move {
        let slack = WebhookReceiver::start().await.expect("a receiver");
        slack.answer_with(http::StatusCode::FORBIDDEN);
        tell_slack(&env, &slack, "info").await;
        let git = env.repository("app", &[("deploy/config.yaml", &config_map("app", "one"))]).await;
        env.apply(git_repository("app", &git.url())).await;
        env.apply(kustomization("app", "app", "./deploy", in_namespace(&env))).await;
        env.ready("Kustomization/app").await;

        let event = env.wait_for_event("Alert/slack", "NotificationDispatchFailed").await;

        assert!(event.contains("status code 403"), "{event}");
        assert!(!event.contains("canary"), "{event}");
    });
}

#[test]
fn a_wrong_path_and_a_wrong_signature_are_refused() {
    with_namespace(|env| async move {
        env.apply(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "webhook"}, "stringData": {"token": "canary-token"},
        }))
        .await;
        env.apply(json!({
            "apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver", "metadata": {"name": "push"},
            "spec": {
                "type": "generic-hmac", "secretRef": {"name": "webhook"},
                "resources": [{"kind": "GitRepository", "name": "app"}],
            },
        }))
        .await;
        let receiver = env.ready("Receiver/push").await;
        let path = receiver["status"]["webhookPath"].as_str().expect("a path");

        assert_eq!(env.post_webhook("/hook/0000", "{}").await, 404);
        assert_eq!(env.post_webhook(&format!("{path}?x=1"), "{}").await, 404);
        assert_eq!(env.post_webhook(path, "{}").await, 400);
    });
}

/// A Slack provider at `slack`, its address in a Secret, and an alert for the test's Kustomizations.
async fn tell_slack(env: &Env, slack: &WebhookReceiver, severity: &str) {
    env.apply(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "slack"},
        "stringData": {"address": format!("{}/services/canary-secret", slack.url())},
    }))
    .await;
    env.apply(json!({
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Provider", "metadata": {"name": "slack"},
        "spec": {"type": "slack", "channel": "ops", "secretRef": {"name": "slack"}, "timeout": "5s"},
    }))
    .await;
    env.apply(json!({
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert", "metadata": {"name": "slack"},
        "spec": {
            "providerRef": {"name": "slack"}, "eventSeverity": severity,
            "eventSources": [{"kind": "Kustomization", "name": "*"}],
        },
    }))
    .await;
}

async fn arrived(slack: &WebhookReceiver, text: &str) -> Delivery {
    slack.wait_for(text, PATIENCE, |delivery| delivery.text().contains(text)).await.expect("a message")
}
