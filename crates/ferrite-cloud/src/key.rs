//! RSA keys that sign JSON Web Tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde_json::Value;

use crate::Error;

/// An RSA key of a PEM file.
pub(crate) struct RsaKey {
    pair: RsaKeyPair,
    what: &'static str,
}

impl RsaKey {
    /// Reads PKCS #8 or PKCS #1 in PEM; `what` is whose key it is.
    pub(crate) fn parse(pem: &[u8], what: &'static str) -> Result<Self, Error> {
        let wrong = || Error::Key { what };
        let pair = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| wrong())? {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(wrong()),
        };
        Ok(Self { pair: pair.map_err(|_| wrong())?, what })
    }

    /// A token signed with RS256.
    pub(crate) fn jwt(&self, header: &Value, claims: &Value) -> Result<String, Error> {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| Error::Key { what: self.what })?;
        Ok(format!("{signed}.{}", encode(signature)))
    }
}

/// The certificates of a PEM file, DER.
pub(crate) fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

/// The SHA-1 of a certificate, by which Entra knows it.
pub(crate) fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate))
}

/// Base64 as JSON Web Tokens have it.
fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
