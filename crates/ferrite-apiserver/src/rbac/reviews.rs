//! Questions about access, answered as objects that are never stored.

use http::Response;
use serde_json::{Value, json};

use super::Ask;
use crate::auth::{self, User};
use crate::handlers::{Scope, body, options::Validation, read};
use crate::http::Body;
use crate::json::{items, text};
use crate::resources::Resource;
use crate::status::{ApiError, Cause, Subject};

pub(crate) fn is_review(resource: &Resource) -> bool {
    matches!(resource.group.as_str(), "authentication.k8s.io" | "authorization.k8s.io")
}

pub(crate) fn answer(scope: &Scope<'_>) -> Result<Response<Body>, ApiError> {
    let accept = read::accept(scope, false)?;
    let mut object = body::object(scope, Validation::Warn)?;
    crate::schema::normalize(&scope.resource, &mut object);
    match scope.resource.kind.as_str() {
        "SelfSubjectReview" => {
            object = json!({"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1",
                "metadata": {"creationTimestamp": crate::clock::now_text()}, "status": {"userInfo": scope.call.user.info()}});
        }
        "TokenReview" => token_review(scope, &mut object)?,
        "SelfSubjectRulesReview" => rules_review(scope, &mut object),
        "SelfSubjectAccessReview" => {
            check(scope, &object, false)?;
            object["status"] = decide(scope, &scope.call.user, &object["spec"]);
        }
        _ => {
            if !scope.namespace.is_empty() {
                object["metadata"]["namespace"] = scope.namespace.into();
            }
            check(scope, &object, true)?;
            let spec = &object["spec"];
            let strings = |v: &Value| items(v).iter().filter_map(|g| g.as_str().map(str::to_owned)).collect();
            let user = User {
                name: text(spec, "user").to_owned(),
                groups: strings(&spec["groups"]),
                ..User::default()
            };
            object["status"] = decide(scope, &user, spec);
        }
    }
    crate::schema::normalize(&scope.resource, &mut object);
    if crate::json::is_empty(&object["metadata"]) {
        crate::json::remove(&mut object, "metadata");
    }
    Ok(read::show_plain(scope, accept, 201, object))
}

fn check(scope: &Scope<'_>, object: &Value, named: bool) -> Result<(), ApiError> {
    let spec = &object["spec"];
    let mut causes = Vec::new();
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    match (resource.is_object(), path.is_object()) {
        (true, true) => {
            let shown = json!({"Path": text(path, "path"), "Verb": text(path, "verb")});
            causes.push(Cause::invalid(
                "spec.nonResourceAttributes",
                &shown,
                "cannot be specified in combination with resourceAttributes",
            ));
        }
        (false, false) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            causes.push(Cause::invalid("spec.resourceAttributes", &Value::Null, why));
        }
        _ => {}
    }
    if named && text(spec, "user").is_empty() && items(&spec["groups"]).is_empty() {
        causes.push(Cause::invalid(
            "spec.user",
            &"".into(),
            "at least one of user or group must be specified",
        ));
    }
    if !scope.namespace.is_empty() && resource.is_object() && text(resource, "namespace") != scope.namespace {
        causes.push(Cause::invalid(
            "spec.resourceAttributes.namespace",
            &resource["namespace"],
            "must match metadata.namespace",
        ));
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(Subject { group: &scope.resource.group, resource: "", name: "" }, &causes))
}

fn decide(scope: &Scope<'_>, user: &User, spec: &Value) -> Value {
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let some = |key: &str| Some(text(resource, key)).filter(|t| !t.is_empty());
    let ask = if path.is_object() {
        Ask {
            verb: text(path, "verb"),
            group: "",
            resource: "",
            sub: None,
            namespace: None,
            name: None,
            path: Some(text(path, "path")),
        }
    } else {
        Ask {
            verb: text(resource, "verb"),
            group: text(resource, "group"),
            resource: text(resource, "resource"),
            sub: some("subresource"),
            namespace: some("namespace"),
            name: some("name"),
            path: None,
        }
    };
    match scope.server.rbac.decide(&scope.server.store, user, &ask) {
        Some(reason) if reason.is_empty() => json!({"allowed": true}),
        Some(reason) => json!({"allowed": true, "reason": reason}),
        None => json!({"allowed": false}),
    }
}

fn rules_review(scope: &Scope<'_>, object: &mut Value) {
    let namespace = text(&object["spec"], "namespace").to_owned();
    let (mut resources, mut urls) = (Vec::new(), Vec::new());
    let mut add = |rule: &super::Rule| {
        if rule.urls.is_empty() {
            let mut entry =
                json!({"verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources});
            if !rule.names.is_empty() {
                entry["resourceNames"] = rule.names.clone().into();
            }
            resources.push(entry);
        } else {
            urls.push(json!({"verbs": rule.verbs, "nonResourceURLs": rule.urls}));
        }
    };
    if scope.call.user.is_master() {
        let all = || vec!["*".to_owned()];
        add(&super::Rule { verbs: all(), groups: all(), resources: all(), ..super::Rule::default() });
        add(&super::Rule { verbs: all(), urls: all(), ..super::Rule::default() });
    }
    for rules in scope.server.rbac.applying(&scope.server.store, &scope.call.user, Some(&namespace)) {
        rules.iter().for_each(&mut add);
    }
    object["status"] = json!({"resourceRules": resources, "nonResourceRules": urls, "incomplete": false});
}

fn token_review(scope: &Scope<'_>, object: &mut Value) -> Result<(), ApiError> {
    let token = text(&object["spec"], "token").to_owned();
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let wanted: Vec<String> = match items(&object["spec"]["audiences"]) {
        [] => vec![auth::ISSUER.to_owned()],
        list => list.iter().filter_map(|a| a.as_str().map(str::to_owned)).collect(),
    };
    let claims = auth::check_token(scope.server, &token);
    object["status"] = match claims {
        Some(claims) => {
            let shared: Vec<&String> = wanted.iter().filter(|a| claims.audiences.contains(a)).collect();
            if shared.is_empty() {
                json!({"error": format!("[invalid bearer token, token audiences {:?} is invalid for the target audiences {wanted:?}]", claims.audiences)})
            } else {
                json!({"authenticated": true, "user": claims.user.info(), "audiences": shared})
            }
        }
        None if scope.server.keys.is_admin(&token) => {
            json!({"authenticated": true, "user": User::admin().info()})
        }
        None => json!({"error": "invalid bearer token"}),
    };
    Ok(())
}
