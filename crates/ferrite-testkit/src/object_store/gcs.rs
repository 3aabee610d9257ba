//! Google Cloud Storage's JSON API, as far as readers use it.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

use super::{Buckets, Running, Stored, lock, parameters, serve};

/// Buckets over Google's JSON API on the loopback address; ends with the value.
#[derive(Debug)]
pub struct GcsServer {
    running: Running,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    store: Buckets,
    token: Option<String>,
    page_size: usize,
}

impl GcsServer {
    /// Listens on a free port, without TLS.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        let state = State { store: Buckets::default(), token: None, page_size: 1000 };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let running = serve(None, move |request| lock(&shared).answer(request)).await?;
        Ok(Self { running, state })
    }

    /// `host:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.running.address.to_string()
    }

    /// Puts an object, and its bucket if need be.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) {
        lock(&self.state).store.put(bucket, key, bytes.into());
    }

    /// Answers from now on only whoever shows this token.
    pub fn protect(&self, token: &str) {
        lock(&self.state).token = Some(format!("Bearer {token}"));
    }

    /// Lists at most so many objects at once.
    pub fn paginate(&self, objects: usize) {
        lock(&self.state).page_size = objects;
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
        let shown = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        if self.token.is_some() && self.token.as_deref() != shown {
            return error(StatusCode::UNAUTHORIZED, "Invalid Credentials", "authError");
        }
        let missing = || error(StatusCode::NOT_FOUND, "No such object or bucket.", "notFound");
        let Some(rest) = path.strip_prefix("/storage/v1/b/") else { return missing() };
        let (bucket, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(objects) = self.store.buckets.get(bucket) else {
            return error(StatusCode::NOT_FOUND, "The specified bucket does not exist.", "notFound");
        };
        let query = parameters(request.uri().query().unwrap_or_default(), false);
        let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        if rest.is_empty() {
            return answer(&json!({"kind": "storage#bucket", "name": bucket}));
        }
        if rest == "o" {
            let (found, more) = self.store.page(bucket, field("prefix"), field("pageToken"), self.page_size);
            let next = found.last().filter(|_| more).map(|(key, _)| key.clone());
            let items: Vec<Value> = found.iter().map(|(key, object)| attributes(key, object)).collect();
            return answer(&json!({"kind": "storage#objects", "items": items, "nextPageToken": next}));
        }
        let key = rest.strip_prefix("o/").unwrap_or_default();
        let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
        let Some(object) = objects.get(key.as_ref()) else { return missing() };
        if field("alt") != "media" {
            return answer(&attributes(&key, object));
        }
        match field("ifGenerationMatch") {
            "" => Response::new(object.bytes.clone()),
            wanted if wanted == generation(object) => Response::new(object.bytes.clone()),
            _ => error(
                StatusCode::PRECONDITION_FAILED,
                "At least one of the conditions did not hold.",
                "conditionNotMet",
            ),
        }
    }
}

/// A number that changes with the bytes.
fn generation(object: &Stored) -> String {
    let digits = object.tag.chars().take(12).collect::<String>();
    u64::from_str_radix(&digits, 16).unwrap_or_default().to_string()
}

fn attributes(key: &str, object: &Stored) -> Value {
    let etag = format!("CL{}=", object.tag.chars().take(10).collect::<String>());
    json!({"name": key, "etag": etag, "generation": generation(object), "size": object.bytes.len().to_string()})
}

fn answer(value: &Value) -> Response<Bytes> {
    Response::new(value.to_string().into())
}

fn error(status: StatusCode, message: &str, reason: &str) -> Response<Bytes> {
    let errors = json!([{"message": message, "domain": "global", "reason": reason}]);
    let mut response =
        answer(&json!({"error": {"code": status.as_u16(), "message": message, "errors": errors}}));
    *response.status_mut() = status;
    response
}
