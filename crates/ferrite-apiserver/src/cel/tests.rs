#![expect(
    clippy::needless_pass_by_value,
    reason = "cases are literals, which read better without an ampersand each"
)]

use ferrite_schema::Type;
use serde_json::{Value, json};

use super::rules::Rules;
use super::{check, eval, syntax};
use crate::status::Cause;

/// The value of an expression without variables, as text.
fn value(expression: &str) -> String {
    let node = match syntax::parse(expression) {
        Ok(node) => node,
        Err(error) => return error.to_string(),
    };
    let mut meter = eval::Meter(100_000);
    match eval::eval(&node, &eval::Scope::empty(), &mut meter) {
        Ok(value) => format!("{value:?}"),
        Err(failure) => format!("{failure:?}"),
    }
}

#[track_caller]
fn holds(expression: &str) {
    assert_eq!(value(expression), "Bool(true)", "{expression}");
}

#[test]
fn operators_and_precedence() {
    for expression in [
        "1 + 2 * 3 == 7",
        "(1 + 2) * 3 == 9",
        "7 / 2 == 3 && 7 % 2 == 1 && -7 / 2 == -3",
        "1.5 + 1.5 == 3.0 && 1 == 1.0 && 1u == 1",
        "2 < 2.5 && 'a' < 'b' && !(true && false)",
        "'x' in ['x', 'y'] && 'k' in {'k': 1} && !(3 in [1, 2])",
        "true ? 1 == 1 : 1 / 0 == 0",
        "false && 1 / 0 == 0 || true",
        "1 / 0 == 0 || true",
        "!!true && --1 == 1",
        "[1, 2] + [3] == [1, 2, 3] && {'a': [1]} == {'a': [1]}",
        "'a' + \"b\" == 'ab' && r'\\d' == '\\\\d' && '\\u00e9' == 'é' && b'ab' == bytes('ab')",
        "'''a\nb'''.size() == 3 && size([1, 2]) == 2",
        "0x10 == 16 && 1e3 == 1000.0 && -9223372036854775808 < 0",
        "type(1) == int && type('a') == string",
        "[1, 2][1] == 2 && {'a': 1}['a'] == 1 && {'a': 1}.a == 1",
    ] {
        holds(expression);
    }
}

#[test]
fn macros_visit_lists_and_keys_of_mappings() {
    for expression in [
        "[1, 2].all(x, x > 0) && ![1, 2].all(x, x > 1)",
        "[1, 2].exists(x, x == 2) && [1, 2].exists_one(x, x == 2) && ![2, 2].exists_one(x, x == 2)",
        "[1, 2, 3].filter(x, x > 1) == [2, 3] && [1, 2].map(x, x * 2) == [2, 4]",
        "[1, 2, 3].map(x, x > 1, x * 2) == [4, 6]",
        "{'a': 1}.all(k, k == 'a') && {'a': 1}.exists(k, v, v == 1)",
        "[1, 0].exists(x, 1 / x == 1) && ![1, 0].all(x, x == 0)",
        "[[1], [2]].all(x, x.all(y, y < 3))",
        "has({'a': 1}.a) && !has({'a': 1}.b)",
    ] {
        holds(expression);
    }
}

#[test]
fn functions_of_text_and_lists() {
    for expression in [
        "'abc'.contains('b') && 'abc'.startsWith('a') && 'abc'.endsWith('c') && 'abc'.matches('^a.c$')",
        "'a,b'.split(',') == ['a', 'b'] && ['a', 'b'].join('-') == 'a-b' && 'a,b,c'.split(',', 2) == ['a', 'b,c']",
        "'Hé'.lowerAscii() == 'hé' && ' x '.trim() == 'x' && 'aba'.replace('a', 'c', 1) == 'cba'",
        "'tacocat'.indexOf('c') == 2 && 'tacocat'.lastIndexOf('c') == 4 && 'abc'.substring(1, 2) == 'b' && 'abc'.charAt(1) == 'b'",
        "'123 abc 456'.find('[0-9]+') == '123' && '123 abc 456'.findAll('[0-9]+') == ['123', '456']",
        "[1, 2].isSorted() && [1, 2].sum() == 3 && [1, 2].max() == 2 && ['a', 'b'].indexOf('b') == 1",
        "'%s is %d and %.1f'.format(['a', 1, 2.5]) == 'a is 1 and 2.5'",
        "int('5') == 5 && string(5) == '5' && double('1.5') == 1.5 && int(2.9) == 2",
        "sets.contains([1, 2], [1]) && sets.equivalent([1, 2], [2, 1])",
        "optional.of(1).orValue(2) == 1 && optional.none().orValue(2) == 2 && {'a': 1}[?'b'].orValue(0) == 0",
        "{'a': {'b': 1}}.?a.?b.orValue(0) == 1 && !{'a': 1}.?z.hasValue() && optional.of(1).optMap(x, x + 1).value() == 2",
    ] {
        holds(expression);
    }
}

#[test]
fn lists_and_mappings_made_anew() {
    for expression in [
        "[3, 1].sort() == [1, 3] && ['bb', 'a'].sortBy(x, x.size()) == ['a', 'bb'] && [1, 1].distinct() == [1]",
        "[1, 2, 3].slice(0, 2) == [1, 2] && [[1], [2]].flatten() == [1, 2] && lists.range(3) == [0, 1, 2]",
        "[1, 2].first().value() == 1 && [1, 2].last().value() == 2 && ![].first().hasValue()",
        "[1, 2].transformList(i, v, v + i) == [1, 3] && {'a': 1}.transformMap(k, v, v + 1) == {'a': 2}",
        "{'a': 1, 'a': 2} == {'a': 2}",
        "'%s'.format([['a', 'b']]) == '[\"a\", \"b\"]' && '%s'.format([{'b': 1, 'a': 2}]) == '{\"a\":2, \"b\":1}'",
        "string(1e100) == '1e+100' && string(1.5) == '1.5'",
        "timestamp('2001-02-03T04:05:06Z').getHours('+02:00') == 6",
        "timestamp('2001-02-03T04:05:06Z').getHours('America/New_York') == 23",
    ] {
        holds(expression);
    }
}

#[test]
fn kubernetes_functions() {
    for expression in [
        "quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('100m').add(quantity('900m')).compareTo(quantity('1')) == 0",
        "quantity('1500m').asApproximateFloat() == 1.5 && quantity('2k').asInteger() == 2000 && !isQuantity('x') && quantity('1e3').isInteger()",
        "isURL('https://a:8/b?c=d') && url('https://a:8/b?c=d').getPort() == '8' && url('https://a:8/b?c=d').getQuery() == {'c': ['d']} && !isURL('a b')",
        "url('https://[::1]:80/x').getHostname() == '::1' && url('/p').getEscapedPath() == '/p'",
        "duration('1h30m') > duration('89m') && duration('90s').getMinutes() == 1 && duration('1.5s').getMilliseconds() == 1500",
        "timestamp('2001-02-03T04:05:06Z') + duration('1s') == timestamp('2001-02-03T04:05:07Z') && timestamp('2001-02-03T04:05:06Z').getMonth() == 1",
        "isIP('::1') && ip('10.0.0.1').family() == 4 && ip('127.0.0.1').isLoopback() && !isIP('x')",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsCIDR('0.0.0.0/0') && cidr('10.1.0.0/8').masked().ip() == ip('10.0.0.0')",
    ] {
        holds(expression);
    }
}

#[test]
fn failures_have_words() {
    assert_eq!(value("{'a': 1}.b"), "Error(\"no such key: b\")");
    assert_eq!(value("[1][5]"), "Error(\"index out of bounds: 5\")");
    assert_eq!(value("1 / 0"), "Error(\"division by zero\")");
    assert_eq!(value("9223372036854775807 + 1"), "Error(\"integer overflow\")");
    assert_eq!(value("'a' + 1"), "NoOverload");
    assert_eq!(value("1 +"), "Syntax error: mismatched input '<EOF>'");
    assert_eq!(value("'a"), "Syntax error: unterminated string");
}

#[test]
fn hostile_texts_end_in_errors() {
    for text in [
        "(".repeat(5_000),
        "!".repeat(5_001) + "true",
        "1+".repeat(20_000) + "1",
        "[".repeat(300),
        "a.".repeat(9_000),
        "x?".repeat(900),
    ] {
        assert!(
            syntax::parse(&text).is_err() || text.starts_with('!'),
            "{}",
            &text.chars().take(10).collect::<String>()
        );
    }
    holds(&format!("{}1 == 111", "1+".repeat(110)));
    holds(&format!("{}true{}", "!(!(".repeat(18), "))".repeat(18)));
    let nested = "[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, [0,1,2,3,4,5,6,7,8,9].all(c, [0,1,2,3,4,5,6,7,8,9].all(d, [0,1,2,3,4,5,6,7,8,9].all(e, true)))))";
    assert_eq!(value(nested), "Budget");
}

fn schema(spec: Value) -> Value {
    json!({"type": "object", "properties": {"spec": spec}})
}

fn sized(rule: Value) -> Value {
    schema(
        json!({"type": "object", "properties": {"size": {"type": "integer"}, "d": {"type": "string", "format": "duration"},
        "name": {"type": "string"}, "a-b": {"type": "string"}, "l": {"type": "array", "items": {"type": "string"}}}, "x-kubernetes-validations": [rule]}),
    )
}

#[track_caller]
fn refused(rule: Value, field: &str, why: &str) {
    let mut out = Vec::new();
    check(&sized(rule), "s", &mut out);
    let [cause] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!(cause.field, format!("s.properties[spec].x-kubernetes-validations[0].{field}"));
    assert!(cause.message.ends_with(why), "{}", cause.message);
}

#[test]
fn definitions_are_checked_against_their_schema() {
    for rule in [
        "self.size > 1",
        "self.size > 1.5",
        "has(self.name) && self.name.startsWith('a')",
        "self.a__dash__b == 'x'",
        "self.l.all(x, x.size() < 5)",
        "self.d > duration('1m')",
        "!has(oldSelf.name) || self.name == oldSelf.name",
        "self.size == 1 ? self.name == 'x' : true",
        "self.?name.orValue('x') == 'x'",
    ] {
        let mut out: Vec<Cause> = Vec::new();
        check(&sized(json!({"rule": rule})), "s", &mut out);
        assert_eq!(out, [], "{rule}");
    }
    refused(
        json!({"rule": "self.nope > 1"}),
        "rule",
        "compilation failed: ERROR: <input>:1:5: undefined field 'nope'\n | self.nope > 1\n | ....^",
    );
    refused(
        json!({"rule": "self.size > 'x'"}),
        "rule",
        "found no matching overload for '_>_' applied to '(int, string)'\n | self.size > 'x'\n | ..........^",
    );
    refused(
        json!({"rule": "self.size +"}),
        "rule",
        "Syntax error: mismatched input '<EOF>'\n | self.size +\n | ...........^",
    );
    refused(
        json!({"rule": "self.size.matches('x')"}),
        "rule",
        "found no matching overload for 'matches' applied to 'int.(string)'\n | self.size.matches('x')\n | .........^",
    );
    for (rule, why) in [
        ("self.name.matches('[')", "<input>:1:19: invalid matches argument"),
        ("duration('x') > self.d", "<input>:1:10: invalid duration argument"),
        ("self.name == null", "no matching overload for '_==_' applied to '(string, null)'"),
        ("[1, 'a'].size() == 2", "<input>:1:5: expected type 'int' but found 'string'"),
        ("9223372036854775808 > 0", "<input>:1:1: invalid int literal"),
        ("'abc'.reverse() == ''", "no matching overload for 'reverse' applied to 'string.()'"),
        ("'name' in self", "no matching overload for '@in'"),
    ] {
        let mut out = Vec::new();
        check(&sized(json!({"rule": rule})), "s", &mut out);
        assert!(out.iter().any(|c| c.message.contains(why)), "{rule}: {out:?}");
    }
    refused(
        json!({"rule": "foo(self)"}),
        "rule",
        "undeclared reference to 'foo' (in container '')\n | foo(self)\n | ^",
    );
    refused(
        json!({"rule": "self.size"}),
        "rule",
        "Invalid value: {\"Rule\":\"self.size\",\"Message\":\"\",\"MessageExpression\":\"\",\"Reason\":null,\"FieldPath\":\"\",\"OptionalOldSelf\":null}: cel expression must evaluate to a bool",
    );
    refused(
        json!({"rule": "self.size > 1", "messageExpression": "self.size"}),
        "messageExpression",
        "Invalid value: {\"Rule\":\"self.size \\u003e 1\",\"Message\":\"\",\"MessageExpression\":\"self.size\",\"Reason\":null,\"FieldPath\":\"\",\"OptionalOldSelf\":null}: messageExpression must evaluate to a string",
    );
    refused(
        json!({"rule": "true", "optionalOldSelf": true}),
        "optionalOldSelf",
        "may not be set if oldSelf is not used in rule",
    );
}

#[test]
fn old_values_of_plain_lists_cannot_be_told() {
    let mut out = Vec::new();
    let items = json!({"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]});
    check(&schema(json!({"type": "array", "items": items})), "s", &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(
        out[0].message,
        "Invalid value: \"self == oldSelf\": oldSelf cannot be used on the uncorrelatable portion of the schema within s.properties[spec]"
    );
}

#[track_caller]
fn causes(rule: Value, live: Option<Value>, spec: Value, expect: &[&str]) {
    let ty = Type::from_crd_schema(&sized(rule));
    let mut out = Vec::new();
    let live = live.map(|spec| json!({"spec": spec}));
    Rules::of(&ty).check(&ty, live.as_ref(), &json!({"spec": spec}), &mut out);
    let found: Vec<String> = out.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    assert_eq!(found, expect);
}

#[test]
fn broken_rules_become_causes() {
    causes(
        json!({"rule": "self.size > 1"}),
        None,
        json!({"size": 1}),
        &["spec: Invalid value: failed rule: self.size > 1"],
    );
    causes(
        json!({"rule": "self.size > 1", "message": "too small"}),
        None,
        json!({"size": 1}),
        &["spec: Invalid value: too small"],
    );
    causes(
        json!({"rule": "self.size > 1", "messageExpression": "'at least ' + string(self.size + 1)"}),
        None,
        json!({"size": 1}),
        &["spec: Invalid value: at least 2"],
    );
    causes(
        json!({"rule": "self.size > 1", "fieldPath": ".size", "reason": "FieldValueForbidden"}),
        None,
        json!({"size": 1}),
        &["spec.size: Forbidden: failed rule: self.size > 1"],
    );
    causes(
        json!({"rule": "self.size > 1", "message": "m"}),
        None,
        json!({}),
        &["spec: Invalid value: \"object\": no such key: size evaluating rule: m"],
    );
    causes(json!({"rule": "self.d > duration('1m')"}), None, json!({"d": "90s"}), &[]);
    causes(
        json!({"rule": "has(self.name)"}),
        None,
        json!({"name": null}),
        &["spec: Invalid value: failed rule: has(self.name)"],
    );
}

#[test]
fn rules_about_changes_need_one() {
    let rule = json!({"rule": "self.size >= oldSelf.size", "message": "only grows"});
    causes(rule.clone(), None, json!({"size": 1}), &[]);
    causes(rule.clone(), Some(json!({"size": 1})), json!({"size": 2}), &[]);
    causes(rule, Some(json!({"size": 2})), json!({"size": 1}), &["spec: Invalid value: only grows"]);
    let optional = json!({"rule": "oldSelf.hasValue() || self.size == 1", "optionalOldSelf": true});
    causes(
        optional.clone(),
        None,
        json!({"size": 2}),
        &["spec: Invalid value: failed rule: oldSelf.hasValue() || self.size == 1"],
    );
    causes(optional, Some(json!({"size": 1})), json!({"size": 2}), &[]);
}

#[test]
fn what_was_wrong_before_and_did_not_change_is_left_alone() {
    let rule = json!({"rule": "self.size > 1"});
    causes(rule.clone(), Some(json!({"size": 1})), json!({"size": 1}), &[]);
    causes(
        rule,
        Some(json!({"size": 1})),
        json!({"size": 1, "name": "x"}),
        &["spec: Invalid value: failed rule: self.size > 1"],
    );
}
