//! `docs/api/`: one page for each group, every field of every kind.

use std::collections::BTreeMap;

use serde_json::Value;

use super::definitions::{self, Definition};
use super::{GenerateError, Generated};
use crate::schema;

const HEAD: &str = "<!-- Generated from the types of crates/ferrite-api by `cargo xtask gen`. -->\n";

/// The pages of `docs/api/`, sorted by name.
///
/// # Errors
///
/// As [`super::generate`].
pub fn reference_pages() -> Result<Vec<Generated>, GenerateError> {
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    for definition in definitions::all() {
        let group = definition.group();
        let page = pages.entry(format!("{group}.md")).or_insert_with(|| {
            format!("{HEAD}\n# {group}\n\nFormer versions: [API versions](../api-versions.md).\n")
        });
        kind(page, &definition)?;
    }
    Ok(pages.into_iter().map(|(file, text)| Generated { file, text }).collect())
}

fn kind(page: &mut String, definition: &Definition) -> Result<(), GenerateError> {
    let schema = definition.schema()?;
    let names = definition.names();
    let short: Vec<&str> = names
        .get("shortNames")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    page.push_str(&format!("\n## {} ({})\n\n", definition.kind(), definition.stored()));
    page.push_str(text(&schema, "description"));
    page.push('\n');
    let called: Vec<String> =
        std::iter::once(definition.plural()).chain(short).map(|name| format!("`{name}`")).collect();
    page.push_str(&format!("kubectl knows it as {}.\n", called.join(", ")));
    for part in ["spec", "status"] {
        let Some(schema) = schema["properties"].get(part) else { continue };
        page.push_str(&format!("\n### {} {part}\n\n", definition.kind()));
        page.push_str("| Field | Type | What it is |\n|---|---|---|\n");
        fields(page, "", schema);
        let rules: String = rules(schema).iter().map(|rule| format!("- {rule}\n")).collect();
        if !rules.is_empty() {
            page.push_str(&format!("\nRefused otherwise:\n\n{rules}"));
        }
    }
    Ok(())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The messages of a schema's rules, each once.
fn rules(schema: &Value) -> Vec<&str> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let mut messages: Vec<&str> = rules.map(|rule| text(rule, "message")).collect();
    messages.dedup();
    messages
}

fn fields(page: &mut String, path: &str, schema: &Value) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut properties: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
    // What has to be said comes first.
    properties.sort_by_key(|(name, _)| (!required.contains(&name.as_str()), *name));
    for (name, property) in properties {
        let shown = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let mut about = text(property, "description").replace('|', "\\|");
        if required.contains(&name.as_str()) && property.get("default").is_none() {
            about = format!("**Required.** {about}");
        }
        if let Some(default) = property.get("default") {
            let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            about.push_str(&format!(" Default: `{default}`."));
        }
        for rule in rules(property) {
            about.push_str(&format!(" Refused otherwise: {rule}."));
        }
        page.push_str(&format!("| `{shown}` | {} | {about} |\n", kind_of(property)));
        if name == "conditions" {
            continue; // The same everywhere: metav1.Condition.
        }
        nested(page, &shown, property);
    }
}

fn nested(page: &mut String, path: &str, schema: &Value) {
    if let Some(items) = schema.get("items") {
        nested(page, &format!("{path}[]"), items);
    } else if let Some(values) = schema.get("additionalProperties") {
        nested(page, &format!("{path}.*"), values);
    } else {
        fields(page, path, schema);
    }
}

/// The type in words: its words for an enum, its limits for a text.
fn kind_of(schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().map(|word| format!("`{}`", word.as_str().unwrap_or_default())).collect();
        return words.join(", ");
    }
    match text(schema, "type") {
        "string" => match (text(schema, "pattern"), text(schema, "format")) {
            (schema::INTERVAL, _) => "duration".to_owned(),
            (schema::TIMEOUT, _) => "duration, not in hours".to_owned(),
            (_, "date-time") => "time".to_owned(),
            ("", _) => format!("text{}", limits(schema, "Length", "characters")),
            (pattern, _) => {
                format!(
                    "text like `{}`{}",
                    pattern.replace('|', "\\|"),
                    limits(schema, "Length", "characters")
                )
            }
        },
        "array" => {
            format!("list of {}{}", plural(&kind_of(&schema["items"])), limits(schema, "Items", "entries"))
        }
        "object" if schema.get("additionalProperties").is_some() => {
            format!("map to {}", kind_of(&schema["additionalProperties"]))
        }
        "object" => "object".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "whole number".to_owned(),
        _ => "anything".to_owned(),
    }
}

fn plural(kind: &str) -> String {
    match kind {
        "text" | "object" => format!("{kind}s"),
        other => other.to_owned(),
    }
}

fn limits(schema: &Value, what: &str, unit: &str) -> String {
    let bound = |side: &str| schema.get(format!("{side}{what}")).and_then(Value::as_i64);
    match (bound("min"), bound("max")) {
        (Some(least), Some(most)) => format!(", {least} to {most} {unit}"),
        (Some(least), None) => format!(", at least {least} {unit}"),
        (None, Some(most)) => format!(", at most {most} {unit}"),
        (None, None) => String::new(),
    }
}
