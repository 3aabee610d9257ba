use std::collections::BTreeMap;

use ferrite_runtime::Redacted;

use super::*;
use crate::providers::tests::event as chat_event;

const HASH: &str = "69b59063470310ebbd88a9156325322a124e55a3";

fn event(severity: &str) -> Event {
    Event {
        metadata: BTreeMap::from([("revision".to_owned(), format!("main@sha1:{HASH}"))]),
        ..chat_event(severity)
    }
}

fn target(kind: &str, address: &str, token: &str) -> Target {
    Target {
        kind: kind.into(),
        address: Redacted::new(address.to_owned()),
        token: (!token.is_empty()).then(|| Redacted::new(token.to_owned())),
        ..Target::default()
    }
}

fn sent(request: &Outgoing) -> (String, Vec<(String, String)>, Value) {
    (
        format!("{} {}", request.method, request.url.expose_secret()),
        request.headers.expose_secret().clone(),
        serde_json::from_slice(&request.body).unwrap_or_default(),
    )
}

fn objects(expression: Option<&str>) -> (Provider, Alert) {
    let provider = serde_json::from_value(json!({
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Provider",
        "metadata": {"name": "status", "namespace": "flux-system", "uid": "0c9c2e41-0000-4000-8000-000000000000"},
        "spec": {"type": "github", "address": "https://github.com/acme/fleet", "commitStatusExpr": expression},
    }))
    .unwrap();
    let alert = serde_json::from_value(json!({
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert",
        "metadata": {"name": "commits", "namespace": "flux-system"},
        "spec": {"providerRef": {"name": "status"}, "eventSources": []},
    }))
    .unwrap();
    (provider, alert)
}

#[test]
fn commits_are_found_in_revisions() {
    let found = |metadata: &[(&str, &str)]| {
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        commit(&Event { metadata, ..Event::default() }).map(str::to_owned).map_err(|error| error.to_string())
    };
    assert_eq!(found(&[("revision", "main@sha1:abc1")]).unwrap(), "abc1");
    assert_eq!(found(&[("revision", "a@b/c@sha256:ff00")]).unwrap(), "ff00");
    assert_eq!(found(&[("revision", "sha1:abc1")]).unwrap(), "abc1");
    assert_eq!(found(&[("revision", &format!("main/{HASH}"))]).unwrap(), HASH);
    let all =
        [("revision", "latest@sha256:01"), ("originRevision", "main@sha1:02"), ("commit", "main@sha1:03")];
    assert_eq!(found(&all).unwrap(), "03");
    assert_eq!(found(&all[..2]).unwrap(), "02");
    for wrong in ["", "6.5.4", "main@sha1:", "main@md5:abc1", "main@sha1:../../x", "main/feature"] {
        assert_eq!(
            found(&[("revision", wrong)]).unwrap_err(),
            format!("failed to extract commit hash from '{wrong}' revision")
        );
    }
}

#[test]
fn statuses_are_named_by_object_and_provider_or_by_expression() {
    let id = |expression: Option<&str>| {
        let (provider, alert) = objects(expression);
        status_id(&provider, &alert, &event("info"))
    };
    assert_eq!(id(None).unwrap(), "kustomization/apps/0c9c2e41");
    let expression = "(event.involvedObject.kind + '/' + event.metadata.revision + '/' + provider.metadata.name + '/' + alert.metadata.name)";
    assert_eq!(id(Some(expression)).unwrap(), format!("Kustomization/main@sha1:{HASH}/status/commits"));
    assert!(id(Some("1 + 1")).unwrap_err().to_string().contains("expected string"));
    assert!(id(Some("'a' + event.metadata.missing")).is_err());
    assert!(id(Some("'a' + secret.data")).unwrap_err().to_string().contains("undeclared"));
}

#[test]
fn github() {
    let status = plan(&target("github", "git@github.com:acme/fleet.git", "t0ken"), &event("error"), "ctx")
        .unwrap()
        .unwrap();
    let headers = vec![
        ("Authorization".to_owned(), "Bearer t0ken".to_owned()),
        ("Accept".to_owned(), "application/vnd.github+json".to_owned()),
        ("X-GitHub-Api-Version".to_owned(), "2022-11-28".to_owned()),
    ];
    let base = "https://api.github.com/repos/acme/fleet";
    let look = format!("GET {base}/commits/{HASH}/statuses?per_page=50");
    assert_eq!(sent(&status.look), (look, headers.clone(), Value::Null));
    assert_eq!(
        sent(&status.post),
        (
            format!("POST {base}/statuses/{HASH}"),
            headers,
            json!({"state": "failure", "description": "reconciliation succeeded", "context": "ctx"})
        )
    );
    let one = |context: &str, state: &str| json!({"context": context, "state": state, "description": "reconciliation succeeded"});
    assert!(status.stands(&json!([one("other", "success"), one("ctx", "failure")])));
    assert!(!status.stands(&json!([one("ctx", "success"), one("ctx", "failure")])), "the newest counts");
    for nothing in [json!([]), json!({}), Value::Null, json!([1, null])] {
        assert!(!status.stands(&nothing), "{nothing}");
    }
}

#[test]
fn gitlab() {
    let status =
        plan(&target("gitlab", "https://gitlab.com/group/sub/fleet", "t0ken"), &event("info"), "apps/a b")
            .unwrap()
            .unwrap();
    let headers = vec![("PRIVATE-TOKEN".to_owned(), "t0ken".to_owned())];
    let base = "https://gitlab.com/api/v4/projects/group%2Fsub%2Ffleet";
    let look = format!("GET {base}/repository/commits/{HASH}/statuses?name=apps%2Fa+b");
    assert_eq!(sent(&status.look), (look, headers.clone(), Value::Null));
    assert_eq!(
        sent(&status.post),
        (
            format!("POST {base}/statuses/{HASH}"),
            headers,
            json!({"state": "success", "name": "apps/a b", "description": "reconciliation succeeded"})
        )
    );
    let mut same = json!({"sha": HASH, "status": "success", "name": "apps/a b", "description": "reconciliation succeeded"});
    assert!(status.stands(&json!([{"sha": HASH, "status": "failed", "name": "apps/a b"}, same])));
    same["status"] = json!("failed");
    assert!(!status.stands(&json!([same])));
}

#[test]
fn gitea_is_told_of_progress_the_others_are_not() {
    let progress = Event { reason: "Progressing".into(), ..event("info") };
    let status = plan(&target("gitea", "https://gitea.example/acme/fleet", "t0ken"), &progress, "ctx")
        .unwrap()
        .unwrap();
    let headers = vec![("Authorization".to_owned(), "token t0ken".to_owned())];
    let base = "https://gitea.example/api/v1/repos/acme/fleet";
    assert_eq!(sent(&status.look).0, format!("GET {base}/commits/{HASH}/statuses?limit=50&page=1"));
    assert_eq!(
        sent(&status.post),
        (
            format!("POST {base}/statuses/{HASH}"),
            headers,
            json!({"state": "pending", "target_url": "", "description": "progressing", "context": "ctx"})
        )
    );
    assert!(
        status.stands(&json!([{"context": "ctx", "status": "pending", "description": "progressing"}])),
        "Gitea reads `state` and answers `status`"
    );
    for kind in ["github", "gitlab", "bitbucket", "bitbucketserver", "azuredevops"] {
        assert!(plan(&target(kind, "", ""), &progress, "ctx").unwrap().is_none(), "{kind}");
    }
}

#[test]
fn bitbucket() {
    let status = plan(
        &target("bitbucket", "https://bitbucket.org/acme/fleet.git", "me:app-pw"),
        &event("info"),
        "kustomization/apps/0c9c2e41",
    )
    .unwrap()
    .unwrap();
    // printf kustomization/apps/0c9c2e41 | sha1sum
    let key = "534add2e1e94c46fbe0f8e657ba36c652fa8d2dd";
    let url = format!("https://api.bitbucket.org/2.0/repositories/acme/fleet/commit/{HASH}/statuses/build");
    let headers = vec![("Authorization".to_owned(), "Basic bWU6YXBwLXB3".to_owned())];
    assert_eq!(sent(&status.look), (format!("GET {url}/{key}"), headers.clone(), Value::Null));
    assert_eq!(
        sent(&status.post),
        (
            format!("POST {url}"),
            headers,
            json!({
                "state": "SUCCESSFUL", "key": key, "name": "kustomization/apps",
                "description": "reconciliation succeeded", "url": "https://bitbucket.org",
            })
        )
    );
    assert!(status.stands(&json!({"state": "SUCCESSFUL", "description": "reconciliation succeeded"})));
    assert!(!status.stands(&json!({"state": "FAILED", "description": "reconciliation succeeded"})));
    let wrong = plan(&target("bitbucket", "https://bitbucket.org/acme/fleet", "canary"), &event("info"), "x");
    assert_eq!(
        wrong.unwrap_err().to_string(),
        "the token of a provider of type bitbucket must be <user>:<app password>"
    );
}

#[test]
fn bitbucket_server_keeps_its_context_path() {
    let server = Target {
        username: "me".into(),
        password: Some(Redacted::new("pw".to_owned())),
        ..target("bitbucketserver", "https://git.example:7990/ctx/scm/proj/fleet.git", "")
    };
    let status = plan(&server, &event("error"), "kustomization/apps/0c9c2e41").unwrap().unwrap();
    let key = "534add2e1e94c46fbe0f8e657ba36c652fa8d2dd";
    let url = format!(
        "https://git.example:7990/ctx/rest/api/latest/projects/proj/repos/fleet/commits/{HASH}/builds"
    );
    let headers: Vec<(String, String)> = [
        ("x-atlassian-token", "no-check"),
        ("x-requested-with", "XMLHttpRequest"),
        ("Authorization", "Basic bWU6cHc="),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let body = json!({
        "key": key, "name": "kustomization/apps [reconciliation succeeded]", "state": "FAILED",
        "description": "reconciliation succeeded", "url": "https://git.example:7990/ctx/scm/proj/fleet.git",
    });
    assert_eq!(sent(&status.look), (format!("GET {url}?key={key}"), headers.clone(), Value::Null));
    assert_eq!(sent(&status.post), (format!("POST {url}"), headers, body.clone()));
    assert!(status.stands(&body));
    let token = Target { token: Some(Redacted::new("t0ken".to_owned())), ..server };
    let status = plan(&token, &event("error"), "x").unwrap().unwrap();
    assert_eq!(sent(&status.post).1[2].1, "Bearer t0ken");
    let elsewhere = target("bitbucketserver", "https://git.example/proj/fleet", "t0ken");
    assert_eq!(
        plan(&elsewhere, &event("info"), "x").unwrap_err().to_string(),
        "the address of a provider of type bitbucketserver must be http(s)://<host>/[<path>/]scm/<project>/<repository>.git"
    );
}

#[test]
fn azure_devops_keeps_summaries_apart_by_genre() {
    let mut event = event("error");
    event.metadata.insert("summary".into(), "prod".into());
    for address in ["https://dev.azure.com/org/proj/_git/fleet", "git@ssh.dev.azure.com:v3/org/proj/fleet"] {
        let status = plan(&target("azuredevops", address, "pat"), &event, "ctx").unwrap().unwrap();
        let url =
            format!("https://dev.azure.com/org/proj/_apis/git/repositories/fleet/commits/{HASH}/statuses");
        let headers = vec![
            ("Accept".to_owned(), "application/json;api-version=6.0".to_owned()),
            ("Authorization".to_owned(), "Basic OnBhdA==".to_owned()),
        ];
        let body = json!({
            "state": "error", "description": "reconciliation succeeded",
            "context": {"name": "ctx", "genre": "fluxcd:prod"},
        });
        assert_eq!(sent(&status.look), (format!("GET {url}"), headers.clone(), Value::Null));
        assert_eq!(sent(&status.post), (format!("POST {url}"), headers, body.clone()));
        assert!(status.stands(&json!({"count": 1, "value": [body]})));
        let other = json!({"state": "error", "context": {"name": "ctx", "genre": "fluxcd"}});
        assert!(!status.stands(&json!({"value": [other]})));
    }
}

#[test]
fn what_is_missing_is_said_without_secrets() {
    for kind in crate::matching::COMMIT_STATUS {
        let address = match *kind {
            "azuredevops" => "https://u:canary@git.example/a/b/_git/c",
            "bitbucketserver" => "https://u:canary@git.example/scm/a/b",
            _ => "https://u:canary@git.example/a/b",
        };
        let error = plan(&target(kind, address, ""), &event("info"), "x").unwrap_err().to_string();
        assert!(error.contains("in spec.secretRef"), "{error}");
        let error = plan(&target(kind, "canary", "canary:x"), &event("info"), "x").unwrap_err().to_string();
        assert!(error.contains("address") && !error.contains("canary"), "{error}");
    }
}
