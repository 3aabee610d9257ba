use ferrite_runtime::Metrics;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::figures::EVENTS;

/// Answers with the length of what it was given.
struct Length;

impl Answer for Length {
    async fn answer(&self, request: Read) -> Response<Full<Bytes>> {
        Response::new(Full::from(request.body.len().to_string()))
    }
}

async fn started() -> (SocketAddr, Metrics, CancellationToken) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (metrics, stop) = (Metrics::new(), CancellationToken::new());
    let address = serve(listener, Length, Figures::new(&metrics, &EVENTS, false), stop.clone()).unwrap();
    (address, metrics, stop)
}

/// Writes `head`, then up to `most` bytes of `chunk` again and again; returns the answer and how many were taken.
async fn flood(address: SocketAddr, head: &str, chunk: &[u8], most: usize) -> (String, usize) {
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    write.write_all(head.as_bytes()).await.unwrap();
    let writing = async {
        let mut taken = 0;
        while taken < most && write.write_all(chunk).await.is_ok() {
            taken += chunk.len();
        }
        taken
    };
    let reading = async {
        let mut answer = vec![0; 4096];
        let length = read.read(&mut answer).await.unwrap_or(0);
        String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned()
    };
    let both = async { tokio::join!(reading, writing) };
    tokio::time::timeout(Duration::from_secs(30), both).await.expect("an answer to a body without end")
}

#[tokio::test]
async fn a_gigabyte_is_refused_before_it_is_sent() {
    let (address, _, _stop) = started().await;
    let zeros = vec![0; 64 << 10];
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1073741824\r\n\r\n";
    let (answer, taken) = flood(address, head, &zeros, 1 << 30).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(taken < 64 << 20, "{taken} bytes were taken");
}

#[tokio::test]
async fn chunks_without_end_are_refused() {
    let (address, _, _stop) = started().await;
    let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
    let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let (answer, taken) = flood(address, head, &chunk, 1 << 30).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(taken < 64 << 20, "{taken} bytes were taken");
}

#[tokio::test]
async fn heads_without_end_are_refused() {
    let (address, _, _stop) = started().await;
    let line = format!("x-{}: y\r\n", "z".repeat(1000));
    let (answer, taken) = flood(address, "POST / HTTP/1.1\r\nhost: x\r\n", line.as_bytes(), 1 << 30).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(taken < 64 << 20, "{taken} bytes were taken");
}

#[tokio::test]
async fn packed_bodies_stay_packed_and_what_was_answered_is_counted() {
    let (address, metrics, _stop) = started().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\nconnection: close\r\n\r\nbomb!";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("\r\n\r\n5"), "{answer}");
    let text = metrics.render();
    let counted = r#"gotk_event_http_request_duration_seconds_count{code="200",handler="/",method="POST",service=""} 1"#;
    assert!(text.lines().any(|line| line == counted), "{text}");
    assert!(text.contains(r#"gotk_event_http_requests_inflight{handler="/",service=""} 0"#), "{text}");
}
