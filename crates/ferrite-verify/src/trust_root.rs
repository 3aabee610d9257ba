//! Whom Sigstore's signatures are trusted by: `trusted_root.json` (`dev.sigstore.trustroot.v1.TrustedRoot`).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::{Error, PublicKey, certificate::Certificate};

/// Authorities and logs.
#[derive(Debug, Clone, Default)]
pub struct TrustRoot {
    authorities: Vec<Authority>,
    logs: Vec<Log>,
    certificate_logs: Vec<Log>,
}

#[derive(Debug, Clone)]
struct Authority {
    /// The first signs certificates of people, the last is the root.
    chain: Vec<Certificate>,
    valid: Period,
}

#[derive(Debug, Clone)]
struct Log {
    /// The SHA-256 of the key.
    id: Vec<u8>,
    key: PublicKey,
    valid: Period,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Period {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Period {
    fn contains(self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at <= end)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    certificate_authorities: Vec<AuthorityDocument>,
    #[serde(default)]
    tlogs: Vec<LogDocument>,
    #[serde(default)]
    ctlogs: Vec<LogDocument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityDocument {
    cert_chain: ChainDocument,
    #[serde(default)]
    valid_for: Period,
}

#[derive(Deserialize)]
struct ChainDocument {
    certificates: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    raw_bytes: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogDocument {
    public_key: KeyDocument,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyDocument {
    raw_bytes: String,
    #[serde(default)]
    valid_for: Period,
}

const WHAT: &str = "trusted root";

impl TrustRoot {
    /// The roots of Sigstore's public good instance, as they were when this was built.
    ///
    /// Source: `trusted_root.json` of Sigstore's TUF repository (tuf-repo-cdn.sigstore.dev).
    ///
    /// # Errors
    /// None, unless the built-in document is broken.
    pub fn public_good() -> Result<Self, Error> {
        Self::parse(include_bytes!("public_good.json"))
    }

    /// Reads `trusted_root.json`.
    ///
    /// # Errors
    /// When it is no JSON of that form, or a key or a certificate in it cannot be read.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let document: Document = serde_json::from_slice(json).map_err(|error| Error::setting(WHAT, error))?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|error| Error::setting(WHAT, error));
        let logs = |list: Vec<LogDocument>| -> Result<Vec<Log>, Error> {
            let read = list.into_iter().map(|log| {
                let der = decode(&log.public_key.raw_bytes)?;
                let valid = log.public_key.valid_for;
                Ok(PublicKey::from_der(&der)
                    .ok()
                    // A log with a key of a new kind must not make the others useless.
                    .map(|key| Log { id: digest(&SHA256, key.spki()).as_ref().to_vec(), key, valid }))
            });
            Ok(read.collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().collect())
        };
        let authorities = document.certificate_authorities.into_iter().map(|authority| {
            let chain = authority.cert_chain.certificates.iter();
            let chain: Result<Vec<_>, Error> =
                chain.map(|raw| Certificate::from_der(&decode(&raw.raw_bytes)?)).collect();
            Ok(Authority { chain: chain?, valid: authority.valid_for })
        });
        Ok(Self {
            authorities: authorities.collect::<Result<_, Error>>()?,
            logs: logs(document.tlogs)?,
            certificate_logs: logs(document.ctlogs)?,
        })
    }

    /// The key of the transparency log `id`, if it was in use at `at`.
    pub(crate) fn log(&self, id: &[u8], at: Timestamp) -> Option<&PublicKey> {
        find(&self.logs, id, at)
    }

    /// Checks that an authority vouched for `leaf` at `at`, and that a log of certificates knows.
    pub(crate) fn check(&self, leaf: &Certificate, at: Timestamp) -> Result<(), Error> {
        let mut last = Error::certificate("the trusted root names no authority for that time");
        for authority in self.authorities.iter().filter(|authority| authority.valid.contains(at)) {
            let Some((root, between)) = authority.chain.split_last() else { continue };
            match leaf.check(std::slice::from_ref(root), between, at, true) {
                Ok(()) => {
                    let key = |id: &[u8], at| find(&self.certificate_logs, id, at).cloned();
                    return leaf.check_listed(&authority.chain, key);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn find<'a>(logs: &'a [Log], id: &[u8], at: Timestamp) -> Option<&'a PublicKey> {
    logs.iter().find(|log| log.id == id && log.valid.contains(at)).map(|log| &log.key)
}
