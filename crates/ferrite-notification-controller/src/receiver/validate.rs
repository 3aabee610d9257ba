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
        "dockerhub" => fields(body, "Docker Hub", &[&["push_data", "tag"], &["repository", "repo_url"]]),
        "quay" => fields(body, "Quay", &[&["docker_url"]]),
        "acr" => fields(body, "ACR", &[&["action"], &["target", "repository"], &["target", "tag"]]),
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

/// GitHub's way, which Bitbucket follows: JSON, or a form with JSON in it, signed as it is.
fn signed_json(
    headers: &HeaderMap,
    event_header: &'static str,
    token: &str,
    events: &[String],
    body: &[u8],
) -> Result<Accepted, Refusal> {
    let newer = headers.contains_key("X-Hub-Signature-256");
    let name = if newer { "X-Hub-Signature-256" } else { "X-Hub-Signature" };
    if !token.is_empty() || headers.contains_key(name) {
        signature(headers, name, require(token)?, body)?;
    }
    let content_type = header(headers, "Content-Type").unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let payload = match media.as_str() {
        "application/json" => std::borrow::Cow::Borrowed(body),
        "application/x-www-form-urlencoded" => {
            let payload = url::form_urlencoded::parse(body).find(|(key, _)| key == "payload");
            payload
                .map(|(_, value)| value.into_owned().into_bytes().into())
                .ok_or(Refusal::Payload("form"))?
        }
        _ => return Err(Refusal::ContentType(media.chars().take(128).collect())),
    };
    let request: Value = serde_json::from_slice(&payload).map_err(|_| Refusal::Payload("JSON"))?;
    event(headers, event_header, events)?;
    Ok(Accepted { request: Some(request), claims: None })
}

/// A JSON object in which each of `paths`, where present, holds a string.
fn fields(body: &[u8], name: &'static str, paths: &[&[&str]]) -> Result<Accepted, Refusal> {
    let first = serde_json::Deserializer::from_slice(body).into_iter::<Value>().next();
    let Some(Ok(value @ Value::Object(_))) = first else { return Err(Refusal::Payload(name)) };
    for path in paths {
        let mut place = Some(&value);
        for (depth, key) in path.iter().enumerate() {
            place = place.and_then(|value| value.get(key)).filter(|value| !value.is_null());
            let last = depth + 1 == path.len();
            if place.is_some_and(|value| if last { !value.is_string() } else { !value.is_object() }) {
                return Err(Refusal::Payload(name));
            }
        }
    }
    Ok(Accepted::default())
}

fn nexus(headers: &HeaderMap, token: &str, body: &[u8]) -> Result<Accepted, Refusal> {
    const NAME: &str = "X-Nexus-Webhook-Signature";
    let given = hex::decode(header(headers, NAME)?).map_err(|_| Refusal::Mismatch(NAME))?;
    if !verify::<Hmac<Sha1>>(token, body, &given) {
        return Err(Refusal::Mismatch(NAME));
    }
    serde_json::from_slice::<Value>(body).map_err(|_| Refusal::Payload("Nexus"))?;
    fields(body, "Nexus", &[&["action"], &["repositoryName"]])
}

/// A CDEvents document: the context names a known shape of type and version, and the subject is there.
fn cdevents(headers: &HeaderMap, events: &[String], body: &[u8]) -> Result<Accepted, Refusal> {
    let document: Value = serde_json::from_slice(body).map_err(|_| Refusal::Payload("CDEvents"))?;
    let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let kind: Vec<&str> = text("/context/type").split('.').collect();
    // dev.cdevents.<subject>.<predicate>.<version…>
    let shaped = matches!(kind[..], ["dev", "cdevents", subject, predicate, _, ..] if !subject.is_empty() && !predicate.is_empty());
    let version = text("/context/version");
    let version = if version.is_empty() { text("/context/specversion") } else { version };
    let named = ["/context/id", "/context/source", "/context/timestamp", "/subject/id"]
        .iter()
        .all(|p| !text(p).is_empty());
    let content = document.pointer("/subject/content").is_some_and(Value::is_object);
    if !shaped || !version.starts_with("0.") || !named || !content {
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
mod tests {
    use super::*;

    fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
        entries
            .iter()
            .map(|(name, value)| {
                (http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
            })
            .collect()
    }

    fn mac<M: hmac::Mac + hmac::digest::KeyInit>(token: &str, body: &[u8]) -> String {
        let mut mac = <M as hmac::digest::KeyInit>::new_from_slice(token.as_bytes()).unwrap();
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    fn events(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn hmac_signatures_are_checked_whole() {
        let body = b"{}";
        let good = mac::<Hmac<Sha256>>("token", body);
        let check = |value: &str, token: &str| {
            check("generic-hmac", token, &[], &headers(&[("x-signature", value)]), body)
        };
        assert!(check(&format!("sha256={good}"), "token").is_ok());
        assert!(check(&format!("sha1={}", mac::<Hmac<Sha1>>("token", body)), "token").is_ok());
        assert!(check(&format!("sha512={}", mac::<Hmac<Sha512>>("token", body)), "token").is_ok());
        assert_eq!(check(&format!("sha256={good}"), "other"), Err(Refusal::Mismatch("X-Signature")));
        assert_eq!(
            check(&format!("sha256={}", good.split_at(32).0), "token"),
            Err(Refusal::Mismatch("X-Signature"))
        );
        assert_eq!(check("sha256=", "token"), Err(Refusal::Mismatch("X-Signature")));
        assert_eq!(check(&format!("md5={good}"), "token"), Err(Refusal::SignatureForm("X-Signature")));
        assert_eq!(check(&good, "token"), Err(Refusal::SignatureForm("X-Signature")));
        assert_eq!(check(&format!("sha256={good}"), ""), Err(Refusal::EmptyToken));
        assert_eq!(
            super::check("generic-hmac", "t", &[], &HeaderMap::new(), body),
            Err(Refusal::NoHeader("X-Signature"))
        );
    }

    #[test]
    fn github_signs_json_and_forms() {
        let body = br#"{"ref":"refs/heads/main"}"#;
        let signature = format!("sha256={}", mac::<Hmac<Sha256>>("token", body));
        let given = headers(&[
            ("x-hub-signature-256", &signature),
            ("x-github-event", "Push"),
            ("content-type", "application/json; charset=utf-8"),
        ]);
        let accepted = check("github", "token", &events(&["ping", "push"]), &given, body).unwrap();
        assert_eq!(accepted.request.unwrap()["ref"], "refs/heads/main");
        assert_eq!(
            check("github", "token", &events(&["ping"]), &given, body),
            Err(Refusal::Event("Push".into()))
        );

        let form = b"payload=%7B%22a%22%3A1%7D";
        let signature = format!("sha1={}", mac::<Hmac<Sha1>>("token", form));
        let given = headers(&[
            ("x-hub-signature", &signature),
            ("content-type", "application/x-www-form-urlencoded"),
        ]);
        assert_eq!(check("github", "token", &[], &given, form).unwrap().request.unwrap()["a"], 1);
        let text = headers(&[("x-hub-signature", &signature), ("content-type", "text/plain")]);
        assert_eq!(
            check("github", "token", &[], &text, form),
            Err(Refusal::ContentType("text/plain".into()))
        );
    }

    #[test]
    fn gitlab_and_harbor_compare_tokens() {
        let given = headers(&[("x-gitlab-token", "token"), ("x-gitlab-event", "Push Hook")]);
        assert!(check("gitlab", "token", &events(&["push hook"]), &given, b"").is_ok());
        assert_eq!(check("gitlab", "tokem", &[], &given, b""), Err(Refusal::Mismatch("X-Gitlab-Token")));
        assert_eq!(
            check("gitlab", "", &[], &headers(&[("x-gitlab-token", "")]), b""),
            Err(Refusal::EmptyToken)
        );
        assert!(check("harbor", "token", &[], &headers(&[("authorization", "token")]), b"").is_ok());
        assert_eq!(
            check("harbor", "token", &[], &HeaderMap::new(), b""),
            Err(Refusal::NoHeader("Authorization"))
        );
    }

    #[test]
    fn registries_send_their_own_shapes() {
        let none = HeaderMap::new();
        assert!(
            check("dockerhub", "", &[], &none, br#"{"push_data":{"tag":"1"},"repository":{"repo_url":"u"}}"#)
                .is_ok()
        );
        assert!(check("dockerhub", "", &[], &none, b"{}").is_ok());
        assert!(check("dockerhub", "", &[], &none, br#"{"push_data":{"tag":1}}"#).is_err());
        assert!(
            check("quay", "", &[], &none, br#"{"docker_url":"quay.io/a/b","updated_tags":["1"]} "#).is_ok()
        );
        assert!(check("quay", "", &[], &none, b"nonsense").is_err());
        assert!(
            check("acr", "", &[], &none, br#"{"action":"push","target":{"repository":"r","tag":"t"}}"#)
                .is_ok()
        );
        let body = br#"{"action":"UPDATED","repositoryName":"docker"}"#;
        let signed = mac::<Hmac<Sha1>>("token", body);
        assert!(
            check("nexus", "token", &[], &headers(&[("x-nexus-webhook-signature", &signed)]), body).is_ok()
        );
        assert!(
            check("nexus", "other", &[], &headers(&[("x-nexus-webhook-signature", &signed)]), body).is_err()
        );
    }

    #[test]
    fn cdevents_need_a_context_and_a_subject() {
        let body = br#"{"context":{"version":"0.4.1","id":"1","source":"/ci","type":"dev.cdevents.artifact.published.0.2.0",
            "timestamp":"2026-01-02T03:04:05Z"},"subject":{"id":"pkg:oci/app","type":"artifact","content":{}}}"#;
        let given = headers(&[("ce-type", "dev.cdevents.artifact.published.0.2.0")]);
        assert!(check("cdevents", "", &[], &given, body).is_ok());
        assert!(
            check("cdevents", "", &events(&["dev.cdevents.artifact.published.0.2.0"]), &given, body).is_ok()
        );
        assert!(
            check("cdevents", "", &events(&["dev.cdevents.build.finished.0.2.0"]), &given, body).is_err()
        );
        assert!(check("cdevents", "", &[], &given, b"{\"context\":{}}").is_err());
    }

    #[test]
    fn pushes_of_googles_registry_show_three_fields() {
        use base64::engine::general_purpose::STANDARD;
        let data = STANDARD.encode(br#"{"action":"INSERT","digest":"d","tag":"t","secret":"x"}"#);
        let body = format!(r#"{{"message":{{"data":"{data}"}}}}"#);
        assert_eq!(
            gcr_payload(body.as_bytes()).unwrap(),
            serde_json::json!({"action": "INSERT", "digest": "d", "tag": "t"})
        );
        assert!(gcr_payload(b"{}").is_err());
    }

    #[test]
    fn deep_json_is_refused_without_a_crash() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(check("dockerhub", "", &[], &HeaderMap::new(), deep.as_bytes()).is_err());
    }
}
