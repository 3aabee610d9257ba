//! Against a server that checks Shared Key signatures.

use ferrite_testkit::AzureServer;

use super::*;
use crate::Bucket;

const KEY: &str = "Y2FuYXJ5LWtleQ==";

fn bucket(server: &AzureServer, container: &str, login: AzureLogin) -> Bucket {
    drop(rustls::crypto::ring::default_provider().install_default());
    Bucket::Azure(Azure::new(Client::new(), &server.url(), container, login).unwrap())
}

#[tokio::test]
async fn blobs_are_listed_page_by_page_and_read() {
    let server = AzureServer::start().await.unwrap();
    server.allow_key(KEY).unwrap();
    server.paginate(1);
    server.put("apps", "a/b c&+.yaml", "1");
    server.put("apps", "a/ü.yaml", "2");
    server.put("apps", "b", "3");
    let bucket = bucket(&server, "apps", AzureLogin::SharedKey(Secret::new(KEY)));
    assert!(bucket.exists().await.unwrap());
    let all = bucket.list("a/", 10).await.unwrap();
    assert_eq!(all.iter().map(|o| o.key.as_str()).collect::<Vec<_>>(), ["a/b c&+.yaml", "a/ü.yaml"]);
    for object in &all {
        let got = bucket.get(object).await.unwrap().unwrap();
        assert_eq!(got.etag, object.etag, "a listing's tag is that of the header");
        assert!(got.etag.starts_with("\"0x"));
    }
    assert!(bucket.get(&Listed::named("gone")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_shared_access_signature_goes_into_the_query_and_into_no_error() {
    let server = AzureServer::start().await.unwrap();
    server.allow_signature("canary/+=");
    server.put("apps", "a", "1");
    let login = |text: &str| AzureLogin::SharedAccess(Secret::new(text));
    let right = bucket(&server, "apps", login("?sv=2023&sig=canary%2F%2B%3D"));
    assert_eq!(right.list("", 10).await.unwrap().len(), 1);
    assert!(!format!("{right:?}").contains("canary"));
    let wrong = bucket(&server, "apps", login("sig=canary")).exists().await.unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the specified bucket name may be incorrect, nonexistent, or the caller might lack sufficient permissions to \
         access it: AuthenticationFailed: Server failed to authenticate the request."
    );
    assert!(!format!("{wrong:?}").contains("canary"));
    assert!(!bucket(&server, "nowhere", login("sig=canary%2F%2B%3D")).exists().await.unwrap());
}

#[track_caller]
fn check(endpoint: &str, login: AzureLogin, expect: &str) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let made = Azure::new(Client::new(), endpoint, "apps", login);
    assert_eq!(made.map_or_else(|error| error.to_string(), |_| "good".to_owned()), expect);
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let key = |text: &str| AzureLogin::SharedKey(Secret::new(text));
    check("https://me.blob.core.windows.net", key(KEY), "good");
    check("https://me.blob.core.windows.net", key("%"), "decode account key: it is not base64");
    check(
        "https://localhost/x",
        key(KEY),
        "failed to extract account name from endpoint: expected 'localhost' to be a subdomain",
    );
    check(
        "http://me.blob.core.windows.net",
        AzureLogin::Bearer(Arc::new(Secret::new("t"))),
        "authenticated requests are not permitted for non TLS protected (https) endpoints",
    );
    let wrong = "Endpoint: me.blob does not follow ip address or domain name standards.";
    check("me.blob", AzureLogin::Anonymous, wrong);
}
