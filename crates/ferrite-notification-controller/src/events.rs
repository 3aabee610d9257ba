//! The endpoint that controllers post events to.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use tokio::time::Instant;

use crate::dispatch::Dispatcher;
use crate::event::Event;
use crate::limiter::{Limiter, Verdict};
use crate::server::{Answer, Read, empty};

/// Decodes, drops repetitions, hands over.
#[derive(Debug, Clone)]
pub(crate) struct EventServer {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) clock: ferrite_runtime::Clock,
}

impl Answer for EventServer {
    async fn answer(&self, request: Read) -> Response<Full<Bytes>> {
        let Some(mut event) = decode(&request.body) else { return empty(StatusCode::BAD_REQUEST) };
        event.clean_metadata();
        let verdict = self.limiter.take(&event.dedup_key(), Instant::now());
        let mut response = if verdict.allowed {
            self.dispatcher.dispatch(event).await;
            empty(StatusCode::ACCEPTED)
        } else {
            tracing::debug!(object = event.object_path(), "Discarding event, rate limiting duplicate events");
            let mut response = Response::new(Full::from("Too Many Requests\n"));
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        };
        self.limit_headers(&mut response, verdict);
        response
    }
}

impl EventServer {
    fn limit_headers(&self, response: &mut Response<Full<Bytes>>, verdict: Verdict) {
        let reset = self.clock.now().checked_add(verdict.reset).unwrap_or(jiff::Timestamp::MAX);
        let Ok(reset) = HeaderValue::from_str(&http_date(reset)) else { return };
        let headers = response.headers_mut();
        headers.insert("x-ratelimit-limit", HeaderValue::from_static("1"));
        headers.insert("x-ratelimit-remaining", HeaderValue::from_static("0"));
        if !verdict.allowed {
            headers.insert(RETRY_AFTER, reset.clone());
        }
        headers.insert("x-ratelimit-reset", reset);
    }
}

/// An event, or `None` when the body is none. JSON's `null` is an event without fields, as for Go's decoder.
fn decode(body: &[u8]) -> Option<Event> {
    match body.trim_ascii() {
        b"null" => Some(Event::default()),
        // Serde would also take the fields from a list.
        body if body.first() == Some(&b'{') => serde_json::from_slice(body).ok(),
        _ => None,
    }
}

/// `Fri, 02 Jan 2026 03:04:05 GMT`: a time as HTTP writes it.
fn http_date(at: jiff::Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_no_event_are_refused() {
        assert!(decode(b"").is_none());
        assert!(decode(b"[]").is_none());
        assert!(decode(b"{\"message\":1}").is_none());
        let deep = format!("{{\"x\":{}1{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        // A member that nobody knows is skipped; however deep it is, that ends.
        drop(decode(deep.as_bytes()));
        let deep = deep.replace("\"x\"", "\"involvedObject\"");
        assert!(decode(deep.as_bytes()).is_none());
        assert!(decode(b"{\"message\":\"m\"} trailing").is_none());
        assert_eq!(decode(b" {\"message\":\"m\"}\n").map(|event| event.message).as_deref(), Some("m"));
        assert_eq!(decode(b"null"), Some(Event::default()));
    }

    #[test]
    fn times_are_written_as_http_writes_them() {
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(http_date(at), "Fri, 02 Jan 2026 03:04:05 GMT");
    }
}
