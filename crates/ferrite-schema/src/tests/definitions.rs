#![expect(
    clippy::needless_pass_by_value,
    reason = "cases are literals, which read better without an ampersand each"
)]

use crate::{check_schema, field_at};
use serde_json::{Value, json};

#[track_caller]
fn check(schema: Value, expect: &[&str]) {
    let mut found: Vec<String> = check_schema(&schema, "s").iter().map(ToString::to_string).collect();
    found.sort();
    assert_eq!(found, expect);
}

#[track_caller]
fn field(schema: Value, expect: &[&str]) {
    check(json!({"type": "object", "properties": {"a": schema}}), expect);
}

#[test]
fn every_field_has_a_type() {
    check(
        json!({"properties": {"a": {"type": "object"}}}),
        &["s.type: Required value: must not be empty at the root"],
    );
    check(
        json!({"type": "array", "items": {"type": "string"}}),
        &["s.type: Invalid value: \"array\": must be object at the root"],
    );
    field(
        json!({"properties": {"b": {"type": "string"}}}),
        &["s.properties[a].type: Required value: must not be empty for specified object fields"],
    );
    field(json!({"type": "array"}), &["s.properties[a].items: Required value: must be specified"]);
    field(
        json!({"type": "array", "items": {}}),
        &["s.properties[a].items.type: Required value: must not be empty for specified array items"],
    );
    field(
        json!({"type": "nope"}),
        &[
            "s.properties[a].type: Unsupported value: \"nope\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"",
        ],
    );
    field(json!({"x-kubernetes-preserve-unknown-fields": true}), &[]);
    field(
        json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
        &[],
    );
    field(
        json!({"x-kubernetes-int-or-string": true, "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"pattern": "x"}]}),
        &[],
    );
}

#[test]
fn alternatives_say_nothing_about_structure() {
    field(
        json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}),
        &[
            "s.properties[a].oneOf[0].type: Forbidden: must be empty to be structural",
            "s.properties[a].oneOf[1].type: Forbidden: must be empty to be structural",
            "s.properties[a].type: Required value: must not be empty for specified object fields",
        ],
    );
    field(
        json!({"type": "string", "anyOf": [{"description": "x", "minLength": 1}]}),
        &["s.properties[a].anyOf[0].description: Forbidden: must be empty to be structural"],
    );
    check(
        json!({"type": "object", "not": {"properties": {"a": {"type": "string"}}}}),
        &[
            "s.not.properties[a].type: Forbidden: must be empty to be structural",
            "s.properties[a]: Required value: because it is defined in s.not.properties[a]",
        ],
    );
}

#[test]
fn metadata_is_kubernetes_own() {
    check(
        json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
        &[
            "s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
        ],
    );
    check(
        json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string", "pattern": "^a"}}}}}),
        &[],
    );
    check(
        json!({"type": "object", "properties": {"metadata": {"type": "object"}, "kind": {"type": "string"}}}),
        &[],
    );
    check(
        json!({"type": "object", "properties": {"kind": {"type": "integer"}}}),
        &["s.properties[kind].type: Invalid value: \"integer\": must be string"],
    );
}

#[test]
fn keywords_have_their_rules() {
    check(
        json!({"type": "object", "additionalProperties": false}),
        &["s.additionalProperties: Forbidden: must not be used at the root"],
    );
    field(
        json!({"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": {"type": "string"}}),
        &[
            "s.properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive",
        ],
    );
    field(
        json!({"type": "string", "uniqueItems": true}),
        &[
            "s.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ],
    );
    field(
        json!({"type": "string", "pattern": "("}),
        &[
            "s.properties[a].pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: error parsing regexp: missing closing ): `(`",
        ],
    );
    field(
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": false}),
        &[
            "s.properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined",
        ],
    );
    field(
        json!({"type": "string", "x-kubernetes-embedded-resource": true}),
        &[
            "s.properties[a].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
            "s.properties[a].type: Invalid value: \"string\": must be object if x-kubernetes-embedded-resource is true",
        ],
    );
}

#[test]
fn lists_have_usable_types_and_keys() {
    let list = |items: Value, list_type: &str, keys: Value| json!({"type": "array", "items": items, "x-kubernetes-list-type": list_type, "x-kubernetes-list-map-keys": keys});
    let object = json!({"type": "object", "properties": {"n": {"type": "string"}}});
    let required = json!({"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]});
    field(list(required.clone(), "map", json!(["n"])), &[]);
    field(
        list(object.clone(), "map", json!([])),
        &[
            "s.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ],
    );
    field(
        list(object.clone(), "map", json!(["n"])),
        &[
            "s.properties[a].items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
        ],
    );
    field(
        list(required, "map", json!(["zz"])),
        &[
            "s.properties[a].x-kubernetes-list-map-keys: Invalid value: [\"zz\"]: entries must all be names of item properties",
        ],
    );
    field(
        list(object, "set", json!([])),
        &[
            "s.properties[a].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set",
        ],
    );
    field(
        list(json!({"type": "string"}), "nope", json!([])),
        &[
            "s.properties[a].x-kubernetes-list-type: Unsupported value: \"nope\": supported values: \"atomic\", \"set\", \"map\"",
        ],
    );
    field(
        json!({"type": "string", "x-kubernetes-list-type": "set"}),
        &[
            "s.properties[a].type: Invalid value: \"string\": must be array if x-kubernetes-list-type is specified",
        ],
    );
    field(
        json!({"type": "string", "x-kubernetes-map-type": "atomic"}),
        &[
            "s.properties[a].type: Invalid value: \"string\": must be object if x-kubernetes-map-type is specified",
        ],
    );
    field(
        json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-map-keys": ["n"]}),
        &[
            "s.properties[a].x-kubernetes-list-type: Required value: must be map if x-kubernetes-list-map-keys is non-empty",
        ],
    );
}

#[test]
fn rules_have_a_form() {
    let rule = |rule: Value| json!({"type": "object", "properties": {"size": {"type": "integer"}}, "x-kubernetes-validations": [rule]});
    let at = "s.properties[a].x-kubernetes-validations[0]";
    field(rule(json!({"rule": " "})), &[&format!("{at}.rule: Required value: rule is not specified")]);
    field(
        rule(json!({"rule": "self.size > 1", "message": "two\nlines"})),
        &[&format!("{at}.message: Invalid value: \"two\\nlines\": must not contain line breaks")],
    );
    field(
        rule(json!({"rule": "true", "reason": "Nope"})),
        &[&format!(
            "{at}.reason: Unsupported value: \"Nope\": supported values: \"FieldValueDuplicate\", \"FieldValueForbidden\", \"FieldValueInvalid\", \"FieldValueRequired\""
        )],
    );
    field(
        rule(json!({"rule": "true", "fieldPath": ".nope"})),
        &[&format!("{at}.fieldPath: Invalid value: \".nope\": must be a valid path")],
    );
    field(rule(json!({"rule": "true", "fieldPath": ".size"})), &[]);
}

#[test]
fn paths_find_declared_fields() {
    let schema =
        json!({"properties": {"m": {"additionalProperties": {"properties": {"x": {"type": "string"}}}}}});
    let found = |path: &str| field_at(&schema, path).is_some();
    assert!(found(".m") && found(".m['a.b'].x") && found(".m.k.x"));
    for path in ["", "m", ".", ".m['a", ".m.k.y", ".m..x", ".m[0]"] {
        assert!(!found(path), "{path}");
    }
}
