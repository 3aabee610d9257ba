//! Signatures that cosign writes: beside an image under a tag of its own, or as Sigstore bundles that refer to it.
//!
//! Sources: cosign's `SIGNATURE_SPEC.md`, DSSE's `protocol.md`, the bundle of sigstore/protobuf-specs.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Error, PublicKey, TrustRoot,
    certificate::Certificate,
    rekor::{Entry, Logged, Proof},
};

/// The media type of the layers of signatures beside an image.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The beginning of the artifact type of bundles that refer to an image.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// The annotation of a layer that holds its signature.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// Who may have signed.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// Whoever has the private half of a key. Logs are not asked, as in Flux.
    Key(&'a PublicKey),
    /// Whoever Sigstore's authorities know as one of the identities; anybody without any.
    Keyless {
        /// Authorities and logs.
        root: &'a TrustRoot,
        /// Expected signers.
        identities: &'a [Identity],
    },
}

/// An expected signer: unanchored patterns, as `matchOIDCIdentity` has them.
#[derive(Debug, Clone)]
pub struct Identity {
    issuer: regex::Regex,
    subject: regex::Regex,
}

impl Identity {
    /// # Errors
    /// When one is no regular expression.
    pub fn new(issuer: &str, subject: &str) -> Result<Self, Error> {
        let parse = |text: &str| {
            let size = regex::RegexBuilder::new(text).size_limit(1 << 20).build();
            size.map_err(|error| Error::setting("matchOIDCIdentity", error))
        };
        Ok(Self { issuer: parse(issuer)?, subject: parse(subject)? })
    }
}

/// What is signed beside an image.
#[derive(Deserialize)]
struct SimpleSigning {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// The entry of a log in the annotation `dev.sigstore.cosign/bundle`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LogBundle {
    signed_entry_timestamp: String,
    payload: LogPayload,
}

#[derive(Deserialize)]
struct LogPayload {
    body: String,
    #[serde(rename = "integratedTime")]
    time: i64,
    #[serde(rename = "logIndex")]
    index: i64,
    #[serde(rename = "logID")]
    log: String,
}

/// Checks a signature beside an image: a layer's bytes and annotations.
///
/// # Errors
/// See [`Error`]: it is of another image, by somebody else, or not valid.
pub fn check_simple_signing(
    payload: &[u8],
    annotations: &BTreeMap<String, String>,
    digest: &str,
    trust: Trust<'_>,
) -> Result<(), Error> {
    const WHAT: &str = "payload of the signature";
    let signature = annotations.get(SIGNATURE_ANNOTATION).map_or("", String::as_str);
    let signature = decode("signature", signature)?;
    match trust {
        Trust::Key(key) => {
            if !key.verify(payload, &signature) {
                return Err(Error::Signature { what: "payload" });
            }
        }
        Trust::Keyless { root, identities } => {
            let pem = annotations.get("dev.sigstore.cosign/certificate").map_or("", String::as_str);
            let certificates = Certificate::all_of_pem(pem.as_bytes())?;
            let certificate = certificates.first();
            let certificate =
                certificate.ok_or_else(|| Error::certificate("the signature has no certificate"))?;
            let bundle = annotations.get("dev.sigstore.cosign/bundle");
            let bundle = bundle.ok_or_else(|| Error::log("the signature has no entry of a log"))?;
            let bundle: LogBundle =
                serde_json::from_str(bundle).map_err(|error| Error::malformed("entry of the log", error))?;
            let LogPayload { body, time, index, log } = bundle.payload;
            let entry = Entry {
                body: decode("entry of the log", &body)?,
                log: hex::decode(log).map_err(|error| Error::malformed("entry of the log", error))?,
                index,
                time,
                promise: Some(decode("promise of the log", &bundle.signed_entry_timestamp)?),
                proof: None,
            };
            let logged = Logged { payload, signature: &signature, certificate };
            keyless(root, identities, certificate, &[entry], &logged)?;
            if !certificate.key().verify(payload, &signature) {
                return Err(Error::Signature { what: "payload" });
            }
        }
    }
    let signed: SimpleSigning =
        serde_json::from_slice(payload).map_err(|error| Error::malformed(WHAT, error))?;
    same(&signed.critical.image.digest, digest)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<RawCertificate>,
    x509_certificate_chain: Option<Chain>,
    #[serde(default)]
    tlog_entries: Vec<TlogEntry>,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<RawCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate {
    raw_bytes: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TlogEntry {
    #[serde(default)]
    log_index: Value,
    log_id: LogId,
    #[serde(default)]
    integrated_time: Value,
    inclusion_promise: Option<Promise>,
    inclusion_proof: Option<InclusionProof>,
    canonicalized_body: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Promise {
    signed_entry_timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof {
    #[serde(default)]
    log_index: Value,
    #[serde(default)]
    tree_size: Value,
    root_hash: String,
    #[serde(default)]
    hashes: Vec<String>,
    checkpoint: Checkpoint,
}

#[derive(Deserialize)]
struct Checkpoint {
    envelope: String,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// Checks a Sigstore bundle that holds a statement about an image.
///
/// # Errors
/// See [`Error`]: it is of another image, by somebody else, or not valid.
pub fn check_bundle(bundle: &[u8], digest: &str, trust: Trust<'_>) -> Result<(), Error> {
    let bundle: Bundle = serde_json::from_slice(bundle).map_err(|error| Error::malformed("bundle", error))?;
    let envelope = bundle.dsse_envelope;
    let envelope =
        envelope.ok_or_else(|| Error::malformed("bundle", "it holds no statement about an image"))?;
    if envelope.payload_type != "application/vnd.in-toto+json" {
        return Err(Error::malformed("bundle", format!("it is of type '{}'", envelope.payload_type)));
    }
    let payload = decode("statement", &envelope.payload)?;
    let signed = pre_authentication_encoding(&envelope.payload_type, &payload);
    let [signature] = envelope.signatures.as_slice() else {
        return Err(Error::malformed("bundle", "expected one signature"));
    };
    let signature = decode("signature", &signature.sig)?;
    match trust {
        Trust::Key(key) => {
            if !key.verify(&signed, &signature) {
                return Err(Error::Signature { what: "statement" });
            }
        }
        Trust::Keyless { root, identities } => {
            let material = bundle.verification_material;
            let chain = material.x509_certificate_chain.map(|chain| chain.certificates).unwrap_or_default();
            let raw = material.certificate.or_else(|| chain.into_iter().next());
            let raw = raw.ok_or_else(|| Error::certificate("the signature has no certificate"))?;
            let certificate = Certificate::from_der(&decode("certificate", &raw.raw_bytes)?)?;
            let entries: Result<Vec<Entry>, Error> =
                material.tlog_entries.into_iter().map(TlogEntry::read).collect();
            let logged = Logged { payload: &payload, signature: &signature, certificate: &certificate };
            keyless(root, identities, &certificate, &entries?, &logged)?;
            if !certificate.key().verify(&signed, &signature) {
                return Err(Error::Signature { what: "statement" });
            }
        }
    }
    let statement: Statement =
        serde_json::from_slice(&payload).map_err(|error| Error::malformed("statement", error))?;
    if !statement.kind.starts_with("https://in-toto.io/Statement/") {
        return Err(Error::malformed("statement", format!("it is of type '{}'", statement.kind)));
    }
    let (algorithm, hex) = digest.split_once(':').unwrap_or(("sha256", digest));
    let mut digests = statement.subject.iter().filter_map(|subject| subject.digest.get(algorithm));
    if digests.clone().any(|found| found == hex) {
        return Ok(());
    }
    let found = digests.next().map_or_else(|| "nothing".to_owned(), |found| format!("{algorithm}:{found}"));
    Err(Error::OtherArtifact { found, wanted: digest.to_owned() })
}

impl TlogEntry {
    fn read(self) -> Result<Entry, Error> {
        const WHAT: &str = "entry of the log";
        // Protocol buffers' JSON writes large numbers as texts.
        let number = |value: &Value| match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            Value::Null => Some(0),
            _ => None,
        };
        let number = |value: &Value| number(value).ok_or_else(|| Error::malformed(WHAT, "expected a number"));
        let size = |value: &Value| {
            u64::try_from(number(value)?).map_err(|_| Error::malformed(WHAT, "a number is negative"))
        };
        let proof = match &self.inclusion_proof {
            None => None,
            Some(proof) => Some(Proof {
                index: size(&proof.log_index)?,
                size: size(&proof.tree_size)?,
                root: decode(WHAT, &proof.root_hash)?,
                hashes: proof.hashes.iter().map(|hash| decode(WHAT, hash)).collect::<Result<_, _>>()?,
                checkpoint: proof.checkpoint.envelope.clone(),
            }),
        };
        let promise = self.inclusion_promise.map(|promise| decode(WHAT, &promise.signed_entry_timestamp));
        Ok(Entry {
            body: decode(WHAT, &self.canonicalized_body)?,
            log: decode(WHAT, &self.log_id.key_id)?,
            index: number(&self.log_index)?,
            time: number(&self.integrated_time)?,
            promise: promise.transpose()?,
            proof,
        })
    }
}

/// Checks when it was signed, that the certificate was good then, and whose it is.
fn keyless(
    root: &TrustRoot,
    identities: &[Identity],
    certificate: &Certificate,
    entries: &[Entry],
    logged: &Logged<'_>,
) -> Result<(), Error> {
    let mut at = Err(Error::log("the signature has no entry of a log"));
    for entry in entries {
        at = entry.check(root, logged);
        if at.is_ok() {
            break;
        }
    }
    root.check(certificate, at?)?;
    let issuer = certificate.oidc_issuer().unwrap_or_default();
    let names = certificate.names();
    let is = |identity: &Identity| {
        identity.issuer.is_match(&issuer) && names.iter().any(|name| identity.subject.is_match(name))
    };
    if identities.is_empty() || identities.iter().any(is) {
        return Ok(());
    }
    Err(Error::Identity { subjects: names.join(", "), issuer })
}

/// What DSSE signs.
fn pre_authentication_encoding(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

fn same(found: &str, wanted: &str) -> Result<(), Error> {
    if found == wanted {
        Ok(())
    } else {
        Err(Error::OtherArtifact { found: found.to_owned(), wanted: wanted.to_owned() })
    }
}

fn decode(what: &'static str, text: &str) -> Result<Vec<u8>, Error> {
    STANDARD.decode(text.trim()).map_err(|error| Error::malformed(what, error))
}
