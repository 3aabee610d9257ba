//! What a cluster does by itself: namespaces, garbage, definitions, aggregated roles, quotas, account tokens.
//!
//! One task follows every write. It works from the state, not from the events: an event only says where to look, so a
//! missed one costs a full look and nothing else.

mod garbage;
mod namespaces;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::auth::User;
use crate::handlers::options::Options;
use crate::handlers::perform::{Owners, Writer};
use crate::handlers::remove::{self, How, Propagation};
use crate::json::{items, text};
use crate::rbac;
use crate::server::Server;
use crate::store::{Change, Event, ResourceKey};

/// The field manager of everything here.
pub(crate) const MANAGER: &str = "kube-controller-manager";

/// What is to be looked at again.
#[derive(Debug, Default)]
struct Work {
    namespaces: BTreeSet<String>,
    definitions: BTreeSet<String>,
    quotas: BTreeSet<String>,
    secrets: BTreeSet<(String, String)>,
    roles: bool,
    serve: bool,
}

/// Fills a new store with what every cluster has, and serves what is stored.
pub(crate) fn prepare(server: &Arc<Server>) {
    server.allocations.lock().load(&server.store);
    crate::crd::refresh(server);
    for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        namespaces::ensure(server, name);
    }
    for (plural, mut object) in rbac::bootstrap::objects() {
        let kind = if plural == "clusterroles" { "ClusterRole" } else { "ClusterRoleBinding" };
        object["apiVersion"] = "rbac.authorization.k8s.io/v1".into();
        object["kind"] = kind.into();
        create(server, &format!("rbac.authorization.k8s.io/{plural}"), "", object);
    }
    rbac::aggregate::refresh(server);
    let ports = json!([{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]);
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": "10.96.0.1", "ports": ports}});
    create(server, "/services", "default", service);
    for class in [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)] {
        let object = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": class.0}, "value": class.1});
        create(server, "scheduling.k8s.io/priorityclasses", "", object);
    }
    register(server);
    // Nobody can have seen a version from before this.
    server.store.forget();
}

/// Keeps an `APIService` for each served group and version, as the aggregator does.
fn register(server: &Arc<Server>) {
    let served = server.registry.served();
    let mut all = vec![("", "v1")];
    for (group, versions) in served.groups() {
        all.extend(versions.into_iter().map(|v| (group, v)));
    }
    for (group, version) in all {
        let name = format!("{version}.{group}");
        if server.store.get(SERVICES, "", &name).is_some() {
            continue;
        }
        let local = json!({"type": "Available", "status": "True", "lastTransitionTime": crate::clock::now_text(),
            "reason": "Local", "message": "Local APIServices are always available"});
        let labels = json!({"kube-aggregator.kubernetes.io/automanaged": "onstart"});
        let (priority, place) = priority(group, version);
        let spec = json!({"group": group, "version": version, "groupPriorityMinimum": priority, "versionPriority": place});
        let object = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": name, "labels": labels}, "spec": spec});
        create(server, SERVICES, "", object);
        change(server, SERVICES, "", &name, Some("status"), |service| {
            service["status"]["conditions"] = json!([local])
        });
    }
}

/// The priorities of a group and of its version, as the real aggregator has them.
fn priority(group: &str, version: &str) -> (u32, u32) {
    let group = match group {
        "" => return (18000, 1),
        "events.k8s.io" => return (17750, 5),
        "apps" => 17800,
        "authentication.k8s.io" => 17700,
        "authorization.k8s.io" => 17600,
        "autoscaling" => 17500,
        "batch" => 17400,
        "certificates.k8s.io" => 17300,
        "networking.k8s.io" => 17200,
        "policy" => 17100,
        "rbac.authorization.k8s.io" => 17000,
        "storage.k8s.io" => 16800,
        "admissionregistration.k8s.io" | "apiextensions.k8s.io" => 16700,
        "scheduling.k8s.io" => 16600,
        "coordination.k8s.io" => 16500,
        "node.k8s.io" => 16300,
        "discovery.k8s.io" => 16200,
        "flowcontrol.apiserver.k8s.io" => 16100,
        _ => return (1000, 100),
    };
    (group, if version == "v2" { 30 } else { 15 })
}

const SERVICES: &str = "apiregistration.k8s.io/apiservices";

/// Creates an object unless it is there.
pub(crate) fn create(server: &Arc<Server>, key: &str, namespace: &str, object: Value) {
    let name = text(&object["metadata"], "name").to_owned();
    if server.store.get(key, namespace, &name).is_some() {
        return;
    }
    let served = server.registry.served();
    let Some(resource) = served.by_key(key) else { return };
    let user = User::admin();
    let options = Options::internal(MANAGER);
    let writer =
        Writer { server, resource, namespace, name: &name, user: &user, options, sub: None, call: None };
    if let Err(error) = writer.create(object, &Owners::Changed) {
        tracing::debug!(key, namespace, name, error = error.message(), "not created");
    }
}

/// Changes an object, if it is still there and `change` has something to change.
pub(crate) fn change(
    server: &Arc<Server>,
    key: &str,
    namespace: &str,
    name: &str,
    sub: Option<&str>,
    change: impl Fn(&mut Value),
) {
    let served = server.registry.served();
    let Some(resource) = served.by_key(key) else { return };
    let user = User::admin();
    let options = Options::internal(MANAGER);
    let writer = Writer { server, resource, namespace, name, user: &user, options, sub, call: None };
    let result = writer.update(|live| {
        let mut new = live.clone();
        change(&mut new);
        Ok((new, Owners::Changed))
    });
    if let Err(error) = result {
        tracing::debug!(key, namespace, name, error = error.message(), "not changed");
    }
}

/// Deletes an object, if it is there.
pub(crate) fn delete(
    server: &Arc<Server>,
    key: &str,
    namespace: &str,
    name: &str,
    propagation: Option<Propagation>,
) {
    delete_within(server, key, namespace, name, propagation, None);
}

/// As [`delete`]; a pod gets so many seconds to end.
pub(crate) fn delete_within(
    server: &Arc<Server>,
    key: &str,
    namespace: &str,
    name: &str,
    propagation: Option<Propagation>,
    grace: Option<i64>,
) {
    let served = server.registry.served();
    let Some(resource) = served.by_key(key) else { return };
    let user = User::admin();
    let options = Options::internal(MANAGER);
    let writer = Writer { server, resource, namespace, name, user: &user, options, sub: None, call: None };
    let how = How { propagation, grace, ..How::background() };
    if let Err(error) = remove::delete(&writer, &how) {
        tracing::debug!(key, namespace, name, error = error.message(), "not deleted");
    }
}

/// Follows the store until `stop` turns true.
pub(crate) async fn run(server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    let mut events = server.store.subscribe();
    let mut garbage = garbage::Garbage::default();
    let mut work = everything(&server, &mut garbage);
    loop {
        settle(&server, &mut garbage, &std::mem::take(&mut work));
        let received = tokio::select! {
            received = events.recv() => received,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match received {
            Ok((key, event)) => {
                note(&server, &mut garbage, &mut work, &key, &event);
                while let Ok((key, event)) = events.try_recv() {
                    note(&server, &mut garbage, &mut work, &key, &event);
                }
            }
            Err(RecvError::Lagged(_)) => work = everything(&server, &mut garbage),
            Err(RecvError::Closed) => return,
        }
    }
}

fn everything(server: &Arc<Server>, garbage: &mut garbage::Garbage) -> Work {
    garbage.reload(&server.store);
    let names = |key: &str| server.store.list(key, None).objects.iter().map(|o| o.name.to_string()).collect();
    let within =
        |key: &str| server.store.list(key, None).objects.iter().map(|o| o.namespace.to_string()).collect();
    Work {
        namespaces: names("/namespaces"),
        definitions: names(crate::crd::KEY),
        quotas: within("/resourcequotas"),
        secrets: BTreeSet::new(),
        roles: true,
        serve: true,
    }
}

fn note(
    server: &Arc<Server>,
    garbage: &mut garbage::Garbage,
    work: &mut Work,
    key: &ResourceKey,
    event: &Event,
) {
    let object = &event.object;
    let gone = event.change == Change::Deleted;
    garbage.note(key, event);
    match &**key {
        "/namespaces" => {
            work.namespaces.insert(object.name.to_string());
        }
        crate::crd::KEY => {
            work.definitions.insert(object.name.to_string());
            work.serve = true;
        }
        "rbac.authorization.k8s.io/clusterroles" => work.roles = true,
        "/services" if gone => server.allocations.lock().release(&object.namespace, &object.name),
        "/secrets" if event.change == Change::Added => {
            work.secrets.insert((object.namespace.to_string(), object.name.to_string()));
        }
        "/serviceaccounts" | "/configmaps" if gone => {
            work.namespaces.insert(object.namespace.to_string());
        }
        _ => {}
    }
    if object.namespace.is_empty() {
        return;
    }
    if server.store.get("/namespaces", "", &object.namespace).is_some_and(|n| n.deleting) {
        work.namespaces.insert(object.namespace.to_string());
    }
    if event.change != Change::Modified
        || matches!(&**key, "/resourcequotas" | "/pods" | "/services" | "/persistentvolumeclaims")
    {
        work.quotas.insert(object.namespace.to_string());
    }
    if gone && let Some((group, plural)) = key.split_once('/') {
        let definition = format!("{plural}.{group}");
        if !group.is_empty() && server.store.get(crate::crd::KEY, "", &definition).is_some_and(|d| d.deleting)
        {
            work.definitions.insert(definition);
        }
    }
}

fn settle(server: &Arc<Server>, garbage: &mut garbage::Garbage, work: &Work) {
    for name in &work.definitions {
        crate::crd::settle(server, name);
    }
    if work.serve {
        crate::crd::refresh(server);
        register(server);
    }
    for name in &work.definitions {
        definition(server, name);
    }
    for name in &work.namespaces {
        namespaces::settle(server, name);
    }
    if work.roles {
        rbac::aggregate::refresh(server);
    }
    for namespace in &work.quotas {
        crate::admission::recount_all(server, namespace);
    }
    for (namespace, name) in &work.secrets {
        account_token(server, namespace, name);
    }
    garbage.collect(server);
}

/// Empties a definition that is being deleted, then lets it go.
fn definition(server: &Arc<Server>, name: &str) {
    let Some(stored) = server.store.get(crate::crd::KEY, "", name) else { return };
    if !stored.deleting {
        return;
    }
    let value = stored.value();
    let key = format!("{}/{}", text(&value["spec"], "group"), text(&value["spec"]["names"], "plural"));
    let objects = server.store.list(&key, None).objects;
    for object in objects.iter().filter(|o| !o.deleting) {
        delete(server, &key, &object.namespace, &object.name, Some(Propagation::Background));
    }
    if server.store.list(&key, None).objects.is_empty() {
        change(server, crate::crd::KEY, "", name, None, |definition| {
            let kept: Vec<Value> = items(&definition["metadata"]["finalizers"])
                .iter()
                .filter(|f| **f != crate::crd::FINALIZER)
                .cloned()
                .collect();
            definition["metadata"]["finalizers"] = kept.into();
        });
        crate::crd::refresh(server);
    }
}

/// Fills a Secret that asks for the token of a service account.
fn account_token(server: &Arc<Server>, namespace: &str, name: &str) {
    use base64::Engine as _;
    let Some(stored) = server.store.get("/secrets", namespace, name) else { return };
    let secret = stored.value();
    if secret["type"] != "kubernetes.io/service-account-token" || !secret["data"]["token"].is_null() {
        return;
    }
    let account = text(&secret["metadata"]["annotations"], "kubernetes.io/service-account.name").to_owned();
    let Some(found) = server.store.get("/serviceaccounts", namespace, &account) else { return };
    let now = crate::clock::now().as_second();
    // Tokens in Secrets do not expire; ten years are as good.
    let claims = json!({"aud": [crate::auth::ISSUER], "exp": now + 315_360_000, "iat": now, "nbf": now, "iss": crate::auth::ISSUER,
        "jti": uuid::Uuid::new_v4().to_string(), "sub": format!("system:serviceaccount:{namespace}:{account}"),
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": &*found.uid},
            "secret": {"name": name, "uid": &*stored.uid}}});
    let Some(token) = server.keys.sign(&claims) else { return };
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    change(server, "/secrets", namespace, name, None, |secret| {
        secret["metadata"]["annotations"]["kubernetes.io/service-account.uid"] = (*found.uid).into();
        secret["data"]["token"] = encode(&token).into();
        secret["data"]["ca.crt"] = encode(&server.ca).into();
        secret["data"]["namespace"] = encode(namespace).into();
    });
}
