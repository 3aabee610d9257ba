//! Tokens of webhooks: who issued them is asked at the issuer, what they may do is said by the receiver.

use std::collections::HashMap;
use std::time::Duration;

use ferrite_api::notification::{OidcProvider, ReceiverSpec};
use ferrite_cel::{Error, Expression, Output};
use http::HeaderMap;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::jwt::{Expect, Token};
use super::validate::Refusal;

/// Bytes of a discovery document or a set of keys.
const DOCUMENT_BYTES: usize = 512 << 10;
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long keys are used without asking again.
const KEYS_FOR: Duration = Duration::from_secs(60);
/// The audience of a provider that names none.
const AUDIENCE: &str = "notification-controller";
const GOOGLE: &str = "https://accounts.google.com";

/// Fetches and remembers the keys of issuers.
#[derive(Debug)]
pub(crate) struct Issuers {
    client: reqwest::Client,
    keys: Mutex<HashMap<String, (Instant, Value)>>,
}

/// One compiled provider of a receiver.
#[derive(Debug)]
pub(crate) struct Policy {
    issuer: String,
    audience: String,
    variables: Vec<(String, Expression)>,
    validations: Vec<(Expression, String)>,
}

/// A provider that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidPolicy {
    #[error("oidcProviders[{index}].{field}: {problem}")]
    Field { index: usize, field: &'static str, problem: &'static str },
    #[error("oidcProviders[{index}].{place}")]
    Expression { index: usize, place: String, source: Error },
}

impl Policy {
    /// Compiles every provider of the spec; variables may use those before them.
    pub(crate) fn compile(spec: &ReceiverSpec) -> Result<Vec<Self>, InvalidPolicy> {
        spec.oidc_providers.iter().enumerate().map(|(index, provider)| Self::one(index, provider)).collect()
    }

    fn one(index: usize, provider: &OidcProvider) -> Result<Self, InvalidPolicy> {
        let field = |field, problem| InvalidPolicy::Field { index, field, problem };
        let issuer = &provider.issuer_url;
        if !issuer.starts_with("https://") && !issuer.starts_with("http://") {
            return Err(field("issuerURL", "must be an http:// or https:// URL"));
        }
        if provider.validations.is_empty() {
            return Err(field("validations", "must hold at least one validation"));
        }
        let expression = |text: &str, place: String, output| {
            let names = ["claims", "vars"];
            Expression::compile(text, &names, output).map_err(|source| InvalidPolicy::Expression {
                index,
                place,
                source,
            })
        };
        let mut variables = Vec::new();
        for (number, variable) in provider.variables.iter().enumerate() {
            if variable.name.is_empty() {
                return Err(field("variables", "must have names"));
            }
            let compiled =
                expression(&variable.expression, format!("variables[{number}].expression"), Output::Any)?;
            variables.push((variable.name.clone(), compiled));
        }
        let mut validations = Vec::new();
        for (number, validation) in provider.validations.iter().enumerate() {
            let place = format!("validations[{number}].expression");
            validations
                .push((expression(&validation.expression, place, Output::Bool)?, validation.message.clone()));
        }
        let audience = provider.audience.clone().filter(|audience| !audience.is_empty());
        Ok(Self {
            issuer: issuer.clone(),
            audience: audience.unwrap_or_else(|| AUDIENCE.to_owned()),
            variables,
            validations,
        })
    }

    /// Whether the claims satisfy every validation.
    fn judge(&self, claims: &Value) -> Result<(), Refusal> {
        let refuse = |problem: String| Refusal::Token(problem);
        let mut variables = Map::new();
        for (name, expression) in &self.variables {
            let have = Value::Object(variables.clone());
            let value = expression.eval_json(&[("claims", claims), ("vars", &have)]);
            variables
                .insert(name.clone(), value.map_err(|error| refuse(format!("variable {name}: {error}")))?);
        }
        let variables = Value::Object(variables);
        let mut failed = Vec::new();
        for (expression, message) in &self.validations {
            match expression.eval_bool(&[("claims", claims), ("vars", &variables)]) {
                Ok(true) => {}
                Ok(false) => failed.push(message.clone()),
                Err(error) => failed.push(error.to_string()),
            }
        }
        if failed.is_empty() {
            Ok(())
        } else {
            Err(refuse(format!("token validation failed: {}", failed.join("; "))))
        }
    }
}

impl Issuers {
    /// An empty memory; `None` when no HTTP client can be made.
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        // A redirect could lead to an address of this network that the issuer has no business with.
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client, keys: Mutex::default() })
    }

    /// Verifies the bearer token of a `generic-oidc` webhook and returns its claims.
    pub(crate) async fn verify(
        &self,
        policies: &[Policy],
        headers: &HeaderMap,
        now: jiff::Timestamp,
    ) -> Result<Value, Refusal> {
        let token = Token::parse(bearer(headers)?)?;
        let policy = policies
            .iter()
            .find(|policy| policy.issuer == token.issuer())
            .ok_or_else(|| Refusal::Token("its issuer is none of spec.oidcProviders".to_owned()))?;
        let keys = self.keys_of(&policy.issuer).await?;
        let expect = Expect { issuers: &[&policy.issuer], audience: &policy.audience };
        let claims = token.verify(&keys, &expect, now)?;
        policy.judge(&claims)?;
        Ok(claims)
    }

    /// Verifies the bearer token of a push from Google's registry.
    pub(crate) async fn verify_google(
        &self,
        audience: &str,
        email: &str,
        headers: &HeaderMap,
        now: jiff::Timestamp,
    ) -> Result<Value, Refusal> {
        let token = Token::parse(bearer(headers)?)?;
        let keys = self.keys_of(GOOGLE).await?;
        let issuers = ["accounts.google.com", GOOGLE];
        let claims = token.verify(&keys, &Expect { issuers: &issuers, audience }, now)?;
        // A text that says so is no proof.
        let verified = claims.get("email_verified") == Some(&Value::Bool(true));
        if claims.get("email").and_then(Value::as_str) != Some(email) || !verified {
            return Err(Refusal::Token("it is not of the e-mail address in the Secret".to_owned()));
        }
        Ok(claims)
    }

    async fn keys_of(&self, issuer: &str) -> Result<Value, Refusal> {
        let now = Instant::now();
        if let Some((read, keys)) = self.keys.lock().get(issuer)
            && now.saturating_duration_since(*read) < KEYS_FOR
        {
            return Ok(keys.clone());
        }
        let refuse = |problem: String| Refusal::Token(format!("its issuer's keys cannot be read: {problem}"));
        let discovery = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let discovery = self.document(&discovery).await.map_err(refuse)?;
        if discovery.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(refuse("the discovery document is of another issuer".to_owned()));
        }
        let address = discovery.get("jwks_uri").and_then(Value::as_str).unwrap_or_default();
        let scheme = issuer.split_once("://").map_or("https", |(scheme, _)| scheme);
        // Keys that travel in the clear are only trusted where the issuer itself does.
        let usable = address.starts_with("https://") || scheme == "http" && address.starts_with("http://");
        if !usable {
            return Err(refuse("the discovery document has no usable jwks_uri".to_owned()));
        }
        let keys = self.document(address).await.map_err(refuse)?;
        let mut known = self.keys.lock();
        known.retain(|_, (read, _)| now.saturating_duration_since(*read) < KEYS_FOR);
        known.insert(issuer.to_owned(), (now, keys.clone()));
        Ok(keys)
    }

    async fn document(&self, url: &str) -> Result<Value, String> {
        let mut response = self
            .client
            .get(url)
            .send()
            .await
            .map_err(|error| ferrite_runtime::chain(&error.without_url()))?;
        if !response.status().is_success() {
            return Err(format!("status {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| error.without_url().to_string())? {
            body.extend_from_slice(&chunk);
            if body.len() > DOCUMENT_BYTES {
                return Err(format!("more than {DOCUMENT_BYTES} bytes"));
            }
        }
        serde_json::from_slice(&body).map_err(|_| "no JSON".to_owned())
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let value = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Refusal::NoHeader("Authorization"))
}

/// What filters see as `claims` when the webhook has none.
pub(crate) fn no_claims() -> Value {
    json!({})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(provider: Value) -> Result<Policy, InvalidPolicy> {
        Policy::one(0, &serde_json::from_value(provider).unwrap())
    }

    #[test]
    fn validations_see_claims_and_variables() {
        let policy = policy(json!({
            "issuerURL": "https://issuer.example",
            "variables": [
                {"name": "repo", "expression": "claims.sub.split(':')[1]"},
                {"name": "owner", "expression": "vars.repo.split('/')[0]"},
            ],
            "validations": [
                {"expression": "vars.owner == 'acme'", "message": "not ours"},
                {"expression": "claims.ref.startsWith('refs/heads/')", "message": "not a branch"},
            ],
        }))
        .unwrap();
        assert_eq!(policy.audience, "notification-controller");
        assert!(policy.judge(&json!({"sub": "repo:acme/app", "ref": "refs/heads/main"})).is_ok());
        let error = policy.judge(&json!({"sub": "repo:evil/app", "ref": "refs/tags/v1"})).unwrap_err();
        assert_eq!(error.to_string(), "token refused: token validation failed: not ours; not a branch");
    }

    #[test]
    fn mistakes_name_their_place() {
        let text = |provider| ferrite_runtime::chain(&policy(provider).unwrap_err());
        assert_eq!(
            text(json!({"issuerURL": "ftp://x", "validations": [{"expression": "true", "message": "m"}]})),
            "oidcProviders[0].issuerURL: must be an http:// or https:// URL"
        );
        assert_eq!(
            text(json!({"issuerURL": "https://x", "validations": []})),
            "oidcProviders[0].validations: must hold at least one validation"
        );
        let wrong =
            json!({"issuerURL": "https://x", "validations": [{"expression": "claims.flag", "message": "m"}]});
        assert!(
            text(wrong).starts_with(
                "oidcProviders[0].validations[0].expression: CEL expression output type mismatch"
            )
        );
    }
}
