//! Other repositories' artifacts, copied into this one's.

use std::time::Duration;

use ferrite_runtime::{Requeue, Severity};
use serde_json::{Value, json};

use super::world::{After, World, condition};

fn including(includes: &Value) -> Value {
    json!({"include": includes})
}

fn put(world: &World, after: &After) {
    let name = after.object.metadata.name.clone().unwrap();
    world.put(&format!("gitrepositories/{name}"), serde_json::to_value(&after.object).unwrap());
}

#[tokio::test]
async fn an_include_that_is_not_there_yet_is_waited_for() {
    let world = World::new().await;
    world.git.repository("app", &[("a.yaml", "1")]).unwrap();
    let object = world.repository("app", &including(&json!([{"repository": {"name": "other"}}])));

    let missing = world.reconcile(&object).await;
    let message = "could not get resource for include 'other': \"other\" not found";
    assert_eq!(condition(&missing.status, "Ready"), format!("False NotFound {message}"));
    assert_eq!(condition(&missing.status, "IncludeUnavailable"), format!("True NotFound {message}"));
    assert_eq!(missing.requeue, Requeue::Wait(Duration::from_secs(30)));
    assert_eq!(missing.events[0].severity, Severity::Trace, "nobody is alarmed");

    world.git.repository("other", &[("b.yaml", "2")]).unwrap();
    world.put("gitrepositories/other", serde_json::to_value(world.repository("other", &json!({}))).unwrap());
    let empty = world.reconcile(&object).await;
    let message = "no artifact available for include 'other'";
    assert_eq!(condition(&empty.status, "Ready"), format!("False NoArtifact {message}"));
}

#[tokio::test]
async fn includes_are_copied_and_followed() {
    let world = World::new().await;
    let git = world
        .git
        .repository("other", &[("deploy/b.yaml", "2"), ("deploy/x/c.yaml", "3"), ("d.yaml", "4")])
        .unwrap();
    world.git.repository("app", &[("a.yaml", "1"), ("z.yaml", "5")]).unwrap();
    let other = world.reconcile(&world.repository("other", &json!({}))).await;
    put(&world, &other);
    let spec = including(&json!([
        {"repository": {"name": "other"}},
        {"repository": {"name": "other"}, "fromPath": "./deploy/", "toPath": "lib/other"},
    ]));
    let first = world.reconcile(&world.repository("app", &spec)).await;
    assert_eq!(
        world.files(first.artifact()),
        [
            "a.yaml",
            "lib/other/b.yaml",
            "lib/other/x/c.yaml",
            "other/d.yaml",
            "other/deploy/b.yaml",
            "other/deploy/x/c.yaml",
            "z.yaml",
        ]
    );
    assert_eq!(first.status.included_artifacts, [other.artifact().clone(), other.artifact().clone()]);
    assert_eq!(first.status.observed_include.len(), 2);
    assert_eq!(world.reconcile(&first.object).await.status, first.status);

    git.commit("second", &[("d.yaml", "5")]).unwrap();
    let moved = world.reconcile(&world.asked(&other.object)).await;
    put(&world, &moved);
    let second = world.reconcile(&first.object).await;
    assert_eq!(second.revision(), first.revision());
    assert_ne!(second.artifact().digest, first.artifact().digest);
    assert_eq!(second.status.included_artifacts[0], *moved.artifact());
    assert!(
        second.progress.said().unwrap().contains("included artifacts differ from last observed includes")
    );
}

#[tokio::test]
async fn includes_that_collide_or_leave_the_repository_fail() {
    let world = World::new().await;
    world.git.repository("other", &[("b.yaml", "2")]).unwrap();
    world.git.repository("app", &[("other/a.yaml", "1")]).unwrap();
    let other = world.reconcile(&world.repository("other", &json!({}))).await;
    put(&world, &other);
    for (include, reason, message) in [
        (
            json!({}),
            "CopyFailure",
            "failed to copy 'other' include from / to other: 'other' exists in the repository",
        ),
        (
            json!({"toPath": "../x"}),
            "IllegalPath",
            "path calculation for include 'other' failed: '../x' leads out",
        ),
        (
            json!({"fromPath": "a/../../x", "toPath": "x"}),
            "IllegalPath",
            "path calculation for include 'other'",
        ),
        (
            json!({"fromPath": "nowhere", "toPath": "x"}),
            "CopyFailure",
            "failed to copy 'other' include from nowhere to x",
        ),
    ] {
        let mut include = include;
        include["repository"] = json!({"name": "other"});
        let after = world.reconcile(&world.repository("app", &including(&json!([include])))).await;
        let shown = condition(&after.status, "StorageOperationFailed");
        assert!(shown.starts_with(&format!("True {reason} {message}")), "{shown}");
        assert_eq!(after.requeue, Requeue::Backoff);
    }
}

/// A status that points at another object's file is not believed.
#[tokio::test]
async fn a_forged_artifact_is_not_copied() {
    let world = World::new().await;
    world.git.repository("victim", &[("secret.yaml", "2")]).unwrap();
    world.git.repository("app", &[("a.yaml", "1")]).unwrap();
    let victim = world.reconcile(&world.repository("victim", &json!({}))).await;
    let mut forged = serde_json::to_value(world.repository("other", &json!({}))).unwrap();
    forged["status"]["artifact"] = serde_json::to_value(victim.artifact()).unwrap();
    world.put("gitrepositories/other", forged.clone());
    let spec = including(&json!([{"repository": {"name": "other"}}]));
    let after = world.reconcile(&world.repository("app", &spec)).await;
    assert!(condition(&after.status, "Ready").starts_with("False NoArtifact"), "{:?}", after.status);

    forged["spec"]["url"] = json!("http://127.0.0.1:1/x");
    let own = world.reconcile(&serde_json::from_value(forged).unwrap()).await;
    assert_eq!(own.status.artifact, None, "nor served as one's own");
}
