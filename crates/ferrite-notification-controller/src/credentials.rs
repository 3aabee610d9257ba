//! What the Secrets of a provider hold. Pure: the caller reads them.

use std::collections::BTreeMap;

use ferrite_api::notification::ProviderSpec;
use ferrite_runtime::Redacted;

use crate::providers::{GitHubApp, Target};

/// The data of a Secret.
pub type SecretData = BTreeMap<String, Vec<u8>>;

/// The longest address, in bytes.
const ADDRESS_BYTES: usize = 2048;

/// How a provider's host is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Connection {
    /// Certificate authorities that replace the system's (PEM).
    pub ca: Option<Vec<u8>>,
    /// Client certificate chain and key (PEM).
    pub identity: Option<Redacted<(Vec<u8>, Vec<u8>)>>,
    /// Proxy URL, with user and password in it when it needs them.
    pub proxy: Option<Redacted<String>>,
}

/// Why the Secrets cannot be used. No variant holds a value of a Secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CredentialsError {
    /// The address is too long.
    #[error("the provider's address has {0} bytes, at most {ADDRESS_BYTES} are allowed")]
    AddressTooLong(usize),
    /// A key does not hold what it should.
    #[error("key `{key}` of Secret {secret} {problem}")]
    Key {
        /// The Secret.
        secret: String,
        /// The key.
        key: &'static str,
        /// What it should hold.
        problem: &'static str,
    },
}

/// The Secrets that a provider names, as far as they exist.
#[derive(Debug, Default)]
pub struct Secrets<'a> {
    /// `spec.secretRef`: name and data.
    pub main: Option<(&'a str, &'a SecretData)>,
    /// `spec.certSecretRef`.
    pub certificate: Option<(&'a str, &'a SecretData)>,
    /// `spec.proxySecretRef`.
    pub proxy: Option<(&'a str, &'a SecretData)>,
}

/// Joins spec and Secrets.
///
/// # Errors
///
/// [`CredentialsError`] when an address is too long or a key holds what nobody can use.
pub fn resolve(
    spec: &ProviderSpec,
    uid: &str,
    secrets: &Secrets<'_>,
) -> Result<(Target, Connection), CredentialsError> {
    let main = secrets.main;
    let value = |key: &str| main.and_then(|(_, data)| text(data, key));
    let mut target = Target {
        kind: spec.kind.as_str().to_owned(),
        uid: uid.to_owned(),
        address: Redacted::new(spec.address.clone().unwrap_or_default()),
        channel: spec.channel.clone().unwrap_or_default(),
        username: spec.username.clone().unwrap_or_default(),
        sender: spec.username.clone().unwrap_or_default(),
        token: value("token").map(Redacted::new),
        password: value("password").map(Redacted::new),
        ..Target::default()
    };
    if let Some(address) = value("address") {
        target.address = Redacted::new(address.trim().to_owned());
    }
    if target.kind == "nats" {
        target.creds = value("creds").map(Redacted::new);
        target.nkey = value("nkey").map(Redacted::new);
    }
    let length = target.address.expose_secret().len();
    if length > ADDRESS_BYTES {
        return Err(CredentialsError::AddressTooLong(length));
    }
    // The Secret's user counts only beside a password.
    if let Some(username) = value("username").filter(|_| target.password.is_some()) {
        target.username = username;
    }
    if let Some((secret, data)) = main
        && let Some(headers) = text(data, "headers")
    {
        let parsed = header_map(&headers).ok_or_else(|| CredentialsError::Key {
            secret: secret.to_owned(),
            key: "headers",
            problem: "must be a map of header names to values, in YAML or JSON",
        })?;
        target.headers = Redacted::new(parsed);
    }
    if target.token.is_none() && target.password.is_none() && target.kind.starts_with("github") {
        target.github_app = main.and_then(|(secret, data)| github_app(secret, data)).transpose()?;
    }
    let connection = connection(spec, &target.kind, secrets)?;
    Ok((target, connection))
}

fn connection(
    spec: &ProviderSpec,
    kind: &str,
    secrets: &Secrets<'_>,
) -> Result<Connection, CredentialsError> {
    let git = crate::matching::COMMIT_STATUS.contains(&kind);
    let certificate = secrets.certificate.or_else(|| secrets.main.filter(|_| git));
    let pem = |names: [&str; 2]| {
        certificate
            .and_then(|(_, data)| names.iter().find_map(|name| data.get(*name)).filter(|pem| !pem.is_empty()))
    };
    let identity = match (pem(["tls.crt", "certFile"]), pem(["tls.key", "keyFile"])) {
        (Some(certificate), Some(key)) => Some(Redacted::new((certificate.clone(), key.clone()))),
        _ => None,
    };
    let proxy = match secrets.proxy {
        Some((secret, data)) => Some(proxy_url(secret, data)?),
        None => secrets
            .main
            .and_then(|(_, data)| text(data, "proxy"))
            .or_else(|| spec.proxy.clone().filter(|proxy| !proxy.is_empty()))
            .map(Redacted::new),
    };
    Ok(Connection { ca: pem(["ca.crt", "caFile"]).cloned(), identity, proxy })
}

fn github_app(secret: &str, data: &SecretData) -> Option<Result<Redacted<GitHubApp>, CredentialsError>> {
    let id = text(data, "githubAppID")?;
    let key = data.get("githubAppPrivateKey").filter(|key| !key.is_empty());
    let app = key.map(|key| GitHubApp {
        id: id.trim().to_owned(),
        private_key: key.clone(),
        installation: text(data, "githubAppInstallationID").map(|id| id.trim().to_owned()),
        base_url: text(data, "githubAppBaseURL").map(|url| url.trim().to_owned()),
    });
    let secret = secret.to_owned();
    Some(app.map(Redacted::new).ok_or(CredentialsError::Key {
        secret,
        key: "githubAppPrivateKey",
        problem: "is missing",
    }))
}

fn proxy_url(secret: &str, data: &SecretData) -> Result<Redacted<String>, CredentialsError> {
    let refuse = |problem| CredentialsError::Key { secret: secret.to_owned(), key: "address", problem };
    let address = text(data, "address").ok_or_else(|| refuse("is missing"))?;
    if address.len() > ADDRESS_BYTES {
        return Err(CredentialsError::AddressTooLong(address.len()));
    }
    let shape = "must be an http://, https:// or socks5:// URL";
    let mut url = url::Url::parse(address.trim()).map_err(|_| refuse(shape))?;
    if !matches!(url.scheme(), "http" | "https" | "socks5") || url.host_str().is_none() {
        return Err(refuse(shape));
    }
    if let (Some(user), Some(password)) = (text(data, "username"), text(data, "password")) {
        // A URL with a host takes both.
        let _set = url.set_username(&user).is_ok() && url.set_password(Some(&password)).is_ok();
    }
    Ok(Redacted::new(url.to_string()))
}

fn text(data: &SecretData, key: &str) -> Option<String> {
    let value = String::from_utf8(data.get(key)?.clone()).ok()?;
    (!value.is_empty()).then_some(value)
}

/// `name: value` lines or a JSON object; a value that is no text is refused.
fn header_map(text: &str) -> Option<BTreeMap<String, String>> {
    let node = ferrite_yaml::parse(text, &ferrite_yaml::Limits::default()).ok()??;
    let value = node.to_json(ferrite_yaml::Dialect::Yaml11).ok()?;
    let map = value.as_object()?;
    let mut headers = BTreeMap::new();
    for (name, value) in map {
        let value = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::Bool(flag) => flag.to_string(),
            _ => return None,
        };
        headers.insert(name.clone(), value);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: serde_json::Value) -> ProviderSpec {
        serde_json::from_value(json).unwrap()
    }

    fn data(entries: &[(&str, &str)]) -> SecretData {
        entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn the_secret_wins_over_the_spec() {
        let spec =
            spec(serde_json::json!({"type": "generic", "address": "https://a.example", "username": "spec"}));
        let main = data(&[
            ("address", " https://b.example\n"),
            ("token", "t\n"),
            ("username", "secret"),
            ("password", "p"),
            ("headers", "X-Team: web\nX-Number: 1\n"),
        ]);
        let secrets = Secrets { main: Some(("s", &main)), ..Secrets::default() };
        let (target, _) = resolve(&spec, "uid", &secrets).unwrap();
        assert_eq!(target.address.expose_secret(), "https://b.example");
        assert_eq!(target.token.unwrap().expose_secret(), "t\n", "tokens are not trimmed");
        assert_eq!(target.username, "secret");
        let headers = target.headers.expose_secret();
        assert_eq!((headers["X-Team"].as_str(), headers["X-Number"].as_str()), ("web", "1"));
    }

    #[test]
    fn a_user_without_password_does_not_replace_the_name() {
        let spec =
            spec(serde_json::json!({"type": "slack", "address": "https://a.example", "username": "flux"}));
        let main = data(&[("username", "other")]);
        let secrets = Secrets { main: Some(("s", &main)), ..Secrets::default() };
        assert_eq!(resolve(&spec, "uid", &secrets).unwrap().0.username, "flux");
    }

    #[test]
    fn proxies_come_from_their_secret_first() {
        let spec = spec(
            serde_json::json!({"type": "slack", "address": "https://a.example", "proxy": "http://old:1"}),
        );
        let main = data(&[("proxy", "http://older:1")]);
        let proxy = data(&[("address", "http://proxy:3128"), ("username", "u"), ("password", "p@ss")]);
        let both = Secrets { main: Some(("s", &main)), proxy: Some(("p", &proxy)), ..Secrets::default() };
        let (_, connection) = resolve(&spec, "uid", &both).unwrap();
        assert_eq!(connection.proxy.unwrap().expose_secret(), "http://u:p%40ss@proxy:3128/");
        let main_only = Secrets { main: Some(("s", &main)), ..Secrets::default() };
        assert_eq!(
            resolve(&spec, "uid", &main_only).unwrap().1.proxy.unwrap().expose_secret(),
            "http://older:1"
        );
        let wrong = data(&[("address", "ftp://x")]);
        let error =
            resolve(&spec, "uid", &Secrets { proxy: Some(("p", &wrong)), ..Secrets::default() }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "key `address` of Secret p must be an http://, https:// or socks5:// URL"
        );
    }

    #[test]
    fn certificates_are_read_under_new_and_old_names() {
        let slack = spec(serde_json::json!({"type": "slack", "address": "https://a.example"}));
        let cert = data(&[("caFile", "CA"), ("tls.crt", "CRT")]);
        let secrets = Secrets { certificate: Some(("c", &cert)), ..Secrets::default() };
        let (_, connection) = resolve(&slack, "uid", &secrets).unwrap();
        assert_eq!((connection.ca.as_deref(), connection.identity), (Some(b"CA".as_slice()), None));
        let main = data(&[("ca.crt", "CA")]);
        let main = Secrets { main: Some(("s", &main)), ..Secrets::default() };
        assert_eq!(resolve(&slack, "uid", &main).unwrap().1.ca, None, "only Git providers read it there");
        let git = spec(serde_json::json!({"type": "github", "address": "https://git.example/o/r"}));
        assert!(resolve(&git, "uid", &main).unwrap().1.ca.is_some());
    }

    #[test]
    fn an_app_counts_when_there_is_no_token() {
        let spec = spec(serde_json::json!({"type": "github", "address": "https://github.com/acme/fleet"}));
        let app = |entries: &[(&str, &str)]| {
            let main = data(entries);
            let secrets = Secrets { main: Some(("s", &main)), ..Secrets::default() };
            resolve(&spec, "uid", &secrets).map(|(target, _)| target.github_app)
        };
        let keys =
            [("githubAppID", "12\n"), ("githubAppPrivateKey", "PEM"), ("githubAppInstallationID", "7")];
        let found = app(&keys).unwrap().unwrap();
        let expect = GitHubApp {
            id: "12".into(),
            private_key: b"PEM".to_vec(),
            installation: Some("7".into()),
            base_url: None,
        };
        assert_eq!(found.expose_secret(), &expect);
        assert_eq!(app(&[keys[0], keys[1], ("token", "t")]).unwrap(), None);
        let error = app(&keys[..1]).unwrap_err().to_string();
        assert_eq!(error, "key `githubAppPrivateKey` of Secret s is missing");
    }

    #[test]
    fn keys_are_read_for_nats_only() {
        let main = data(&[("creds", "c"), ("nkey", "n")]);
        let of = |kind: &str| {
            let spec = spec(serde_json::json!({"type": kind, "address": "nats://nats:4222"}));
            let secrets = Secrets { main: Some(("s", &main)), ..Secrets::default() };
            let (target, _) = resolve(&spec, "uid", &secrets).unwrap();
            (target.creds.is_some(), target.nkey.is_some())
        };
        assert_eq!((of("nats"), of("slack")), ((true, true), (false, false)));
    }

    #[test]
    fn no_error_shows_a_secret() {
        let spec = spec(serde_json::json!({"type": "generic", "address": "https://a.example"}));
        let main = data(&[("headers", "canary")]);
        let error =
            resolve(&spec, "uid", &Secrets { main: Some(("s", &main)), ..Secrets::default() }).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
