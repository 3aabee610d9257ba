//! Tokens of Entra: with a secret, a certificate, a federated token, or of the node.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    Caller, Error, Kind, Redacted, Token,
    cloud::Inner,
    environment::{self, Service},
    key::{RsaKey, certificates, thumbprint},
    wire::{Answer, Request},
};

/// The public cloud's login service.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// An application of Entra.
#[derive(Clone, Copy)]
pub(super) struct Application<'a> {
    pub(super) tenant: &'a str,
    pub(super) client: &'a str,
    /// The login service; that of the environment when `None`.
    pub(super) authority: Option<&'a str>,
}

/// What Entra and the metadata services answer; these give numbers as texts.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<Value>,
    expires_on: Option<Value>,
}

fn granted(answer: &Answer, asked: Timestamp) -> Result<Token, Error> {
    let granted: Granted = answer.json()?;
    let number = |value: &Option<Value>| match value {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let expires = match (number(&granted.expires_in), number(&granted.expires_on)) {
        (Some(seconds), _) => asked.saturating_add(SignedDuration::from_secs(seconds.max(0))).ok(),
        (None, Some(at)) => Timestamp::from_second(at).ok(),
        (None, None) => None,
    };
    let expires = expires.ok_or_else(|| Error::answer(&answer.service, "it does not say when it expires"))?;
    Ok(Token { token: granted.access_token.into(), expires })
}

/// The controller's own: a secret or certificate of the environment, workload identity, the node's identity.
pub(super) async fn of_environment(cloud: &Inner, caller: &Caller, scope: &str) -> Result<Token, Error> {
    let env = &cloud.environment;
    let client = env.get("AZURE_CLIENT_ID");
    if let (Some(tenant), Some(client)) = (env.get("AZURE_TENANT_ID"), client) {
        let application = Application { tenant, client, authority: None };
        if let Some(secret) = env.get("AZURE_CLIENT_SECRET") {
            return by_secret(cloud, caller, &application, &secret.into(), scope).await;
        }
        if let Some(path) = env.get("AZURE_CLIENT_CERTIFICATE_PATH") {
            let pem = environment::read(path, "certificate (AZURE_CLIENT_CERTIFICATE_PATH)").await?;
            let chain = env.get("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN");
            let chain = chain.is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"));
            return by_certificate(cloud, caller, &application, (&pem.into(), chain), scope).await;
        }
        if let Some(file) = env.get("AZURE_FEDERATED_TOKEN_FILE") {
            let token = environment::read_text(file, "federated token (AZURE_FEDERATED_TOKEN_FILE)").await?;
            return by_assertion(cloud, caller, &application, &token, scope).await;
        }
    }
    of_node(cloud, client, scope).await
}

/// Where `application` logs in.
fn endpoint(cloud: &Inner, application: &Application<'_>) -> Result<Url, Error> {
    let base = match application.authority {
        Some(authority) => Url::parse(authority)
            .ok()
            .filter(|url| url.scheme() == "https")
            .ok_or_else(|| Error::invalid("the authority host must be an https URL"))?,
        None => cloud.environment.endpoint(Service::AzureAuthority, AUTHORITY)?,
    };
    let url = base.join(&format!("/{}/oauth2/v2.0/token", application.tenant));
    url.map_err(|_| Error::invalid(format!("'{}' is not a tenant", application.tenant)))
}

async fn grant(
    cloud: &Inner,
    caller: &Caller,
    application: &Application<'_>,
    scope: &str,
    proof: &[(&str, &str)],
) -> Result<Token, Error> {
    let asked = cloud.now();
    let mut fields =
        vec![("grant_type", "client_credentials"), ("client_id", application.client), ("scope", scope)];
    fields.extend_from_slice(proof);
    let mut request = Request::new("Microsoft Entra", Method::POST, endpoint(cloud, application)?);
    for (_, value) in proof {
        request = request.secret(value);
    }
    granted(&cloud.send(caller, request.form(&fields)).await?, asked)
}

pub(super) async fn by_secret(
    cloud: &Inner,
    caller: &Caller,
    application: &Application<'_>,
    secret: &Redacted<String>,
    scope: &str,
) -> Result<Token, Error> {
    grant(cloud, caller, application, scope, &[("client_secret", secret.expose_secret())]).await
}

/// With a statement that somebody whom the application trusts has signed.
pub(super) async fn by_assertion(
    cloud: &Inner,
    caller: &Caller,
    application: &Application<'_>,
    assertion: &str,
    scope: &str,
) -> Result<Token, Error> {
    let proof = [
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ];
    grant(cloud, caller, application, scope, &proof).await
}

/// With a statement signed by a certificate's key; `certificate` is PEM, and whether it goes along.
pub(super) async fn by_certificate(
    cloud: &Inner,
    caller: &Caller,
    application: &Application<'_>,
    certificate: (&Redacted<Vec<u8>>, bool),
    scope: &str,
) -> Result<Token, Error> {
    let (pem, send_chain) = (certificate.0.expose_secret(), certificate.1);
    let key = RsaKey::parse(pem, "Azure client certificate")?;
    let chain = certificates(pem);
    let leaf = chain.first().ok_or_else(|| Error::invalid("the Azure client certificate is not PEM"))?;
    let mut header = json!({ "alg": "RS256", "typ": "JWT", "x5t": thumbprint(leaf) });
    if send_chain && let Some(header) = header.as_object_mut() {
        let chain: Vec<String> = chain.iter().map(|certificate| STANDARD.encode(certificate)).collect();
        header.insert("x5c".to_owned(), json!(chain));
    }
    let now = cloud.now().as_second();
    // Entra refuses an id it has seen, and two statements of one second would otherwise be equal.
    let mut random = [0_u8; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random)
        .map_err(|_| Error::invalid("the system has no randomness"))?;
    let claims = json!({
        "aud": endpoint(cloud, application)?.as_str(),
        "iss": application.client,
        "sub": application.client,
        "jti": hex::encode(random),
        "nbf": now,
        "iat": now,
        "exp": now + 600,
    });
    by_assertion(cloud, caller, application, &key.jwt(&header, &claims)?, scope).await
}

/// The identity of the node, or of the app service; `client` chooses among several.
pub(super) async fn of_node(cloud: &Inner, client: Option<&str>, scope: &str) -> Result<Token, Error> {
    let env = &cloud.environment;
    let asked = cloud.now();
    // Managed identities take resources, not scopes.
    let resource = scope.strip_suffix("/.default").unwrap_or(scope);
    let (mut url, version, secret) = match (env.get("IDENTITY_ENDPOINT"), env.get("IDENTITY_HEADER")) {
        (Some(endpoint), Some(secret)) => {
            let url = Url::parse(endpoint);
            (url.map_err(|_| Error::invalid("IDENTITY_ENDPOINT is not a URL"))?, "2019-08-01", Some(secret))
        }
        _ => {
            let base = env.endpoint(Service::AzureMetadata, "http://169.254.169.254")?;
            let url = base.join("/metadata/identity/oauth2/token");
            (url.map_err(|_| Error::invalid("the metadata endpoint is not a URL"))?, "2018-02-01", None)
        }
    };
    url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
    if let Some(client) = client {
        url.query_pairs_mut().append_pair("client_id", client);
    }
    let mut request = Request::new("Azure managed identity", Method::GET, url);
    request = match secret {
        Some(secret) => request.header("x-identity-header", secret).secret(secret),
        None => request.header("metadata", "true"),
    };
    let answer = cloud.send_metadata(request).await.map_err(|error| match error {
        Error::Connection { .. } => Error::NoIdentity {
            kind: Kind::Azure,
            problem: "no client secret, certificate or federated token in the environment, and there is no \
                      managed identity service"
                .to_owned(),
        },
        other => other,
    })?;
    granted(&answer, asked)
}
