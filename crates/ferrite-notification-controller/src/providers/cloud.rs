//! Message services of clouds, by their REST APIs: Google Pub/Sub and Azure Event Hubs. Pure.
//!
//! ```text
//! Secret: JSON key, SAS, JWT ┐
//! or workload identity       ┴▶ Access ─▶ request() ─▶ Outgoing ─▶ sender
//! ```
//!
//! A consumer sees the same message that Flux sends: the event as JSON, `headers` as attributes of Pub/Sub. Flux
//! speaks gRPC and AMQP instead.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrite_cloud::{Kind, Scope};
use hmac::{Hmac, Mac as _};
use serde_json::json;
use sha2::Sha256;
use url::form_urlencoded::byte_serialize;

use super::{Outgoing, ProviderError, Target};
use crate::event::Event;

const PUBSUB: &str = "https://pubsub.googleapis.com";
/// What Event Hubs' REST API takes a message as, whatever is in it.
const EVENT_HUB_MESSAGE: &str = "application/atom+xml;type=entry;charset=utf-8";
/// Scopes of the tokens of Azure (`azure.ScopeEventHubs` of fluxcd/pkg; the well-known ID of Azure DevOps).
const EVENT_HUBS: &str = "https://eventhubs.azure.net/.default";
const AZURE_DEVOPS: &str = "499b84ac-1321-427f-aa17-267ca6975798/.default";
/// Seconds that a signature of ours holds.
const SAS_SECONDS: i64 = 3600;

/// The token that a target needs of a cloud, when it has none of its own.
pub(crate) fn needs(target: &Target) -> Option<(Kind, Scope)> {
    match target.kind.as_str() {
        // Google's scope has a default.
        "googlepubsub" => Some((Kind::Gcp, Scope::default())),
        "azureeventhub" if target.token().is_none() && !is_sas(target) => {
            Some((Kind::Azure, Scope::oauth(EVENT_HUBS)))
        }
        "azuredevops" if target.token().is_none() => Some((Kind::Azure, Scope::oauth(AZURE_DEVOPS))),
        _ => None,
    }
}

/// Whether a provider brings credentials of two kinds; Flux refuses that, too.
///
/// # Errors
///
/// [`ProviderError::Field`] names what is too much.
pub(crate) fn check(target: &Target, account: bool) -> Result<(), ProviderError> {
    let refuse = |field, problem| Err(ProviderError::Field { kind: target.kind.clone(), field, problem });
    if target.kind != "azureeventhub" {
        return Ok(());
    }
    match (is_sas(target), target.token().is_some(), account) {
        (true, _, true) => refuse(
            "spec.serviceAccountName",
            "cannot be set together with a shared access key in the address",
        ),
        (true, true, _) => {
            refuse("the token", "cannot be set together with a shared access key in the address")
        }
        (false, true, true) => refuse("spec.serviceAccountName", "cannot be set together with a token"),
        _ => Ok(()),
    }
}

fn is_sas(target: &Target) -> bool {
    target.address.expose_secret().contains("SharedAccessKey")
}

/// Publishes to the topic `channel` of the project `address`.
pub(super) fn google_pubsub(target: &Target, event: &Event) -> Result<Outgoing, ProviderError> {
    let field = |field, problem| ProviderError::Field { kind: target.kind.clone(), field, problem };
    let name = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%+:".contains(&byte))
    };
    let project = target.address.expose_secret().trim();
    if !name(project) {
        return Err(field("the address", "must be the ID of a project"));
    }
    if !name(&target.channel) {
        return Err(field("spec.channel", "must be the ID of a topic"));
    }
    let mut message = json!({"data": STANDARD.encode(serde_json::to_vec(event).unwrap_or_default())});
    if !target.headers.expose_secret().is_empty() {
        message["attributes"] = json!(target.headers.expose_secret());
    }
    let url = match &target.emulator {
        Some(host) => format!("http://{host}/v1/projects/{project}/topics/{}:publish", target.channel),
        None => format!("{PUBSUB}/v1/projects/{project}/topics/{}:publish", target.channel),
    };
    Ok(Outgoing::json(url, &json!({"messages": [message]})).bearer(target.bearer()))
}

/// Sends to the hub `address` of the namespace `channel`, or to that of a connection string.
pub(super) fn azure_event_hub(
    target: &Target,
    event: &Event,
    now: jiff::Timestamp,
) -> Result<Outgoing, ProviderError> {
    let (url, authorization) = if is_sas(target) {
        let hub = Hub::parse(target)?;
        let url = format!("{}/{}", hub.origin, hub.path);
        let authorization = signature(&url, hub.key_name, hub.key, now.as_second() + SAS_SECONDS);
        (url, authorization)
    } else {
        let hub = target.address.expose_secret().trim();
        let (name, host) =
            (target.require_channel()?, |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        if !name.bytes().all(host) || !is_hub(hub) {
            let problem = "must be the name of an event hub, and spec.channel that of its namespace";
            return Err(ProviderError::Field { kind: target.kind.clone(), field: "the address", problem });
        }
        let suffix = if name.contains(".servicebus.") { "" } else { target.service_bus };
        let token = target.bearer().or(target.token()).unwrap_or_default();
        (format!("https://{name}{suffix}/{hub}"), format!("Bearer {token}"))
    };
    let mut request =
        Outgoing::json(format!("{url}/messages"), &json!(event)).with_header("Authorization", authorization);
    request.content_type = EVENT_HUB_MESSAGE;
    Ok(request)
}

fn is_hub(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !name.is_empty() && name.bytes().all(letter)
}

/// The parts of a connection string.
struct Hub<'a> {
    origin: String,
    path: &'a str,
    key_name: &'a str,
    key: &'a str,
}

impl<'a> Hub<'a> {
    fn parse(target: &'a Target) -> Result<Self, ProviderError> {
        let refuse =
            |problem| ProviderError::Field { kind: target.kind.clone(), field: "the address", problem };
        let text = target.address.expose_secret();
        let part = |name: &str| {
            let all = text.split(';').filter_map(|part| part.split_once('='));
            all.into_iter()
                .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
        };
        if part("UseDevelopmentEmulator").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(refuse("names the emulator, which has no REST API"));
        }
        let endpoint = part("Endpoint").unwrap_or_default();
        // Event Hubs' own scheme; the others are for who stands in for it.
        let url = match endpoint.split_once("://") {
            Some(("sb", rest)) => format!("https://{rest}"),
            _ => endpoint.to_owned(),
        };
        let url = url::Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| refuse("must hold Endpoint=sb://<namespace>.servicebus.windows.net/"))?;
        let path = part("EntityPath").filter(|path| is_hub(path));
        let path = path.ok_or_else(|| refuse("must hold EntityPath=<event hub>"))?;
        match (part("SharedAccessKeyName"), part("SharedAccessKey")) {
            (Some(key_name), Some(key)) if !key_name.is_empty() && !key.is_empty() => {
                Ok(Self { origin: super::origin(&url), path, key_name, key })
            }
            _ => Err(refuse("must hold SharedAccessKeyName and SharedAccessKey")),
        }
    }
}

/// A shared access signature for `url` until `end` (seconds since 1970).
fn signature(url: &str, key_name: &str, key: &str, end: i64) -> String {
    let escape = |text: &str| byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let resource = escape(&url.to_lowercase());
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(format!("{resource}\n{end}").as_bytes());
    let signature = escape(&STANDARD.encode(mac.finalize().into_bytes()));
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={end}&skn={}", escape(key_name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ferrite_runtime::Redacted;

    use super::*;
    use crate::providers::tests::{event, one};

    fn target(kind: &str, address: &str, channel: &str) -> Target {
        Target {
            kind: kind.into(),
            address: Redacted::new(address.to_owned()),
            channel: channel.into(),
            service_bus: ".servicebus.windows.net",
            ..Target::default()
        }
    }

    #[test]
    fn pubsub_takes_the_event_and_attributes() {
        let mut pubsub = target("googlepubsub", "acme-prod", "deploys");
        pubsub.bearer = Some(Redacted::new("ya29".to_owned()));
        pubsub.headers = Redacted::new(BTreeMap::from([("team".to_owned(), "web".to_owned())]));
        let (to, headers, body) = one(&pubsub, &event("info"));
        assert_eq!(to, "POST https://pubsub.googleapis.com/v1/projects/acme-prod/topics/deploys:publish");
        assert_eq!(headers, [("Authorization".to_owned(), "Bearer ya29".to_owned())]);
        let message = &body["messages"][0];
        assert_eq!(message["attributes"], json!({"team": "web"}));
        let data = STANDARD.decode(message["data"].as_str().unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&data).unwrap(), json!(event("info")));
        for (address, channel) in [("", "t"), ("p", ""), ("p/x", "t"), ("p", "t:publish?x")] {
            let wrong = target("googlepubsub", address, channel);
            assert!(crate::providers::requests(&wrong, &event("info"), jiff::Timestamp::UNIX_EPOCH).is_err());
        }
    }

    #[test]
    fn event_hubs_are_signed_for() {
        let string = "Endpoint=sb://Acme.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0PT0=;EntityPath=flux";
        let (to, headers, body) = one(&target("azureeventhub", string, ""), &event("info"));
        assert_eq!(to, "POST https://acme.servicebus.windows.net/flux/messages");
        // printf '%s\n3600' https%3A%2F%2Facme.servicebus.windows.net%2Fflux | openssl dgst -sha256 -hmac c2VjcmV0PT0= -binary | base64
        let signed = "SharedAccessSignature sr=https%3A%2F%2Facme.servicebus.windows.net%2Fflux&sig=9ndhf2T9lu0x%2FRyDgsGkMgUaKS4bIOdgxnQuLv%2FazTM%3D&se=3600&skn=send";
        assert_eq!(headers, [("Authorization".to_owned(), signed.to_owned())]);
        assert_eq!(body, json!(event("info")));
        for wrong in [
            "SharedAccessKey=x",
            "Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=canary",
            "Endpoint=sb://localhost;SharedAccessKeyName=a;SharedAccessKey=canary;EntityPath=h;UseDevelopmentEmulator=true",
        ] {
            let wrong = target("azureeventhub", wrong, "");
            let error =
                crate::providers::requests(&wrong, &event("info"), jiff::Timestamp::UNIX_EPOCH).unwrap_err();
            assert!(
                error.to_string().starts_with("the address") && !error.to_string().contains("canary"),
                "{error}"
            );
        }
    }

    #[test]
    fn event_hubs_take_tokens() {
        let mut hub = target("azureeventhub", "flux", "acme");
        hub.token = Some(Redacted::new("jwt".to_owned()));
        let (to, headers, _) = one(&hub, &event("info"));
        assert_eq!(to, "POST https://acme.servicebus.windows.net/flux/messages");
        assert_eq!(headers, [("Authorization".to_owned(), "Bearer jwt".to_owned())]);
        let whole = Target { channel: "acme.servicebus.chinacloudapi.cn".into(), ..hub };
        assert_eq!(
            one(&whole, &event("info")).0,
            "POST https://acme.servicebus.chinacloudapi.cn/flux/messages"
        );
    }

    #[test]
    fn one_kind_of_credentials_is_enough() {
        let sas = target("azureeventhub", "SharedAccessKey=x", "");
        let hub = target("azureeventhub", "flux", "acme");
        let tokened =
            |target: &Target| Target { token: Some(Redacted::new("t".to_owned())), ..target.clone() };
        assert!(
            check(&sas, false).is_ok() && check(&hub, true).is_ok() && check(&tokened(&hub), false).is_ok()
        );
        assert!(check(&sas, true).is_err() && check(&tokened(&sas), false).is_err());
        assert!(check(&tokened(&hub), true).is_err());
        assert!(needs(&sas).is_none() && needs(&tokened(&hub)).is_none() && needs(&hub).is_some());
        assert!(needs(&target("slack", "", "")).is_none());
    }
}
