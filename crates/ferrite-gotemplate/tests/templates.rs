//! Templates with what Go prints for them.

use ferrite_gotemplate::{Engine, Functions, Limits, MissingKey, Templates, Value, from_json, parse};

fn render(template: &str, data: &str) -> Result<String, String> {
    let functions = Functions::sprig();
    let mut set = Templates::default();
    set.add(parse("t", template.as_bytes(), &functions).map_err(|e| e.to_string())?);
    let engine = Engine::new(functions, MissingKey::Zero, Limits::default());
    let data = from_json(data.as_bytes()).map_err(|e| e.to_string())?;
    engine
        .execute(&set, "t", &data)
        .map(|out| String::from_utf8_lossy(&out).into_owned())
        .map_err(|e| e.to_string())
}

#[track_caller]
fn check(template: &str, data: &str, expect: Result<&str, &str>) {
    let expect = expect.map(str::to_owned).map_err(str::to_owned);
    assert_eq!(render(template, data), expect, "{template}");
}

const DATA: &str =
    r#"{"n": 5, "f": 2.5, "s": "text", "big": 1000000, "l": ["a", "b"], "m": {"a": 1, "b": {"c": null}}}"#;

#[test]
fn values_keep_gos_types() {
    for (template, expect) in [
        ("{{ .n }} {{ .big }} {{ .f }} {{ .l }} {{ .m }}", "5 1e+06 2.5 [a b] map[a:1 b:map[c:<nil>]]"),
        ("{{ eq (int .n) 5 }} {{ eq .n 5.0 }} {{ eq (int64 .n) 5 }}", "true true true"),
        (r#"{{ printf "%T %T %T %v" .n 5 (int64 5) .missing }}"#, "float64 int int64 <nil>"),
        (
            r#"{{ printf "%5.2f|%-4d|%04x|%q|%+v" .f 7 255 .s .m }}"#,
            r#" 2.50|7   |00ff|"text"|map[a:1 b:map[c:<nil>]]"#,
        ),
        (
            r#"{{ printf "%d" .s }}{{ printf "%s" 1 }}{{ printf "%d" }}{{ printf "x" 1 }}"#,
            "%!d(string=text)%!s(int=1)%!d(MISSING)x%!(EXTRA int=1)",
        ),
        ("{{ typeOf (until 2) }} {{ kindOf .m }} {{ typeOf nil }}", "[]int map <nil>"),
    ] {
        check(template, DATA, Ok(expect));
    }
}

#[test]
fn actions_behave_as_in_text_template() {
    for (template, expect) in [
        ("a {{- 1 -}} b", "a1b"),
        ("{{ range $i, $e := .l }}{{ $i }}={{ $e }};{{ else }}none{{ end }}", "0=a;1=b;"),
        ("{{ range 3 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "02"),
        ("{{ range .l }}{{ break }}{{ end }}{{ with .missing }}x{{ else with .s }}{{ . }}{{ end }}", "text"),
        (
            r#"{{ define "d" }}[{{ . }}]{{ end }}{{ template "d" .n }}{{ block "e" 1 }}<{{ . }}>{{ end }}"#,
            "[5]<1>",
        ),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
        ("{{ ((.missing).a).b }}|{{ .m.b.c }}", "<no value>|<no value>"),
        (
            r#"{{ $d := dict }}{{ $_ := set $d "a" 1 }}{{ $e := $d }}{{ $_ := set $e "b" 2 }}{{ $d }}"#,
            "map[a:1 b:2]",
        ),
        ("{{/* c */}}{{ and 1 0 2 }}{{ or 0 `x` (fail `no`) }}{{ not .l }}", "0xfalse"),
    ] {
        check(template, DATA, Ok(expect));
    }
}

#[test]
fn errors_read_like_gos() {
    for (template, expect) in [
        (
            "{{ .m.b.c.d }}",
            r#"template: t:1:5: executing "t" at <.m.b.c.d>: nil pointer evaluating interface {}.d"#,
        ),
        (
            "\n {{ .s.x }}",
            r#"template: t:2:6: executing "t" at <.s.x>: can't evaluate field x in type interface {}"#,
        ),
        (
            "{{ eq .n 5 }}",
            r#"template: t:1:3: executing "t" at <eq .n 5>: error calling eq: incompatible types for comparison: float64 and int"#,
        ),
        ("{{ nope }}", r#"template: t:1: function "nope" not defined"#),
        ("{{ if }}x{{ end }}", "template: t:1: missing value for if"),
        ("{{ end }}", "template: t:1: unexpected {{end}}"),
        ("{{ range .n }}{{ end }}", r#"template: t:1:9: executing "t" at <.n>: range can't iterate over 5"#),
        (
            "{{ div 1 0 }}",
            r#"template: t:1:3: executing "t" at <div 1 0>: error calling div: runtime error: integer divide by zero"#,
        ),
        (
            r#"{{ template "x" }}"#,
            r#"template: t:1:12: executing "t" at <{{template "x"}}>: template "x" not defined"#,
        ),
        (
            "{{ index .l 2 }}",
            r#"template: t:1:3: executing "t" at <index .l 2>: error calling index: reflect: slice index out of range"#,
        ),
        (
            "{{ index .l 3 }}",
            r#"template: t:1:3: executing "t" at <index .l 3>: error calling index: index out of range: 3"#,
        ),
    ] {
        check(template, DATA, Err(expect));
    }
}

#[test]
fn hostile_templates_end_with_a_message() {
    for template in [
        r#"{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}"#,
        "{{ range 100000 }}{{ range 100000 }}x{{ end }}{{ end }}",
        "{{ until 1000000000 }}",
        r#"{{ repeat 1000000000 "aaaaaaaa" }}"#,
        "{{ $x := list }}{{ range 200000 }}{{ $x = list $x }}{{ end }}{{ $x | toJson | len }}{{ fail `deep` }}",
    ] {
        assert!(render(template, "{}").is_err(), "{template}");
    }
}

#[test]
fn functions_of_sprig() {
    for (template, expect) in [
        (
            r#"{{ "HTTPServer2xx" | snakecase }} {{ "foo-bar_baz" | camelcase }} {{ "aB" | kebabcase }}"#,
            "http_server_2xx FooBarBaz a-b",
        ),
        (
            r#"{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W" }} {{ regexSplit "z+" "pizza" -1 }}"#,
            "-W-xxW- [pi a]",
        ),
        (
            r#"{{ merge (dict "a" 1) (dict "a" 2 "b" 3) }} {{ mergeOverwrite (dict "a" 1) (dict "a" 0) }}"#,
            "map[a:1 b:3] map[a:0]",
        ),
        (
            r#"{{ dig "b" "c" "none" (dict "b" (dict "x" 1)) }} {{ list 1 2 3 | reverse | join "-" }}"#,
            "none 3-2-1",
        ),
        (
            r#"{{ "hello" | b64enc }} {{ "aGVsbG8=" | b64dec }} {{ "hello" | b32enc }} {{ sha256sum "a" | trunc 8 }}"#,
            "aGVsbG8= hello NBSWY3DP ca978112",
        ),
        (
            r#"{{ addf 0.1 0.2 }} {{ divf 1 3 }} {{ round 123.5555 2 }} {{ add 1 "2" 3.9 }}"#,
            "0.3 0.3333333333333333 123.56 6",
        ),
        (
            r#"{{ date "2006-01-02" 1500000000 }} {{ duration "95" }} {{ durationRound "2400h10m5s" }}"#,
            "2017-07-14 1m35s 3mo",
        ),
        (r#"{{ derivePassword 1 "long" "password" "user" "example.com" }}"#, "ZedaFaxcZaso9*"),
        (
            r#"{{ urlJoin (dict "path" "/a b" "query" "x=1" "host" "h") }} {{ (urlParse "http://[::1]:80/").hostname }}"#,
            "//h/a%20b?x=1 ::1",
        ),
        (r#"{{ decryptAES "k" (encryptAES "k" "plain") }} {{ htpasswd "u" "p" | len }}"#, "plain 62"),
        (
            r#"{{ dict "b" (list 1 nil) "a" "<" | toJson }} {{ (fromJson "{\"a\":[1.50]}").a }}"#,
            r#"{"a":"\u003c","b":[1,null]} [1.5]"#,
        ),
    ] {
        check(template, DATA, Ok(expect));
    }
}

#[test]
fn certificates_are_signed_by_their_authority() {
    let template = r#"{{ $ca := genCA "my-ca" 10 }}{{ $c := genSignedCert "web" (list "10.0.0.1") (list "a.example") 5 $ca }}{{ $c.Cert }}{{ $c.Key }}{{ $ca.Cert }}"#;
    let out = render(template, "{}").unwrap();
    assert_eq!(out.matches("BEGIN CERTIFICATE").count(), 2, "{out}");
    assert!(out.contains("BEGIN RSA PRIVATE KEY"), "{out}");
}

mod properties {
    use super::{Engine, Functions, Limits, MissingKey, Templates, Value, parse};
    use proptest::prelude::*;

    /// Texts that look like templates.
    fn template() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("{{"),
            Just("}}"),
            Just("{{-"),
            Just("-}}"),
            Just(" "),
            Just("."),
            Just(".a"),
            Just("$"),
            Just("$x"),
            Just(":="),
            Just("="),
            Just("|"),
            Just("("),
            Just(")"),
            Just("if "),
            Just("else "),
            Just("end"),
            Just("range "),
            Just("with "),
            Just("define "),
            Just("template "),
            Just("block "),
            Just("\"q\""),
            Just("`r`"),
            Just("'c'"),
            Just("1"),
            Just("0x1p-2"),
            Just("1i"),
            Just("printf "),
            Just("list "),
            Just("nil "),
            Just(","),
            Just("break"),
            Just("/*"),
            Just("*/"),
            Just("é"),
            Just("\n"),
            Just("\"%[3]*.*d%!\" "),
            Just("index "),
            Just("slice "),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_text_makes_the_engine_panic(text in prop_oneof![template(), ".*"]) {
            let functions = Functions::sprig();
            if let Ok(templates) = parse("t", text.as_bytes(), &functions) {
                let mut set = Templates::default();
                set.add(templates);
                let limits = Limits { steps: 10_000, ..Limits::default() };
                let engine = Engine::new(functions, MissingKey::Zero, limits);
                let data = Value::map([("a", Value::list(vec![Value::Int(1)]))]);
                prop_assert!(engine.execute(&set, "t", &data).map_or_else(|e| !e.text().is_empty(), |_| true));
            }
        }

        #[test]
        fn no_pattern_and_no_format_panics(pattern in ".*", format in ".*", text in ".*") {
            let functions = Functions::sprig();
            let source = "{{ regexMatch .p .t }}{{ printf .f .t 1 2.5 }}{{ regexReplaceAll (regexQuoteMeta .p) .t .f }}";
            let mut set = Templates::default();
            set.add(parse("t", source.as_bytes(), &functions).unwrap());
            let engine = Engine::new(functions, MissingKey::Zero, Limits::default());
            let data = Value::map([("p", Value::from(pattern)), ("f", Value::from(format)), ("t", Value::from(text))]);
            engine.execute(&set, "t", &data).unwrap();
        }
    }
}
