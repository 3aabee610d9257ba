use ferrite_apply::{Done, WaitOptions, prune, wait_gone};
use ferrite_resource::{Entry, Inventory};
use serde_json::json;

use crate::world::{config_map, crd, entry, owner, prepared, world};

#[tokio::test]
async fn only_what_the_owner_applied_is_deleted_in_reverse_order() {
    let world = world().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}});
    let mut kept = config_map("kept", &json!({}));
    kept["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/prune": "disabled"});
    let mine = config_map("mine", &json!({}));
    let moved = config_map("moved", &json!({}));
    let missing = config_map("missing", &json!({}));
    let objects = vec![namespace, service, kept, mine, moved.clone()];
    let inventory: Inventory = objects.iter().map(entry).chain([entry(&missing)]).collect();
    world.applied(objects).await;
    world
        .edit(
            "/api/v1/namespaces/default/configmaps/moved",
            "other",
            &json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "other"}}}),
        )
        .await;

    let mut done = Done::default();
    prune(&world.cluster, &inventory.stale(&Inventory::default()), &owner(), &mut done).await.unwrap();
    assert_eq!(
        done.changes.to_string(),
        "Service/default/s deleted\nConfigMap/default/moved skipped\nConfigMap/default/missing deleted\n\
         ConfigMap/default/mine deleted\nConfigMap/default/kept skipped\nNamespace/shop deleted"
    );
    for (name, there) in [("kept", true), ("mine", false), ("moved", true)] {
        let path = format!("/api/v1/namespaces/default/configmaps/{name}");
        assert_eq!(world.get(&path).await.is_some(), there, "{name}");
    }
}

#[tokio::test]
async fn an_object_whose_kind_is_gone_is_gone() {
    let world = world().await;
    let thing = json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "default"}});
    world.applied(vec![crd("things", "Thing"), thing.clone()]).await;
    let mut old = entry(&thing);
    old.version = "v1alpha1".into();
    let mut done = Done::default();
    prune(&world.cluster, &[old], &owner(), &mut done).await.unwrap();
    assert!(
        world.get("/apis/example.org/v1/namespaces/default/things/t").await.is_none(),
        "found in another version"
    );

    let never = Entry::of(
        &json!({"apiVersion": "gone.org/v1", "kind": "Gone", "metadata": {"name": "g", "namespace": "a"}}),
    );
    prune(&world.cluster, &[never.unwrap()], &owner(), &mut done).await.unwrap();
    assert_eq!(done.changes.to_string(), "Thing/default/t deleted\nGone/a/g deleted");
}

#[tokio::test]
async fn survivors_are_told_and_the_others_are_deleted() {
    let world = world().await;
    let (one, two) = (config_map("one", &json!({})), config_map("two", &json!({})));
    world.applied(vec![one.clone(), two.clone()]).await;
    let mut bad = entry(&one);
    bad.id.name = "..".into();
    let mut done = Done::default();
    let error = prune(&world.cluster, &[bad, entry(&two)], &owner(), &mut done).await.unwrap_err();
    assert!(
        error.to_string().starts_with("delete failed, errors: ConfigMap/default/.. query failed: "),
        "{error}"
    );
    assert_eq!(error.survivors().count(), 1);
    assert_eq!(done.changes.to_string(), "ConfigMap/default/two deleted");
}

#[tokio::test]
async fn a_finalizer_is_waited_for() {
    let world = world().await;
    let path = "/api/v1/namespaces/default/configmaps/a";
    let mut object = config_map("a", &json!({}));
    object["metadata"]["finalizers"] = json!(["example.org/hold"]);
    let id = entry(&prepared(object.clone()));
    world.applied(vec![object]).await;
    prune(&world.cluster, std::slice::from_ref(&id), &owner(), &mut Done::default()).await.unwrap();
    let short = WaitOptions { timeout: std::time::Duration::from_millis(300), ..WaitOptions::default() };
    let error =
        wait_gone(&world.cluster, vec![id.clone()], &short, std::future::pending()).await.unwrap_err();
    assert_eq!(error.to_string(), "timeout waiting for: [ConfigMap/default/a status: 'Terminating']");
    let release = async {
        world.edit(path, "x", &json!({"metadata": {"finalizers": null}})).await;
    };
    let options = WaitOptions::default();
    let (gone, ()) =
        tokio::join!(wait_gone(&world.cluster, vec![id], &options, std::future::pending()), release);
    assert_eq!(gone, Ok(()));
}

#[tokio::test]
async fn an_object_is_found_when_its_version_is_not_served_any_more() {
    let world = world().await;
    let definition = |served: bool| {
        let mut definition = crd("things", "Thing");
        let mut old = definition["spec"]["versions"][0].clone();
        old["name"] = json!("v1alpha1");
        old["served"] = json!(served);
        old["storage"] = json!(false);
        definition["spec"]["versions"].as_array_mut().unwrap().push(old);
        definition
    };
    let thing = json!({"apiVersion": "example.org/v1alpha1", "kind": "Thing", "metadata": {"name": "t", "namespace": "default"}});
    world.applied(vec![definition(true), thing.clone()]).await;
    world.applied(vec![definition(false)]).await;
    let path = "/apis/example.org/v1/namespaces/default/things/t";
    assert!(world.get(path).await.is_some());
    let mut done = Done::default();
    prune(&world.cluster, &[entry(&thing)], &owner(), &mut done).await.unwrap();
    assert_eq!(done.changes.to_string(), "Thing/default/t deleted");
    assert!(world.get(path).await.is_none());
}
