//! From the Secrets an object names to a remote that can be asked.
//!
//! Keys are Flux's (fluxcd/pkg `git.NewAuthOptions`, `runtime/secrets`).

use ferrite_artifact::{Algorithm, Hasher};
use ferrite_git::{Auth, Identity, Location, Proxy, Redacted, Remote, SshAuth};
use ferrite_runtime::ObjectKey;
use k8s_openapi::{ByteString, api::core::v1::Secret};

use crate::{context::RemoteKey, download::Access};

/// A Secret that holds something else than it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// A key that must be there is not.
    #[error("secret '{secret}' has no '{missing}'; it needs {needs}")]
    Missing {
        /// The Secret.
        secret: ObjectKey,
        /// The key.
        missing: &'static str,
        /// What belongs together.
        needs: &'static str,
    },
    /// A value that is no text.
    #[error("'{name}' in secret '{secret}' is not UTF-8 text")]
    NotText {
        /// The Secret.
        secret: ObjectKey,
        /// The key.
        name: &'static str,
    },
    /// Keys that the address needs, or that need another; the words are fluxcd/pkg's (`git.AuthOptions.Validate`).
    #[error("invalid '{scheme}' auth option: {problem}")]
    Option {
        /// The scheme of the address.
        scheme: &'static str,
        /// Which key is missing.
        problem: &'static str,
    },
}

/// A client certificate and its key, PEM.
type CertificateAndKey = (Vec<u8>, Vec<u8>);

/// The data of a Secret.
struct Keys<'a> {
    secret: &'a Secret,
    name: ObjectKey,
}

impl<'a> Keys<'a> {
    fn of(secret: &'a Secret) -> Self {
        Self { secret, name: ObjectKey::of(secret) }
    }

    fn bytes(&self, key: &str) -> Option<&'a [u8]> {
        let value = self.secret.data.as_ref()?.get(key).map(|ByteString(bytes)| bytes.as_slice());
        value.filter(|bytes| !bytes.is_empty())
    }

    /// The value of the first of `keys` that is there.
    fn first(&self, keys: &[&str]) -> Option<Vec<u8>> {
        keys.iter().find_map(|key| self.bytes(key)).map(<[u8]>::to_vec)
    }

    fn text(&self, key: &'static str) -> Result<Option<String>, CredentialsError> {
        let Some(bytes) = self.bytes(key) else { return Ok(None) };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(CredentialsError::NotText { secret: self.name.clone(), name: key }),
        }
    }

    /// A client certificate and its key.
    fn identity(&self) -> Result<Option<CertificateAndKey>, CredentialsError> {
        match (self.first(&["tls.crt", "certFile"]), self.first(&["tls.key", "keyFile"])) {
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(self.missing("tls.key", "both 'tls.crt' and 'tls.key'")),
            (None, Some(_)) => Err(self.missing("tls.crt", "both 'tls.crt' and 'tls.key'")),
        }
    }

    fn missing(&self, missing: &'static str, needs: &'static str) -> CredentialsError {
        CredentialsError::Missing { secret: self.name.clone(), missing, needs }
    }
}

/// Gives `access` the user name and password of a Secret; one that has neither says nothing.
pub(crate) fn basic(access: &mut Access, secret: &Secret) -> Result<(), CredentialsError> {
    let keys = Keys::of(secret);
    access.basic = match (keys.text("username")?, keys.text("password")?) {
        (Some(username), Some(password)) => Some((username, password.into())),
        (None, None) => return Ok(()),
        (Some(_), None) => return Err(keys.missing("password", "both 'username' and 'password'")),
        (None, Some(_)) => return Err(keys.missing("username", "both 'username' and 'password'")),
    };
    Ok(())
}

/// Gives `access` the authority and the client certificate of a Secret.
pub(crate) fn certificates(access: &mut Access, secret: &Secret) -> Result<(), CredentialsError> {
    let keys = Keys::of(secret);
    access.ca = keys.first(&["ca.crt", "caFile"]);
    access.identity = keys.identity()?.map(|(certificate, key)| (certificate, key.into()));
    Ok(())
}

/// Sends `access`'s requests through the proxy that the Secret of `proxySecretRef` names.
pub(crate) fn proxy(access: &mut Access, secret: &Secret) -> Result<(), CredentialsError> {
    let keys = Keys::of(secret);
    let address = keys.text("address")?.ok_or_else(|| keys.missing("address", "the proxy's full URL"))?;
    access.proxy = Some((address, keys.text("username")?, keys.text("password")?.map(Into::into)));
    Ok(())
}

/// The proxy of `access`, for asking a cloud provider.
pub(crate) fn cloud_proxy(access: &Access) -> Option<ferrite_cloud::Proxy> {
    access.proxy.as_ref().map(|(address, username, password)| ferrite_cloud::Proxy {
        address: address.clone(),
        username: username.clone(),
        password: password.as_ref().map(|password| password.expose_secret().clone().into()),
    })
}

/// Whether a Secret holds a GitHub App's keys.
pub(crate) fn is_github_app(secret: &Secret) -> bool {
    Keys::of(secret).bytes("githubAppID").is_some()
}

/// Gives `remote` what the Secret of `secretRef` holds; what the address itself holds is kept when it says nothing.
///
/// A bearer token comes before user name and password, and for SSH nothing but a key will do, so that an SSH address
/// without a Secret is an error.
pub(crate) fn authenticate(remote: &mut Remote, secret: Option<&Secret>) -> Result<(), CredentialsError> {
    match (&remote.location, secret) {
        (Location::Ssh(_), secret) => remote.auth = Auth::Ssh(ssh(secret.map(Keys::of).as_ref())?),
        (Location::Http(_) | Location::Local(_), None) => {}
        (Location::Http(url), Some(secret)) => {
            let scheme = if url.scheme() == "http" { "http" } else { "https" };
            http(remote, &Keys::of(secret), scheme)?;
        }
        (Location::Local(_), Some(_)) => {}
    }
    Ok(())
}

fn ssh(keys: Option<&Keys<'_>>) -> Result<SshAuth, CredentialsError> {
    let lacks = |problem| CredentialsError::Option { scheme: "ssh", problem };
    let value = |key: &str| keys.and_then(|keys| keys.bytes(key)).map(<[u8]>::to_vec);
    let identity = value("identity").ok_or_else(|| lacks("'identity' is required"))?;
    let known_hosts = value("known_hosts").ok_or_else(|| lacks("'known_hosts' is required"))?;
    let passphrase = keys.map(|keys| keys.text("password")).transpose()?.flatten();
    Ok(SshAuth { identity: identity.into(), known_hosts, passphrase: passphrase.map(Redacted::new) })
}

fn http(remote: &mut Remote, keys: &Keys<'_>, scheme: &'static str) -> Result<(), CredentialsError> {
    let token = keys.text("bearerToken")?;
    let (username, password) = match token {
        Some(_) => (None, None),
        None => (keys.text("username")?, keys.text("password")?),
    };
    let of_address = match &remote.auth {
        Auth::Basic { username, password } => Some((username.clone(), password.clone())),
        _ => None,
    };
    let (own_name, own_password) = of_address.map_or((None, None), |(name, word)| (Some(name), Some(word)));
    let username = username.or(own_name).filter(|name| !name.is_empty());
    let password = password.map(Redacted::new).or(own_password).filter(|word| !word.expose().is_empty());
    match (username, password, token) {
        (None, Some(_), _) => {
            let problem = "'password' requires 'username' to be set";
            return Err(CredentialsError::Option { scheme, problem });
        }
        (Some(username), password, _) => {
            remote.auth = Auth::Basic { username, password: password.unwrap_or_default() };
        }
        (None, None, Some(token)) => remote.auth = Auth::Bearer(Redacted::new(token)),
        (None, None, None) => remote.auth = Auth::None,
    }
    remote.ca = keys.first(&["ca.crt", "caFile"]);
    remote.identity =
        keys.identity()?.map(|(certificate, key)| Identity { certificate, key: Redacted::new(key) });
    Ok(())
}

/// Sends `remote`'s requests through the proxy that the Secret of `proxySecretRef` names.
pub(crate) fn through_proxy(remote: &mut Remote, secret: &Secret) -> Result<(), CredentialsError> {
    let keys = Keys::of(secret);
    let address = keys.text("address")?.ok_or_else(|| keys.missing("address", "the proxy's full URL"))?;
    let (username, password) = (keys.text("username")?, keys.text("password")?.map(Redacted::new));
    remote.proxy = Some(Proxy { address, username, password });
    Ok(())
}

/// All that Secrets hold, hashed.
pub(crate) fn secret_key(secret: &Secret, proxy: Option<&Secret>) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    for one in [Some(secret), proxy] {
        for (name, ByteString(value)) in one.iter().flat_map(|one| one.data.iter().flatten()) {
            // Lengths keep neighbours apart.
            for part in [name.as_bytes(), value] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        hasher.update(&[0; 8]);
    }
    hasher.finish().hex().to_owned()
}

/// What makes `remote` answer as it does, without showing any of it.
pub(crate) fn remote_key(remote: &Remote) -> RemoteKey {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    // Lengths keep neighbours apart.
    let mut add = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    match &remote.location {
        Location::Http(url) => add(url.as_str().as_bytes()),
        Location::Ssh(address) => {
            add(address.user.as_bytes());
            add(address.to_string().as_bytes());
        }
        Location::Local(path) => add(path.as_os_str().as_encoded_bytes()),
    }
    match &remote.auth {
        Auth::Basic { username, password } => {
            add(b"basic");
            add(username.as_bytes());
            add(password.expose().as_bytes());
        }
        Auth::Bearer(token) => {
            add(b"bearer");
            add(token.expose().as_bytes());
        }
        Auth::Ssh(SshAuth { identity, passphrase, known_hosts }) => {
            add(b"ssh");
            add(identity.expose());
            add(passphrase.as_ref().map_or("", |passphrase| passphrase.expose()).as_bytes());
            add(known_hosts);
        }
        _ => add(b"none"),
    }
    add(remote.ca.as_deref().unwrap_or_default());
    if let Some(identity) = &remote.identity {
        add(&identity.certificate);
        add(identity.key.expose());
    }
    if let Some(proxy) = &remote.proxy {
        add(proxy.address.as_bytes());
        add(proxy.username.as_deref().unwrap_or_default().as_bytes());
        add(proxy.password.as_ref().map_or("", |password| password.expose()).as_bytes());
    }
    RemoteKey(hasher.finish().hex().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn secret(data: &[(&str, &str)]) -> Secret {
        let data: BTreeMap<String, ByteString> = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
            .collect();
        let mut secret = Secret { data: Some(data), ..Secret::default() };
        secret.metadata.name = Some("git".to_owned());
        secret.metadata.namespace = Some("apps".to_owned());
        secret
    }

    #[track_caller]
    fn check(url: &str, data: &[(&str, &str)], expect: &str) {
        let mut remote = Remote::parse(url).unwrap();
        let shown = match authenticate(&mut remote, Some(&secret(data))) {
            Err(error) => error.to_string(),
            Ok(()) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let auth = match &remote.auth {
                    Auth::Basic { username, password } => format!("{username}:{}", password.expose()),
                    Auth::Bearer(token) => format!("bearer {}", token.expose()),
                    Auth::Ssh(SshAuth { identity, passphrase, known_hosts }) => {
                        let word = passphrase.as_ref().map_or("", |passphrase| passphrase.expose());
                        format!("key {}:{word} of {}", text(identity.expose()), text(known_hosts))
                    }
                    _ => "none".to_owned(),
                };
                let ca = remote.ca.as_deref().map(|ca| format!(" ca {}", text(ca))).unwrap_or_default();
                let identity = remote.identity.as_ref().map(|id| format!(" cert {}", text(&id.certificate)));
                format!("{auth}{ca}{}", identity.unwrap_or_default())
            }
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn secrets_are_read_as_flux_reads_them() {
        let url = "https://host/app";
        check(url, &[("username", "me"), ("password", "pw")], "me:pw");
        check(url, &[("bearerToken", "t")], "bearer t");
        check(url, &[], "none");
        check(url, &[("username", "me"), ("password", "pw"), ("bearerToken", "t")], "bearer t");
        check(url, &[("username", "me")], "me:");
        check("https://a:b@host/app", &[("password", "pw")], "a:pw");
        check("https://a@host/app", &[("bearerToken", "t")], "a:");
        check(url, &[("identity", "key"), ("known_hosts", "x")], "none");
        check("https://a:b@host/app", &[("ca.crt", "CA")], "a:b ca CA");
        check("https://a:b@host/app", &[("username", "me"), ("password", "pw")], "me:pw");
        check(url, &[("caFile", "old"), ("ca.crt", "new")], "none ca new");
        check(url, &[("caFile", "old"), ("certFile", "c"), ("keyFile", "k")], "none ca old cert c");
        check(url, &[("tls.crt", "c"), ("tls.key", "k")], "none cert c");
    }

    #[test]
    fn half_a_credential_is_named() {
        let url = "https://host/app";
        check(
            url,
            &[("password", "canary")],
            "invalid 'https' auth option: 'password' requires 'username' to be set",
        );
        check(
            url,
            &[("tls.crt", "c")],
            "secret 'apps/git' has no 'tls.key'; it needs both 'tls.crt' and 'tls.key'",
        );
    }

    #[test]
    fn an_ssh_address_needs_a_key_and_known_hosts() {
        let url = "ssh://git@host/app";
        check(url, &[("identity", "key"), ("known_hosts", "hosts")], "key key: of hosts");
        let all = [("identity", "key"), ("identity.pub", "x"), ("known_hosts", "hosts"), ("password", "pw")];
        check(url, &all, "key key:pw of hosts");
        let lacks = |key: &str| format!("invalid 'ssh' auth option: '{key}' is required");
        check(url, &[("known_hosts", "hosts")], &lacks("identity"));
        check(url, &[("identity", "canary")], &lacks("known_hosts"));
        check(url, &[("username", "me"), ("password", "canary")], &lacks("identity"));
        let mut remote = Remote::parse(url).unwrap();
        assert_eq!(authenticate(&mut remote, None).unwrap_err().to_string(), lacks("identity"));
    }

    #[test]
    fn a_proxy_needs_an_address() {
        let mut remote = Remote::parse("https://host/app").unwrap();
        let error = through_proxy(&mut remote, &secret(&[("username", "me")])).unwrap_err();
        assert_eq!(error.to_string(), "secret 'apps/git' has no 'address'; it needs the proxy's full URL");
        through_proxy(&mut remote, &secret(&[("address", "http://proxy:3128"), ("username", "me")])).unwrap();
        assert_eq!(remote.proxy.unwrap().address, "http://proxy:3128");
    }

    #[test]
    fn remotes_with_other_credentials_have_other_keys() {
        let key = |url: &str, data: &[(&str, &str)]| {
            let mut remote = Remote::parse(url).unwrap();
            authenticate(&mut remote, Some(&secret(data))).unwrap();
            remote_key(&remote).0
        };
        let me = key("https://host/app", &[("username", "me"), ("password", "pw")]);
        assert_eq!(me, key("https://me:pw@host/app", &[]));
        assert_ne!(me, key("https://host/app", &[("username", "m"), ("password", "epw")]));
        assert_ne!(me, key("https://host/app", &[]));
        assert_ne!(key("https://host/app", &[("ca.crt", "a")]), key("https://host/app", &[]));
        assert!(!me.contains("me"));
    }
}
