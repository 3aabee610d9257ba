//! Logins to Azure Container Registry: an Entra token exchanged for a refresh token of the registry.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    Caller, Error, RegistryLogin, Scope, cloud::Inner, environment::Service, provider::Access, registry_host,
    wire::Request,
};

/// Flux's `registryPattern`.
const PATTERN: &str = r"^.+\.(azurecr\.io|azurecr\.cn|azurecr\.de|azurecr\.us)$";
/// The audience of all Azure registries.
const AUDIENCE: &str = "https://containerregistry.azure.net/.default";
/// The user that refresh tokens belong to.
const USER: &str = "00000000-0000-0000-0000-000000000000";

/// What `AZURE_ENVIRONMENT_FILEPATH` holds in clouds that are not public.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CloudFile {
    #[serde(default, rename = "containerRegistryDNSSuffix")]
    pub(super) registry_suffix: String,
    #[serde(default)]
    pub(super) resource_manager_endpoint: String,
    #[serde(default)]
    pub(super) token_audience: String,
}

impl CloudFile {
    /// The file of the environment, if it names one.
    pub(super) fn read(cloud: &Inner) -> Result<Option<Self>, Error> {
        const NAME: &str = "AZURE_ENVIRONMENT_FILEPATH";
        let Some(path) = cloud.environment.get(NAME) else { return Ok(None) };
        let bytes = fs_err::read(path)
            .map_err(|source| Error::File { what: "Azure environment file", source: source.into() })?;
        let file: Self = serde_json::from_slice(&bytes)
            .map_err(|_| Error::invalid(format!("the file that {NAME} names is not JSON with texts")))?;
        if file.resource_manager_endpoint.is_empty() || file.token_audience.is_empty() {
            return Err(Error::invalid(
                "resourceManagerEndpoint and tokenAudience must be set in the environment file",
            ));
        }
        Ok(Some(file))
    }
}

pub(super) fn scope(cloud: &Inner, repository: &str) -> Result<Scope, Error> {
    let host = registry_host(repository);
    let file = CloudFile::read(cloud)?;
    if !crate::matches(PATTERN, host) {
        let Some(file) = &file else {
            return Err(Error::invalid(format!("invalid Azure registry: '{host}'. must match {PATTERN}")));
        };
        let suffix = &file.registry_suffix;
        if suffix.is_empty() || !host.ends_with(suffix.as_str()) {
            return Err(Error::invalid(format!("invalid Azure registry: '{host}'. must end with {suffix}")));
        }
    }
    Ok(match file {
        Some(file) => Scope::oauth(format!("{}/.default", file.resource_manager_endpoint)),
        None => Scope::oauth(AUDIENCE),
    })
}

#[derive(Deserialize)]
struct Exchanged {
    refresh_token: String,
}

pub(super) async fn login(
    cloud: &Inner,
    caller: &Caller,
    repository: &str,
    access: &Access,
) -> Result<RegistryLogin, Error> {
    let host = registry_host(repository);
    let base = cloud.environment.endpoint(Service::AzureRegistry, &format!("https://{host}"))?;
    let url = base.join("/oauth2/exchange");
    let url = url.map_err(|_| Error::invalid(format!("'{host}' is not a registry")))?;
    let token = access.bearer()?.token.expose_secret();
    let request = Request::new("Azure Container Registry", Method::POST, url).secret(token).form(&[
        ("grant_type", "access_token"),
        ("service", host),
        ("access_token", token),
    ]);
    let answer = cloud.send(caller, request).await?;
    let exchanged: Exchanged = answer.json()?;
    let expires = expiry(&exchanged.refresh_token);
    Ok(RegistryLogin {
        username: USER.to_owned(),
        password: exchanged.refresh_token.into(),
        expires: expires
            .ok_or_else(|| Error::answer(&answer.service, "its token does not say when it expires"))?,
    })
}

/// When a JSON Web Token ends; its signature is for the registry to check.
fn expiry(token: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    Timestamp::from_second(serde_json::from_slice::<Claims>(&claims).ok()?.exp).ok()
}
