//! Which fields differ between two values.

use super::element::{Element, same};
use super::set::FieldSet;
use super::shape::{Form, Shape, child_or_any, item_element, shape, whole_list, whole_map};
use ferrite_schema::Type;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a change did to fields; no path is in two of the sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Gone from the new value.
    pub removed: FieldSet,
    /// In both, different.
    pub modified: FieldSet,
    /// New.
    pub added: FieldSet,
}

/// Compares two values of one type.
#[must_use]
pub fn compare(ty: &Type, old: &Value, new: &Value) -> Comparison {
    let mut walker = Walker { path: Vec::new(), out: Comparison::default() };
    walker.visit(ty, Some(old), Some(new));
    walker.out
}

struct Walker {
    path: Vec<Element>,
    out: Comparison,
}

type Side<'v> = Option<&'v Value>;

impl Walker {
    fn visit(&mut self, ty: &Type, old: Side<'_>, new: Side<'_>) {
        let (left, right): (Shape, Shape) = (shape(ty, old), shape(ty, new));
        let leaf = if new.is_none() {
            self.walk(left.form, ty, old, new)
        } else if old.is_none() || left == right {
            self.walk(right.form, ty, old, new)
        } else {
            // The value changed its form: what it had below is gone, what it is now counts for it.
            self.walk(left.form, ty, old, new);
            self.walk(right.form, ty, old, new)
        };
        if !leaf {
            if old.is_none() {
                self.out.added.insert(&self.path);
            } else if new.is_none() {
                self.out.removed.insert(&self.path);
            }
        }
    }

    /// Returns whether the value was compared as a whole.
    fn walk(&mut self, form: Form, ty: &Type, old: Side<'_>, new: Side<'_>) -> bool {
        match form {
            Form::Scalar => self.leaf(old, new),
            Form::List => {
                let (l, r) = (old.and_then(Value::as_array), new.and_then(Value::as_array));
                if whole_list(ty) || l.is_none_or(Vec::is_empty) && r.is_none_or(Vec::is_empty) {
                    return self.leaf(old, new);
                }
                self.lists(ty, l.map_or(&[], Vec::as_slice), r.map_or(&[], Vec::as_slice));
                false
            }
            Form::Map => {
                let (l, r) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
                if whole_map(ty) || l.is_none_or(|m| m.is_empty()) && r.is_none_or(|m| m.is_empty()) {
                    return self.leaf(old, new);
                }
                for (name, value) in l.into_iter().flatten() {
                    self.descend(
                        Element::Field(name.as_str().into()),
                        child_or_any(ty, name),
                        Some(value),
                        r.and_then(|r| r.get(name)),
                    );
                }
                for (name, value) in r.into_iter().flatten() {
                    if l.is_none_or(|l| !l.contains_key(name)) {
                        let ty = child_or_any(ty, name);
                        self.descend(Element::Field(name.as_str().into()), ty, None, Some(value));
                    }
                }
                false
            }
        }
    }

    fn leaf(&mut self, old: Side<'_>, new: Side<'_>) -> bool {
        match (old, new) {
            (None, _) => self.out.added.insert(&self.path),
            (_, None) => self.out.removed.insert(&self.path),
            (Some(old), Some(new)) if !same(old, new) => self.out.modified.insert(&self.path),
            _ => {}
        }
        true
    }

    fn descend(&mut self, element: Element, ty: &Type, old: Side<'_>, new: Side<'_>) {
        self.path.push(element);
        self.visit(ty, old, new);
        self.path.pop();
    }

    fn lists(&mut self, ty: &Type, old: &[Value], new: &[Value]) {
        let mut items: BTreeMap<Element, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for item in old {
            if let Ok(element) = item_element(ty, item) {
                items.entry(element).or_default().0.push(item);
            }
        }
        for item in new {
            if let Ok(element) = item_element(ty, item) {
                items.entry(element).or_default().1.push(item);
            }
        }
        let item_type = ty.item();
        for (element, (old, new)) in items {
            match (old.as_slice(), new.as_slice()) {
                ([] | [_], [] | [_]) => {
                    self.descend(element, item_type, old.first().copied(), new.first().copied());
                }
                ([_, _, ..], [_, _, ..]) => {
                    if old.len() != new.len() || old.iter().zip(&new).any(|(a, b)| !same(a, b)) {
                        self.insert(element, |out| &mut out.modified);
                    }
                }
                // Items that share a key are one thing; the change from or to that is a removal and an addition.
                ([_, _, ..], _) => {
                    if let Some(item) = new.first() {
                        self.descend(element.clone(), item_type, None, Some(item));
                    }
                    self.insert(element, |out| &mut out.removed);
                }
                (_, [_, _, ..]) => {
                    if let Some(item) = old.first() {
                        self.descend(element.clone(), item_type, Some(item), None);
                    }
                    self.insert(element, |out| &mut out.added);
                }
            }
        }
    }

    fn insert(&mut self, element: Element, which: impl FnOnce(&mut Comparison) -> &mut FieldSet) {
        self.path.push(element);
        which(&mut self.out).insert(&self.path);
        self.path.pop();
    }
}
