//! Private keys.

use rsa::{BigUint, RsaPrivateKey, pkcs1::EncodeRsaPrivateKey};

use super::{super::text, pem};
use crate::{
    error::Error,
    func::{Functions, Ty},
};

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[("genPrivateKey", &[Ty::Str], None, |a| Ok(generate(text(a, 0))?.into()))]);
}

fn generate(kind: &[u8]) -> Result<String, Error> {
    match kind {
        b"" | b"rsa" => rsa_pem(&rsa(4096)?),
        b"ecdsa" => ecdsa(),
        b"ed25519" => ed25519(),
        b"dsa" => Err(Error::plain(
            "genPrivateKey: dsa keys are obsolete and not made here; use rsa, ecdsa or ed25519",
        )),
        other => Ok(format!("Unknown type {}", String::from_utf8_lossy(other))),
    }
}

/// A new RSA key of a multiple of 128 bits.
pub(super) fn rsa(bits: usize) -> Result<RsaPrivateKey, Error> {
    let mut rng = rand::rng();
    let mut prime = || {
        let limbs = super::prime::random(bits / 128, &mut rng);
        let bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
        BigUint::from_bytes_le(&bytes)
    };
    let (p, q) = (prime(), prime());
    RsaPrivateKey::from_p_q(p, q, BigUint::from(65_537u32))
        .map_err(|e| Error::plain(format!("failed to generate private key: {e}")))
}

/// `RSA PRIVATE KEY`, the PKCS #1 form.
pub(super) fn rsa_pem(key: &RsaPrivateKey) -> Result<String, Error> {
    let der = key.to_pkcs1_der().map_err(|e| Error::plain(format!("failed to encode private key: {e}")))?;
    Ok(pem("RSA PRIVATE KEY", der.as_bytes()))
}

fn generated(algorithm: &'static rcgen::SignatureAlgorithm) -> Result<Vec<u8>, Error> {
    rcgen::KeyPair::generate_for(algorithm)
        .map(|pair| pair.serialize_der())
        .map_err(|e| Error::plain(format!("failed to generate private key: {e}")))
}

/// The bytes after `mark` in a DER document whose layout is known.
fn after<'d>(der: &'d [u8], mark: &[u8], length: usize) -> Result<&'d [u8], Error> {
    der.windows(mark.len())
        .position(|w| w == mark)
        .and_then(|at| der.get(at + mark.len()..at + mark.len() + length))
        .ok_or_else(|| Error::plain("failed to encode private key"))
}

/// SEC 1 with the curve's name (RFC 5915), from PKCS #8.
fn ecdsa() -> Result<String, Error> {
    let pkcs8 = generated(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let secret = after(&pkcs8, &[0x02, 0x01, 0x01, 0x04, 0x20], 32)?;
    let public = after(&pkcs8, &[0x03, 0x42, 0x00], 65)?;
    let mut der = vec![0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20];
    der.extend_from_slice(secret);
    der.extend_from_slice(&[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
    der.extend_from_slice(&[0xa1, 0x44, 0x03, 0x42, 0x00]);
    der.extend_from_slice(public);
    Ok(pem("EC PRIVATE KEY", &der))
}

/// PKCS #8 version 1, which holds the seed alone (RFC 8410).
fn ed25519() -> Result<String, Error> {
    let pkcs8 = generated(&rcgen::PKCS_ED25519)?;
    let seed = after(&pkcs8, &[0x04, 0x22, 0x04, 0x20], 32)?;
    let head =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    Ok(pem("PRIVATE KEY", &[&head[..], seed].concat()))
}
