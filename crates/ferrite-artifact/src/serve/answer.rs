//! One request to the artifact server.

use std::{
    convert::Infallible,
    io::{self, SeekFrom},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE,
        IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
    },
};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::DiskStore;

type Body = UnsyncBoxBody<Bytes, io::Error>;

const TEXT: &str = "text/plain; charset=utf-8";

pub(super) async fn answer<B>(store: DiskStore, request: Request<B>) -> Result<Response<Body>, Infallible> {
    let head = request.method() == Method::HEAD;
    let mut response = if head || request.method() == Method::GET {
        get(&store, request.uri().path(), request.headers()).await
    } else {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "method not allowed\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        response
    };
    if head {
        *response.body_mut() = full("");
    }
    Ok(response)
}

async fn get(store: &DiskStore, path: &str, headers: &HeaderMap) -> Response<Body> {
    if path == "/" {
        return text(StatusCode::OK, "text/html; charset=utf-8", "<pre>\n</pre>\n");
    }
    let Some(place) = locate(store, path) else { return not_found() };
    match file(store, place, headers).await {
        Ok(response) => response,
        Err(error) if error.kind() == io::ErrorKind::NotFound => not_found(),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "500 Internal Server Error\n"),
    }
}

/// The file a request means; `None` for anything but four plain names. `+` stays what it is.
fn locate(store: &DiskStore, path: &str) -> Option<PathBuf> {
    let names: Vec<String> = path
        .strip_prefix('/')?
        .split('/')
        .map(|name| {
            percent_encoding::percent_decode_str(name).decode_utf8().ok().map(|name| name.into_owned())
        })
        .collect::<Option<_>>()?;
    let plain = |name: &String| {
        !name.is_empty()
            && !name.starts_with('.')
            && !name.ends_with(".lock")
            && !name.ends_with(".tmp")
            && !name.chars().any(|letter| matches!(letter, '/' | '\\') || letter.is_control())
    };
    (names.len() == 4 && names.iter().all(plain)).then(|| store.root().join(names.join("/")))
}

async fn file(store: &DiskStore, place: PathBuf, headers: &HeaderMap) -> io::Result<Response<Body>> {
    // A link such as latest.tar.gz may lead to another file of the store, never out of it.
    let real = fs_err::tokio::canonicalize(place).await?;
    if !real.starts_with(store.root()) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let mut file = fs_err::tokio::File::open(&real).await?;
    let meta = file.metadata().await?;
    if !meta.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let (size, modified) = (meta.len(), meta.modified()?);
    let etag = etag(size, modified);
    let mut response = Response::new(full(""));
    let date = HeaderValue::from_str(&httpdate::fmt_http_date(modified)).map_err(io::Error::other)?;
    let common = response.headers_mut();
    common.insert(LAST_MODIFIED, date);
    common.insert(ETAG, HeaderValue::from_str(&etag).map_err(io::Error::other)?);
    if not_modified(headers, &etag, modified) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let mut start = vec![0; 512.min(usize::try_from(size).unwrap_or(512))];
    let read = file.read(&mut start).await?;
    start.truncate(read);
    let common = response.headers_mut();
    common.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    common.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(&start)));
    let (from, length) = match range(headers, size, &etag, modified) {
        Wanted::All => (0, size),
        Wanted::Part { from, length } => {
            let value = format!("bytes {from}-{}/{size}", from + length - 1);
            common.insert(CONTENT_RANGE, HeaderValue::from_str(&value).map_err(io::Error::other)?);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            (from, length)
        }
        Wanted::Nothing => {
            let value = format!("bytes */{size}");
            common.insert(CONTENT_RANGE, HeaderValue::from_str(&value).map_err(io::Error::other)?);
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok(response);
        }
    };
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    file.seek(SeekFrom::Start(from)).await?;
    let stream = ReaderStream::with_capacity(file.take(length), 64 << 10).map_ok(Frame::data);
    *response.body_mut() = StreamBody::new(stream).boxed_unsync();
    Ok(response)
}

fn etag(size: u64, modified: SystemTime) -> String {
    let age = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("\"{:x}-{size:x}\"", age.as_nanos())
}

/// RFC 9110 §13.2.2: a list of entity tags wins over a date.
fn not_modified(headers: &HeaderMap, etag: &str, modified: SystemTime) -> bool {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(tags) = header(IF_NONE_MATCH) {
        return tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag);
    }
    header(IF_MODIFIED_SINCE).is_some_and(|date| !is_newer(modified, date))
}

/// Whether the file changed after an HTTP date, which counts whole seconds; a date that is none proves nothing.
fn is_newer(modified: SystemTime, date: &str) -> bool {
    httpdate::parse_http_date(date).is_ok_and(|date| modified >= date + Duration::from_secs(1))
        || httpdate::parse_http_date(date).is_err()
}

enum Wanted {
    All,
    Part { from: u64, length: u64 },
    Nothing,
}

/// One range is served; several are answered with the whole file, as RFC 9110 §14.2 allows.
fn range(headers: &HeaderMap, size: u64, etag: &str, modified: SystemTime) -> Wanted {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(spec) = header(RANGE).and_then(|value| value.strip_prefix("bytes=")) else { return Wanted::All };
    let valid = header(IF_RANGE)
        .is_none_or(|value| value == etag || !value.starts_with('"') && !is_newer(modified, value));
    let Some((first, last)) = spec.trim().split_once('-').filter(|_| valid && !spec.contains(',')) else {
        return Wanted::All;
    };
    let (from, to) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => (from, to.saturating_add(1).min(size)),
        (Ok(from), Err(_)) if last.is_empty() => (from, size),
        (Err(_), Ok(tail)) if first.is_empty() => (size.saturating_sub(tail), size),
        _ => return Wanted::All,
    };
    if from >= to { Wanted::Nothing } else { Wanted::Part { from, length: to - from } }
}

/// What Go's `http.DetectContentType` says of the files that are stored here.
fn content_type(start: &[u8]) -> &'static str {
    let binary = |byte: &u8| matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31);
    if start.starts_with(&[0x1f, 0x8b, 8]) {
        "application/x-gzip"
    } else if start.iter().any(binary) {
        "application/octet-stream"
    } else {
        TEXT
    }
}

fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, TEXT, "404 page not found\n")
}

fn text(status: StatusCode, kind: &'static str, body: &'static str) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
    response
}

fn full(body: &'static str) -> Body {
    Full::new(Bytes::from_static(body.as_bytes())).map_err(|never| match never {}).boxed_unsync()
}
