//! Whatever is sent, the server answers, and never with an internal error.

use ferrite_apiserver::ApiServer;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Api, plain, start};

/// Values of the wrong shape.
fn odd() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!("x"),
        json!([]),
        json!([1, "a", null, {}]),
        json!({}),
        json!({"": {"": []}}),
    ]
}

async fn collections(api: &Api) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    let mut lists = vec![("/api/v1".to_owned(), "v1".to_owned())];
    for group in api.get("/apis").await.1["groups"].as_array().into_iter().flatten() {
        let version = group["preferredVersion"]["groupVersion"].as_str().unwrap_or_default();
        lists.push((format!("/apis/{version}"), version.to_owned()));
    }
    for (root, version) in lists {
        for resource in api.get(&root).await.1["resources"].as_array().into_iter().flatten() {
            let (name, kind) = (
                resource["name"].as_str().unwrap_or_default(),
                resource["kind"].as_str().unwrap_or_default(),
            );
            if !name.contains('/') {
                let namespace = if resource["namespaced"] == true { "/namespaces/default" } else { "" };
                out.push((format!("{root}{namespace}/{name}"), version.clone(), kind.to_owned()));
            }
        }
    }
    out
}

#[tokio::test]
async fn objects_of_the_wrong_shape_are_refused_or_taken() {
    let (running, api) = plain().await;
    let all = collections(&api).await;
    assert!(all.len() > 50, "{}", all.len());
    for (path, version, kind) in all {
        for value in odd() {
            for key in ["metadata", "spec", "status", "data", "rules", "webhooks", "subsets", "template"] {
                let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "odd"}});
                object[key] = value.clone();
                let (code, answer) = api.post(&format!("{path}?dryRun=All"), &object).await;
                assert!(code < 500, "{path} {object}: {code} {answer}");
            }
            let (code, answer) = api.post(&path, &value).await;
            assert!(code < 500, "{path} {value}: {code} {answer}");
        }
    }
    running.shutdown().await;
}

#[tokio::test]
async fn patches_of_the_wrong_shape_are_refused_or_taken() {
    let (running, api) = start(ApiServer::builder().workloads(true)).await;
    let path = "/apis/apps/v1/namespaces/default/deployments/d";
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    assert_eq!(api.apply(path, "t", &deployment).await.0, 201);
    let media = [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
        "application/json",
        "",
    ];
    for media in media {
        for value in odd() {
            for target in [path.to_owned(), format!("{path}/status"), format!("{path}/scale")] {
                for body in [
                    value.clone(),
                    json!({"spec": value}),
                    json!({"metadata": value}),
                    json!({"status": value}),
                    json!([value]),
                    json!([{"op": "add", "path": "/spec", "value": value}]),
                    json!({"spec": {"template": value}}),
                ] {
                    let target = format!("{target}?dryRun=All&fieldManager=t");
                    let (code, answer) = api.send(Method::PATCH, &target, media, body.to_string()).await;
                    // Kubernetes itself answers 500 to applied types that do not fit and to unknown directives.
                    let known = answer["message"].as_str().is_some_and(|m| !m.is_empty());
                    assert!(code < 500 || known, "{media} {target} {body}: {code} {answer}");
                }
            }
        }
    }
    assert_eq!(api.get(path).await.0, 200);
    running.shutdown().await;
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_depth() {
    let (running, api) = plain().await;
    let path = "/api/v1/namespaces/default/configmaps";
    let (code, error) = api.send(Method::POST, path, "application/json", "x".repeat(4 << 20)).await;
    assert_eq!((code, &error["message"]), (413, &json!("Request entity too large: limit is 3145728")));
    let deep = "[".repeat(100_000);
    assert_eq!(api.send(Method::POST, path, "application/json", deep.clone()).await.0, 400);
    assert_eq!(api.send(Method::POST, path, "application/yaml", deep).await.0, 400);
    assert_eq!(
        api.send(Method::POST, path, "application/vnd.kubernetes.protobuf", "k8s\0\x0a\u{7f}").await.0,
        415
    );
    assert_eq!(api.get("/livez").await.0, 200);
    running.shutdown().await;
}
