//! What the three protocols share: escaping, bounded answers, further tries.

use std::{future::Future, sync::Arc, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::BucketError;

/// RFC 3986 §2.3: everything but unreserved characters is escaped.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// As [`RESERVED`], for paths.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// Bytes of one page of a listing or of one error.
const ANSWER_LIMIT: usize = 16 << 20;
/// Tries of one request.
const TRIES: u32 = 4;
/// The wait before the second try; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(200);

pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

pub(crate) fn escaped_path(text: &str) -> String {
    utf8_percent_encode(text, RESERVED_IN_PATH).to_string()
}

/// `name=value&…`, sorted by name.
pub(crate) fn query(pairs: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.sort();
    pairs.join("&")
}

pub(crate) fn broken(host: &str, error: reqwest::Error) -> BucketError {
    BucketError::Connection { host: host.to_owned(), source: Arc::new(error.without_url()) }
}

/// The whole body, which must be short.
pub(crate) async fn body(host: &str, mut response: Response) -> Result<Vec<u8>, BucketError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(host, error))? {
        if body.len() + chunk.len() > ANSWER_LIMIT {
            return Err(malformed(host, format!("it is larger than {ANSWER_LIMIT} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(crate) fn malformed(host: &str, problem: impl std::fmt::Display) -> BucketError {
    BucketError::Malformed { host: host.to_owned(), problem: problem.to_string() }
}

/// Reads an XML answer.
pub(crate) fn xml<T: DeserializeOwned>(host: &str, body: &[u8]) -> Result<T, BucketError> {
    let text = std::str::from_utf8(body).map_err(|_| malformed(host, "it is not UTF-8"))?;
    quick_xml::de::from_str(text).map_err(|error| malformed(host, error))
}

/// The code and the message of an XML error, as S3 and Azure write them.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct XmlError {
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) region: String,
}

/// The error of an answer without a body, or with one that is not understood.
pub(crate) fn by_status(status: StatusCode) -> BucketError {
    let code = status.canonical_reason().unwrap_or_default().replace(' ', "");
    BucketError::Answer { status: status.as_u16(), code, message: format!("{status}"), region: None }
}

/// Asks until there is an answer that may be final.
pub(crate) async fn persistently<T, F: Future<Output = Result<T, BucketError>>>(
    mut ask: impl FnMut() -> F,
) -> Result<T, BucketError> {
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        match ask().await {
            Err(error) if error.is_transient() => tokio::time::sleep(wait).await,
            answer => return answer,
        }
        wait *= 2;
    }
    ask().await
}
