//! Amazon Web Services: credentials, and what they are exchanged for.
//!
//! Sources: the AWS SDKs' reference guide (order of credential providers), the STS, ECR and EKS API references,
//! fluxcd/pkg `auth/aws` (annotations, patterns, session names).

mod cluster;
mod codecommit;
mod credentials;
mod registry;
pub mod sigv4;

use futures::future::BoxFuture;
use http::Method;
use jiff::Timestamp;
use url::Url;

use crate::{
    AwsCredentials, Caller, ClusterAccess, ClusterRequest, Error, GitLogin, Identity, Kind, Provider,
    RegistryLogin, Scope, ServiceAccount,
    cloud::Inner,
    environment::Service,
    provider::Access,
    wire::{Answer, Request},
};

/// The audience of ServiceAccount tokens for STS.
const AUDIENCE: &str = "sts.amazonaws.com";
/// Flux's `roleARNPattern`.
const ROLE_PATTERN: &str = r"^arn:aws[\w-]*:iam::[0-9]{1,30}:role/.{1,200}$";
/// Flux's `stsEndpointPattern`.
const STS_PATTERN: &str = r"^https://(.+\.)?sts(-fips)?(\.[^.]+)?(\.vpce)?\.amazonaws\.com$";

/// AWS.
#[derive(Debug)]
pub(crate) struct Aws;

impl Provider for Aws {
    fn kind(&self) -> Kind {
        Kind::Aws
    }

    fn as_whom(&self, account: &ServiceAccount) -> Result<String, Error> {
        role(account)
    }

    fn audience<'a>(
        &'a self,
        _cloud: &'a Inner,
        _account: &'a ServiceAccount,
    ) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async { Ok(AUDIENCE.to_owned()) })
    }

    fn access<'a>(
        &'a self,
        cloud: &'a Inner,
        caller: &'a Caller,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Access, Error>> {
        Box::pin(async move {
            Ok(Access::Aws(match &caller.identity {
                Identity::AwsKeys(keys) => keys.clone(),
                Identity::Controller => credentials::of_environment(cloud, caller, scope).await?,
                Identity::ServiceAccount(account) => {
                    let region = scope.region.as_deref().ok_or_else(|| {
                        Error::invalid(
                            "a ServiceAccount needs a region to log in to AWS; set one in the object's spec",
                        )
                    })?;
                    let session = format!("{}.{}.{region}.fluxcd.io", account.name, account.namespace);
                    let token = account.mint(AUDIENCE).await?;
                    let role = role(account)?;
                    let ask = credentials::WebIdentity { role: &role, session: &session, token: &token };
                    credentials::assume(cloud, caller, scope, region, &ask).await?
                }
                other => return Err(unsupported(other)),
            }))
        })
    }

    fn registry_scope(&self, cloud: &Inner, repository: &str) -> Result<Scope, Error> {
        registry::scope(cloud, repository)
    }

    fn registry<'a>(
        &'a self,
        cloud: &'a Inner,
        caller: &'a Caller,
        repository: &'a str,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<RegistryLogin, Error>> {
        Box::pin(registry::login(cloud, caller, repository, access))
    }

    fn cluster_scopes(&self, _cloud: &Inner, request: &ClusterRequest) -> Result<Vec<Scope>, Error> {
        let (region, _) = cluster::parse(&request.cluster)?;
        Ok(vec![Scope { region: Some(region), ..Scope::default() }])
    }

    fn cluster<'a>(
        &'a self,
        cloud: &'a Inner,
        caller: &'a Caller,
        request: &'a ClusterRequest,
        access: &'a [Access],
    ) -> BoxFuture<'a, Result<ClusterAccess, Error>> {
        Box::pin(cluster::access(cloud, caller, request, access))
    }

    fn git_scope(&self, url: &Url) -> Result<Scope, Error> {
        Ok(Scope { region: Some(codecommit::region(url)?), ..Scope::default() })
    }

    fn git(&self, url: &Url, access: &Access, now: Timestamp) -> Result<GitLogin, Error> {
        codecommit::login(url, access.aws()?, now)
    }
}

fn unsupported(identity: &Identity) -> Error {
    Error::Unsupported { kind: Kind::Aws, identity: identity.name() }
}

/// The role that `account` takes.
fn role(account: &ServiceAccount) -> Result<String, Error> {
    const KEY: &str = "eks.amazonaws.com/role-arn";
    let role = account.annotation(KEY);
    if crate::matches(ROLE_PATTERN, role) {
        Ok(role.to_owned())
    } else {
        Err(Error::invalid(format!("invalid {KEY} annotation: '{role}'. must match {ROLE_PATTERN}")))
    }
}

/// Checks an STS endpoint that an object names: nobody else's server may be shown a token.
fn validate_sts(endpoint: &str) -> Result<(), Error> {
    if crate::matches(STS_PATTERN, endpoint) {
        Ok(())
    } else {
        Err(Error::invalid(format!("invalid STS endpoint: '{endpoint}'. must match {STS_PATTERN}")))
    }
}

/// The DNS suffix of the partition that `region` is in.
fn dns_suffix(region: &str) -> &'static str {
    match region.split_once('-') {
        Some(("cn", _)) => "amazonaws.com.cn",
        Some(("eusc", _)) => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

/// Where STS of `region` is, as the object, the environment or the partition says.
fn sts(cloud: &Inner, scope: &Scope, region: &str) -> Result<Url, Error> {
    if let Some(endpoint) = &scope.sts_endpoint {
        validate_sts(endpoint)?;
        return Url::parse(endpoint).map_err(|_| Error::invalid(format!("'{endpoint}' is not a URL")));
    }
    validate_region(region)?;
    cloud.environment.endpoint(Service::AwsSts, &format!("https://sts.{region}.{}", dns_suffix(region)))
}

/// Regions become part of host names.
fn validate_region(region: &str) -> Result<(), Error> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !region.is_empty() && region.len() <= 100 && region.bytes().all(fine) {
        Ok(())
    } else {
        Err(Error::invalid(format!("'{region}' cannot be an AWS region")))
    }
}

/// A call of one of the services that speak JSON, signed.
async fn call(
    cloud: &Inner,
    caller: &Caller,
    keys: &AwsCredentials,
    call: Call<'_>,
) -> Result<Answer, Error> {
    let body = call.body.map(|body| body.to_string()).unwrap_or_default();
    let mut request = Request::new(call.service, call.method.clone(), call.url.clone());
    let mut headers = Vec::new();
    if let Some(target) = call.target {
        headers = vec![("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
    }
    let signing = sigv4::Signing {
        method: call.method.as_str(),
        url: &call.url,
        headers: &headers,
        payload: sigv4::Payload::Bytes(body.as_bytes()),
        region: call.region,
        service: call.signing_name,
        path: sigv4::Path::Normal,
    };
    let signed = sigv4::sign(keys, &signing, cloud.now());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    for (name, value) in signed {
        request = request.header(name, value.expose_secret());
    }
    request.body = body.into_bytes().into();
    cloud.send(caller, request).await
}

/// What [`call`] calls.
struct Call<'a> {
    service: &'static str,
    signing_name: &'a str,
    method: Method,
    url: Url,
    region: &'a str,
    target: Option<&'a str>,
    body: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests;
