//! Items of sets and keyed lists must differ.

use crate::problem::Problem;
use crate::types::{ListType, Type};
use serde_json::{Map, Value};
use std::collections::HashMap;

pub(super) fn check(ty: &Type, value: &Value, path: &mut String, out: &mut Vec<Problem>) {
    let length = path.len();
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                if let Some(field) = ty.field(name) {
                    if field.ty.builtin {
                        continue;
                    }
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                    check(&field.ty, value, path, out);
                } else if let Some(values) = &ty.values {
                    path.push_str(&format!("[{name}]"));
                    check(values, value, path, out);
                }
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            match &ty.list {
                ListType::Atomic => {}
                ListType::Set => doubled(items.iter().cloned(), path, out),
                ListType::Map(keys) => {
                    if let Some(index) = items.iter().position(|i| !i.is_object() && !i.is_null()) {
                        let detail = "must be an object for an array of list-type map";
                        out.push(Problem::invalid(format!("{path}[{index}]"), &items[index], detail));
                    } else {
                        doubled(items.iter().map(|item| key_of(item, keys)), path, out);
                    }
                }
            }
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                check(ty.item(), item, path, out);
                path.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn key_of(item: &Value, keys: &[Box<str>]) -> Value {
    let mut out = Map::new();
    let mut keys: Vec<_> = keys.iter().collect();
    keys.sort();
    for key in keys {
        if let Some(value) = item.get(&**key) {
            out.insert(key.to_string(), value.clone());
        }
    }
    Value::Object(out)
}

/// Reports the second occurrence of each value.
fn doubled(values: impl Iterator<Item = Value>, path: &str, out: &mut Vec<Problem>) {
    let mut seen: HashMap<String, u32> = HashMap::new();
    for (index, value) in values.enumerate() {
        let times = seen.entry(sorted(&value).to_string()).or_insert(0);
        *times += 1;
        if *times == 2 {
            out.push(Problem::duplicate(format!("{path}[{index}]"), &value));
        }
    }
}

fn sorted(value: &Value) -> Value {
    let mut value = value.clone();
    value.sort_all_objects();
    value
}
