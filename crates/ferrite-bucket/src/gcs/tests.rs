//! Against a server of the JSON API.

use ferrite_testkit::GcsServer;

use super::*;
use crate::{Bucket, Secret};

fn bucket(server: &GcsServer, name: &str, token: Option<&str>) -> Bucket {
    drop(rustls::crypto::ring::default_provider().install_default());
    let gcs = Gcs::new(Client::new(), Some(&server.endpoint()), name).unwrap();
    Bucket::Gcs(match token {
        Some(token) => gcs.with_tokens(Secret::new(token)),
        None => gcs,
    })
}

#[tokio::test]
async fn objects_are_listed_page_by_page_and_read_in_the_listed_version() {
    let server = GcsServer::start().await.unwrap();
    server.protect("canary");
    server.paginate(1);
    server.put("apps", "a/b c+?.yaml", "1");
    server.put("apps", "a/ü.yaml", "2");
    server.put("apps", "b", "3");
    let bucket = bucket(&server, "apps", Some("canary"));
    assert!(bucket.exists().await.unwrap());
    let all = bucket.list("a/", 10).await.unwrap();
    assert_eq!(all.iter().map(|o| o.key.as_str()).collect::<Vec<_>>(), ["a/b c+?.yaml", "a/ü.yaml"]);
    let mut got = bucket.get(&all[0]).await.unwrap().unwrap();
    assert_eq!(got.etag, all[0].etag);
    assert_eq!(got.chunk().await.unwrap().unwrap(), "1");

    server.put("apps", "a/ü.yaml", "replaced");
    let mut got = bucket.get(&all[1]).await.unwrap().unwrap();
    assert_ne!(got.etag, all[1].etag);
    assert_eq!(got.chunk().await.unwrap().unwrap(), "replaced");
    assert!(bucket.get(&Listed::named("gone")).await.unwrap().is_none());
}

#[tokio::test]
async fn refusals_read_as_google_s_clients_write_them() {
    let server = GcsServer::start().await.unwrap();
    server.protect("canary");
    server.put("apps", "a", "1");
    let error = bucket(&server, "apps", Some("wrong")).exists().await.unwrap_err();
    assert_eq!(error.to_string(), "googleapi: Error 401: Invalid Credentials, authError");
    assert!(!bucket(&server, "other", Some("canary")).exists().await.unwrap());
}
