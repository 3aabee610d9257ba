use super::{Error, apply};
use serde_json::{Value, json};

fn check(document: &Value, patch: &Value, expect: &Value) {
    assert_eq!(apply(document, patch).as_ref(), Ok(expect), "{patch}");
}

fn fails(document: &Value, patch: &Value) {
    let error = apply(document, patch).expect_err("the patch applies");
    assert!(matches!(error, Error::Operation { .. }), "{patch}: {error}");
}

/// RFC 6902, appendix A, where Kubernetes follows it.
#[test]
fn the_examples_of_the_rfc() {
    check(
        &json!({"foo": "bar"}),
        &json!([{"op": "add", "path": "/baz", "value": "qux"}]),
        &json!({"foo": "bar", "baz": "qux"}),
    );
    check(
        &json!({"foo": ["bar", "baz"]}),
        &json!([{"op": "add", "path": "/foo/1", "value": "qux"}]),
        &json!({"foo": ["bar", "qux", "baz"]}),
    );
    check(
        &json!({"baz": "qux", "foo": "bar"}),
        &json!([{"op": "remove", "path": "/baz"}]),
        &json!({"foo": "bar"}),
    );
    check(
        &json!({"foo": ["bar", "qux", "baz"]}),
        &json!([{"op": "remove", "path": "/foo/1"}]),
        &json!({"foo": ["bar", "baz"]}),
    );
    check(
        &json!({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}),
        &json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]),
        &json!({"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
    );
    check(
        &json!({"foo": ["all", "grass", "cows", "eat"]}),
        &json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
        &json!({"foo": ["all", "cows", "eat", "grass"]}),
    );
    check(
        &json!({"/": 9, "~1": 10}),
        &json!([{"op": "test", "path": "/~01", "value": 10}]),
        &json!({"/": 9, "~1": 10}),
    );
    check(
        &json!({"foo": ["bar"]}),
        &json!([{"op": "add", "path": "/foo/-", "value": ["abc"]}]),
        &json!({"foo": ["bar", ["abc"]]}),
    );
    fails(&json!({"foo": "bar"}), &json!([{"op": "add", "path": "/baz/bat", "value": "qux"}]));
    fails(&json!({"/": 9, "~1": 10}), &json!([{"op": "test", "path": "/~01", "value": "10"}]));
}

#[test]
fn what_the_api_server_tolerates() {
    let map = json!({"data": {"a": "1"}});
    check(
        &map,
        &json!([{"op": "replace", "path": "/data/z", "value": "1"}]),
        &json!({"data": {"a": "1", "z": "1"}}),
    );
    check(
        &map,
        &json!([{"op": "add", "path": "data/a", "value": "1"}]),
        &json!({"data": {"a": "1"}, "a": "1"}),
    );
    check(
        &map,
        &json!([{"op": "copy", "from": "/data/z", "path": "/data/y"}]),
        &json!({"data": {"a": "1", "y": null}}),
    );
    check(&map, &json!([{"op": "test", "path": "/data/z", "value": null}]), &map);
    check(&map, &json!([{"op": "add", "path": "/data/m"}]), &json!({"data": {"a": "1", "m": null}}));
    check(&map, &Value::Null, &map);
    check(&json!({"l": [1, 2, 3]}), &json!([{"op": "remove", "path": "/l/-1"}]), &json!({"l": [1, 2]}));
    check(&json!({"n": 1}), &json!([{"op": "test", "path": "/n", "value": 1.0}]), &json!({"n": 1}));
}

#[test]
fn what_it_refuses() {
    let list = json!({"l": [1]});
    for patch in [
        json!([{"op": "nope", "path": "/l"}]),
        json!([{"path": "/l"}]),
        json!([{"op": "remove", "path": "/l/-"}]),
        json!([{"op": "remove", "path": "/l/1"}]),
        json!([{"op": "add", "path": "/l/3", "value": 1}]),
        json!([{"op": "add", "path": "/l/x", "value": 1}]),
        json!([{"op": "replace", "path": "/l/1", "value": 1}]),
        json!([{"op": "add", "path": "", "value": {}}]),
        json!([{"op": "remove", "path": "/nope"}]),
        json!([{"op": "move", "from": "/nope", "path": "/l"}]),
        json!([5]),
    ] {
        fails(&list, &patch);
    }
    let error = apply(&list, &json!({"op": "add"})).expect_err("an object is no patch");
    assert_eq!(
        error.to_string(),
        "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
    );
    let many = Value::Array(vec![json!({"op": "test", "path": "/x", "value": null}); 10_001]);
    assert_eq!(
        apply(&list, &many).expect_err("too many").to_string(),
        "The allowed maximum operations in a JSON patch is 10000, got 10001"
    );
}

#[test]
fn copies_are_bounded() {
    let document = json!({"a": "x".repeat(1 << 20)});
    let copy = json!({"op": "copy", "from": "/a", "path": "/b"});
    assert!(apply(&document, &json!([copy, copy])).is_ok());
    fails(&document, &json!([copy, copy, copy]));
}
