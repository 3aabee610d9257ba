//! Rows of controllers of pods.

use serde_json::Value;

use super::super::duration;
use super::{NONE, containers, labels, number, selector};
use crate::json::{items, text};

pub(super) fn workload(key: &str, o: &Value, age: Value) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let (names, images) = containers(&spec["template"]["spec"]);
    let (names, images): (Value, Value) = (names.into(), images.into());
    let wanted = number(&spec["replicas"]);
    let selected = |s: &Value| -> Value { selector(s).into() };
    match key {
        "apps/deployments" => vec![
            format!("{}/{}", number(&status["readyReplicas"]), number(&status["replicas"]).max(0)).into(),
            number(&status["updatedReplicas"]).into(),
            number(&status["availableReplicas"]).into(),
            age,
            names,
            images,
            selected(&spec["selector"]),
        ],
        "apps/statefulsets" => {
            vec![format!("{}/{wanted}", number(&status["readyReplicas"])).into(), age, names, images]
        }
        "apps/replicasets" => vec![
            wanted.into(),
            number(&status["replicas"]).into(),
            number(&status["readyReplicas"]).into(),
            age,
            names,
            images,
            selected(&spec["selector"]),
        ],
        "/replicationcontrollers" => vec![
            wanted.into(),
            number(&status["replicas"]).into(),
            number(&status["readyReplicas"]).into(),
            age,
            names,
            images,
            labels(&spec["selector"]).into(),
        ],
        "apps/daemonsets" => {
            let count = |name: &str| -> Value { number(&status[name]).into() };
            vec![
                count("desiredNumberScheduled"),
                count("currentNumberScheduled"),
                count("numberReady"),
                count("updatedNumberScheduled"),
                count("numberAvailable"),
                labels(&spec["template"]["spec"]["nodeSelector"]).into(),
                age,
                names,
                images,
                selected(&spec["selector"]),
            ]
        }
        "apps/controllerrevisions" => {
            let owner = items(&o["metadata"]["ownerReferences"]).iter().find(|r| r["controller"] == true);
            let shown = owner.map_or_else(|| NONE.to_owned(), controller);
            vec![shown.into(), o["revision"].clone(), age]
        }
        "/podtemplates" => {
            let (names, images) = containers(&o["template"]["spec"]);
            vec![names.into(), images.into(), labels(&o["template"]["metadata"]["labels"]).into()]
        }
        "batch/cronjobs" => {
            let (names, images) = containers(&spec["jobTemplate"]["spec"]["template"]["spec"]);
            let last = &status["lastScheduleTime"];
            let last = if last.is_null() { NONE.to_owned() } else { super::age(last) };
            let zone = spec["timeZone"].as_str().unwrap_or(NONE);
            let suspended = if spec["suspend"] == true { "True" } else { "False" };
            vec![
                text(spec, "schedule").into(),
                zone.into(),
                suspended.into(),
                items(&status["active"]).len().into(),
                last.into(),
                age,
                names.into(),
                images.into(),
                NONE.into(),
            ]
        }
        _ => job(o, age, names, images),
    }
}

fn controller(reference: &Value) -> String {
    let (group, _) = crate::resources::split_group_version(text(reference, "apiVersion"));
    let kind = text(reference, "kind").to_lowercase();
    let kind = if group.is_empty() { kind } else { format!("{kind}.{group}") };
    format!("{kind}/{}", text(reference, "name"))
}

fn job(o: &Value, age: Value, names: Value, images: Value) -> Vec<Value> {
    let (spec, status) = (&o["spec"], &o["status"]);
    let succeeded = number(&status["succeeded"]);
    let completions = match (spec["completions"].as_i64(), spec["parallelism"].as_i64()) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, Some(parallel)) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let time = |v: &Value| v.as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let took = match (time(&status["startTime"]), time(&status["completionTime"])) {
        (None, _) => String::new(),
        (Some(start), None) => duration(crate::clock::now().as_second() - start.as_second()),
        (Some(start), Some(end)) => duration(end.as_second() - start.as_second()),
    };
    let is =
        |kind: &str| items(&status["conditions"]).iter().any(|c| c["type"] == kind && c["status"] == "True");
    let state = if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if !o["metadata"]["deletionTimestamp"].is_null() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    };
    vec![
        state.into(),
        completions.into(),
        took.into(),
        age,
        names,
        images,
        selector(&spec["selector"]).into(),
    ]
}
