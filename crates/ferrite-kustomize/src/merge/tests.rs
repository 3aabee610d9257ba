use ferrite_yaml::{Dialect, Limits, Node, parse, write};

use crate::schema::Types;

#[track_caller]
fn check(kind: &str, dest: &str, patch: &str, expect: &str) {
    let node = |text: &str| parse(text, &Limits::default()).unwrap().unwrap_or_else(Node::map);
    let types = Types::builtin();
    let (api_version, kind) = kind.rsplit_once(' ').unwrap();
    let shown = match super::merge(Some(node(dest)), Some(&node(patch)), types.of(api_version, kind)) {
        Ok(None) => "deleted".to_owned(),
        Ok(Some(node)) => write(&node.to_json(Dialect::Yaml12).unwrap()),
        Err(error) => error.message,
    };
    assert_eq!(shown, expect);
}

#[test]
fn unknown_kinds_merge_maps_and_replace_lists() {
    check(
        "x/v1 X",
        "a: {b: 1, c: 2}\nl: [1, 2]",
        "a: {b: null, d: 3}\nl: [3]",
        "a:\n  c: 2\n  d: 3\nl:\n- 3\n",
    );
    check("x/v1 X", "a: \"1\"\nb: 1", "a: 2\nb: \"2\"", "a: \"2\"\nb: \"2\"\n");
    check("x/v1 X", "a: {b: 1}", "$patch: delete", "deleted");
    check("x/v1 X", "a: {b: 1}", "a: {$patch: replace, c: 1}", "a:\n  c: 1\n");
    check(
        "x/v1 X",
        "a: {b: 1}",
        "a: {$patch: what}",
        "unknown patch strategy 'what'; use delete, replace or merge",
    );
    check("x/v1 X", "a: {b: 1}", "a: [1]", "wrong node kind: expected MappingNode but got SequenceNode");
}

#[test]
fn spelled_nulls_stay_and_empty_ones_go() {
    check("x/v1 X", "a:\nb: null\nc: ~\nd: {e: }", "z: 1", "b: null\nc: null\nd: {}\nz: 1\n");
}

#[test]
fn containers_merge_by_name_with_the_patch_first() {
    check(
        "v1 Pod",
        "spec: {containers: [{name: a, image: a}, {name: b, image: b}]}",
        "spec: {containers: [{name: c, image: c}, {name: b, tty: true}]}",
        "spec:\n  containers:\n  - image: c\n    name: c\n  - image: b\n    name: b\n    tty: true\n  - image: a\n    name: a\n",
    );
    check(
        "v1 Pod",
        "spec: {containers: [{name: a, image: a}, {name: b, image: b}]}",
        "spec: {containers: [{name: a, $patch: delete}]}",
        "spec:\n  containers:\n  - image: b\n    name: b\n",
    );
}

/// A patch without protocol finds its port only when no element has one: kyaml looks for `TCP` in the patch too.
#[test]
fn ports_merge_by_number_and_protocol() {
    check(
        "v1 Service",
        "spec: {ports: [{port: 80, name: web}]}",
        "spec: {ports: [{port: 80, targetPort: 8080}]}",
        "spec:\n  ports:\n  - name: web\n    port: 80\n    targetPort: 8080\n",
    );
    check(
        "v1 Service",
        "spec: {ports: [{port: 80, protocol: TCP, name: web}]}",
        "spec: {ports: [{port: 80, targetPort: 8080}, {port: 53, protocol: UDP}]}",
        "spec:\n  ports:\n  - port: 53\n    protocol: UDP\n  - name: web\n    port: 80\n    protocol: TCP\n",
    );
}

/// The reference's list still holds the element it replaced, and puts it back.
#[test]
fn replacing_an_element_has_no_effect() {
    check(
        "v1 Pod",
        "spec: {containers: [{name: a, image: a, tty: true}]}",
        "spec: {containers: [{name: a, $patch: replace, image: x}]}",
        "spec:\n  containers:\n  - image: a\n    name: a\n    tty: true\n",
    );
}

#[test]
fn finalizers_are_a_union() {
    check(
        "v1 ConfigMap",
        "metadata: {finalizers: [a, b]}",
        "metadata: {finalizers: [b, c]}",
        "metadata:\n  finalizers:\n  - b\n  - c\n  - a\n",
    );
}
