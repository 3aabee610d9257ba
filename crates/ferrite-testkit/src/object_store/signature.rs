//! Checks what an S3 client signed, from what arrived: AWS Signature Version 4.

use bytes::Bytes;
use hmac::{Hmac, Mac as _};
use http::Request;
use sha2::{Digest as _, Sha256};

/// What an `Authorization` header says.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// Who signed.
    pub(super) key: &'a str,
    day: &'a str,
    /// The region it is good for.
    pub(super) region: &'a str,
    service: &'a str,
    names: &'a str,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    pub(super) fn of(header: &'a str) -> Option<Self> {
        let rest = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let field = |name: &str| {
            let mut fields = rest.split(',').map(str::trim);
            fields.find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let mut scope = field("Credential")?.split('/');
        let (key, day, region, service) = (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        Some(Self {
            key,
            day,
            region,
            service,
            names: field("SignedHeaders")?,
            signature: field("Signature")?,
        })
    }

    /// Whether `secret` signed this very request.
    pub(super) fn is_by(&self, secret: &str, request: &Request<Bytes>) -> bool {
        self.signature_by(secret, request).is_some_and(|expected| expected == self.signature)
    }

    fn signature_by(&self, secret: &str, request: &Request<Bytes>) -> Option<String> {
        let header = |name: &str| request.headers().get(name)?.to_str().ok();
        let names: Vec<&str> = self.names.split(';').collect();
        if !names.contains(&"host") || !names.is_sorted() {
            return None;
        }
        let mut headers = String::new();
        for name in &names {
            headers.push_str(&format!("{name}:{}\n", header(name)?.trim()));
        }
        let payload = header("x-amz-content-sha256")?;
        if payload != "UNSIGNED-PAYLOAD" && payload != hex::encode(Sha256::digest(request.body())) {
            return None;
        }
        let mut query: Vec<&str> =
            request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).collect();
        query.sort_unstable();
        let (method, path, query) = (request.method(), request.uri().path(), query.join("&"));
        let canonical = format!("{method}\n{path}\n{query}\n{headers}\n{}\n{payload}", self.names);
        let date = header("x-amz-date").filter(|date| date.starts_with(self.day))?;
        let scope = format!("{}/{}/{}/aws4_request", self.day, self.region, self.service);
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [self.day, self.region, self.service, "aws4_request", &text] {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
            mac.update(part.as_bytes());
            key = mac.finalize().into_bytes().to_vec();
        }
        Some(hex::encode(key))
    }
}
