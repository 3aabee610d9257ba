//! Whole reconciles of Buckets against real stores.

use ferrite_api::source::Bucket;
use ferrite_artifact::{Algorithm, Digest};
use ferrite_runtime::Requeue;
use ferrite_testkit::{AzureServer, GcsServer, S3Server};
use serde_json::{Value, json};

use super::Buckets;
use crate::world::{self, After, World, asked, changed, condition};

struct Store {
    server: S3Server,
    world: World,
    buckets: Buckets,
}

impl Store {
    async fn new() -> Self {
        Self::over(S3Server::start().await.unwrap())
    }

    fn over(server: S3Server) -> Self {
        let world = World::new();
        let buckets = Buckets::new(world.context("http://storage.test"));
        Self { server, world, buckets }
    }

    fn bucket(&self, spec: &Value) -> Bucket {
        bucket(&self.server.endpoint(), spec)
    }

    async fn reconcile(&self, object: &Bucket) -> After<Buckets> {
        world::reconcile(&self.buckets, &self.buckets.context, object).await
    }

    /// How many objects were downloaded, ignore rules aside.
    fn downloads(&self) -> usize {
        let is_object = |asked: &&String| asked.starts_with("GET /apps/") && !asked.ends_with("ignore");
        self.server.asked().iter().filter(is_object).count()
    }
}

fn bucket(endpoint: &str, spec: &Value) -> Bucket {
    let mut object = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "Bucket",
        "metadata": {"name": "app", "namespace": "default", "generation": 1},
        "spec": {"endpoint": endpoint, "bucketName": "apps", "interval": "1h", "timeout": "10s", "insecure": true},
        "status": {"observedGeneration": -1},
    });
    world::merge(&mut object["spec"], spec);
    serde_json::from_value(object).unwrap()
}

fn artifact(after: &After<Buckets>) -> &ferrite_api::Artifact {
    let conditions = &after.report.status.conditions;
    after.report.status.artifact.as_ref().unwrap_or_else(|| panic!("{}", condition(conditions, "Ready")))
}

#[track_caller]
fn failed(after: &After<Buckets>, expect: &str, requeue: Requeue) {
    let shown = condition(&after.report.status.conditions, "Ready");
    assert!(shown.starts_with(&format!("False {expect}")), "{shown}");
    let fetch_failed = condition(&after.report.status.conditions, "FetchFailed");
    assert_eq!(fetch_failed, shown.replacen("False", "True", 1));
    assert_eq!(after.report.requeue, requeue);
    let told = format!("{:?} {:?}", after.report.status, after.events());
    assert!(!told.contains("canary"), "{told}");
}

/// The entity tag that the server has for `content`.
fn tag(content: &str) -> String {
    Digest::of(Algorithm::Sha256, content.as_bytes()).hex().chars().take(32).collect()
}

#[tokio::test]
async fn objects_become_an_artifact_and_nothing_is_downloaded_until_one_moves() {
    let store = Store::new().await;
    store.server.allow("key", "canary");
    store.world.secret("keys", &[("accesskey", "key"), ("secretkey", "canary")]);
    store.server.put("apps", ".sourceignore", "*.md\n");
    store.server.put("apps", "deploy/", "");
    for (key, content) in [("deploy/app.yaml", "v: 1"), ("logo.png", "x"), ("README.md", "no")] {
        store.server.put("apps", key, content);
    }
    let spec = json!({"secretRef": {"name": "keys"}, "ignore": "!keep.md"});
    let first = store.reconcile(&store.bucket(&spec)).await;
    let lines = format!("deploy/app.yaml {}\nlogo.png {}\n", tag("v: 1"), tag("x"));
    let revision = Digest::of(Algorithm::Sha256, lines.as_bytes());
    let stored = artifact(&first);
    assert_eq!(stored.revision, revision.to_string());
    assert_eq!(stored.path, format!("bucket/default/app/{}.tar.gz", revision.hex()));
    assert_eq!(store.world.files(stored), [".sourceignore", "deploy/app.yaml", "logo.png"]);
    let status = &first.report.status;
    assert_eq!(status.url.as_deref(), Some("http://storage.test/bucket/default/app/latest.tar.gz"));
    assert_eq!(status.observed_ignore.as_deref(), Some("!keep.md"));
    assert_eq!(status.observed_generation, Some(1));
    let ready = format!("True Succeeded stored artifact: revision '{revision}'");
    assert_eq!(condition(&status.conditions, "Ready"), ready);
    assert_eq!(condition(&status.conditions, "ArtifactInStorage"), ready);
    assert_eq!(first.events(), ["Info NewArtifact stored artifact with 2 fetched files from 'apps' bucket"]);

    let second = store.reconcile(&first.object).await;
    assert_eq!(second.report.status, first.report.status);
    assert_eq!((second.events().len(), store.downloads()), (0, 2), "listed, not downloaded");

    store.server.put("apps", "deploy/app.yaml", "v: 2");
    store.server.remove("apps", "logo.png");
    let third = store.reconcile(&asked(&second.object)).await;
    assert_ne!(artifact(&third).revision, revision.to_string());
    assert_eq!(store.world.files(artifact(&third)), [".sourceignore", "deploy/app.yaml"]);
    let said = third.progress.said().unwrap();
    assert_eq!(said, format!("building artifact: new upstream revision '{}'", artifact(&third).revision));
    let marked = third.progress.marked(1, jiff::Timestamp::UNIX_EPOCH);
    let outdated = format!("True NewRevision new upstream revision '{}'", artifact(&third).revision);
    assert_eq!(condition(&marked, "ArtifactOutdated"), outdated);
}

#[tokio::test]
async fn prefix_and_patterns_choose_what_counts() {
    let store = Store::new().await;
    store.server.paginate(2);
    for key in ["a/1", "a/2", "a/3.md", "b/1", "a/4"] {
        store.server.put("apps", key, key);
    }
    let first = store.reconcile(&store.bucket(&json!({"prefix": "a/", "ignore": "*.md"}))).await;
    assert_eq!(store.world.files(artifact(&first)), ["a/1", "a/2", "a/4"]);
    let same = store.reconcile(&changed(&first.object, &json!({"ignore": "*.md\n*.txt"}))).await;
    assert_eq!(artifact(&same).digest, artifact(&first).digest);
    assert_eq!(same.report.status.observed_generation, Some(2));
    let other = store.reconcile(&changed(&same.object, &json!({"ignore": "*.md\n2"}))).await;
    assert_eq!(store.world.files(artifact(&other)), ["a/1", "a/4"]);
}

#[tokio::test]
async fn what_the_store_refuses_is_said_in_its_words() {
    let store = Store::new().await;
    let gone = store.reconcile(&store.bucket(&json!({}))).await;
    failed(&gone, "BucketOperationFailed bucket 'apps' not found", Requeue::Backoff);
    store.server.allow("key", "secret");
    store.server.put("apps", "a", "1");
    let anonymous = store.reconcile(&store.bucket(&json!({}))).await;
    let refused = "BucketOperationFailed failed to confirm existence of 'apps' bucket: Access Denied.";
    failed(&anonymous, refused, Requeue::Backoff);
    store.world.secret("keys", &[("accesskey", "key"), ("secretkey", "canary")]);
    let spec = json!({"secretRef": {"name": "keys"}});
    failed(&store.reconcile(&store.bucket(&spec)).await, refused, Requeue::Backoff);

    store.world.secret("keys", &[("accesskey", "key"), ("secretkey", "secret")]);
    let healed = store.reconcile(&store.reconcile(&store.bucket(&spec)).await.object).await;
    assert!(condition(&healed.report.status.conditions, "FetchFailed").starts_with("absent"));
}

#[tokio::test]
async fn secrets_are_checked_as_flux_checks_them() {
    let store = Store::new().await;
    store.server.put("apps", "a", "1");
    let with = |secret: &str| json!({"secretRef": {"name": secret}});
    let missing = store.reconcile(&store.bucket(&with("none"))).await;
    failed(&missing, "AuthenticationFailed failed to get secret 'default/none'", Requeue::Backoff);
    store.world.secret("half", &[("accesskey", "canary")]);
    let half = store.reconcile(&store.bucket(&with("half"))).await;
    let message =
        "AuthenticationFailed invalid 'half' secret data: required fields 'accesskey' and 'secretkey'";
    failed(&half, message, Requeue::Backoff);

    let mut spec = with("half");
    spec["provider"] = json!("gcp");
    let gcp = store.reconcile(&store.bucket(&spec)).await;
    let message = "AuthenticationFailed invalid 'half' secret data: required fields 'serviceaccount'";
    failed(&gcp, message, Requeue::Backoff);
    spec["provider"] = json!("azure");
    let azure = store.reconcile(&store.bucket(&spec)).await;
    let message = "AuthenticationFailed invalid 'half' secret data: requires a 'clientId' or 'accountKey' field, a \
                   combination of";
    failed(&azure, message, Requeue::Backoff);

    let endpoint = store.reconcile(&store.bucket(&json!({"endpoint": "http://me:canary@host"}))).await;
    let shown = condition(&endpoint.report.status.conditions, "Ready");
    assert!(shown.starts_with("False AuthenticationFailed Endpoint: "), "{shown}");
    let sts = json!({"sts": {"provider": "aws", "endpoint": "https://sts.test"}});
    let stalled = store.reconcile(&store.bucket(&sts)).await;
    let message = "InvalidSTSConfiguration STS provider 'aws' is not supported for 'generic' bucket provider";
    failed(&stalled, message, Requeue::Never);
    assert!(condition(&stalled.report.status.conditions, "Stalled").starts_with("True InvalidSTS"));
}

#[tokio::test]
async fn temporary_keys_come_from_the_directory() {
    let store = Store::new().await;
    store.server.allow_user("ann", "canary");
    store.server.put("apps", "a", "1");
    store.world.secret("user", &[("username", "ann"), ("password", "canary")]);
    let endpoint = format!("http://{}", store.server.endpoint());
    let sts = json!({"sts": {"provider": "ldap", "endpoint": endpoint, "secretRef": {"name": "user"}}});
    let after = store.reconcile(&store.bucket(&sts)).await;
    assert_eq!(store.world.files(artifact(&after)), ["a"]);
    store.world.secret("user", &[("username", "ann")]);
    let after = store.reconcile(&store.bucket(&sts)).await;
    let message = "AuthenticationFailed invalid 'user' secret data for 'ldap' STS provider: required fields username, \
                   password";
    failed(&after, message, Requeue::Backoff);
}

#[tokio::test]
async fn tls_with_an_authority_and_a_client_certificate() {
    let store = Store::over(S3Server::start_tls(true).await.unwrap());
    store.server.put("apps", "a", "1");
    let (ca, client) = store.server.authority().cloned().unwrap();
    let spec = json!({"insecure": false, "timeout": "20s", "certSecretRef": {"name": "tls"}});
    store.world.secret("tls", &[("ca.crt", &ca), ("tls.crt", &client.certificate), ("tls.key", &client.key)]);
    let after = store.reconcile(&store.bucket(&spec)).await;
    assert_eq!(store.world.files(artifact(&after)), ["a"]);
}

#[tokio::test]
async fn keys_that_would_leave_the_artifact_are_refused_by_name() {
    let store = Store::new().await;
    for key in ["a", "../../etc/passwd"] {
        store.server.put("apps", key, "x");
    }
    let after = store.reconcile(&store.bucket(&json!({}))).await;
    let message =
        "BucketOperationFailed cannot use the key '../../etc/passwd': '..' would leave the artifact";
    failed(&after, message, Requeue::Backoff);
    assert_eq!(store.downloads(), 0);
    let ignored = store.reconcile(&store.bucket(&json!({"ignore": "passwd"}))).await;
    assert_eq!(store.world.files(artifact(&ignored)), ["a"]);
}

#[tokio::test]
async fn a_lost_artifact_is_fetched_again_and_a_deleted_bucket_leaves_nothing() {
    use ferrite_runtime::{Progress, Reconcile as _};

    let store = Store::new().await;
    store.server.put("apps", "a", "1");
    let first = store.reconcile(&store.bucket(&json!({}))).await;
    fs_err::remove_file(store.world.place(artifact(&first))).unwrap();
    let second = store.reconcile(&first.object).await;
    assert_eq!(
        second.progress.said().unwrap().split(" '").next(),
        Some("building artifact: new upstream revision")
    );
    assert_eq!(artifact(&second).digest, artifact(&first).digest);
    let events =
        store.buckets.teardown(&second.object, &mut super::Done::default(), &Progress::detached()).await;
    assert_eq!(events.unwrap().len(), 1);
    assert!(store.world.stored("bucket/default/app").is_empty());
}

#[tokio::test]
async fn azure_s_and_google_s_buckets_are_sources_too() {
    let (azure, google, world) =
        (AzureServer::start().await.unwrap(), GcsServer::start().await.unwrap(), World::new());
    azure.allow_key("Y2FuYXJ5").unwrap();
    azure.put("apps", "deploy/a.yaml", "1");
    google.put("apps", "deploy/b.yaml", "2");
    world.secret("azure", &[("accountKey", "Y2FuYXJ5")]);
    let config = crate::Config { storage_emulator: Some(google.endpoint()), ..crate::Config::new("/unused") };
    let buckets = Buckets::new(world.context_with("http://storage.test", &config));
    let spec = json!({"provider": "azure", "secretRef": {"name": "azure"}});
    let after = world::reconcile(&buckets, &buckets.context, &bucket(&azure.url(), &spec)).await;
    assert_eq!(world.files(artifact(&after)), ["deploy/a.yaml"]);
    let again = world::reconcile(&buckets, &buckets.context, &after.object).await;
    assert_eq!(again.report.status, after.report.status);
    let downloads = azure.asked().iter().filter(|asked| asked.ends_with(".yaml")).count();
    assert_eq!(downloads, 1, "a listing's tags are those of the downloads");

    let spec = json!({"provider": "gcp"});
    let after = world::reconcile(&buckets, &buckets.context, &bucket("storage.googleapis.com", &spec)).await;
    assert_eq!(world.files(artifact(&after)), ["deploy/b.yaml"]);
}
