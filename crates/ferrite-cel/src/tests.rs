use serde_json::json;

use super::*;

#[track_caller]
fn check(expression: &str, expect: bool) {
    let object = json!({
        "metadata": {"name": "web", "generation": 2, "labels": {"team": "a"}},
        "spec": {"replicas": 2, "hosts": ["a.example", "b.example"], "ratio": 0.5},
        "status": {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
    });
    let compiled = Expression::compile(expression, &["self", "dep"], Output::Bool).unwrap();
    assert_eq!(
        compiled.eval_bool(&[("self", &object), ("dep", &json!({"spec": {"replicas": 2.0}}))]),
        Ok(expect)
    );
}

#[test]
fn conditions_of_objects() {
    check("self.metadata.generation == self.status.observedGeneration", true);
    check("self.status.conditions.filter(c, c.type == 'Ready').all(c, c.status == 'True')", true);
    check("self.status.conditions.exists(c, c.type == 'Ready' && c.status == 'False')", false);
    check("has(self.status.failed)", false);
    check("!has(self.status.failed) && 'team' in self.metadata.labels", true);
    check("self.spec.replicas == dep.spec.replicas", true);
    check("self.spec.ratio < 1 && self.spec.replicas > 1.5", true);
    check("self.metadata.?annotations.orValue({}) == {}", true);
    check("self.?status.?nothing.hasValue()", false);
    check("self.?status.observedGeneration.orValue(0) == 2 && self.?none.deeper.orValue(7) == 7", true);
    check("self.?metadata.labels.hasValue() && self.?metadata.name.value() == 'web'", true);
    check("[self].all(o, o.?metadata.?generation.orValue(0) == 2)", true);
    check("size(self.spec.hosts) == 2 ? true : false", true);
}

#[test]
fn extension_functions() {
    check("'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c']", true);
    check("['a', 'b'].join('-') == 'a-b' && ['a', 'b'].join() == 'ab'", true);
    check("'Grüße'.upperAscii() == 'GRüßE' && 'ABC'.lowerAscii() == 'abc'", true);
    check(
        "'hello hello'.replace('he', 'we') == 'wello wello' && 'hello hello'.replace('he', 'we', 1) == 'wello hello'",
        true,
    );
    check("'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco'", true);
    check(
        "'hello mellow'.indexOf('ello') == 1 && 'hello mellow'.indexOf('ello', 2) == 7 && 'x'.indexOf('y') == -1",
        true,
    );
    check("'hello mellow'.lastIndexOf('ello') == 7 && 'hello mellow'.lastIndexOf('ello', 6) == 1", true);
    check("'hello'.charAt(4) == 'o' && 'hello'.charAt(5) == ''", true);
    check("' x '.trim() == 'x' && 'abc'.reverse() == 'cba'", true);
    check(
        "sets.contains([1, 2, 3], [2, 3]) && !sets.contains([1], [2]) && sets.intersects([1, 2], [2])",
        true,
    );
    check("sets.equivalent([1, 2], [2, 1, 1])", true);
    check("base64.encode(b'hello') == 'aGVsbG8=' && base64.decode('aGVsbG8') == b'hello'", true);
    check("self.metadata.name.matches('^w.b$')", true);
}

#[test]
fn results_that_are_not_certain_are_refused() {
    let error = |text: &str, output| Expression::compile(text, &["self"], output).unwrap_err().to_string();
    assert_eq!(
        error("self.ready", Output::Bool),
        "CEL expression output type mismatch: expected bool, got dyn"
    );
    assert_eq!(
        error("'text'", Output::Bool),
        "CEL expression output type mismatch: expected bool, got string"
    );
    assert_eq!(
        error("1 + 2", Output::String),
        "CEL expression output type mismatch: expected string, got dyn"
    );
    assert!(Expression::compile("'a' + self.name", &["self"], Output::String).is_ok());
}

#[test]
fn mistakes_are_named() {
    let error = |text: &str| Expression::compile(text, &["self"], Output::Bool).unwrap_err().to_string();
    assert!(error("self.a ==").starts_with("failed to parse the CEL expression 'self.a ==': "));
    assert_eq!(
        error("other.a == 1"),
        "failed to parse the CEL expression 'other.a == 1': undeclared reference to 'other'"
    );
    assert!(error("[1].exists(x, y == 1)").ends_with("undeclared reference to 'y'"));
    assert!(error(&"(".repeat(100_000)).contains("at most"));
    let missing = Expression::compile("self.a.b == 1", &["self"], Output::Bool).unwrap();
    assert_eq!(
        missing.eval_bool(&[("self", &json!({"a": {}}))]).unwrap_err().to_string(),
        "failed to evaluate the CEL expression 'self.a.b == 1': no such key: b"
    );
}

#[test]
fn nesting_is_bounded_however_it_is_written() {
    let repeat = |text: &str, count| text.repeat(count);
    for text in [
        format!("{}true{}", repeat("(", 5000), repeat(")", 5000)),
        format!("self{}", repeat(".a", 8000)),
        format!("self{}", repeat("[0]", 5000)),
        format!("{}1", repeat("1+", 8000)),
        format!("{}1", repeat("true?1:", 2000)),
    ] {
        let start: String = text.chars().take(20).collect();
        assert!(Expression::compile(&text, &["self"], Output::Any).is_err(), "{start}");
    }
    let even = format!("{}true", repeat("!", 16_000));
    assert_eq!(
        Expression::compile(&even, &[], Output::Any).unwrap().eval_bool(&[]),
        Ok(true),
        "pairs cancel out"
    );
    let usual = format!("self{}", repeat(".a", 100));
    assert!(Expression::compile(&usual, &["self"], Output::Any).is_ok());
}
