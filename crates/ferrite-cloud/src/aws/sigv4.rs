//! Signature Version 4: what AWS checks a request by.
//!
//! Source: "AWS Signature Version 4 for API requests" in the IAM user guide; its test suite is in the tests.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use ring::{digest, hmac};
use url::Url;

use crate::{AwsCredentials, Redacted};

/// How the body goes into the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// The body itself.
    Bytes(&'a [u8]),
    /// The SHA-256 of the body, hex.
    Sha256(&'a str),
    /// `UNSIGNED-PAYLOAD`, which only S3 takes.
    Unsigned,
}

/// How the path goes into the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Encoded once more than it is in the URL: every service but S3.
    Normal,
    /// As it is in the URL, and `x-amz-content-sha256` is sent: S3.
    S3,
}

/// A request to sign.
#[derive(Debug, Clone, Copy)]
pub struct Signing<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// Where it goes, with its query.
    pub url: &'a Url,
    /// The headers that are signed besides `host`, `x-amz-date` and `x-amz-security-token`; names in lower case.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub payload: Payload<'a>,
    /// The region, `us-east-1` for instance.
    pub region: &'a str,
    /// The service's signing name: `s3`, `kms`, `ecr`.
    pub service: &'a str,
    /// How the path is encoded.
    pub path: Path,
}

/// The headers that make `request` a signed one: `authorization`, `x-amz-date` and, where they apply,
/// `x-amz-security-token` and `x-amz-content-sha256`. Those of [`Signing::headers`] are sent by the caller as well.
#[must_use]
pub fn sign(
    keys: &AwsCredentials,
    request: &Signing<'_>,
    at: Timestamp,
) -> Vec<(&'static str, Redacted<String>)> {
    let date = timestamp(at);
    let hash = payload_hash(request.payload);
    let mut headers: Vec<(&str, String)> =
        request.headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    headers.push(("host", host(request.url)));
    headers.push(("x-amz-date", date.clone()));
    let mut out = vec![("x-amz-date", Redacted::new(date.clone()))];
    if let Some(token) = &keys.session_token {
        headers.push(("x-amz-security-token", token.expose_secret().clone()));
        out.push(("x-amz-security-token", token.clone()));
    }
    if request.path == Path::S3 {
        headers.push(("x-amz-content-sha256", hash.clone()));
        out.push(("x-amz-content-sha256", Redacted::new(hash.clone())));
    }
    let (signed, signature) = signature(keys, request, &mut headers, &[], &hash, &date);
    let scope = scope(&date, request);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
        keys.access_key_id
    );
    out.push(("authorization", Redacted::new(authorization)));
    out
}

/// The URL of `request` with its signature in the query, good for `seconds`.
#[must_use]
pub fn presign(
    keys: &AwsCredentials,
    request: &Signing<'_>,
    seconds: u32,
    at: Timestamp,
) -> Redacted<String> {
    let date = timestamp(at);
    let mut headers: Vec<(&str, String)> =
        request.headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    headers.push(("host", host(request.url)));
    let mut names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let mut query = vec![
        ("X-Amz-Algorithm".to_owned(), "AWS4-HMAC-SHA256".to_owned()),
        ("X-Amz-Credential".to_owned(), format!("{}/{}", keys.access_key_id, scope(&date, request))),
        ("X-Amz-Date".to_owned(), date.clone()),
        ("X-Amz-Expires".to_owned(), seconds.to_string()),
        ("X-Amz-SignedHeaders".to_owned(), names.join(";")),
    ];
    if let Some(token) = &keys.session_token {
        query.push(("X-Amz-Security-Token".to_owned(), token.expose_secret().clone()));
    }
    let hash = payload_hash(request.payload);
    let (_, signature) = signature(keys, request, &mut headers, &query, &hash, &date);
    let mut pairs: Vec<String> = request
        .url
        .query_pairs()
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .chain(query)
        .map(|(key, value)| format!("{}={}", encode(&key, false), encode(&value, false)))
        .collect();
    pairs.push(format!("X-Amz-Signature={signature}"));
    let mut url = request.url.clone();
    url.set_query(Some(&pairs.join("&")));
    Redacted::new(url.into())
}

/// The names of the signed headers and the signature.
fn signature(
    keys: &AwsCredentials,
    request: &Signing<'_>,
    headers: &mut [(&str, String)],
    query: &[(String, String)],
    hash: &str,
    date: &str,
) -> (String, String) {
    headers.sort_by(|one, other| one.0.cmp(other.0));
    let mut lines = String::new();
    let mut names = Vec::new();
    for (name, value) in headers.iter() {
        let value: Vec<&str> = value.split_ascii_whitespace().collect();
        // Writing to a String cannot fail.
        let _infallible = writeln!(lines, "{name}:{}", value.join(" "));
        names.push(*name);
    }
    let names = names.join(";");
    let path = match request.path {
        // What is a sign of its own in the URL is one more time encoded, except the slashes.
        Path::Normal => encode(request.url.path(), true),
        Path::S3 => request.url.path().to_owned(),
    };
    let canonical = format!(
        "{}\n{path}\n{}\n{lines}\n{names}\n{hash}",
        request.method,
        canonical_query(request.url, query)
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{}\n{}",
        scope(date, request),
        hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
    );
    (names, hex::encode(hmac(key(keys, request, date).as_ref(), to_sign.as_bytes())))
}

/// The key of the day, region and service.
pub(super) fn key(keys: &AwsCredentials, request: &Signing<'_>, date: &str) -> hmac::Tag {
    let secret = format!("AWS4{}", keys.secret_access_key.expose_secret());
    let key = hmac(secret.as_bytes(), day(date).as_bytes());
    let key = hmac(key.as_ref(), request.region.as_bytes());
    let key = hmac(key.as_ref(), request.service.as_bytes());
    hmac(key.as_ref(), b"aws4_request")
}

pub(super) fn hmac(key: &[u8], data: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data)
}

pub(super) fn scope(date: &str, request: &Signing<'_>) -> String {
    format!("{}/{}/{}/aws4_request", day(date), request.region, request.service)
}

fn day(date: &str) -> &str {
    date.split_once('T').map_or(date, |(day, _)| day)
}

/// `20260102T030405Z`.
pub(super) fn timestamp(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Host, and the port when it is not the scheme's own.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn payload_hash(payload: Payload<'_>) -> String {
    match payload {
        Payload::Bytes(bytes) => hex::encode(digest::digest(&digest::SHA256, bytes)),
        Payload::Sha256(hex) => hex.to_owned(),
        Payload::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
    }
}

fn canonical_query(url: &Url, more: &[(String, String)]) -> String {
    let own = url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned()));
    let mut pairs: Vec<(String, String)> = own
        .chain(more.iter().cloned())
        .map(|(key, value)| (encode(&key, false), encode(&value, false)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join("&")
}

/// Percent-encodes all but the unreserved characters of RFC 3986 and, if `slashes` stay, slashes.
fn encode(text: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || (slashes && byte == b'/')
        {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(token: Option<&str>) -> AwsCredentials {
        AwsCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: token.map(Into::into),
            expires: None,
        }
    }

    #[track_caller]
    fn check(
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
        token: Option<&str>,
        expect: &str,
    ) {
        let request = Signing {
            method,
            url: &url.parse().unwrap(),
            headers,
            payload: Payload::Bytes(body.as_bytes()),
            region: "us-east-1",
            service: "service",
            path: Path::Normal,
        };
        let signed = sign(&keys(token), &request, "2015-08-30T12:36:00Z".parse().unwrap());
        let authorization = signed.iter().find(|(name, _)| *name == "authorization").unwrap();
        assert!(authorization.1.expose_secret().ends_with(expect), "{}", authorization.1.expose_secret());
        assert!(!format!("{signed:?}").contains("AKID"), "nothing of it is shown");
    }

    /// Cases of the published test suite (`aws-sig-v4-test-suite`).
    #[test]
    fn signatures_are_those_of_the_test_suite() {
        let site = "https://example.amazonaws.com";
        check(
            "GET",
            &format!("{site}/"),
            &[],
            "",
            None,
            "SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        );
        check(
            "GET",
            &format!("{site}/?Param2=value2&Param1=value1"),
            &[],
            "",
            None,
            "Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        );
        check(
            "POST",
            &format!("{site}/"),
            &[("content-type", "application/x-www-form-urlencoded")],
            "Param1=value1",
            None,
            "SignedHeaders=content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        );
    }
}
