//! No input makes the engine panic, whoever wrote it.

use ferrite_helm::{Chart, File, Mode, Release, Request, check_schema, decode_values, render, set_values};
use proptest::prelude::*;
use serde_json::Map;

fn file(name: &str, text: &str) -> File {
    File { name: name.into(), data: text.as_bytes().into() }
}

/// Texts that look like YAML.
fn yaml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a: "),
        Just("- "),
        Just("\n"),
        Just("\n  "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just("? "),
        Just(": "),
        Just("&x "),
        Just("*x"),
        Just("<<: "),
        Just("|\n"),
        Just(">-\n"),
        Just("'"),
        Just("\""),
        Just("# c\n"),
        Just("---\n"),
        Just("...\n"),
        Just("\t"),
        Just("%YAML 1.1\n"),
        Just("!!int "),
        Just("!<x> "),
        Just("\\ud800"),
        Just("null"),
        Just("1e9"),
        Just("é"),
        Just(","),
        Just("~"),
        Just("!!binary "),
        Just("0x1F"),
        Just("\u{feff}"),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// Texts that look like JSON Schema.
fn schema() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::json;
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!({"$ref": "#"})),
        Just(json!({"$ref": "#/properties/a"})),
        Just(json!({"type": "string"})),
        Just(json!({"pattern": "("})),
        Just(json!({"minimum": 1e300, "multipleOf": 1e-300})),
        Just(json!({"format": "date-time"})),
        Just(json!({"enum": [null, 1]})),
        Just(json!(null)),
        Just(json!({"$id": "http://x/y#z", "$anchor": "q"})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|s| json!({"properties": {"a": s}, "additionalProperties": false})),
            inner.clone().prop_map(|s| json!({"items": s, "contains": true})),
            inner.clone().prop_map(|s| json!({"not": s, "unevaluatedProperties": false})),
            prop::collection::vec(inner, 0..3)
                .prop_map(|all| json!({"anyOf": all, "oneOf": all, "allOf": all})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn yaml_is_read_or_refused(text in prop_oneof![yaml(), ".*"]) {
        prop_assert!(decode_values(&text).map_or_else(|e| !e.to_string().is_empty(), |_| true));
    }

    #[test]
    fn assignments_are_read_or_refused(text in "[a-c.=,{}\\[\\]0-9\\\\\"é ]{0,30}") {
        for mode in [Mode::Typed, Mode::Strings, Mode::Json, Mode::Literal] {
            let mut values = Map::new();
            prop_assert!(set_values(&text, &mut values, mode).map_or_else(|e| !e.is_empty(), |()| true));
        }
    }

    #[test]
    fn schemas_are_checked_or_refused(schema in schema(), document in yaml()) {
        let document = decode_values(&document).unwrap_or_default();
        let checked = check_schema(schema.to_string().as_bytes(), &serde_json::Value::Object(document));
        prop_assert!(checked.map_or_else(|e| !e.is_empty(), |()| true));
    }

    #[test]
    fn archives_and_records_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Chart::from_archive(&bytes).is_err());
        prop_assert!(Release::decode(&String::from_utf8_lossy(&bytes)).is_err());
    }

    #[test]
    fn charts_render_or_fail(manifest in yaml(), values in yaml(), user in yaml(), pattern in ".{0,8}") {
        let template = "{{ toYaml .Values }}\n{{ .Values | toToml }}\n{{ (.Files.Glob (toString .Values.a)).AsConfig }}\n{{ fromToml (toString .Values.a) }}";
        let files = vec![
            file("Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n"),
            file("values.yaml", &values),
            file("templates/a.yaml", &manifest),
            file("templates/b.txt", template),
            file(&pattern, "x"),
        ];
        if let Ok(chart) = Chart::from_files(files) {
            let user = decode_values(&user).unwrap_or_default();
            let rendered = render(&chart, &user, &Request::install("demo", "apps"));
            prop_assert!(rendered.map_or_else(|e| !e.to_string().contains("stopped unexpectedly"), |_| true));
        }
    }
}
