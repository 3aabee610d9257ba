use serde_json::json;

use super::*;
use crate::event::InvolvedObject;

pub(crate) fn event(severity: &str) -> Event {
    Event {
        involved_object: InvolvedObject {
            kind: "Kustomization".into(),
            namespace: "flux-system".into(),
            name: "apps".into(),
            uid: "0c9c2e41-7b8a-4b5e-9f0a-1d2c3b4a5f6e".into(),
            api_version: "kustomize.toolkit.fluxcd.io/v1".into(),
            ..InvolvedObject::default()
        },
        severity: severity.into(),
        timestamp: "2026-01-02T03:04:05Z".into(),
        message: "Deployment/web configured\nService/web created".into(),
        reason: "ReconciliationSucceeded".into(),
        metadata: BTreeMap::from([("revision".to_owned(), "main@sha1:abc".to_owned())]),
        reporting_controller: "kustomize-controller".into(),
        reporting_instance: "kustomize-controller-0".into(),
    }
}

fn target(kind: &str, address: &str) -> Target {
    Target {
        kind: kind.into(),
        uid: "p-uid".into(),
        address: Redacted::new(address.to_owned()),
        ..Target::default()
    }
}

fn with_token(kind: &str, address: &str, channel: &str) -> Target {
    Target {
        token: Some(Redacted::new("t0ken".to_owned())),
        channel: channel.into(),
        ..target(kind, address)
    }
}

/// Method, URL, headers and JSON body of the only request.
#[track_caller]
pub(crate) fn one(target: &Target, event: &Event) -> (String, Vec<(String, String)>, Value) {
    let mut all = requests(target, event, jiff::Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(all.len(), 1);
    let request = all.remove(0);
    (
        format!("{} {}", request.method, request.url.expose_secret()),
        request.headers.expose_secret().clone(),
        serde_json::from_slice(&request.body)
            .unwrap_or_else(|_| json!(String::from_utf8_lossy(&request.body))),
    )
}

fn header(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

#[test]
fn slack() {
    let (to, headers, body) =
        one(&with_token("slack", "https://hooks.slack.example/x", "ops"), &event("error"));
    assert_eq!(to, "POST https://hooks.slack.example/x");
    assert_eq!(headers, header("Authorization", "Bearer t0ken"));
    assert_eq!(
        body,
        json!({
            "channel": "ops", "username": "kustomize-controller", "icon_url": "", "icon_emoji": "",
            "attachments": [{
                "fallback": "kustomization/apps.flux-system: Deployment/web configured",
                "color": "danger", "author_name": "kustomization/apps.flux-system",
                "text": "Deployment/web configured\nService/web created", "mrkdwn_in": ["text"],
                "fields": [{"title": "revision", "value": "main@sha1:abc", "short": false}],
            }],
        })
    );
    let api = with_token("slack", "https://slack.com/api/chat.postMessage", "ops");
    assert_eq!(requests(&api, &event("info"), jiff::Timestamp::UNIX_EPOCH).unwrap()[0].judge, Judge::SlackOk);
}

#[test]
fn discord_takes_slacks_form_below_its_webhook() {
    for address in
        ["https://discord.example/api/webhooks/1/2", "https://discord.example/api/webhooks/1/2/slack"]
    {
        let (to, _, body) = one(&target("discord", address), &event("info"));
        assert_eq!(to, "POST https://discord.example/api/webhooks/1/2/slack");
        assert_eq!((&body["channel"], &body["attachments"][0]["fallback"]), (&json!(""), &json!("")));
        assert_eq!(body["attachments"][0]["color"], "good");
    }
}

#[test]
fn rocket() {
    let (_, headers, body) =
        one(&with_token("rocket", "https://rocket.example/hooks/1", "ops"), &event("error"));
    assert!(headers.is_empty());
    assert_eq!((&body["username"], &body["attachments"][0]["color"]), (&json!(""), &json!("#FF0000")));
}

#[test]
fn teams_connectors_get_message_cards() {
    let (_, _, body) = one(&target("msteams", "https://acme.webhook.office.com/webhookb2/1"), &event("info"));
    assert_eq!(
        body,
        json!({
            "@type": "MessageCard", "@context": "http://schema.org/extensions", "themeColor": "0076D7",
            "summary": "kustomization/apps.flux-system",
            "sections": [{
                "activityTitle": "Deployment/web configured\nService/web created",
                "activitySubtitle": "kustomization/apps.flux-system",
                "facts": [{"name": "revision", "value": "main@sha1:abc"}],
            }],
        })
    );
}

#[test]
fn teams_workflows_get_adaptive_cards_with_the_summary_first() {
    let mut event = event("error");
    event.metadata.insert("summary".into(), "production".into());
    let (_, _, body) =
        one(&target("msteams", "https://prod.westeurope.logic.azure.com:443/workflows/1"), &event);
    assert_eq!(
        body,
        json!({"type": "message", "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
                "body": [{"type": "Container", "items": [
                    {"type": "TextBlock", "text": "kustomization/apps.flux-system", "size": "large", "weight": "bolder", "wrap": true},
                    {"type": "TextBlock", "text": "Deployment/web configured\nService/web created", "wrap": true, "color": "attention"},
                    {"type": "FactSet", "facts": [
                        {"title": "summary", "value": "production"}, {"title": "revision", "value": "main@sha1:abc"},
                    ]},
                ]}],
                "msteams": {"width": "Full"},
            },
        }]})
    );
}

#[test]
fn google_chat_colours_errors() {
    let (_, _, body) =
        one(&target("googlechat", "https://chat.googleapis.example/v1/spaces/1"), &event("error"));
    let text = &body["cards"][0]["sections"][0]["widgets"][0]["textParagraph"]["text"];
    assert_eq!(text, "<font color=\"#ff0000\">Deployment/web configured\nService/web created</font>");
    assert_eq!(body["cards"][0]["sections"][1]["widgets"][0]["keyValue"]["topLabel"], "revision");
}

#[test]
fn webex() {
    let (_, headers, body) =
        one(&with_token("webex", "https://webexapis.com/v1/messages", "room"), &event("info"));
    assert_eq!(headers, header("Authorization", "Bearer t0ken"));
    let text = "✅ **kustomization/apps.flux-system**\nDeployment/web configured\nService/web created\n>**revision**: main@sha1:abc\n";
    assert_eq!(body, json!({"roomId": "room", "markdown": text}));
}

#[test]
fn telegram_escapes_and_knows_threads() {
    let (to, _, body) = one(&with_token("telegram", "", "-100:7"), &event("info"));
    assert_eq!(to, "POST https://api.telegram.org/bott0ken/sendMessage");
    let text = "*💫 kustomization/apps/flux\\-system*\nDeployment/web configured\nService/web created\n\\- *revision*: main@sha1:abc\n";
    assert_eq!(
        body,
        json!({"chat_id": "-100", "message_thread_id": "7", "text": text, "parse_mode": "MarkdownV2"})
    );
}

#[test]
fn matrix_puts_with_a_transaction_of_the_event() {
    let (to, headers, body) =
        one(&with_token("matrix", "https://matrix.example/", "!room:example"), &event("info"));
    let (path, transaction) = to.rsplit_once('/').unwrap();
    assert_eq!(path, "PUT https://matrix.example/_matrix/client/r0/rooms/!room:example/send/m.room.message");
    assert_eq!(transaction.len(), 40);
    assert_eq!(headers, header("Authorization", "Bearer t0ken"));
    assert_eq!(body["msgtype"], "m.text");
    assert_eq!(one(&with_token("matrix", "https://matrix.example", "!room:example"), &event("info")).0, to);
}

#[test]
fn zulip_posts_a_form() {
    let zulip = Target {
        username: "bot@zulip.example".into(),
        password: Some(Redacted::new("pw".to_owned())),
        channel: "ops/deploys".into(),
        ..target("zulip", "https://zulip.example/anything?x=1")
    };
    let (to, headers, body) = one(&zulip, &event("info"));
    assert_eq!(to, "POST https://zulip.example/api/v1/messages");
    assert_eq!(headers, header("Authorization", "Basic Ym90QHp1bGlwLmV4YW1wbGU6cHc="));
    let form = body.as_str().unwrap();
    assert!(form.starts_with("type=stream&to=ops&topic=deploys&content=%23%23+Flux+Status%0A%0A"), "{form}");
    let wrong = Target { channel: "ops".into(), ..zulip };
    let error = requests(&wrong, &event("info"), jiff::Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!(error.to_string(), "spec.channel of a provider of type zulip must be <channel>/<topic>");
}

#[test]
fn generic_carries_the_event_and_signs_what_it_sends() {
    let mut plain = target("generic", "https://hook.example/x");
    plain.headers = Redacted::new(BTreeMap::from([("X-Team".to_owned(), "web".to_owned())]));
    let (_, headers, body) = one(&plain, &event("info"));
    assert_eq!(
        headers,
        [
            ("gotk-component".to_owned(), "kustomize-controller".to_owned()),
            ("X-Team".to_owned(), "web".to_owned())
        ]
    );
    assert_eq!(body["involvedObject"]["name"], "apps");
    assert_eq!(body["metadata"], json!({"revision": "main@sha1:abc"}));

    let signed = with_token("generic-hmac", "https://hook.example/x", "");
    let request = requests(&signed, &event("info"), jiff::Timestamp::UNIX_EPOCH).unwrap().remove(0);
    let (name, value) = request.headers.expose_secret().last().unwrap().clone();
    assert_eq!(name, "X-Signature");
    let openssl = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", "t0ken", "-hex"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    match openssl {
        Ok(mut child) => {
            use std::io::Write as _;
            child.stdin.take().unwrap().write_all(&request.body).unwrap();
            let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
            assert_eq!(value, format!("sha256={}", out.trim().rsplit(' ').next().unwrap()));
        }
        Err(_) => println!("skipped: no openssl to compare the signature with"),
    }
    let error = requests(
        &target("generic-hmac", "https://hook.example/x"),
        &event("info"),
        jiff::Timestamp::UNIX_EPOCH,
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "a provider of type generic-hmac needs a token in spec.secretRef"
    );
}

#[test]
fn github_dispatch() {
    let (to, headers, body) =
        one(&with_token("githubdispatch", "https://github.com/acme/fleet.git", ""), &event("info"));
    assert_eq!(to, "POST https://api.github.com/repos/acme/fleet/dispatches");
    assert_eq!(headers[0], ("Authorization".to_owned(), "Bearer t0ken".to_owned()));
    assert_eq!(body["event_type"], "Kustomization/apps.flux-system");
    let enterprise = with_token("githubdispatch", "https://git.acme.example/acme/fleet", "");
    assert_eq!(
        one(&enterprise, &event("info")).0,
        "POST https://git.acme.example/api/v3/repos/acme/fleet/dispatches"
    );
}

#[test]
fn alertmanager() {
    let mut event = event("error");
    event.metadata.insert("summary".into(), "prod".into());
    let (_, headers, body) = one(&with_token("alertmanager", "http://am.example/api/v2/alerts/", ""), &event);
    assert_eq!(headers, header("Authorization", "Bearer t0ken"));
    assert_eq!(
        body,
        json!([{
            "status": "firing",
            "labels": {
                "revision": "main@sha1:abc", "alertname": "FluxKustomizationReconciliationsucceeded", "severity": "error",
                "reason": "ReconciliationSucceeded", "kind": "Kustomization", "name": "apps", "namespace": "flux-system",
                "reportingcontroller": "kustomize-controller",
            },
            "annotations": {"message": "Deployment/web configured\nService/web created", "summary": "prod"},
            "startsAt": "2026-01-02T03:04:05Z", "endsAt": "0001-01-01T00:00:00Z",
        }])
    );
}

#[test]
fn grafana() {
    let (_, _, body) =
        one(&with_token("grafana", "https://grafana.example/api/annotations/graphite", ""), &event("info"));
    assert_eq!(
        body,
        json!({"when": 1_767_323_045, "text": "kustomization/apps.flux-system", "tags": [
            "flux", "kustomize-controller", "revision: main@sha1|abc", "kind: Kustomization", "name: apps",
            "namespace: flux-system",
        ]})
    );
}

#[test]
fn datadog() {
    let (to, headers, body) =
        one(&with_token("datadog", "https://api.datadoghq.eu/whatever", ""), &event("error"));
    assert_eq!(to, "POST https://api.datadoghq.eu/api/v1/events");
    assert_eq!(headers, header("DD-API-KEY", "t0ken"));
    assert_eq!(body["title"], "Events from the Kustomization apps/flux-system");
    assert_eq!(body["tags"][1], "flux_reason:reconciliationsucceeded");
    assert_eq!((&body["alert_type"], &body["date_happened"]), (&json!("error"), &json!(1_767_323_045)));
}

#[test]
fn opsgenie() {
    let (_, headers, body) =
        one(&with_token("opsgenie", "https://api.opsgenie.com/v2/alerts", ""), &event("error"));
    assert_eq!(headers, header("Authorization", "GenieKey t0ken"));
    assert_eq!(body["message"], "Kustomization/apps");
    assert_eq!(body["details"], json!({"revision": "main@sha1:abc", "severity": "error"}));
}

#[test]
fn pagerduty_triggers_resolves_and_skips_progress() {
    let pager =
        Target { channel: "key".into(), ..target("pagerduty", "https://events.pagerduty.com/v2/enqueue") };
    let (to, _, body) = one(&pager, &event("error"));
    assert_eq!(to, "POST https://events.pagerduty.com/v2/enqueue");
    assert_eq!(
        (&body["event_action"], &body["dedup_key"]),
        (&json!("trigger"), &json!("0c9c2e41-7b8a-4b5e-9f0a-1d2c3b4a5f6e"))
    );
    assert_eq!(body["payload"]["summary"], "reconciliation succeeded: kustomization/apps");
    let both = requests(&pager, &event("info"), jiff::Timestamp::UNIX_EPOCH).unwrap();
    let urls: Vec<&str> = both.iter().map(|request| request.url.expose_secret().as_str()).collect();
    assert_eq!(
        urls,
        ["https://events.pagerduty.com/v2/enqueue", "https://events.pagerduty.com/v2/change/enqueue"]
    );
    let progress = Event { reason: "Progressing".into(), ..event("info") };
    assert!(requests(&pager, &progress, jiff::Timestamp::UNIX_EPOCH).unwrap().is_empty());
}

#[test]
fn incident_io_and_zoom() {
    let (_, _, body) = one(
        &with_token("incident.io", "https://api.incident.example/v2/alert_events/http/1", ""),
        &event("info"),
    );
    assert_eq!(
        (&body["status"], &body["title"]),
        (&json!("resolved"), &json!("kustomization/apps.flux-system: ReconciliationSucceeded"))
    );
    let (to, headers, body) = one(&with_token("zoom", "https://zoom.example/hook", ""), &event("info"));
    assert_eq!(to, "POST https://zoom.example/hook?format=full");
    assert_eq!(headers, header("Authorization", "t0ken"));
    assert_eq!(body["content"]["body"][1]["items"], json!([{"key": "revision", "value": "main@sha1:abc"}]));
}

#[test]
fn sentry_envelopes_name_the_project() {
    let sentry =
        Target { channel: "prod".into(), ..target("sentry", "https://pub@sentry.example:9000/sub/42") };
    let (to, headers, body) = one(&sentry, &event("error"));
    assert_eq!(to, "POST https://sentry.example:9000/sub/api/42/envelope/");
    assert!(headers[0].1.ends_with("sentry_key=pub"), "{headers:?}");
    let lines: Vec<Value> =
        body.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[1]["type"], &lines[2]["level"]), (&json!("event"), &json!("error")));
    assert_eq!(lines[2]["transaction"], "Kustomization: flux-system/apps");
}

#[test]
fn addresses_that_are_no_urls_are_refused_without_being_shown() {
    for kind in ["slack", "discord", "msteams", "generic", "grafana", "googlechat", "webex", "lark", "rocket"]
    {
        for address in ["", "canary-secret", "file:///etc/passwd", "https://"] {
            let error =
                requests(&target(kind, address), &event("info"), jiff::Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
    let unknown =
        requests(&target("pigeon", "https://x.example"), &event("info"), jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(unknown.unwrap_err().to_string(), "provider type pigeon is not supported");
}
