//! JSON Schema for values: drafts 4 to 2020-12, with the messages of the library Helm uses.

mod check;
mod format;
mod index;

use serde_json::Value;

use crate::{dependencies::Prepared, error::Error};
use ferrite_gotemplate as go;

/// A version of JSON Schema, by year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Draft {
    Draft4,
    Draft6,
    Draft7,
    Draft2019,
    Draft2020,
}

impl Draft {
    fn of(schema: &Value) -> Self {
        let name = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
        match name {
            n if n.contains("draft-04") => Self::Draft4,
            n if n.contains("draft-06") => Self::Draft6,
            n if n.contains("draft-07") => Self::Draft7,
            n if n.contains("2019-09") => Self::Draft2019,
            _ => Self::Draft2020,
        }
    }
}

/// One failed rule with what led to it.
#[derive(Debug, Clone)]
struct Fault {
    /// JSON pointer into the values.
    at: String,
    message: String,
    causes: Vec<Self>,
    /// Several faults of one place, without a rule of their own.
    group: bool,
}

impl Fault {
    fn new(at: &str, message: impl Into<String>) -> Self {
        Self { at: at.to_owned(), message: message.into(), causes: Vec::new(), group: false }
    }

    fn write(&self, out: &mut String, indent: usize) {
        out.push_str(&"  ".repeat(indent));
        out.push_str(&format!("- at {}: {}\n", quote(&self.at), self.message));
        for cause in &self.causes {
            cause.write(out, indent + 1);
        }
    }
}

/// A text in single quotes, as the library prints it.
fn quote(text: &str) -> String {
    let quoted = go::quote(text.as_bytes()).replace("\\\"", "\"").replace('\'', "\\'");
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    format!("'{inner}'")
}

/// Checks values against the schemas of a chart and of its subcharts.
///
/// # Errors
///
/// [`Error::Values`] with all that is wrong, chart by chart.
pub(crate) fn validate(chart: &Prepared<'_>, values: &go::Map) -> Result<(), Error> {
    let mut report = String::new();
    chart_report(chart, values, &mut report);
    if report.is_empty() {
        return Ok(());
    }
    Err(Error::Values(format!(
        "values don't meet the specifications of the schema(s) in the following chart(s):\n{report}"
    )))
}

fn chart_report(chart: &Prepared<'_>, values: &go::Map, report: &mut String) {
    if let Some(schema) = &chart.chart.schema {
        let values = crate::values::from_template(&go::Value::Map(values.clone()));
        if let Err(problem) = against(schema, &values) {
            report.push_str(&format!("{}:\n{problem}", chart.metadata.name));
        }
    }
    for child in &chart.children {
        if let Some(go::Value::Map(inner)) = values.get(child.metadata.name.as_bytes()) {
            chart_report(child, &inner, report);
        }
    }
}

/// Checks a document against the text of a schema.
///
/// # Errors
///
/// What is wrong with the schema, or one line for each rule the document breaks.
pub fn against(schema: &[u8], document: &Value) -> Result<(), String> {
    let schema: Value = serde_json::from_slice(schema).map_err(|e| {
        format!("failing loading \"file:///values.schema.json\": {}", e.to_string().to_lowercase())
    })?;
    let draft = Draft::of(&schema);
    index::well_formed(&schema, draft)?;
    let index = index::Index::new(&schema, draft);
    index.references()?;
    let faults = match check::Checker::new(&index, draft).check(&schema, document) {
        Ok(()) => return Ok(()),
        Err(fault) if fault.group => fault.causes,
        Err(fault) => vec![fault],
    };
    let mut text = String::new();
    for fault in &faults {
        fault.write(&mut text, 0);
    }
    Err(text)
}

#[cfg(test)]
mod tests {
    use super::against;
    use serde_json::json;

    #[track_caller]
    fn check(schema: &serde_json::Value, document: &serde_json::Value, expect: Result<(), &str>) {
        let got = against(schema.to_string().as_bytes(), document);
        assert_eq!(got, expect.map_err(str::to_owned), "{schema} {document}");
    }

    const DRAFT7: &str = "http://json-schema.org/draft-07/schema#";

    #[test]
    fn types_and_numbers() {
        check(&json!({"type": "integer"}), &json!(1.0), Ok(()));
        check(&json!({"type": "integer"}), &json!(1.5), Err("- at '': got number, want integer\n"));
        check(
            &json!({"type": ["string", "null"]}),
            &json!(true),
            Err("- at '': got boolean, want null or string\n"),
        );
        check(&json!({"multipleOf": 0.1}), &json!(0.3), Ok(()));
        check(&json!({"minimum": 2}), &json!(1), Err("- at '': minimum: got 1, want 2\n"));
        check(&json!({"exclusiveMaximum": 2}), &json!(2), Err("- at '': exclusiveMaximum: got 2, want 2\n"));
    }

    #[test]
    fn objects_and_lists() {
        check(&json!({"required": ["a", "b"]}), &json!({}), Err("- at '': missing properties 'a', 'b'\n"));
        check(
            &json!({"properties": {"a": {"items": {"type": "string"}}}, "additionalProperties": false}),
            &json!({"a": ["x", 1], "z": 1}),
            Err("- at '/a/1': got number, want string\n- at '': additional properties 'z' not allowed\n"),
        );
        check(
            &json!({"uniqueItems": true}),
            &json!([1, 2, 1.0]),
            Err("- at '': items at 0 and 2 are equal\n"),
        );
        check(&json!({"minItems": 2}), &json!([1]), Err("- at '': minItems: got 1, want 2\n"));
        check(
            &json!({"propertyNames": {"maxLength": 1}}),
            &json!({"ab": 1}),
            Err("- at '': invalid propertyName 'ab'\n  - at '': maxLength: got 2, want 1\n"),
        );
        check(
            &json!({"prefixItems": [true], "items": false}),
            &json!([1, 2]),
            Err("- at '/1': false schema\n"),
        );
    }

    #[test]
    fn combinations() {
        let either = json!({"anyOf": [{"type": "string"}, {"type": "integer"}]});
        check(
            &either,
            &json!([1]),
            Err(
                "- at '': 'anyOf' failed\n  - at '': got array, want string\n  - at '': got array, want integer\n",
            ),
        );
        check(
            &json!({"oneOf": [true, true]}),
            &json!(1),
            Err("- at '': 'oneOf' failed, subschemas 0, 1 matched\n"),
        );
        check(&json!({"not": {}}), &json!(1), Err("- at '': 'not' failed\n"));
        check(
            &json!({"if": {"const": 1}, "then": {"type": "string"}}),
            &json!(1),
            Err("- at '': got number, want string\n"),
        );
        check(
            &json!({"allOf": [{"properties": {"a": true}}], "unevaluatedProperties": false}),
            &json!({"a": 1, "b": 2}),
            Err("- at '/b': false schema\n"),
        );
    }

    #[test]
    fn references() {
        let schema = json!({"$schema": DRAFT7, "definitions": {"d": {"type": "string"}}, "properties": {"a": {"$ref": "#/definitions/d", "minLength": 9}}});
        check(&schema, &json!({"a": "x"}), Ok(()));
        check(&schema, &json!({"a": 1}), Err("- at '/a': got number, want string\n"));
        check(
            &json!({"$defs": {"d": {"$anchor": "x", "type": "null"}}, "$ref": "#x"}),
            &json!(1),
            Err("- at '': got number, want null\n"),
        );
        check(&json!({"$ref": "#"}), &json!(1), Err("- at '': infinite loop of references\n"));
        check(&json!({"$ref": "urn:x:y"}), &json!(1), Ok(()));
        check(
            &json!({"$ref": "file:///x.json"}),
            &json!(1),
            Err("failing loading \"file:///x.json\": open /x.json: no such file or directory"),
        );
    }

    #[test]
    fn formats_count_up_to_draft_7() {
        check(
            &json!({"$schema": DRAFT7, "format": "uri"}),
            &json!("not a uri"),
            Err("- at '': 'not a uri' is not valid uri: relative url\n"),
        );
        check(&json!({"format": "uri"}), &json!("not a uri"), Ok(()));
        check(
            &json!({"$schema": DRAFT7, "format": "ipv4"}),
            &json!("1.2.3"),
            Err("- at '': '1.2.3' is not valid ipv4: expected four decimals\n"),
        );
    }
}
