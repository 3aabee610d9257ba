//! Releases as Helm stores them.

use std::io::Read;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    chart::Lock,
    error::Error,
    manifest::{Event, Hook, HookRun},
};

/// Bytes of an unpacked record; a Secret holds at most one MiB of packed ones.
const MAX_RECORD_BYTES: u64 = 64 << 20;

/// The time Go writes for none.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// How far a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// `unknown`
    Unknown,
    /// `deployed`
    Deployed,
    /// `uninstalled`
    Uninstalled,
    /// `superseded`
    Superseded,
    /// `failed`
    Failed,
    /// `uninstalling`
    Uninstalling,
    /// `pending-install`
    PendingInstall,
    /// `pending-upgrade`
    PendingUpgrade,
    /// `pending-rollback`
    PendingRollback,
}

impl Status {
    const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Deployed,
        Self::Uninstalled,
        Self::Superseded,
        Self::Failed,
        Self::Uninstalling,
        Self::PendingInstall,
        Self::PendingUpgrade,
        Self::PendingRollback,
    ];

    /// The word in a record and its label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }

    /// Reads the word; a new one is `Unknown`.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|status| status.as_str() == word).unwrap_or(Self::Unknown)
    }

    /// Whether an action was under way when this was written.
    #[must_use]
    pub fn is_pending(self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

/// How a release's objects are applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ApplyMethod {
    /// `csa`, also where a record says nothing.
    #[default]
    Client,
    /// `ssa`
    Server,
}

/// One revision of a release.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// The namespace it is stored in and its objects go to.
    pub namespace: String,
    /// The revision, from 1.
    pub version: i64,
    /// How far it is.
    pub status: Status,
    /// RFC 3339; empty for none.
    pub first_deployed: String,
    /// RFC 3339; empty for none.
    pub last_deployed: String,
    /// RFC 3339; empty for none.
    pub deleted: String,
    /// What happened, for people.
    pub description: String,
    /// The rendered `NOTES.txt`.
    pub notes: String,
    /// The chart as stored: metadata, lock, templates, values, schema and files, in Helm's form.
    pub chart: Value,
    /// The user's values.
    pub config: Map<String, Value>,
    /// Everything but hooks.
    pub manifest: String,
    /// Hooks.
    pub hooks: Vec<Hook>,
    /// How objects are applied; `None` in records of Helm 3.
    pub apply_method: Option<ApplyMethod>,
    /// Custom labels of the record, which are not inside it.
    pub labels: Vec<(String, String)>,
    /// Fields of the record that are not known here, kept for writing.
    pub other: Map<String, Value>,
}

impl Release {
    /// The record, fields in Helm's order.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut info = Map::new();
        let time = |text: &str| if text.is_empty() { json!("") } else { json!(text) };
        info.insert("first_deployed".into(), time(&self.first_deployed));
        info.insert("last_deployed".into(), time(&self.last_deployed));
        if !self.deleted.is_empty() {
            info.insert("deleted".into(), time(&self.deleted));
        }
        put(&mut info, "description", &self.description);
        put(&mut info, "status", self.status.as_str());
        put(&mut info, "notes", &self.notes);
        let mut out = Map::new();
        put(&mut out, "name", &self.name);
        out.insert("info".into(), Value::Object(info));
        out.insert("chart".into(), self.chart.clone());
        if !self.config.is_empty() {
            out.insert("config".into(), sorted(&Value::Object(self.config.clone())));
        }
        put(&mut out, "manifest", &self.manifest);
        if !self.hooks.is_empty() {
            out.insert("hooks".into(), self.hooks.iter().map(hook_json).collect());
        }
        if self.version != 0 {
            out.insert("version".into(), self.version.into());
        }
        put(&mut out, "namespace", &self.namespace);
        match self.apply_method {
            Some(ApplyMethod::Server) => put(&mut out, "apply_method", "ssa"),
            Some(ApplyMethod::Client) => put(&mut out, "apply_method", "csa"),
            None => {}
        }
        for (key, value) in &self.other {
            out.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Value::Object(out)
    }

    /// Reads a record; unknown fields are kept, missing ones are empty.
    ///
    /// # Errors
    ///
    /// [`Error::Release`] when it is no record at all.
    pub fn from_json(record: Value) -> Result<Self, Error> {
        let Value::Object(mut record) = record else {
            return Err(Error::Release("a release record must be a JSON object".into()));
        };
        let info = record.remove("info").unwrap_or_default();
        let text =
            |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut take = |key: &str| record.remove(key).unwrap_or_default();
        let string = |value: Value| value.as_str().map(str::to_owned).unwrap_or_default();
        let release = Self {
            name: string(take("name")),
            namespace: string(take("namespace")),
            version: take("version").as_i64().unwrap_or(0),
            status: Status::parse(&text(&info, "status")),
            first_deployed: text(&info, "first_deployed"),
            last_deployed: text(&info, "last_deployed"),
            deleted: text(&info, "deleted"),
            description: text(&info, "description"),
            notes: text(&info, "notes"),
            chart: take("chart"),
            config: match take("config") {
                Value::Object(config) => config,
                _ => Map::new(),
            },
            manifest: string(take("manifest")),
            hooks: match take("hooks") {
                Value::Array(hooks) => hooks.iter().map(hook_from).collect(),
                _ => Vec::new(),
            },
            apply_method: match take("apply_method").as_str() {
                Some("ssa") => Some(ApplyMethod::Server),
                Some("csa") => Some(ApplyMethod::Client),
                _ => None,
            },
            labels: Vec::new(),
            other: Map::new(),
        };
        if release.name.is_empty() {
            return Err(Error::Release("a release record must have a name".into()));
        }
        Ok(Self { other: record, ..release })
    }

    /// The `release` entry of a Secret's data (before the Secret's own base64) or of a ConfigMap's.
    ///
    /// # Errors
    ///
    /// [`Error::Release`] when packing fails.
    pub fn encode(&self) -> Result<String, Error> {
        use std::io::Write;
        let text = go_json(&self.to_json());
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let packed = packer.write_all(text.as_bytes()).and_then(|()| packer.finish());
        packed
            .map(|bytes| STANDARD.encode(bytes))
            .map_err(|e| Error::Release(format!("cannot pack the release: {e}")))
    }

    /// Reads what [`Release::encode`] or Helm wrote; without gzip's mark it is plain JSON, as very old Helm wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Release`] when it is not base64, not gzip, too large or no record.
    pub fn decode(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Release(format!("a stored release cannot be read: {what}"));
        let bytes = STANDARD.decode(text.trim()).map_err(|_| wrong("it is not base64"))?;
        let plain = if bytes.starts_with(&[0x1f, 0x8b, 0x08]) {
            let mut plain = Vec::new();
            let mut reader = flate2::read::GzDecoder::new(&bytes[..]).take(MAX_RECORD_BYTES + 1);
            reader.read_to_end(&mut plain).map_err(|e| wrong(&e.to_string()))?;
            plain
        } else {
            bytes
        };
        if plain.len() as u64 > MAX_RECORD_BYTES {
            return Err(wrong("it is larger than 64 MiB"));
        }
        let record = serde_json::from_slice(&plain).map_err(|e| wrong(&e.to_string()))?;
        Self::from_json(record)
    }

    /// The name of the Secret or ConfigMap that holds this revision.
    #[must_use]
    pub fn storage_name(&self) -> String {
        storage_name(&self.name, self.version)
    }

    /// The labels of the Secret, custom ones first replaced by Helm's own; `time` is in Unix seconds.
    ///
    /// `created` tells whether the object is new: Helm writes `createdAt` then, `modifiedAt` later.
    #[must_use]
    pub fn storage_labels(&self, created: bool, time: i64) -> Vec<(String, String)> {
        let mut labels = self.labels.clone();
        let key = if created { "createdAt" } else { "modifiedAt" };
        let own = [
            (key, time.to_string()),
            ("name", self.name.clone()),
            ("owner", "helm".into()),
            ("status", self.status.as_str().into()),
            ("version", self.version.to_string()),
        ];
        for (key, value) in own {
            labels.retain(|(known, _)| known != key);
            labels.push((key.to_owned(), value));
        }
        labels.sort();
        labels
    }
}

/// The type of the Secrets that hold releases.
pub const SECRET_TYPE: &str = "helm.sh/release.v1";

/// The name of the object that holds a revision of a release.
#[must_use]
pub fn storage_name(name: &str, version: i64) -> String {
    format!("sh.helm.release.v1.{name}.v{version}")
}

/// Revisions to delete before another one is stored: the oldest, so that `max - 1` remain, never the deployed one.
#[must_use]
pub fn surplus(history: &[(i64, Status)], max: usize) -> Vec<i64> {
    if max == 0 || history.len() < max {
        return Vec::new();
    }
    let mut sorted = history.to_vec();
    sorted.sort_unstable_by_key(|(version, _)| *version);
    let deployed =
        sorted.iter().rev().find(|(_, status)| *status == Status::Deployed).map(|(version, _)| *version);
    let excess = sorted.len() - (max - 1);
    sorted
        .iter()
        .map(|(version, _)| *version)
        .filter(|version| Some(*version) != deployed)
        .take(excess)
        .collect()
}

fn put(out: &mut Map<String, Value>, key: &str, value: &str) {
    if !value.is_empty() {
        out.insert(key.to_owned(), value.into());
    }
}

fn hook_json(hook: &Hook) -> Value {
    let mut out = Map::new();
    put(&mut out, "name", &hook.name);
    put(&mut out, "kind", &hook.kind);
    put(&mut out, "path", &hook.path);
    put(&mut out, "manifest", &hook.manifest);
    if !hook.events.is_empty() {
        out.insert("events".into(), hook.events.iter().map(|event| json!(event.as_str())).collect());
    }
    let mut run = Map::new();
    put(&mut run, "started_at", &hook.last_run.started_at);
    put(&mut run, "completed_at", &hook.last_run.completed_at);
    run.insert("phase".into(), hook.last_run.phase.as_str().into());
    out.insert("last_run".into(), Value::Object(run));
    if hook.weight != 0 {
        out.insert("weight".into(), hook.weight.into());
    }
    for (key, policies) in
        [("delete_policies", &hook.delete_policies), ("output_log_policies", &hook.output_log_policies)]
    {
        if !policies.is_empty() {
            out.insert(key.into(), json!(policies));
        }
    }
    Value::Object(out)
}

fn hook_from(value: &Value) -> Hook {
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |key: &str| -> Vec<String> {
        let items = value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let run = value.get("last_run").cloned().unwrap_or_default();
    Hook {
        name: text(value, "name"),
        kind: text(value, "kind"),
        path: text(value, "path"),
        manifest: text(value, "manifest"),
        events: list("events").iter().filter_map(|event| Event::parse(event)).collect(),
        weight: value.get("weight").and_then(Value::as_i64).unwrap_or(0),
        delete_policies: list("delete_policies"),
        output_log_policies: list("output_log_policies"),
        last_run: HookRun {
            started_at: text(&run, "started_at"),
            completed_at: text(&run, "completed_at"),
            phase: text(&run, "phase"),
        },
    }
}

/// Maps with sorted keys, as Go writes them.
pub(crate) fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(entries) => {
            let mut keys: Vec<_> = entries.iter().collect();
            keys.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            Value::Object(keys.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        other => other.clone(),
    }
}

/// JSON as Go writes it: struct fields in order, HTML characters escaped, whole floats without a point.
#[must_use]
pub fn go_json(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (i, (key, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&ferrite_yaml::go_json(&Value::String(key.clone())));
                out.push(':');
                write(out, value);
            }
            out.push('}');
        }
        scalar => out.push_str(&ferrite_yaml::go_json(scalar)),
    }
}

/// A chart in a record.
pub(crate) fn chart_json(prepared: &crate::dependencies::Prepared<'_>) -> Value {
    let chart = prepared.chart;
    let file = |file: &crate::chart::File| {
        let mut out = Map::new();
        out.insert("name".into(), file.name.as_str().into());
        out.insert(
            "data".into(),
            if file.data.is_empty() {
                Value::String(String::new())
            } else {
                STANDARD.encode(&file.data).into()
            },
        );
        out.insert("modtime".into(), NO_TIME.into());
        Value::Object(out)
    };
    let list = |files: &[crate::chart::File]| {
        if files.is_empty() { Value::Null } else { files.iter().map(file).collect() }
    };
    let values = if prepared.has_values {
        sorted(&crate::values::from_template(&ferrite_gotemplate::Value::Map(prepared.values.clone())))
    } else {
        Value::Null
    };
    json!({
        "metadata": prepared.metadata.to_json(),
        "lock": chart.lock.as_ref().map(lock_json),
        "templates": list(&chart.templates),
        "values": values,
        "schema": chart.schema.as_ref().map(|schema| STANDARD.encode(schema)),
        "schemamodtime": NO_TIME,
        "files": list(&chart.files),
        "modtime": NO_TIME,
    })
}

fn lock_json(lock: &Lock) -> Value {
    let generated = if lock.generated.is_empty() { NO_TIME } else { lock.generated.as_str() };
    json!({
        "generated": generated,
        "digest": lock.digest,
        "dependencies": lock.dependencies.iter().map(crate::metadata::Dependency::to_json).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Release, Status, surplus};
    use serde_json::json;

    fn record() -> serde_json::Value {
        json!({
            "name": "demo",
            "info": {"first_deployed": "2024-01-01T00:00:00Z", "last_deployed": "", "description": "Install complete", "status": "deployed"},
            "chart": {"metadata": {"name": "c"}},
            "config": {"a": 1, "b": "<"},
            "manifest": "---\n",
            "hooks": [{"name": "h", "kind": "Job", "events": ["pre-install"], "last_run": {"phase": ""}, "weight": -2}],
            "version": 3,
            "namespace": "apps",
            "new_field": {"kept": true},
        })
    }

    #[test]
    fn records_survive_packing_with_fields_nobody_knows() {
        let release = Release::from_json(record()).unwrap();
        assert_eq!(
            (release.status, release.storage_name().as_str()),
            (Status::Deployed, "sh.helm.release.v1.demo.v3")
        );
        let again = Release::decode(&release.encode().unwrap()).unwrap();
        assert_eq!(again, release);
        assert_eq!(again.to_json(), record());
    }

    #[test]
    fn labels_are_helms_own() {
        let mut release = Release::from_json(record()).unwrap();
        release.labels = vec![("team".into(), "x".into()), ("status".into(), "mine".into())];
        let labels = release.storage_labels(true, 1700000000);
        let text: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(
            text,
            ["createdAt=1700000000", "name=demo", "owner=helm", "status=deployed", "team=x", "version=3"]
        );
    }

    #[test]
    fn history_keeps_the_deployed_revision() {
        use Status::{Deployed, Failed, Superseded};
        let history = [(1, Superseded), (2, Deployed), (3, Failed), (4, Failed)];
        assert_eq!(surplus(&history, 3), [1, 3]);
        assert_eq!(surplus(&history, 10), [] as [i64; 0]);
        assert_eq!(surplus(&history, 0), [] as [i64; 0]);
    }

    #[test]
    fn what_is_no_release_is_refused() {
        for text in ["", "%%%", "e30=", "H4sIAAAA"] {
            assert!(Release::decode(text).is_err(), "{text}");
        }
    }
}
