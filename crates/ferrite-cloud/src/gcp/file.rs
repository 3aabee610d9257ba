//! Credentials files: keys of service accounts, external accounts, a user's refresh token.

use std::collections::BTreeMap;

use http::{HeaderName, Method};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::tokens::{Federated, federate, granted};
use crate::{
    Caller, Error, Redacted, Token,
    cloud::Inner,
    environment::{self, Service},
    key::RsaKey,
    wire::Request,
};

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum File {
    ServiceAccount(Key),
    ExternalAccount(External),
    AuthorizedUser(User),
}

#[derive(Deserialize)]
struct Key {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
struct User {
    client_id: String,
    client_secret: String,
    refresh_token: String,
}

#[derive(Deserialize)]
struct External {
    audience: String,
    subject_token_type: String,
    token_url: Option<String>,
    service_account_impersonation_url: Option<String>,
    credential_source: Source,
}

#[derive(Deserialize)]
struct Source {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    format: Format,
}

#[derive(Deserialize, Default)]
struct Format {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    subject_token_field_name: String,
}

/// The access token that the credentials file `json` stands for.
pub(super) async fn token(cloud: &Inner, caller: &Caller, json: &[u8], scopes: &str) -> Result<Token, Error> {
    let file = serde_json::from_slice(json).map_err(|error| {
        Error::invalid(format!(
            "the Google credentials are not a JSON file of type service_account, external_account or \
             authorized_user, with all its fields (line {} column {})",
            error.line(),
            error.column()
        ))
    })?;
    match file {
        File::ServiceAccount(key) => of_key(cloud, caller, &key, scopes).await,
        File::ExternalAccount(external) => of_external(cloud, caller, &external, scopes).await,
        File::AuthorizedUser(user) => {
            let asked = cloud.now();
            let (secret, refresh) = (user.client_secret.as_str(), user.refresh_token.as_str());
            let request = Request::new("Google OAuth", Method::POST, oauth(cloud)?)
                .secret(secret)
                .secret(refresh)
                .form(&[
                    ("grant_type", "refresh_token"),
                    ("client_id", &user.client_id),
                    ("client_secret", secret),
                    ("refresh_token", refresh),
                ]);
            granted(&cloud.send(caller, request).await?, asked)
        }
    }
}

fn oauth(cloud: &Inner) -> Result<Url, Error> {
    cloud.environment.endpoint(Service::GcpOauth, "https://oauth2.googleapis.com/token")
}

/// A URL that a file names; tokens go there, so it must be protected.
fn secure(text: &str, field: &str) -> Result<Url, Error> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" || is_loopback(url));
    url.ok_or_else(|| Error::invalid(format!("{field} in the Google credentials must be an https URL")))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A signed statement exchanged by RFC 7523.
async fn of_key(cloud: &Inner, caller: &Caller, key: &Key, scopes: &str) -> Result<Token, Error> {
    let asked = cloud.now();
    let url = match &key.token_uri {
        Some(uri) => secure(uri, "token_uri")?,
        None => oauth(cloud)?,
    };
    let signer = RsaKey::parse(key.private_key.as_bytes(), "Google service account")?;
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key.private_key_id });
    let claims = json!({
        "iss": key.client_email,
        "scope": scopes,
        "aud": key.token_uri.as_deref().unwrap_or("https://oauth2.googleapis.com/token"),
        "iat": asked.as_second(),
        "exp": asked.as_second() + 3600,
    });
    let assertion = signer.jwt(&header, &claims)?;
    let request = Request::new("Google OAuth", Method::POST, url)
        .secret(&assertion)
        .form(&[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)]);
    granted(&cloud.send(caller, request).await?, asked)
}

async fn of_external(
    cloud: &Inner,
    caller: &Caller,
    external: &External,
    scopes: &str,
) -> Result<Token, Error> {
    let subject = subject(cloud, caller, &external.credential_source).await?;
    let federated = Federated {
        audience: &external.audience,
        subject: &subject,
        subject_type: &external.subject_token_type,
        sts: match &external.token_url {
            Some(url) => secure(url, "token_url")?,
            None => cloud.environment.endpoint(Service::GcpSts, "https://sts.googleapis.com/v1/token")?,
        },
        impersonate: match &external.service_account_impersonation_url {
            Some(url) => Some(secure(url, "service_account_impersonation_url")?),
            None => None,
        },
    };
    federate(cloud, caller, &federated, scopes).await
}

/// The token of the other identity, of a file or of an address.
async fn subject(cloud: &Inner, caller: &Caller, source: &Source) -> Result<Redacted<String>, Error> {
    let text = match (&source.file, &source.url) {
        (Some(file), _) => environment::read_text(file, "token of the Google credentials").await?,
        (None, Some(url)) => {
            let url = Url::parse(url);
            let url = url.map_err(|_| Error::invalid("url in credential_source is not a URL"))?;
            let mut request = Request::new("credential source", Method::GET, url);
            for (name, value) in &source.headers {
                let name = HeaderName::from_bytes(name.as_bytes());
                let name = name.map_err(|_| Error::invalid("a header in credential_source has no name"))?;
                request.headers.push((name, Redacted::new(value.clone())));
            }
            cloud.send(caller, request).await?.text()?
        }
        (None, None) => {
            return Err(Error::invalid(
                "credential_source in the Google credentials must have 'file' or 'url'; others are not supported",
            ));
        }
    };
    if source.format.kind != "json" {
        return Ok(text.trim().into());
    }
    let field = &source.format.subject_token_field_name;
    let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let token = json.as_ref().and_then(|json| json.get(field)).and_then(|value| value.as_str());
    token.map(Into::into).ok_or_else(|| {
        Error::invalid(format!("what credential_source names is not JSON with a text in '{field}'"))
    })
}
