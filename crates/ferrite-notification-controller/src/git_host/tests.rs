use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ferrite_runtime::Redacted;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::figures::Figures;
use crate::providers::GitHubApp;
use crate::server::{self, Answer, Read};

const HASH: &str = "69b59063470310ebbd88a9156325322a124e55a3";

/// A Git host that answers what it is told to and writes down what it was asked.
#[derive(Clone, Default)]
struct Host {
    /// Answers by method and path; the rest is not found.
    answers: Arc<BTreeMap<String, (u16, Value)>>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    /// The authentication of every request.
    credentials: Arc<Mutex<Vec<String>>>,
}

impl Answer for Host {
    async fn answer(&self, request: Read) -> Response<Full<Bytes>> {
        let to = format!("{} {}", request.head.method, request.head.uri);
        let header = |name: &str| {
            request.head.headers.get(name).map(|value| value.to_str().unwrap_or_default().to_owned())
        };
        self.credentials
            .lock()
            .push(header("authorization").or_else(|| header("private-token")).unwrap_or_default());
        self.asked.lock().push((to.clone(), serde_json::from_slice(&request.body).unwrap_or_default()));
        let missing = (404, json!({"message": "Not Found"}));
        let (status, body) = self.answers.get(&to).unwrap_or(&missing);
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = StatusCode::from_u16(*status).unwrap();
        response
    }
}

/// What happened: the outcome, and the requests with their bodies.
struct Told {
    result: Result<(), GitHostError>,
    asked: Vec<(String, Value)>,
    credentials: Vec<String>,
}

async fn tell(kind: &str, path: &str, answers: &[(&str, u16, Value)]) -> Told {
    tell_as(kind, path, answers, None).await
}

/// Like [`tell`], as a GitHub App.
async fn tell_as(kind: &str, path: &str, answers: &[(&str, u16, Value)], app: Option<GitHubApp>) -> Told {
    let answers =
        answers.iter().map(|(to, status, body)| ((*to).to_owned(), (*status, body.clone()))).collect();
    let host = Host { answers: Arc::new(answers), ..Host::default() };
    // Another test may have installed it already.
    let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
    let stop = CancellationToken::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let figures = Figures::new(&ferrite_runtime::Metrics::new(), &crate::figures::EVENTS, false);
    let address = server::serve(listener, host.clone(), figures, stop.clone()).unwrap();
    let mut target = Target {
        kind: kind.into(),
        uid: "p-uid".into(),
        address: Redacted::new(format!("http://{address}/{path}")),
        token: app.is_none().then(|| Redacted::new("t0ken".to_owned())),
        github_app: app.map(Redacted::new),
        ..Target::default()
    };
    let mut event = crate::providers::tests::event("info");
    event.metadata = BTreeMap::from([
        ("revision".to_owned(), format!("main@sha1:{HASH}")),
        ("change_request".to_owned(), "7".to_owned()),
    ]);
    let provider: Provider = serde_json::from_value(json!({
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Provider",
        "metadata": {"name": "p", "uid": "0c9c2e41-0000"}, "spec": {"type": kind},
    }))
    .unwrap();
    let alert: Alert = serde_json::from_value(json!({
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert",
        "metadata": {"name": "a"}, "spec": {"providerRef": {"name": "p"}, "eventSources": []},
    }))
    .unwrap();
    let (sender, connection) = (Sender::default(), Connection::default());
    let deadline = Duration::from_secs(20);
    let (tokens, mut other) = (AppTokens::default(), target.clone());
    let result = async {
        let now = jiff::Timestamp::from_second(1_000_000).unwrap();
        let login = log_in(&tokens, &sender, &connection, &mut target, deadline, now).await?;
        let session = Session::new(&sender, &connection, &target, deadline);
        if kind.ends_with("comment") {
            session.comment(&event, login.as_deref()).await
        } else {
            session.set_status(&provider, &alert, &event).await
        }
    }
    .await;
    if other.github_app.is_some() && result.is_ok() {
        let before = host.asked.lock().len();
        let now = jiff::Timestamp::from_second(1_000_100).unwrap();
        log_in(&tokens, &sender, &connection, &mut other, deadline, now).await.unwrap();
        assert_eq!(host.asked.lock().len(), before, "the token is kept");
        assert_eq!(other.token(), target.token());
    }
    stop.cancel();
    let (asked, credentials) = (host.asked.lock().clone(), host.credentials.lock().clone());
    Told { result, asked, credentials }
}

fn paths(told: &Told) -> Vec<&str> {
    told.asked.iter().map(|(to, _)| to.as_str()).collect()
}

#[tokio::test]
async fn a_status_is_set_once() {
    let look = format!("GET /api/v3/repos/acme/fleet/commits/{HASH}/statuses?per_page=50");
    let post = format!("POST /api/v3/repos/acme/fleet/statuses/{HASH}");
    let fresh = tell("github", "acme/fleet.git", &[(&look, 200, json!([])), (&post, 201, json!({}))]).await;
    fresh.result.as_ref().unwrap();
    assert_eq!(paths(&fresh), [look.as_str(), post.as_str()]);
    let set = json!({"state": "success", "description": "reconciliation succeeded", "context": "kustomization/apps/0c9c2e41"});
    assert_eq!(fresh.asked[1].1, set);
    assert_eq!(fresh.credentials, ["Bearer t0ken", "Bearer t0ken"]);

    let again = tell("github", "acme/fleet.git", &[(&look, 200, json!([set]))]).await;
    again.result.as_ref().unwrap();
    assert_eq!(paths(&again), [look.as_str()], "what stands is not set again");
}

#[tokio::test]
async fn each_host_is_asked_in_its_own_way() {
    for (kind, path, look, post) in [
        (
            "gitlab",
            "group/sub/fleet",
            format!(
                "GET /api/v4/projects/group%2Fsub%2Ffleet/repository/commits/{HASH}/statuses?name=kustomization%2Fapps%2F0c9c2e41"
            ),
            format!("POST /api/v4/projects/group%2Fsub%2Ffleet/statuses/{HASH}"),
        ),
        (
            "gitea",
            "acme/fleet",
            format!("GET /api/v1/repos/acme/fleet/commits/{HASH}/statuses?limit=50&page=1"),
            format!("POST /api/v1/repos/acme/fleet/statuses/{HASH}"),
        ),
        (
            "bitbucketserver",
            "scm/acme/fleet.git",
            format!(
                "GET /rest/api/latest/projects/acme/repos/fleet/commits/{HASH}/builds?key=534add2e1e94c46fbe0f8e657ba36c652fa8d2dd"
            ),
            format!("POST /rest/api/latest/projects/acme/repos/fleet/commits/{HASH}/builds"),
        ),
        (
            "azuredevops",
            "org/proj/_git/fleet",
            format!("GET /org/proj/_apis/git/repositories/fleet/commits/{HASH}/statuses"),
            format!("POST /org/proj/_apis/git/repositories/fleet/commits/{HASH}/statuses"),
        ),
    ] {
        // The host answers 404 where nothing stands.
        let told = tell(kind, path, &[(&post, 204, Value::Null)]).await;
        told.result.as_ref().unwrap();
        assert_eq!(paths(&told), [look.as_str(), post.as_str()], "{kind}");
        assert!(told.credentials.iter().all(|credentials| !credentials.is_empty()), "{kind}");
    }
}

#[tokio::test]
async fn refusals_are_told_without_secrets() {
    let look = format!("GET /api/v1/repos/acme/fleet/commits/{HASH}/statuses?limit=50&page=1");
    let refused =
        tell("gitea", "acme/fleet", &[(&look, 401, json!({"message": "token t0ken is wrong"}))]).await;
    assert_eq!(refused.asked.len(), 1, "a refusal is final");
    let error = refused.result.unwrap_err();
    assert!(error.to_string().contains("status code 401"), "{error}");
    assert!(!format!("{error} {error:?}").contains("t0ken"), "{error}");
    let strange = tell("gitea", "acme/fleet", &[(&look, 200, Value::Null)]).await;
    assert_eq!(strange.asked.len(), 2, "an answer without statuses is none");
}

/// Whose token it is, and the comments there are.
fn comments(
    user: &str,
    list: &str,
    ours: Option<(u64, &str)>,
    names: [&str; 2],
) -> Vec<(String, u16, Value)> {
    let by = |id: u64, author: &str, body: &str| {
        let mut comment = json!({"id": id, "body": body});
        comment[names[1]] = json!({names[0]: author});
        comment
    };
    let marker = |key: &str| format!("<!-- {key}:p-uid/Kustomization/flux-system/apps -->\n\nold");
    let mut all = vec![by(1, "someone", &marker("flux-pr-comment-key")), by(2, "bot", "unrelated")];
    all.extend(ours.map(|(id, key)| by(id, "bot", &marker(key))));
    vec![(format!("GET {user}"), 200, json!({names[0]: "bot"})), (format!("GET {list}"), 200, json!(all))]
}

async fn comment(kind: &str, path: &str, answers: &[(String, u16, Value)], write: &str) -> Value {
    let mut answers: Vec<(&str, u16, Value)> =
        answers.iter().map(|(to, status, body)| (to.as_str(), *status, body.clone())).collect();
    let reads: Vec<String> = answers.iter().map(|(to, ..)| (*to).to_owned()).collect();
    answers.push((write, 200, json!({})));
    let told = tell(kind, path, &answers).await;
    told.result.as_ref().unwrap();
    assert_eq!(paths(&told), [reads[0].as_str(), reads[1].as_str(), write]);
    told.asked[2].1.clone()
}

#[tokio::test]
async fn github_pull_requests_get_one_comment() {
    let kind = "githubpullrequestcomment";
    let issues = "/api/v3/repos/acme/fleet/issues";
    let list = format!("{issues}/7/comments?direction=asc&per_page=100&sort=created");
    let names = ["login", "user"];
    let none = comments("/api/v3/user", &list, None, names);
    let body = comment(kind, "acme/fleet", &none, &format!("POST {issues}/7/comments")).await;
    let text = format!(
        "<!-- flux-pr-comment-key:p-uid/Kustomization/flux-system/apps -->\n\n## Flux Status\n\n\
         ℹ️ Kustomization/flux-system/apps\n\nDeployment/web configured\nService/web created\n\n\
         Metadata:\n* `revision`: main@sha1:{HASH}\n"
    );
    assert_eq!(body, json!({"body": text}));
    let ours = comments("/api/v3/user", &list, Some((3, "flux-pr-comment-key")), names);
    let edited = comment(kind, "acme/fleet", &ours, &format!("PATCH {issues}/comments/3")).await;
    assert_eq!(edited, body);
}

#[tokio::test]
async fn gitea_pull_requests_get_one_comment() {
    let kind = "giteapullrequestcomment";
    let issues = "/api/v1/repos/acme/fleet/issues";
    let list = format!("{issues}/7/comments?limit=100&page=1");
    let names = ["login", "user"];
    let none = comments("/api/v1/user", &list, None, names);
    comment(kind, "acme/fleet", &none, &format!("POST {issues}/7/comments")).await;
    let ours = comments("/api/v1/user", &list, Some((9, "flux-pr-comment-key")), names);
    comment(kind, "acme/fleet", &ours, &format!("PATCH {issues}/comments/9")).await;
}

#[tokio::test]
async fn gitlab_merge_requests_get_one_comment() {
    let kind = "gitlabmergerequestcomment";
    let notes = "/api/v4/projects/group%2Fsub%2Ffleet/merge_requests/7/notes";
    let list = format!("{notes}?order_by=created_at&per_page=100&sort=asc");
    let names = ["username", "author"];
    let none = comments("/api/v4/user", &list, None, names);
    let body = comment(kind, "group/sub/fleet", &none, &format!("POST {notes}")).await;
    assert!(
        body["body"].as_str().unwrap().starts_with(
            "<!-- flux-mr-comment-key:p-uid/Kustomization/flux-system/apps -->\n\n## Flux Status\n"
        ),
        "{body}"
    );
    let ours = comments("/api/v4/user", &list, Some((5, "flux-mr-comment-key")), names);
    comment(kind, "group/sub/fleet", &ours, &format!("PUT {notes}/5")).await;
}

/// A key of an app in PEM form: PKCS #1, as GitHub gives it out. `None` without openssl.
fn app_key() -> Option<Vec<u8>> {
    let made = std::process::Command::new("openssl").args(["genrsa", "-traditional", "2048"]).output();
    made.ok().filter(|made| made.status.success()).map(|made| made.stdout)
}

#[tokio::test]
async fn apps_get_a_token_first_and_comment_as_bots() {
    let Some(private_key) = app_key() else {
        println!("skipped: no openssl to make a key");
        return;
    };
    let app = GitHubApp { id: "12".into(), private_key, ..GitHubApp::default() };
    let issues = "/api/v3/repos/acme/fleet/issues";
    let list = format!("{issues}/7/comments?direction=asc&per_page=100&sort=created");
    let mut answers = comments("/unused", &list, None, ["login", "user"]);
    let marker = "<!-- flux-pr-comment-key:p-uid/Kustomization/flux-system/apps -->";
    answers[1].2 = json!([{"id": 4, "user": {"login": "flux[bot]"}, "body": marker}]);
    let edit = format!("PATCH {issues}/comments/4");
    let own = [
        ("GET /api/v3/repos/acme/fleet/installation", json!({"id": 99})),
        ("POST /api/v3/app/installations/99/access_tokens", json!({"token": "ghs_installed"})),
        ("GET /api/v3/app", json!({"slug": "flux"})),
    ];
    let mut all: Vec<(&str, u16, Value)> = own.iter().map(|(to, body)| (*to, 200, body.clone())).collect();
    all.extend(answers.iter().map(|(to, status, body)| (to.as_str(), *status, body.clone())));
    all.push((&edit, 200, json!({})));
    let told = tell_as("githubpullrequestcomment", "acme/fleet", &all, Some(app.clone())).await;
    told.result.as_ref().unwrap();
    let list = format!("GET {list}");
    assert_eq!(paths(&told), [own[0].0, own[1].0, own[2].0, list.as_str(), edit.as_str()]);
    assert_eq!(told.credentials[3], "Bearer ghs_installed");

    let jwt = told.credentials[0].strip_prefix("Bearer ").unwrap();
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    use base64::Engine as _;
    let decode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
    let claims: Value = serde_json::from_slice(&decode(signed.split('.').nth(1).unwrap())).unwrap();
    assert_eq!(claims, json!({"iat": 999_940, "exp": 1_000_540, "iss": "12"}));
    use rustls::pki_types::pem::PemObject as _;
    let der = rustls::pki_types::PrivatePkcs1KeyDer::from_pem_slice(&app.private_key).unwrap();
    let pair = ring::rsa::KeyPair::from_der(der.secret_pkcs1_der()).unwrap();
    let public = ring::signature::KeyPair::public_key(&pair).as_ref().to_vec();
    let public =
        ring::signature::UnparsedPublicKey::new(&ring::signature::RSA_PKCS1_2048_8192_SHA256, public);
    public.verify(signed.as_bytes(), &decode(signature)).unwrap();

    let known = GitHubApp { installation: Some("99".into()), ..app };
    let refused = [(own[1].0, 401, json!({"message": "bad"}))];
    let told = tell_as("github", "acme/fleet", &refused, Some(known)).await;
    assert_eq!(paths(&told), [own[1].0]);
    assert!(told.result.unwrap_err().to_string().contains("status code 401"));
}

#[tokio::test]
async fn keys_that_are_none_are_refused_without_being_shown() {
    let app = GitHubApp { id: "12".into(), private_key: b"canary".to_vec(), ..GitHubApp::default() };
    let told = tell_as("github", "acme/fleet", &[], Some(app)).await;
    let error = told.result.unwrap_err();
    assert!(
        error.to_string().starts_with("githubAppPrivateKey of a provider of type github must be"),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert_eq!(told.asked.len(), 0);
}
