//! Public keys and what they sign.

use ring::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject as _};

use crate::{
    Error,
    der::{BIT_STRING, OID, Reader, SEQUENCE},
};

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    bytes: Vec<u8>,
    spki: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const EDWARDS: &[u8] = &[0x2b, 0x65, 0x70];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

impl PublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----`.
    ///
    /// # Errors
    /// When it is no PEM, or a key of another kind than ECDSA P-256 and P-384, Ed25519 and RSA.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem)
            .map_err(|_| Error::setting("public key", "expected PEM with BEGIN PUBLIC KEY"))?;
        Self::from_der(&der)
    }

    /// Reads a SubjectPublicKeyInfo (RFC 5280 §4.1).
    ///
    /// # Errors
    /// As [`PublicKey::from_pem`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let read = || {
            let mut spki = Reader::new(Reader::new(der).expect(SEQUENCE)?.value);
            let mut algorithm = Reader::new(spki.expect(SEQUENCE)?.value);
            let name = algorithm.expect(OID)?.value;
            let (unused, bytes) = spki.expect(BIT_STRING)?.value.split_first()?;
            let curve = algorithm.expect(OID).map(|curve| curve.value);
            let kind = match (name, curve) {
                (EC, Some(P256)) => Kind::P256,
                (EC, Some(P384)) => Kind::P384,
                (EDWARDS, None) => Kind::Ed25519,
                (RSA, _) => Kind::Rsa,
                _ => return None,
            };
            (*unused == 0).then(|| Self { kind, bytes: bytes.to_vec(), spki: der.to_vec() })
        };
        read().ok_or_else(|| {
            Error::setting("public key", "expected an ECDSA P-256 or P-384, an Ed25519 or an RSA key")
        })
    }

    /// The key in DER, by whose SHA-256 logs are known.
    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Whether `signature` is of `message`, as Sigstore signs: ECDSA in ASN.1, RSA PKCS #1 v1.5 with SHA-256.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithms: &[&'static dyn VerificationAlgorithm] = match self.kind {
            Kind::P256 => &[&ECDSA_P256_SHA256_ASN1],
            // Keys of this curve are used with both digests.
            Kind::P384 => &[&ECDSA_P384_SHA384_ASN1, &signature::ECDSA_P384_SHA256_ASN1],
            Kind::Ed25519 => &[&ED25519],
            Kind::Rsa => &[&RSA_PKCS1_2048_8192_SHA256],
        };
        algorithms.iter().any(|algorithm| self.verify_with(*algorithm, message, signature))
    }

    /// Whether `signature` is of `message` by `algorithm`.
    pub(crate) fn verify_with(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        UnparsedPublicKey::new(algorithm, &self.bytes).verify(message, signature).is_ok()
    }

    /// Whether `signature` is of `message` by the JSON Web Algorithm `name`, and that one fits the key.
    pub(crate) fn verify_jwa(&self, name: &str, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match (name, self.kind) {
            ("ES256", Kind::P256) => &signature::ECDSA_P256_SHA256_FIXED,
            ("ES384", Kind::P384) => &signature::ECDSA_P384_SHA384_FIXED,
            ("PS256", Kind::Rsa) => &signature::RSA_PSS_2048_8192_SHA256,
            ("PS384", Kind::Rsa) => &signature::RSA_PSS_2048_8192_SHA384,
            ("PS512", Kind::Rsa) => &signature::RSA_PSS_2048_8192_SHA512,
            _ => return false,
        };
        self.verify_with(algorithm, message, signature)
    }
}
