//! A stand-in for the workload controllers, scheduler and kubelet: it runs nothing and writes the status that a healthy
//! cluster would write.
//!
//! Each workload is first shown as accepted (observed, nothing ready) and a moment later as ready. With the annotation
//! `ferrite.dev/fail: <message>` it fails with that message where its kind can say so; with `ferrite.dev/hang: "true"`
//! it stays as it was accepted.

mod status;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::controllers::{change, delete_within};
use crate::handlers::remove::Propagation;
use crate::json::{items, text};
use crate::server::Server;
use crate::store::{Change, Stored};

/// From accepted to ready.
const DELAY: Duration = Duration::from_millis(100);

/// Resources that get a status here.
const KINDS: [&str; 10] = [
    "apps/deployments",
    "apps/statefulsets",
    "apps/daemonsets",
    "apps/replicasets",
    "batch/jobs",
    "/services",
    "/persistentvolumeclaims",
    "/persistentvolumes",
    "/pods",
    "policy/poddisruptionbudgets",
];

/// Sets a condition in `status.conditions`; its transition time moves only when its status does.
pub(crate) fn set_condition(object: &mut Value, condition: &Value) {
    let mut fresh = condition.clone();
    if fresh["lastTransitionTime"].is_null() {
        fresh["lastTransitionTime"] = crate::clock::now_text().into();
    }
    let mut conditions = items(&object["status"]["conditions"]).to_vec();
    match conditions.iter_mut().find(|c| c["type"] == fresh["type"]) {
        Some(old) => {
            if old["status"] == fresh["status"] {
                fresh["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = fresh;
        }
        None => conditions.push(fresh),
    }
    object["status"]["conditions"] = conditions.into();
}

/// How far a workload has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Seen, nothing runs yet.
    Accepted,
    /// As far as it will come.
    Final,
}

/// What the annotations of a workload ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Succeeds,
    Fails(String),
    Hangs,
}

fn fate(object: &Value) -> Fate {
    let read = |annotations: &Value| {
        if let Some(message) = annotations["ferrite.dev/fail"].as_str() {
            return Some(Fate::Fails(message.to_owned()));
        }
        match (annotations["ferrite.dev/hang"].as_str(), text(annotations, "ferrite.dev/workload")) {
            (Some("false"), _) | (None, "") => None,
            (None, "fails") => Some(Fate::Fails("the workload was asked to fail".to_owned())),
            (Some(_), _) | (None, "hangs") => Some(Fate::Hangs),
            (None, _) => None,
        }
    };
    let own = read(&object["metadata"]["annotations"]);
    own.or_else(|| read(&object["spec"]["template"]["metadata"]["annotations"])).unwrap_or(Fate::Succeeds)
}

type Place = (Arc<str>, Arc<str>, Arc<str>);

/// Writes statuses until `stop` turns true.
pub(crate) async fn run(server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    node(&server);
    let mut events = server.store.subscribe();
    let mut due: HashMap<Place, Instant> = HashMap::new();
    rescan(&server, &mut due);
    loop {
        let next = due.values().min().copied();
        tokio::select! {
            received = events.recv() => match received {
                Ok((key, event)) if KINDS.contains(&&*key) && event.change != Change::Deleted => look(&server, &mut due, &key, &event.object),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => rescan(&server, &mut due),
                Err(RecvError::Closed) => return,
            },
            () = sleep_until(next) => {
                let now = Instant::now();
                let ready: Vec<Place> = due.iter().filter(|(_, at)| **at <= now).map(|(place, _)| place.clone()).collect();
                for place in ready {
                    due.remove(&place);
                    finish(&server, &place);
                }
            }
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn rescan(server: &Arc<Server>, due: &mut HashMap<Place, Instant>) {
    for key in KINDS {
        for object in server.store.list(key, None).objects {
            look(server, due, key, &object);
        }
    }
}

/// Accepts a new or changed object at once, and plans to finish it.
fn look(server: &Arc<Server>, due: &mut HashMap<Place, Instant>, key: &str, object: &Stored) {
    let value = object.value();
    let place: Place = (key.into(), object.namespace.clone(), object.name.clone());
    let going = object.deleting && key == "/pods" && status::fits_node(&value["spec"]);
    if !going && !status::needs_work(key, &value, &fate(&value)) {
        return;
    }
    if !object.deleting && value["metadata"]["generation"] != value["status"]["observedGeneration"] {
        write(server, key, object, Stage::Accepted);
    }
    due.entry(place).or_insert_with(|| Instant::now() + DELAY);
}

fn finish(server: &Arc<Server>, place: &Place) {
    let (key, namespace, name) = place;
    let Some(stored) = server.store.get(key, namespace, name) else { return };
    if stored.deleting {
        if &**key == "/pods" {
            // The second deletion, which ends the grace period.
            delete_within(server, key, namespace, name, Some(Propagation::Background), Some(0));
        }
        return;
    }
    if &**key == "/pods" && text(&stored.value()["spec"], "nodeName").is_empty() {
        change(server, key, namespace, name, Some("binding"), |pod| pod["spec"]["nodeName"] = NODE.into());
    }
    if &**key == "/persistentvolumeclaims" && text(&stored.value()["spec"], "volumeName").is_empty() {
        let volume = format!("pvc-{}", stored.uid);
        change(server, key, namespace, name, Some("binding"), |claim| {
            claim["spec"]["volumeName"] = volume.as_str().into()
        });
    }
    write(server, key, &stored, Stage::Final);
}

fn write(server: &Arc<Server>, key: &str, object: &Stored, stage: Stage) {
    change(server, key, &object.namespace, &object.name, Some("status"), |value| {
        let fate = fate(value);
        status::set(key, value, &fate, stage);
    });
}

const NODE: &str = "ferrite";

fn node_labels() -> Value {
    json!({"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"})
}

/// The one node that everything runs on.
fn node(server: &Arc<Server>) {
    let now = crate::clock::now_text();
    let capacity = json!({"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"});
    let info = json!({"architecture": "amd64", "bootID": "", "containerRuntimeVersion": "none://0", "kernelVersion": "",
        "kubeProxyVersion": "", "kubeletVersion": crate::handlers::paths::VERSION, "machineID": "", "operatingSystem": "linux",
        "osImage": "ferrite", "systemUUID": ""});
    let ready = json!({"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
        "lastHeartbeatTime": now, "lastTransitionTime": now});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": node_labels()},
        "status": {"capacity": capacity, "conditions": [ready], "addresses": [{"type": "Hostname", "address": NODE}], "nodeInfo": info}});
    crate::controllers::create(server, "/nodes", "", node);
}
