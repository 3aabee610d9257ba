use super::super::{FieldSet, apply, compare, fields_of, update};
use super::{Custom, widget};
use ferrite_schema::Type;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn schema() -> Type {
    widget(json!({"type": "object", "properties": {
        "a": {"type": "string"},
        "b": {"type": "string"},
        "m": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"],
            "items": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}},
        "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "l": {"type": "array", "items": {"type": "string"}},
        "f": {"type": "object", "additionalProperties": {"type": "string"}},
        "any": {"x-kubernetes-preserve-unknown-fields": true}}}))
}

fn letter() -> impl Strategy<Value = String> {
    "[abc]"
}

/// Any JSON, its mappings and lists not shorter than `least`, without null unless that is 0.
fn any_json(least: usize) -> impl Strategy<Value = Value> {
    let nothing = if least == 0 { Value::Null } else { Value::from("") };
    let leaf = prop_oneof![
        Just(nothing),
        any::<bool>().prop_map(Value::from),
        (0i64..3).prop_map(Value::from),
        letter().prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), least..3).prop_map(Value::Array),
            prop::collection::btree_map(letter(), inner, least..3)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

prop_compose! {
    /// A spec whose mappings and lists hold something: nobody owns an empty list, so the apply that empties one removes
    /// it, and the next adds it again, in Kubernetes too.
    fn spec()(
        b in letter(),
        a in prop::option::of(letter()),
        m in prop::option::of(prop::collection::btree_map(letter(), prop::option::of(letter()), 1..3)),
        s in prop::option::of(prop::collection::btree_set(letter(), 1..3)),
        l in prop::option::of(prop::collection::vec(letter(), 1..3)),
        f in prop::option::of(prop::collection::btree_map(letter(), letter(), 1..3)),
        free in prop::option::of(any_json(1)),
        turned in any::<bool>(),
    ) -> Value {
        let mut out = Map::new();
        out.insert("b".into(), b.into());
        if let Some(a) = a { out.insert("a".into(), a.into()); }
        if let Some(m) = m {
            let mut items: Vec<Value> = m.into_iter().map(|(k, b)| match b {
                Some(b) => json!({"a": k, "b": b}),
                None => json!({"a": k}),
            }).collect();
            if turned { items.reverse(); }
            out.insert("m".into(), items.into());
        }
        if let Some(s) = s { out.insert("s".into(), s.into_iter().collect::<Vec<_>>().into()); }
        if let Some(l) = l { out.insert("l".into(), l.into()); }
        if let Some(f) = f { out.insert("f".into(), f.into_iter().map(|(k, v)| (k, Value::from(v))).collect()); }
        if let Some(free) = free { out.insert("any".into(), free); }
        Value::Object(out)
    }
}

fn force(live: Option<&Value>, manager: &str, spec: &Value, ty: &Type) -> Value {
    let patch = Custom::object(spec.clone());
    apply(live, &patch, ty, &Custom::write(manager), true).expect("force wins").object
}

proptest! {
    /// Applying again changes nothing, whoever wrote in between nothing else.
    #[test]
    fn apply_is_idempotent(first in spec(), other in spec(), again in spec()) {
        let ty = schema();
        let live = force(None, "alice", &first, &ty);
        let live = force(Some(&live), "bob", &other, &ty);
        let once = force(Some(&live), "alice", &again, &ty);
        let twice = force(Some(&once), "alice", &again, &ty);
        prop_assert_eq!(once, twice);
    }

    /// A sole applier gets exactly what it applies, whatever it applied before.
    #[test]
    fn a_sole_applier_decides(first in spec(), second in spec()) {
        let ty = schema();
        let live = force(None, "alice", &first, &ty);
        let live = force(Some(&live), "alice", &second, &ty);
        let fresh = force(None, "alice", &second, &ty);
        let own = |o: &Value| fields_of(&o["spec"], ty.child("spec").expect("declared"));
        prop_assert_eq!(own(&live), own(&fresh));
    }

    #[test]
    fn fields_v1_round_trips(spec in spec()) {
        let set = fields_of(&Custom::object(spec), &schema());
        prop_assert_eq!(FieldSet::from_fields_v1(&set.to_fields_v1()), Ok(set));
    }

    #[test]
    fn nothing_differs_from_itself(spec in spec()) {
        let object = Custom::object(spec);
        prop_assert_eq!(compare(&schema(), &object, &object), Default::default());
    }

    /// Set algebra: what is in one of two sets is in the first, or in the second and not the first.
    #[test]
    fn difference_and_union_agree(a in spec(), b in spec()) {
        let ty = schema();
        let (a, b) = (fields_of(&Custom::object(a), &ty), fields_of(&Custom::object(b), &ty));
        prop_assert_eq!(a.union(&b), a.union(&b.difference(&a)));
        prop_assert!(a.difference(&b).intersection(&b).is_empty());
    }

    /// No input makes any of it panic: neither as live object, nor as patch, nor as managedFields.
    #[test]
    fn never_panics(live in any_json(0), patch in any_json(0), managed in any_json(0)) {
        let ty = schema();
        let mut object = Custom::object(live);
        object["metadata"]["managedFields"] = managed;
        let write = Custom::write("alice");
        let _applied = apply(Some(&object), &Custom::object(patch.clone()), &ty, &write, false);
        let _raw = apply(Some(&patch), &object, &ty, &write, true);
        let mut new = object.clone();
        new["spec"] = patch.clone();
        let _updated = update(Some(&object), new, &ty, &write);
        let _bare = update(Some(&patch), object, &ty, &write);
        let _json_patch = crate::json_patch::apply(&patch, &json!([patch]));
        let _strategic = crate::strategic::apply(&patch, &patch, &ty);
    }
}
