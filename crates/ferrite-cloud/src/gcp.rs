//! Google Cloud: access tokens, and what they open.
//!
//! Sources: Google's AIP-4110 to 4117 (application default credentials, metadata server, external accounts),
//! fluxcd/pkg `auth/gcp` (annotations, patterns, scopes).

mod cluster;
mod file;
mod tokens;

use futures::future::BoxFuture;
use jiff::Timestamp;
use url::Url;

use crate::{
    Caller, ClusterAccess, ClusterRequest, Error, GitLogin, Identity, Kind, Provider, RegistryLogin, Scope,
    ServiceAccount,
    cloud::Inner,
    environment::{self, Service},
    provider::Access,
    registry_host,
};

/// Flux's `registryPattern`.
const REGISTRY_PATTERN: &str = r"^(((.+\.)?gcr\.io)|(.+-docker\.pkg\.dev)|(docker\.s3nsregistry\.fr))$";
/// Flux's `serviceAccountEmailPattern`.
const EMAIL_PATTERN: &str = r"^[a-zA-Z0-9-]{1,100}@[a-zA-Z0-9-]{1,100}\.iam\.gserviceaccount\.com$";
/// Flux's `workloadIdentityProviderPattern`.
const PROVIDER_PATTERN: &str =
    r"^projects/\d{1,30}/locations/global/workloadIdentityPools/[^/]{1,100}/providers/[^/]{1,100}$";
/// The scopes when the caller names none.
pub(crate) const SCOPES: &str =
    "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/userinfo.email";

/// Google Cloud.
#[derive(Debug)]
pub(crate) struct Gcp;

impl Provider for Gcp {
    fn kind(&self) -> Kind {
        Kind::Gcp
    }

    fn as_whom(&self, account: &ServiceAccount) -> Result<String, Error> {
        let provider = workload_identity_provider(account)?.unwrap_or_default();
        Ok(format!("{} {provider}", email(account)?.unwrap_or_default()))
    }

    fn audience<'a>(
        &'a self,
        cloud: &'a Inner,
        account: &'a ServiceAccount,
    ) -> BoxFuture<'a, Result<String, Error>> {
        Box::pin(async move {
            match workload_identity_provider(account)? {
                Some(provider) => Ok(format!("//iam.googleapis.com/{provider}")),
                None => Ok(format!("{}.svc.id.goog", tokens::metadata(cloud, "project/project-id").await?)),
            }
        })
    }

    fn access<'a>(
        &'a self,
        cloud: &'a Inner,
        caller: &'a Caller,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Access, Error>> {
        Box::pin(async move {
            let scopes = scope.oauth.as_deref().unwrap_or(SCOPES);
            let token = match &caller.identity {
                Identity::GoogleCredentials(json) => {
                    file::token(cloud, caller, json.expose_secret(), scopes).await?
                }
                Identity::Controller => match cloud.environment.get("GOOGLE_APPLICATION_CREDENTIALS") {
                    Some(path) => {
                        let what = "Google credentials file (GOOGLE_APPLICATION_CREDENTIALS)";
                        let json = environment::read(path, what).await?;
                        file::token(cloud, caller, &json, scopes).await?
                    }
                    None => tokens::of_metadata(cloud, scopes).await?,
                },
                Identity::ServiceAccount(account) => {
                    let audience = self.audience(cloud, account).await?;
                    let subject = account.mint(&audience).await?;
                    let exchange_audience = match workload_identity_provider(account)? {
                        Some(_) => audience,
                        None => tokens::gke_audience(cloud, &audience).await?,
                    };
                    let federated = tokens::Federated {
                        audience: &exchange_audience,
                        subject: &subject,
                        subject_type: "urn:ietf:params:oauth:token-type:jwt",
                        sts: cloud
                            .environment
                            .endpoint(Service::GcpSts, "https://sts.googleapis.com/v1/token")?,
                        impersonate: match email(account)? {
                            Some(email) => Some(tokens::impersonation(cloud, &email)?),
                            None => None,
                        },
                    };
                    tokens::federate(cloud, caller, &federated, scopes).await?
                }
                other @ (Identity::AwsKeys(_)
                | Identity::AzureClientSecret { .. }
                | Identity::AzureClientCertificate { .. }
                | Identity::AzureManaged { .. }) => {
                    return Err(Error::Unsupported { kind: Kind::Gcp, identity: other.name() });
                }
            };
            Ok(Access::Bearer(token))
        })
    }

    fn registry_scope(&self, _cloud: &Inner, repository: &str) -> Result<Scope, Error> {
        let host = registry_host(repository);
        if !crate::matches(REGISTRY_PATTERN, host) {
            return Err(Error::invalid(format!(
                "invalid GCP registry: '{host}'. must match {REGISTRY_PATTERN}"
            )));
        }
        Ok(Scope::default())
    }

    fn registry<'a>(
        &'a self,
        _cloud: &'a Inner,
        _caller: &'a Caller,
        _repository: &'a str,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<RegistryLogin, Error>> {
        Box::pin(async move {
            let token = access.bearer()?;
            Ok(RegistryLogin {
                username: "oauth2accesstoken".to_owned(),
                password: token.token.clone(),
                expires: token.expires,
            })
        })
    }

    fn cluster_scopes(&self, _cloud: &Inner, _request: &ClusterRequest) -> Result<Vec<Scope>, Error> {
        Ok(vec![Scope::default()])
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

    fn git_scope(&self, _url: &Url) -> Result<Scope, Error> {
        Ok(Scope::default())
    }

    fn git(&self, _url: &Url, access: &Access, _now: Timestamp) -> Result<GitLogin, Error> {
        Ok(GitLogin::Bearer(access.bearer()?.clone()))
    }
}

/// The Google service account to impersonate, if any.
fn email(account: &ServiceAccount) -> Result<Option<String>, Error> {
    annotation(account, "iam.gke.io/gcp-service-account", EMAIL_PATTERN)
}

/// The provider of workload identity federation, if it is not the cluster's own.
fn workload_identity_provider(account: &ServiceAccount) -> Result<Option<String>, Error> {
    annotation(account, "gcp.auth.fluxcd.io/workload-identity-provider", PROVIDER_PATTERN)
}

fn annotation(account: &ServiceAccount, key: &str, pattern: &str) -> Result<Option<String>, Error> {
    let value = account.annotation(key);
    if value.is_empty() {
        return Ok(None);
    }
    if !crate::matches(pattern, value) {
        return Err(Error::invalid(format!("invalid {key} annotation: '{value}'. must match {pattern}")));
    }
    Ok(Some(value.to_owned()))
}

#[cfg(test)]
mod tests;
