//! `provider: github`: from the Secret of a GitHub App to a login for its repositories.
//!
//! Asked of the API as fluxcd/pkg `auth/githubapp` does: the installation by its number, or that of the owner, first as
//! an organisation and then as a user. A token is used until 80 % of its life is over.

use std::{collections::HashMap, time::Duration};

use ferrite_git::{Auth, Redacted};
use ferrite_runtime::chain;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use parking_lot::Mutex;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use crate::{context::Context, credentials, download::Access};

/// The user name that goes with such a token.
const USERNAME: &str = "x-access-token";
const PUBLIC_API: &str = "https://api.github.com";
/// Bytes of an answer; one is about 1 kB.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Tokens remembered.
const MAX_TOKENS: usize = 1000;

/// Tokens of installations, by what they were got with.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<String, Known>>);

#[derive(Debug, Clone)]
struct Known {
    token: Redacted<String>,
    /// When another one is got.
    until: jiff::Timestamp,
}

/// An app, and where it is installed.
struct App {
    id: String,
    private_key: Vec<u8>,
    installation: Installation,
    api: Url,
}

enum Installation {
    Number(String),
    Owner(String),
}

/// A login for the repositories of the app that `secret` describes.
///
/// # Errors
/// What is wrong and what to do, without any secret.
pub(crate) async fn login(
    context: &Context,
    secret: &Secret,
    proxy: Option<&Secret>,
) -> Result<Auth, String> {
    let app = App::read(secret)?;
    let mut access = Access::anonymous(Duration::from_secs(30));
    credentials::certificates(&mut access, secret).map_err(|error| error.to_string())?;
    if let Some(proxy) = proxy {
        credentials::proxy(&mut access, proxy).map_err(|error| error.to_string())?;
    }
    let now = context.clock.now();
    let key = credentials::secret_key(secret, proxy);
    let known = context.github_tokens.0.lock().get(&key).filter(|known| now < known.until).cloned();
    let token = match known {
        Some(known) => known.token,
        None => {
            let fresh = app.token(&access, now).await?;
            let mut tokens = context.github_tokens.0.lock();
            tokens.retain(|_, known| now < known.until);
            if tokens.len() < MAX_TOKENS {
                tokens.insert(key, fresh.clone());
            }
            fresh.token
        }
    };
    Ok(Auth::Basic { username: USERNAME.to_owned(), password: token })
}

impl App {
    fn read(secret: &Secret) -> Result<Self, String> {
        let text = |key: &str| {
            let ByteString(bytes) = secret.data.as_ref()?.get(key)?;
            let text = String::from_utf8(bytes.clone()).ok()?.trim().to_owned();
            (!text.is_empty()).then_some(text)
        };
        let id = text("githubAppID").ok_or("app ID must be provided to use github app authentication")?;
        let key = text("githubAppPrivateKey");
        let key = key.ok_or("private key must be provided to use github app authentication")?;
        let installation = match (text("githubAppInstallationID"), text("githubAppInstallationOwner")) {
            (Some(_), Some(_)) => {
                let only = "only one of app installation owner or ID must be provided to use github app authentication";
                return Err(only.to_owned());
            }
            (None, None) => {
                let none = "app installation owner or ID must be provided to use github app authentication";
                return Err(none.to_owned());
            }
            // Both become a part of an address.
            (Some(number), None) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                Installation::Number(number)
            }
            (Some(_), None) => return Err("'githubAppInstallationID' must be a number".to_owned()),
            (None, Some(owner)) => Installation::Owner(owner),
        };
        let api = text("githubAppBaseURL").unwrap_or_else(|| PUBLIC_API.to_owned());
        let api = Url::parse(&api).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        let api = api.ok_or("'githubAppBaseURL' must be an address like https://host/api/v3")?;
        Ok(Self { id, private_key: key.into_bytes(), installation, api })
    }

    async fn token(&self, access: &Access, now: jiff::Timestamp) -> Result<Known, String> {
        let own = ferrite_cloud::github::app_token(&self.id, &self.private_key, now)
            .ok_or("could not parse private key: expected an RSA key of 2048 bits or more in PEM form")?;
        let client = access.client().map_err(|error| chain(&error))?;
        let ask = async |method: Method, path: &[&str]| {
            let request = client.request(method, self.at(path)?).bearer_auth(own.expose_secret());
            answer(request.header("accept", "application/vnd.github+json")).await
        };
        let number = match &self.installation {
            Installation::Number(number) => number.clone(),
            Installation::Owner(owner) => {
                let found = match ask(Method::GET, &["orgs", owner, "installation"]).await {
                    Ok(found) => found,
                    Err(organization) => ask(Method::GET, &["users", owner, "installation"]).await.map_err(|user| {
                        format!(
                            "failed to find organization installation: {organization}\nfailed to find user installation: {user}"
                        )
                    })?,
                };
                let number = found.get("id").and_then(Value::as_u64);
                number.ok_or("the answer names no installation")?.to_string()
            }
        };
        let made = ask(Method::POST, &["app", "installations", &number, "access_tokens"]).await?;
        let token = made.get("token").and_then(Value::as_str).ok_or("the answer holds no token")?;
        let expires: Option<jiff::Timestamp> =
            made.get("expires_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let left = expires.map_or(0, |expires| expires.as_second() - now.as_second());
        let until = now + jiff::SignedDuration::from_secs(left.clamp(0, 24 * 3600) * 4 / 5);
        Ok(Known { token: Redacted::new(token.to_owned()), until })
    }

    fn at(&self, path: &[&str]) -> Result<Url, String> {
        let mut url = self.api.clone();
        let segments = url.path_segments_mut();
        segments.map_err(|()| "'githubAppBaseURL' has no path".to_owned())?.pop_if_empty().extend(path);
        Ok(url)
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let words = |error: reqwest::Error| chain(&error.without_url());
    let mut response = request.send().await.map_err(words)?;
    let (status, mut body) = (response.status(), Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(words)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(format!("the answer is larger than {MAX_ANSWER_BYTES} bytes"));
        }
    }
    let value: Value = serde_json::from_slice(&body).unwrap_or_default();
    if matches!(status, StatusCode::OK | StatusCode::CREATED) {
        return Ok(value);
    }
    let said = value.get("message").and_then(Value::as_str).unwrap_or_default();
    let said: String = said.chars().filter(|c| !c.is_control()).take(256).collect();
    Err(format!("the GitHub API answered {status} {said}").trim_end().to_owned())
}
