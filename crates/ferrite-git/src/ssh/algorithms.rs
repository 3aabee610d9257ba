//! Which algorithms are offered.

use russh::client::Handle;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use russh::{Preferred, client, kex};

use crate::Error;
use crate::remote::SshAlgorithms;

const KEX_EXTENSIONS: [kex::Name; 2] =
    [kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

/// The key exchanges of Go's SSH client, most preferred first, so that servers Flux reaches are reached.
const KEX: [kex::Name; 10] = [
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_G14_SHA1,
];

const RSA: [Algorithm; 3] = [
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    Algorithm::Rsa { hash: None },
];

/// What is offered to a server whose keys are of the types `known`. What is configured comes before that.
pub(crate) fn preferred(configured: &SshAlgorithms, known: &[Algorithm]) -> Result<Preferred, Error> {
    let unusable = |flag: &'static str, names: &[String]| Error::Credentials {
        what: flag,
        problem: format!("none of {} is supported", names.join(", ")),
    };
    let mut kex: Vec<kex::Name> = if configured.kex.is_empty() {
        KEX.to_vec()
    } else {
        configured.kex.iter().filter_map(|name| kex::Name::try_from(name.as_str()).ok()).collect()
    };
    if kex.is_empty() {
        return Err(unusable("--ssh-kex-algos", &configured.kex));
    }
    kex.extend(KEX_EXTENSIONS);
    let key: Vec<Algorithm> = if configured.host_key.is_empty() {
        offered(known)
    } else {
        configured.host_key.iter().filter_map(|name| Algorithm::new(name).ok()).collect()
    };
    if key.is_empty() && !configured.host_key.is_empty() {
        return Err(unusable("--ssh-hostkey-algos", &configured.host_key));
    }
    let default = Preferred::default();
    let key = if key.is_empty() { default.key.clone() } else { key.into() };
    Ok(Preferred { kex: kex.into(), key, ..default })
}

/// One entry for each type, and all signatures of RSA keys.
fn offered(known: &[Algorithm]) -> Vec<Algorithm> {
    let mut all = vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    ];
    all.retain(|algorithm| known.contains(algorithm));
    if known.iter().any(|algorithm| matches!(algorithm, Algorithm::Rsa { .. })) {
        all.extend(RSA);
    }
    all
}

/// The hashes to sign with, most preferred first; `None` is what the key's type says.
pub(crate) async fn signature_hashes<H: client::Handler>(
    handle: &Handle<H>,
    key: &PrivateKey,
) -> Result<Vec<Option<HashAlg>>, russh::Error> {
    if !matches!(key.algorithm(), Algorithm::Rsa { .. }) {
        return Ok(vec![None]);
    }
    let stated = handle.best_supported_rsa_hash().await?;
    Ok(match stated {
        Some(hash) => vec![hash],
        // Servers that state nothing: SHA-1 is refused by most and comes last.
        None => vec![Some(HashAlg::Sha512), Some(HashAlg::Sha256), None],
    })
}
