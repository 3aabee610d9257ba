//! `provider: github`, against an API that answers as GitHub's does.

use ferrite_testkit::{ScriptedServer, answer, new_rsa_key};
use serde_json::json;

use super::failures::{failed, retried};
use super::world::World;

/// An API where the organisation `org` and the user `me` have installations, and the tokens the server takes.
async fn api() -> ScriptedServer {
    let script = |request: &ferrite_testkit::Delivery| {
        let has_own =
            request.headers.get("authorization").is_some_and(|v| v.as_bytes().starts_with(b"Bearer ey"));
        match request.path.as_str() {
            _ if !has_own => answer(401, r#"{"message": "no token"}"#),
            "/api/v3/orgs/org/installation" | "/api/v3/users/me/installation" => answer(200, r#"{"id": 42}"#),
            "/api/v3/app/installations/42/access_tokens" => {
                answer(201, r#"{"token": "canary-token", "expires_at": "2026-01-02T04:04:05Z"}"#)
            }
            "/api/v3/app/installations/7/access_tokens" => answer(403, r#"{"message": "suspended"}"#),
            _ => answer(404, r#"{"message": "Not Found"}"#),
        }
    };
    ScriptedServer::start(script).await.unwrap()
}

#[tokio::test]
async fn an_app_gets_a_token_and_keeps_it() {
    let (world, api) = (World::new().await, api().await);
    world.git.private_repository("app", "x-access-token", "canary-token", &[("a.yaml", "1")]).unwrap();
    let (key, base) = (new_rsa_key().unwrap(), format!("{}/api/v3", api.url()));
    let object = world.repository("app", &json!({"provider": "github", "secretRef": {"name": "git"}}));
    let secret = |who: &str, name: &str| {
        let data =
            [("githubAppID", "1"), ("githubAppPrivateKey", &key), ("githubAppBaseURL", &base), (who, name)];
        world.secret(&data);
    };
    let token = "POST /api/v3/app/installations/42/access_tokens";

    secret("githubAppInstallationID", "42");
    let first = world.reconcile(&object).await;
    assert_eq!(world.files(first.artifact()), ["a.yaml"]);
    world.reconcile(&world.asked(&first.object)).await;
    assert_eq!(api.lines(), [token], "the second time the token is still good");

    secret("githubAppInstallationOwner", "org");
    world.reconcile(&object).await.artifact();
    secret("githubAppInstallationOwner", "me");
    world.reconcile(&object).await.artifact();
    let orgs = ["GET /api/v3/orgs/org/installation", token, "GET /api/v3/orgs/me/installation"];
    assert_eq!(api.lines()[1..], [&orgs[..], &["GET /api/v3/users/me/installation", token]].concat());
}

#[tokio::test]
async fn apps_that_get_no_token_are_told_why() {
    let (world, api) = (World::new().await, api().await);
    world.git.repository("app", &[("a.yaml", "1")]).unwrap();
    let (key, base) = (new_rsa_key().unwrap(), format!("{}/api/v3", api.url()));
    let object = world.repository("app", &json!({"provider": "github", "secretRef": {"name": "git"}}));
    let app = [("githubAppID", "1"), ("githubAppPrivateKey", key.as_str()), ("githubAppBaseURL", &base)];
    let (auth, with) = ("AuthenticationFailed", "failed to configure authentication options: ");
    let both = [("githubAppInstallationID", "42"), ("githubAppInstallationOwner", "org")];
    let cases: [(Vec<(&str, &str)>, &str); 6] = [
        (app.to_vec(), "app installation owner or ID must be provided to use github app authentication"),
        ([&app[..], &both].concat(), "only one of app installation owner or ID must be provided"),
        (
            [&app[..], &[("githubAppInstallationID", "../x")]].concat(),
            "'githubAppInstallationID' must be a number",
        ),
        (
            [&app[..], &[("githubAppInstallationID", "7")]].concat(),
            "the GitHub API answered 403 Forbidden suspended",
        ),
        (
            [&app[..], &[("githubAppInstallationOwner", "no/one")]].concat(),
            "failed to find organization installation: the GitHub API answered 404 Not Found Not Found\nfailed to find user installation: ",
        ),
        (
            vec![("githubAppID", "1"), ("githubAppPrivateKey", "canary"), ("githubAppInstallationID", "42")],
            "could not parse private key: ",
        ),
    ];
    for (data, message) in cases {
        world.secret(&data);
        let after = world.reconcile(&object).await;
        failed(&after, "FetchFailed", auth, &format!("{with}{message}"));
        retried(&after);
        assert!(!format!("{:?}{:?}", after.status, after.events()).contains("canary"));
    }
    world.secret(&[("username", "me"), ("password", "canary")]);
    let without = world.reconcile(&object).await;
    let message = "secretRef with github app data must be specified when provider is set to github";
    failed(&without, "FetchFailed", "InvalidProviderConfiguration", message);
    retried(&without);
}
