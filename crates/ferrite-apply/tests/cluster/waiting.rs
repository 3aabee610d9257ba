use std::time::{Duration, Instant};

use ferrite_apply::{Cluster, WaitError, WaitOptions, WaitTarget, wait};
use ferrite_resource::{Health, Status};
use kube::Client;
use serde_json::{Value, json};

use crate::world::{config_map, crd, deployment, entry, owner, world, world_with};

fn short(millis: u64) -> WaitOptions<'static> {
    WaitOptions { timeout: Duration::from_millis(millis), ..WaitOptions::default() }
}

#[tokio::test]
async fn workloads_are_ready_as_soon_as_they_are() {
    let world = world().await;
    let objects: Vec<Value> = (0..5).map(|n| deployment(&format!("web{n}"), 1, &json!({}))).collect();
    let mut targets: Vec<_> = objects.iter().map(entry).collect();
    targets.push(entry(&config_map("a", &json!({}))));
    let started = Instant::now();
    world.applied(objects.into_iter().chain([config_map("a", &json!({}))]).collect()).await;
    let owner = owner();
    let options = WaitOptions { owner: Some(&owner), ..WaitOptions::default() };
    wait(&world.cluster, targets, &options, std::future::pending()).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_never_gets_ready_is_told_with_evidence() {
    let world = world().await;
    let object = deployment("web", 1, &json!({"ferrite.dev/hang": "true"}));
    let target = entry(&object);
    world.applied(vec![object, config_map("a", &json!({}))]).await;
    let missing = entry(&config_map("missing", &json!({})));
    let unknown = entry(
        &json!({"apiVersion": "x.org/v1", "kind": "Nothing", "metadata": {"name": "n", "namespace": "default"}}),
    );
    let error = wait(&world.cluster, vec![target, missing, unknown], &short(600), std::future::pending())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "timeout waiting for: [ConfigMap/default/missing status: 'NotFound', Deployment/default/web status: 'InProgress', \
         Nothing/default/n status: 'Unknown': no matches for kind \"Nothing\" in version \"x.org/v1\"]"
    );
    let unready = error.unready().unwrap();
    assert!(unready.elapsed >= Duration::from_millis(600));
    assert!(unready.objects[1].evidence.is_some(), "{unready:?}");
}

#[tokio::test]
async fn a_failed_object_ends_the_wait_at_once_unless_that_is_not_wanted() {
    let world = world().await;
    let thing = |name: &str| json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": name, "namespace": "default"}});
    world.applied(vec![crd("things", "Thing"), thing("bad"), thing("slow")]).await;
    let status = |kind: &str| json!({"status": {"conditions": [{"type": kind, "status": "True", "message": "broken"}]}});
    let path = |name: &str| format!("/apis/example.org/v1/namespaces/default/things/{name}/status");
    world.edit(&path("bad"), "x", &status("Stalled")).await;
    world.edit(&path("slow"), "x", &status("Reconciling")).await;
    let targets = || vec![entry(&thing("bad")), entry(&thing("slow"))];
    let error = wait(&world.cluster, targets(), &short(20_000), std::future::pending()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "failed early due to stalled resources: [Thing/default/bad status: 'Failed']"
    );
    assert_eq!(
        format!("{error:#}"),
        "failed early due to stalled resources: [Thing/default/bad status: 'Failed': broken]"
    );
    let patient = WaitOptions { fail_fast: false, ..short(400) };
    let error = wait(&world.cluster, targets(), &patient, std::future::pending()).await.unwrap_err();
    assert!(matches!(error, WaitError::Timeout(_)), "{error}");
    world.edit(&path("slow"), "x", &status("Ready")).await;
    let error = wait(&world.cluster, targets(), &patient, std::future::pending()).await.unwrap_err();
    assert!(matches!(error, WaitError::Failed(_)), "{error}");
}

#[tokio::test]
async fn the_status_changes_while_it_is_watched() {
    let world = world().await;
    let names: Vec<String> = (0..6).map(|n| format!("t{n}")).collect();
    let thing = |name: &String| json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": name, "namespace": "default"}});
    world.applied([crd("things", "Thing")].into_iter().chain(names.iter().map(thing)).collect()).await;
    let set = |name: String, ready: &'static str| {
        let world = &world;
        async move {
            let path = format!("/apis/example.org/v1/namespaces/default/things/{name}/status");
            world
                .edit(&path, "x", &json!({"status": {"conditions": [{"type": "Ready", "status": ready}]}}))
                .await;
        }
    };
    for name in &names {
        set(name.clone(), "False").await;
    }
    let targets: Vec<_> = names.iter().map(|name| entry(&thing(name))).collect();
    let options = short(20_000);
    let change = async {
        for name in &names {
            world.server.faults().drop_watches();
            set(name.clone(), "True").await;
        }
    };
    let (waited, ()) = tokio::join!(wait(&world.cluster, targets, &options, std::future::pending()), change);
    assert_eq!(waited, Ok(()));
}

#[tokio::test]
async fn expressions_and_cancellation_and_jobs_that_remove_themselves() {
    let world = world().await;
    let map = config_map("a", &json!({"phase": "Starting"}));
    let target = entry(&map);
    world.applied(vec![map]).await;
    let custom = |object: &Value| {
        let status = if object["data"]["phase"] == "Up" { Status::Current } else { Status::InProgress };
        (object["kind"] == "ConfigMap").then(|| Health::new(status, ""))
    };
    let options = WaitOptions { custom: Some(&custom), ..short(20_000) };
    let cancelled = wait(&world.cluster, vec![target.clone()], &options, async {}).await;
    assert_eq!(cancelled, Err(WaitError::Cancelled));
    let up = async {
        world.edit("/api/v1/namespaces/default/configmaps/a", "x", &json!({"data": {"phase": "Up"}})).await;
    };
    let (waited, ()) = tokio::join!(wait(&world.cluster, vec![target], &options, std::future::pending()), up);
    assert_eq!(waited, Ok(()));

    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "default"}, "spec": {"ttlSecondsAfterFinished": 0}});
    let target = WaitTarget::applied(entry(&job), &job);
    assert_eq!(wait(&world.cluster, vec![target], &short(5000), std::future::pending()).await, Ok(()));
}

#[tokio::test]
async fn an_identity_that_may_not_watch_reads() {
    let world = world().await;
    let map = config_map("a", &json!({}));
    let target = entry(&map);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r", "namespace": "default"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "r", "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "tenant", "namespace": "default"}]});
    world.applied(vec![map, role, binding]).await;
    let mut config = world.config.clone();
    config.auth_info.impersonate = Some("system:serviceaccount:default:tenant".into());
    let tenant = Cluster::new(Client::try_from(config).unwrap());
    wait(&tenant, vec![target], &short(5000), std::future::pending()).await.unwrap();
    let secret = entry(
        &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}}),
    );
    let error =
        wait(&tenant, vec![secret], &short(500), std::future::pending()).await.unwrap_err().to_string();
    assert!(
        error.starts_with(
            "timeout waiting for: [Secret/default/s status: 'Unknown': secrets \"s\" is forbidden"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_flaky_server_is_waited_through() {
    let world = world().await;
    let names: Vec<String> = (0..4).map(|n| format!("t{n}")).collect();
    let thing = |name: &String| json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": name, "namespace": "default"}});
    world.applied([crd("things", "Thing")].into_iter().chain(names.iter().map(thing)).collect()).await;
    let set = |name: String, ready: &'static str| {
        let world = &world;
        async move {
            let path = format!("/apis/example.org/v1/namespaces/default/things/{name}/status");
            world
                .edit(&path, "x", &json!({"status": {"conditions": [{"type": "Ready", "status": ready}]}}))
                .await;
        }
    };
    set("t0".into(), "False").await;
    let targets: Vec<_> = names.iter().map(|name| entry(&thing(name))).collect();
    let options = short(20_000);
    let trouble = async {
        world.server.faults().set_error_rate(0.8);
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            world.server.faults().drop_watches();
        }
        world.server.faults().clear();
        tokio::time::sleep(Duration::from_millis(100)).await;
        set("t0".into(), "True").await;
    };
    let (waited, ()) = tokio::join!(wait(&world.cluster, targets, &options, std::future::pending()), trouble);
    assert_eq!(waited, Ok(()));
}

#[tokio::test]
async fn a_failed_pod_fails_its_set_and_is_named() {
    let world = world_with(false).await;
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "default"},
        "spec": {"replicas": 1, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": {
            "metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "example.org/db:1"}]}}}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db-0", "namespace": "default", "labels": {"app": "db"}},
        "spec": {"containers": [{"name": "c", "image": "example.org/db:1"}]}});
    let target = entry(&set);
    world.applied(vec![set, pod]).await;
    let options = short(20_000);
    let fail = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let status = json!({"status": {"phase": "Failed", "containerStatuses": [{"name": "c", "image": "x", "imageID": "",
            "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 3, "reason": "Error", "message": "disk full"}}}]}});
        world.edit("/api/v1/namespaces/default/pods/db-0/status", "kubelet", &status).await;
    };
    let (waited, ()) =
        tokio::join!(wait(&world.cluster, vec![target], &options, std::future::pending()), fail);
    assert_eq!(
        format!("{:#}", waited.unwrap_err()),
        "failed early due to stalled resources: [StatefulSet/default/db status: 'Failed': \
         pod db-0: container c exited with code 3 (Error): disk full]"
    );
}
