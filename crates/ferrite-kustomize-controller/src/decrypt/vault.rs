//! Logging in to Vault or OpenBao with a token of a service account.
//!
//! The ConfigMap of `--sops-vault-configmap` says which servers are trusted, and where each takes logins.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ferrite_cloud::{Identity, Redacted};
use ferrite_runtime::ObjectKey;
use ferrite_sops::KeyError;
use ferrite_yaml::{Dialect, Limits};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::services::{Services, send, url};

/// Where Vault servers take logins.
#[derive(Clone)]
pub(crate) struct VaultLogin {
    pub(crate) client: Client,
    pub(crate) config_map: ObjectKey,
}

impl std::fmt::Debug for VaultLogin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("VaultLogin").field("config_map", &self.config_map).finish_non_exhaustive()
    }
}

impl VaultLogin {
    /// A token of the server at `address`, for the service account of the Kustomization.
    pub(super) async fn token(
        &self,
        services: &Services,
        address: &str,
    ) -> Result<Redacted<String>, KeyError> {
        let paths = self.paths().await.map_err(KeyError::NotHere)?;
        let Some(path) = paths.get(address) else {
            return Err(KeyError::NotHere(format!(
                "no Vault login path configured for address '{address:.160}' in ConfigMap '{}'",
                self.config_map
            )));
        };
        let field = "spec.decryption.serviceAccountName";
        let identity =
            services.shared.identity.identity(&services.namespace, services.account.as_deref(), field);
        let Identity::ServiceAccount(account) =
            identity.await.map_err(|error| KeyError::NotHere(ferrite_runtime::chain(&error)))?
        else {
            return Err(KeyError::NotHere(
                "logging in to Vault needs spec.decryption.serviceAccountName or --default-decryption-service-account"
                    .to_owned(),
            ));
        };
        let token = account.minter.mint(address).await.map_err(KeyError::Service)?;
        let role = role(token.expose_secret())
            .ok_or_else(|| KeyError::Service("the token names no service account".to_owned()))?;
        let mut place = url(address)?;
        if let Ok(mut segments) = place.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path.split('/').filter(|part| !part.is_empty()));
        }
        let body = json!({"role": role, "jwt": token.expose_secret()});
        let answer = send(services.shared.http.put(place).json(&body), "Vault").await?;
        let token =
            answer.pointer("/auth/client_token").and_then(Value::as_str).filter(|token| !token.is_empty());
        token.map(|token| Redacted::new(token.to_owned())).ok_or_else(|| {
            KeyError::Service(format!(
                "Vault '{address:.160}' returned no token for login at '{path}' as role '{role}'"
            ))
        })
    }

    async fn paths(&self) -> Result<BTreeMap<String, String>, String> {
        let map = &self.config_map;
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &map.namespace);
        let found = api.get(&map.name).await;
        let found = found.map_err(|error| {
            format!("failed to get Vault ConfigMap '{map}': {}", ferrite_runtime::chain(&error))
        })?;
        let text = found.data.unwrap_or_default().remove("config.yaml");
        let text = text.ok_or_else(|| format!("Vault ConfigMap '{map}' is missing the 'config.yaml' key"))?;
        let refused = |_| format!("failed to parse 'config.yaml' in Vault ConfigMap '{map}'");
        let node = ferrite_yaml::parse(&text, &Limits::default()).map_err(refused)?;
        let value =
            node.map(|node| node.to_json(Dialect::Yaml11)).transpose().map_err(refused)?.unwrap_or_default();
        let instances = value.get("instances").and_then(Value::as_array).into_iter().flatten();
        let pair = |instance: &Value| {
            let text = |name: &str| instance.get(name).and_then(Value::as_str).map(str::to_owned);
            Some((text("address")?, text("loginPath").filter(|path| !path.is_empty())?))
        };
        Ok(instances.filter_map(pair).collect())
    }
}

/// `<namespace>_<name>` of the account that a token is for, as its subject says.
fn role(token: &str) -> Option<String> {
    let [_, payload, _] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let account = claims.get("sub")?.as_str()?.strip_prefix("system:serviceaccount:")?;
    let (namespace, name) = account.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty()).then(|| format!("{namespace}_{name}"))
}
