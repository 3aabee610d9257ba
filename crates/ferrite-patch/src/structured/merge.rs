//! Laying an applied configuration over the live object.

use super::element::Element;
use super::shape::{Form, child_or_any, item_element, shape, whole_list, whole_map};
use ferrite_schema::Type;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// `live` with what `applied` says; nothing is removed.
pub(crate) fn merge(ty: &Type, live: &Value, applied: &Value) -> Value {
    visit(ty, live, applied)
}

fn visit(ty: &Type, live: &Value, applied: &Value) -> Value {
    match shape(ty, Some(applied)).form {
        Form::Scalar => applied.clone(),
        Form::List => {
            let (l, r) = (live.as_array(), applied.as_array());
            match (l, r) {
                _ if whole_list(ty) => applied.clone(),
                (None, _) => applied.clone(),
                (Some(l), None) if l.is_empty() => applied.clone(),
                (Some(_), None) => live.clone(),
                (Some(l), Some(r)) if l.is_empty() && r.is_empty() => applied.clone(),
                (Some(l), Some(r)) => Value::Array(Lists::new(ty, l, r).merge()),
            }
        }
        Form::Map => {
            let (l, r) = (live.as_object(), applied.as_object());
            match (l, r) {
                _ if whole_map(ty) => applied.clone(),
                (None, _) => applied.clone(),
                (Some(l), None) if l.is_empty() => applied.clone(),
                (Some(_), None) => live.clone(),
                (Some(l), Some(r)) => Value::Object(mappings(ty, l, r)),
            }
        }
    }
}

fn mappings(ty: &Type, live: &Map<String, Value>, applied: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::with_capacity(live.len().max(applied.len()));
    for (name, value) in live {
        let merged = match applied.get(name) {
            Some(applied) => visit(child_or_any(ty, name), value, applied),
            None => value.clone(),
        };
        out.insert(name.clone(), merged);
    }
    for (name, value) in applied {
        if !out.contains_key(name) {
            out.insert(name.clone(), value.clone());
        }
    }
    out
}

/// Two lists of keyed items.
///
/// The order is that of structured-merge-diff: applied items in their order, live-only items where they stand among
/// the shared ones.
struct Lists<'v> {
    item_type: &'v Type,
    live: Vec<(Element, &'v Value)>,
    applied: Vec<(Element, &'v Value)>,
    /// The live item of a key; `None` when several share it, which then merge with nothing.
    live_of: BTreeMap<Element, Option<&'v Value>>,
    applied_keys: BTreeSet<Element>,
}

impl<'v> Lists<'v> {
    fn new(ty: &'v Type, live: &'v [Value], applied: &'v [Value]) -> Self {
        let keyed = |items: &'v [Value]| -> Vec<(Element, &'v Value)> {
            items.iter().filter_map(|i| Some((item_element(ty, i).ok()?, i))).collect()
        };
        let (live, applied) = (keyed(live), keyed(applied));
        let mut live_of = BTreeMap::new();
        for (element, item) in &live {
            live_of.entry(element.clone()).and_modify(|i| *i = None).or_insert(Some(*item));
        }
        let applied_keys = applied.iter().map(|(e, _)| e.clone()).collect();
        Self { item_type: ty.item(), live, applied, live_of, applied_keys }
    }

    fn merged(&self, element: &Element, applied: &Value) -> Value {
        match self.live_of.get(element) {
            Some(Some(live)) => visit(self.item_type, live, applied),
            _ => applied.clone(),
        }
    }

    fn merge(&self) -> Vec<Value> {
        let mut out = Vec::with_capacity(self.live.len().max(self.applied.len()));
        let mut shared = self.applied.iter().map(|(e, _)| e).filter(|e| self.live_of.contains_key(*e));
        let mut next_shared = shared.next();
        let mut done: BTreeSet<&Element> = BTreeSet::new();
        let (mut l, mut r) = (0, 0);
        while l < self.live.len() || r < self.applied.len() {
            if let (Some((le, _)), Some((re, item))) = (self.live.get(l), self.applied.get(r)) {
                if le == re {
                    done.insert(re);
                    out.push(self.merged(re, item));
                    (l, r) = (l + 1, r + 1);
                    next_shared = shared.next();
                    continue;
                }
                if self.applied_keys.contains(le) && next_shared.is_some_and(|n| n != le) {
                    // A shared item, but another one comes first in the applied order.
                    l += 1;
                    continue;
                }
            }
            if let Some((element, item)) = self.live.get(l) {
                if !self.applied_keys.contains(element) {
                    out.push((*item).clone());
                    l += 1;
                    continue;
                }
                if done.contains(element) {
                    l += 1;
                }
            }
            if let Some((element, item)) = self.applied.get(r) {
                done.insert(element);
                out.push(self.merged(element, item));
                r += 1;
                if next_shared == Some(element) {
                    next_shared = shared.next();
                }
            }
        }
        out
    }
}
