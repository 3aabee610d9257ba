//! Tokens of clouds for providers that bring none.

use ferrite_api::notification::Provider;
use ferrite_cloud::{Caller, Identity, Proxy, Redacted as CloudRedacted};
use ferrite_runtime::Redacted;
use ferrite_runtime::workload_identity::WorkloadIdentityError;

use super::{DispatchError, Inner};
use crate::credentials::Connection;
use crate::providers::{Target, cloud};

/// The field that names whom to act as.
const FIELD: &str = "spec.serviceAccountName";

impl Inner {
    /// Gives the target what it needs of its cloud: a token, and where the cloud is.
    pub(super) async fn enter_cloud(
        &self,
        provider: &Provider,
        namespace: &str,
        target: &mut Target,
        connection: &Connection,
    ) -> Result<(), DispatchError> {
        let account = provider.spec.service_account_name.as_deref().filter(|name| !name.is_empty());
        cloud::check(target, account.is_some())?;
        let environment = &self.environment;
        target.service_bus = service_bus(environment.get("AZURE_AUTHORITY_HOST").unwrap_or_default());
        let emulator = environment.get("PUBSUB_EMULATOR_HOST").filter(|_| target.kind == "googlepubsub");
        target.emulator = emulator.map(str::to_owned);
        let Some((kind, scope)) = cloud::needs(target) else {
            // The gate is asked even where the account says nothing, as in Flux.
            return match account.is_some() && !self.object_identity {
                true => Err(WorkloadIdentityError::Disabled { field: FIELD }.into()),
                false => Ok(()),
            };
        };
        if target.emulator.is_some() {
            return Ok(());
        }
        let identity = match target.token().filter(|_| target.kind == "googlepubsub") {
            Some(json) => Identity::GoogleCredentials(CloudRedacted::new(json.as_bytes().to_vec())),
            None => self.identity.identity(namespace, account, FIELD).await?,
        };
        let caller = Caller { identity, proxy: connection.proxy.as_ref().and_then(proxy) };
        let token = self.identity.cloud().token(kind, &caller, &scope).await?;
        target.bearer = Some(Redacted::new(token.token.expose_secret().clone()));
        Ok(())
    }
}

/// The domain of Event Hubs that belongs to a login service.
fn service_bus(authority: &str) -> &'static str {
    if authority.contains("chinacloudapi.cn") {
        ".servicebus.chinacloudapi.cn"
    } else if authority.contains("microsoftonline.us") {
        ".servicebus.usgovcloudapi.net"
    } else {
        ".servicebus.windows.net"
    }
}

/// User and password of a proxy's URL, apart from it.
fn proxy(url: &Redacted<String>) -> Option<Proxy> {
    let mut address = url::Url::parse(url.expose_secret()).ok()?;
    let text = |text: &str| percent_decoded(text).filter(|text| !text.is_empty());
    let (username, password) = (text(address.username()), address.password().and_then(text));
    // A URL with a host takes both.
    let _cleared = address.set_username("").is_ok() && address.set_password(None).is_ok();
    Some(Proxy { address: address.to_string(), username, password: password.map(CloudRedacted::new) })
}

fn percent_decoded(text: &str) -> Option<String> {
    // A form would read `+` as a space.
    let escaped = text.replace('+', "%2B");
    url::form_urlencoded::parse(escaped.as_bytes()).next().map(|(text, _)| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clouds_have_their_own_domains() {
        assert_eq!(service_bus(""), ".servicebus.windows.net");
        assert_eq!(service_bus("https://login.chinacloudapi.cn/"), ".servicebus.chinacloudapi.cn");
        assert_eq!(service_bus("https://login.microsoftonline.us/"), ".servicebus.usgovcloudapi.net");
    }

    #[test]
    fn proxies_are_taken_apart() {
        let found = proxy(&Redacted::new("http://u:p%40+s@proxy:3128/".to_owned())).unwrap();
        assert_eq!((found.address.as_str(), found.username.as_deref()), ("http://proxy:3128/", Some("u")));
        assert_eq!(found.password.unwrap().expose_secret(), "p@+s");
    }
}
