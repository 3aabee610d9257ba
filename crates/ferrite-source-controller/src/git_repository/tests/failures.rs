//! What goes wrong, and what an operator reads of it.

use ferrite_runtime::{Requeue, Severity};
use serde_json::json;

use super::world::{After, World, condition};
use crate::world::base64;

/// Ready, the condition that failed, and when it is tried again.
#[track_caller]
pub(super) fn failed(after: &After, kind: &str, reason: &str, message: &str) {
    let shown = condition(&after.status, "Ready");
    let start = format!("False {reason} {message}");
    assert!(shown.starts_with(&start), "expected `{start}`, got `{shown}`");
    assert_eq!(condition(&after.status, kind), shown.replacen("False", "True", 1));
    assert_eq!(after.events[0].reason, reason);
    assert_eq!(format!("{reason} {}", after.events[0].message), shown.replacen("False ", "", 1));
}

#[track_caller]
pub(super) fn retried(after: &After) {
    assert_eq!(after.requeue, Requeue::Backoff);
    assert_eq!(after.status.observed_generation, Some(-1), "the generation is not handled yet");
    assert!(condition(&after.status, "Reconciling").starts_with("True ProgressingWithRetry"));
    assert_eq!(condition(&after.status, "Stalled"), "absent");
    assert_eq!(after.events[0].severity, Severity::Error);
}

#[track_caller]
pub(super) fn stalled(after: &After) {
    assert_eq!(after.requeue, Requeue::Never);
    assert_eq!(after.status.observed_generation, Some(1));
    assert_eq!(condition(&after.status, "Reconciling"), "absent");
    assert_eq!(
        condition(&after.status, "Stalled"),
        condition(&after.status, "Ready").replacen("False", "True", 1)
    );
}

#[tokio::test]
async fn failures_of_the_remote_are_retried_and_say_what_to_do() {
    let world = World::new().await;
    world.git.repository("app", &[("a.yaml", "v: 1")]).unwrap();
    world.git.repository("empty", &[]).unwrap();
    let checkout = "failed to checkout and determine revision: ";
    for (served, spec, reason, message) in [
        ("app", json!({"ref": {"branch": "nowhere"}}), "GitOperationFailed", "branch 'nowhere' not found"),
        ("app", json!({"ref": {"tag": "v9"}}), "GitOperationFailed", "tag 'v9' not found"),
        ("app", json!({"ref": {"semver": "^9"}}), "GitOperationFailed", "no tag of "),
        ("app", json!({"ref": {"semver": "x y"}}), "GitOperationFailed", "invalid semver 'x y'"),
        ("missing", json!({}), "GitOperationFailed", "repository not found at "),
        (
            "app",
            json!({"url": "http://127.0.0.1:1/x"}),
            "GitOperationFailed",
            "cannot reach 'http://127.0.0.1:1/x'",
        ),
        (
            "app",
            json!({"sparseCheckout": ["nowhere"]}),
            "GitOperationFailed",
            "failed to sparse checkout directories: ",
        ),
    ] {
        let after = world.reconcile(&world.repository(served, &spec)).await;
        failed(&after, "FetchFailed", reason, &format!("{checkout}{message}"));
        retried(&after);
    }
    let empty = world.reconcile(&world.repository("empty", &json!({}))).await;
    failed(&empty, "FetchFailed", "EmptyGitRepository", "git repository is empty");
    retried(&empty);
}

#[tokio::test]
async fn what_only_an_edit_can_help_stalls() {
    let world = World::new().await;
    world.git.repository("app", &[("a.yaml", "v: 1")]).unwrap();
    for (spec, reason, message) in [
        (json!({"url": "ftp://host/app"}), "URLInvalid", "failed to parse url: cannot use the Git address"),
        (json!({"url": "http://a\\@b/c"}), "URLInvalid", "failed to parse url: "),
        (
            json!({"provider": "github"}),
            "InvalidProviderConfiguration",
            "secretRef with github app data must be specified when provider is set to github",
        ),
        (
            json!({"provider": "azure", "serviceAccountName": "git"}),
            "FeatureGateDisabled",
            "to use spec.serviceAccountName for provider authentication please enable the ObjectLevelWorkloadIdentity",
        ),
    ] {
        let after = world.reconcile(&world.repository("app", &spec)).await;
        failed(&after, "FetchFailed", reason, message);
        stalled(&after);
    }
}

#[tokio::test]
async fn credentials_are_read_from_the_secret_and_never_shown() {
    let world = World::new().await;
    world.git.private_repository("app", "reader", "canary-right", &[("a.yaml", "v: 1")]).unwrap();
    let object = world.repository("app", &json!({"secretRef": {"name": "git"}}));

    let missing = world.reconcile(&object).await;
    failed(
        &missing,
        "FetchFailed",
        "AuthenticationFailed",
        "failed to get secret 'default/git': \"git\" not found",
    );
    retried(&missing);

    world.secret(&[("password", "canary-right")]);
    let half = world.reconcile(&object).await;
    let message = "failed to configure authentication options: invalid 'http' auth option: 'password' requires 'username' to be set";
    failed(&half, "FetchFailed", "AuthenticationFailed", message);

    world.secret(&[("username", "reader"), ("password", "canary-wrong")]);
    let wrong = world.reconcile(&object).await;
    let message = "failed to checkout and determine revision: authentication refused by ";
    failed(&wrong, "FetchFailed", "GitOperationFailed", message);
    let all = format!("{:?} {:?}", wrong.status, wrong.events());
    assert!(!all.contains("canary") && !all.contains(&base64("canary-wrong")), "{all}");

    world.secret(&[("username", "reader"), ("password", "canary-right")]);
    let right = world.reconcile(&object).await;
    assert_eq!(world.files(right.artifact()), ["a.yaml"]);

    world.secret(&[("githubAppID", "1")]);
    let app = world.reconcile(&object).await;
    failed(
        &app,
        "FetchFailed",
        "InvalidProviderConfiguration",
        "secretRef 'default/git' has github app data",
    );

    let anonymous = world.reconcile(&world.repository("app", &json!({}))).await;
    let message = "failed to checkout and determine revision: authentication required by ";
    failed(&anonymous, "FetchFailed", "GitOperationFailed", message);
}

#[tokio::test]
async fn a_private_authority_and_a_client_certificate_are_used() {
    let server = ferrite_testkit::GitServer::start_mutual_tls().await.unwrap();
    server.repository("app", &[("a.yaml", "v: 1")]).unwrap();
    let world = World::new().await;
    let url = format!("{}/app", server.base_url());
    let object = world.repository("app", &json!({"url": url, "secretRef": {"name": "git"}}));

    world.secret(&[]);
    let untrusted = world.reconcile(&object).await;
    let message = "failed to checkout and determine revision: cannot trust the TLS certificate";
    failed(&untrusted, "FetchFailed", "GitOperationFailed", message);

    let identity = server.client_identity().unwrap();
    let ca = server.ca_pem().unwrap();
    world.secret(&[("ca.crt", ca), ("tls.crt", &identity.certificate), ("tls.key", &identity.key)]);
    let trusted = world.reconcile(&object).await;
    assert_eq!(world.files(trusted.artifact()), ["a.yaml"]);

    world.secret(&[("ca.crt", "no certificate")]);
    let broken = world.reconcile(&object).await;
    failed(&broken, "FetchFailed", "AuthenticationFailed", "failed to configure authentication options: ");
}

#[tokio::test]
async fn a_storage_that_refuses_is_told_and_keeps_the_last_artifact() {
    let world = World::new().await;
    let git = world.git.repository("app", &[("a.yaml", "v: 1")]).unwrap();
    let first = world.reconcile(&world.repository("app", &json!({}))).await;
    let head = git.commit("second", &[("a.yaml", "v: 2")]).unwrap();
    // A directory where the file should go.
    let blocked = world.place(first.artifact()).with_file_name(format!("{head}.tar.gz"));
    fs_err::create_dir(&blocked).unwrap();
    fs_err::write(blocked.join("x"), "x").unwrap();

    let after = world.reconcile(&world.asked(&first.object)).await;

    let message = "unable to archive artifact to storage: cannot write ";
    failed(&after, "StorageOperationFailed", "ArchiveOperationFailed", message);
    assert_eq!(after.status.artifact, first.status.artifact);
    assert_eq!(after.status.observed_generation, Some(1));
}

/// A shutdown or a newer push ends a reconcile: that is no failure of the source, and nobody is told.
#[tokio::test]
async fn what_the_driver_ends_is_no_failure() {
    use ferrite_runtime::{Interrupted, Reconcile as _};

    use crate::git_repository::{Done, Error, GitRepositories};

    let world = World::new().await;
    world.git.repository("app", &[("a.yaml", "v: 1")]).unwrap();
    let good = world.reconcile(&world.repository("app", &json!({}))).await;
    for interrupted in [Interrupted::Superseded, Interrupted::Shutdown] {
        let error = Error::from(interrupted);
        let now = jiff::Timestamp::UNIX_EPOCH;
        let report = GitRepositories::report(&good.object, &Done::default(), Some(&error), now);
        assert_eq!(report.status.artifact, good.status.artifact);
        assert_eq!(condition(&report.status, "Ready"), condition(&good.status, "Ready"));
        assert_eq!(condition(&report.status, "FetchFailed"), "absent");
        assert_eq!((report.events.len(), report.requeue), (0, Requeue::Backoff));
    }
}
