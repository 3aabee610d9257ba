//! Logins to Elastic Container Registry, private and public.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{Call, call, credentials::regional};
use crate::{
    Caller, Error, RegistryLogin, Scope, cloud::Inner, environment::Service, provider::Access, registry_host,
};

/// Flux's `registryPattern`.
const PATTERN: &str = r"^([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([a-zA-Z0-9][a-zA-Z0-9_-]{0,99})\.(amazonaws\.(?:com(?:\.cn)?|eu)|on\.(?:aws|amazonwebservices\.com\.cn)|sc2s\.sgov\.gov|c2s\.ic\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)$";
/// The public registry's names.
const PUBLIC: &[&str] = &["public.ecr.aws", "ecr-public.aws.com"];
/// The only region that logs in to the public registry.
const PUBLIC_REGION: &str = "us-east-1";

/// Which registry a repository is in.
enum Registry {
    Public,
    Private { region: String },
}

fn parse(repository: &str) -> Result<Registry, Error> {
    let host = registry_host(repository);
    if PUBLIC.contains(&host) {
        return Ok(Registry::Public);
    }
    let region = crate::captures(PATTERN, host).and_then(|parts| parts.get(2).cloned());
    let region = region
        .ok_or_else(|| Error::invalid(format!("invalid AWS registry: '{host}'. must match {PATTERN}")))?;
    Ok(Registry::Private { region })
}

pub(super) fn scope(_cloud: &Inner, repository: &str) -> Result<Scope, Error> {
    let region = match parse(repository)? {
        Registry::Public => PUBLIC_REGION.to_owned(),
        Registry::Private { region } => region,
    };
    Ok(Scope { region: Some(region), ..Scope::default() })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    authorization_token: String,
    expires_at: f64,
}

/// The private registry answers a list, the public one a single entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    authorization_data: OneOrMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Data),
    Many(Vec<Data>),
}

pub(super) async fn login(
    cloud: &Inner,
    caller: &Caller,
    repository: &str,
    access: &Access,
) -> Result<RegistryLogin, Error> {
    let (url, region, signing_name, target) = match parse(repository)? {
        Registry::Public => {
            let url = regional(cloud, Service::AwsEcrPublic, "api.ecr-public", PUBLIC_REGION)?;
            let target = "SpencerFrontendService.GetAuthorizationToken";
            (url, PUBLIC_REGION.to_owned(), "ecr-public", target)
        }
        Registry::Private { region } => {
            let url = regional(cloud, Service::AwsEcr, "api.ecr", &region)?;
            let target = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
            (url, region, "ecr", target)
        }
    };
    let ask = Call {
        service: "AWS ECR",
        signing_name,
        method: Method::POST,
        url,
        region: &region,
        target: Some(target),
        body: Some(json!({})),
    };
    let answer = call(cloud, caller, access.aws()?, ask).await?;
    let data = match answer.json::<Answer>()?.authorization_data {
        OneOrMany::One(data) => Some(data),
        OneOrMany::Many(list) => list.into_iter().next(),
    };
    let data = data.ok_or_else(|| Error::answer(&answer.service, "it has no authorization data"))?;
    let decoded = STANDARD.decode(data.authorization_token.as_bytes()).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let (username, password) = decoded
        .as_deref()
        .and_then(|text| text.split_once(':'))
        .ok_or_else(|| Error::answer(&answer.service, "its token is not user:password in base64"))?;
    let expires = Timestamp::from_millisecond((data.expires_at * 1000.0) as i64);
    Ok(RegistryLogin {
        username: username.to_owned(),
        password: password.into(),
        expires: expires.map_err(|_| Error::answer(&answer.service, "expiresAt is not a time"))?,
    })
}
