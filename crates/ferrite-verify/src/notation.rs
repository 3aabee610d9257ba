//! Signatures of the Notary Project: JWS envelopes checked by a trust policy and its certificates.
//!
//! Sources: the Notary Project's `trust-store-trust-policy.md`, `signature-specification.md` and
//! `signature-envelope-jws.md`.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{Error, certificate::Certificate};

/// The artifact type of signatures that refer to an artifact.
pub const ARTIFACT_TYPE: &str = "application/vnd.cncf.notary.signature";
/// The media type of a JWS envelope.
pub const JWS: &str = "application/jose+json";
/// The content type of what is signed.
const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";
/// Headers this crate understands, which a signature may call critical.
const CRITICAL: &[&str] =
    &["io.cncf.notary.signingScheme", "io.cncf.notary.signingTime", "io.cncf.notary.expiry"];

const POLICY: &str = "trust policy";

/// `trustpolicy.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustPolicy {
    version: String,
    trust_policies: Vec<Statement>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    name: String,
    registry_scopes: Vec<String>,
    signature_verification: Verification,
    #[serde(default)]
    trust_stores: Vec<String>,
    #[serde(default)]
    trusted_identities: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    level: String,
    #[serde(default, rename = "override")]
    overrides: std::collections::BTreeMap<String, String>,
}

/// What a policy says of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A signature is good.
    Verified,
    /// The policy does not ask for a good one.
    NotRequired,
}

/// How a check that fails counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    authenticity: bool,
    timestamp: bool,
    expiry: bool,
}

impl TrustPolicy {
    /// Reads `trustpolicy.json` and checks its rules.
    ///
    /// # Errors
    /// [`Error::Setting`] with the statement that is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let policy: Self = serde_json::from_slice(json).map_err(|error| Error::setting(POLICY, error))?;
        if policy.version != "1.0" {
            let problem = format!("its version is '{}', expected '1.0'", policy.version);
            return Err(Error::setting(POLICY, problem));
        }
        if policy.trust_policies.is_empty() {
            return Err(Error::setting(POLICY, "it has no statement"));
        }
        for statement in &policy.trust_policies {
            let wrong = |problem: &str| {
                Err(Error::setting(POLICY, format!("statement '{}': {problem}", statement.name)))
            };
            if statement.registry_scopes.is_empty() {
                return wrong("it has no registry scope");
            }
            let is_skip = statement.signature_verification.level == "skip";
            if !is_skip && (statement.trust_stores.is_empty() || statement.trusted_identities.is_empty()) {
                return wrong("it needs trustStores and trustedIdentities");
            }
            if let Err(problem) = statement.level() {
                return wrong(&problem);
            }
        }
        Ok(policy)
    }

    /// The statement for a repository: that which names it, or that for all.
    fn statement(&self, repository: &str) -> Result<&Statement, Error> {
        let naming = |scope: &str| {
            self.trust_policies.iter().find(|one| one.registry_scopes.iter().any(|own| own == scope))
        };
        naming(repository)
            .or_else(|| naming("*"))
            .ok_or_else(|| Error::Policy { problem: format!("no statement applies to '{repository}'") })
    }

    /// Whether signatures of artifacts in `repository` (`host/path`) need not be looked at.
    ///
    /// # Errors
    /// [`Error::Policy`] when no statement applies.
    pub fn skips(&self, repository: &str) -> Result<bool, Error> {
        Ok(self.statement(repository)?.signature_verification.level == "skip")
    }
}

impl Statement {
    /// What the level and its overrides make of failed checks; `None` for `skip`.
    fn level(&self) -> Result<Option<Level>, String> {
        let Verification { level, overrides } = &self.signature_verification;
        let mut level = match level.as_str() {
            "strict" => Level { authenticity: true, timestamp: true, expiry: true },
            "permissive" => Level { authenticity: true, timestamp: false, expiry: false },
            "audit" => Level { authenticity: false, timestamp: false, expiry: false },
            "skip" => return Ok(None),
            other => return Err(format!("'{other}' is no level of verification")),
        };
        for (check, action) in overrides {
            let enforced = match action.as_str() {
                "enforce" => true,
                "log" | "skip" => false,
                other => return Err(format!("'{other}' is no action of an override")),
            };
            match check.as_str() {
                "authenticity" => level.authenticity = enforced,
                "authenticTimestamp" => level.timestamp = enforced,
                "expiry" => level.expiry = enforced,
                "revocation" => {}
                other => return Err(format!("'{other}' cannot be overridden")),
            }
        }
        Ok(Some(level))
    }
}

#[derive(Deserialize)]
struct Envelope {
    payload: String,
    protected: String,
    header: Header,
    signature: String,
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    x5c: Vec<String>,
}

#[derive(Deserialize)]
struct Protected {
    alg: String,
    cty: String,
    #[serde(default)]
    crit: Vec<String>,
    #[serde(rename = "io.cncf.notary.signingScheme")]
    scheme: String,
    #[serde(rename = "io.cncf.notary.signingTime")]
    time: Option<Timestamp>,
    #[serde(rename = "io.cncf.notary.authenticSigningTime")]
    authentic_time: Option<Timestamp>,
    #[serde(rename = "io.cncf.notary.expiry")]
    expiry: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    target_artifact: Target,
}

#[derive(Deserialize)]
struct Target {
    digest: String,
}

/// Checks a JWS envelope about the artifact `digest` in `repository`, with the certificates that are trusted (PEM).
///
/// Revocation is not checked: it would need the network.
///
/// # Errors
/// See [`Error`]; what the policy's level does not enforce is no error.
pub fn check_jws(
    envelope: &[u8],
    digest: &str,
    repository: &str,
    policy: &TrustPolicy,
    trusted: &[u8],
    now: Timestamp,
) -> Result<Verdict, Error> {
    const WHAT: &str = "signature envelope";
    let statement = policy.statement(repository)?;
    let level = statement.level().map_err(|problem| Error::setting(POLICY, problem))?;
    let Some(level) = level else { return Ok(Verdict::NotRequired) };
    let malformed = |problem: &dyn ToString| Error::malformed(WHAT, problem.to_string());
    let envelope: Envelope = serde_json::from_slice(envelope).map_err(|error| malformed(&error))?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|error| malformed(&error));
    let protected: Protected =
        serde_json::from_slice(&decode(&envelope.protected)?).map_err(|error| malformed(&error))?;
    if protected.cty != PAYLOAD {
        return Err(malformed(&format!("its content is of type '{}', expected '{PAYLOAD}'", protected.cty)));
    }
    if let Some(unknown) = protected.crit.iter().find(|name| !CRITICAL.contains(&name.as_str())) {
        return Err(malformed(&format!("it has a critical header '{unknown}', which is not known here")));
    }
    if protected.scheme != "notary.x509" {
        return Err(malformed(&format!("the signing scheme '{}' is not known here", protected.scheme)));
    }
    let chain = envelope.header.x5c.iter().map(|text| {
        let der = STANDARD.decode(text).map_err(|error| malformed(&error))?;
        Certificate::from_der(&der)
    });
    let chain: Vec<Certificate> = chain.collect::<Result<_, Error>>()?;
    let (leaf, between) = chain.split_first().ok_or_else(|| malformed(&"it has no certificate"))?;
    let signed = format!("{}.{}", envelope.protected, envelope.payload);
    if !leaf.key().verify_jwa(&protected.alg, signed.as_bytes(), &decode(&envelope.signature)?) {
        return Err(Error::Signature { what: "payload" });
    }
    let payload: Payload =
        serde_json::from_slice(&decode(&envelope.payload)?).map_err(|error| malformed(&error))?;
    let found = payload.target_artifact.digest;
    if found != digest {
        return Err(Error::OtherArtifact { found, wanted: digest.to_owned() });
    }
    if level.expiry && protected.expiry.is_some_and(|expiry| expiry < now) {
        return Err(Error::Policy { problem: "the signature has expired".to_owned() });
    }
    // Without a timestamp of an authority nobody knows when it was signed, so certificates have to be valid today.
    let claimed = protected.authentic_time.or(protected.time).unwrap_or(now);
    let at = if level.timestamp { now } else { claimed };
    let authentic = Certificate::all_of_pem(trusted)
        .and_then(|authorities| leaf.check(&authorities, between, at, false))
        .and_then(|()| is_trusted(leaf, &statement.trusted_identities));
    match authentic {
        Ok(()) => Ok(Verdict::Verified),
        Err(_) if !level.authenticity => Ok(Verdict::NotRequired),
        Err(error) => Err(error),
    }
}

/// Whether the subject of a certificate is one of the trusted identities: `*`, or `x509.subject:` with attributes
/// that the subject has.
fn is_trusted(leaf: &Certificate, identities: &[String]) -> Result<(), Error> {
    let subject: Vec<String> = leaf
        .subject()
        .iter()
        .filter_map(|(kind, text)| Some(format!("{}={text}", short_name(kind)?)))
        .collect();
    let fits = |identity: &String| {
        if identity == "*" {
            return true;
        }
        let Some(wanted) = identity.strip_prefix("x509.subject:") else { return false };
        let mut wanted = split_name(wanted).peekable();
        wanted.peek().is_some() && wanted.all(|attribute| subject.contains(&attribute))
    };
    if identities.iter().any(fits) {
        return Ok(());
    }
    Err(Error::Policy { problem: format!("'{}' is not a trusted identity", subject.join(", ")) })
}

/// The attributes of a distinguished name in text (RFC 4514), without escapes.
fn split_name(name: &str) -> impl Iterator<Item = String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for character in name.chars() {
        match character {
            '\\' if !escaped => escaped = true,
            ',' | '+' if !escaped => parts.push(String::new()),
            character => {
                escaped = false;
                if let Some(last) = parts.last_mut() {
                    last.push(character);
                }
            }
        }
    }
    parts.into_iter().filter_map(|part| {
        let (kind, text) = part.split_once('=')?;
        let kind = match kind.trim().to_ascii_uppercase().as_str() {
            "S" => "ST".to_owned(),
            kind => kind.to_owned(),
        };
        Some(format!("{kind}={}", text.trim()))
    })
}

/// RFC 4514 §3.
fn short_name(kind: &[u8]) -> Option<&'static str> {
    Some(match kind {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "STREET",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        _ => return None,
    })
}
