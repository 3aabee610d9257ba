//! `spec.verify`: conditions, status and what is stored.

use ferrite_runtime::Requeue;
use ferrite_testkit::{SshKey, new_ssh_key};
use serde_json::{Value, json};

use super::world::{After, World, condition};

/// A key that signs, and the Secret that trusts it.
fn signer(world: &World) -> String {
    let (key, public) = new_ssh_key(SshKey::Ed25519, None).unwrap();
    world.secret(&[("me.sshpub", &public)]);
    key
}

fn verify(mode: &str, reference: &Value) -> Value {
    json!({"verify": {"mode": mode, "secretRef": {"name": "git"}}, "ref": reference})
}

/// Verified=False and Ready=False with the same words, nothing stored, and tried again or not.
#[track_caller]
fn refused(after: &After, reason: &str, message: &str, requeue: Requeue) {
    let shown = condition(&after.status, "SourceVerified");
    let start = format!("False {reason} {message}");
    assert!(shown.starts_with(&start), "expected `{start}`, got `{shown}`");
    assert_eq!(condition(&after.status, "Ready"), shown);
    assert_eq!(condition(&after.status, "FetchFailed"), "absent");
    assert_eq!(after.requeue, requeue);
    assert_eq!(after.events[0].reason, reason);
    let stalled = condition(&after.status, "Stalled");
    let expect =
        if requeue == Requeue::Never { shown.replacen("False", "True", 1) } else { "absent".to_owned() };
    assert_eq!(stalled, expect);
}

#[tokio::test]
async fn a_signed_commit_is_verified_once() {
    let world = World::new().await;
    let key = signer(&world);
    let git = world.git.repository("app", &[]).unwrap();
    let head = git.commit_signed(&key, "signed", &[("a.yaml", "1")]).unwrap();
    for mode in ["HEAD", "head"] {
        let after =
            world.reconcile(&world.repository("app", &verify(mode, &json!({"branch": "main"})))).await;
        let verified = condition(&after.status, "SourceVerified");
        let start = format!("True Succeeded verified signature of\n\t- commit '{head}' with key 'SHA256:");
        assert!(verified.starts_with(&start), "{verified}");
        assert!(condition(&after.status, "Ready").starts_with("True Succeeded stored artifact"));
        assert_eq!(after.status.source_verification_mode.unwrap().as_str(), "HEAD");
        assert_eq!(after.events()[0], verified.replacen("True", "Trace", 1));
        let again = world.reconcile(&after.object).await;
        assert_eq!((again.events(), again.status), (Vec::new(), after.status.clone()), "not twice");

        let without = world.reconcile(&world.changed(&after.object, &json!({"verify": null}))).await;
        assert_eq!(condition(&without.status, "SourceVerified"), "absent");
        assert_eq!(without.status.source_verification_mode, None);
    }
}

#[tokio::test]
async fn an_unsigned_push_keeps_the_last_verified_artifact() {
    let world = World::new().await;
    let key = signer(&world);
    let git = world.git.repository("app", &[]).unwrap();
    git.commit_signed(&key, "signed", &[("a.yaml", "1")]).unwrap();
    let good = world.reconcile(&world.repository("app", &verify("HEAD", &json!({"branch": "main"})))).await;
    let (stranger, _) = new_ssh_key(SshKey::Ed25519, None).unwrap();

    let unsigned = git.commit("unsigned", &[("a.yaml", "2")]).unwrap();
    let after = world.reconcile(&world.asked(&good.object)).await;
    let message =
        format!("signature verification of commit '{unsigned}' failed: unsupported signature type: empty");
    refused(&after, "InvalidCommitSignature", &message, Requeue::Backoff);
    assert_eq!(after.status.artifact, good.status.artifact);
    assert_eq!(world.stored("app").len(), 1, "nothing unverified is stored");

    let foreign = git.commit_signed(&stranger, "foreign", &[("a.yaml", "3")]).unwrap();
    let after = world.reconcile(&world.changed(&after.object, &json!({}))).await;
    let message = format!(
        "signature verification of commit '{foreign}' failed: unable to verify Git commit SSH signature: unable to verify payload with any of the given authorized keys: no matching key"
    );
    refused(&after, "InvalidCommitSignature", &message, Requeue::Backoff);

    let back = git.commit_signed(&key, "back", &[("a.yaml", "4")]).unwrap();
    let after = world.reconcile(&world.changed(&after.object, &json!({}))).await;
    assert_eq!(after.revision(), format!("main@sha1:{back}"));
    assert!(condition(&after.status, "SourceVerified").starts_with("True Succeeded "));
}

#[tokio::test]
async fn tags_are_verified_where_they_are_asked_for() {
    let world = World::new().await;
    let key = signer(&world);
    let git = world.git.repository("app", &[("a.yaml", "1")]).unwrap();
    git.tag("v0.1.0").unwrap();
    git.annotated_tag("v0.2.0", "unsigned").unwrap();
    let tag = git.signed_tag(&key, "v1.0.0", "signed").unwrap();
    let head = git.head().unwrap();
    let signed_head = git.commit_signed(&key, "signed", &[("a.yaml", "2")]).unwrap();
    let both = git.signed_tag(&key, "v2.0.0", "both").unwrap();
    let run = async |mode: &str, reference: Value| {
        world.reconcile(&world.repository("app", &verify(mode, &reference))).await
    };

    for reference in [json!({"tag": "v1.0.0"}), json!({"semver": "1.x"}), json!({"name": "refs/tags/v1.0.0"})]
    {
        let after = run("Tag", reference).await;
        let verified = condition(&after.status, "SourceVerified");
        let start = format!("True Succeeded verified signature of\n\t- tag 'v1.0.0@{tag}' with key 'SHA256:");
        assert!(verified.starts_with(&start) && !verified.contains("commit"), "{verified}");
        assert_eq!(after.status.source_verification_mode.unwrap().as_str(), "Tag");
    }
    let after = run("TagAndHEAD", json!({"tag": "v2.0.0"})).await;
    let verified = condition(&after.status, "SourceVerified");
    assert!(verified.contains(&format!("\n\t- tag 'v2.0.0@{both}' with key 'SHA256:")), "{verified}");
    assert!(verified.contains(&format!("\n\t- commit '{signed_head}' with key 'SHA256:")), "{verified}");

    let unsigned = run("TagAndHEAD", json!({"tag": "v1.0.0"})).await;
    let message =
        format!("signature verification of commit '{head}' failed: unsupported signature type: empty");
    refused(&unsigned, "InvalidCommitSignature", &message, Requeue::Backoff);
    let light = run("Tag", json!({"tag": "v0.1.0"})).await;
    let message = "cannot verify signature of tag 'v0.1.0' since it is not signed";
    refused(&light, "InvalidGitObject", message, Requeue::Backoff);
    let plain = run("Tag", json!({"tag": "v0.2.0"})).await;
    refused(&plain, "InvalidGitObject", "cannot verify signature of tag 'v0.2.0@", Requeue::Backoff);
    for reference in
        [json!({"branch": "main"}), json!({"commit": head}), json!({"name": "refs/tags/v1.0.0^{}"})]
    {
        let message = "cannot verify tag object's signature if a tag reference is not specified";
        refused(&run("Tag", reference).await, "InvalidVerificationMode", message, Requeue::Never);
    }
}

/// Whoever serves the repository may not pass an older signed release off as a newer one.
#[tokio::test]
async fn a_signed_tag_under_another_name_is_refused() {
    let world = World::new().await;
    let key = signer(&world);
    let git = world.git.repository("app", &[("a.yaml", "1")]).unwrap();
    let tag = git.signed_tag(&key, "v1.0.0", "signed").unwrap();
    let refs = git.repository().refs().unwrap();
    let signed = refs.iter().find(|found| found.name == "refs/tags/v1.0.0").unwrap().target;
    git.repository().set_reference("refs/tags/v9.0.0", signed).unwrap();
    let after = world.reconcile(&world.repository("app", &verify("Tag", &json!({"semver": "*"})))).await;
    let message =
        format!("signature verification of tag 'v1.0.0@{tag}' failed: the tag is served as 'v9.0.0'");
    refused(&after, "InvalidTagSignature", &message, Requeue::Backoff);
}

#[tokio::test]
async fn keys_that_are_missing_are_told() {
    let world = World::new().await;
    let (key, _) = new_ssh_key(SshKey::Ed25519, None).unwrap();
    let git = world.git.repository("app", &[]).unwrap();
    let head = git.commit_signed(&key, "signed", &[("a.yaml", "1")]).unwrap();
    let object = world.repository("app", &verify("HEAD", &json!({"branch": "main"})));

    let missing = world.reconcile(&object).await;
    refused(&missing, "VerificationError", "public keys secret error: \"git\" not found", Requeue::Backoff);

    world.secret(&[("me.asc", "canary")]);
    let other = world.reconcile(&object).await;
    let message = format!(
        "signature verification of commit '{head}' failed: SSH signature detected but no SSH public keys found in secret (keys with .sshpub suffix)"
    );
    refused(&other, "InvalidCommitSignature", &message, Requeue::Backoff);
}
