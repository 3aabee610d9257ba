//! `oci://host/path:tag` and `oci://host/path@digest`.

use anyhow::{Context as _, Result, bail};

/// Which artifact is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Host and perhaps port.
    pub(super) host: String,
    /// Path of the repository.
    pub(super) path: String,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<String>,
}

impl Reference {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("oci://")
            .with_context(|| format!("URL {url:?} must be in format 'oci://<domain>/<org>/<repo>'"))?;
        let (rest, digest) = rest.split_once('@').map_or((rest, None), |(rest, digest)| (rest, Some(digest)));
        let (host, path) =
            rest.split_once('/').with_context(|| format!("URL {url:?} names no repository"))?;
        let (path, tag) = path.rsplit_once(':').map_or((path, None), |(path, tag)| (path, Some(tag)));
        let good = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
        };
        let good_tag = |tag: &str| {
            !tag.is_empty()
                && tag.len() <= 128
                && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if host.is_empty()
            || host.contains(['@', '?', '#'])
            || !path.split('/').all(good)
            || !tag.is_none_or(good_tag)
        {
            bail!("URL {url:?} cannot be the address of an artifact");
        }
        Ok(Self {
            host: host.to_owned(),
            path: path.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// `host/path`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    /// What to ask for: the digest, the tag, or `latest`.
    pub(super) fn which(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_hosts_ports_tags_and_digests() {
        let parsed = Reference::parse("oci://localhost:5000/org/app:v1").unwrap();
        assert_eq!((parsed.name().as_str(), parsed.which()), ("localhost:5000/org/app", "v1"));
        assert_eq!(Reference::parse("oci://ghcr.io/app@sha256:ab").unwrap().which(), "sha256:ab");
        assert_eq!(Reference::parse("oci://ghcr.io/app").unwrap().which(), "latest");
        for wrong in [
            "ghcr.io/app",
            "oci://ghcr.io",
            "oci://ghcr.io/App",
            "oci://ghcr.io/a/../b:t",
            "oci://ghcr.io/a:t/x",
        ] {
            assert!(Reference::parse(wrong).is_err(), "{wrong}");
        }
    }
}
