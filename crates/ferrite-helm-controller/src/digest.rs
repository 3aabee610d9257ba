//! Digests as `github.com/opencontainers/go-digest` writes them: `<algorithm>:<hex>`.

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// How digests in status are computed (`--snapshot-digest-algo`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// `sha256`
    #[default]
    Sha256,
    /// `sha384`
    Sha384,
    /// `sha512`
    Sha512,
}

impl std::str::FromStr for Algorithm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "sha256" => Ok(Self::Sha256),
            "sha384" => Ok(Self::Sha384),
            "sha512" => Ok(Self::Sha512),
            other => Err(format!("`{other}` is none of sha256, sha384 and sha512")),
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        })
    }
}

impl Algorithm {
    pub(crate) fn digest(self, text: &str) -> String {
        let bytes = text.as_bytes();
        let hex = match self {
            Self::Sha256 => hex(&Sha256::digest(bytes)),
            Self::Sha384 => hex(&Sha384::digest(bytes)),
            Self::Sha512 => hex(&Sha512::digest(bytes)),
        };
        format!("{self}:{hex}")
    }
}

/// What a digest says about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    Different,
    /// It was made by an algorithm that is not known here, or is no digest.
    Unknown,
}

/// Compares a text with a digest, by the algorithm that the digest names.
pub(crate) fn verify(digest: &str, text: &str) -> Verdict {
    let algorithm = digest.split_once(':').and_then(|(name, _)| name.parse::<Algorithm>().ok());
    match algorithm {
        None => Verdict::Unknown,
        Some(algorithm) if algorithm.digest(text) == digest => Verdict::Same,
        Some(_) => Verdict::Different,
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_verified_by_their_own_algorithm() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Algorithm::Sha256.digest(""), empty);
        assert_eq!(verify(empty, ""), Verdict::Same);
        assert_eq!(verify(empty, "x"), Verdict::Different);
        assert_eq!(verify(&Algorithm::Sha512.digest("x"), "x"), Verdict::Same);
        assert_eq!(verify("blake3:00", "x"), Verdict::Unknown);
        assert_eq!(verify("", "x"), Verdict::Unknown);
        assert!("md5".parse::<Algorithm>().is_err());
    }
}
