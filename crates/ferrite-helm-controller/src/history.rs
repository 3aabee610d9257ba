//! What status remembers of releases.

use ferrite_api::helm::{Snapshot, SnapshotAction};
use ferrite_helm::Release;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value};

use crate::{
    digest::{Algorithm, Verdict, verify},
    values,
};

/// The version of snapshots whose digest is that of [`observation`], as in Flux.
const VERSION: &str = "v2";

/// Zero in Go.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// Integers beyond this are not exact once Go has read them from a record.
const MAX_EXACT: u64 = 1 << 53;

/// Name, version and app version of a stored chart.
pub(crate) fn chart_of(release: &Release) -> (String, String, Option<String>) {
    let text = |field: &str| {
        let found = release.chart.pointer(&format!("/metadata/{field}")).and_then(Value::as_str);
        found.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    (text("name").unwrap_or_default(), text("version").unwrap_or_default(), text("appVersion"))
}

/// `namespace/name.vN` of a snapshot.
pub(crate) fn full_name(snapshot: &Snapshot) -> String {
    format!("{}/{}.v{}", snapshot.namespace, snapshot.name, snapshot.version)
}

/// `name@version` of a snapshot's chart.
pub(crate) fn chart_name(snapshot: &Snapshot) -> String {
    format!("{}@{}", snapshot.chart_name, snapshot.chart_version)
}

/// What a digest of a record is computed of: helm-controller `internal/release`, `Observation`, with a line break as
/// Go's encoder ends with one. Hooks that are tests do not count, because tests run later.
fn observation(release: &Release, oci_digest: Option<&str>) -> String {
    let record = release.to_json();
    let tests: Vec<bool> = release.hooks.iter().map(ferrite_helm::Hook::is_test).collect();
    let hooks: Vec<Value> = match record.get("hooks") {
        Some(Value::Array(hooks)) => {
            let kept = hooks.iter().zip(tests).filter(|(_, test)| !test);
            kept.map(|(hook, _)| with_run(hook.clone())).collect()
        }
        _ => Vec::new(),
    };
    let config =
        if release.config.is_empty() { Value::Null } else { sorted(&Value::Object(release.config.clone())) };
    let mut out = Map::new();
    out.insert("name".into(), release.name.as_str().into());
    out.insert("version".into(), release.version.into());
    out.insert("info".into(), info(release));
    out.insert("chartMetadata".into(), metadata(release));
    out.insert("config".into(), config);
    out.insert("manifest".into(), release.manifest.as_str().into());
    out.insert("hooks".into(), if hooks.is_empty() { Value::Null } else { Value::Array(hooks) });
    out.insert("namespace".into(), release.namespace.as_str().into());
    if let Some(digest) = oci_digest.filter(|digest| !digest.is_empty()) {
        out.insert("ociDigest".into(), digest.into());
    }
    format!("{}\n", ferrite_helm::go_json(&Value::Object(out)))
}

fn info(release: &Release) -> Value {
    let mut info = Map::new();
    let times = [
        ("first_deployed", &release.first_deployed),
        ("last_deployed", &release.last_deployed),
        ("deleted", &release.deleted),
    ];
    for (key, text) in times.into_iter().filter(|(_, text)| !text.is_empty() && *text != NO_TIME) {
        info.insert(key.into(), text.as_str().into());
    }
    let texts = [
        ("description", release.description.as_str()),
        ("status", release.status.as_str()),
        ("notes", release.notes.as_str()),
    ];
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        info.insert(key.into(), text.into());
    }
    Value::Object(info)
}

/// The chart's metadata, fields in Go's order.
fn metadata(release: &Release) -> Value {
    const FIELDS: [&str; 17] = [
        "name",
        "home",
        "sources",
        "version",
        "description",
        "keywords",
        "maintainers",
        "icon",
        "apiVersion",
        "condition",
        "tags",
        "appVersion",
        "deprecated",
        "annotations",
        "kubeVersion",
        "dependencies",
        "type",
    ];
    let stored = release.chart.get("metadata");
    let fields = FIELDS.iter().filter_map(|field| Some((field, stored?.get(*field)?)));
    let fields = fields.filter(|(_, value)| !is_empty(value));
    let fields = fields.map(|(field, value)| {
        let value = if *field == "annotations" { sorted(value) } else { value.clone() };
        ((*field).to_owned(), value)
    });
    Value::Object(fields.collect())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// A hook whose times that are none are left out.
fn with_run(mut hook: Value) -> Value {
    if let Some(Value::Object(run)) = hook.get_mut("last_run") {
        run.retain(|key, value| key == "phase" || *value != NO_TIME);
    }
    hook
}

/// Maps sorted, and integers as Go has them after it read them as floats.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Number(number) => {
            let exact = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            let float = number.as_f64().filter(|_| exact.is_some_and(|exact| exact > MAX_EXACT));
            float.map_or_else(|| value.clone(), |float| float.into())
        }
        other => other.clone(),
    }
}

/// Whether a snapshot is of this record as it is now. A snapshot of another version than ours, and one with a digest
/// of an algorithm that is not known here, is believed.
pub(crate) fn is_of(snapshot: &Snapshot, release: &Release) -> bool {
    let targets = i64::from(snapshot.version) == release.version
        && snapshot.name == release.name
        && snapshot.namespace == release.namespace;
    if snapshot.api_version.as_deref() != Some(VERSION) {
        return targets;
    }
    let text = observation(release, snapshot.oci_digest.as_deref());
    targets && verify(&snapshot.digest, &text) != Verdict::Different
}

/// What status remembers of a record.
pub(crate) fn snapshot(
    release: &Release,
    action: Option<SnapshotAction>,
    oci_digest: Option<String>,
    algorithm: Algorithm,
) -> Snapshot {
    let (chart_name, chart_version, app_version) = chart_of(release);
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok().filter(|_| text != NO_TIME).map(Time);
    let never = || Time(jiff::Timestamp::UNIX_EPOCH);
    Snapshot {
        api_version: Some(VERSION.to_owned()),
        digest: algorithm.digest(&observation(release, oci_digest.as_deref())),
        action,
        name: release.name.clone(),
        namespace: release.namespace.clone(),
        version: i32::try_from(release.version).unwrap_or(i32::MAX),
        status: release.status.as_str().to_owned(),
        chart_name,
        chart_version,
        app_version,
        config_digest: values::digest(&release.config, algorithm),
        first_deployed: time(&release.first_deployed).unwrap_or_else(never),
        last_deployed: time(&release.last_deployed).unwrap_or_else(never),
        deleted: time(&release.deleted),
        test_hooks: None,
        oci_digest,
    }
}

/// Takes a record into the history: a known revision is replaced, a new one put first. What the record does not tell
/// (tests, the artifact) is kept.
pub(crate) fn remember(
    history: &mut Vec<Snapshot>,
    release: &Release,
    action: Option<SnapshotAction>,
    oci_digest: Option<String>,
    algorithm: Algorithm,
) {
    let targets = |known: &Snapshot| {
        i64::from(known.version) == release.version
            && known.name == release.name
            && known.namespace == release.namespace
    };
    match history.iter_mut().find(|known| targets(known)) {
        Some(known) => {
            let oci_digest = oci_digest.or_else(|| known.oci_digest.take());
            let new = snapshot(release, action.or(known.action), oci_digest, algorithm);
            *known = Snapshot { test_hooks: known.test_hooks.take(), ..new };
        }
        None => history.insert(0, snapshot(release, action, oci_digest, algorithm)),
    }
    history.sort_by_key(|known| std::cmp::Reverse(known.version));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn release() -> Release {
        Release::from_json(json!({
            "name": "app", "namespace": "shop", "version": 2,
            "info": {
                "first_deployed": "2026-01-02T03:04:05.12Z", "last_deployed": "2026-01-02T03:04:06Z", "deleted": "",
                "description": "Upgrade complete", "status": "deployed", "notes": "<b>",
            },
            "chart": {"metadata": {"version": "1.0.0", "name": "web", "apiVersion": "v2", "appVersion": "9", "tags": ""}},
            "config": {"b": 1, "a": {"y": true, "x": 1.5}},
            "manifest": "---\n# Source: web/x\nkind: A\n",
            "hooks": [
                {"name": "t", "kind": "Pod", "path": "p", "manifest": "m", "events": ["test"], "last_run": {"phase": ""}},
                {"name": "h", "kind": "Job", "path": "p", "manifest": "m", "events": ["pre-install"],
                 "last_run": {"started_at": "0001-01-01T00:00:00Z", "completed_at": "2026-01-02T03:04:05Z", "phase": "Succeeded"},
                 "weight": 1, "delete_policies": ["hook-succeeded"]},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn records_are_digested_as_go_encodes_them() {
        let expect = concat!(
            r#"{"name":"app","version":2,"info":{"first_deployed":"2026-01-02T03:04:05.12Z","last_deployed":"2026-01-02T03:04:06Z","#,
            r#""description":"Upgrade complete","status":"deployed","notes":"\u003cb\u003e"},"#,
            r#""chartMetadata":{"name":"web","version":"1.0.0","apiVersion":"v2","appVersion":"9"},"#,
            r#""config":{"a":{"x":1.5,"y":true},"b":1},"manifest":"---\n# Source: web/x\nkind: A\n","#,
            r#""hooks":[{"name":"h","kind":"Job","path":"p","manifest":"m","events":["pre-install"],"#,
            r#""last_run":{"completed_at":"2026-01-02T03:04:05Z","phase":"Succeeded"},"weight":1,"delete_policies":["hook-succeeded"]}],"#,
            r#""namespace":"shop","ociDigest":"sha256:00"}"#,
            "\n"
        );
        assert_eq!(observation(&release(), Some("sha256:00")), expect);
        let mut bare = release();
        (bare.hooks, bare.config) = (Vec::new(), Map::new());
        assert!(observation(&bare, None).contains(r#""config":null"#));
        assert!(observation(&bare, None).ends_with("\"hooks\":null,\"namespace\":\"shop\"}\n"));
    }

    #[test]
    fn a_record_that_was_changed_is_not_the_one_remembered() {
        let known =
            snapshot(&release(), Some(SnapshotAction::Upgrade), Some("sha256:00".into()), Algorithm::Sha256);
        assert!(is_of(&known, &release()));
        let mut changed = release();
        changed.manifest.push('x');
        assert!(!is_of(&known, &changed));
        assert!(is_of(&Snapshot { api_version: None, ..known.clone() }, &changed), "of an older controller");
        assert!(!is_of(&known, &Release { version: 3, ..release() }));
    }

    #[test]
    fn known_revisions_are_replaced_and_newer_ones_come_first() {
        let mut history = Vec::new();
        let take = |history: &mut Vec<Snapshot>, version, action| {
            let release = Release { version, ..release() };
            remember(history, &release, action, None, Algorithm::Sha256);
        };
        take(&mut history, 1, Some(SnapshotAction::Install));
        take(&mut history, 2, Some(SnapshotAction::Upgrade));
        history[1].oci_digest = Some("sha256:11".into());
        take(&mut history, 1, None);
        let shown: Vec<_> = history.iter().map(|s| (s.version, s.action, s.oci_digest.clone())).collect();
        let expect = [
            (2, Some(SnapshotAction::Upgrade), None),
            (1, Some(SnapshotAction::Install), Some("sha256:11".to_owned())),
        ];
        assert_eq!(shown, expect);
    }

    /// A record and the snapshot of it, as helm-controller 1.6.3 wrote them.
    #[test]
    fn digests_are_those_of_flux() {
        let written: Value = serde_json::from_str(include_str!("history/flux-1.6.3.json")).unwrap();
        let release = Release::from_json(written["record"].clone()).unwrap();
        let snapshot: Snapshot = serde_json::from_value(written["snapshot"].clone()).unwrap();
        assert!(is_of(&snapshot, &release));
        let own = super::snapshot(&release, snapshot.action, None, Algorithm::Sha256);
        assert_eq!(serde_json::to_value(&own).unwrap(), written["snapshot"]);
    }
}
