//! Reading, meaning and writing, checked on literals.

use ferrite_yaml::{Dialect, Limits, compare_keys, go_json, parse, write};

#[track_caller]
fn check(input: &str, expect: &str) {
    let shown = match parse(input, &Limits::default()) {
        Ok(None) => "nothing".to_owned(),
        Ok(Some(node)) => match node.to_json(Dialect::Yaml12) {
            Ok(value) => write(&value),
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    assert_eq!(shown, expect, "{input:?}");
}

#[test]
fn strings_are_quoted_as_go_yaml_does() {
    check(
        "a: 'yes'\nb: '1'\nc: '1:30'\nd: '<<'\ne: '2001-1-1'",
        "a: \"yes\"\nb: \"1\"\nc: \"1:30\"\nd: <<\ne: \"2001-1-1\"\n",
    );
    check(
        "a: 'x: y'\nb: ' x'\nc: \"t\\tt\"\nd: '#'\ne: ''",
        "a: 'x: y'\nb: ' x'\nc: \"t\\tt\"\nd: '#'\ne: \"\"\n",
    );
    check(
        "a: \"x\\ny\\n\"\nb: \"x\\ny\"\nc: \" x\\n\\n\"\nd: \"x \\ny\"",
        "a: |\n  x\n  y\nb: |-\n  x\n  y\nc: |2+\n   x\n\nd: \"x \\ny\"\n",
    );
}

#[test]
fn numbers_are_retyped() {
    check(
        "- 017\n- 1.10\n- 1e3\n- 1e20\n- 1e21\n- 0.000001\n- -0.0\n- 1234567.5",
        "- 15\n- 1.1\n- 1000\n- 1e+20\n- 1e+21\n- 1e-06\n- 0\n- 1.2345675e+06\n",
    );
    check("a: .inf", "line 1, column 4: unsupported value .inf: JSON has no infinities and no NaN");
}

#[test]
fn layout() {
    check(
        "a:\n- b: 1\n  c:\n  - - x\n    - y\n- {}\n- []\nd: {e: {f: g}}",
        "a:\n- b: 1\n  c:\n  - - x\n    - \"y\"\n- {}\n- []\nd:\n  e:\n    f: g\n",
    );
    let word = "abcdefghi ".repeat(12);
    let folded = write(&serde_json::json!({ "a": word.trim() }));
    assert_eq!(
        folded,
        format!("a: {} abcdefghi\n  {}\n", "abcdefghi ".repeat(7).trim(), "abcdefghi ".repeat(4).trim())
    );
}

#[test]
fn aliases_merges_and_duplicates() {
    check("x: &x {a: 1}\ny:\n  <<: *x\n  b: 2", "x:\n  a: 1\n\"y\":\n  a: 1\n  b: 2\n");
    check("a: 1\na: 2", "line 2, column 1: mapping key \"a\" already defined at line 1");
    check("1: x", "\"1\": x\n");
    check("a: {1: x}", "line 1, column 5: the key `1` is no string; put it in quotes");
    check("# only a comment\n", "nothing");
}

#[test]
fn keys_sort_with_numbers() {
    let mut keys = ["ab", "a10", "a2", "a01", "a1", "a-1", "A", "b"];
    keys.sort_by(|a, b| compare_keys(a, b));
    assert_eq!(keys, ["A", "a-1", "a1", "a01", "a2", "a10", "ab", "b"]);
}

#[test]
fn json_as_go_writes_it() {
    let value = serde_json::json!({"b": "<&>\u{1}\u{2028}", "a": [1, 1.5, 1e-7, null]});
    assert_eq!(go_json(&value), r#"{"a":[1,1.5,1e-7,null],"b":"\u003c\u0026\u003e\u0001\u2028"}"#);
}

#[test]
fn bombs_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let refs = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
    }
    for hostile in [
        bomb,
        "{a: ".repeat(100_000),
        "[".repeat(200_000),
        format!("a: {}", "x".repeat(9 << 20)),
        "- ".repeat(50_000),
    ] {
        assert!(parse(&hostile, &Limits::default()).is_err());
    }
}

#[track_caller]
fn rewrite(source: &str, expect: &str) {
    let mut node = parse(source, &Limits::default()).expect("a document").expect("something in it");
    if let Some(a) = node.get_mut("a") {
        a.data = ferrite_yaml::Data::Scalar("new".to_owned());
    }
    assert_eq!(ferrite_yaml::write_commented(&node, source), expect);
}

#[test]
fn comments_are_written_again() {
    rewrite("# doc\n\n# head\na: x   # line\nb: 2\n", "# doc\n\n# head\na: new # line\nb: 2\n");
    rewrite(
        "a: x\nb:\n  # in\n  - x # lx\n  - y\n  # foot\nc: 3\n# end\n",
        "a: new\nb:\n# in\n- x # lx\n- y\n# foot\n\nc: 3\n# end\n",
    );
    rewrite("a: x\nb: # kb\n  c: '#'\n", "a: new\nb: # kb\n  c: '#'\n");
    rewrite("a: x\nb: |\n  # no comment\nc: 1\n", "a: new\nb: |\n  # no comment\nc: 1\n");
}
