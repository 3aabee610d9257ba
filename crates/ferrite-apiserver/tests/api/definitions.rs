//! Custom resources: served at once, defaulted, pruned, checked, shown as tables.

use ferrite_apiserver::ApiServer;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{plain, start};

const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1}
              color: {type: string, default: red}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
"#;

fn widget(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn definitions_of_the_start_are_served_at_once() {
    let (running, api) = start(ApiServer::builder().crds([DEFINITION])).await;
    let (code, made) = api.post(WIDGETS, &widget("a", &json!({"size": 1, "nope": true}))).await;
    assert_eq!((code, &made["spec"]), (201, &json!({"size": 1, "color": "red"})));
    assert_eq!(made["metadata"]["generation"], 1);
    let (code, error) = api.post(WIDGETS, &widget("b", &json!({"size": 0}))).await;
    assert_eq!(code, 422);
    assert_eq!(
        error["message"],
        "Widget.example.com \"b\" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"
    );
    let resources = api.get("/apis/example.com/v1").await.1;
    assert_eq!(resources["resources"][0]["shortNames"], json!(["wd"]));
    running.shutdown().await;
}

#[tokio::test]
async fn the_status_is_written_at_its_own_endpoint_only() {
    let (running, api) = start(ApiServer::builder().crds([DEFINITION])).await;
    let mut object = widget("a", &json!({"size": 1}));
    object["status"] = json!({"x": 1});
    assert_eq!(api.post(WIDGETS, &object).await.1.get("status"), None);
    let path = format!("{WIDGETS}/a");
    let ready = json!({"spec": {"size": 5}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    let (_, after) = api.merge(&format!("{path}/status"), &ready).await;
    assert_eq!((&after["spec"]["size"], &after["metadata"]["generation"]), (&json!(1), &json!(1)));
    let (_, after) = api.merge(&path, &json!({"spec": {"size": 2}})).await;
    assert_eq!(
        (&after["status"]["conditions"][0]["status"], &after["metadata"]["generation"]),
        (&json!("True"), &json!(2))
    );
    let table = api
        .request(Method::GET, WIDGETS)
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body");
    let table: Value = serde_json::from_str(&table).expect("JSON");
    let names: Vec<&Value> =
        table["columnDefinitions"].as_array().into_iter().flatten().map(|c| &c["name"]).collect();
    assert_eq!(names, ["Name", "Ready", "Age"]);
    assert_eq!(table["rows"][0]["cells"][1], "True");
    running.shutdown().await;
}

#[tokio::test]
async fn a_definition_is_established_and_takes_its_objects_with_it() {
    let (running, api) = plain().await;
    let all = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let (code, made) = api.send(Method::POST, all, "application/yaml", DEFINITION).await;
    assert_eq!((code, &made["status"]["storedVersions"]), (201, &json!(["v1"])));
    let path = format!("{all}/widgets.example.com");
    let established = |o: &Value| {
        o["status"]["conditions"]
            .as_array()
            .is_some_and(|c| c.iter().any(|c| c["type"] == "Established" && c["status"] == "True"))
    };
    api.until(&path, |(_, o)| established(o)).await;
    api.until(WIDGETS, |(code, _)| *code == 200).await;
    api.post(WIDGETS, &widget("a", &json!({"size": 1}))).await;
    api.delete(&path, &json!({})).await;
    api.gone(&path).await;
    assert_eq!(api.get(WIDGETS).await.0, 404);
    running.shutdown().await;
}

#[tokio::test]
async fn a_definition_that_is_not_structural_is_refused() {
    let bad = DEFINITION
        .replace("status: {type: object, x-kubernetes-preserve-unknown-fields: true}", "status: {}");
    let error = ApiServer::builder().crds([bad]).start().await.expect_err("refused");
    assert!(error.to_string().contains("must not be empty for specified object fields"), "{error}");
}
