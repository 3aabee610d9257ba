use super::super::{Error, Operation, Scope, Takeover, Write, apply, fold, owners};
use super::{Custom, NOW, applied, config_map, map, owned, write};
use ferrite_schema::Schemas;
use serde_json::{Value, json};

fn message(result: Result<Value, Error>) -> String {
    result.expect_err("the apply succeeds").to_string()
}

#[test]
fn an_apply_creates_and_changes_nothing_the_second_time() {
    let first = applied(None, "alice", json!({"k": "v"})).expect("nobody objects");
    assert!(first.changed);
    assert_eq!(
        first.object["metadata"],
        json!({"name": "a", "managedFields": [{"manager": "alice", "operation": "Apply", "apiVersion": "v1",
            "time": NOW, "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:k": {}}}}]})
    );
    let second = applied(Some(&first.object), "alice", json!({"k": "v"})).expect("nobody objects");
    assert!(!second.changed);
    assert_eq!(second.object, first.object);
}

#[test]
fn what_is_no_longer_applied_goes_unless_others_own_it() {
    let live = applied(None, "alice", json!({"a": "1", "b": "2"})).expect("nobody objects").object;
    let live = applied(Some(&live), "bob", json!({"b": "2", "c": "3"})).expect("nobody objects").object;
    let live = applied(Some(&live), "alice", json!({})).expect("nobody objects").object;
    assert_eq!(live["data"], json!({"b": "2", "c": "3"}));
    assert_eq!(
        owned(&live),
        json!([["alice", "Apply", {"f:data": {}}], ["bob", "Apply", {"f:data": {"f:b": {}, "f:c": {}}}]])
    );
}

#[test]
fn conflicts_are_told_in_kubernetes_words() {
    let live = applied(None, "alice", json!({"a": "1", "b": "2"})).expect("nobody objects").object;
    let error = applied(Some(&live), "bob", json!({"a": "9"})).expect_err("alice owns a");
    assert_eq!(error.to_string(), "Apply failed with 1 conflict: conflict with \"alice\": .data.a");
    let error = applied(Some(&live), "bob", json!({"a": "9", "b": "9"})).expect_err("alice owns both");
    assert_eq!(
        error.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"alice\":\n- .data.a\n- .data.b"
    );
    let Error::Conflicts(conflicts) = error else { panic!("not a conflict") };
    let causes: Vec<_> = conflicts.iter().map(|c| (c.message(), c.field())).collect();
    assert_eq!(causes[1], ("conflict with \"alice\"".to_owned(), ".data.b".to_owned()));
}

#[test]
fn force_takes_the_field() {
    let live = applied(None, "alice", json!({"a": "1"})).expect("nobody objects").object;
    let patch =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "2"}});
    let live = apply(Some(&live), &patch, config_map(), &write("bob"), true).expect("force").object;
    assert_eq!(owned(&live), json!([["bob", "Apply", {"f:data": {"f:a": {}}}]]));
}

#[test]
fn the_same_value_is_shared_and_does_not_move_the_time() {
    let live = applied(None, "alice", json!({"a": "1"})).expect("nobody objects").object;
    let shared = applied(Some(&live), "bob", json!({"a": "1"})).expect("nobody objects");
    assert!(!shared.changed);
    let entries = shared.object["metadata"]["managedFields"].as_array().expect("two entries");
    assert_eq!((entries[0].get("manager"), entries[0].get("time")), (Some(&json!("bob")), None));
    assert_eq!(entries[1]["manager"], "alice");
}

#[test]
fn unowned_objects_belong_to_before_first_apply() {
    let error =
        applied(Some(&map(json!({"a": "1"}))), "alice", json!({"a": "2"})).expect_err("somebody owns a");
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.a"
    );
    let live =
        applied(Some(&map(json!({"a": "1"}))), "alice", json!({"b": "2"})).expect("nobody objects").object;
    assert_eq!(
        owned(&live),
        json!([["alice", "Apply", {"f:data": {"f:b": {}}}], ["before-first-apply", "Update", {"f:data": {".": {}, "f:a": {}}}]])
    );
}

#[test]
fn kubectl_takes_over_what_it_applied_from_the_client() {
    let last =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "1"}});
    let mut live = map(json!({"a": "1"}));
    live["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": last.to_string()});
    let live = super::update(None, live, config_map(), &write("kubectl-client-side-apply"));
    let done = applied(Some(&live), "kubectl", json!({"a": "2"})).expect("its own field");
    assert_eq!(done.object["data"], json!({"a": "2"}));
    assert_eq!(
        done.object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"],
        "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"2\"},\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}\n"
    );
    assert!(matches!(applied(Some(&live), "other", json!({"a": "2"})), Err(Error::Conflicts(_))));
}

#[test]
fn bad_requests() {
    let apply_one = |patch: Value| {
        apply(None, &patch, config_map(), &write("alice"), false).expect_err("it is wrong").to_string()
    };
    let with = |key: &str, value: Value| {
        let mut patch = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        patch[key] = value;
        patch
    };
    let failed =
        |what: &str| format!("failed to create typed patch object (/a; /v1, Kind=ConfigMap): {what}");
    assert_eq!(
        apply_one(with("metadata", json!({"managedFields": []}))),
        "metadata.managedFields must be nil"
    );
    assert_eq!(apply_one(with("kind", json!("Secret"))), "invalid object type: /v1, Kind=Secret");
    assert_eq!(apply_one(with("nope", json!(1))), failed(".nope: field not declared in schema"));
    assert_eq!(
        apply_one(with("data", json!({"k": 5}))),
        failed(".data.k: expected string, got &value.valueUnstructured{Value:5}")
    );
    assert_eq!(apply_one(with("data", json!(["x"]))), failed(".data: expected map, got &{[x]}"));
}

#[test]
fn keyed_lists_merge_by_key_and_keep_an_order() {
    let mut widget = Custom::new(json!({"type": "object", "properties": {"m": {
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "v": {"type": "string"}}}}}}));
    let item = |name: &str| json!({"name": name});
    let mut check = |manager: &str, names: &[&str], expect: &[&str]| {
        let list: Vec<Value> = names.iter().map(|n| item(n)).collect();
        let spec = widget.apply(manager, json!({"m": list})).expect("nobody objects");
        let got: Vec<_> =
            spec["m"].as_array().into_iter().flatten().filter_map(|i| i["name"].as_str()).collect();
        assert_eq!(got, expect);
    };
    check("alice", &["a", "b", "c"], &["a", "b", "c"]);
    check("alice", &["c", "a", "b"], &["c", "a", "b"]);
    check("bob", &["x", "b"], &["c", "a", "x", "b"]);
    check("alice", &["c", "d", "a"], &["c", "d", "a", "x", "b"]);
    check("alice", &["d"], &["d", "x", "b"]);
    check("bob", &["b", "x"], &["d", "b", "x"]);
}

#[test]
fn defaulted_keys_are_part_of_the_identity() {
    let mut widget = Custom::new(json!({"type": "object", "properties": {"ports": {
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
        "items": {"type": "object", "required": ["port"], "properties": {
            "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}, "n": {"type": "string"}}}}}}));
    widget.apply("alice", json!({"ports": [{"port": 80, "n": "x"}]})).expect("nobody objects");
    assert_eq!(
        widget.owned(),
        json!([["alice", "Apply", {"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:n": {}, "f:port": {}}}}}]])
    );
    assert_eq!(
        message(widget.apply("bob", json!({"ports": [{"port": 80, "protocol": "TCP", "n": "y"}]}))),
        "Apply failed with 1 conflict: conflict with \"alice\": .spec.ports[port=80,protocol=\"TCP\"].n"
    );
}

#[test]
fn sets_and_whole_values() {
    let mut widget = Custom::new(json!({"type": "object", "properties": {
        "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "a": {"type": "array", "items": {"type": "string"}},
        "am": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"x": {"type": "string"}}},
        "free": {"type": "object", "additionalProperties": {"type": "string"}}}}));
    let spec = json!({"s": ["x"], "a": ["p"], "am": {"x": "1"}, "free": {"a.b/c": "1"}});
    widget.apply("alice", spec).expect("nobody objects");
    assert_eq!(
        widget.owned(),
        json!([["alice", "Apply", {"f:spec": {"f:a": {}, "f:am": {}, "f:free": {"f:a.b/c": {}}, "f:s": {"v:\"x\"": {}}}}]])
    );
    let spec = widget.apply("bob", json!({"s": ["y"]})).expect("nobody objects");
    assert_eq!(spec["s"], json!(["x", "y"]));
    assert_eq!(
        message(widget.apply("bob", json!({"a": ["q"]}))),
        "Apply failed with 1 conflict: conflict with \"alice\": .spec.a"
    );
    let failed = "failed to create typed patch object (/a; example.com/v1, Kind=Widget): .spec.s: duplicate entries for key [=\"z\"]";
    assert_eq!(message(widget.apply("bob", json!({"s": ["z", "z"]}))), failed);
    let spec = widget.apply("alice", json!({"s": ["y"]})).expect("nobody objects");
    assert_eq!(spec, json!({"s": ["y"]}));
}

#[test]
fn what_loses_its_last_field_stays_empty() {
    let mut widget = Custom::new(json!({"type": "object", "properties": {"b": {"type": "integer"}}}));
    widget.apply("alice", json!({"b": 7})).expect("nobody objects");
    assert_eq!(widget.apply("alice", json!({})), Ok(json!({})));
}

#[test]
fn free_content_is_owned_key_by_key() {
    let mut widget = Custom::new(
        json!({"type": "object", "properties": {"values": {"x-kubernetes-preserve-unknown-fields": true}}}),
    );
    widget
        .apply("alice", json!({"values": {"image": {"tag": "1"}, "list": [{"a": 1}]}}))
        .expect("nobody objects");
    assert_eq!(
        widget.owned(),
        json!([["alice", "Apply", {"f:spec": {"f:values": {"f:image": {".": {}, "f:tag": {}}, "f:list": {}}}}]])
    );
    let spec = widget.apply("alice", json!({"values": {"image": {"tag": "2"}}})).expect("nobody objects");
    assert_eq!(spec, json!({"values": {"image": {"tag": "2"}}}));
    let spec = widget.apply("bob", json!({"values": {"image": {"repo": "r"}}})).expect("nobody objects");
    assert_eq!(spec, json!({"values": {"image": {"tag": "2", "repo": "r"}}}));
}

#[test]
fn removing_an_item_leaves_what_others_put_into_it() {
    let pod = Schemas::builtin().get("", "v1", "PodTemplate").expect("a built-in kind");
    let template = |containers: Value| json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "a"}, "template": {"spec": {"containers": containers}}});
    let write = |manager| Write { kind: "PodTemplate", ..write(manager) };
    let live = apply(
        None,
        &template(json!([{"name": "a", "image": "a"}, {"name": "b", "image": "b"}])),
        pod,
        &write("alice"),
        false,
    );
    let mut live = live.expect("nobody objects").object;
    // What defaulting adds is nobody's and goes with its item.
    live["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
    let live =
        apply(Some(&live), &template(json!([{"name": "b", "command": ["x"]}])), pod, &write("bob"), false);
    let live = live.expect("nobody objects").object;
    let live =
        apply(Some(&live), &template(json!([])), pod, &write("alice"), false).expect("nobody objects").object;
    assert_eq!(live["template"]["spec"]["containers"], json!([{"name": "b", "command": ["x"]}]));
}

#[test]
fn a_subresource_is_another_manager_and_scope_limits_it() {
    let mut widget = Custom::new(json!({"type": "object", "properties": {"size": {"type": "integer"}}}));
    widget.apply("alice", json!({"size": 1})).expect("nobody objects");
    let patch = Custom::object(json!({"size": 5}));
    let status = Write { subresource: "status", scope: Scope::Only(&["status"]), ..Custom::write("alice") };
    let done = apply(widget.live.as_ref(), &patch, &widget.ty, &status, false).expect("spec is not in scope");
    assert_eq!(owned(&done.object), json!([["alice", "Apply", {"f:spec": {"f:size": {}}}]]));
    let main = Write { scope: Scope::Except(&[&["spec"]]), ..Custom::write("bob") };
    let done = apply(widget.live.as_ref(), &patch, &widget.ty, &main, false).expect("spec is not in scope");
    assert_eq!(owned(&done.object), json!([["alice", "Apply", {"f:spec": {"f:size": {}}}]]));
}

#[test]
fn a_field_set_of_an_older_schema_is_read_with_the_new_one() {
    let mut widget = Custom::new(
        json!({"type": "object", "properties": {"am": {"type": "object", "additionalProperties": {"type": "string"}}}}),
    );
    widget.apply("alice", json!({"am": {"x": "1"}})).expect("nobody objects");
    widget.ty = super::widget(
        json!({"type": "object", "properties": {"am": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}}}}),
    );
    assert_eq!(
        message(widget.apply("bob", json!({"am": {"y": "1"}}))),
        "Apply failed with 1 conflict: conflict with \"alice\": .spec.am"
    );
}

#[test]
fn fluxes_takeover_folds_kubectl_into_its_own_entry() {
    let live = applied(None, "kustomize-controller", json!({"a": "1"})).expect("nobody objects").object;
    let mut edited = live;
    edited["data"]["b"] = json!("2");
    let edited = super::update(Some(&edited.clone()), edited, config_map(), &write("kubectl-edit"));
    assert_eq!(fold(&edited, &[], "kustomize-controller"), Ok(None));
    let mut live = applied(Some(&edited), "kubectl", json!({"c": "3"})).expect("nobody objects").object;
    let all = [Operation::Apply, Operation::Update].map(|operation| Takeover {
        manager: "kubectl",
        prefix: true,
        operation,
    });
    live["metadata"]["managedFields"] =
        fold(&live, &all, "kustomize-controller").expect("readable").expect("kubectl is there");
    assert_eq!(owned(&live), json!([["kustomize-controller", "Apply", {"f:data": {"f:a": {}, "f:c": {}}}]]));
    let live =
        applied(Some(&live), "kustomize-controller", json!({"a": "1"})).expect("nobody objects").object;
    assert_eq!(live["data"], json!({"a": "1", "b": "2"}));
}

#[test]
fn owners_of_a_pointer() {
    let live = applied(None, "alice", json!({"a": "1"})).expect("nobody objects").object;
    let live = applied(Some(&live), "bob", json!({"a": "1"})).expect("nobody objects").object;
    let names = |pointer: &str| -> Vec<String> {
        let owners = owners(&live, pointer, config_map()).expect("readable");
        owners.into_iter().map(|o| o.manager).collect()
    };
    assert_eq!(names("/data/a"), ["bob", "alice"]);
    assert_eq!(names("/data"), [""; 0]);
    assert_eq!(names("/data/zz"), [""; 0]);
}
