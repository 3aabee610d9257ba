//! What an S3 store answers.

use percent_encoding::percent_decode_str;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::{
    BucketError, Listed,
    bucket::Page,
    http::{self, XmlError},
};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListResult {
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_continuation_token: Option<String>,
    #[serde(default)]
    next_marker: Option<String>,
    #[serde(default)]
    encoding_type: Option<String>,
    #[serde(default)]
    contents: Vec<Contents>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    #[serde(default, rename = "ETag")]
    etag: String,
    #[serde(default)]
    size: u64,
}

/// `<LocationConstraint>region</LocationConstraint>`.
#[derive(Debug, Deserialize)]
pub(super) struct Location {
    #[serde(default, rename = "$text")]
    pub(super) region: String,
}

impl ListResult {
    pub(super) fn into_page(self, first_version: bool) -> Result<Page, BucketError> {
        let is_escaped = self.encoding_type.as_deref() == Some("url");
        let mut objects = Vec::with_capacity(self.contents.len());
        for Contents { key, etag, size } in self.contents {
            let key = if is_escaped { unescaped(&key)? } else { key };
            objects.push(Listed { key, etag: without_quotes(&etag).to_owned(), size, generation: None });
        }
        let next = if !self.is_truncated {
            None
        } else if first_version {
            self.next_marker.or_else(|| objects.last().map(|last| last.key.clone()))
        } else {
            self.next_continuation_token
        };
        Ok(Page { objects, next })
    }
}

/// `encoding-type=url` escapes as forms do: `+` is a space.
fn unescaped(key: &str) -> Result<String, BucketError> {
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| BucketError::Malformed {
        host: "the store".to_owned(),
        problem: format!("the key '{}' is not UTF-8", key.chars().take(256).collect::<String>()),
    })
}

/// An entity tag is listed with quotes by some stores and without by others.
pub(super) fn without_quotes(etag: &str) -> &str {
    let etag = etag.strip_prefix('"').unwrap_or(etag);
    etag.strip_suffix('"').unwrap_or(etag)
}

/// The store's own words; for answers without a body those that clients of S3 use in their stead.
pub(super) fn error_of(
    status: StatusCode,
    body: &[u8],
    region: Option<String>,
    of_object: bool,
) -> BucketError {
    let told: XmlError = http::xml("", body).unwrap_or_default();
    let region = Some(told.region).filter(|region| !region.is_empty()).or(region);
    let (code, message) = if told.code.is_empty() {
        let (code, message) = match status.as_u16() {
            404 if of_object => ("NoSuchKey", "The specified key does not exist."),
            404 => ("NoSuchBucket", "The specified bucket does not exist."),
            403 => ("AccessDenied", "Access Denied."),
            409 => ("Conflict", "Bucket not empty."),
            412 => ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold."),
            301 => (
                "PermanentRedirect",
                "The bucket is in another region; set spec.region or its regional endpoint.",
            ),
            _ => match http::by_status(status) {
                BucketError::Answer { code, message, .. } => {
                    return BucketError::Answer { status: status.as_u16(), code, message, region };
                }
                other => return other,
            },
        };
        (code.to_owned(), message.to_owned())
    } else {
        let cut = |text: String| text.chars().take(1024).collect::<String>();
        (cut(told.code), cut(told.message))
    };
    BucketError::Answer { status: status.as_u16(), code, message, region }
}
