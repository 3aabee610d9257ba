//! Where charts come from, what they define, and as whom they are released.

use ferrite_helm_controller::Config;
use ferrite_testkit::wait_for;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use crate::world::{PATIENCE, World, condition, message};

const MAP: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map\ndata:\n  version: {{ .Chart.Version }}\n";

/// A HelmRelease whose chart is that of a source.
async fn of_source(world: &World, kind: &str) {
    world
        .apply(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "app"},
            "spec": {"interval": "1h", "chartRef": {"kind": kind, "name": "web"}},
        }))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_is_another_version() {
    let world = World::start().await;
    world
        .apply(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository", "metadata": {"name": "web"},
            "spec": {"interval": "1h", "url": "oci://registry.example.org/web", "ref": {"tag": "1.0.0"}},
        }))
        .await;
    of_source(&world, "OCIRepository").await;
    let app = world.failed("app", "SourceNotReady").await;
    assert!(message(&app, "Ready").starts_with("OCIRepository 'default/web' is not ready: "));
    let first = format!("1.0.0@sha256:{}", "ab".repeat(32));
    world.artifact("OCIRepository", "web", "1.0.0", &first, &[("templates/map.yaml", MAP)]).await;
    let app = world.ready("app").await;
    assert_eq!(
        message(&app, "Ready"),
        "Helm install succeeded for release default/app.v1 with chart web@1.0.0+abababababab"
    );
    assert_eq!(app["status"]["lastAttemptedRevisionDigest"], format!("sha256:{}", "ab".repeat(32)));
    assert_eq!(app["status"]["history"][0]["ociDigest"], app["status"]["lastAttemptedRevisionDigest"]);
    let second = format!("1.0.0@sha256:{}", "cd".repeat(32));
    world.artifact("OCIRepository", "web", "1.0.0", &second, &[("templates/map.yaml", MAP)]).await;
    world
        .until("the moved tag is released", "HelmRelease/app", |o| {
            o["status"]["history"][0]["chartVersion"] == "1.0.0+cdcdcdcdcdcd"
                && condition(o, "Ready")["status"] == "True"
        })
        .await;
    assert_eq!(world.get("ConfigMap/map").await["data"]["version"], "1.0.0+cdcdcdcdcdcd");
}

#[tokio::test(flavor = "multi_thread")]
async fn external_artifacts_need_their_gate() {
    let artifact = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "ExternalArtifact", "metadata": {"name": "web"}, "spec": {},
    });
    let world = World::start().await;
    world.apply(artifact.clone()).await;
    of_source(&world, "ExternalArtifact").await;
    let app = world.failed("app", "AccessDenied").await;
    let text = "can't access 'ExternalArtifact/default/web', ExternalArtifact feature gate is disabled";
    assert_eq!(message(&app, "Stalled"), text);

    let world = World::with(Config { external_artifact: true, ..Config::default() }).await;
    world.apply(artifact).await;
    of_source(&world, "ExternalArtifact").await;
    world.artifact("ExternalArtifact", "web", "1.0.0", "latest", &[("templates/map.yaml", MAP)]).await;
    let app = world.ready("app").await;
    assert_eq!(app["status"]["lastAttemptedRevision"], "1.0.0");
}

/// A definition with this short name.
fn definition(short: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: things.example.org}}\n\
         spec:\n  group: example.org\n  scope: Namespaced\n  names: {{kind: Thing, plural: things, singular: thing, shortNames: [{short}]}}\n  \
         versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}}}]\n"
    )
}

async fn short_names(world: &World) -> Value {
    let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let api: Api<DynamicObject> = Api::all_with(world.client.clone(), &ApiResource::from_gvk(&gvk));
    let found = api.get_opt("things.example.org").await.unwrap();
    found.map_or(Value::Null, |crd| crd.data["spec"]["names"]["shortNames"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_are_made_and_replaced_as_the_spec_says() {
    const THING: &str = "apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: one}\n";
    let world = World::start().await;
    world.release("app", json!({"install": {"crds": "Skip"}})).await;
    world.until("it is made", "HelmChart/default-app", |_| true).await;
    let chart = async |version: &str, short: &str| {
        let text = definition(short);
        let files = [("crds/things.yaml", text.as_str()), ("templates/thing.yaml", THING)];
        world.chart("default-app", version, &files).await;
    };
    chart("1.0.0", "a").await;
    let app = world.failed("app", "InstallFailed").await;
    let why = "unable to build kubernetes objects from release manifest: resource mapping not found for name: \"one\"";
    assert!(message(&app, "Ready").contains(why), "{}", message(&app, "Ready"));
    world.merge("HelmRelease/app", json!({"spec": {"install": {"crds": "Create"}}})).await;
    let app = world.ready("app").await;
    assert_eq!(short_names(&world).await, json!(["a"]));
    let ids: Vec<&Value> =
        app["status"]["inventory"]["entries"].as_array().unwrap().iter().map(|entry| &entry["id"]).collect();
    let expect = [
        "default_one_example.org_Thing",
        "_things.example.org_apiextensions.k8s.io_CustomResourceDefinition",
    ];
    assert_eq!(ids, expect);

    let released = async |version: &str| {
        let wanted = |o: &Value| {
            o["status"]["history"][0]["chartVersion"] == version && condition(o, "Ready")["status"] == "True"
        };
        world.until(version, "HelmRelease/app", wanted).await;
    };
    chart("1.1.0", "b").await;
    released("1.1.0").await;
    assert_eq!(short_names(&world).await, json!(["a"]), "what exists is left as it is");
    world.merge("HelmRelease/app", json!({"spec": {"upgrade": {"crds": "CreateReplace"}}})).await;
    chart("1.2.0", "c").await;
    released("1.2.0").await;
    assert_eq!(short_names(&world).await, json!(["c"]));
    world.delete("HelmRelease/app").await;
    world.gone("HelmRelease/app").await;
    assert_eq!(short_names(&world).await, json!(["c"]), "definitions are never deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_and_records_have_their_namespaces() {
    let world = World::start().await;
    let spec = json!({"targetNamespace": "shop", "storageNamespace": "kube-system", "install": {"createNamespace": true}});
    world.release("app", spec).await;
    world.until("it is made", "HelmChart/default-app", |_| true).await;
    world.chart("default-app", "1.0.0", &[("templates/map.yaml", MAP)]).await;
    let app = world.ready("app").await;
    assert_eq!(
        message(&app, "Ready"),
        "Helm install succeeded for release shop/shop-app.v1 with chart web@1.0.0"
    );
    let of = |kind: &str, namespace: &str| {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind));
        Api::<DynamicObject>::namespaced_with(world.client.clone(), namespace, &resource)
    };
    assert!(of("ConfigMap", "shop").get_opt("map").await.unwrap().is_some());
    let record = "sh.helm.release.v1.shop-app.v1";
    assert!(of("Secret", "kube-system").get_opt(record).await.unwrap().is_some());
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
    let namespace =
        Api::<DynamicObject>::all_with(world.client.clone(), &resource).get("shop").await.unwrap();
    assert_eq!(namespace.metadata.labels.unwrap()["name"], "shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_does_what_its_service_account_may() {
    let world = World::start().await;
    world
        .apply(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deployer"}}))
        .await;
    world.release("app", json!({"serviceAccountName": "deployer"})).await;
    world.until("it is made", "HelmChart/default-app", |_| true).await;
    world.chart("default-app", "1.0.0", &[("templates/map.yaml", MAP)]).await;
    let refused = |o: &Value| {
        message(o, "Ready").contains("system:serviceaccount:default:deployer")
            && message(o, "Ready").contains("cannot list resource \"secrets\"")
    };
    world.until("it is refused", "HelmRelease/app", refused).await;
    let rules = json!([{"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["*"]}]);
    let group = "rbac.authorization.k8s.io";
    world
        .apply(json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": {"name": "deploy"}, "rules": rules}))
        .await;
    world
        .apply(json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": "deploy"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "deploy"},
            "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": "default"}],
        }))
        .await;
    world.ready("app").await;
    world.ask("HelmRelease/app", "now").await;
    assert_eq!(
        world.get("ConfigMap/map").await["metadata"]["labels"]["app.kubernetes.io/managed-by"],
        "Helm"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_fails_now_and_then_does_not_stop_a_release() {
    let world = World::start().await;
    let forever =
        json!({"install": {"remediation": {"retries": -1}}, "upgrade": {"remediation": {"retries": -1}}});
    world.release("app", forever).await;
    world.until("it is made", "HelmChart/default-app", |_| true).await;
    world.chart("default-app", "1.0.0", &[("templates/map.yaml", MAP)]).await;
    world.faults().set_error_rate(0.2);
    // Requests of the test fail as well, so that it only looks.
    wait_for("the release is made in spite of it", PATIENCE, async || {
        let found = world.try_find("HelmRelease/app").await;
        found.filter(|o| condition(o, "Released")["status"] == "True")
    })
    .await
    .unwrap();
    world.faults().clear();
    let app = world.ready("app").await;
    let history = app["status"]["history"].as_array().unwrap();
    assert_eq!(history[0]["status"], "deployed");
    assert_eq!(world.get("ConfigMap/map").await["data"]["version"], "1.0.0");
}
