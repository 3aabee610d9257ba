//! Where in a schema a reference leads.

use std::collections::HashMap;

use serde_json::Value;

use super::{Draft, quote};

/// Helm gives every schema this address.
const BASE: &str = "file:///values.schema.json";

/// Schemas by address.
pub(super) struct Index<'s> {
    root: &'s Value,
    by_address: HashMap<String, &'s Value>,
    /// The address each identified schema gives to what is below it.
    bases: HashMap<*const Value, String>,
    draft: Draft,
}

/// What a reference means.
pub(super) enum Target<'s> {
    Schema(&'s Value),
    /// Known to exist, and accepted whatever it says.
    Anything,
    /// Would have to be fetched.
    Missing(String),
}

impl<'s> Index<'s> {
    pub(super) fn new(root: &'s Value, draft: Draft) -> Self {
        let mut index = Self { root, by_address: HashMap::new(), bases: HashMap::new(), draft };
        index.by_address.insert(BASE.to_owned(), root);
        index.note(root, BASE, 0);
        index
    }

    fn note(&mut self, schema: &'s Value, base: &str, depth: usize) {
        if depth > 200 {
            return;
        }
        let mut base = base.to_owned();
        if let Value::Object(map) = schema {
            let key = if self.draft == Draft::Draft4 { "id" } else { "$id" };
            if let Some(id) = map.get(key).and_then(Value::as_str) {
                let (address, fragment) = split(&join(&base, id));
                if fragment.is_empty() {
                    base = address;
                    self.by_address.insert(base.clone(), schema);
                } else {
                    self.by_address.insert(format!("{address}#{fragment}"), schema);
                }
            }
            for key in ["$anchor", "$dynamicAnchor"] {
                if let Some(anchor) = map.get(key).and_then(Value::as_str) {
                    self.by_address.insert(format!("{base}#{anchor}"), schema);
                }
            }
        }
        self.bases.insert(std::ptr::from_ref(schema), base.clone());
        match schema {
            Value::Object(map) => {
                for (key, inner) in map {
                    if !matches!(key.as_str(), "enum" | "const" | "default" | "examples") {
                        self.note(inner, &base, depth + 1);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.note(item, &base, depth + 1)),
            _ => {}
        }
    }

    /// Follows a reference found in `from`.
    pub(super) fn follow(&self, from: &Value, reference: &str) -> Target<'s> {
        let base = self.bases.get(&std::ptr::from_ref(from)).map_or(BASE, String::as_str);
        let (address, fragment) = split(&join(base, reference));
        if address.starts_with("urn:") && !self.by_address.contains_key(&address) {
            return Target::Anything;
        }
        let Some(schema) = self.by_address.get(&address).copied() else {
            let meta = address.contains("json-schema.org/draft");
            return if meta { Target::Anything } else { Target::Missing(address) };
        };
        if fragment.is_empty() {
            return Target::Schema(schema);
        }
        if let Some(found) = self.by_address.get(&format!("{address}#{fragment}")) {
            return Target::Schema(found);
        }
        let pointer = percent_decoded(&fragment);
        match schema.pointer(&pointer) {
            Some(found) => Target::Schema(found),
            None => Target::Missing(format!("{address}#{fragment}")),
        }
    }

    /// Fails for the first reference that leads nowhere: Helm resolves all of them before it looks at values.
    pub(super) fn references(&self) -> Result<(), String> {
        self.walk(self.root, 0)
    }

    fn walk(&self, schema: &Value, depth: usize) -> Result<(), String> {
        if depth > 200 {
            return Ok(());
        }
        match schema {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref")
                    && let Target::Missing(address) = self.follow(schema, reference)
                {
                    return Err(missing(&address));
                }
                map.iter()
                    .filter(|(key, _)| !matches!(key.as_str(), "enum" | "const" | "default" | "examples"))
                    .try_for_each(|(_, inner)| self.walk(inner, depth + 1))
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.walk(item, depth + 1)),
            _ => Ok(()),
        }
    }
}

fn missing(address: &str) -> String {
    if let Some((file, pointer)) = address.split_once('#') {
        return format!("json-pointer in {:?} not found", format!("{file}#{pointer}"));
    }
    if let Some(path) = address.strip_prefix("file://") {
        return format!("failing loading {address:?}: open {path}: no such file or directory");
    }
    format!(
        "failing loading {address:?}: schemas are not fetched from the network; put the definitions into the chart"
    )
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        match digits.filter(|_| *first == b'%').and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn split(address: &str) -> (String, String) {
    match address.split_once('#') {
        Some((address, fragment)) => (address.to_owned(), fragment.to_owned()),
        None => (address.to_owned(), String::new()),
    }
}

/// A reference against a base address.
fn join(base: &str, reference: &str) -> String {
    let scheme = reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if scheme {
        return reference.to_owned();
    }
    if reference.is_empty() || reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    let (root, path) = match base.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
            (format!("{scheme}://{host}"), path)
        }
        None => (String::new(), base),
    };
    let (reference, fragment) = split(reference);
    let joined = if reference.starts_with('/') {
        reference
    } else {
        format!("{}/{reference}", path.rsplit_once('/').map_or("", |(head, _)| head))
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "." => {}
            ".." => {
                if parts.len() > 1 {
                    parts.pop();
                }
            }
            part => parts.push(part),
        }
    }
    let fragment = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
    format!("{root}{}{fragment}", parts.join("/"))
}

const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// The mistakes that make a schema no schema: wrong types of keywords.
pub(super) fn well_formed(schema: &Value, draft: Draft) -> Result<(), String> {
    let mut faults = Vec::new();
    let boolean = draft > Draft::Draft4;
    if !(schema.is_object() || boolean && schema.is_boolean()) {
        let got = super::check::type_name(schema);
        faults.push(format!("- at '': got {got}, want boolean or object"));
    }
    shape(schema, "", 0, &mut faults);
    if faults.is_empty() {
        return Ok(());
    }
    let meta = match draft {
        Draft::Draft4 => "http://json-schema.org/draft-04/schema#",
        Draft::Draft6 => "http://json-schema.org/draft-06/schema#",
        Draft::Draft7 => "http://json-schema.org/draft-07/schema#",
        Draft::Draft2019 => "https://json-schema.org/draft/2019-09/schema#",
        Draft::Draft2020 => "https://json-schema.org/draft/2020-12/schema#",
    };
    let mut list = faults.join("\n");
    if draft >= Draft::Draft2019 {
        // These metaschemas are put together of parts.
        list = format!("- at '': 'allOf' failed\n  {}", list.replace('\n', "\n  "));
    }
    Err(format!(
        "\"file:///values.schema.json#\" is not valid against metaschema: jsonschema validation failed with '{meta}'\n{list}"
    ))
}

fn shape(schema: &Value, at: &str, depth: usize, faults: &mut Vec<String>) {
    let Value::Object(map) = schema else { return };
    if depth > 200 {
        return;
    }
    for (key, value) in map {
        let here = format!("{at}/{key}");
        let got = super::check::type_name(value);
        let mut want = |ok: bool, wanted: &str| {
            if !ok {
                faults.push(format!("- at {}: got {got}, want {wanted}", quote(&here)));
            }
        };
        match key.as_str() {
            "type" => match value {
                Value::String(name) if TYPES.contains(&name.as_str()) => {}
                Value::Array(names)
                    if names.iter().all(|n| n.as_str().is_some_and(|n| TYPES.contains(&n))) => {}
                _ => {
                    let all = TYPES.map(quote).join(", ");
                    faults.push(format!(
                        "- at {0}: 'anyOf' failed\n  - at {0}: value must be one of {all}",
                        quote(&here)
                    ));
                    if !value.is_array() {
                        faults.push(format!("  - at {}: got {got}, want array", quote(&here)));
                    }
                }
            },
            "properties" | "patternProperties" | "definitions" | "$defs" | "dependentSchemas" => {
                want(value.is_object(), "object");
                for (name, inner) in value.as_object().into_iter().flatten() {
                    shape(inner, &format!("{here}/{name}"), depth + 1, faults);
                }
            }
            "required" | "enum" => want(value.is_array() || key == "required" && value.is_boolean(), "array"),
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                want(value.is_array(), "array");
                for (i, inner) in value.as_array().into_iter().flatten().enumerate() {
                    shape(inner, &format!("{here}/{i}"), depth + 1, faults);
                }
            }
            "not" | "if" | "then" | "else" | "additionalProperties" | "contains" | "propertyNames" => {
                want(value.is_object() || value.is_boolean(), "boolean or object");
                shape(value, &here, depth + 1, faults);
            }
            "items" => shape(value, &here, depth + 1, faults),
            "pattern" => {
                want(value.is_string(), "string");
                if let Some(Err(why)) = value.as_str().map(ferrite_gotemplate::compile_regex) {
                    let pattern = quote(value.as_str().unwrap_or_default());
                    faults.push(format!("- at {}: {pattern} is not valid regex: {why}", quote(&here)));
                }
            }
            "$ref" | "format" | "title" | "description" => want(value.is_string(), "string"),
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                want(value.as_f64().is_some_and(|n| n.fract() == 0.0), "integer");
            }
            "minimum" | "maximum" | "multipleOf" => want(value.is_number(), "number"),
            _ => {}
        }
    }
}
