//! Whether a webhook comes from who it says, for each receiver type. Pure: tokens and bodies come in, a verdict goes out.

use base64::Engine as _;
use hmac::Hmac;
use http::HeaderMap;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// Why a webhook is refused; logged, never answered. No text holds a token or a signature.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A header that has to be there is not.
    #[error("header {0} is missing")]
    NoHeader(&'static str),
    /// The signature or token is not the receiver's.
    #[error("header {0} does not match the receiver's token")]
    Mismatch(&'static str),
    /// The signature is written in another form.
    #[error("header {0} must be `<sha1|sha256|sha512>=<hex>`")]
    SignatureForm(&'static str),
    /// The Secret holds no token to check with.
    #[error("the receiver's Secret has an empty token")]
    EmptyToken,
    /// The event is not one that the receiver accepts.
    #[error("event `{0}` is not accepted by spec.events")]
    Event(String),
    /// The body is not what the type sends.
    #[error("the body is no {0} payload")]
    Payload(&'static str),
    /// The content type is not what the type sends.
    #[error(
        "content type `{0}` is not accepted, expected application/json or application/x-www-form-urlencoded"
    )]
    ContentType(String),
    /// The type is not known here.
    #[error("receiver type {0} is not supported")]
    Unsupported(String),
    /// A JSON web token was refused.
    #[error("token refused: {0}")]
    Token(String),
}

/// What filters see of an accepted webhook beside its body.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Accepted {
    /// Replaces the decoded body for filters.
    pub(crate) request: Option<Value>,
    /// The verified claims of a token.
    pub(crate) claims: Option<Value>,
}

/// Checks a webhook of a type that needs no network to be checked.
///
/// # Errors
///
/// [`Refusal`] when it is not authentic, not of an accepted event or not of the type's form.
pub(crate) fn check(
    kind: &str,
    token: &str,
    events: &[String],
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Accepted, Refusal> {
    match kind {
        "generic" => Ok(Accepted::default()),
        "generic-hmac" => {
            signature(headers, "X-Signature", require(token)?, body)?;
            Ok(Accepted::default())
        }
        "github" => signed_json(headers, "X-GitHub-Event", token, events, body),
        "bitbucket" => signed_json(headers, "X-Event-Key", token, events, body),
        "gitlab" => {
            equal(headers, "X-Gitlab-Token", require(token)?)?;
            event(headers, "X-Gitlab-Event", events)?;
            Ok(Accepted::default())
        }
        "harbor" => {
            equal(headers, "Authorization", require(token)?)?;
            Ok(Accepted::default())
        }
        "dockerhub" => {
            fields(body, "Docker Hub", &[&["push_data", "tag"], &["repository", "repo_url"]], None)
        }
        "quay" => fields(body, "Quay", &[&["docker_url"]], Some("updated_tags")),
        "acr" => fields(body, "ACR", &[&["action"], &["target", "repository"], &["target", "tag"]], None),
        "nexus" => nexus(headers, require(token)?, body),
        "cdevents" => cdevents(headers, events, body),
        other => Err(Refusal::Unsupported(other.to_owned())),
    }
}

fn require(token: &str) -> Result<&str, Refusal> {
    if token.is_empty() { Err(Refusal::EmptyToken) } else { Ok(token) }
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Refusal> {
    headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Refusal::NoHeader(name))
}

/// Compares without telling by its time how much was equal.
fn equal(headers: &HeaderMap, name: &'static str, token: &str) -> Result<(), Refusal> {
    let given = header(headers, name)?;
    if same(given.as_bytes(), token.as_bytes()) { Ok(()) } else { Err(Refusal::Mismatch(name)) }
}

/// Equality by digests, so that neither content nor length shows in the time it takes.
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    use sha2::Digest as _;
    let (left, right) = (Sha256::digest(left), Sha256::digest(right));
    left.iter().zip(right).fold(0_u8, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// `algo=hex` over the raw body.
fn signature(headers: &HeaderMap, name: &'static str, token: &str, body: &[u8]) -> Result<(), Refusal> {
    let (algorithm, given) = header(headers, name)?.split_once('=').ok_or(Refusal::SignatureForm(name))?;
    let given = hex::decode(given).map_err(|_| Refusal::SignatureForm(name))?;
    let genuine = match algorithm {
        "sha1" => verify::<Hmac<Sha1>>(token, body, &given),
        "sha256" => verify::<Hmac<Sha256>>(token, body, &given),
        "sha512" => verify::<Hmac<Sha512>>(token, body, &given),
        _ => return Err(Refusal::SignatureForm(name)),
    };
    if genuine { Ok(()) } else { Err(Refusal::Mismatch(name)) }
}

/// Whether `given` is the MAC of `body`, in constant time; a shortened MAC is none.
fn verify<M: hmac::Mac + hmac::digest::KeyInit>(token: &str, body: &[u8], given: &[u8]) -> bool {
    let Ok(mut mac) = <M as hmac::digest::KeyInit>::new_from_slice(token.as_bytes()) else { return false };
    mac.update(body);
    mac.verify_slice(given).is_ok()
}

fn event(headers: &HeaderMap, name: &'static str, events: &[String]) -> Result<(), Refusal> {
    if events.is_empty() {
        return Ok(());
    }
    let given = header(headers, name).unwrap_or_default();
    if events.iter().any(|wanted| wanted.eq_ignore_ascii_case(given)) {
        Ok(())
    } else {
        Err(Refusal::Event(given.chars().take(128).collect()))
    }
}

/// GitHub's way, which Bitbucket follows: JSON, or a form with JSON in it, signed as it is. Whether it is JSON is
/// asked only when a filter reads it.
fn signed_json(
    headers: &HeaderMap,
    event_header: &'static str,
    token: &str,
    events: &[String],
    body: &[u8],
) -> Result<Accepted, Refusal> {
    let given = |name: &'static str| headers.get(name).is_some_and(|value| !value.is_empty());
    let newer = given("X-Hub-Signature-256");
    let name = if newer { "X-Hub-Signature-256" } else { "X-Hub-Signature" };
    if !token.is_empty() || given(name) {
        signature(headers, name, require(token)?, body)?;
    }
    let content_type = header(headers, "Content-Type").unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let form = match media.as_str() {
        "application/json" => None,
        "application/x-www-form-urlencoded" => {
            url::form_urlencoded::parse(body).find(|(key, _)| key == "payload").map(|(_, value)| value)
        }
        _ => return Err(Refusal::ContentType(media.chars().take(128).collect())),
    };
    event(headers, event_header, events)?;
    Ok(Accepted { request: form.and_then(|payload| serde_json::from_str(&payload).ok()), claims: None })
}

/// A JSON object in which each of `paths`, where present, holds a string, and `list` a list of strings. As for Go's
/// decoder, `null` is an object without members, and the case of names does not matter.
fn fields(
    body: &[u8],
    name: &'static str,
    paths: &[&[&str]],
    list: Option<&str>,
) -> Result<Accepted, Refusal> {
    let first = serde_json::Deserializer::from_slice(body).into_iter::<Value>().next();
    let value = match first {
        Some(Ok(Value::Null)) => return Ok(Accepted::default()),
        Some(Ok(value @ Value::Object(_))) => value,
        _ => return Err(Refusal::Payload(name)),
    };
    for path in paths {
        let mut place = Some(&value);
        for (depth, key) in path.iter().enumerate() {
            place = place.and_then(|value| member(value, key));
            let last = depth + 1 == path.len();
            if place.is_some_and(|value| if last { !value.is_string() } else { !value.is_object() }) {
                return Err(Refusal::Payload(name));
            }
        }
    }
    let strings = |value: &Value| {
        value.as_array().is_some_and(|all| all.iter().all(|one| one.is_string() || one.is_null()))
    };
    match list.and_then(|key| member(&value, key)) {
        Some(value) if !strings(value) => Err(Refusal::Payload(name)),
        _ => Ok(Accepted::default()),
    }
}

/// A member that is not `null`.
fn member<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let all = value.as_object()?;
    let found =
        all.get(key).or_else(|| all.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v));
    found.filter(|value| !value.is_null())
}

/// The signature is hex in lower case and nothing else.
fn nexus(headers: &HeaderMap, token: &str, body: &[u8]) -> Result<Accepted, Refusal> {
    const NAME: &str = "X-Nexus-Webhook-Signature";
    let given = header(headers, NAME)?;
    let bytes = hex::decode(given).map_err(|_| Refusal::Mismatch(NAME))?;
    if given.bytes().any(|byte| byte.is_ascii_uppercase()) || !verify::<Hmac<Sha1>>(token, body, &bytes) {
        return Err(Refusal::Mismatch(NAME));
    }
    serde_json::from_slice::<Value>(body).map_err(|_| Refusal::Payload("Nexus"))?;
    fields(body, "Nexus", &[&["action"], &["repositoryName"]], None)
}

fn cdevents(headers: &HeaderMap, events: &[String], body: &[u8]) -> Result<Accepted, Refusal> {
    let document: Value = serde_json::from_slice(body).map_err(|_| Refusal::Payload("CDEvents"))?;
    if !super::cdevents::is_valid(&document) {
        return Err(Refusal::Payload("CDEvents"));
    }
    event(headers, "Ce-Type", events)?;
    Ok(Accepted::default())
}

/// The payload of a Pub/Sub push from Google's registry: what filters see of it.
///
/// # Errors
///
/// [`Refusal::Payload`] when it is none.
pub(crate) fn gcr_payload(body: &[u8]) -> Result<Value, Refusal> {
    let refuse = || Refusal::Payload("Pub/Sub");
    let push = serde_json::Deserializer::from_slice(body).into_iter::<Value>().next();
    let push = push.and_then(Result::ok).ok_or_else(refuse)?;
    let data = push.pointer("/message/data").and_then(Value::as_str).ok_or_else(refuse)?;
    let data = base64::engine::general_purpose::STANDARD.decode(data).map_err(|_| refuse())?;
    let data: Value = serde_json::from_slice(&data).map_err(|_| refuse())?;
    if !data.is_object() {
        return Err(refuse());
    }
    let text = |key: &str| data.get(key).and_then(Value::as_str).unwrap_or_default();
    Ok(serde_json::json!({"action": text("action"), "digest": text("digest"), "tag": text("tag")}))
}

#[cfg(test)]
mod tests;
