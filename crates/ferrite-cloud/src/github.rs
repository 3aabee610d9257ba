//! GitHub Apps: the token by which an app shows who it is, to get tokens of its installations.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::Redacted;

/// The token is dated back by this many seconds, for clocks that are behind.
const BACK: i64 = 60;
/// Seconds until it expires; GitHub allows ten minutes.
const LIFE: i64 = 540;

/// A JWT of the app `id` (number or client ID), signed with its RSA key (PEM, PKCS #1 or #8).
///
/// `None` when the key cannot be used; it needs 2048 bits or more.
#[must_use]
pub fn app_token(id: &str, private_key: &[u8], now: jiff::Timestamp) -> Option<Redacted<String>> {
    let pair = match PrivateKeyDer::from_pem_slice(private_key).ok()? {
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()).ok()?,
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok()?,
        _ => return None,
    };
    let seconds = now.as_second();
    let claims = json!({"iat": seconds - BACK, "exp": seconds + LIFE, "iss": id});
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(json!({"alg": "RS256", "typ": "JWT"})), part(claims));
    let mut signature = vec![0; pair.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).ok()?;
    Some(Redacted::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}
