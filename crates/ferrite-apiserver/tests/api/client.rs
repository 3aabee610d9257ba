//! A small client, and bounded waits.

use std::time::Duration;

use base64::Engine as _;
use ferrite_apiserver::{ApiServer, Builder, Running};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Api {
    http: Client,
    url: String,
    token: String,
    user: Option<String>,
}

/// Status and body.
pub(crate) type Answer = (u16, Value);

/// The value of a one-line entry of a kubeconfig.
fn entry<'t>(kubeconfig: &'t str, key: &str) -> &'t str {
    let line = kubeconfig.lines().find_map(|l| l.trim_start().strip_prefix(key)?.strip_prefix(": "));
    line.expect("the kubeconfig has the key")
}

impl Api {
    /// A client as the kubeconfig describes it.
    pub(crate) fn new(kubeconfig: &str) -> Self {
        // Another test may have installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let ca = base64::engine::general_purpose::STANDARD
            .decode(entry(kubeconfig, "certificate-authority-data"))
            .expect("base64");
        let certificate = reqwest::Certificate::from_pem(&ca).expect("a certificate");
        let http =
            Client::builder().tls_certs_only([certificate]).timeout(PATIENCE).build().expect("a client");
        Self {
            http,
            url: entry(kubeconfig, "server").to_owned(),
            token: entry(kubeconfig, "token").to_owned(),
            user: None,
        }
    }

    /// The same client with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The same client, impersonating somebody.
    pub(crate) fn as_user(&self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self.clone() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .header("user-agent", "tests/1");
        match &self.user {
            Some(user) => request.header("impersonate-user", user),
            None => request,
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        media: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let response = self
            .request(method, path)
            .header("content-type", media)
            .body(body)
            .send()
            .await
            .expect("an answer");
        let code = response.status().as_u16();
        let bytes = response.bytes().await.expect("a body");
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "application/json", "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, "application/json", body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, "application/json", body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str, options: &Value) -> Answer {
        self.send(Method::DELETE, path, "application/json", options.to_string()).await
    }

    pub(crate) async fn merge(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, "application/merge-patch+json", body.to_string()).await
    }

    pub(crate) async fn apply(&self, path: &str, manager: &str, body: &Value) -> Answer {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}fieldManager={manager}");
        self.send(Method::PATCH, &path, "application/apply-patch+yaml", body.to_string()).await
    }

    /// Reads `path` until `done`, and returns the last body.
    pub(crate) async fn until(&self, path: &str, done: impl Fn(&Answer) -> bool) -> Answer {
        let mut last = (0, Value::Null);
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                last = self.get(path).await;
                if done(&last) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(waited.await.is_ok(), "gave up on {path}; last: {last:?}");
        last
    }

    pub(crate) async fn gone(&self, path: &str) {
        self.until(path, |(code, _)| *code == 404).await;
    }
}

/// A running server and its administrator.
pub(crate) async fn start(builder: Builder) -> (Running, Api) {
    let running = builder.start().await.expect("the server starts");
    let api = Api::new(&running.kubeconfig());
    (running, api)
}

/// A server in memory, without anything special.
pub(crate) async fn plain() -> (Running, Api) {
    start(ApiServer::builder()).await
}

pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

pub(crate) fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}
