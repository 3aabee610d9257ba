use super::super::{Write, keep_times, update};
use super::{Custom, NOW, applied, config_map, map, owned, write};
use serde_json::{Value, json};

fn updated(live: &Value, manager: &str, data: Value) -> Value {
    let mut new = live.clone();
    new["data"] = data;
    update(Some(live), new, config_map(), &write(manager))
}

fn created(manager: &str, data: Value) -> Value {
    update(None, map(data), config_map(), &write(manager))
}

#[test]
fn a_create_owns_everything_but_bookkeeping() {
    let live = created("creator", json!({"a": "1"}));
    assert_eq!(
        live["metadata"]["managedFields"],
        json!([{"manager": "creator", "operation": "Update", "apiVersion": "v1", "time": NOW,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {".": {}, "f:a": {}}}}])
    );
}

#[test]
fn an_update_takes_what_it_changes_and_drops_what_it_removes() {
    let live = created("creator", json!({"a": "1"}));
    let live = updated(&live, "patcher", json!({"a": "1", "b": "2"}));
    assert_eq!(
        owned(&live),
        json!([["creator", "Update", {"f:data": {".": {}, "f:a": {}}}], ["patcher", "Update", {"f:data": {"f:b": {}}}]])
    );
    let live = updated(&live, "patcher", json!({"a": "9", "b": "2"}));
    assert_eq!(
        owned(&live),
        json!([["creator", "Update", {"f:data": {}}], ["patcher", "Update", {"f:data": {"f:a": {}, "f:b": {}}}]])
    );
    let live = updated(&live, "creator", json!({"b": "2"}));
    assert_eq!(
        owned(&live),
        json!([["creator", "Update", {"f:data": {}}], ["patcher", "Update", {"f:data": {"f:b": {}}}]])
    );
}

#[test]
fn an_update_takes_from_an_applier_and_both_may_have_one_name() {
    let live = applied(None, "tool", json!({"a": "1"})).expect("nobody objects").object;
    let live = updated(&live, "tool", json!({"a": "1", "b": "1"}));
    assert_eq!(
        owned(&live),
        json!([["tool", "Apply", {"f:data": {"f:a": {}}}], ["tool", "Update", {"f:data": {"f:b": {}}}]])
    );
    let error =
        applied(Some(&live), "tool", json!({"a": "1", "b": "2"})).expect_err("another manager of that name");
    assert_eq!(error.to_string(), "Apply failed with 1 conflict: conflict with \"tool\" using v1: .data.b");
    let live = updated(&live, "tool", json!({"a": "9", "b": "1"}));
    assert_eq!(owned(&live), json!([["tool", "Update", {"f:data": {"f:a": {}, "f:b": {}}}]]));
}

#[test]
fn managed_fields_can_be_set_and_cleared_by_a_write() {
    let live = created("creator", json!({"a": "1"}));
    let put = |managed: Value| {
        let mut new = live.clone();
        new["metadata"]["managedFields"] = managed;
        owned(&update(Some(&live), new, config_map(), &write("e")))
    };
    let kept = json!([["creator", "Update", {"f:data": {".": {}, "f:a": {}}}]]);
    assert_eq!(put(json!([{}])), json!([]));
    assert_eq!(put(json!([])), json!([]));
    assert_eq!(put(json!(null)), kept);
    assert_eq!(
        put(
            json!([{"manager": "x", "operation": "Nope", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}])
        ),
        kept
    );
    let given = json!([{"manager": "x", "operation": "Apply", "apiVersion": "v1", "time": "2001-02-03T04:05:06Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}}]);
    assert_eq!(put(given.clone()), json!([["x", "Apply", {"f:data": {"f:a": {}}}]]));
    let mut new = live.clone();
    new["metadata"]["managedFields"] = given;
    let status = Write { subresource: "status", ..write("e") };
    assert_eq!(owned(&update(Some(&live), new, config_map(), &status)), kept);
}

#[test]
fn cleared_objects_stay_untracked() {
    assert_eq!(owned(&updated(&map(json!({"a": "1"})), "e", json!({"a": "2"}))), json!([]));
}

#[test]
fn the_oldest_updaters_are_folded() {
    let mut live = created("m00", json!({"k0": "v"}));
    for n in 1..13 {
        let manager = format!("m{n:02}");
        let now = format!("2026-01-02T03:05:{n:02}Z");
        let mut new = live.clone();
        new["data"][format!("k{n}")] = json!("v");
        live = update(Some(&live), new, config_map(), &Write { now: &now, ..write(&manager) });
    }
    let entries = live["metadata"]["managedFields"].as_array().expect("entries");
    assert_eq!(entries.len(), 10);
    let ancient = entries.iter().find(|e| e["manager"] == "ancient-changes").expect("the old are folded");
    assert_eq!(
        ancient["fieldsV1"],
        json!({"f:data": {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}, "f:k3": {}}})
    );
    assert_eq!(ancient["time"], "2026-01-02T03:05:03Z");
}

#[test]
fn doubled_items_of_a_list_are_owned_together() {
    let mut widget = Custom::new(json!({"type": "object", "properties": {"m": {
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "properties": {"name": {"type": "string"}, "v": {"type": "string"}}}}}}));
    widget.update("e", json!({"m": [{"name": "a", "v": "1"}, {"name": "a", "v": "2"}]}));
    assert_eq!(
        widget.owned(),
        json!([["e", "Update", {"f:spec": {".": {}, "f:m": {".": {}, "k:{\"name\":\"a\"}": {}}}}]])
    );
    widget.update("e", json!({"m": [{"name": "a", "v": "1"}]}));
    let set = json!({"f:spec": {".": {}, "f:m": {".": {}, "k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:v": {}}}}});
    assert_eq!(widget.owned(), json!([["e", "Update", set]]));
}

#[test]
fn a_write_without_effect_keeps_the_times() {
    let live = created("creator", json!({"a": "1"}));
    let mut after = live.clone();
    after["metadata"]["managedFields"][0]["time"] = json!("2027-01-01T00:00:00Z");
    let mut changed = after.clone();
    keep_times(&live, &mut after);
    assert_eq!(after, live);
    changed["data"]["a"] = json!("2");
    let before = changed.clone();
    keep_times(&live, &mut changed);
    assert_eq!(changed, before);
}
