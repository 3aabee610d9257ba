//! As whom a controller, or an object of a tenant, acts in a cloud.
//!
//! ```text
//! spec.serviceAccountName ─▶ WorkloadIdentity::identity ─▶ ferrite_cloud::Identity ─▶ Cloud::registry, token, …
//! (or the default account)    gate, ServiceAccount           TokenRequest when needed
//! ```
//!
//! Source: fluxcd/pkg `auth` (object-level workload identity and its lock-down by a default ServiceAccount).

use std::sync::Arc;

use ferrite_cloud::{Cloud, Identity, Minter, Redacted, ServiceAccount};
use futures::future::BoxFuture;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1,
};
use kube::{Api, Client, api::PostParams};

use crate::ObjectKey;

/// The feature gate that lets objects name a ServiceAccount.
pub const OBJECT_LEVEL_WORKLOAD_IDENTITY: &str = "ObjectLevelWorkloadIdentity";

/// Who acts in a cloud, and the clouds.
#[derive(Clone)]
pub struct WorkloadIdentity {
    client: Client,
    cloud: Cloud,
    enabled: bool,
    default_account: Option<String>,
}

impl std::fmt::Debug for WorkloadIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("WorkloadIdentity")
            .field("enabled", &self.enabled)
            .field("default_account", &self.default_account)
            .finish_non_exhaustive()
    }
}

/// Why an object has no identity.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WorkloadIdentityError {
    /// The gate is off.
    #[error(
        "to use {field} for provider authentication please enable the {OBJECT_LEVEL_WORKLOAD_IDENTITY} feature gate in the controller"
    )]
    Disabled {
        /// The field that names a ServiceAccount.
        field: &'static str,
    },
    /// The account that the controller's flag names is not in the object's namespace.
    #[error(
        "failed to get service account '{account}': the default service account of the controller does not exist in \
         the namespace of the object; workload identity is locked down in this cluster, ask who administers it"
    )]
    NoDefault {
        /// The account.
        account: ObjectKey,
    },
    /// The account cannot be had.
    #[error("failed to get service account '{account}'")]
    Account {
        /// The account.
        account: ObjectKey,
        /// What the API server said.
        source: Arc<kube::Error>,
    },
}

impl WorkloadIdentity {
    /// `enabled` is the gate, `default_account` the flag that locks tenants down.
    #[must_use]
    pub fn new(client: Client, cloud: Cloud, enabled: bool, default_account: Option<String>) -> Self {
        let default_account = default_account.filter(|name| !name.is_empty());
        Self { client, cloud, enabled, default_account }
    }

    /// The clouds.
    #[must_use]
    pub const fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The identity of an object in `namespace` whose `field` (`spec.serviceAccountName`) is `account`: that account,
    /// the default account, or the controller.
    ///
    /// # Errors
    /// When the gate is off although an account is named, or the account is not there.
    pub async fn identity(
        &self,
        namespace: &str,
        account: Option<&str>,
        field: &'static str,
    ) -> Result<Identity, WorkloadIdentityError> {
        let own = account.filter(|name| !name.is_empty());
        let Some(name) = own.or(self.default_account.as_deref()) else { return Ok(Identity::Controller) };
        if !self.enabled {
            return Err(WorkloadIdentityError::Disabled { field });
        }
        let key = ObjectKey { namespace: namespace.to_owned(), name: name.to_owned() };
        let api: Api<v1::ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let found = api.get(name).await.map_err(|error| match error {
            kube::Error::Api(status) if status.code == 404 && own.is_none() => {
                WorkloadIdentityError::NoDefault { account: key.clone() }
            }
            error => WorkloadIdentityError::Account { account: key.clone(), source: Arc::new(error) },
        })?;
        Ok(Identity::ServiceAccount(ServiceAccount {
            namespace: key.namespace,
            name: key.name.clone(),
            annotations: found.metadata.annotations.unwrap_or_default(),
            minter: Arc::new(TokenRequests { api, name: key.name }),
        }))
    }
}

/// Makes tokens by TokenRequest.
struct TokenRequests {
    api: Api<v1::ServiceAccount>,
    name: String,
}

impl Minter for TokenRequests {
    fn mint<'a>(&'a self, audience: &'a str) -> BoxFuture<'a, Result<Redacted<String>, String>> {
        Box::pin(async move {
            let spec = TokenRequestSpec {
                audiences: Some(vec![audience.to_owned()]),
                ..TokenRequestSpec::default()
            };
            let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
            let made = self.api.create_token_request(&self.name, &PostParams::default(), &request).await;
            let made = made.map_err(|error| crate::chain(&error))?;
            let token = made.status.and_then(|status| status.token).filter(|token| !token.is_empty());
            token.map(Redacted::new).ok_or_else(|| "the API server answered no token".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use ferrite_cloud::{CacheLimits, Environment};
    use http_body_util::BodyExt as _;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    /// An API server with one ServiceAccount, whose tokens name their audience.
    fn identity(enabled: bool, default: Option<&str>) -> WorkloadIdentity {
        let service = tower::service_fn(|request: http::Request<Body>| async move {
            let path = request.uri().path().to_owned();
            let (status, body) = match path.as_str() {
                "/api/v1/namespaces/apps/serviceaccounts/puller" => {
                    let meta = json!({ "name": "puller", "annotations": { "a": "b" } });
                    (200, json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta }))
                }
                "/api/v1/namespaces/apps/serviceaccounts/puller/token" => {
                    let bytes = request.into_body().collect().await.unwrap().to_bytes();
                    let asked: Value = serde_json::from_slice(&bytes).unwrap();
                    let token = format!("for {}", asked["spec"]["audiences"][0].as_str().unwrap());
                    let status = json!({ "token": token, "expirationTimestamp": "2026-01-02T03:04:05Z" });
                    (201, json!({ "metadata": {}, "spec": asked["spec"], "status": status }))
                }
                _ => (
                    404,
                    json!({ "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound",
                                   "message": format!("{path} not found") }),
                ),
            };
            let response = http::Response::builder().status(status);
            Ok::<_, Infallible>(response.body(Body::from(body.to_string().into_bytes())).unwrap())
        });
        let cloud = Cloud::new(Environment::default(), CacheLimits::default());
        WorkloadIdentity::new(Client::new(service, "default"), cloud, enabled, default.map(str::to_owned))
    }

    const FIELD: &str = "spec.serviceAccountName";

    #[tokio::test]
    async fn an_account_makes_tokens_for_the_audience() {
        let Identity::ServiceAccount(account) =
            identity(true, None).identity("apps", Some("puller"), FIELD).await.unwrap()
        else {
            panic!("not an account")
        };
        assert_eq!(account.annotations["a"], "b");
        assert_eq!(account.minter.mint("aud").await.unwrap().expose_secret(), "for aud");
    }

    #[tokio::test]
    async fn gate_and_default_decide_who_acts() {
        let nobody = identity(false, None).identity("apps", None, FIELD).await.unwrap();
        assert!(matches!(nobody, Identity::Controller));
        let error = identity(false, None).identity("apps", Some("puller"), FIELD).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "to use spec.serviceAccountName for provider authentication please enable the \
             ObjectLevelWorkloadIdentity feature gate in the controller"
        );
        let default = identity(true, Some("puller")).identity("apps", None, FIELD).await.unwrap();
        assert!(matches!(default, Identity::ServiceAccount(account) if account.name == "puller"));
        let error = identity(true, Some("other")).identity("apps", None, FIELD).await.unwrap_err();
        assert!(matches!(error, WorkloadIdentityError::NoDefault { .. }), "{error}");
        let error = identity(true, None).identity("apps", Some("other"), FIELD).await.unwrap_err();
        assert!(matches!(error, WorkloadIdentityError::Account { .. }), "{error}");
    }
}
