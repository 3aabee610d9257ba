//! Microsoft Azure: tokens of Entra, and what they open.
//!
//! Sources: the Entra documentation (client credentials, certificate assertions, managed identities), the registry's
//! documentation of token exchange, fluxcd/pkg `auth/azure` (annotations, patterns, scopes, order of credentials).

mod cluster;
mod registry;
mod tokens;

use futures::future::BoxFuture;
use jiff::Timestamp;
use url::Url;

use crate::{
    Caller, ClusterAccess, ClusterRequest, Error, GitLogin, Identity, Kind, Provider, RegistryLogin, Scope,
    ServiceAccount, cloud::Inner, provider::Access,
};

/// The audience of ServiceAccount tokens for Entra.
const AUDIENCE: &str = "api://AzureADTokenExchange";
/// The scope of Azure DevOps.
pub(crate) const DEVOPS: &str = "499b84ac-1321-427f-aa17-267ca6975798/.default";

/// Azure.
#[derive(Debug)]
pub(crate) struct Azure;

impl Provider for Azure {
    fn kind(&self) -> Kind {
        Kind::Azure
    }

    fn as_whom(&self, account: &ServiceAccount) -> Result<String, Error> {
        let (tenant, client) = whom(account)?;
        Ok(format!("{tenant}/{client}"))
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
            let oauth = scope.oauth.as_deref();
            let oauth = oauth.ok_or_else(|| Error::invalid("a token of Azure needs a scope"))?;
            let token = match &caller.identity {
                Identity::Controller => tokens::of_environment(cloud, caller, oauth).await?,
                Identity::ServiceAccount(account) => {
                    let (tenant, client) = whom(account)?;
                    let assertion = account.mint(AUDIENCE).await?;
                    let application = tokens::Application { tenant, client, authority: None };
                    tokens::by_assertion(cloud, caller, &application, assertion.expose_secret(), oauth)
                        .await?
                }
                Identity::AzureClientSecret { tenant, client, secret, authority } => {
                    let authority = authority.as_deref();
                    let application = tokens::Application { tenant, client, authority };
                    tokens::by_secret(cloud, caller, &application, secret, oauth).await?
                }
                Identity::AzureClientCertificate { tenant, client, pem, send_chain, authority } => {
                    let authority = authority.as_deref();
                    let application = tokens::Application { tenant, client, authority };
                    tokens::by_certificate(cloud, caller, &application, (pem, *send_chain), oauth).await?
                }
                Identity::AzureManaged { client } => tokens::of_node(cloud, Some(client), oauth).await?,
                other @ (Identity::AwsKeys(_) | Identity::GoogleCredentials(_)) => {
                    return Err(Error::Unsupported { kind: Kind::Azure, identity: other.name() });
                }
            };
            Ok(Access::Bearer(token))
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

    fn cluster_scopes(&self, cloud: &Inner, request: &ClusterRequest) -> Result<Vec<Scope>, Error> {
        cluster::scopes(cloud, request)
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
        Ok(Scope::oauth(DEVOPS))
    }

    fn git(&self, _url: &Url, access: &Access, _now: Timestamp) -> Result<GitLogin, Error> {
        Ok(GitLogin::Bearer(access.bearer()?.clone()))
    }
}

/// Tenant and client id of the application that `account` acts as.
fn whom(account: &ServiceAccount) -> Result<(&str, &str), Error> {
    let get = |what: &str, key: &str| {
        let value = account.annotation(key);
        // They become part of a URL and of a form.
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if value.is_empty() {
            let problem = format!("azure {what} ID is not set in the service account annotation {key}");
            Err(Error::invalid(problem))
        } else if value.bytes().all(fine) {
            Ok(value)
        } else {
            Err(Error::invalid(format!("invalid {key} annotation: '{value}' is not an id")))
        }
    };
    Ok((
        get("tenant", "azure.workload.identity/tenant-id")?,
        get("client", "azure.workload.identity/client-id")?,
    ))
}

#[cfg(test)]
mod tests;
