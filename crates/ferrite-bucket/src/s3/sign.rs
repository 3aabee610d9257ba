//! AWS Signature Version 4 for S3: paths are escaped once, and the hash of the body is a header.
//!
//! Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API
//! reference; the test has its example.

use jiff::{Timestamp, tz::TimeZone};
use reqwest::{Method, Url};
use ring::{digest, hmac};

use crate::AccessKeys;

/// SHA-256 of nothing.
pub(super) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What a signature is good for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) now: Timestamp,
}

/// The headers to send: date, hash of the body, session token, signature.
pub(super) fn headers(
    method: &Method,
    url: &Url,
    payload: &str,
    keys: &AccessKeys,
    scope: &Scope<'_>,
) -> Vec<(&'static str, String)> {
    let zoned = scope.now.to_zoned(TimeZone::UTC);
    let stamp = zoned.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = zoned.strftime("%Y%m%d").to_string();
    let mut signed = vec![("x-amz-content-sha256", payload.to_owned()), ("x-amz-date", stamp.clone())];
    if let Some(session) = &keys.session {
        signed.push(("x-amz-security-token", session.expose().to_owned()));
    }
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let names = signed.iter().map(|(name, _)| *name);
    let names = std::iter::once("host").chain(names).collect::<Vec<_>>().join(";");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let (path, query) = (url.path(), url.query().unwrap_or_default());
    let request = format!("{method}\n{path}\n{query}\nhost:{host}\n{lines}\n{names}\n{payload}");
    let place = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let hashed = hex::encode(digest::digest(&digest::SHA256, request.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{place}\n{hashed}");
    let first = format!("AWS4{}", keys.secret.expose());
    let key = [&day, scope.region, scope.service, "aws4_request"]
        .iter()
        .fold(first.into_bytes(), |key, part| mac(&key, part.as_bytes()));
    let signature = hex::encode(mac(&key, text.as_bytes()));
    let id = &keys.id;
    let header =
        format!("AWS4-HMAC-SHA256 Credential={id}/{place}, SignedHeaders={names}, Signature={signature}");
    signed.push(("authorization", header));
    signed
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "GET Bucket (List Objects)" of the S3 API reference.
    #[test]
    fn the_example_of_the_reference_comes_out() {
        let keys = AccessKeys::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let url: Url = "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J".parse().unwrap();
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        let scope = Scope { region: "us-east-1", service: "s3", now };
        let headers = headers(&Method::GET, &url, EMPTY, &keys, &scope);
        let (_, authorization) = headers.last().unwrap();
        assert_eq!(
            authorization,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
             Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
        assert!(!format!("{keys:?}").contains("wJalr"));
    }
}
