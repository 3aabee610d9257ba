use ferrite_apply::{Applier, ApplyOptions, Step};
use ferrite_resource::{
    Action, Managers, StageKinds,
    ignore::{IgnoreRules, RuleSpec, TargetSpec},
};
use serde_json::{Value, json};

use crate::world::{config_map, crd, deployment, world, world_with};

const MAP: &str = "/api/v1/namespaces/default/configmaps/a";

#[tokio::test]
async fn objects_are_created_in_order_then_left_alone_then_repaired() {
    let world = world().await;
    let objects = || {
        vec![
            deployment("web", 1, &json!({})),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"}, "stringData": {"k": "v"}}),
            config_map("a", &json!({"k": "v"})),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        ]
    };
    assert_eq!(
        world.applied(objects()).await,
        "Namespace/shop created\nConfigMap/default/a created\nSecret/shop/s created\nDeployment/default/web created"
    );
    let live = world.get(MAP).await.unwrap();
    assert_eq!(live["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"], "app");
    assert_eq!(live["metadata"]["managedFields"][0]["manager"], "kustomize-controller");
    assert_eq!(live["metadata"]["managedFields"][0]["operation"], "Apply");

    world.requests.take();
    let unchanged = "Namespace/shop unchanged\nConfigMap/default/a unchanged\nSecret/shop/s unchanged\n\
                     Deployment/default/web unchanged";
    assert_eq!(world.applied(objects()).await, unchanged);
    let again = world.requests.take();
    assert!(
        again.iter().all(|request| request.starts_with("GET")) && again.len() == 4,
        "one GET each: {again:?}"
    );

    let audit = ApplyOptions { audit: true, ..ApplyOptions::default() };
    assert_eq!(world.apply_with(objects(), audit).await.unwrap().changes.to_string(), unchanged);
    assert_eq!(world.requests.take().iter().filter(|request| request.contains("dryRun=All")).count(), 4);

    world.edit(MAP, "somebody", &json!({"data": {"k": "theirs"}})).await;
    assert_eq!(
        world.applied(objects()).await,
        "Namespace/shop unchanged\nConfigMap/default/a configured\nSecret/shop/s unchanged\nDeployment/default/web unchanged"
    );
    assert_eq!(world.get(MAP).await.unwrap()["data"], json!({"k": "v"}));
}

#[tokio::test]
async fn what_kubectl_set_is_taken_over_and_removed() {
    let world = world().await;
    let objects = || vec![config_map("a", &json!({"k": "v"}))];
    world.applied(objects()).await;
    world.edit(MAP, "kubectl-edit", &json!({"data": {"extra": "x"}})).await;
    world.edit(MAP, "helm", &json!({"data": {"theirs": "y"}})).await;
    assert_eq!(world.applied(objects()).await, "ConfigMap/default/a configured");
    let live = world.get(MAP).await.unwrap();
    assert_eq!(live["data"], json!({"k": "v", "theirs": "y"}));
    assert_eq!(world.applied(objects()).await, "ConfigMap/default/a unchanged");

    let overriding = ApplyOptions {
        managers: Managers { overrides: vec!["helm".into()], ..Managers::default() },
        audit: true,
        ..ApplyOptions::default()
    };
    let done = world.apply_with(objects(), overriding).await.unwrap();
    assert_eq!(done.changes.to_string(), "ConfigMap/default/a configured");
    assert_eq!(world.get(MAP).await.unwrap()["data"], json!({"k": "v"}));
}

#[tokio::test]
async fn fields_that_are_not_wanted_any_more_go() {
    let world = world().await;
    world.applied(vec![config_map("a", &json!({"k": "v", "old": "x"}))]).await;
    world.applied(vec![config_map("a", &json!({"k": "v"}))]).await;
    assert_eq!(world.get(MAP).await.unwrap()["data"], json!({"k": "v"}));
}

#[tokio::test]
async fn a_definition_and_its_objects_go_in_one_apply() {
    let world = world().await;
    let thing = json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "default"}, "spec": {"a": 1}});
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1});
    assert_eq!(
        world.applied(vec![thing.clone(), class, crd("things", "Thing")]).await,
        "CustomResourceDefinition/things.example.org created\nPriorityClass/high created\nThing/default/t created"
    );
    let kinds = StageKinds::parse("example.org/Thing");
    let options = ApplyOptions { stage_kinds: kinds, ..ApplyOptions::default() };
    let done = world.apply_with(vec![config_map("a", &json!({})), thing], options).await.unwrap();
    assert_eq!(done.changes.to_string(), "Thing/default/t unchanged\nConfigMap/default/a created");
}

#[tokio::test]
async fn one_refused_object_keeps_its_stage_from_being_written_and_all_are_told() {
    let world = world().await;
    let wrong = |name: &str| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": {"ports": "none"}});
    let objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        config_map("a", &json!({"k": "v"})),
        wrong("one"),
        wrong("two"),
        json!({"apiVersion": "example.org/v1", "kind": "Nothing", "metadata": {"name": "x", "namespace": "default"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "lost"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "far", "namespace": "nowhere"}}),
    ];
    let error = world.apply(objects).await.unwrap_err();
    assert!(error.failed().iter().all(|failed| failed.step == Step::DryRun));
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "ConfigMap/lost namespace not specified: the server could not find the requested resource"
    );
    assert_eq!(lines[1], "ConfigMap/nowhere/far not found: namespaces \"nowhere\" not found");
    assert!(lines[2].starts_with("Service/default/one dry-run failed"), "{text}");
    assert!(lines[3].starts_with("Service/default/two dry-run failed"), "{text}");
    assert_eq!(
        lines[4],
        "Nothing/default/x dry-run failed: no matches for kind \"Nothing\" in version \"example.org/v1\""
    );
    assert_eq!(lines[5], "Namespace/shop created");
    assert_eq!(lines.len(), 6, "{text}");
    assert!(world.get(MAP).await.is_none());
}

#[tokio::test]
async fn immutable_changes_are_made_by_creating_anew_only_when_allowed() {
    let world = world().await;
    let with = |scope: &str, annotations: &Value| {
        let mut object = crd("things", "Thing");
        object["spec"]["scope"] = json!(scope);
        object["metadata"]["annotations"] = annotations.clone();
        object
    };
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.org";
    let id = "CustomResourceDefinition/things.example.org";
    world.applied(vec![with("Namespaced", &json!({}))]).await;
    let uid = world.get(path).await.unwrap()["metadata"]["uid"].clone();
    let error = world.apply(vec![with("Cluster", &json!({}))]).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{id} dry-run failed (Invalid): ")), "{error}");

    let force = ApplyOptions { force: true, ..ApplyOptions::default() };
    let done = world.apply_with(vec![with("Cluster", &json!({}))], force).await.unwrap();
    assert_eq!(done.changes.to_string(), format!("{id} created"));
    assert_ne!(world.get(path).await.unwrap()["metadata"]["uid"], uid);

    let marked = json!({"kustomize.toolkit.fluxcd.io/force": "Enabled"});
    assert_eq!(world.applied(vec![with("Namespaced", &marked)]).await, format!("{id} created"));
    let thing = json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "default"}});
    assert_eq!(world.applied(vec![thing]).await, "Thing/default/t created", "its new scope is learnt");
}

#[tokio::test]
async fn excluded_objects_are_skipped() {
    let world = world().await;
    let marked = |key: &str, value: &str, data: &str| {
        let mut object = config_map("a", &json!({"k": data}));
        object["metadata"]["annotations"] = json!({format!("kustomize.toolkit.fluxcd.io/{key}"): value});
        object
    };
    assert_eq!(
        world.applied(vec![marked("reconcile", "disabled", "1")]).await,
        "ConfigMap/default/a skipped"
    );
    assert_eq!(world.applied(vec![marked("ssa", "Ignore", "1")]).await, "ConfigMap/default/a skipped");
    assert!(world.get(MAP).await.is_none());
    assert_eq!(world.applied(vec![marked("ssa", "IfNotPresent", "1")]).await, "ConfigMap/default/a created");
    assert_eq!(world.applied(vec![marked("ssa", "IfNotPresent", "2")]).await, "ConfigMap/default/a skipped");
    assert_eq!(
        world.applied(vec![config_map("a", &json!({"k": "3"}))]).await,
        "ConfigMap/default/a configured"
    );
    let disabled =
        json!({"metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}}});
    world.edit(MAP, "kubectl-annotate", &disabled).await;
    assert_eq!(world.applied(vec![config_map("a", &json!({"k": "4"}))]).await, "ConfigMap/default/a skipped");
    assert_eq!(world.get(MAP).await.unwrap()["data"]["k"], "3");
}

#[tokio::test]
async fn merge_mode_keeps_the_fields_of_others() {
    let world = world().await;
    let object = || {
        let mut object = config_map("a", &json!({"k": "v"}));
        object["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/ssa": "Merge"});
        vec![object]
    };
    world.applied(object()).await;
    world.edit(MAP, "kubectl-edit", &json!({"data": {"extra": "x", "k": "theirs"}})).await;
    assert_eq!(world.applied(object()).await, "ConfigMap/default/a configured");
    assert_eq!(world.get(MAP).await.unwrap()["data"], json!({"k": "v", "extra": "x"}));
}

#[tokio::test]
async fn ignored_fields_are_neither_drift_nor_overwritten() {
    let world = world().await;
    let path = "/apis/apps/v1/namespaces/default/deployments/web";
    let options = || {
        let rule = RuleSpec {
            paths: vec!["/spec/replicas".into()],
            target: Some(TargetSpec { kind: "Deployment".into(), ..TargetSpec::default() }),
        };
        ApplyOptions { ignore: IgnoreRules::parse(&[rule]).unwrap(), ..ApplyOptions::default() }
    };
    world.apply_with(vec![deployment("web", 1, &json!({}))], options()).await.unwrap();
    assert_eq!(world.get(path).await.unwrap()["spec"]["replicas"], 1, "nothing is ignored on creation");
    world.edit(path, "autoscaler", &json!({"spec": {"replicas": 5}})).await;
    let done = world.apply_with(vec![deployment("web", 1, &json!({}))], options()).await.unwrap();
    assert_eq!(done.changes.to_string(), "Deployment/default/web unchanged");
    let done = world.apply_with(vec![deployment("web", 1, &json!({"a": "b"}))], options()).await.unwrap();
    assert_eq!(done.changes.to_string(), "Deployment/default/web configured");
    let live = world.get(path).await.unwrap();
    assert_eq!((&live["spec"]["replicas"], &live["metadata"]["annotations"]["a"]), (&json!(5), &json!("b")));
    assert_eq!(
        world.applied(vec![deployment("web", 1, &json!({"a": "b"}))]).await,
        "Deployment/default/web configured"
    );
    assert_eq!(world.get(path).await.unwrap()["spec"]["replicas"], 1, "without the rule it is drift");
}

#[tokio::test]
async fn a_preview_says_what_would_change_and_changes_nothing() {
    let world = world_with(false).await;
    let secret = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}, "stringData": {"k": value}});
    let objects = |n: u32, value: &str| {
        vec![deployment("web", n, &json!({})), secret(value), config_map("a", &json!({"k": "v"}))]
    };
    world.applied(objects(1, "hunter2")).await;
    let before = world.server.resource_version();
    let new = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b", "namespace": "shop"}, "data": {}}),
        crd("things", "Thing"),
        json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "default"}}),
    ];
    let objects = objects(3, "hunter3").into_iter().chain(new).map(crate::world::prepared).collect();
    let previews = Applier::new(&world.cluster, ApplyOptions::default()).preview(objects).await.unwrap();
    let told: Vec<String> = previews
        .iter()
        .map(|preview| {
            let fields: Vec<String> = if preview.action == Action::Configured {
                preview.diff.fields.iter().map(ToString::to_string).collect()
            } else {
                Vec::new()
            };
            format!("{} {} {}", preview.entry.id, preview.action, fields.join(", ")).trim_end().to_owned()
        })
        .collect();
    assert_eq!(
        told,
        [
            "CustomResourceDefinition/things.example.org created",
            "Namespace/shop created",
            "ConfigMap/default/a unchanged",
            "ConfigMap/shop/b created",
            "Secret/default/s configured data.k: *** (before) → *** (after)",
            "Deployment/default/web configured spec.replicas: 1 → 3",
            "Thing/default/t created",
        ]
    );
    assert_eq!(world.server.resource_version(), before, "nothing was written");
}
