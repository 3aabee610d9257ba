//! A small client of OCI registries: tags, digests, manifests, layers; read only.
//!
//! ```text
//! Repository::parse(oci://host/path) ─▶ Registry::connect ─ ping, scheme, token ─▶ tags / digest / manifest / layer
//! ```
//!
//! Source: OCI distribution specification 1.1 and the token protocol of Docker's registry. Every answer is bounded,
//! and nothing is used whose digest is not the one asked for.

mod auth;
mod error;
mod registry;
mod remote;
mod verify;

pub(crate) use auth::Keychain;
pub(crate) use error::OciError;
pub(crate) use registry::{Layer, Manifest, Registry};
pub(crate) use remote::Remote;
pub(crate) use verify::{VerifyError, Wanted};

/// The registry and the path of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Repository {
    /// Host and perhaps port.
    pub(crate) host: String,
    /// The path below it.
    pub(crate) path: String,
}

impl Repository {
    /// Reads `oci://host[:port]/path`, without a tag.
    pub(crate) fn parse(url: &str) -> Result<Self, OciError> {
        let wrong = |problem: String| OciError::Url { problem };
        let rest = url
            .strip_prefix("oci://")
            .ok_or_else(|| wrong("URL must be in format 'oci://<domain>/<org>/<repo>'".to_owned()))?;
        let (host, path) = rest
            .split_once('/')
            .filter(|(host, path)| !host.is_empty() && !path.is_empty())
            .ok_or_else(|| wrong("expected oci://host/path".to_owned()))?;
        if let Some((_, digest)) = path.split_once('@') {
            return Err(wrong(format!("URL must not contain a digest; remove '@{digest}'")));
        }
        if let Some((_, tag)) = path.rsplit_once(':') {
            return Err(wrong(format!("URL must not contain a tag; remove ':{tag}'")));
        }
        let part = |part: &str| {
            !part.is_empty()
                && !matches!(part, "." | "..")
                && part.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
                })
        };
        if path.len() > 255 || !path.split('/').all(part) {
            return Err(wrong(format!("'{path}' cannot be the path of a repository")));
        }
        let port = |port: &str| port.parse::<u16>().is_ok();
        let name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        };
        let good = match host.rsplit_once(':') {
            Some((host, number)) => name(host) && port(number),
            None => name(host),
        };
        if !good {
            return Err(wrong(format!("'{host}' is not host or host:port")));
        }
        // The names that Docker Hub goes by.
        Ok(match host {
            "docker.io" | "index.docker.io" | "registry-1.docker.io" => Self {
                host: "index.docker.io".to_owned(),
                path: if path.contains('/') { path.to_owned() } else { format!("library/{path}") },
            },
            host => Self { host: host.to_owned(), path: path.to_owned() },
        })
    }

    /// Whether plain HTTP is tried without being asked for, as go-containerregistry does.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.host.rsplit_once(':').map_or(self.host.as_str(), |(host, _)| host);
        host == "localhost"
            || host.ends_with(".local")
            || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback() || ip.is_private())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expect: &str) {
        let shown = match Repository::parse(url) {
            Ok(Repository { host, path }) => format!("{host} {path}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn addresses_are_read_as_flux_reads_them() {
        check("oci://ghcr.io/org/app", "ghcr.io org/app");
        check("oci://localhost:5000/app", "localhost:5000 app");
        check("oci://docker.io/nginx", "index.docker.io library/nginx");
        check("oci://ghcr.io/org/app:v1", "URL must not contain a tag; remove ':v1'");
        check("oci://ghcr.io/org/app@sha256:1", "URL must not contain a digest; remove '@sha256:1'");
        check("oci://ghcr.io", "expected oci://host/path");
        check("https://ghcr.io/a", "URL must be in format 'oci://<domain>/<org>/<repo>'");
        check("oci://ghcr.io/../a", "'../a' cannot be the path of a repository");
        check("oci://ghcr.io/A", "'A' cannot be the path of a repository");
        check("oci://u:p@host/a", "'u:p@host' is not host or host:port");
    }

    #[test]
    fn plain_http_is_tried_for_local_registries_only() {
        let local = |url: &str| Repository::parse(url).unwrap().is_local();
        assert!(
            local("oci://localhost:5000/a") && local("oci://127.0.0.1:5000/a") && local("oci://10.1.2.3/a")
        );
        assert!(!local("oci://ghcr.io/a") && !local("oci://8.8.8.8/a") && !local("oci://localhost.evil/a"));
    }
}
