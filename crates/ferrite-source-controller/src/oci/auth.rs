//! Credentials for registries: pull secrets, challenges, tokens.

use std::collections::BTreeMap;

use base64::Engine as _;
use ferrite_runtime::Redacted;
use serde::Deserialize;

use super::Repository;

/// A user name with its password, or a token that stands for both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Basic {
        username: String,
        password: Redacted<String>,
    },
    /// A refresh token of the token protocol.
    Identity(Redacted<String>),
    /// Presented as it is.
    Bearer(Redacted<String>),
}

/// The registries that pull secrets are for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keychain {
    entries: Vec<(String, Login)>,
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default, alias = "identityToken")]
    identitytoken: String,
    #[serde(default, alias = "registryToken")]
    registrytoken: String,
}

impl Keychain {
    /// Adds what a `.dockerconfigjson` holds. The error quotes nothing of it.
    pub(crate) fn add(&mut self, config: &[u8]) -> Result<(), &'static str> {
        let config: DockerConfig = serde_json::from_slice(config)
            .map_err(|_| "'.dockerconfigjson' is not the JSON of a Docker configuration")?;
        for (server, entry) in config.auths {
            let login =
                entry.login().ok_or("an 'auth' in '.dockerconfigjson' is not base64 of user:password")?;
            self.entries.extend(login.map(|login| (server_name(&server), login)));
        }
        Ok(())
    }

    /// Adds a login for the registry of one repository.
    pub(crate) fn insert(&mut self, repository: &Repository, username: String, password: Redacted<String>) {
        self.entries.push((repository.host.clone(), Login::Basic { username, password }));
    }

    /// What makes two keychains differ, for hashing: servers and logins.
    pub(crate) fn parts(&self) -> impl Iterator<Item = [&str; 3]> {
        self.entries.iter().map(|(server, login)| match login {
            Login::Basic { username, password } => {
                [server.as_str(), username.as_str(), password.expose_secret().as_str()]
            }
            Login::Identity(token) => [server, "\0identity", token.expose_secret()],
            Login::Bearer(token) => [server, "\0bearer", token.expose_secret()],
        })
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The login for a repository: that of the longest server name that covers it.
    pub(crate) fn get(&self, repository: &Repository) -> Option<&Login> {
        let covering = self.entries.iter().filter(|(server, _)| covers(server, repository));
        covering.max_by_key(|(server, _)| server.len()).map(|(_, login)| login)
    }
}

impl Entry {
    /// `None` when it cannot be read, `Some(None)` when it says nothing.
    fn login(self) -> Option<Option<Login>> {
        if !self.registrytoken.is_empty() {
            return Some(Some(Login::Bearer(self.registrytoken.into())));
        }
        if !self.identitytoken.is_empty() {
            return Some(Some(Login::Identity(self.identitytoken.into())));
        }
        if !self.username.is_empty() || !self.password.is_empty() {
            return Some(Some(Login::Basic { username: self.username, password: self.password.into() }));
        }
        if self.auth.is_empty() {
            return Some(None);
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(self.auth.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.split_once(':')?;
        let password = password.trim_end_matches('\0').to_owned().into();
        Some(Some(Login::Basic { username: username.to_owned(), password }))
    }
}

/// A server as it is written in a configuration, without scheme and API version.
fn server_name(server: &str) -> String {
    let name = server.split_once("://").map_or(server, |(_, rest)| rest);
    let name = name.trim_end_matches('/');
    let name = name.strip_suffix("/v1").or_else(|| name.strip_suffix("/v2")).unwrap_or(name);
    match name.split_once('/').unwrap_or((name, "")) {
        ("docker.io" | "registry-1.docker.io", "") => "index.docker.io".to_owned(),
        _ => name.to_owned(),
    }
}

/// Whether a server name, perhaps with `*` for parts of the host and with a path, covers a repository.
fn covers(server: &str, repository: &Repository) -> bool {
    let (host, path) = server.split_once('/').unwrap_or((server, ""));
    let (pattern, own): (Vec<&str>, Vec<&str>) =
        (host.split('.').collect(), repository.host.split('.').collect());
    let same_host =
        pattern.len() == own.len() && pattern.iter().zip(&own).all(|(part, own)| *part == "*" || part == own);
    let below = path.is_empty()
        || repository.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    same_host && below
}

/// What a registry asks for with 401.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

/// Reads `WWW-Authenticate`: the first scheme that is understood.
pub(super) fn challenge(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let parameters = parameters(rest);
    let realm = parameters.get("realm")?.clone();
    Some(Challenge::Bearer { realm, service: parameters.get("service").cloned() })
}

/// `key="value"` pairs with commas between them; values may hold commas.
fn parameters(mut text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    while let Some((key, rest)) = text.split_once('=') {
        let key = key.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        found.insert(key, value.to_owned());
        text = rest;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keychain(auths: &serde_json::Value) -> Keychain {
        let mut keychain = Keychain::default();
        keychain.add(serde_json::json!({"auths": auths}).to_string().as_bytes()).unwrap();
        keychain
    }

    #[track_caller]
    fn check(keychain: &Keychain, url: &str, expect: Option<&str>) {
        let login = keychain.get(&Repository::parse(url).unwrap());
        let shown = login.map(|login| match login {
            Login::Basic { username, password } => format!("{username}:{}", password.expose_secret()),
            Login::Identity(token) => format!("identity {}", token.expose_secret()),
            Login::Bearer(token) => format!("bearer {}", token.expose_secret()),
        });
        assert_eq!(shown.as_deref(), expect, "{url}");
    }

    #[test]
    fn the_most_specific_server_counts() {
        let keychain = keychain(&serde_json::json!({
            "ghcr.io": {"username": "all", "password": "1"},
            "https://ghcr.io/org": {"auth": "b3JnOjI="},
            "*.azurecr.io": {"username": "any", "password": "3"},
            "https://index.docker.io/v1/": {"identitytoken": "t"},
            "localhost:5000": {"registrytoken": "r"},
            "empty.test": {},
        }));
        check(&keychain, "oci://ghcr.io/other/app", Some("all:1"));
        check(&keychain, "oci://ghcr.io/org/app", Some("org:2"));
        check(&keychain, "oci://ghcr.io/organisation/app", Some("all:1"));
        check(&keychain, "oci://me.azurecr.io/app", Some("any:3"));
        check(&keychain, "oci://a.b.azurecr.io/app", None);
        check(&keychain, "oci://docker.io/nginx", Some("identity t"));
        check(&keychain, "oci://localhost:5000/app", Some("bearer r"));
        check(&keychain, "oci://localhost:5001/app", None);
        check(&keychain, "oci://empty.test/app", None);
    }

    #[test]
    fn broken_configurations_are_refused_without_being_quoted() {
        for text in ["canary", "{\"auths\": {\"a\": {\"auth\": \"canary!\"}}}", "{\"auths\": []}"] {
            let error = Keychain::default().add(text.as_bytes()).unwrap_err();
            assert!(!error.contains("canary"));
        }
    }

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        let header = "Bearer realm=\"https://auth.test/token\",service=\"registry, one\",scope=\"x\"";
        assert_eq!(challenge(header), bearer("https://auth.test/token", Some("registry, one")));
        assert_eq!(challenge("bearer realm=https://a"), bearer("https://a", None));
        assert_eq!(challenge("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(challenge("Negotiate"), None);
        assert_eq!(challenge("Bearer service=x"), None);
    }
}
