//! Who is asking: bearer tokens, service accounts, impersonation.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::http::request::Call;
use crate::rbac::Ask;
use crate::server::Server;
use crate::status::{ApiError, Subject};

/// The issuer of service account tokens and their default audience.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";

/// A person or program, as authorisation sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

impl User {
    pub(crate) fn anonymous() -> Self {
        Self {
            name: "system:anonymous".into(),
            groups: vec!["system:unauthenticated".into()],
            ..Self::default()
        }
    }

    pub(crate) fn admin() -> Self {
        Self {
            name: "kubernetes-admin".into(),
            groups: vec!["system:masters".into(), "system:authenticated".into()],
            ..Self::default()
        }
    }

    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|g| g == "system:masters")
    }

    /// `UserInfo` of the authentication API.
    pub(crate) fn info(&self) -> Value {
        let mut info = json!({"username": self.name});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.groups.is_empty() {
            info["groups"] = self.groups.clone().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = self.extra.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect();
        }
        info
    }
}

/// What a valid service account token says.
#[derive(Debug)]
pub(crate) struct Claims {
    pub(crate) user: User,
    pub(crate) audiences: Vec<String>,
}

/// Reads a service account token; its account, and what it is bound to, must still exist.
pub(crate) fn check_token(server: &Server, token: &str) -> Option<Claims> {
    let claims = server.keys.verify(token)?;
    let now = crate::clock::now().as_second();
    if claims["exp"].as_i64().is_none_or(|exp| exp <= now) || claims["iss"] != ISSUER {
        return None;
    }
    let private = &claims["kubernetes.io"];
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text(&private["namespace"]), text(&private["serviceaccount"]["name"]));
    let uid = text(&private["serviceaccount"]["uid"]);
    let account = server.store.get("/serviceaccounts", &namespace, &name)?;
    if *account.uid != *uid || account.deleting && account.value()["metadata"]["deletionTimestamp"].is_null()
    {
        return None;
    }
    let mut extra = BTreeMap::new();
    extra.insert(
        "authentication.kubernetes.io/credential-id".to_owned(),
        vec![format!("JTI={}", text(&claims["jti"]))],
    );
    for (kind, resource) in [("pod", "/pods"), ("secret", "/secrets")] {
        let bound = &private[kind];
        if bound.is_object() {
            let object = server.store.get(resource, &namespace, bound["name"].as_str()?)?;
            if *object.uid != *bound["uid"].as_str()? {
                return None;
            }
            if kind == "pod" {
                extra.insert("authentication.kubernetes.io/pod-name".into(), vec![text(&bound["name"])]);
                extra.insert("authentication.kubernetes.io/pod-uid".into(), vec![text(&bound["uid"])]);
            }
        }
    }
    let user = User {
        name: format!("system:serviceaccount:{namespace}:{name}"),
        uid,
        groups: service_account_groups(&namespace),
        extra,
    };
    let audiences = claims["aud"].as_array().map_or_else(Vec::new, |a| a.iter().map(text).collect());
    Some(Claims { user, audiences })
}

fn service_account_groups(namespace: &str) -> Vec<String> {
    vec![
        "system:serviceaccounts".into(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".into(),
    ]
}

/// Finds out who sent the request.
pub(crate) fn authenticate(server: &Server, call: &Call) -> Result<User, ApiError> {
    let Some(value) = call.header("authorization") else { return Ok(User::anonymous()) };
    let Some(token) = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer ")).map(str::trim)
    else {
        return Err(ApiError::unauthorized());
    };
    if server.keys.is_admin(token) {
        return Ok(User::admin());
    }
    match check_token(server, token) {
        Some(claims) if claims.audiences.iter().any(|a| a == ISSUER) => Ok(claims.user),
        Some(_) | None => Err(ApiError::unauthorized()),
    }
}

/// Becomes whom the impersonation headers name, if the sender may.
pub(crate) fn impersonate(server: &Server, call: &Call, sender: &User) -> Result<Option<User>, ApiError> {
    let name = call.header("impersonate-user").unwrap_or_default();
    let groups: Vec<String> = all(call, "impersonate-group");
    let uid = call.header("impersonate-uid").unwrap_or_default();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in &call.headers {
        if let Some(key) = key.as_str().strip_prefix("impersonate-extra-") {
            let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy().into_owned();
            extra.entry(key).or_default().push(value.to_str().unwrap_or_default().to_owned());
        }
    }
    if name.is_empty() {
        if groups.is_empty() && uid.is_empty() && extra.is_empty() {
            return Ok(None);
        }
        let message =
            format!("requested {} without impersonating a user name", requested(&groups, &extra, uid));
        return Err(ApiError::bad_request(message));
    }
    let mut user = User { name: name.to_owned(), uid: uid.to_owned(), groups: groups.clone(), extra };
    let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    match account {
        Some((namespace, account)) => {
            ask(server, sender, "", "serviceaccounts", Some(namespace), account, None)?;
            if groups.is_empty() {
                user.groups =
                    vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")];
            }
        }
        None => ask(server, sender, "authentication.k8s.io", "users", None, name, None)?,
    }
    for group in &groups {
        ask(server, sender, "authentication.k8s.io", "groups", None, group, None)?;
    }
    for (key, values) in &user.extra {
        for value in values {
            ask(server, sender, "authentication.k8s.io", "userextras", None, value, Some(key))?;
        }
    }
    if !uid.is_empty() {
        ask(server, sender, "authentication.k8s.io", "uids", None, uid, None)?;
    }
    let added = if name == "system:anonymous" { "system:unauthenticated" } else { "system:authenticated" };
    if !user.groups.iter().any(|g| g == added || g == "system:unauthenticated") {
        user.groups.push(added.to_owned());
    }
    Ok(Some(user))
}

/// Who was asked for, as Go prints its `user.DefaultInfo`.
fn requested(groups: &[String], extra: &BTreeMap<String, Vec<String>>, uid: &str) -> String {
    let strings = |list: &[String]| {
        if list.is_empty() {
            "[]string(nil)".to_owned()
        } else {
            format!("[]string{{{}}}", list.iter().map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", "))
        }
    };
    let extra = if extra.is_empty() {
        "map[string][]string(nil)".to_owned()
    } else {
        let entries: Vec<String> = extra.iter().map(|(k, v)| format!("{k:?}:{}", strings(v))).collect();
        format!("map[string][]string{{{}}}", entries.join(", "))
    };
    format!("&user.DefaultInfo{{Name:\"\", UID:{uid:?}, Groups:{}, Extra:{extra}}}", strings(groups))
}

fn all(call: &Call, name: &str) -> Vec<String> {
    call.headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).map(str::to_owned).collect()
}

fn ask(
    server: &Server,
    sender: &User,
    group: &str,
    resource: &str,
    namespace: Option<&str>,
    name: &str,
    sub: Option<&str>,
) -> Result<(), ApiError> {
    let ask = Ask { verb: "impersonate", group, resource, sub, namespace, name: Some(name), path: None };
    if server.rbac.allows(&server.store, sender, &ask) {
        return Ok(());
    }
    // The real server first asks for the constrained form of the verb, and reports that one.
    let verb = match resource {
        "serviceaccounts" => "impersonate:serviceaccount",
        _ => "impersonate:user-info",
    };
    let reported = Ask { verb, ..ask };
    Err(ApiError::forbidden(Subject { group, resource, name }, &reported.denial(sender)))
}

/// Seconds that a token lives unless its request says otherwise.
const LIFETIME: i64 = 3600;

/// `POST .../serviceaccounts/<name>/token`
pub(crate) async fn token_request(
    scope: &crate::handlers::Scope<'_>,
) -> Result<http::Response<crate::http::Body>, ApiError> {
    use crate::handlers::{body, options::Options, read};
    let accept = read::accept(scope, false)?;
    Options::of(scope.call, "CreateOptions", None)?;
    let request = body::read(scope)?.value;
    let account = read::find(scope)?;
    let spec = &request["spec"];
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or(LIFETIME);
    let why = match seconds {
        ..600 => Some("may not specify a duration less than 10 minutes"),
        4_294_967_297.. => Some("may not specify a duration larger than 2^32 seconds"),
        _ => None,
    };
    if let Some(why) = why {
        let subject = Subject { group: "authentication.k8s.io", resource: "TokenRequest", name: "" };
        return Err(ApiError::invalid(
            subject,
            &[crate::status::Cause::invalid("spec.expirationSeconds", &seconds.into(), why)],
        ));
    }
    let bound = bound_object(scope, &spec["boundObjectRef"])?;
    let audiences = match spec["audiences"].as_array().filter(|a| !a.is_empty()) {
        Some(list) => list.clone(),
        None => vec![ISSUER.into()],
    };
    let now = crate::clock::now().as_second();
    let mut private =
        json!({"namespace": scope.namespace, "serviceaccount": {"name": scope.name, "uid": &*account.uid}});
    if let Some((kind, name, uid)) = bound {
        private[kind] = json!({"name": name, "uid": uid});
    }
    let claims = json!({"aud": audiences, "exp": now + seconds, "iat": now, "iss": ISSUER, "jti": uuid::Uuid::new_v4().to_string(),
        "kubernetes.io": private, "nbf": now, "sub": format!("system:serviceaccount:{}:{}", scope.namespace, scope.name)});
    // A dry run shows a token too, as the real server does.
    let Some(token) = scope.server.keys.sign(&claims) else {
        return Err(ApiError::internal("the token could not be signed"));
    };
    let expires = jiff::Timestamp::from_second(now + seconds).map(crate::clock::seconds).unwrap_or_default();
    let answer = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": scope.name, "namespace": scope.namespace, "uid": &*account.uid, "creationTimestamp": crate::clock::now_text()},
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": spec["boundObjectRef"]},
        "status": {"token": token, "expirationTimestamp": expires}});
    Ok(read::show_plain(scope, accept, 201, answer))
}

/// What a token is bound to: the claim's name, and the object's name and uid.
fn bound_object(
    scope: &crate::handlers::Scope<'_>,
    reference: &Value,
) -> Result<Option<(&'static str, String, String)>, ApiError> {
    if !reference.is_object() {
        return Ok(None);
    }
    let text = |key: &str| reference[key].as_str().unwrap_or_default();
    let (claim, resource) = match (text("apiVersion"), text("kind")) {
        ("v1", "Pod") => ("pod", "pods"),
        ("v1", "Secret") => ("secret", "secrets"),
        (version, kind) => {
            let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
            return Err(ApiError::bad_request(format!(
                "cannot bind token to object of type {version}, Kind={kind}"
            )));
        }
    };
    let subject = Subject { group: "", resource, name: text("name") };
    let object = scope
        .server
        .store
        .get(&format!("/{resource}"), scope.namespace, subject.name)
        .ok_or_else(|| ApiError::not_found(subject))?;
    if !text("uid").is_empty() && *object.uid != *text("uid") {
        let why = format!(
            "the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated",
            text("uid")
        );
        return Err(ApiError::conflict(subject, &why));
    }
    Ok(Some((claim, subject.name.to_owned(), object.uid.to_string())))
}
