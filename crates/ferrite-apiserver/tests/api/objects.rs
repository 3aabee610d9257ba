//! Writing and reading objects: versions, owners of fields, dry runs, deletion, access.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{CONFIG_MAPS, config_map, plain};

#[tokio::test]
async fn an_object_is_created_changed_and_deleted() {
    let (running, api) = plain().await;
    let path = &format!("{CONFIG_MAPS}/a");
    let (code, made) = api.post(CONFIG_MAPS, &config_map("a", &json!({"k": "v"}))).await;
    assert_eq!((code, &made["data"]["k"]), (201, &json!("v")));
    let (code, error) = api.post(CONFIG_MAPS, &config_map("a", &json!({}))).await;
    assert_eq!((code, &error["message"]), (409, &json!("configmaps \"a\" already exists")));

    let mut next = made.clone();
    next["data"]["k"] = "w".into();
    assert_eq!(api.put(path, &next).await.0, 200);
    let (code, error) = api.put(path, &made).await;
    assert_eq!(code, 409);
    let wanted = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again";
    assert_eq!(error["message"], wanted);

    let (_, same) = api.merge(path, &json!({"data": {"k": "w"}})).await;
    assert_eq!(same["metadata"]["resourceVersion"], api.get(path).await.1["metadata"]["resourceVersion"]);

    let (code, status) = api.delete(path, &json!({})).await;
    assert_eq!((code, &status["status"]), (200, &json!("Success")));
    assert_eq!(api.get(path).await.0, 404);
    running.shutdown().await;
}

#[tokio::test]
async fn an_apply_conflicts_until_it_is_forced() {
    let (running, api) = plain().await;
    let path = &format!("{CONFIG_MAPS}/a");
    assert_eq!(api.apply(path, "alice", &config_map("a", &json!({"k": "1", "l": "1"}))).await.0, 201);
    let (code, error) = api.apply(path, "bob", &config_map("a", &json!({"k": "2"}))).await;
    assert_eq!(code, 409);
    assert_eq!(error["message"], "Apply failed with 1 conflict: conflict with \"alice\": .data.k");
    let (code, forced) =
        api.apply(&format!("{path}?force=true"), "bob", &config_map("a", &json!({"k": "2"}))).await;
    assert_eq!((code, &forced["data"]), (200, &json!({"k": "2", "l": "1"})));
    // What alice no longer applies and nobody else owns goes.
    let (_, left) = api.apply(path, "alice", &config_map("a", &json!({}))).await;
    assert_eq!(left["data"], json!({"k": "2"}));
    running.shutdown().await;
}

#[tokio::test]
async fn a_dry_run_keeps_nothing_and_refuses_what_a_run_would() {
    let (running, api) = plain().await;
    let path = &format!("{CONFIG_MAPS}?dryRun=All");
    assert_eq!(api.post(path, &config_map("a", &json!({}))).await.0, 201);
    assert_eq!(api.get(&format!("{CONFIG_MAPS}/a")).await.0, 404);
    assert_eq!(api.post(path, &config_map("BAD", &json!({}))).await.0, 422);
    running.shutdown().await;
}

#[tokio::test]
async fn pages_are_a_snapshot() {
    let (running, api) = plain().await;
    for i in 0..5 {
        api.post(CONFIG_MAPS, &config_map(&format!("p{i}"), &json!({}))).await;
    }
    let first = api.get(&format!("{CONFIG_MAPS}?limit=2")).await.1;
    assert_eq!(first["items"].as_array().map(Vec::len), Some(2));
    let token = first["metadata"]["continue"].as_str().expect("a token").to_owned();
    api.delete(&format!("{CONFIG_MAPS}/p4"), &json!({})).await;
    let rest = api.get(&format!("{CONFIG_MAPS}?limit=50&continue={token}")).await.1;
    let names: Vec<&str> = rest["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|i| i["metadata"]["name"].as_str())
        .collect();
    assert!(names.contains(&"p4"), "deleted after the first page: {names:?}");
    running.faults().expire_history();
    let (code, error) = api.get(&format!("{CONFIG_MAPS}?limit=50&continue={token}")).await;
    assert_eq!((code, &error["reason"]), (410, &json!("Expired")));
    running.shutdown().await;
}

fn owned(name: &str, owner: &Value, blocks: bool) -> Value {
    let meta = &owner["metadata"];
    let mut object = config_map(name, &json!({}));
    object["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": meta["name"], "uid": meta["uid"],
        "blockOwnerDeletion": blocks}]);
    object
}

#[tokio::test]
async fn garbage_is_collected_or_orphaned() {
    let (running, api) = plain().await;
    for (policy, stays) in [("Background", false), ("Foreground", false), ("Orphan", true)] {
        let (_, owner) = api.post(CONFIG_MAPS, &config_map("owner", &json!({}))).await;
        let (_, child) = api.post(CONFIG_MAPS, &owned("child", &owner, true)).await;
        assert_eq!(child["metadata"]["ownerReferences"][0]["uid"], owner["metadata"]["uid"]);
        api.delete(&format!("{CONFIG_MAPS}/owner"), &json!({"propagationPolicy": policy})).await;
        api.gone(&format!("{CONFIG_MAPS}/owner")).await;
        let path = format!("{CONFIG_MAPS}/child");
        if stays {
            let (_, child) = api.until(&path, |(_, o)| o["metadata"]["ownerReferences"].is_null()).await;
            assert_eq!(child["metadata"]["name"], "child");
        } else {
            api.gone(&path).await;
        }
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_namespace_goes_when_its_last_finalizer_does() {
    let (running, api) = plain().await;
    api.post(
        "/api/v1/namespaces",
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}),
    )
    .await;
    api.until("/api/v1/namespaces/n/serviceaccounts/default", |(code, _)| *code == 200).await;
    api.until("/api/v1/namespaces/n/configmaps/kube-root-ca.crt", |(code, _)| *code == 200).await;
    let mut held = config_map("held", &json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    api.post("/api/v1/namespaces/n/configmaps", &held).await;
    api.delete("/api/v1/namespaces/n", &json!({})).await;
    let (code, error) = api.post("/api/v1/namespaces/n/configmaps", &config_map("late", &json!({}))).await;
    assert_eq!(code, 403);
    assert_eq!(
        error["message"],
        "configmaps \"late\" is forbidden: unable to create new content in namespace n because it is being terminated"
    );
    api.until("/api/v1/namespaces/n/configmaps", |(_, l)| {
        l["items"].as_array().is_some_and(|i| i.len() == 1)
    })
    .await;
    api.merge("/api/v1/namespaces/n/configmaps/held", &json!({"metadata": {"finalizers": null}})).await;
    api.gone("/api/v1/namespaces/n").await;
    running.shutdown().await;
}

#[tokio::test]
async fn a_service_account_may_what_its_roles_say() {
    let (running, api) = plain().await;
    const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let token = api
        .post(
            "/api/v1/namespaces/default/serviceaccounts/default/token",
            &json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}),
        )
        .await
        .1["status"]["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let account = api.with_token(&token);
    let (code, error) = account.get(CONFIG_MAPS).await;
    assert_eq!(code, 403);
    let wanted = "configmaps is forbidden: User \"system:serviceaccount:default:default\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert_eq!(error["message"], wanted);
    let role = json!({"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]});
    api.post(&format!("{RBAC}/roles"), &role).await;
    let binding = json!({"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]});
    assert_eq!(api.post(&format!("{RBAC}/rolebindings"), &binding).await.0, 201);
    assert_eq!(account.get(CONFIG_MAPS).await.0, 200);
    assert_eq!(account.get("/api/v1/configmaps").await.0, 403);
    // Impersonation gives what the impersonated has, no more.
    let same = api.as_user("system:serviceaccount:default:default");
    assert_eq!(same.get(CONFIG_MAPS).await.0, 200);
    assert_eq!(same.get("/api/v1/namespaces/default/secrets").await.0, 403);
    assert_eq!(api.with_token("wrong").get(CONFIG_MAPS).await.0, 401);
    running.shutdown().await;
}

#[tokio::test]
async fn a_quota_lets_in_what_fits() {
    let (running, api) = plain().await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"secrets": "1"}}});
    api.post("/api/v1/namespaces/default/resourcequotas", &quota).await;
    let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    assert_eq!(api.post("/api/v1/namespaces/default/secrets", &secret("a")).await.0, 201);
    let (code, error) = api.post("/api/v1/namespaces/default/secrets", &secret("b")).await;
    assert_eq!(code, 403);
    assert_eq!(
        error["message"],
        "secrets \"b\" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=1, limited: secrets=1"
    );
    running.shutdown().await;
}

#[tokio::test]
async fn unknown_fields_are_warned_about_or_refused() {
    let (running, api) = plain().await;
    let mut object = config_map("a", &json!({}));
    object["nope"] = 1.into();
    let response = api
        .request(Method::POST, &format!("{CONFIG_MAPS}?dryRun=All"))
        .header("content-type", "application/json")
        .body(object.to_string())
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["warning"], "299 - \"unknown field \\\"nope\\\"\"");
    let (code, error) = api.post(&format!("{CONFIG_MAPS}?fieldValidation=Strict"), &object).await;
    assert_eq!(code, 400);
    let wanted = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"nope\"";
    assert_eq!(error["message"], wanted);
    running.shutdown().await;
}

#[tokio::test]
async fn a_policy_denies_what_its_expressions_say() {
    let (running, api) = plain().await;
    const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
    let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "DELETE"], "resources": ["secrets"]}]);
    let validations = json!([
        {"expression": "request.operation == 'DELETE' || 'owner' in object.metadata.?labels.orValue({})", "message": "an owner is needed"},
        {"expression": "request.operation != 'DELETE' || oldObject.metadata.name != 'keep'",
            "messageExpression": "oldObject.metadata.name + ' stays'", "reason": "Forbidden"}]);
    let policy = json!({"metadata": {"name": "p"}, "spec": {"matchConstraints": {"resourceRules": rules}, "validations": validations}});
    assert_eq!(api.post(&format!("{ADMISSION}/validatingadmissionpolicies"), &policy).await.0, 201);
    let secrets = "/api/v1/namespaces/default/secrets";
    let secret = |name: &str, labels: Value| json!({"metadata": {"name": name, "labels": labels}});
    assert_eq!(api.post(secrets, &secret("unbound", json!({}))).await.0, 201);
    let binding =
        json!({"metadata": {"name": "b"}, "spec": {"policyName": "p", "validationActions": ["Deny"]}});
    assert_eq!(api.post(&format!("{ADMISSION}/validatingadmissionpolicybindings"), &binding).await.0, 201);

    let (code, error) = api.post(secrets, &secret("a", json!({}))).await;
    assert_eq!(code, 422);
    assert_eq!(
        error["message"],
        "secrets \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: an owner is needed"
    );
    assert_eq!(api.post(secrets, &secret("keep", json!({"owner": "me"}))).await.0, 201);
    let (code, error) = api.delete(&format!("{secrets}/keep"), &json!({})).await;
    assert_eq!(code, 403, "{error}");
    assert!(error["message"].as_str().is_some_and(|m| m.ends_with("keep stays")), "{error}");
    assert_eq!(api.delete(&format!("{secrets}/unbound"), &json!({})).await.0, 200);
    running.shutdown().await;
}
