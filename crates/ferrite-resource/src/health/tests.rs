use super::*;
use serde_json::json;

const NOW: &str = "2026-01-01T00:01:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn of(object: &Value, pods: &[Value]) -> (Status, String) {
    let health = health(object, Context { now: now(), pods });
    (health.status, health.message)
}

#[track_caller]
fn check(object: &Value, status: Status, message: &str) {
    assert_eq!(of(object, &[]), (status, message.to_owned()), "{object}");
}

fn deployment(spec: &Value, status: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 1}, "spec": spec, "status": status})
}

#[test]
fn what_holds_for_every_kind_comes_first() {
    let of = |meta: Value, status: Value| json!({"apiVersion": "x/v1", "kind": "Thing", "metadata": meta, "status": status});
    check(
        &of(json!({"deletionTimestamp": "x"}), json!({})),
        Status::Terminating,
        "Resource scheduled for deletion",
    );
    check(
        &of(json!({"generation": 2}), json!({"observedGeneration": 1})),
        Status::InProgress,
        "Thing generation is 2, but latest observed generation is 1",
    );
    let condition = |name: &str, status: &str, message: &str| json!({"conditions": [{"type": name, "status": status, "message": message}]});
    check(&of(json!({}), condition("Reconciling", "True", "a")), Status::InProgress, "a");
    check(&of(json!({}), condition("Stalled", "True", "b")), Status::Failed, "b");
    check(&of(json!({}), condition("Stalled", "False", "b")), Status::Current, "Resource is current");
    check(&of(json!({}), condition("Ready", "True", "")), Status::Current, "Resource is Ready");
    check(&of(json!({}), condition("Ready", "False", "c")), Status::InProgress, "c");
    check(&of(json!({}), condition("Ready", "Unknown", "d")), Status::InProgress, "d");
    check(&json!({"kind": "Thing"}), Status::Current, "Resource is current");
}

#[test]
fn deployments() {
    let available = json!({"type": "Available", "status": "True"});
    let done = json!({"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"});
    let with = |conditions: Value, replicas: i64, updated: i64, ready: i64, available: i64| {
        json!({"conditions": conditions, "replicas": replicas, "updatedReplicas": updated,
            "readyReplicas": ready, "availableReplicas": available})
    };
    let spec = || json!({"replicas": 2, "progressDeadlineSeconds": 600});
    let both = json!([available, done]);
    for (spec, status, expect, message) in [
        (spec(), json!({}), Status::InProgress, "replicas: 0/2"),
        (spec(), with(both.clone(), 2, 1, 2, 2), Status::InProgress, "Updated: 1/2"),
        (spec(), with(both.clone(), 3, 2, 2, 2), Status::InProgress, "Pending termination: 1"),
        (spec(), with(both.clone(), 2, 2, 2, 1), Status::InProgress, "Available: 1/2"),
        (spec(), with(both.clone(), 2, 2, 1, 2), Status::InProgress, "Ready: 1/2"),
        (spec(), with(json!([available]), 2, 2, 2, 2), Status::InProgress, "ReplicaSet not Available"),
        (spec(), with(json!([done]), 2, 2, 2, 2), Status::InProgress, "Deployment not Available"),
        (spec(), with(both.clone(), 2, 2, 2, 2), Status::Current, "Deployment is available. Replicas: 2"),
        (
            json!({"replicas": 2}),
            with(json!([available]), 2, 2, 2, 2),
            Status::Current,
            "Deployment is available. Replicas: 2",
        ),
        (
            json!({"replicas": 0}),
            with(json!([available]), 0, 0, 0, 0),
            Status::Current,
            "Deployment is available. Replicas: 0",
        ),
        (
            spec(),
            json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}),
            Status::Failed,
            "Progress deadline exceeded",
        ),
    ] {
        check(&deployment(&spec, &status), expect, message);
    }
}

#[test]
fn stateful_sets_and_their_pods() {
    let set = |strategy: Value, status: Value| json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"replicas": 3, "updateStrategy": strategy}, "status": status});
    let counts = |replicas: i64, ready: i64, current: i64, updated: i64, revision: &str| {
        json!({"replicas": replicas, "readyReplicas": ready, "currentReplicas": current, "updatedReplicas": updated,
            "currentRevision": "a", "updateRevision": revision})
    };
    let rolling = || json!({"type": "RollingUpdate"});
    let partition = || json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
    for (strategy, status, expect, message) in [
        (
            json!({"type": "OnDelete"}),
            json!({}),
            Status::Current,
            "StatefulSet is using the ondelete update strategy",
        ),
        (rolling(), counts(1, 1, 1, 1, "a"), Status::InProgress, "Replicas: 1/3"),
        (rolling(), counts(3, 2, 3, 3, "a"), Status::InProgress, "Ready: 2/3"),
        (rolling(), counts(4, 4, 4, 4, "a"), Status::InProgress, "Pending termination: 1"),
        (rolling(), counts(3, 3, 2, 1, "a"), Status::InProgress, "current: 2/3"),
        (
            rolling(),
            counts(3, 3, 3, 3, "b"),
            Status::InProgress,
            "Waiting for updated revision to match current",
        ),
        (
            rolling(),
            counts(3, 3, 3, 3, "a"),
            Status::Current,
            "All replicas scheduled as expected. Replicas: 3",
        ),
        (partition(), counts(3, 3, 2, 0, "b"), Status::InProgress, "updated: 0/1"),
        (partition(), counts(3, 3, 2, 1, "b"), Status::Current, "Partition rollout complete. updated: 1"),
    ] {
        check(&set(strategy, status), expect, message);
    }
    let pod = |phase: &str, deleted: bool| {
        let meta = if deleted { json!({"deletionTimestamp": "x"}) } else { json!({}) };
        json!({"kind": "Pod", "metadata": meta, "status": {"phase": phase}})
    };
    let waiting = set(rolling(), counts(3, 2, 3, 3, "a"));
    assert_eq!(
        of(&waiting, &[pod("Failed", false), pod("Running", false)]),
        (Status::Failed, "1 pods have failed".into())
    );
    assert_eq!(of(&waiting, &[pod("Failed", true), pod("Pending", false)]).0, Status::InProgress);
    let ready = set(rolling(), counts(3, 3, 3, 3, "a"));
    assert_eq!(of(&ready, &[pod("Failed", false)]).0, Status::Current);
}

#[test]
fn replica_sets_and_daemon_sets() {
    let set = |status: Value| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {"replicas": 1}, "status": status});
    let counts = |labelled: i64, available: i64, ready: i64, replicas: i64| json!({"fullyLabeledReplicas": labelled, "availableReplicas": available, "readyReplicas": ready, "replicas": replicas});
    check(&set(counts(0, 1, 1, 1)), Status::InProgress, "Labelled: 0/1");
    check(&set(counts(1, 0, 1, 1)), Status::InProgress, "Available: 0/1");
    check(&set(counts(1, 1, 0, 1)), Status::InProgress, "Ready: 0/1");
    check(&set(counts(2, 2, 2, 2)), Status::InProgress, "Pending termination: 1");
    check(&set(counts(1, 1, 1, 1)), Status::Current, "ReplicaSet is available. Replicas: 1");
    check(
        &set(json!({"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "quota"}]})),
        Status::InProgress,
        "quota",
    );
    let daemons = |status: Value| json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"generation": 1}, "status": status});
    check(&daemons(json!({})), Status::InProgress, "Missing .status.observedGeneration");
    check(
        &daemons(json!({"observedGeneration": 1})),
        Status::InProgress,
        "Missing .status.desiredNumberScheduled",
    );
    let counts = |current: i64, updated: i64, available: i64, ready: i64| {
        json!({"observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": current,
            "updatedNumberScheduled": updated, "numberAvailable": available, "numberReady": ready})
    };
    check(&daemons(counts(1, 2, 2, 2)), Status::InProgress, "Current: 1/2");
    check(&daemons(counts(2, 1, 2, 2)), Status::InProgress, "Updated: 1/2");
    check(&daemons(counts(2, 2, 1, 2)), Status::InProgress, "Available: 1/2");
    check(&daemons(counts(2, 2, 2, 1)), Status::InProgress, "Ready: 1/2");
    check(&daemons(counts(2, 2, 2, 2)), Status::Current, "All replicas scheduled as expected. Replicas: 2");
}

#[test]
fn jobs_are_current_when_they_end_well_or_are_suspended() {
    let job = |spec: Value, status: Value| json!({"apiVersion": "batch/v1", "kind": "Job", "spec": spec, "status": status});
    let ended = |name: &str| json!({"conditions": [{"type": name, "status": "True", "message": "because"}]});
    check(
        &job(json!({}), json!({"active": 1})),
        Status::InProgress,
        "Job in progress. success:0, active: 1, failed: 0",
    );
    check(&job(json!({}), ended("Complete")), Status::Current, "Job Completed");
    check(&job(json!({}), ended("Failed")), Status::Failed, "because");
    check(&job(json!({"suspend": true}), json!({})), Status::Current, "Job Suspended");
    assert!(removes_itself(&job(json!({"ttlSecondsAfterFinished": 0}), json!({}))));
    assert!(!removes_itself(&job(json!({}), json!({}))));
    assert_eq!(Health::not_found(true).status, Status::Current);
    assert_eq!(Health::not_found(false).status, Status::NotFound);
}

#[test]
fn pods() {
    let pod = |created: &str, status: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"creationTimestamp": created}, "status": status});
    let early = "2026-01-01T00:00:00Z";
    let unschedulable = |message: &str| {
        json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]})
    };
    check(&pod(early, json!({"phase": "Succeeded"})), Status::Current, "Pod has completed successfully");
    check(
        &pod(early, json!({"phase": "Failed"})),
        Status::Current,
        "Pod has completed, but not successfully",
    );
    check(&pod(early, json!({"phase": "Pending"})), Status::InProgress, "Pod is in the Pending phase");
    check(&pod(early, json!({"phase": "Running"})), Status::InProgress, "Pod is running but is not Ready");
    check(&pod(early, json!({})), Status::InProgress, "Pod phase not available");
    let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    check(&pod(early, ready), Status::Current, "Pod is Ready");
    let looping = json!({"phase": "Running", "containerStatuses": [
        {"name": "a", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}, {"name": "b", "state": {"running": {}}}]});
    check(&pod(early, looping), Status::Failed, "The following containers are in CrashLoopBackOff: a");
    check(&pod(early, unschedulable("no nodes")), Status::Failed, "Pod could not be scheduled: no nodes");
    let young = health(&pod("2026-01-01T00:00:50Z", unschedulable("")), Context { now: now(), pods: &[] });
    assert_eq!((young.status, young.recheck), (Status::InProgress, Some(Duration::from_millis(5050))));
}

#[test]
fn kinds_that_need_little() {
    let of = |version: &str, kind: &str, spec: Value, status: Value| json!({"apiVersion": version, "kind": kind, "spec": spec, "status": status});
    let none = || json!({});
    check(
        &of("v1", "PersistentVolumeClaim", none(), json!({"phase": "Pending"})),
        Status::InProgress,
        "PVC is not Bound. phase: Pending",
    );
    check(
        &of("v1", "PersistentVolumeClaim", none(), json!({"phase": "Bound"})),
        Status::Current,
        "PVC is Bound",
    );
    check(
        &of("v1", "Service", json!({"type": "LoadBalancer"}), none()),
        Status::InProgress,
        "ClusterIP not set. Service type: LoadBalancer",
    );
    check(
        &of("v1", "Service", json!({"type": "LoadBalancer", "clusterIP": "1"}), none()),
        Status::Current,
        "Service is ready",
    );
    check(&of("v1", "Service", none(), none()), Status::Current, "Service is ready");
    check(&of("batch/v1", "CronJob", none(), none()), Status::Current, "CronJob is always ready");
    check(&of("v1", "Secret", none(), none()), Status::Current, "Resource is always ready");
    let crd = |conditions: Value| {
        of("apiextensions.k8s.io/v1", "CustomResourceDefinition", none(), json!({"conditions": conditions}))
    };
    let condition = |name: &str, status: &str, reason: &str| json!({"type": name, "status": status, "reason": reason, "message": "m"});
    check(&crd(json!([])), Status::InProgress, "Install in progress");
    check(&crd(json!([condition("NamesAccepted", "False", "")])), Status::Failed, "m");
    check(&crd(json!([condition("Established", "True", "")])), Status::Current, "CRD is established");
    check(
        &crd(json!([condition("Established", "False", "Installing")])),
        Status::InProgress,
        "Install in progress",
    );
    check(&crd(json!([condition("Established", "False", "Other")])), Status::Failed, "m");
}

#[test]
fn some_kinds_stay_current() {
    for (group, kind, expect) in [
        ("", "ConfigMap", true),
        ("", "Service", true),
        ("", "Pod", false),
        ("apps", "Deployment", false),
        ("batch", "Job", false),
        ("batch", "CronJob", true),
        ("rbac.authorization.k8s.io", "RoleBinding", true),
        ("apiextensions.k8s.io", "CustomResourceDefinition", false),
        ("example.org", "ConfigMap", false),
    ] {
        assert_eq!(stays_current(&ObjectId::new(group, kind, "n", "x")), expect, "{group}/{kind}");
    }
}

#[test]
fn expressions_replace_the_rules_of_the_kind() {
    let object = |observed: i64| {
        json!({"metadata": {"generation": 2}, "status": {"observedGeneration": observed,
            "conditions": [{"type": "Ready", "status": "False", "message": "why"}]}})
    };
    let check = |observed: i64, holds: &[Expression], error: Option<Expression>| {
        let health = by_expressions(&object(observed), |expression| match error {
            Some(at) if at == expression => Err("no such key: x".to_owned()),
            _ => Ok(holds.contains(&expression)),
        });
        format!("{}: {}", health.status, health.message)
    };
    assert_eq!(check(1, &[Expression::Current], None), "InProgress: latest generation is not observed yet");
    assert_eq!(check(2, &[Expression::Current], None), "Current: why");
    assert_eq!(check(2, &[Expression::Current, Expression::Failed], None), "Failed: why");
    assert_eq!(check(2, &[Expression::InProgress, Expression::Failed], None), "InProgress: why");
    assert_eq!(check(2, &[], None), "InProgress: why");
    assert_eq!(check(2, &[], Some(Expression::Failed)), "Unknown: no such key: x");
}

#[test]
fn evidence_names_the_worst_pod() {
    let pod = |name: &str, status: Value| json!({"metadata": {"name": name}, "status": status});
    let waits = |reason: &str, message: &str| {
        json!({"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": reason, "message": message}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]})
    };
    let workload = deployment(
        &json!({}),
        &json!({"conditions": [
        {"type": "Available", "status": "False", "message": "Deployment does not have minimum availability."}]}),
    );
    for (pods, expect) in [
        (vec![], "Available: Deployment does not have minimum availability."),
        (
            vec![
                pod(
                    "a",
                    json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no nodes"}]}),
                ),
                pod("b", waits("ImagePullBackOff", "Back-off pulling image \"x:1\"")),
            ],
            "pod b: container app waits: ImagePullBackOff: Back-off pulling image \"x:1\", last exited with code 1 (Error)",
        ),
        (
            vec![pod("c", waits("ContainerCreating", ""))],
            "Available: Deployment does not have minimum availability.",
        ),
    ] {
        assert_eq!(evidence(&workload, &pods).as_deref(), Some(expect));
    }
    let long = evidence(&workload, &[pod("d", waits("X", &"ü".repeat(1000)))]).unwrap();
    assert_eq!(long.chars().count(), 301);
    assert_eq!(evidence(&json!({}), &[]), None);
}

#[test]
fn pods_are_found_by_the_selector_of_their_workload() {
    let object = json!({"kind": "StatefulSet", "metadata": {"namespace": "n"}, "spec": {"selector": {
        "matchLabels": {"app": "x"}, "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["1", "2"]}, {"key": "b", "operator": "DoesNotExist"}]}}});
    assert_eq!(
        PodQuery::of(&object),
        Some(PodQuery { namespace: "n".into(), selector: "app=x,a in (1,2),!b".into(), decides: true })
    );
    assert_eq!(PodQuery::of(&json!({"kind": "StatefulSet", "spec": {"selector": {}}})), None);
    assert_eq!(PodQuery::of(&json!({"kind": "ConfigMap"})), None);
}
