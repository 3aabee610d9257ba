use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::{Algorithm, Bounds, Item, ItemKind, Rules, archive};

/// A server that answers the statuses of a script, then 200 for ever.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
}

async fn server(script: &'static [u16], body: Vec<u8>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/gitrepository/default/app/a.tar.gz", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, body) = (Arc::clone(&asked), Bytes::from(body));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (count, body) = (Arc::clone(&count), body.clone());
            let service = service_fn(move |_| {
                let status = script.get(count.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or(200);
                let mut response = Response::new(Full::new(body.clone()));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                async move { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    Server { url, asked }
}

fn fetcher() -> Fetcher {
    fetcher_with(|_| {})
}

fn fetcher_with(change: impl FnOnce(&mut FetchOptions)) -> Fetcher {
    let mut options = FetchOptions {
        retries: 3,
        retry_wait_min: Duration::from_millis(1),
        retry_wait_max: Duration::from_millis(4),
        ..FetchOptions::default()
    };
    change(&mut options);
    Fetcher::new(options).unwrap()
}

fn artifact(content: &'static str) -> (Vec<u8>, String) {
    let item = Item { path: "a.yaml".to_owned(), kind: ItemKind::File { executable: false }, content };
    let read = |text: &&'static str| Ok::<_, std::io::Error>(text.as_bytes().to_vec());
    let mut bytes = Vec::new();
    archive(vec![item], &Rules::none(), Bounds::default(), read, &mut bytes).unwrap();
    let digest = Digest::of(Algorithm::Sha256, &bytes).to_string();
    (bytes, digest)
}

#[tokio::test]
async fn an_artifact_is_fetched_once_for_all_who_want_it() {
    let (bytes, digest) = artifact("v: 1");
    let server = server(&[], bytes).await;
    let fetcher = fetcher();
    let fetches = (0..20).map(|_| fetcher.fetch(&server.url, &digest, None));
    for tree in futures::future::join_all(fetches).await {
        assert_eq!(tree.unwrap().files().next().unwrap(), ("a.yaml", &b"v: 1"[..], false));
    }
    fetcher.fetch(&server.url, &digest, None).await.unwrap();
    assert_eq!(server.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn failures_of_the_server_are_retried() {
    let (bytes, digest) = artifact("v: 1");
    let server = server(&[500, 503, 429], bytes).await;
    assert!(fetcher().fetch(&server.url, &digest, None).await.is_ok());
    assert_eq!(server.asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn what_retrying_cannot_help_is_told_at_once() {
    let (bytes, digest) = artifact("v: 1");
    for (script, not_found) in [(&[404_u16][..], true), (&[403][..], false)] {
        let server = server(script, bytes.clone()).await;
        let error = fetcher().fetch(&server.url, &digest, None).await.unwrap_err();
        assert_eq!(error.is_not_found(), not_found, "{error}");
        assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn tries_end() {
    let server = server(&[500; 9], Vec::new()).await;
    let (_, digest) = artifact("v: 1");
    let error = fetcher().fetch(&server.url, &digest, None).await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 500, .. }), "{error}");
    assert_eq!(server.asked.load(Ordering::SeqCst), 4);
    let error = fetcher().fetch("http://127.0.0.1:1/a", &digest, None).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { tries: 4, .. }), "{error}");
}

#[tokio::test]
async fn other_bytes_are_never_used() {
    let (bytes, _) = artifact("evil");
    let (_, digest) = artifact("good");
    let server = server(&[], bytes).await;
    let error = fetcher().fetch(&server.url, &digest, None).await.unwrap_err();
    assert!(matches!(&error, FetchError::Digest { expected, .. } if *expected == digest), "{error}");
    for digest in ["", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
        let error = fetcher().fetch(&server.url, digest, None).await.unwrap_err();
        assert!(matches!(error, FetchError::InvalidDigest { .. }), "{error}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_archive_are_told_apart_from_wrong_ones() {
    let bytes = vec![7; 100_000];
    let digest = Digest::of(Algorithm::Blake3, &bytes).to_string();
    let server = server(&[], bytes).await;
    let error = fetcher().fetch(&server.url, &digest, None).await.unwrap_err();
    assert!(matches!(error, FetchError::Archive { source: UnpackError::Damaged { .. }, .. }), "{error}");
}

#[tokio::test]
async fn more_bytes_than_allowed_or_announced_are_refused() {
    let (bytes, digest) = artifact("v: 1");
    let size = bytes.len() as u64;
    let server = server(&[], bytes).await;
    let too_large =
        |error: FetchError| matches!(error, FetchError::Archive { source: UnpackError::TooLarge { .. }, .. });
    let small = fetcher_with(|options| options.limits.archive_bytes = size - 1);
    assert!(too_large(small.fetch(&server.url, &digest, None).await.unwrap_err()));
    assert!(too_large(fetcher().fetch(&server.url, &digest, Some(size - 1)).await.unwrap_err()));
    assert!(fetcher().fetch(&server.url, &digest, Some(size)).await.is_ok());
}

#[track_caller]
fn target(hosts: &Hosts, url: &str) -> String {
    hosts.apply(url).map_or_else(|error| error.to_string(), |url| url.to_string())
}

#[test]
fn only_plain_http_addresses_are_asked_and_hosts_can_be_replaced() {
    let local = Hosts {
        source_controller: Some("localhost:9090".to_owned()),
        source_watcher: Some("localhost".to_owned()),
    };
    let url = "http://source-controller.flux-system.svc.cluster.local./a/b/c/sha256:1.tar.gz";
    assert_eq!(target(&Hosts::default(), url), url);
    assert_eq!(target(&local, url), "http://localhost:9090/a/b/c/sha256:1.tar.gz");
    assert_eq!(target(&local, "http://source-watcher.flux-system:81/a"), "http://localhost/a");
    for url in ["file:///etc/passwd", "gopher://x/", "/a/b", "http://me:canary@host/a"] {
        let shown = target(&Hosts::default(), url);
        assert!(shown.starts_with("cannot fetch") && !shown.contains("canary"), "{shown}");
    }
}
