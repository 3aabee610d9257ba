//! An S3 server that checks signatures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderValue, Method, Request, Response, StatusCode};

use super::signature::Claim;
use super::{Buckets, Running, escape_xml, lock, parameters, serve};
use crate::tls::{Authority, ClientIdentity};

/// Buckets over S3 on the loopback address; ends with the value. Anonymous until [`S3Server::allow`] is called.
#[derive(Debug)]
pub struct S3Server {
    running: Running,
    state: Arc<Mutex<State>>,
    authority: Option<(String, ClientIdentity)>,
}

#[derive(Debug)]
struct State {
    store: Buckets,
    /// Secrets and session tokens by access key; empty means that anybody may.
    keys: BTreeMap<String, (String, Option<String>)>,
    /// Passwords of the directory's users.
    users: BTreeMap<String, String>,
    region: String,
    page_size: usize,
    /// Requests to answer with 503 first.
    unavailable: u32,
}

impl S3Server {
    /// Listens on a free port, without TLS.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        Self::start_with(None).await
    }

    /// As [`S3Server::start`], over TLS with an authority of its own, perhaps only for holders of its certificate.
    ///
    /// # Errors
    /// When no port or no certificate can be had.
    pub async fn start_tls(require_client_certificate: bool) -> Result<Self> {
        Self::start_with(Some(Authority::new(require_client_certificate)?)).await
    }

    async fn start_with(authority: Option<Authority>) -> Result<Self> {
        let state = Arc::new(Mutex::new(State {
            store: Buckets::default(),
            keys: BTreeMap::new(),
            users: BTreeMap::new(),
            region: "us-east-1".to_owned(),
            page_size: 1000,
            unavailable: 0,
        }));
        let shared = Arc::clone(&state);
        let tls = authority.as_ref().map(|authority| authority.acceptor.clone());
        let running = serve(tls, move |request| lock(&shared).answer(request)).await?;
        Ok(Self { running, state, authority: authority.map(|authority| (authority.ca, authority.client)) })
    }

    /// `host:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.running.address.to_string()
    }

    /// The certificate of the authority, PEM, and a client's certificate; `None` without TLS.
    #[must_use]
    pub const fn authority(&self) -> Option<&(String, ClientIdentity)> {
        self.authority.as_ref()
    }

    /// Makes an empty bucket.
    pub fn bucket(&self, name: &str) {
        lock(&self.state).store.buckets.entry(name.to_owned()).or_default();
    }

    /// Puts an object, and its bucket if need be.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) {
        lock(&self.state).store.put(bucket, key, bytes.into());
    }

    /// Removes an object.
    pub fn remove(&self, bucket: &str, key: &str) {
        if let Some(bucket) = lock(&self.state).store.buckets.get_mut(bucket) {
            bucket.remove(key);
        }
    }

    /// The keys in a bucket.
    #[must_use]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        lock(&self.state)
            .store
            .buckets
            .get(bucket)
            .map(|all| all.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Answers from now on only whoever signs with one of the keys that were allowed.
    pub fn allow(&self, access_key: &str, secret_key: &str) {
        lock(&self.state).keys.insert(access_key.to_owned(), (secret_key.to_owned(), None));
    }

    /// Gives temporary keys to whoever knows this user's password (`AssumeRoleWithLDAPIdentity`).
    pub fn allow_user(&self, username: &str, password: &str) {
        let mut state = lock(&self.state);
        state.users.insert(username.to_owned(), password.to_owned());
        state.keys.insert("temporary".to_owned(), ("of-the-user".to_owned(), Some("session".to_owned())));
    }

    /// Moves the server to another region; signatures for others are refused.
    pub fn move_to(&self, region: &str) {
        region.clone_into(&mut lock(&self.state).region);
    }

    /// Lists at most so many objects at once.
    pub fn paginate(&self, objects: usize) {
        lock(&self.state).page_size = objects;
    }

    /// Answers the next requests with 503.
    pub fn fail(&self, requests: u32) {
        lock(&self.state).unavailable = requests;
    }

    /// What was asked for so far, oldest first: method and path.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state).store.asked.clone()
    }
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        self.store.asked.push(format!("{} {path}", request.method()));
        if self.unavailable > 0 {
            self.unavailable -= 1;
            return self.error(
                request,
                StatusCode::SERVICE_UNAVAILABLE,
                "SlowDown",
                "Please reduce your request rate.",
            );
        }
        if request.method() == Method::POST && path == "/" {
            return self.assume(request);
        }
        if let Err((code, message)) = self.authenticate(request) {
            let status = if code == "AuthorizationHeaderMalformed" {
                StatusCode::BAD_REQUEST
            } else {
                StatusCode::FORBIDDEN
            };
            return self.error(request, status, code, message);
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy().into_owned();
        let query = parameters(request.uri().query().unwrap_or_default(), false);
        if !self.store.buckets.contains_key(bucket) {
            let message = "The specified bucket does not exist.";
            return self.error(request, StatusCode::NOT_FOUND, "NoSuchBucket", message);
        }
        match (request.method(), key.as_str()) {
            (&Method::HEAD, "") => Response::default(),
            (&Method::GET, "") if query.contains_key("location") => {
                xml(format!("<LocationConstraint>{}</LocationConstraint>", self.region))
            }
            (&Method::GET, "") => self.list(bucket, &query),
            (&Method::PUT, _) => {
                self.store.put(bucket, &key, request.body().clone());
                Response::default()
            }
            (&Method::DELETE, _) => {
                self.store.buckets.get_mut(bucket).map(|all| all.remove(&key));
                super::status(StatusCode::NO_CONTENT)
            }
            _ => match self.store.buckets.get(bucket).and_then(|all| all.get(&key)) {
                None => self.error(
                    request,
                    StatusCode::NOT_FOUND,
                    "NoSuchKey",
                    "The specified key does not exist.",
                ),
                Some(object) => {
                    let mut response = Response::new(object.bytes.clone());
                    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", object.tag)) {
                        response.headers_mut().insert(ETAG, tag);
                    }
                    response
                }
            },
        }
    }

    fn authenticate(&self, request: &Request<Bytes>) -> Result<(), (&'static str, &'static str)> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let claim = header("authorization").and_then(Claim::of).ok_or(("AccessDenied", "Access Denied."))?;
        if claim.region != self.region {
            return Err((
                "AuthorizationHeaderMalformed",
                "The authorization header is malformed; the region is wrong.",
            ));
        }
        let unknown = ("InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records.");
        let (secret, session) = self.keys.get(claim.key).ok_or(unknown)?;
        if session.as_deref() != header("x-amz-security-token") {
            return Err(("InvalidTokenId", "The security token included in the request is invalid"));
        }
        if !claim.is_by(secret, request) {
            let message = "The request signature we calculated does not match the signature you provided.";
            return Err(("SignatureDoesNotMatch", message));
        }
        Ok(())
    }

    fn assume(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let form = parameters(&String::from_utf8_lossy(request.body()), true);
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let known = self.users.get(&field("LDAPUsername")).is_some_and(|have| *have == field("LDAPPassword"));
        if field("Action") != "AssumeRoleWithLDAPIdentity" || !known {
            let mut response = xml(
                "<ErrorResponse><Error><Code>AccessDenied</Code><Message>LDAP authentication failed</Message></Error>\
                 </ErrorResponse>",
            );
            *response.status_mut() = StatusCode::FORBIDDEN;
            return response;
        }
        xml("<AssumeRoleWithLDAPIdentityResponse><AssumeRoleWithLDAPIdentityResult><Credentials>\
             <AccessKeyId>temporary</AccessKeyId><SecretAccessKey>of-the-user</SecretAccessKey>\
             <Expiration>2099-01-01T00:00:00Z</Expiration><SessionToken>session</SessionToken></Credentials>\
             </AssumeRoleWithLDAPIdentityResult></AssumeRoleWithLDAPIdentityResponse>")
    }

    fn list(&self, bucket: &str, query: &BTreeMap<String, String>) -> Response<Bytes> {
        let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let (objects, more) =
            self.store.page(bucket, field("prefix"), field("continuation-token"), self.page_size);
        let escape = |key: &str| {
            let plain = percent_encoding::NON_ALPHANUMERIC;
            percent_encoding::utf8_percent_encode(key, plain)
                .to_string()
                .replace("%20", "+")
                .replace("%2F", "/")
        };
        let mut body =
            format!("<ListBucketResult><IsTruncated>{more}</IsTruncated><EncodingType>url</EncodingType>");
        for (key, object) in &objects {
            body.push_str(&format!(
                "<Contents><Key>{}</Key><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
                escape(key),
                object.tag,
                object.bytes.len()
            ));
        }
        if let Some((last, _)) = objects.last().filter(|_| more) {
            body.push_str(&format!("<NextContinuationToken>{}</NextContinuationToken>", escape_xml(last)));
        }
        xml(format!("{body}</ListBucketResult>"))
    }

    fn error(
        &self,
        request: &Request<Bytes>,
        status: StatusCode,
        code: &str,
        message: &str,
    ) -> Response<Bytes> {
        let region = match code {
            "AuthorizationHeaderMalformed" => format!("<Region>{}</Region>", self.region),
            _ => String::new(),
        };
        let body = format!("<Error><Code>{code}</Code><Message>{message}</Message>{region}</Error>");
        let mut response = if request.method() == Method::HEAD { Response::default() } else { xml(body) };
        *response.status_mut() = status;
        response
    }
}

fn xml(body: impl std::fmt::Display) -> Response<Bytes> {
    Response::new(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}").into())
}
