//! Verification of artifacts in registries: settings out of Secrets, signatures out of the registry, a verdict.
//!
//! Flux (`internal/oci`): bundles that refer to the artifact come first; only without any is there a look at the
//! signatures beside it. With keys, the first key that fits is enough.

use std::collections::BTreeMap;

use ferrite_api::source::{OidcIdentityMatch, VerificationProvider};
use ferrite_artifact::Digest;
use ferrite_runtime::ObjectKey;
use ferrite_verify::{
    PublicKey, TrustRoot,
    cosign::{self, Identity, Trust},
    notation::{self, TrustPolicy, Verdict},
};
use k8s_openapi::{ByteString, api::core::v1::Secret};

use super::{OciError, Registry};
use crate::context::Context;

/// Signatures of one artifact that are looked at.
const MAX_SIGNATURES: usize = 50;
/// Bytes of one signature.
const MAX_SIGNATURE_BYTES: u64 = 4 << 20;

/// What `spec.verify` asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) provider: VerificationProvider,
    /// The Secret with keys, or with policy and certificates.
    pub(crate) secret: Option<ObjectKey>,
    pub(crate) identities: Vec<OidcIdentityMatch>,
    /// The Secret with `trusted_root.json`.
    pub(crate) trusted_root: Option<ObjectKey>,
}

/// Why an artifact is not verified.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VerifyError {
    /// A Secret is not there, or lacks something.
    #[error("{problem}")]
    Secret {
        /// What is wrong.
        problem: String,
    },
    /// Keys, policy or patterns cannot be used.
    #[error(transparent)]
    Setting(ferrite_verify::Error),
    /// The registry could not be asked for signatures.
    #[error("cannot get the signatures of '{reference}'")]
    Registry {
        /// The artifact.
        reference: String,
        /// Why not.
        source: OciError,
    },
    /// No signature is there or counts.
    #[error("no matching signatures were found for '{reference}'{why}")]
    NoMatch {
        /// The artifact.
        reference: String,
        /// `: ` and why the last one did not count; empty when there is none.
        why: String,
    },
}

impl Wanted {
    /// The name in messages.
    pub(crate) const fn label(&self) -> &'static str {
        match (self.provider, &self.secret) {
            (VerificationProvider::Cosign, None) => "cosign keyless",
            (VerificationProvider::Cosign, Some(_)) => "cosign",
            (VerificationProvider::Notation, _) => "notation",
        }
    }

    /// Verifies the artifact `digest` of a repository.
    pub(crate) async fn verify(
        &self,
        context: &Context,
        registry: &Registry,
        digest: &Digest,
    ) -> Result<Verdict, VerifyError> {
        let settings = self.settings(context).await?;
        let place = &registry.repository;
        let reference = format!("{}/{}@{digest}", place.host, place.path);
        let failed = |source| VerifyError::Registry { reference: reference.clone(), source };
        let mut why = String::new();
        match &settings {
            Settings::Notation { policy, trusted } => {
                let repository = format!("{}/{}", place.host, place.path);
                if policy.skips(&repository).map_err(VerifyError::Setting)? {
                    return Ok(Verdict::NotRequired);
                }
                for signature in registry
                    .referrers(digest, notation::ARTIFACT_TYPE)
                    .await
                    .map_err(failed)?
                    .iter()
                    .take(MAX_SIGNATURES)
                {
                    let Some((media_type, bytes)) = first_blob(registry, signature).await.map_err(failed)?
                    else {
                        continue;
                    };
                    if media_type != notation::JWS {
                        why = format!(
                            ": a signature is an envelope of type '{media_type}', expected '{}'",
                            notation::JWS
                        );
                        continue;
                    }
                    let now = context.clock.now();
                    let text = digest.to_string();
                    match notation::check_jws(&bytes, &text, &repository, policy, trusted, now) {
                        Ok(verdict) => return Ok(verdict),
                        Err(error) => why = format!(": {error}"),
                    }
                }
            }
            Settings::Cosign(trusts) => {
                let bundles = registry.referrers(digest, cosign::BUNDLE).await.map_err(failed)?;
                for bundle in bundles.iter().take(MAX_SIGNATURES) {
                    let Some((_, bytes)) = first_blob(registry, bundle).await.map_err(failed)? else {
                        continue;
                    };
                    let check = |trust: Trust<'_>| cosign::check_bundle(&bytes, &digest.to_string(), trust);
                    match trusts.try_all(check) {
                        Ok(()) => return Ok(Verdict::Verified),
                        Err(error) => why = format!(": {error}"),
                    }
                }
                if bundles.is_empty() {
                    for (payload, annotations) in beside(registry, digest).await.map_err(failed)? {
                        let check = |trust: Trust<'_>| {
                            cosign::check_simple_signing(&payload, &annotations, &digest.to_string(), trust)
                        };
                        match trusts.try_all(check) {
                            Ok(()) => return Ok(Verdict::Verified),
                            Err(error) => why = format!(": {error}"),
                        }
                    }
                }
            }
        }
        Err(VerifyError::NoMatch { reference, why })
    }

    async fn settings(&self, context: &Context) -> Result<Settings, VerifyError> {
        let Some(key) = &self.secret else {
            if self.provider == VerificationProvider::Notation {
                return Err(wrong("verification secret cannot be empty; name one in spec.verify.secretRef"));
            }
            let root = match &self.trusted_root {
                None => TrustRoot::public_good().map_err(VerifyError::Setting)?,
                Some(key) => {
                    let data = data(context, key).await?;
                    let json = data.get("trusted_root.json");
                    let json = json
                        .ok_or_else(|| wrong(&format!("'trusted_root.json' not found in secret '{key}'")))?;
                    TrustRoot::parse(&json.0).map_err(VerifyError::Setting)?
                }
            };
            let identities = self.identities.iter().map(|one| Identity::new(&one.issuer, &one.subject));
            let identities: Result<Vec<Identity>, _> = identities.collect();
            let identities = identities.map_err(VerifyError::Setting)?;
            return Ok(Settings::Cosign(Trusts::Keyless { root: Box::new(root), identities }));
        };
        let data = data(context, key).await?;
        let ending = |endings: &[&str]| {
            let endings: Vec<String> = endings.iter().map(|ending| (*ending).to_owned()).collect();
            data.iter().filter(move |(name, _)| endings.iter().any(|ending| name.ends_with(ending.as_str())))
        };
        match self.provider {
            VerificationProvider::Cosign => {
                let keys: Result<Vec<PublicKey>, _> =
                    ending(&[".pub"]).map(|(_, pem)| PublicKey::from_pem(&pem.0)).collect();
                let keys = keys.map_err(VerifyError::Setting)?;
                if keys.is_empty() {
                    return Err(wrong(&format!(
                        "no public keys found in secret '{key}'; their names end in '.pub'"
                    )));
                }
                Ok(Settings::Cosign(Trusts::Keys(keys)))
            }
            VerificationProvider::Notation => {
                let policy = data.get("trustpolicy.json");
                let policy = policy
                    .ok_or_else(|| wrong(&format!("'trustpolicy.json' not found in secret '{key}'")))?;
                let policy = TrustPolicy::parse(&policy.0).map_err(VerifyError::Setting)?;
                let trusted: Vec<u8> = ending(&[".crt", ".pem"])
                    .flat_map(|(_, pem)| pem.0.iter().copied().chain(*b"\n"))
                    .collect();
                if trusted.is_empty() {
                    return Err(wrong(&format!("no certificates found in secret '{key}'")));
                }
                Ok(Settings::Notation { policy, trusted })
            }
        }
    }
}

enum Settings {
    Cosign(Trusts),
    Notation { policy: TrustPolicy, trusted: Vec<u8> },
}

enum Trusts {
    Keys(Vec<PublicKey>),
    Keyless { root: Box<TrustRoot>, identities: Vec<Identity> },
}

impl Trusts {
    /// Whether `check` accepts any of those who are trusted; why not the last one otherwise.
    fn try_all(
        &self,
        check: impl Fn(Trust<'_>) -> Result<(), ferrite_verify::Error>,
    ) -> Result<(), ferrite_verify::Error> {
        match self {
            Self::Keyless { root, identities } => check(Trust::Keyless { root, identities }),
            Self::Keys(keys) => {
                let (last, others) =
                    keys.split_last().ok_or(ferrite_verify::Error::Signature { what: "artifact" })?;
                if others.iter().any(|key| check(Trust::Key(key)).is_ok()) {
                    return Ok(());
                }
                check(Trust::Key(last))
            }
        }
    }
}

fn wrong(problem: &str) -> VerifyError {
    VerifyError::Secret { problem: problem.to_owned() }
}

async fn data(context: &Context, key: &ObjectKey) -> Result<BTreeMap<String, ByteString>, VerifyError> {
    let found: Result<Secret, String> = context.secret(key).await;
    let secret = found.map_err(|problem| wrong(&format!("failed to get secret '{key}': {problem}")))?;
    Ok(secret.data.unwrap_or_default())
}

/// Media type and bytes of the first layer of a manifest.
async fn first_blob(registry: &Registry, digest: &Digest) -> Result<Option<(String, Vec<u8>)>, OciError> {
    let manifest = registry.manifest(digest).await?;
    let Some(layer) = manifest.layers.first() else { return Ok(None) };
    Ok(Some((layer.media_type.clone(), registry.blob(layer, MAX_SIGNATURE_BYTES).await?)))
}

/// Payloads and annotations of the signatures beside an artifact, under the tag `sha256-….sig`.
async fn beside(
    registry: &Registry,
    digest: &Digest,
) -> Result<Vec<(Vec<u8>, BTreeMap<String, String>)>, OciError> {
    let tag = format!("{}.sig", digest.to_string().replace(':', "-"));
    let found = match registry.digest(&tag).await {
        Err(OciError::NotFound { .. }) => return Ok(Vec::new()),
        found => found?,
    };
    let manifest = registry.manifest(&found).await?;
    let layers = manifest.layers.into_iter().filter(|layer| layer.media_type == cosign::SIMPLE_SIGNING);
    let mut signatures = Vec::new();
    for layer in layers.take(MAX_SIGNATURES) {
        let payload = registry.blob(&layer, MAX_SIGNATURE_BYTES).await?;
        signatures.push((payload, layer.annotations.unwrap_or_default()));
    }
    Ok(signatures)
}
