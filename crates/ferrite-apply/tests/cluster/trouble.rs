use std::time::Duration;

use ferrite_apply::{Applier, ApplyOptions, Done, Step, prune};
use kube::Client;
use serde_json::json;

use crate::world::{config_map, entry, owner, prepared, world};

#[tokio::test]
async fn refusals_of_the_server_are_told_and_leave_nothing_uncertain() {
    let world = world().await;
    world.applied(vec![config_map("a", &json!({}))]).await;
    for (faults, expect) in [
        ("throttle", "ConfigMap/default/a dry-run failed (TooManyRequests): "),
        ("errors", "ConfigMap/default/a dry-run failed (InternalError): "),
    ] {
        match faults {
            "throttle" => world.server.faults().set_throttle(Some(1)),
            _ => world.server.faults().set_error_rate(1.0),
        }
        let objects = vec![prepared(config_map("a", &json!({"k": "v"})))];
        let mut done = Done::default();
        let error = Applier::new(&world.cluster, ApplyOptions::default())
            .apply(objects, &mut done)
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with(expect), "{error}");
        assert_eq!(done, Done::default());
        let error = prune(&world.cluster, &[entry(&config_map("a", &json!({})))], &owner(), &mut done)
            .await
            .unwrap_err();
        assert_eq!(error.survivors().count(), 1, "what was not deleted stays in the inventory");
        world.server.faults().clear();
    }
    assert_eq!(
        world.applied(vec![config_map("a", &json!({"k": "v"}))]).await,
        "ConfigMap/default/a configured"
    );
}

/// With errors in a third of all requests, applying again and again gets there, and what was created is always known.
#[tokio::test]
async fn a_flaky_server_is_overcome_and_no_object_is_lost() {
    let world = world().await;
    world.server.faults().set_error_rate(0.3);
    let objects =
        || (0..12).map(|n| prepared(config_map(&format!("m{n}"), &json!({"k": "v"})))).collect::<Vec<_>>();
    let mut known = std::collections::HashSet::new();
    let mut applied = false;
    for _ in 0..400 {
        let mut done = Done::default();
        let outcome = Applier::new(&world.cluster, ApplyOptions::default()).apply(objects(), &mut done).await;
        known.extend(done.entries().map(|entry| entry.id.name.clone()));
        if outcome.is_ok() {
            applied = true;
            break;
        }
        world.server.faults().set_error_rate(0.0);
        for n in 0..12 {
            let there = world.get(&format!("/api/v1/namespaces/default/configmaps/m{n}")).await.is_some();
            assert!(!there || known.contains(&format!("m{n}")), "m{n} was created and is not known");
        }
        world.server.faults().set_error_rate(0.05);
    }
    assert!(applied);
    assert_eq!(known.len(), 12);
}

#[tokio::test]
async fn a_write_whose_answer_is_not_seen_is_uncertain() {
    let world = world().await;
    let mut done = Done::default();
    let objects = (0..3).map(|n| prepared(config_map(&format!("m{n}"), &json!({})))).collect();
    {
        let applier = Applier::new(&world.cluster, ApplyOptions::default());
        world.server.faults().set_latency(Duration::from_millis(60));
        let apply = applier.apply(objects, &mut done);
        let cut = async {
            loop {
                let sent = world.requests.take();
                if sent.iter().any(|request| request.starts_with("PATCH") && !request.contains("dryRun")) {
                    world.server.faults().pause();
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        };
        tokio::select! {
            outcome = apply => panic!("it was to be cut off: {outcome:?}"),
            () = cut => {}
        }
    }
    world.server.faults().clear();
    assert_eq!(done.uncertain.len(), 1, "{done:?}");
    assert!(done.entries().count() >= 1);
}

#[tokio::test]
async fn a_takeover_survives_somebody_who_writes_all_the_time() {
    let world = world().await;
    let path = "/api/v1/namespaces/default/configmaps/a";
    world.applied(vec![config_map("a", &json!({"k": "v"}))]).await;
    let busy = async {
        for n in 0..40 {
            world.edit(path, "kubectl-edit", &json!({"data": {"n": n.to_string()}})).await;
        }
    };
    let applying = async {
        for _ in 0..10 {
            if let Err(error) = world.apply(vec![config_map("a", &json!({"k": "v"}))]).await {
                assert!(
                    error
                        .failed()
                        .iter()
                        .all(|failed| failed.step == Step::DryRun && failed.error.is_conflict()),
                    "{error}"
                );
            }
        }
    };
    tokio::join!(busy, applying);
    world.applied(vec![config_map("a", &json!({"k": "v"}))]).await;
    assert_eq!(world.get(path).await.unwrap()["data"], json!({"k": "v"}));
}

#[tokio::test]
async fn what_one_identity_was_told_is_not_told_to_another() {
    let world = world().await;
    let mut config = world.config.clone();
    config.auth_info.impersonate = Some("system:serviceaccount:default:tenant".into());
    let tenant = world.cluster.as_identity(Client::try_from(config).unwrap(), 7);
    let apply = async |cluster| {
        let objects = vec![prepared(config_map("a", &json!({})))];
        let mut done = Done::default();
        let applied = Applier::new(cluster, ApplyOptions::default()).apply(objects, &mut done).await;
        applied.map(|()| done.changes.to_string())
    };
    let error = apply(&tenant).await.unwrap_err().to_string();
    assert!(error.starts_with("ConfigMap/default/a dry-run failed (Forbidden): "), "{error}");
    assert!(error.contains("system:serviceaccount:default:tenant"), "{error}");
    assert_eq!(apply(&world.cluster).await.unwrap(), "ConfigMap/default/a created");
    assert_eq!(apply(&world.cluster).await.unwrap(), "ConfigMap/default/a unchanged");
    assert!(apply(&tenant).await.is_err());
}
