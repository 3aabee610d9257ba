use std::{io::Write as _, path::Path};

use reqwest::{Method, Response, StatusCode};
use tokio::sync::oneshot;

use super::*;
use crate::{Algorithm, ObjectDirectory, Store as _};

struct Server {
    address: SocketAddr,
    place: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

const PATH: &str = "/ocirepository/default/app/sha256:abc+1.tar.gz";

async fn server() -> Server {
    drop(rustls::crypto::ring::default_provider().install_default());
    let place = tempfile::tempdir().unwrap();
    let store = DiskStore::open(place.path(), Algorithm::Sha256).unwrap();
    let directory = ObjectDirectory::new("OCIRepository", "default", "app").unwrap();
    let mut pending = store.create(&directory, "sha256:abc+1.tar.gz").unwrap();
    pending.write_all(b"\x1f\x8b\x080123456").unwrap();
    pending.commit().unwrap();
    store.link(&directory, "latest.tar.gz", "sha256:abc+1.tar.gz").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, (stop, stopped)) = (listener.local_addr().unwrap(), oneshot::channel::<()>());
    let task = tokio::spawn(serve(listener, store, async move {
        let _stopped_or_dropped = stopped.await.is_ok();
    }));
    Server { address, place, stop, task }
}

impl Server {
    async fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method, format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let response = self.request(Method::GET, path, headers).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The status of a path sent as it is; HTTP clients clean theirs.
    async fn raw(&self, path: &str) -> String {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn a_file_is_served_with_gos_headers() {
    let server = server().await;
    let response = server.request(Method::GET, PATH, &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/x-gzip");
    assert_eq!((header("content-length"), header("accept-ranges")), ("10".to_owned(), "bytes".to_owned()));
    let (tag, date) = (header("etag"), header("last-modified"));
    assert_eq!(response.bytes().await.unwrap(), &b"\x1f\x8b\x080123456"[..]);

    let head = server.request(Method::HEAD, PATH, &[]).await;
    assert_eq!(head.headers().get("content-length").unwrap(), "10");
    assert_eq!(server.request(Method::GET, PATH, &[("if-none-match", &tag)]).await.status(), 304);
    assert_eq!(server.request(Method::GET, PATH, &[("if-modified-since", &date)]).await.status(), 304);
    assert_eq!(server.request(Method::GET, PATH, &[("if-none-match", "\"other\"")]).await.status(), 200);
    assert_eq!(server.request(Method::POST, PATH, &[]).await.status(), 405);
}

#[tokio::test]
async fn ranges_are_honoured() {
    let server = server().await;
    let get = async |range: &str| server.get(PATH, &[("range", range)]).await;
    assert_eq!(get("bytes=3-5").await, (206, "012".to_owned()));
    assert_eq!(get("bytes=8-").await, (206, "56".to_owned()));
    assert_eq!(get("bytes=-2").await, (206, "56".to_owned()));
    assert_eq!(get("bytes=8-99999999999999999999").await.0, 200, "not a number");
    assert_eq!(get("bytes=8-9999").await, (206, "56".to_owned()));
    assert_eq!(get("bytes=10-").await.0, 416);
    assert_eq!(get("bytes=-0").await.0, 416);
    assert_eq!(get("bytes=0-0,2-3,5-6").await.0, 200, "many ranges are one whole file");
    assert_eq!(get("lines=1-2").await.0, 200);
    let stale = [("range", "bytes=3-5"), ("if-range", "\"another\"")];
    assert_eq!(server.get(PATH, &stale).await.0, 200);
}

#[tokio::test]
async fn links_are_followed_inside_and_percent_signs_decoded() {
    let server = server().await;
    assert_eq!(server.get("/ocirepository/default/app/latest.tar.gz", &[]).await.0, 200);
    assert_eq!(server.get("/ocirepository/default/app/sha256%3Aabc%2B1.tar.gz", &[]).await.0, 200);
    assert_eq!(server.get("/ocirepository/default/app/sha256:abc%201.tar.gz", &[]).await.0, 404);
}

#[tokio::test]
async fn only_finished_files_of_objects_exist() {
    let server = server().await;
    let object = server.place.path().join("ocirepository/default/app");
    fs_err::write(object.join(".1-1.tmp"), "half").unwrap();
    fs_err::write(server.place.path().join("secret"), "x").unwrap();
    fs_err::os::unix::fs::symlink(Path::new("/etc/hostname"), object.join("out")).unwrap();
    fs_err::create_dir(object.join("directory")).unwrap();
    assert_eq!(server.get("/", &[]).await.0, 200, "the readiness probe");
    for path in [
        "/secret",
        "/ocirepository",
        "/ocirepository/default/app/",
        "/ocirepository/default/app/directory",
        "/ocirepository/default/app/out",
        "/ocirepository/default/app/.1-1.tmp",
        "/ocirepository/default/app/sha256:abc+1.tar.gz.lock",
        "/ocirepository/default/app/../../../secret",
        "/ocirepository/default/app/%2e%2e%2f%2e%2e%2f%2e%2e%2fsecret",
        "/ocirepository/default/%2e%2e/secret",
        "/ocirepository/default/app/a%00b",
        "/ocirepository/default/app/%ff",
        "//etc/passwd",
        "/x/y/z/w",
    ] {
        assert_eq!(server.raw(path).await, "HTTP/1.1 404 Not Found", "{path}");
    }
}

#[tokio::test]
async fn the_server_ends_with_its_shutdown() {
    let server = server().await;
    assert_eq!(server.get("/", &[]).await.0, 200);
    server.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(10), server.task).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
}
