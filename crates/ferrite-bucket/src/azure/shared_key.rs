//! Azure's Shared Key authorization, for requests without a body.
//!
//! Source: "Authorize with Shared Key", Azure Storage REST API reference.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use ring::hmac;

use crate::{BucketError, Secret};

/// The key of an account, ready to sign.
#[derive(Debug)]
pub(super) struct SharedKey {
    account: String,
    key: hmac::Key,
}

impl SharedKey {
    /// The key in base64. The account is the first part of the host's name, or of the path where the host is an IP
    /// address, as emulators have it.
    pub(super) fn new(endpoint: &Url, key: &Secret) -> Result<Self, BucketError> {
        let refuse = |problem: String| Err(BucketError::Credentials { problem });
        let host = endpoint.host_str().unwrap_or_default();
        let is_address = !matches!(endpoint.host(), Some(url_host) if url_host.to_string().parse::<std::net::IpAddr>().is_err());
        let first_segment = endpoint.path_segments().and_then(|mut path| path.next()).unwrap_or_default();
        let account = match host.split_once('.') {
            _ if is_address && !first_segment.is_empty() => first_segment,
            Some((account, rest)) if rest.contains('.') => account,
            _ => {
                return refuse(format!(
                    "failed to extract account name from endpoint: expected '{host}' to be a subdomain"
                ));
            }
        };
        let Ok(bytes) = STANDARD.decode(key.expose().trim()) else {
            return refuse("decode account key: it is not base64".to_owned());
        };
        Ok(Self { account: account.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &bytes) })
    }

    /// The value of the header `Authorization`.
    pub(super) fn authorization(&self, url: &Url, date: &str, version: &str) -> String {
        let mut resource = format!("/{}{}", self.account, url.path());
        let mut pairs: Vec<(String, String)> = url
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| {
                let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
                (decoded(name).to_lowercase(), decoded(value))
            })
            .collect();
        pairs.sort();
        for (name, value) in pairs {
            resource.push_str(&format!("\n{name}:{value}"));
        }
        // Twelve standard headers, none of which is sent.
        let text = format!("GET{}x-ms-date:{date}\nx-ms-version:{version}\n{resource}", "\n".repeat(12));
        let signature = STANDARD.encode(hmac::sign(&self.key, text.as_bytes()));
        format!("SharedKey {}:{signature}", self.account)
    }
}
