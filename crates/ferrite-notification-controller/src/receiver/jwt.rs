//! JSON web tokens signed by an issuer whose keys are published: RS256, RS384, RS512, ES256, ES384.
//!
//! The algorithm is the key's, never the token's alone: `none` and HMAC are refused whatever the header says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::Value;

use super::validate::Refusal;

/// Bytes of a token.
const TOKEN_BYTES: usize = 16 << 10;
/// Seconds that clocks may differ.
const LEEWAY: i64 = 10;

/// A token taken apart, not verified.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: String,
    key: Option<String>,
    claims: Value,
}

/// Whom a token has to come from and be for.
#[derive(Debug)]
pub(crate) struct Expect<'a> {
    pub(crate) issuers: &'a [&'a str],
    pub(crate) audience: &'a str,
}

fn refuse(problem: impl Into<String>) -> Refusal {
    Refusal::Token(problem.into())
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > TOKEN_BYTES {
            return Err(refuse(format!("it has more than {TOKEN_BYTES} bytes")));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or_else(|| refuse("it has not three parts"))?;
        let (header, claims) = signed.split_once('.').ok_or_else(|| refuse("it has not three parts"))?;
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| refuse("a part is no base64url"));
        let json = |text: &str| serde_json::from_slice(&part(text)?).map_err(|_| refuse("a part is no JSON"));
        let header: Value = json(header)?;
        let text = |key: &str| header.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            signed,
            signature: part(signature)?,
            algorithm: text("alg").ok_or_else(|| refuse("it names no algorithm"))?,
            key: text("kid"),
            claims: json(claims)?,
        })
    }

    /// The issuer that it claims.
    pub(crate) fn issuer(&self) -> &str {
        self.claims.get("iss").and_then(Value::as_str).unwrap_or_default()
    }

    /// Verifies signature, issuer, audience and times, and returns the claims.
    pub(crate) fn verify(
        self,
        keys: &Value,
        expect: &Expect<'_>,
        now: jiff::Timestamp,
    ) -> Result<Value, Refusal> {
        let all = keys.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named = |key: &&Value| {
            self.key.as_deref().is_none_or(|id| key.get("kid").and_then(Value::as_str) == Some(id))
        };
        let mut candidates = all.iter().filter(named).peekable();
        if candidates.peek().is_none() {
            return Err(refuse("its key is not one of the issuer's"));
        }
        if !candidates.any(|key| self.signed_by(key)) {
            return Err(refuse("its signature is not the issuer's"));
        }
        if !expect.issuers.contains(&self.issuer()) {
            return Err(refuse("it has another issuer"));
        }
        let audience = match self.claims.get("aud") {
            Some(Value::String(one)) => one == expect.audience,
            Some(Value::Array(many)) => many.iter().any(|one| one == expect.audience),
            _ => false,
        };
        if !audience {
            return Err(refuse("it is for another audience"));
        }
        let seconds = |key: &str| self.claims.get(key).and_then(Value::as_f64).map(|seconds| seconds as i64);
        let now = now.as_second();
        match seconds("exp") {
            None => return Err(refuse("it never expires")),
            Some(end) if end + LEEWAY < now => return Err(refuse("it has expired")),
            Some(_) => {}
        }
        if seconds("nbf").is_some_and(|start| start - LEEWAY > now) {
            return Err(refuse("it is not valid yet"));
        }
        Ok(self.claims)
    }

    fn signed_by(&self, key: &Value) -> bool {
        let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default();
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)).unwrap_or_default();
        // A key that is meant for one algorithm verifies no other.
        if !matches!(text("alg"), "") && text("alg") != self.algorithm || text("use") == "enc" {
            return false;
        }
        match (self.algorithm.as_str(), text("kty")) {
            ("RS256", "RSA") => self.rsa(&signature::RSA_PKCS1_2048_8192_SHA256, &bytes("n"), &bytes("e")),
            ("RS384", "RSA") => self.rsa(&signature::RSA_PKCS1_2048_8192_SHA384, &bytes("n"), &bytes("e")),
            ("RS512", "RSA") => self.rsa(&signature::RSA_PKCS1_2048_8192_SHA512, &bytes("n"), &bytes("e")),
            ("ES256", "EC") if text("crv") == "P-256" => {
                self.ecdsa(&signature::ECDSA_P256_SHA256_FIXED, &bytes("x"), &bytes("y"))
            }
            ("ES384", "EC") if text("crv") == "P-384" => {
                self.ecdsa(&signature::ECDSA_P384_SHA384_FIXED, &bytes("x"), &bytes("y"))
            }
            _ => false,
        }
    }

    fn rsa(&self, algorithm: &'static signature::RsaParameters, n: &[u8], e: &[u8]) -> bool {
        let key = signature::RsaPublicKeyComponents { n, e };
        key.verify(algorithm, self.signed.as_bytes(), &self.signature).is_ok()
    }

    fn ecdsa(&self, algorithm: &'static dyn VerificationAlgorithm, x: &[u8], y: &[u8]) -> bool {
        let point = [&[4_u8], x, y].concat();
        UnparsedPublicKey::new(algorithm, point).verify(self.signed.as_bytes(), &self.signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    struct Issuer {
        pair: EcdsaKeyPair,
        random: SystemRandom,
    }

    impl Issuer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
                .unwrap();
            Self { pair, random }
        }

        fn keys(&self) -> Value {
            let point = self.pair.public_key().as_ref();
            let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
            json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "alg": "ES256", "use": "sig", "x": x, "y": y}]})
        }

        fn token(&self, header: &Value, claims: &Value) -> String {
            let signed = format!(
                "{}.{}",
                URL_SAFE_NO_PAD.encode(header.to_string()),
                URL_SAFE_NO_PAD.encode(claims.to_string())
            );
            let signature = self.pair.sign(&self.random, signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
        }
    }

    fn now() -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_000_000).unwrap()
    }

    fn verify(issuer: &Issuer, token: &str) -> Result<Value, Refusal> {
        let expect = Expect { issuers: &["https://issuer.example"], audience: "notification-controller" };
        Token::parse(token)?.verify(&issuer.keys(), &expect, now())
    }

    #[test]
    fn only_genuine_tokens_pass() {
        let issuer = Issuer::new();
        let header = json!({"alg": "ES256", "kid": "1"});
        let claims = json!({"iss": "https://issuer.example", "aud": ["x", "notification-controller"], "exp": 1_000_100, "sub": "repo"});
        assert_eq!(verify(&issuer, &issuer.token(&header, &claims)).unwrap()["sub"], "repo");

        let changed = |key: &str, value: Value| {
            let mut claims = claims.clone();
            claims[key] = value;
            verify(&issuer, &issuer.token(&header, &claims)).unwrap_err().to_string()
        };
        assert_eq!(changed("iss", json!("https://evil.example")), "token refused: it has another issuer");
        assert_eq!(changed("aud", json!("x")), "token refused: it is for another audience");
        assert_eq!(changed("exp", json!(999_900)), "token refused: it has expired");
        assert_eq!(changed("exp", Value::Null), "token refused: it never expires");
        assert_eq!(changed("nbf", json!(1_000_500)), "token refused: it is not valid yet");

        let stranger = Issuer::new().token(&header, &claims);
        assert_eq!(
            verify(&issuer, &stranger).unwrap_err().to_string(),
            "token refused: its signature is not the issuer's"
        );
        for algorithm in ["none", "HS256", "RS256", "ES384"] {
            let token = issuer.token(&json!({"alg": algorithm, "kid": "1"}), &claims);
            assert!(verify(&issuer, &token).is_err(), "{algorithm}");
        }
        let other_key = issuer.token(&json!({"alg": "ES256", "kid": "../2"}), &claims);
        assert_eq!(
            verify(&issuer, &other_key).unwrap_err().to_string(),
            "token refused: its key is not one of the issuer's"
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for token in ["", "a", "a.b", "a.b.c", "....", "e30.e30.", &"a".repeat(100_000)] {
            assert!(Token::parse(token).is_err(), "{}", token.chars().take(20).collect::<String>());
        }
    }
}
