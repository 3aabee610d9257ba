//! `vars`: the deprecated way to put a field's value into other fields, as `$(NAME)`.

use std::collections::BTreeMap;

use ferrite_yaml::{Data, Dialect, Error as Fault, Node, Resolved, Style, Tag};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::fieldpath::{lookup, segments};
use crate::fieldspec::Create;
use crate::id::{Gvk, effective};
use crate::kustomization::Var;
use crate::resource::Resource;
use crate::schema::Types;

/// Notes which object each var reads, and adds them to `known`.
///
/// # Errors
/// When a name is taken, or a var means more than one object.
pub(crate) fn declare(
    known: &mut Vec<Var>,
    vars: &[Var],
    list: &mut [Resource],
    types: &Types,
) -> Result<()> {
    for var in vars {
        let target = &var.objref;
        let gvk = if target.api_version.is_empty() {
            Gvk { group: target.group.clone(), version: target.version.clone(), kind: target.kind.clone() }
        } else {
            Gvk::new(&target.api_version, &target.kind)
        };
        let cluster = types.is_cluster(&gvk.api_version(), &gvk.kind);
        let namespace = effective(&target.namespace, cluster);
        let any_namespace = target.namespace.is_empty() && !cluster;
        let mut found: Vec<&mut Resource> = list
            .iter_mut()
            .filter(|resource| {
                resource.gvk.group == gvk.group
                    && resource.gvk.version == gvk.version
                    && resource.ids().any(|id| {
                        id.kind == gvk.kind
                            && id.name == target.name
                            && (any_namespace || id.namespace == namespace)
                    })
            })
            .collect();
        if found.len() > 1 {
            return Err(Error::invalid(format!(
                "found {} resId matches for var {} (unable to disambiguate)",
                found.len(),
                var.name
            )));
        }
        if let Some(resource) = found.pop() {
            resource.book.vars.push(var.name.clone());
        }
    }
    absorb(known, vars.to_vec())
}

/// Adds vars that were declared elsewhere.
pub(crate) fn absorb(known: &mut Vec<Var>, vars: Vec<Var>) -> Result<()> {
    for var in vars {
        if known.iter().any(|other| other.name == var.name) {
            return Err(Error::invalid(format!("var '{}' already encountered", var.name)));
        }
        known.push(var);
    }
    Ok(())
}

/// A var's value, with its type.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Typed(String, Tag),
    /// Lists and mappings are not substituted.
    Other,
}

/// Substitutes every var in the fields the configuration names.
pub(crate) fn substitute(
    list: &mut [Resource],
    vars: &[Var],
    config: &Config,
    warn: &dyn Fn(String),
) -> Result<()> {
    if vars.is_empty() {
        return Ok(());
    }
    let mut values = BTreeMap::new();
    for var in vars {
        values.insert(var.name.clone(), value_of(var, list)?);
    }
    let mut used = std::collections::BTreeSet::new();
    for resource in list {
        resource
            .changing(|resource| {
                let mut specs = config.var_reference.iter().filter(|spec| spec.selects(&resource.gvk));
                specs.try_for_each(|spec| {
                    spec.visit(&mut resource.node, Create::Nothing, &mut |node| {
                        replace(node, &values, &mut used)
                    })
                })
            })
            .map_err(|error| resource.error(error))?;
    }
    for name in values.keys().filter(|name| !used.contains(*name)) {
        warn(format!("well-defined vars that were never replaced: {name}"));
    }
    Ok(())
}

fn value_of(var: &Var, list: &[Resource]) -> Result<Value> {
    let Some(resource) = list.iter().find(|resource| resource.book.vars.contains(&var.name)) else {
        return Err(Error::invalid(format!(
            "var '{}' cannot be mapped to a field in the set of known resources",
            var.name
        )));
    };
    let path = match var.fieldref.field_path.as_str() {
        "" => "metadata.name",
        path => path,
    };
    let parts = with_indices(segments(path));
    let missing = || {
        Error::invalid(format!(
            "field specified in var '{}' ({path}) not found in corresponding resource {}",
            var.name,
            resource.label()
        ))
    };
    let node = lookup(&resource.node, &parts).map_err(|_| missing())?.ok_or_else(missing)?;
    Ok(typed(node))
}

/// `a[0]` and `a[name=x]` are two parts.
fn with_indices(parts: Vec<String>) -> Vec<String> {
    let mut out = Vec::new();
    for part in parts {
        match part.find('[') {
            Some(at) if at > 0 && part.ends_with(']') => {
                let (name, bracket) = part.split_at(at);
                out.push(name.to_owned());
                if bracket.contains('=') {
                    out.push(bracket.to_owned());
                } else {
                    out.push(bracket.trim_matches(['[', ']']).to_owned());
                }
            }
            _ => out.push(part),
        }
    }
    out
}

fn typed(node: &Node) -> Value {
    let Some(text) = node.text() else { return Value::Other };
    match node.resolved(Dialect::Yaml12) {
        Resolved::Int(value) => Value::Typed(value.to_string(), Tag::Int),
        Resolved::Bool(value) => Value::Typed(value.to_string(), Tag::Bool),
        Resolved::Float(value) => Value::Typed(value.to_string(), Tag::Float),
        Resolved::Uint(_) | Resolved::Null | Resolved::Timestamp(_) | Resolved::Str => {
            Value::Text(text.to_owned())
        }
    }
}

type Used = std::collections::BTreeSet<String>;

fn is_string(node: &Node) -> bool {
    node.is_scalar() && matches!(node.resolved(Dialect::Yaml12), Resolved::Str)
}

fn replace(node: &mut Node, values: &BTreeMap<String, Value>, used: &mut Used) -> Result<(), Fault> {
    if node.is_null() {
        return Ok(());
    }
    match &mut node.data {
        Data::Scalar(_) => {
            if is_string(node) {
                update(node, values, used)?;
            }
        }
        Data::Map(map) => {
            for (key, value) in &mut map.entries {
                if !key.is_string(Dialect::Yaml12) {
                    return Err(Fault::new(key.position, format!("invalid map key: value='{}'", key.text)));
                }
                if is_string(value) {
                    update(value, values, used)?;
                }
            }
        }
        Data::Seq(items) => {
            for item in items {
                if !is_string(item) {
                    return Err(Fault::new(item.position, "invalid value type expect a string"));
                }
                update(item, values, used)?;
            }
        }
    }
    Ok(())
}

/// A text grows to no more bytes than this.
const LONGEST: usize = 16 << 20;

fn update(node: &mut Node, values: &BTreeMap<String, Value>, used: &mut Used) -> Result<(), Fault> {
    let text = node.text().unwrap_or_default();
    let longest = values.values().map(|value| match value {
        Value::Text(text) | Value::Typed(text, _) => text.len(),
        Value::Other => 0,
    });
    let growth = text.matches("$(").count().saturating_mul(longest.max().unwrap_or(0));
    if growth > LONGEST {
        return Err(Fault::new(
            node.position,
            format!("with its vars the text grows beyond {LONGEST} bytes"),
        ));
    }
    let (text, tag) = match expand(text, values, used) {
        Value::Text(text) => (text, Tag::Str),
        Value::Typed(text, tag) => (text, tag),
        Value::Other => return Ok(()),
    };
    node.data = Data::Scalar(text);
    node.tag = tag;
    node.style = Style::Plain;
    Ok(())
}

fn expand(input: &str, values: &BTreeMap<String, Value>, used: &mut Used) -> Value {
    let mut out = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        let Some(tail) = after.strip_prefix('$').filter(|tail| !tail.is_empty()) else { break };
        out.push_str(before);
        if let Some(tail) = tail.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = tail.strip_prefix('(').and_then(|tail| tail.split_once(')')) {
            let value = values.get(name);
            if value.is_some() {
                used.insert(name.to_owned());
            }
            match value {
                Some(Value::Text(text)) => out.push_str(text),
                Some(Value::Typed(text, tag)) => {
                    if before.is_empty() && out.is_empty() && tail.is_empty() {
                        return Value::Typed(text.clone(), *tag);
                    }
                    out.push_str(text);
                }
                Some(Value::Other) | None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = tail;
        } else {
            out.push('$');
            let mut chars = tail.chars();
            out.extend(chars.next());
            rest = chars.as_str();
        }
    }
    out.push_str(rest);
    Value::Text(out)
}

#[cfg(test)]
mod tests {
    use super::{Used, Value, expand};
    use ferrite_yaml::Tag;

    #[test]
    fn expansion() {
        let values =
            [("A".to_owned(), Value::Text("a".into())), ("N".to_owned(), Value::Typed("5".into(), Tag::Int))]
                .into();
        for (input, expect) in [
            ("x$(A)y$(A)", Value::Text("xaya".into())),
            ("$(N)", Value::Typed("5".into(), Tag::Int)),
            ("$(N)s", Value::Text("5s".into())),
            ("$$(A)", Value::Text("$(A)".into())),
            ("$(B) $( $a $", Value::Text("$(B) $( $a $".into())),
        ] {
            assert_eq!(expand(input, &values, &mut Used::new()), expect, "{input}");
        }
    }
}
