//! The administrator's token, and the key that signs the tokens of service accounts (RS256, as kube-apiserver's).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _};
use rsa::traits::PublicKeyParts as _;
use serde_json::{Value, json};

use crate::error::Error;

const BITS: usize = 2048;
/// Beside the data, PKCS#8 in DER.
const FILE: &str = "service-accounts.key";

/// Keys and tokens of one server.
#[derive(Debug)]
pub(crate) struct Keys {
    admin_token: String,
    /// Where the signing key is kept; nowhere for a server in memory.
    path: Option<PathBuf>,
    /// Made when the first token is asked for: primes take longer than a server takes to start.
    signer: OnceLock<Option<Signer>>,
}

#[derive(Debug)]
struct Signer {
    pair: RsaKeyPair,
    /// What a header's `kid` says: the digest of the public key.
    id: String,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Signer {
    fn read(pkcs8: &[u8]) -> Option<Self> {
        let key = rsa::RsaPrivateKey::from_pkcs8_der(pkcs8).ok()?;
        let public = key.to_public_key();
        let digest = ring::digest::digest(&ring::digest::SHA256, public.to_public_key_der().ok()?.as_bytes());
        Some(Self {
            pair: RsaKeyPair::from_pkcs8(pkcs8).ok()?,
            id: URL_SAFE_NO_PAD.encode(digest),
            modulus: public.n().to_bytes_be(),
            exponent: public.e().to_bytes_be(),
        })
    }

    fn generate(path: Option<&Path>) -> Option<Self> {
        let key = rsa::RsaPrivateKey::new(&mut Random(SystemRandom::new()), BITS).ok()?;
        let pkcs8 = key.to_pkcs8_der().ok()?;
        if let Some(path) = path
            && let Err(error) = crate::tls::write_private(path, pkcs8.as_bytes())
        {
            tracing::error!(path = %path.display(), %error, "the key of service account tokens could not be kept");
            return None;
        }
        Self::read(pkcs8.as_bytes())
    }
}

/// ring's generator, as `rsa` asks for one.
struct Random(SystemRandom);

impl rsa::rand_core::RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        rsa::rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rsa::rand_core::impls::next_u64_via_fill(self)
    }

    #[expect(clippy::panic, reason = "the trait knows no error, and a key of zeroes must never be made")]
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        if let Err(error) = self.try_fill_bytes(bytes) {
            panic!("no randomness: {error}");
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.0
            .fill(bytes)
            .map_err(|_| rsa::rand_core::Error::new(std::io::Error::other("the system has no randomness")))
    }
}

impl rsa::rand_core::CryptoRng for Random {}

impl Keys {
    /// Reads the signing key of `dir`, if there is one.
    ///
    /// # Errors
    ///
    /// When the key is there and cannot be read.
    pub(crate) fn open(admin_token: String, dir: Option<&Path>) -> Result<Self, Error> {
        let path = dir.map(|dir| dir.join(FILE));
        let signer = OnceLock::new();
        if let Some(path) = path.as_deref()
            && path.exists()
        {
            let data = |source| Error::Data { path: path.to_owned(), source };
            let pkcs8 = fs_err::read(path).map_err(|error| data(Box::new(error)))?;
            let key = Signer::read(&pkcs8).ok_or_else(|| {
                data("not an RSA key in PKCS#8; remove the file for a new one, which ends all tokens".into())
            })?;
            signer.get_or_init(|| Some(key));
        }
        Ok(Self { admin_token, path, signer })
    }

    fn signer(&self) -> Option<&Signer> {
        self.signer.get_or_init(|| Signer::generate(self.path.as_deref())).as_ref()
    }

    pub(crate) fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// Compares digests, so that the time taken says nothing about the token.
    pub(crate) fn is_admin(&self, token: &str) -> bool {
        let digest = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        digest(token).as_ref() == digest(&self.admin_token).as_ref()
    }

    /// The public signing key as a JSON Web Key set, for `/openid/v1/jwks`.
    pub(crate) fn jwks(&self) -> Value {
        let keys = self.signer().map(|signer| {
            json!({"use": "sig", "kty": "RSA", "kid": signer.id, "alg": "RS256",
                "n": URL_SAFE_NO_PAD.encode(&signer.modulus), "e": URL_SAFE_NO_PAD.encode(&signer.exponent)})
        });
        json!({"keys": keys.into_iter().collect::<Vec<_>>()})
    }

    /// A token of these claims; `None` when no key could be made, which the log explains.
    pub(crate) fn sign(&self, claims: &Value) -> Option<String> {
        let signer = self.signer()?;
        let header = json!({"alg": "RS256", "kid": signer.id});
        let text = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; signer.pair.public().modulus_len()];
        signer.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).ok()?;
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The claims of a token that this server signed. Before the first token there is nothing to compare with.
    pub(crate) fn verify(&self, token: &str) -> Option<Value> {
        let signer = self.signer.get()?.as_ref()?;
        let (text, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, signer.pair.public_key().as_ref());
        key.verify(text.as_bytes(), &signature).ok()?;
        let (_, payload) = text.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_outlives_a_restart_and_no_other_server_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        let claims = json!({"sub": "system:serviceaccount:a:b"});
        let keys = Keys::open("admin".into(), Some(dir.path())).unwrap();
        assert_eq!(keys.verify("a.b.c"), None);
        let token = keys.sign(&claims).unwrap();
        assert_eq!(keys.verify(&token), Some(claims.clone()));

        let again = Keys::open("admin".into(), Some(dir.path())).unwrap();
        assert_eq!(again.verify(&token), Some(claims.clone()));
        assert_eq!(again.jwks(), keys.jwks());

        let other = Keys::open("admin".into(), None).unwrap();
        other.sign(&claims).unwrap();
        assert_eq!(other.verify(&token), None);
    }

    #[test]
    fn a_damaged_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join(FILE), b"not a key").unwrap();
        let error = Keys::open("admin".into(), Some(dir.path())).unwrap_err().to_string();
        assert!(error.contains(FILE), "{error}");
    }
}
