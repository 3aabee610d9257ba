//! Against a server that checks signatures.

use ferrite_testkit::S3Server;
use reqwest::Client;

use super::*;
use crate::{Bucket, Listed};

fn client() -> Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::new()
}

fn bucket(server: &S3Server, name: &str, keys: Option<AccessKeys>) -> Bucket {
    let s3 = S3::new(client(), &server.endpoint(), true, name).unwrap();
    Bucket::S3(match keys {
        Some(keys) => s3.with_keys(keys),
        None => s3,
    })
}

use crate::AccessKeys;

#[tokio::test]
async fn objects_of_odd_names_are_listed_page_by_page_and_read() {
    let server = S3Server::start().await.unwrap();
    server.allow("key", "secret");
    server.paginate(2);
    let names = ["a b+c.yaml", "a/b/c.yaml", "a/ü&<.yaml", "a=?#%41.yaml", "other"];
    for name in names {
        server.put("apps", name, format!("of {name}"));
    }
    let bucket = bucket(&server, "apps", Some(AccessKeys::new("key", "secret")));
    assert!(bucket.exists().await.unwrap());
    let all = bucket.list("a", 100).await.unwrap();
    let listed: Vec<&str> = all.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(listed, ["a b+c.yaml", "a/b/c.yaml", "a/ü&<.yaml", "a=?#%41.yaml"]);
    for object in &all {
        let mut got = bucket.get(object).await.unwrap().unwrap();
        assert_eq!(got.etag, object.etag);
        assert!(!got.etag.contains('"'));
        assert_eq!(got.chunk().await.unwrap().unwrap(), format!("of {}", object.key));
    }
    assert!(bucket.get(&Listed::named("gone")).await.unwrap().is_none());
    let error = bucket.list("", 4).await.unwrap_err();
    assert_eq!(error.to_string(), "there are more than 4 objects; give a longer spec.prefix");
}

#[track_caller]
fn refused(error: &BucketError, expect: &str) {
    assert_eq!(error.to_string(), expect);
    assert!(!format!("{error:?}").contains("canary"));
}

#[tokio::test]
async fn the_store_s_words_are_handed_on() {
    let server = S3Server::start().await.unwrap();
    server.allow("key", "secret");
    server.bucket("apps");
    let with = |id: &str, secret: &str| bucket(&server, "apps", Some(AccessKeys::new(id, secret)));
    refused(&with("key", "canary").exists().await.unwrap_err(), "Access Denied.");
    refused(
        &with("other", "canary").list("", 1).await.unwrap_err(),
        "The Access Key Id you provided does not exist in our records.",
    );
    refused(&bucket(&server, "apps", None).exists().await.unwrap_err(), "Access Denied.");
    let missing = bucket(&server, "nowhere", Some(AccessKeys::new("key", "secret")));
    assert!(!missing.exists().await.unwrap());
    let error = missing.list("", 1).await.unwrap_err();
    assert_eq!(error.code(), Some("NoSuchBucket"));
}

#[tokio::test]
async fn the_region_is_found_out() {
    let server = S3Server::start().await.unwrap();
    server.allow("key", "secret");
    server.put("apps", "a", "1");
    server.move_to("eu-north-1");
    let keys = || AccessKeys::new("key", "secret");
    let learns = bucket(&server, "apps", Some(keys()));
    assert_eq!(learns.list("", 10).await.unwrap().len(), 1);
    assert_eq!(learns.list("", 10).await.unwrap().len(), 1);
    assert_eq!(server.asked().len(), 3, "one more than twice");
    let told = S3::new(client(), &server.endpoint(), true, "apps").unwrap().with_keys(keys());
    let told = Bucket::S3(told.in_region("eu-north-1"));
    assert!(told.exists().await.unwrap());
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again() {
    let server = S3Server::start().await.unwrap();
    server.put("apps", "a", "1");
    server.fail(2);
    assert_eq!(bucket(&server, "apps", None).list("", 10).await.unwrap().len(), 1);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn objects_are_written_and_removed() {
    let server = S3Server::start().await.unwrap();
    server.allow("key", "secret");
    server.bucket("store");
    let s3 = S3::new(client(), &server.endpoint(), true, "store").unwrap();
    let s3 = s3.with_keys(AccessKeys::new("key", "secret"));
    s3.put("a/b c", Bytes::from_static(b"bytes")).await.unwrap();
    assert_eq!(server.keys("store"), ["a/b c"]);
    s3.remove("a/b c").await.unwrap();
    s3.remove("a/b c").await.unwrap();
    assert!(server.keys("store").is_empty());
}

#[tokio::test]
async fn a_directory_s_user_gets_temporary_keys() {
    let server = S3Server::start().await.unwrap();
    server.allow_user("ann", "canary");
    server.put("apps", "a", "1");
    let endpoint: Url = format!("http://{}", server.endpoint()).parse().unwrap();
    let s3 = |password: &str| {
        let identity = LdapIdentity::new(client(), endpoint.clone(), "ann", password);
        Bucket::S3(S3::new(client(), &server.endpoint(), true, "apps").unwrap().with_keys(identity))
    };
    let right = s3("canary");
    assert!(!format!("{right:?}").contains("canary"));
    assert!(right.exists().await.unwrap());
    assert!(right.exists().await.unwrap());
    let assumed = server.asked().iter().filter(|asked| *asked == "POST /").count();
    assert_eq!(assumed, 1, "keys are kept while they are valid");
    assert_eq!(s3("wrong").exists().await.unwrap_err().to_string(), "LDAP authentication failed");
}

#[track_caller]
fn check_place(endpoint: &str, bucket: &str, expect: &str) {
    let shown = match S3::new(client(), endpoint, false, bucket) {
        Ok(s3) => {
            let region = s3.region.lock().clone().unwrap_or_default();
            format!("{} {:?} {region}", s3.endpoint, s3.style).trim_end().to_owned()
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(shown, expect);
}

#[test]
fn the_name_goes_where_the_store_wants_it() {
    check_place("minio:9000", "apps", "https://minio:9000/ Path");
    check_place("s3.amazonaws.com", "apps", "https://apps.s3.amazonaws.com/ Host");
    check_place(
        "s3.eu-west-1.amazonaws.com",
        "apps",
        "https://apps.s3.eu-west-1.amazonaws.com/ Host eu-west-1",
    );
    check_place(
        "s3.eu-west-1.amazonaws.com",
        "my.apps",
        "https://s3.eu-west-1.amazonaws.com/ Path eu-west-1",
    );
    let wrong = |text: &str| format!("Endpoint: {text} does not follow ip address or domain name standards.");
    for text in ["https://minio:9000", "", "a@b", "host/path", "host?x", "ho st"] {
        check_place(text, "apps", &wrong(text));
    }
    let name = "the bucket name '../x' cannot be one: expected 3 to 222 letters, digits, dots, dashes or underscores";
    check_place("minio", "../x", name);
}

#[test]
fn the_global_endpoint_gives_way_to_that_of_the_region() {
    let place = |endpoint: &str, region: &str| {
        let s3 = S3::new(client(), endpoint, false, "apps").unwrap().in_region(region);
        s3.endpoint_of_region().to_string()
    };
    assert_eq!(place("s3.amazonaws.com", "eu-west-1"), "https://apps.s3.eu-west-1.amazonaws.com/");
    assert_eq!(place("s3.amazonaws.com", "us-east-1"), "https://apps.s3.amazonaws.com/");
    assert_eq!(place("s3.amazonaws.com", "a/b"), "https://apps.s3.amazonaws.com/");
    assert_eq!(place("minio:9000", "eu-west-1"), "https://minio:9000/");
}

#[tokio::test]
async fn keys_that_mean_another_path_are_not_asked_for() {
    let server = S3Server::start().await.unwrap();
    server.bucket("apps");
    let bucket = bucket(&server, "apps", None);
    for key in ["..", "a/../../b", "./a"] {
        let error = bucket.get(&Listed::named(key)).await.unwrap_err().to_string();
        assert!(error.ends_with(&format!("the key '{key}' cannot be asked for")), "{error}");
    }
    assert!(server.asked().is_empty());
}
