//! `metadata.managedFields`: who wrote what, when, in which version.

use super::fields_v1::FieldsError;
use super::set::FieldSet;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How a manager came to own fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// By server-side apply: what it stops applying is removed.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    /// `Apply` or `Update`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// One entry of `metadata.managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The field manager's name.
    pub manager: String,
    /// How it wrote.
    pub operation: Operation,
    /// The version it wrote in, which `fields` are paths of.
    pub api_version: String,
    /// When its fields last changed, RFC 3339.
    pub time: Option<String>,
    /// `status` and the like; empty for the object itself.
    pub subresource: String,
    /// What it owns.
    pub fields: FieldSet,
}

/// Reads `metadata.managedFields` of an object; without any the list is empty.
///
/// # Errors
/// When an entry is not one that Kubernetes accepts.
pub fn entries(object: &Value) -> Result<Vec<Entry>, FieldsError> {
    match object.get("metadata").and_then(|m| m.get("managedFields")) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => list.iter().enumerate().map(|(i, e)| entry(i, e)).collect(),
        Some(_) => Err(FieldsError::Entry("managedFields is not a list".to_owned())),
    }
}

fn entry(index: usize, value: &Value) -> Result<Entry, FieldsError> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let operation = match text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err(FieldsError::Entry("operation must be `Apply` or `Update`".to_owned())),
    };
    if text("apiVersion").is_empty() {
        return Err(FieldsError::Entry("apiVersion must not be empty".to_owned()));
    }
    match text("fieldsType") {
        "FieldsV1" => {}
        "" => return Err(FieldsError::Entry(format!("missing fieldsType in managed fields entry {index}"))),
        other => {
            let message =
                format!("invalid fieldsType {} in managed fields entry {index}", crate::go::quote(other));
            return Err(FieldsError::Entry(message));
        }
    }
    Ok(Entry {
        manager: text("manager").to_owned(),
        operation,
        api_version: text("apiVersion").to_owned(),
        time: value.get("time").and_then(Value::as_str).map(str::to_owned),
        subresource: text("subresource").to_owned(),
        fields: value.get("fieldsV1").map(FieldSet::from_fields_v1).transpose()?.unwrap_or_default(),
    })
}

/// The JSON of one entry, keys in Kubernetes' order.
#[must_use]
pub fn entry_json(entry: &Entry) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    if !entry.manager.is_empty() {
        put("manager", entry.manager.as_str().into());
    }
    put("operation", entry.operation.as_str().into());
    put("apiVersion", entry.api_version.as_str().into());
    if let Some(time) = &entry.time {
        put("time", time.as_str().into());
    }
    put("fieldsType", "FieldsV1".into());
    put("fieldsV1", entry.fields.to_fields_v1());
    if !entry.subresource.is_empty() {
        put("subresource", entry.subresource.as_str().into());
    }
    Value::Object(out)
}

/// Who a manager is to the server; appliers are the same in every version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    /// Empty for appliers.
    pub(crate) api_version: String,
    pub(crate) subresource: String,
}

impl Id {
    pub(crate) fn new(manager: &str, operation: Operation, api_version: &str, subresource: &str) -> Self {
        let api_version = if operation == Operation::Apply { "" } else { api_version };
        Self {
            manager: if manager.is_empty() { "unknown" } else { manager }.to_owned(),
            operation,
            api_version: api_version.to_owned(),
            subresource: subresource.to_owned(),
        }
    }

    /// `"name" with subresource "status" using v1`, as conflicts name a manager.
    pub(crate) fn describe(&self) -> String {
        let mut text = crate::go::quote(&self.manager);
        if !self.subresource.is_empty() {
            text = format!("{text} with subresource {}", crate::go::quote(&self.subresource));
        }
        if self.operation == Operation::Update {
            text = format!("{text} using {}", self.api_version);
        }
        text
    }
}

/// What one manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) set: FieldSet,
    /// The version that the set's paths are of.
    pub(crate) version: String,
}

/// Everybody's fields, and when they last changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Managers {
    pub(crate) fields: BTreeMap<Id, Owned>,
    pub(crate) times: BTreeMap<Id, String>,
}

/// Most managers that own fields by updates; the oldest ones are folded beyond it.
const MAX_UPDATERS: usize = 10;

/// The manager that old updates are folded into.
const ANCIENT: &str = "ancient-changes";

impl Managers {
    pub(crate) fn of(object: &Value) -> Result<Self, FieldsError> {
        let mut managers = Self::default();
        for entry in entries(object)? {
            // The name stays as it is: an empty one is another manager than "unknown".
            let mut id = Id::new(&entry.manager, entry.operation, &entry.api_version, &entry.subresource);
            id.manager = entry.manager;
            if let Some(time) = entry.time {
                managers.times.insert(id.clone(), time);
            }
            managers.fields.insert(id, Owned { set: entry.fields, version: entry.api_version });
        }
        Ok(managers)
    }

    /// Adds to what `id` owns; its version becomes this one.
    pub(crate) fn add(&mut self, id: Id, set: FieldSet, version: &str, now: &str) {
        let owned = self
            .fields
            .entry(id.clone())
            .or_insert_with(|| Owned { set: FieldSet::new(), version: version.to_owned() });
        owned.set.extend(set);
        version.clone_into(&mut owned.version);
        self.times.insert(id, now.to_owned());
    }

    /// Folds the oldest updaters of each version until at most ten entries of updates are left.
    pub(crate) fn cap(&mut self) {
        let mut updaters: Vec<Id> =
            self.fields.keys().filter(|id| id.operation == Operation::Update).cloned().collect();
        let mut count = updaters.len();
        if count <= MAX_UPDATERS {
            return;
        }
        updaters.sort_by_key(|id| (self.seconds(id), id.clone()));
        let mut first_of: BTreeMap<String, Id> = BTreeMap::new();
        for id in updaters {
            if count <= MAX_UPDATERS {
                return;
            }
            let Some(version) = self.fields.get(&id).map(|o| o.version.clone()) else { continue };
            let Some(first) = first_of.get(&version) else {
                first_of.insert(version, id);
                continue;
            };
            let bucket = Id::new(ANCIENT, Operation::Update, &version, "");
            if !self.fields.contains_key(&bucket)
                && let Some(owned) = self.fields.remove(first)
            {
                self.fields.insert(bucket.clone(), owned);
            }
            if let Some(owned) = self.fields.remove(&id) {
                match self.times.get(&id).cloned() {
                    Some(time) => self.times.insert(bucket.clone(), time),
                    None => self.times.remove(&bucket),
                };
                match self.fields.get_mut(&bucket) {
                    Some(bucket) => bucket.set.extend(owned.set),
                    None => {
                        self.fields.insert(bucket, owned);
                    }
                }
                count -= 1;
            }
        }
    }

    fn seconds(&self, id: &Id) -> i64 {
        self.times.get(id).map_or(0, |t| seconds(t))
    }

    /// Replaces `metadata.managedFields`; nothing is left when nobody owns anything.
    pub(crate) fn write_into(self, object: &mut Value) {
        let times = self.times;
        let mut list: Vec<(Operation, i64, Id, Entry)> = Vec::with_capacity(self.fields.len());
        for (id, owned) in self.fields {
            let time = times.get(&id).cloned();
            let entry = Entry {
                manager: id.manager.clone(),
                operation: id.operation,
                api_version: owned.version.clone(),
                time: time.clone(),
                subresource: id.subresource.clone(),
                fields: owned.set,
            };
            let key = Id { api_version: owned.version, ..id };
            list.push((key.operation, time.as_deref().map_or(0, seconds), key, entry));
        }
        list.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
        let list: Vec<Value> = list.iter().map(|(_, _, _, entry)| entry_json(entry)).collect();
        set_managed_fields(object, list);
    }
}

/// Puts this list at `metadata.managedFields`, or takes the field away when it is empty.
pub(crate) fn set_managed_fields(object: &mut Value, list: Vec<Value>) {
    let Value::Object(object) = object else { return };
    let metadata = if list.is_empty() {
        object.get_mut("metadata")
    } else {
        Some(object.entry("metadata").or_insert_with(|| Value::Object(Map::new())))
    };
    if let Some(Value::Object(metadata)) = metadata {
        if list.is_empty() {
            metadata.shift_remove("managedFields");
        } else {
            metadata.insert("managedFields".into(), Value::Array(list));
        }
    }
}

/// The seconds since 1970 of an RFC 3339 time; 0 when it is none.
fn seconds(time: &str) -> i64 {
    parse_seconds(time).unwrap_or(0)
}

fn parse_seconds(time: &str) -> Option<i64> {
    let (date, rest) = time.split_once(['T', 't'])?;
    let mut date = date.splitn(3, '-').map(|p| p.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, "Z"),
    };
    let clock = clock.split_once('.').map_or(clock, |(c, _)| c);
    let mut clock = clock.splitn(3, ':').map(|p| p.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let shift = match offset.split_once(':') {
        None => 0,
        Some((hours, minutes)) => {
            let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
            hours * 3600 + if hours < 0 || offset.starts_with('-') { -minutes } else { minutes } * 60
        }
    };
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && (0..=9999).contains(&year);
    if !in_range || hour.abs() > 24 || minute.abs() > 60 || second.abs() > 61 || shift.abs() > 100_000 {
        return None;
    }
    // Days since 1970 of the Gregorian calendar, years starting in March.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - shift)
}
