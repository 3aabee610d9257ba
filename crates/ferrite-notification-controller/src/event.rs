//! The event on the wire, and what is read from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Metadata keys of this prefix come from annotations of the involved object.
pub const EVENT_PREFIX: &str = "event.toolkit.fluxcd.io/";

/// How loud an event is, as alerts ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// `error`: somebody should look.
    Error,
    /// Everything else; unknown severities count as information, as in Flux.
    Info,
}

/// What an event is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InvolvedObject {
    /// Kind, such as `Kustomization`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// UID.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Group and version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Resource version when the event was written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// Part of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field_path: String,
}

/// An event as controllers post it. Unknown fields are ignored, missing ones empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Event {
    /// What it is about.
    pub involved_object: InvolvedObject,
    /// `info`, `error` or `trace`.
    pub severity: String,
    /// RFC 3339, in seconds and UTC; empty when the controller gave none, which JSON shows as `null`.
    #[serde(serialize_with = "null_if_empty", deserialize_with = "in_seconds")]
    pub timestamp: String,
    /// What happened, for a person.
    pub message: String,
    /// CamelCase reason.
    pub reason: String,
    /// Further facts by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub metadata: BTreeMap<String, String>,
    /// The controller's name.
    pub reporting_controller: String,
    /// The controller's host.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reporting_instance: String,
}

fn null_as_default<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A time as Kubernetes writes it, whatever zone and precision it came in.
fn in_seconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(String::new()) };
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| serde::de::Error::custom("timestamp must be a time in the form of RFC 3339"))?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn null_if_empty<S: serde::Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    (!text.is_empty()).then_some(text).serialize(to)
}

/// A metadata key that several sources set, with the names of the sources in order of precedence.
pub type Conflicts = BTreeMap<String, String>;

impl Event {
    /// Loud or not.
    #[must_use]
    pub fn severity(&self) -> Severity {
        if self.severity == "error" { Severity::Error } else { Severity::Info }
    }

    /// Whether it reports a failure.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity() == Severity::Error
    }

    /// `<group>/` of the involved object, the prefix of its controller's metadata; `/` for the core group.
    #[must_use]
    pub fn group_prefix(&self) -> String {
        let group = self.involved_object.api_version.split_once('/').map_or("", |(group, _)| group);
        format!("{group}/")
    }

    /// The value of `<group>/key`.
    #[must_use]
    pub fn of_controller(&self, key: &str) -> Option<&str> {
        self.metadata.get(&format!("{}{key}", self.group_prefix())).map(String::as_str)
    }

    /// `Kind/namespace/name`.
    #[must_use]
    pub fn object_path(&self) -> String {
        let object = &self.involved_object;
        format!("{}/{}/{}", object.kind, object.namespace, object.name)
    }

    /// `kind/name.namespace`, the object's name in chats.
    #[must_use]
    pub fn object_title(&self) -> String {
        let object = &self.involved_object;
        format!("{}/{}.{}", object.kind.to_lowercase(), object.name, object.namespace)
    }

    /// `kind/name` in lower case.
    #[must_use]
    pub fn object_short(&self) -> String {
        format!("{}/{}", self.involved_object.kind, self.involved_object.name).to_lowercase()
    }

    /// The reason as words: `ReconciliationSucceeded` becomes `reconciliation succeeded`.
    #[must_use]
    pub fn reason_words(&self) -> String {
        words(&self.reason).join(" ").to_lowercase()
    }

    /// Whether it only exists so that commit statuses are posted again.
    #[must_use]
    pub fn is_commit_status_update(&self) -> bool {
        self.of_controller("commit_status") == Some("update")
    }

    /// The same event for everybody, where it would only have been one for commit statuses.
    #[must_use]
    pub fn without_update(&self) -> Self {
        let mut event = self.clone();
        event.metadata.remove(&format!("{}commit_status", self.group_prefix()));
        event
    }

    /// Drops metadata that is neither the object's nor its controller's, and what only controllers need.
    pub fn clean_metadata(&mut self) {
        let prefix = self.group_prefix();
        let (checksum, digest) = (format!("{prefix}checksum"), format!("{prefix}digest"));
        self.metadata.retain(|key, _| {
            (key.starts_with(EVENT_PREFIX) || key.starts_with(&prefix))
                && !key.eq_ignore_ascii_case(&checksum)
                && !key.eq_ignore_ascii_case(&digest)
        });
    }

    /// The key by which repeated events are known: hex SHA-256. Severity and reason are no part of it.
    #[must_use]
    pub fn dedup_key(&self) -> String {
        let object = &self.involved_object;
        let mut text = format!(
            "event/name={}/namespace={}/kind={}/message={}",
            object.name, object.namespace, object.kind, self.message
        );
        for key in ["originRevision", "revision", "token"] {
            if let Some(value) = self.of_controller(key) {
                // Writing to a String cannot fail.
                let _infallible = write!(text, "/{key}={value}");
            }
        }
        hex::encode(Sha256::digest(text))
    }

    /// The event as a provider sees it: metadata of all sources merged under short keys, the last source winning, and
    /// the keys that several sources set (RFC-0008 of Flux).
    #[must_use]
    pub fn merged(&self, alert_metadata: &BTreeMap<String, String>, summary: &str) -> (Self, Conflicts) {
        let prefix = self.group_prefix();
        let own = |prefix: &str| {
            let stripped = |(key, value): (&String, &String)| {
                key.strip_prefix(prefix).map(|key| (key.to_owned(), value.clone()))
            };
            self.metadata.iter().filter_map(stripped).collect::<Vec<_>>()
        };
        let summary = (!summary.is_empty()).then(|| ("summary".to_owned(), summary.to_owned()));
        let sources = [
            ("involved object annotations", own(EVENT_PREFIX)),
            ("Alert object .spec.eventMetadata", alert_metadata.clone().into_iter().collect()),
            ("Alert object .spec.summary", summary.into_iter().collect()),
            ("involved object controller metadata", own(&prefix)),
        ];
        let mut merged = BTreeMap::new();
        let mut origins: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut repeated = BTreeSet::new();
        for (source, entries) in sources {
            for (key, value) in entries {
                let origins = origins.entry(key.clone()).or_default();
                origins.push(source);
                if origins.len() > 1 {
                    repeated.insert(key.clone());
                }
                merged.insert(key, value);
            }
        }
        let conflicts = repeated
            .into_iter()
            .filter_map(|key| origins.get(&key).map(|sources| (key, sources.join(", "))))
            .collect();
        let metadata = if merged.is_empty() { self.metadata.clone() } else { merged };
        (Self { metadata, ..self.clone() }, conflicts)
    }
}

/// Splits at camel-case boundaries: `HTTPError2` is `HTTP`, `Error`, `2`.
fn words(text: &str) -> Vec<String> {
    #[derive(PartialEq, Clone, Copy)]
    enum Class {
        Lower,
        Upper,
        Digit,
        Other,
    }
    let class = |letter: char| match letter {
        _ if letter.is_lowercase() => Class::Lower,
        _ if letter.is_uppercase() => Class::Upper,
        _ if letter.is_ascii_digit() => Class::Digit,
        _ => Class::Other,
    };
    let mut runs: Vec<(Class, String)> = Vec::new();
    for letter in text.chars() {
        match runs.last_mut() {
            Some((last, run)) if *last == class(letter) => run.push(letter),
            _ => runs.push((class(letter), letter.to_string())),
        }
    }
    // The last capital of a run belongs to the word that follows.
    for index in 1..runs.len() {
        let (before, after) = runs.split_at_mut(index);
        if let (Some((Class::Upper, upper)), Some((Class::Lower, lower))) =
            (before.last_mut(), after.first_mut())
            && let Some(capital) = upper.pop()
        {
            lower.insert(0, capital);
        }
    }
    runs.into_iter().map(|(_, run)| run).filter(|run| !run.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(metadata: &[(&str, &str)]) -> Event {
        Event {
            involved_object: InvolvedObject {
                kind: "Kustomization".into(),
                namespace: "flux-system".into(),
                name: "apps".into(),
                api_version: "kustomize.toolkit.fluxcd.io/v1".into(),
                ..InvolvedObject::default()
            },
            message: "applied".into(),
            metadata: metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Event::default()
        }
    }

    #[test]
    fn reasons_become_words() {
        for (reason, expect) in [
            ("ReconciliationSucceeded", "reconciliation succeeded"),
            ("HTTPError", "http error"),
            ("Phase2Done", "phase 2 done"),
            ("lower", "lower"),
            ("", ""),
        ] {
            assert_eq!(Event { reason: reason.into(), ..Event::default() }.reason_words(), expect);
        }
    }

    #[test]
    fn foreign_metadata_and_digests_are_dropped() {
        let mut event = event(&[
            ("kustomize.toolkit.fluxcd.io/revision", "main"),
            ("kustomize.toolkit.fluxcd.io/Digest", "sha256:1"),
            ("kustomize.toolkit.fluxcd.io/checksum", "1"),
            ("event.toolkit.fluxcd.io/team", "web"),
            ("helm.toolkit.fluxcd.io/revision", "1"),
        ]);
        event.clean_metadata();
        let keys: Vec<&String> = event.metadata.keys().collect();
        assert_eq!(keys, ["event.toolkit.fluxcd.io/team", "kustomize.toolkit.fluxcd.io/revision"]);
    }

    #[test]
    fn the_key_knows_revision_and_token_but_not_the_reason() {
        let plain = event(&[]);
        assert_eq!(
            plain.dedup_key(),
            hex::encode(Sha256::digest(
                "event/name=apps/namespace=flux-system/kind=Kustomization/message=applied"
            ))
        );
        assert_eq!(plain.dedup_key(), Event { reason: "Other".into(), ..event(&[]) }.dedup_key());
        let revised = event(&[("kustomize.toolkit.fluxcd.io/revision", "main@sha1:1")]);
        assert_ne!(plain.dedup_key(), revised.dedup_key());
    }

    #[test]
    fn the_controllers_metadata_wins_and_conflicts_are_told() {
        let event = event(&[
            ("event.toolkit.fluxcd.io/revision", "annotation"),
            ("event.toolkit.fluxcd.io/env", "prod"),
            ("kustomize.toolkit.fluxcd.io/revision", "main@sha1:1"),
        ]);
        let alert = BTreeMap::from([("cluster".to_owned(), "eu".to_owned())]);
        let (merged, conflicts) = event.merged(&alert, "all of it");
        let expect =
            [("cluster", "eu"), ("env", "prod"), ("revision", "main@sha1:1"), ("summary", "all of it")];
        assert_eq!(merged.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expect);
        assert_eq!(
            conflicts,
            BTreeMap::from([(
                "revision".to_owned(),
                "involved object annotations, involved object controller metadata".to_owned()
            )])
        );
    }

    #[test]
    fn null_and_missing_fields_are_empty() {
        let event: Event = serde_json::from_str(r#"{"message":"m","metadata":null,"extra":1}"#).unwrap();
        assert_eq!(
            (event.message.as_str(), event.metadata.len(), event.severity()),
            ("m", 0, Severity::Info)
        );
    }

    #[test]
    fn times_become_seconds_in_utc() {
        let of = |json: &str| serde_json::from_str::<Event>(json);
        let later: Event = of(r#"{"timestamp":"2026-01-02T03:04:05.678+02:00"}"#).unwrap();
        assert_eq!(later.timestamp, "2026-01-02T01:04:05Z");
        assert!(of(r#"{"timestamp":"yesterday"}"#).is_err() && of(r#"{"timestamp":""}"#).is_err());
        let none = of(r#"{"timestamp":null}"#).unwrap();
        assert_eq!(serde_json::to_value(&none).unwrap()["timestamp"], serde_json::Value::Null);
    }
}
