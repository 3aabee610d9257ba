#![expect(
    clippy::needless_pass_by_value,
    reason = "cases are literals, which read better without an ampersand each"
)]

use crate::{Type, decode_error, default, prune, unknown_fields, validate};
use proptest::prelude::*;
use serde_json::{Value, json};

fn ty(field: &Value) -> Type {
    Type::from_crd_schema(
        &json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"f": field}}}}),
    )
}

#[track_caller]
fn defaulted(field: Value, spec: Value, expect: Value) {
    let mut object = json!({"spec": spec});
    default(&ty(&field), &mut object);
    assert_eq!(object["spec"], expect);
}

#[track_caller]
fn problems(field: Value, value: Value, expect: &[&str]) {
    let object = json!({"apiVersion": "e/v1", "kind": "W", "metadata": {"name": "a"}, "spec": {"f": value}});
    let mut found: Vec<String> = validate(&ty(&field), &object, "").iter().map(ToString::to_string).collect();
    found.sort();
    assert_eq!(found, expect);
}

#[test]
fn defaults_fill_inside_of_defaults_lists_and_maps() {
    let field = json!({"type": "object", "default": {}, "properties": {
        "a": {"type": "object", "default": {"x": 1}, "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 2}}},
        "l": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}},
        "m": {"type": "object", "additionalProperties": {"type": "object", "properties": {"z": {"type": "boolean", "default": true}}}},
        "falsy": {"type": "boolean", "default": false}}});
    defaulted(field.clone(), json!({}), json!({"f": {"a": {"x": 1, "y": 2}, "falsy": false}}));
    defaulted(field.clone(), json!({"f": {"a": {}}}), json!({"f": {"a": {"y": 2}, "falsy": false}}));
    defaulted(
        field.clone(),
        json!({"f": {"l": [{}, {"p": "UDP"}]}}),
        json!({"f": {"a": {"x": 1, "y": 2}, "falsy": false, "l": [{"p": "TCP"}, {"p": "UDP"}]}}),
    );
    defaulted(
        field,
        json!({"f": {"m": {"k": {}}}}),
        json!({"f": {"a": {"x": 1, "y": 2}, "falsy": false, "m": {"k": {"z": true}}}}),
    );
}

#[test]
fn null_is_absent_unless_nullable() {
    let nullable = json!({"type": "string", "nullable": true, "default": "d"});
    defaulted(nullable.clone(), json!({"f": null}), json!({"f": null}));
    defaulted(nullable, json!({}), json!({"f": "d"}));
    defaulted(json!({"type": "string", "default": "d"}), json!({"f": null}), json!({"f": "d"}));
    defaulted(json!({"type": "string"}), json!({"f": null}), json!({"f": null}));
}

#[test]
fn prune_drops_what_the_schema_does_not_know() {
    let check = |field: Value, value: Value, expect: Value, unknown: &[&str]| {
        let mut object = json!({"apiVersion": "e/v1", "kind": "W", "metadata": {"name": "a", "typo": 1}, "other": 1, "spec": {"f": value}});
        let mut paths = vec!["metadata.typo", "other"];
        paths.extend(unknown);
        assert_eq!(unknown_fields(&ty(&field), &object), paths);
        prune(&ty(&field), &mut object);
        assert_eq!(
            object,
            json!({"apiVersion": "e/v1", "kind": "W", "metadata": {"name": "a"}, "spec": {"f": expect}})
        );
    };
    check(
        json!({"type": "object", "properties": {"a": {"type": "string"}}}),
        json!({"a": "x", "b": {"c": 1}}),
        json!({"a": "x"}),
        &["spec.f.b"],
    );
    let list = json!({"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}});
    check(list, json!([{"a": "x", "b": 1}]), json!([{"a": "x"}]), &["spec.f[0].b"]);
    check(
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        json!({"any": "x"}),
        json!({"any": "x"}),
        &[],
    );
    check(
        json!({"x-kubernetes-preserve-unknown-fields": true}),
        json!({"a": [{"b": 1}]}),
        json!({"a": [{"b": 1}]}),
        &[],
    );
    check(json!({"type": "object"}), json!({"a": 1}), json!({}), &["spec.f.a"]);
    let embedded = json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true});
    check(
        embedded,
        json!({"kind": "P", "metadata": {"name": "x", "no": 1}, "z": 1}),
        json!({"kind": "P", "metadata": {"name": "x"}, "z": 1}),
        &["spec.f.metadata.no"],
    );
}

#[test]
fn types_and_formats() {
    problems(
        json!({"type": "integer"}),
        json!("1"),
        &["spec.f: Invalid value: \"string\": spec.f in body must be of type integer: \"string\""],
    );
    problems(json!({"type": "integer"}), json!(1.0), &[]);
    problems(
        json!({"type": "integer"}),
        json!(1.5),
        &["spec.f: Invalid value: \"number\": spec.f in body must be of type integer: \"number\""],
    );
    problems(json!({"type": "number"}), json!(1), &[]);
    problems(
        json!({"type": "array", "items": {"type": "string"}}),
        json!(null),
        &["spec.f: Invalid value: \"null\": spec.f in body must be of type array: \"null\""],
    );
    problems(json!({"type": "string", "nullable": true}), json!(null), &[]);
    let either = json!({"x-kubernetes-int-or-string": true});
    problems(either.clone(), json!("50%"), &[]);
    problems(
        either,
        json!(true),
        &["spec.f: Invalid value: \"boolean\": spec.f in body must be of type integer,string: \"boolean\""],
    );
    let time = json!({"type": "string", "format": "date-time"});
    problems(time.clone(), json!("2001-02-03T04:05:06Z"), &[]);
    problems(
        time.clone(),
        json!("soon"),
        &["spec.f: Invalid value: \"soon\": spec.f in body must be of type date-time: \"soon\""],
    );
    problems(
        time,
        json!(5),
        &["spec.f: Invalid value: \"int64\": spec.f in body must be of type date-time: \"int64\""],
    );
    for (format, good, bad) in [
        ("ipv4", "10.0.0.1", "10.0.0"),
        ("ipv6", "::1", "1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0/99"),
        ("date", "2001-02-03", "2001-2-3"),
        ("byte", "YWI=", "YWI"),
        ("uuid", "00112233-4455-6677-8899-aabbccddeeff", "x"),
        ("hostname", "a.b-c", "-"),
        ("email", "a@b.c", "a"),
        ("uri", "https://a/b", "a b"),
        ("mac", "00:11:22:33:44:55", "00:11"),
        ("duration", "1h30m", "one"),
        ("unheard-of", "anything", ""),
    ] {
        problems(json!({"type": "string", "format": format}), json!(good), &[]);
        if !bad.is_empty() {
            let expect =
                format!("spec.f: Invalid value: {bad:?}: spec.f in body must be of type {format}: {bad:?}");
            problems(json!({"type": "string", "format": format}), json!(bad), &[&expect]);
        }
    }
}

#[test]
fn ranges_and_lengths() {
    let range = json!({"type": "integer", "minimum": 1, "maximum": 10, "multipleOf": 3});
    problems(
        range.clone(),
        json!(0),
        &["spec.f: Invalid value: 0: spec.f in body should be greater than or equal to 1"],
    );
    problems(
        range.clone(),
        json!(12),
        &["spec.f: Invalid value: 12: spec.f in body should be less than or equal to 10"],
    );
    problems(range, json!(4), &["spec.f: Invalid value: 4: spec.f in body should be a multiple of 3"]);
    let open = json!({"type": "number", "minimum": 0, "exclusiveMinimum": true, "maximum": 1_000_000, "exclusiveMaximum": true});
    problems(open.clone(), json!(0), &["spec.f: Invalid value: 0: spec.f in body should be greater than 0"]);
    problems(
        open,
        json!(1_000_000),
        &["spec.f: Invalid value: 1000000: spec.f in body should be less than 1e+06"],
    );
    let text = json!({"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^a"});
    problems(
        text.clone(),
        json!(""),
        &["spec.f: Invalid value: \"\": spec.f in body should be at least 1 chars long"],
    );
    problems(text.clone(), json!("aéio"), &["spec.f: Too long: may not be more than 3 bytes"]);
    problems(text, json!("b"), &["spec.f: Invalid value: \"b\": spec.f in body should match '^a'"]);
    let list = json!({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2});
    problems(
        list.clone(),
        json!([]),
        &["spec.f: Invalid value: 0: spec.f in body should have at least 1 items"],
    );
    problems(list, json!([true, true, true]), &["spec.f: Too many: 3: must have at most 2 items"]);
    problems(
        json!({"type": "string", "enum": ["x", "y"]}),
        json!("z"),
        &["spec.f: Unsupported value: \"z\": supported values: \"x\", \"y\""],
    );
    let map = json!({"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 1});
    problems(
        map.clone(),
        json!({"k": "x"}),
        &["spec.f.k: Invalid value: \"string\": spec.f.k in body must be of type integer: \"string\""],
    );
    problems(map, json!({"k": 1, "l": 1}), &["spec.f: Too many: 2: must have at most 1 items"]);
}

#[test]
fn alternatives_are_explained_by_the_closest() {
    let field = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "string"}},
        "anyOf": [{"properties": {"a": {"minimum": 5}}}, {"required": ["b"]}], "allOf": [{"properties": {"a": {"maximum": 9}}}], "not": {"required": ["c"]}});
    problems(field.clone(), json!({"a": 6}), &[]);
    problems(field.clone(), json!({"a": 1, "b": "x"}), &[]);
    problems(
        field.clone(),
        json!({"a": 1}),
        &[
            "<nil>: Invalid value: \"\": \"spec.f\" must validate at least one schema (anyOf)",
            "spec.f.a: Invalid value: 1: spec.f.a in body should be greater than or equal to 5",
        ],
    );
    problems(
        field.clone(),
        json!({"a": 10}),
        &[
            "<nil>: Invalid value: \"\": \"spec.f\" must validate all the schemas (allOf). None validated",
            "spec.f.a: Invalid value: 10: spec.f.a in body should be less than or equal to 9",
        ],
    );
    problems(
        field,
        json!({"a": 6, "c": "x"}),
        &["<nil>: Invalid value: \"\": \"spec.f\" must not validate the schema (not)"],
    );
    let one = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
    problems(
        one.clone(),
        json!({"a": "x", "b": "x"}),
        &[
            "<nil>: Invalid value: \"\": \"spec.f\" must validate one and only one schema (oneOf). Found 2 valid alternatives",
        ],
    );
    problems(
        one,
        json!({}),
        &[
            "<nil>: Invalid value: \"\": \"spec.f\" must validate one and only one schema (oneOf). Found none valid",
            "spec.f.a: Required value",
        ],
    );
}

#[test]
fn items_of_sets_and_keyed_lists_differ() {
    let keyed = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
        "items": {"type": "object", "required": ["n"], "properties": {"n": {"type": "string"}, "v": {"type": "integer"}}}});
    problems(
        keyed.clone(),
        json!([{"n": "a"}, {"n": "a", "v": 1}, {"n": "a"}]),
        &["spec.f[1]: Duplicate value: {\"n\":\"a\"}"],
    );
    problems(keyed, json!([{"v": 1}]), &["spec.f[0].n: Required value"]);
    let set = json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}});
    problems(set, json!(["z", "y", "z"]), &["spec.f[2]: Duplicate value: \"z\""]);
}

#[test]
fn a_status_alone_is_named_by_where_it_stands() {
    let ty = Type::from_crd_schema(
        &json!({"type": "object", "properties": {"status": {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}, "oneOf": [{"required": ["n"]}, {"required": ["m"]}]}}}),
    );
    let status = ty.child("status").expect("declared");
    let found: Vec<String> =
        validate(status, &json!({"n": 9}), "status").iter().map(ToString::to_string).collect();
    assert_eq!(found, ["status.n: Invalid value: 9: n in body should be less than or equal to 3"]);
}

#[test]
fn embedded_objects_need_a_kind() {
    let field = json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true});
    problems(field.clone(), json!({"kind": "Pod"}), &["spec.f.apiVersion: Required value"]);
    problems(
        field,
        json!({"kind": "Pod", "apiVersion": "a/b/c"}),
        &["spec.f.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c"],
    );
}

#[test]
fn only_metadata_of_custom_objects_is_decoded() {
    let field = json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true});
    let object = |f: Value| json!({"metadata": {"name": "a"}, "spec": {"f": f}});
    assert_eq!(
        decode_error(&ty(&field), &object(json!({"metadata": {"labels": {"a": "b"}}, "spec": [1]}))),
        None
    );
    assert_eq!(
        decode_error(&ty(&field), &object(json!({"metadata": {"labels": {"a": 5}}}))).as_deref(),
        Some(
            "spec.f.metadata: Invalid value: {\"labels\":{\"a\":5}}: json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
        )
    );
    assert_eq!(
        decode_error(&ty(&field), &json!({"metadata": {"name": 1}})).as_deref(),
        Some("json: cannot unmarshal number into Go struct field ObjectMeta.name of type string")
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,4}".prop_map(Value::from)
    ];
    let key = prop_oneof![
        "[a-c]",
        Just("properties".to_owned()),
        Just("items".to_owned()),
        Just("type".to_owned()),
        Just("allOf".to_owned()),
        Just("pattern".to_owned()),
        Just("default".to_owned())
    ];
    leaf.prop_recursive(5, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Any JSON is read as a schema, and any JSON checked against it, without a panic; pruning is idempotent.
    #[test]
    fn anything_goes(schema in any_json(), value in any_json()) {
        let ty = Type::from_crd_schema(&schema);
        let _problems = crate::check_schema(&schema, "s");
        let _found = validate(&ty, &value, "");
        let mut object = value;
        prune(&ty, &mut object);
        prop_assert_eq!(unknown_fields(&ty, &object), Vec::<String>::new());
        default(&ty, &mut object);
    }
}
