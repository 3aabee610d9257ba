//! Lists that merge by keys.
//!
//! Sound lists, where every element has its key once, take [`merge_sound`]. For all others the reference's procedure
//! is followed step by step, because its results for malformed lists are observable.

use std::collections::HashMap;

use ferrite_yaml::{Data, Error, Node, Tag};

use super::{Directive, directive, merge, settle, without_directive};
use crate::schema::Schema;

/// Malformed or multi-key lists longer than this are refused: the procedure for them is quadratic.
const LONGEST: usize = 4000;

pub(super) fn merge_lists(
    dest: Option<Node>,
    patch: Option<&Node>,
    keys: &[String],
    schema: Schema<'_>,
) -> Result<Option<Node>, Error> {
    let Some(dest) = dest.filter(|dest| !dest.is_null()) else {
        return match patch {
            // A directive among the elements is not looked for here, and stays.
            Some(patch) => settle_elements(patch.clone(), keys, schema).map(Some),
            None => Ok(None),
        };
    };
    let Some(patch) = patch else {
        let Data::Seq(items) = dest.data else { return Ok(Some(dest)) };
        let items = combine(items, &[], Mode::Beside, keys, schema)?;
        return Ok(Some(Node { data: Data::Seq(items), ..dest }));
    };
    if patch.is_null() {
        return Ok(None);
    }
    match directive(patch)? {
        Directive::Delete => return Ok(None),
        Directive::Replace => return settle_list(without_directive(patch.clone()), keys, schema),
        Directive::Merge => {}
    }
    let stripped;
    let theirs = match patch.items() {
        Some(items) if has_list_directive(items) => {
            stripped = without_directive(patch.clone());
            stripped.items().unwrap_or_default()
        }
        other => other.unwrap_or_default(),
    };
    let Node { data: Data::Seq(own), .. } = dest else { return Ok(Some(dest)) };
    let items = combine(own, theirs, Mode::Merge, keys, schema)?;
    Ok(Some(Node { data: Data::Seq(items), tag: dest.tag, style: dest.style, position: dest.position }))
}

/// A list merged with itself.
pub(super) fn settle_list(node: Node, keys: &[String], schema: Schema<'_>) -> Result<Option<Node>, Error> {
    if directive(&node)? == Directive::Delete {
        return Ok(None);
    }
    let node = if node.items().is_some_and(has_list_directive) { without_directive(node) } else { node };
    settle_elements(node, keys, schema).map(Some)
}

fn settle_elements(node: Node, keys: &[String], schema: Schema<'_>) -> Result<Node, Error> {
    let Data::Seq(items) = node.data else { return Ok(node) };
    let items = combine(items, &[], Mode::Settle, keys, schema)?;
    Ok(Node { data: Data::Seq(items), ..node })
}

fn has_list_directive(items: &[Node]) -> bool {
    items.iter().any(|item| {
        item.get(super::DIRECTIVE).is_some() && item.as_map().is_some_and(|map| map.entries.len() == 1)
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Destination and patch.
    Merge,
    /// The list is both.
    Settle,
    /// There is no patch.
    Beside,
}

fn combine(
    dest: Vec<Node>,
    patch: &[Node],
    mode: Mode,
    keys: &[String],
    schema: Schema<'_>,
) -> Result<Vec<Node>, Error> {
    let [key, others @ ..] = keys else { return Ok(union(dest, patch)) };
    if others.is_empty() && is_sound(&dest, key) && is_sound(patch, key) {
        return merge_sound(dest, patch, mode, key, schema);
    }
    if dest.len() + patch.len() > LONGEST {
        let at = dest.iter().chain(patch).next().map_or_else(Default::default, |node| node.position);
        return Err(Error::new(
            at,
            format!("a list of more than {LONGEST} elements cannot be merged by its keys"),
        ));
    }
    Procedure { dest, patch, mode, keys, schema }.run()
}

/// Scalars: the patch's first, each once.
fn union(dest: Vec<Node>, patch: &[Node]) -> Vec<Node> {
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::new();
    for item in patch.iter().cloned().chain(dest) {
        if !item.is_null() && seen.insert(item.text().unwrap_or_default().to_owned()) {
            out.push(item);
        }
    }
    out
}

fn is_sound(items: &[Node], key: &str) -> bool {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    items.iter().all(|item| {
        let text = item.get(key).and_then(Node::text).unwrap_or_default();
        !text.is_empty() && !item.get(key).is_none_or(Node::is_null) && seen.insert(text)
    })
}

fn one(
    dest: Option<Node>,
    patch: Option<&Node>,
    mode: Mode,
    schema: Schema<'_>,
) -> Result<Option<Node>, Error> {
    match (mode, dest) {
        (Mode::Settle, Some(dest)) => settle(dest, schema),
        (_, dest) => merge(dest, patch, schema),
    }
}

fn is_nothing(node: Option<&Node>) -> bool {
    node.is_none_or(|node| node.is_null() || node.as_map().is_some_and(|map| map.entries.is_empty()))
}

fn merge_sound(
    dest: Vec<Node>,
    patch: &[Node],
    mode: Mode,
    key: &str,
    schema: Schema<'_>,
) -> Result<Vec<Node>, Error> {
    let text = |node: &Node| node.get(key).and_then(Node::text).unwrap_or_default().to_owned();
    let mut own: Vec<Option<Node>> = dest.into_iter().map(Some).collect();
    let index: HashMap<String, usize> =
        own.iter().enumerate().filter_map(|(at, node)| Some((text(node.as_ref()?), at))).collect();
    let mut out = Vec::with_capacity(own.len() + patch.len());
    for theirs in patch {
        let value = text(theirs);
        let mine = index.get(&value).and_then(|at| own.get_mut(*at)).and_then(Option::take);
        // The reference puts the old element back after replacing it (its list still holds it).
        let old = (mine.is_some() && directive(theirs) == Ok(Directive::Replace)).then(|| mine.clone());
        let merged = one(mine, Some(theirs), mode, schema)?;
        if is_nothing(merged.as_ref()) {
            continue;
        }
        out.extend(old.unwrap_or(merged).map(|node| with_key(node, key, &value)));
    }
    for mine in own.into_iter().flatten() {
        let value = text(&mine);
        let merged = one(Some(mine), None, mode, schema)?;
        if !is_nothing(merged.as_ref()) {
            out.extend(merged.map(|node| with_key(node, key, &value)));
        }
    }
    Ok(out)
}

fn with_key(mut node: Node, key: &str, value: &str) -> Node {
    if !value.is_empty() && node.get(key).is_none() {
        node.set(key, Node { tag: Tag::None, ..Node::plain(value) });
    }
    node
}

/// The reference's steps for lists with several keys, or with elements that lack theirs.
struct Procedure<'a> {
    dest: Vec<Node>,
    patch: &'a [Node],
    mode: Mode,
    keys: &'a [String],
    schema: Schema<'a>,
}

type Tuple = Vec<String>;

impl Procedure<'_> {
    fn run(mut self) -> Result<Vec<Node>, Error> {
        let mut tuples = self.tuples();
        if self.keys.len() > 1 {
            unify(&mut tuples);
        }
        let valid: Vec<usize> = (0..self.keys.len())
            .filter(|at| tuples.iter().any(|tuple| tuple.get(*at).is_some_and(|text| !text.is_empty())))
            .collect();
        let valid: Vec<usize> = if valid.is_empty() { (0..self.keys.len()).collect() } else { valid };
        let keys: Vec<&str> = valid.iter().filter_map(|at| self.keys.get(*at)).map(String::as_str).collect();
        let mut added: Vec<Node> = Vec::new();
        for tuple in &tuples {
            let values: Vec<&str> =
                valid.iter().filter_map(|at| tuple.get(*at)).map(String::as_str).collect();
            self.tuple(&keys, &values, &mut added)?;
        }
        if tuples.is_empty() {
            return Ok(self.dest);
        }
        for element in self.dest {
            append(&mut added, element, &keys)?;
        }
        Ok(added)
    }

    fn tuples(&self) -> Vec<Tuple> {
        let mut seen = std::collections::HashSet::new();
        let mut tuples = Vec::new();
        for item in self.patch.iter().chain(&self.dest) {
            let tuple: Tuple = self.keys.iter().map(|key| value_of(item, key).to_owned()).collect();
            if seen.insert(tuple.clone()) {
                tuples.push(tuple);
            }
        }
        tuples
    }

    fn tuple(&mut self, keys: &[&str], values: &[&str], added: &mut Vec<Node>) -> Result<(), Error> {
        let pairs: Vec<(&str, &str)> = keys.iter().copied().zip(values.iter().copied()).collect();
        let filled: Vec<(&str, &str)> =
            pairs.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
        let wanted = if filled.is_empty() { &pairs } else { &filled };
        let find = |items: &[Node]| {
            items.iter().position(|item| {
                item.as_map().is_some()
                    && wanted.iter().all(|(key, value)| {
                        item.get(key).is_some_and(|v| v.text().unwrap_or_default() == *value)
                    })
            })
        };
        let at = find(&self.dest);
        let mine = at.and_then(|at| self.dest.get(at)).cloned();
        let theirs = find(self.patch).and_then(|at| self.patch.get(at));
        let replaced = theirs.is_some_and(|theirs| directive(theirs) == Ok(Directive::Replace));
        let merged = one(mine, theirs, self.mode, self.schema)?;
        let Some(mut merged) = merged.filter(|node| !is_nothing(Some(node))) else {
            return set_element(&mut self.dest, None, &pairs);
        };
        for (key, value) in &pairs {
            merged = with_key(merged, key, value);
        }
        if let Some(slot) = at.filter(|_| !replaced).and_then(|at| self.dest.get_mut(at)) {
            slot.clone_from(&merged);
        }
        set_element(added, Some(merged), &pairs)
    }
}

fn value_of<'a>(item: &'a Node, key: &str) -> &'a str {
    match item.get(key) {
        Some(value) if !value.is_null() => value.text().unwrap_or_default(),
        _ => "",
    }
}

/// Tuples that agree somewhere and nowhere contradict are the same: fill each other's gaps.
fn unify(tuples: &mut [Tuple]) {
    for i in 0..tuples.len() {
        let Some(first) = tuples.get(i).cloned() else { continue };
        for j in 0..tuples.len() {
            let Some(second) = tuples.get(j) else { continue };
            let mut common = false;
            let mut filled = Tuple::with_capacity(first.len());
            let mut contradict = false;
            for (a, b) in first.iter().zip(second) {
                common |= a == b;
                contradict |= a != b && !a.is_empty() && !b.is_empty();
                filled.push(if a.is_empty() { b.clone() } else { a.clone() });
            }
            if common && !contradict {
                for at in [i, j] {
                    if let Some(slot) = tuples.get_mut(at) {
                        slot.clone_from(&filled);
                    }
                }
            }
        }
    }
}

/// Replaces, appends or (without `element`) removes the elements that match `pairs`; an empty value matches any.
fn set_element(items: &mut Vec<Node>, element: Option<Node>, pairs: &[(&str, &str)]) -> Result<(), Error> {
    let for_mappings = pairs.first().is_some_and(|(_, value)| !value.is_empty());
    let mut out = Vec::with_capacity(items.len() + 1);
    let mut found = false;
    for item in std::mem::take(items) {
        if is_nothing(Some(&item)) {
            continue;
        }
        if item.as_map().is_none() {
            if for_mappings {
                out.push(item);
                continue;
            }
            return Err(Error::new(
                item.position,
                "wrong node kind: expected MappingNode in a list merged by keys",
            ));
        }
        let matches = !pairs.is_empty()
            && pairs.iter().all(|(key, value)| {
                item.get(key).is_some_and(|v| value.is_empty() || v.text().unwrap_or_default() == *value)
            });
        if !matches {
            if !pairs.is_empty() {
                out.push(item);
            }
            continue;
        }
        found = true;
        out.extend(element.clone());
    }
    if !found {
        out.extend(element);
    }
    *items = out;
    Ok(())
}

fn append(items: &mut Vec<Node>, element: Node, keys: &[&str]) -> Result<(), Error> {
    let mut values = Vec::new();
    for key in keys {
        match element.get(key) {
            Some(value) => values.push(value.text().unwrap_or_default().to_owned()),
            None if element.as_map().is_none() && !element.is_null() => {
                return Err(Error::new(
                    element.position,
                    "wrong node kind: expected MappingNode in a list merged by keys",
                ));
            }
            None => items.push(element.clone()),
        }
    }
    let pairs: Vec<(&str, &str)> = keys.iter().copied().zip(values.iter().map(String::as_str)).collect();
    if keys.len() > 1 {
        set_element(items, None, &pairs)?;
    }
    set_element(items, Some(element), &pairs)
}
