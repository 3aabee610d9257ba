//! Building answers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use hyper::body::Frame;
use serde_json::Value;

use crate::http::negotiate::Format;
use crate::status::ApiError;

/// A whole body, or a stream of chunks.
pub(crate) enum Body {
    /// All of it, given once.
    Full(Option<Bytes>),
    /// Chunks as they come; a watch.
    Stream(Pin<Box<dyn futures::Stream<Item = Bytes> + Send>>),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::Full(None)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(bytes) => f.debug_tuple("Full").field(&bytes.as_ref().map(Bytes::len)).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Stream(stream) => {
                stream.as_mut().poll_next(cx).map(|chunk| chunk.map(|b| Ok(Frame::data(b))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Full(bytes) => {
                hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Self::Stream(_) => hyper::body::SizeHint::default(),
        }
    }
}

/// A header value; characters that a header cannot hold are left out.
pub(crate) fn header(text: &str) -> HeaderValue {
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    HeaderValue::from_str(&clean).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Bytes of a given type.
pub(crate) fn bytes(code: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::Full(Some(body.into())));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, header(content_type));
    response
}

pub(crate) fn text(code: StatusCode, body: &str) -> Response<Body> {
    bytes(code, "text/plain; charset=utf-8", body.to_owned())
}

/// A document in the format that was asked for.
pub(crate) fn document(code: u16, format: Format, value: &Value) -> Response<Body> {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match format {
        Format::Json => bytes(code, "application/json", value.to_string() + "\n"),
        Format::Yaml => bytes(code, "application/yaml", crate::yaml::emit(value)),
        Format::Protobuf => match crate::protobuf::encode(value) {
            Some(body) => bytes(code, "application/vnd.kubernetes.protobuf", body),
            // Kinds without a protobuf form are refused before it comes to this.
            None => bytes(code, "application/json", value.to_string()),
        },
    }
}

/// An already encoded JSON document.
pub(crate) fn encoded(code: u16, format: Format, json: Bytes) -> Response<Body> {
    match format {
        Format::Json => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            bytes(code, "application/json", json)
        }
        Format::Yaml | Format::Protobuf => {
            document(code, format, &serde_json::from_slice(&json).unwrap_or(Value::Null))
        }
    }
}

/// A refusal; in protobuf for the few clients that read nothing else.
pub(crate) fn error(error: &ApiError, protobuf: bool) -> Response<Body> {
    let mut response = if protobuf {
        document(error.code(), Format::Protobuf, &error.body())
    } else {
        document(error.code(), Format::Json, &error.body())
    };
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds `Warning: 299 - "text"` headers.
pub(crate) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        response.headers_mut().append("warning", header(&format!("299 - \"{quoted}\"")));
    }
}
