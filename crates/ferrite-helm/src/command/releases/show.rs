//! What the commands print: tables, JSON or YAML.

use serde_json::{Map, Value, json};

use super::{Record, table};
use crate::{
    Event, Release, command::Failure, command::flags::Flags, go_json, hooks_for, release::sorted,
    reuse_values,
};

/// A field of the stored chart's metadata.
fn of_chart<'r>(release: &'r Release, field: &str) -> &'r str {
    let found = release.chart.pointer("/metadata").and_then(|metadata| metadata.get(field));
    found.and_then(Value::as_str).unwrap_or_default()
}

fn chart(release: &Release) -> String {
    format!("{}-{}", of_chart(release, "name"), of_chart(release, "version"))
}

/// `-o json` and `-o yaml` of a value, whose fields are in the order of Go's struct.
fn encoded(value: &Value, flags: &Flags) -> Option<String> {
    match flags.last("output") {
        Some("json") => Some(format!("{}\n", go_json(value))),
        Some("yaml") => Some(ferrite_yaml::write(value)),
        _ => None,
    }
}

fn header(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|column| (*column).to_owned()).collect()
}

pub(super) fn list(releases: &[Release], flags: &Flags) -> String {
    if flags.is_set("short") && flags.last("output").is_none_or(|output| output == "table") {
        return releases.iter().map(|release| format!("{}\n", release.name)).collect();
    }
    let elements = releases.iter().map(|release| {
        json!({
            "name": release.name, "namespace": release.namespace, "revision": release.version.to_string(),
            "updated": table::plain(&release.last_deployed), "status": release.status.as_str(),
            "chart": chart(release), "app_version": of_chart(release, "appVersion"),
        })
    });
    let elements: Vec<Value> = if flags.is_set("short") {
        releases.iter().map(|release| json!(release.name)).collect()
    } else {
        elements.collect()
    };
    if let Some(text) = encoded(&Value::Array(elements.clone()), flags) {
        return text;
    }
    let mut rows = Vec::new();
    if !flags.is_set("no-headers") {
        rows.push(header(&["NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION"]));
    }
    let cells = |element: &Value| {
        let fields = element.as_object().into_iter().flat_map(Map::values);
        fields.map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect()
    };
    rows.extend(elements.iter().map(cells));
    table::table(&rows)
}

pub(super) fn history(releases: &[Release], flags: &Flags) -> String {
    let elements = releases.iter().map(|release| {
        json!({
            "revision": release.version, "updated": release.last_deployed, "status": release.status.as_str(),
            "chart": chart(release), "app_version": of_chart(release, "appVersion"),
            "description": release.description,
        })
    });
    if let Some(text) = encoded(&Value::Array(elements.collect()), flags) {
        return text;
    }
    let columns = ["REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION"];
    let mut rows = vec![header(&columns)];
    rows.extend(releases.iter().map(|release| {
        vec![
            release.version.to_string(),
            table::ansic(&release.last_deployed),
            release.status.as_str().to_owned(),
            chart(release),
            of_chart(release, "appVersion").to_owned(),
            release.description.clone(),
        ]
    }));
    table::table(&rows)
}

/// The user's values as YAML, `null` when there are none.
fn config(release: &Release) -> String {
    if release.config.is_empty() {
        return "null\n".to_owned();
    }
    ferrite_yaml::write(&Value::Object(release.config.clone()))
}

/// The user's values over the chart's defaults.
fn computed(release: &Release) -> Result<Value, Failure> {
    let all = reuse_values(release, &Map::new()).map_err(|error| error.to_string())?;
    Ok(whole(&Value::Object(all.defaults)))
}

/// Whole floats as integers, as Go prints them.
fn whole(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(whole).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), whole(value))).collect())
        }
        Value::Number(number) if number.is_f64() => {
            serde_json::from_str(&go_json(value)).unwrap_or_else(|_| value.clone())
        }
        other => other.clone(),
    }
}

pub(super) fn values(release: &Release, flags: &Flags) -> Result<String, Failure> {
    let all = flags.is_set("all");
    let shown = if all { computed(release)? } else { sorted(&Value::Object(release.config.clone())) };
    let shown = if shown.as_object().is_some_and(Map::is_empty) { Value::Null } else { shown };
    if let Some(text) = encoded(&shown, flags) {
        return Ok(text);
    }
    let title = if all { "COMPUTED VALUES:" } else { "USER-SUPPLIED VALUES:" };
    Ok(format!("{title}\n{}", ferrite_yaml::write(&shown)))
}

pub(super) fn hooks(release: &Release) -> String {
    let hooks = release.hooks.iter();
    hooks.map(|hook| format!("---\n# Source: {}\n{}\n", hook.path, hook.manifest)).collect()
}

/// A release as `status` shows it, and with `whole` as `get all` does.
pub(super) fn release(release: &Release, flags: &Flags, whole: bool) -> Result<String, Failure> {
    if let Some(text) = encoded(&release.to_json(), flags) {
        return Ok(text);
    }
    let mut out = format!("NAME: {}\n", release.name);
    if table::time(&release.last_deployed).is_some() {
        out.push_str(&format!("LAST DEPLOYED: {}\n", table::ansic(&release.last_deployed)));
    }
    out.push_str(&format!(
        "NAMESPACE: {}\nSTATUS: {}\nREVISION: {}\n",
        release.namespace,
        release.status.as_str(),
        release.version
    ));
    if whole {
        out.push_str(&format!(
            "CHART: {}\nVERSION: {}\nAPP_VERSION: {}\n",
            of_chart(release, "name"),
            of_chart(release, "version"),
            of_chart(release, "appVersion")
        ));
    }
    out.push_str(&format!("DESCRIPTION: {}\n", release.description));
    out.push_str(&tests(release));
    if whole {
        out.push_str(&format!("USER-SUPPLIED VALUES:\n{}\n", config(release)));
        out.push_str(&format!("COMPUTED VALUES:\n{}\n", ferrite_yaml::write(&computed(release)?)));
        out.push_str(&format!("HOOKS:\n{}MANIFEST:\n{}\n", hooks(release), release.manifest));
    }
    if !release.notes.is_empty() {
        out.push_str(&format!("NOTES:\n{}\n", release.notes.trim()));
    }
    Ok(out)
}

fn tests(release: &Release) -> String {
    let tests = hooks_for(&release.hooks, Event::Test);
    if tests.is_empty() {
        return "TEST SUITE: None\n".to_owned();
    }
    let ran = tests.into_iter().filter(|hook| table::time(&hook.last_run.started_at).is_some());
    ran.map(|hook| {
        format!(
            "TEST SUITE:     {}\nLast Started:   {}\nLast Completed: {}\nPhase:          {}\n",
            hook.name,
            table::ansic(&hook.last_run.started_at),
            table::ansic(&hook.last_run.completed_at),
            hook.last_run.phase
        )
    })
    .collect()
}

pub(super) fn metadata(record: &Record, flags: &Flags) -> String {
    let release = &record.release;
    let annotations = release.chart.pointer("/metadata/annotations").map(sorted);
    let dependencies = release.chart.pointer("/metadata/dependencies").cloned();
    let mut labels = record.labels.clone();
    labels.sort();
    let method = release.to_json().get("apply_method").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut all = Map::new();
    let mut put = |key: &str, value: Value| {
        let omitted = matches!(key, "annotations" | "labels" | "dependencies" | "applyMethod");
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !(omitted && empty) {
            all.insert(key.to_owned(), value);
        }
    };
    put("name", json!(release.name));
    put("chart", json!(of_chart(release, "name")));
    put("version", json!(of_chart(release, "version")));
    put("appVersion", json!(of_chart(release, "appVersion")));
    put("annotations", annotations.clone().unwrap_or_default());
    put(
        "labels",
        labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>().into(),
    );
    put("dependencies", dependencies.clone().unwrap_or_default());
    put("namespace", json!(release.namespace));
    put("revision", json!(release.version));
    put("status", json!(release.status.as_str()));
    put("deployedAt", json!(table::rfc3339(&release.last_deployed)));
    put("applyMethod", json!(method));
    if let Some(text) = encoded(&Value::Object(all.clone()), flags) {
        return text;
    }
    let pairs: Vec<String> = annotations
        .iter()
        .filter_map(Value::as_object)
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let dependencies = dependencies.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut names: Vec<&str> = dependencies.iter().filter_map(|d| d.get("name")?.as_str()).collect();
    names.sort_unstable();
    let method = match method.as_str() {
        "csa" => "client-side apply",
        "ssa" => "server-side apply",
        _ => "client-side apply (defaulted)",
    };
    let text = |key: &str| match all.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    format!(
        "NAME: {}\nCHART: {}\nVERSION: {}\nAPP_VERSION: {}\nANNOTATIONS: {}\nLABELS: {}\nDEPENDENCIES: {}\n\
         NAMESPACE: {}\nREVISION: {}\nSTATUS: {}\nDEPLOYED_AT: {}\nAPPLY_METHOD: {method}\n",
        text("name"),
        text("chart"),
        text("version"),
        text("appVersion"),
        pairs.join(","),
        labels.join(","),
        names.join(","),
        text("namespace"),
        text("revision"),
        text("status"),
        text("deployedAt"),
    )
}
