#![expect(
    clippy::needless_pass_by_value,
    reason = "cases are literals, which read better without an ampersand each"
)]

use super::{Error, apply};
use ferrite_schema::{Schemas, Type};
use serde_json::{Value, json};

fn ty(group: &str, kind: &str) -> &'static Type {
    Schemas::builtin().get(group, "v1", kind).expect("a built-in kind")
}

fn pod(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
}

fn spec_after(spec: Value, patch: Value) -> Result<Value, Error> {
    apply(&pod(spec), &json!({"spec": patch}), ty("", "Pod")).map(|mut v| v["spec"].take())
}

#[track_caller]
fn check(spec: Value, patch: Value, expect: Value) {
    assert_eq!(spec_after(spec, patch), Ok(expect));
}

#[track_caller]
fn fails(spec: Value, patch: Value, message: &str) {
    assert_eq!(spec_after(spec, patch).expect_err("the patch applies").to_string(), message);
}

fn two() -> Value {
    json!({"containers": [{"name": "a", "image": "a:1", "args": ["x"]}, {"name": "b", "image": "b:1"}]})
}

#[test]
fn keyed_lists_merge() {
    check(
        two(),
        json!({"containers": [{"name": "a", "image": "a:2"}]}),
        json!({"containers": [{"name": "a", "image": "a:2", "args": ["x"]}, {"name": "b", "image": "b:1"}]}),
    );
    check(
        two(),
        json!({"containers": [{"name": "c", "image": "c"}]}),
        json!({"containers": [{"name": "c", "image": "c"}, {"name": "a", "image": "a:1", "args": ["x"]}, {"name": "b", "image": "b:1"}]}),
    );
    check(
        two(),
        json!({"containers": [{"name": "b", "image": "b:2"}, {"name": "a", "args": null}]}),
        json!({"containers": [{"name": "b", "image": "b:2"}, {"name": "a", "image": "a:1"}]}),
    );
}

#[test]
fn directives_delete_and_replace() {
    check(
        two(),
        json!({"containers": [{"name": "a", "$patch": "delete"}]}),
        json!({"containers": [{"name": "b", "image": "b:1"}]}),
    );
    check(
        two(),
        json!({"containers": [{"$patch": "replace"}, {"name": "z", "image": "z"}]}),
        json!({"containers": [{"name": "z", "image": "z"}]}),
    );
    check(two(), json!({"$patch": "replace", "nodeName": "n"}), json!({"nodeName": "n"}));
    check(two(), json!({"$patch": "delete"}), json!({}));
    check(json!({}), json!({"affinity": {"$patch": "delete"}}), json!({}));
    check(
        json!({}),
        json!({"containers": [{"name": "a", "$patch": "delete"}, {"name": "b"}]}),
        json!({"containers": [{"name": "b"}]}),
    );
}

#[test]
fn lists_of_scalars_merge_or_are_replaced() {
    let object = json!({"metadata": {"finalizers": ["a", "b"]}});
    let after = |patch: Value| {
        apply(&object, &json!({"metadata": patch}), ty("", "ConfigMap")).expect("applies")["metadata"]["finalizers"].take()
    };
    assert_eq!(after(json!({"finalizers": ["c"]})), json!(["c", "a", "b"]));
    assert_eq!(after(json!({"finalizers": ["b"]})), json!(["a", "b"]));
    assert_eq!(after(json!({"$deleteFromPrimitiveList/finalizers": ["a"]})), json!(["b"]));
    assert_eq!(after(json!({"$setElementOrder/finalizers": ["b", "a"]})), json!(["b", "a"]));
    assert_eq!(
        after(
            json!({"$setElementOrder/finalizers": ["d", "b"], "$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["d"]})
        ),
        json!(["d", "b"])
    );
    check(two(), json!({"containers": [{"name": "a", "args": ["y", "z"]}]}), {
        let mut spec = two();
        spec["containers"][0]["args"] = json!(["y", "z"]);
        spec
    });
}

#[test]
fn retain_keys_clears_the_rest() {
    let spec = json!({"volumes": [{"name": "v", "emptyDir": {}}]});
    check(
        spec.clone(),
        json!({"volumes": [{"name": "v", "configMap": {"name": "c"}, "$retainKeys": ["name", "configMap"]}]}),
        json!({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}),
    );
    fails(
        spec.clone(),
        json!({"volumes": [{"name": "v", "$retainKeys": ["name"], "hostPath": {"path": "/x"}}]}),
        "invalid patch format of retainKeys",
    );
    fails(spec, json!({"$retainKeys": "x"}), "invalid patch format of retainKeys");
}

#[test]
fn element_order_is_enforced() {
    check(
        json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "s"}]}),
        json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}], "containers": [{"name": "c"}]}),
        json!({"containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}, {"name": "s"}]}),
    );
    fails(
        two(),
        json!({"$setElementOrder/containers": [{"image": "x"}], "containers": [{"name": "a", "image": "q"}]}),
        "map: map[image:x] does not contain declared merge key: name",
    );
    fails(
        two(),
        json!({"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a"}]}),
        "The order in patch list:\n[map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:b]]\n",
    );
}

#[test]
fn errors_have_kubernetes_words() {
    fails(
        two(),
        json!({"containers": [{"name": "a", "$patch": "nope"}]}),
        "unknown patch type: nope in map: map[$patch:nope name:a]",
    );
    fails(two(), json!({"$patch": 5}), "unknown patch type: %!s(int64=5) in map: map[$patch:5]");
    fails(
        two(),
        json!({"containers": [{"image": "x"}]}),
        "map: map[image:x] does not contain declared merge key: name",
    );
    let mut types = two();
    types["containers"] = json!(["x"]);
    fails(
        two(),
        types,
        "list element types are not identical: [[map[args:[x] image:a:1 name:a] map[image:b:1 name:b]] [x]]",
    );
}

#[test]
fn other_types_replace() {
    check(two(), json!({"containers": {"name": "a"}}), json!({"containers": {"name": "a"}}));
    check(json!({}), json!({"affinity": {"nodeAffinity": null}}), json!({"affinity": {}}));
}
