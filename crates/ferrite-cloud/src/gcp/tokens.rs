//! Access tokens: of the metadata server, by exchange of another identity's token, by impersonation.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::{
    Caller, Error, Redacted, Token,
    cloud::Inner,
    environment::Service,
    wire::{Answer, Request},
};

/// An answer of an OAuth service.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<i64>,
}

/// Another identity's token, and what it is exchanged for.
pub(super) struct Federated<'a> {
    pub(super) audience: &'a str,
    pub(super) subject: &'a Redacted<String>,
    pub(super) subject_type: &'a str,
    pub(super) sts: Url,
    /// `…:generateAccessToken` of a service account.
    pub(super) impersonate: Option<Url>,
}

/// The token in `answer`, whose question was asked at `asked`.
pub(super) fn granted(answer: &Answer, asked: Timestamp) -> Result<Token, Error> {
    let granted: Granted = answer.json()?;
    // RFC 6749 lets a server leave it out; Google's last an hour.
    let life = SignedDuration::from_secs(granted.expires_in.unwrap_or(3600).max(0));
    let expires = asked.saturating_add(life).unwrap_or(asked);
    Ok(Token { token: granted.access_token.into(), expires })
}

/// A value of the metadata server.
pub(super) async fn metadata(cloud: &Inner, path: &str) -> Result<String, Error> {
    let text = cloud.send_metadata(metadata_request(cloud, path)?).await?.text()?;
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::answer("the metadata service", format!("{path} is empty")));
    }
    Ok(text.to_owned())
}

fn metadata_request<'a>(cloud: &Inner, path: &str) -> Result<Request<'a>, Error> {
    // Google's libraries go to the address, since the name needs a resolver that knows it.
    let base = cloud.environment.endpoint(Service::GcpMetadata, "http://169.254.169.254")?;
    let url = base.join(&format!("/computeMetadata/v1/{path}"));
    let url = url.map_err(|_| Error::invalid("the metadata endpoint is not a URL"))?;
    Ok(Request::new("Google metadata", Method::GET, url).header("metadata-flavor", "Google"))
}

/// A token of the node's or the pod's service account.
pub(super) async fn of_metadata(cloud: &Inner, scopes: &str) -> Result<Token, Error> {
    let asked = cloud.now();
    let list = scopes.split_whitespace().collect::<Vec<_>>().join(",");
    let query: String =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("scopes", &list).finish();
    let request = metadata_request(cloud, &format!("instance/service-accounts/default/token?{query}"))?;
    granted(&cloud.send_metadata(request).await?, asked)
}

/// The audience for which GKE's STS takes tokens of its own clusters.
pub(super) async fn gke_audience(cloud: &Inner, pool: &str) -> Result<String, Error> {
    let project = metadata(cloud, "project/project-id").await?;
    let location = metadata(cloud, "instance/attributes/cluster-location").await?;
    let name = metadata(cloud, "instance/attributes/cluster-name").await?;
    Ok(format!(
        "identitynamespace:{pool}:https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{name}"
    ))
}

/// Where tokens of the service account `email` are made.
pub(super) fn impersonation(cloud: &Inner, email: &str) -> Result<Url, Error> {
    let base =
        cloud.environment.endpoint(Service::GcpIamCredentials, "https://iamcredentials.googleapis.com")?;
    let url = base.join(&format!("/v1/projects/-/serviceAccounts/{email}:generateAccessToken"));
    url.map_err(|_| Error::invalid(format!("'{email}' cannot be a service account")))
}

/// Exchanges a token by RFC 8693 and, if asked to, impersonates a service account with the result.
pub(super) async fn federate(
    cloud: &Inner,
    caller: &Caller,
    federated: &Federated<'_>,
    scopes: &str,
) -> Result<Token, Error> {
    let asked = cloud.now();
    // Who is impersonated has the scopes that were asked for; to impersonate takes only this one.
    let scope = match federated.impersonate {
        Some(_) => "https://www.googleapis.com/auth/cloud-platform",
        None => scopes,
    };
    let subject = federated.subject.expose_secret();
    let request = Request::new("Google STS", Method::POST, federated.sts.clone()).secret(subject).form(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", federated.audience),
        ("scope", scope),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token", subject),
        ("subject_token_type", federated.subject_type),
    ]);
    let token = granted(&cloud.send(caller, request).await?, asked)?;
    match &federated.impersonate {
        Some(url) => impersonate(cloud, caller, url.clone(), &token, scopes).await,
        None => Ok(token),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generated {
    access_token: String,
    expire_time: Timestamp,
}

async fn impersonate(
    cloud: &Inner,
    caller: &Caller,
    url: Url,
    token: &Token,
    scopes: &str,
) -> Result<Token, Error> {
    let scopes: Vec<&str> = scopes.split_whitespace().collect();
    let request = Request::new("Google IAM credentials", Method::POST, url)
        .bearer(token.token.expose_secret())
        .json(&json!({ "scope": scopes, "lifetime": "3600s" }));
    let generated: Generated = cloud.send(caller, request).await?.json()?;
    Ok(Token { token: generated.access_token.into(), expires: generated.expire_time })
}
