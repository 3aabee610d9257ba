//! Whether a custom object is what its schema says.

mod formats;
mod lists;

use crate::problem::{Problem, go_float};
use crate::rules::Rules;
use crate::types::{Kind, Type};
use serde_json::{Map, Number, Value};

/// Everything that is wrong with `value`. Rules in CEL are the caller's.
///
/// `at` is the path of `value` in its object: empty for an object, `status` for its status alone, which Kubernetes
/// checks by itself at the status endpoint, with messages that start below it.
#[must_use]
pub fn validate(ty: &Type, value: &Value, at: &str) -> Vec<Problem> {
    let mut checker = Checker { at, out: Vec::new(), matched: 0 };
    checker.check(ty, value, &mut String::new());
    lists::check(ty, value, &mut at.to_owned(), &mut checker.out);
    checker.out
}

struct Checker<'a> {
    at: &'a str,
    out: Vec<Problem>,
    /// How many checks were made: of several alternatives that fail, the one with most checks is explained.
    matched: u32,
}

impl Checker<'_> {
    fn field(&self, path: &str) -> String {
        let path = path.strip_prefix('.').unwrap_or(path);
        match (self.at.is_empty(), path.is_empty()) {
            (true, _) => path.to_owned(),
            (false, true) => self.at.to_owned(),
            (false, false) => format!("{}.{path}", self.at),
        }
    }

    fn invalid(&mut self, path: &str, value: &Value, detail: &str) {
        let field = self.field(path);
        self.out.push(Problem::invalid(field, value, &format!("{path} in body {detail}")));
    }

    /// A problem of a value as a whole, which Kubernetes reports without the path of the value.
    fn composite(&mut self, path: &str, detail: &str) {
        let field = if self.at.is_empty() { "<nil>" } else { self.at };
        self.out.push(Problem::invalid(field, &Value::from(""), &format!("{path:?} {detail}")));
    }

    fn check(&mut self, ty: &Type, value: &Value, path: &mut String) {
        if ty.builtin {
            self.builtin(ty, value, path);
            return;
        }
        self.matched += 2;
        if let Some((expected, found)) = wrong_type(ty, value) {
            let field = self.field(path);
            let detail = format!("{path} in body must be of type {expected}: {found:?}");
            self.out.push(Problem::wrong_type(field, found, &detail));
        }
        let rules = ty.rules.as_deref();
        if !value.is_null() {
            if let Some(rules) = rules {
                self.alternatives(rules, value, path);
            }
            match value {
                Value::String(text) => self.text(ty, rules, text, path),
                Value::Number(number) => self.number(ty, rules, number, path),
                Value::Array(items) => self.list(ty, rules, items, path),
                Value::Object(object) => self.mapping(ty, rules, object, path),
                Value::Null | Value::Bool(_) => {}
            }
        }
        if let Some(rules) = rules
            && !rules.enumeration.is_empty()
            && !rules.enumeration.iter().any(|e| equal(e, value))
        {
            let allowed: Vec<String> = rules
                .enumeration
                .iter()
                .map(|e| e.as_str().map_or_else(|| e.to_string(), str::to_owned))
                .collect();
            let field = self.field(path);
            self.out.push(Problem::unsupported(field, value, &allowed));
        }
    }

    /// Kubernetes' own metadata is checked elsewhere; a schema may only restrict names in it.
    fn builtin(&mut self, ty: &Type, value: &Value, path: &mut String) {
        let Value::Object(object) = value else { return };
        for field in ty.fields.iter().filter(|f| !f.ty.builtin) {
            if let Some(value) = object.get(&*field.name) {
                let length = path.len();
                push(path, &field.name);
                self.check(&field.ty, value, path);
                path.truncate(length);
            }
        }
    }

    fn inner(&self, ty: &Type, value: &Value, path: &mut String) -> Self {
        let mut inner = Self { at: self.at, out: Vec::new(), matched: 0 };
        inner.check(ty, value, path);
        inner
    }

    fn alternatives(&mut self, rules: &Rules, value: &Value, path: &mut String) {
        if !rules.any_of.is_empty() {
            let mut best: Option<Self> = None;
            let mut fits = false;
            for ty in &rules.any_of {
                let inner = self.inner(ty, value, path);
                if inner.out.is_empty() {
                    fits = true;
                    break;
                }
                best = better(best, inner);
            }
            if !fits {
                self.composite(path, "must validate at least one schema (anyOf)");
                self.out.extend(best.into_iter().flat_map(|b| b.out));
            }
        }
        if !rules.one_of.is_empty() {
            let mut best: Option<Self> = None;
            let mut fitting = 0;
            for ty in &rules.one_of {
                let inner = self.inner(ty, value, path);
                if inner.out.is_empty() {
                    fitting += 1;
                    best = None;
                } else if fitting == 0 {
                    best = better(best, inner);
                }
            }
            if fitting != 1 {
                let found = match fitting {
                    0 => "Found none valid".to_owned(),
                    n => format!("Found {n} valid alternatives"),
                };
                self.composite(path, &format!("must validate one and only one schema (oneOf). {found}"));
                self.out.extend(best.into_iter().flat_map(|b| b.out));
            }
        }
        if !rules.all_of.is_empty() {
            let mut fitting = 0;
            let mut problems = Vec::new();
            for ty in &rules.all_of {
                let inner = self.inner(ty, value, path);
                fitting += usize::from(inner.out.is_empty());
                problems.extend(inner.out);
            }
            if fitting != rules.all_of.len() {
                let none = if fitting == 0 { ". None validated" } else { "" };
                self.composite(path, &format!("must validate all the schemas (allOf){none}"));
            }
            self.out.extend(problems);
        }
        if let Some(not) = &rules.not
            && self.inner(not, value, path).out.is_empty()
        {
            self.composite(path, "must not validate the schema (not)");
        }
    }

    fn text(&mut self, ty: &Type, rules: Option<&Rules>, text: &str, path: &str) {
        self.matched += 1;
        if let Some(rules) = rules {
            let length = text.chars().count() as u64;
            let value = || Value::from(text);
            if let Some(most) = rules.length.1.filter(|most| length > *most) {
                let field = self.field(path);
                self.out.push(Problem::too_long(field, most));
            } else if let Some(least) = rules.length.0.filter(|least| length < *least) {
                self.invalid(path, &value(), &format!("should be at least {least} chars long"));
            } else if let Some((pattern, Some(regex))) = &rules.pattern
                && !regex.is_match(text)
            {
                self.invalid(path, &value(), &format!("should match '{pattern}'"));
            }
        }
        if let Some(format) = ty.format.as_deref()
            && !formats::fits(format, text)
        {
            let field = self.field(path);
            let detail = format!("{path} in body must be of type {format}: {text:?}");
            self.out.push(Problem::wrong_type(field, text, &detail));
        }
    }

    fn number(&mut self, ty: &Type, rules: Option<&Rules>, number: &Number, path: &str) {
        self.matched += 1;
        let value = number.as_f64().unwrap_or(0.0);
        let shown = Value::Number(number.clone());
        if ty.kind == Kind::Integer
            && let Some(format @ ("int32" | "int64")) = ty.format.as_deref()
        {
            let fits = match format {
                "int32" => (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value),
                _ => number.is_i64() || number.is_f64() && value.abs() < 9.3e18,
            };
            if !fits {
                let detail = format!("Checked value must be of type integer with format {format} in {path}");
                let field = if self.at.is_empty() { "<nil>" } else { self.at };
                self.out.push(Problem::invalid(field, &Value::from(""), &detail));
            }
        }
        let Some(rules) = rules else { return };
        if let Some(factor) = rules.multiple_of.as_ref().and_then(Number::as_f64)
            && factor > 0.0
            && (value / factor).fract() != 0.0
        {
            self.invalid(path, &shown, &format!("should be a multiple of {}", go_float(factor)));
        }
        if let Some((limit, exclusive)) = &rules.maximum
            && let Some(limit) = limit.as_f64()
            && (value > limit || *exclusive && value >= limit)
        {
            let or_equal = if *exclusive { "" } else { "or equal to " };
            self.invalid(path, &shown, &format!("should be less than {or_equal}{}", go_float(limit)));
        }
        if let Some((limit, exclusive)) = &rules.minimum
            && let Some(limit) = limit.as_f64()
            && (value < limit || *exclusive && value <= limit)
        {
            let or_equal = if *exclusive { "" } else { "or equal to " };
            self.invalid(path, &shown, &format!("should be greater than {or_equal}{}", go_float(limit)));
        }
    }

    fn list(&mut self, ty: &Type, rules: Option<&Rules>, items: &[Value], path: &mut String) {
        self.matched += 2;
        if ty.items.is_some() {
            let length = path.len();
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                self.check(ty.item(), item, path);
                path.truncate(length);
            }
        }
        let Some(rules) = rules else { return };
        if let Some(least) = rules.items.0.filter(|least| (items.len() as u64) < *least) {
            self.invalid(path, &Value::from(items.len()), &format!("should have at least {least} items"));
        }
        if let Some(most) = rules.items.1.filter(|most| items.len() as u64 > *most) {
            let field = self.field(path);
            self.out.push(Problem::too_many(field, items.len(), most));
        }
    }

    fn mapping(&mut self, ty: &Type, rules: Option<&Rules>, object: &Map<String, Value>, path: &mut String) {
        self.matched += 1;
        if let Some(rules) = rules {
            let count = object.len() as u64;
            if let Some(least) = rules.properties.0.filter(|least| count < *least) {
                self.invalid(path, &Value::from(count), &format!("should have at least {least} properties"));
                return;
            }
            if let Some(most) = rules.properties.1.filter(|most| count > *most) {
                let field = self.field(path);
                self.out.push(Problem::too_many(field, object.len(), most));
                return;
            }
        }
        let length = path.len();
        for (name, value) in object {
            if let Some(field) = ty.field(name) {
                push(path, name);
                self.check(&field.ty, value, path);
            } else if let Some(values) = &ty.values {
                path.push('.');
                path.push_str(name);
                self.check(values, value, path);
            }
            path.truncate(length);
        }
        for name in ty.required.iter().filter(|name| !object.contains_key(&***name)) {
            let field = self.field(&format!("{path}.{name}"));
            self.out.push(Problem::required(field, ""));
        }
        if ty.embedded {
            self.embedded(object, path);
        }
    }

    fn embedded(&mut self, object: &Map<String, Value>, path: &str) {
        for key in ["apiVersion", "kind"] {
            let text = object.get(key).and_then(Value::as_str).unwrap_or_default();
            let field = self.field(&format!("{path}.{key}"));
            if text.is_empty() {
                self.out.push(Problem::required(field, ""));
            } else if key == "apiVersion" && text.matches('/').count() > 1 {
                let detail = format!("unexpected GroupVersion string: {text}");
                self.out.push(Problem::invalid(field, &Value::from(text), &detail));
            }
        }
    }
}

fn better<'a>(best: Option<Checker<'a>>, next: Checker<'a>) -> Option<Checker<'a>> {
    match best {
        Some(best) if best.matched >= next.matched => Some(best),
        _ => Some(next),
    }
}

fn push(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

/// The type that was expected and the one that was found.
fn wrong_type<'t>(ty: &'t Type, value: &Value) -> Option<(&'t str, &'static str)> {
    let expected: &[&str] = match ty.kind {
        Kind::Any => return None,
        Kind::Object => &["object"],
        Kind::Array => &["array"],
        Kind::String | Kind::Quantity => &["string"],
        Kind::Integer => &["integer"],
        Kind::Number => &["number"],
        Kind::Boolean => &["boolean"],
        Kind::IntOrString => &["integer", "string"],
    };
    let joined = if ty.kind == Kind::IntOrString { "integer,string" } else { expected.first().copied()? };
    let (found, format) = match value {
        Value::Null if ty.nullable => return None,
        Value::Null => return Some((joined, "null")),
        Value::Bool(_) => ("boolean", ""),
        Value::Number(n) if n.is_f64() => ("number", "double"),
        Value::Number(_) => ("integer", "int64"),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
    };
    let whole = |v: &Value| v.as_f64().is_some_and(|f| f.fract() == 0.0);
    let fits = expected.contains(&found)
        || found == "integer" && expected.contains(&"number")
        || found == "number" && expected.contains(&"integer") && whole(value);
    let textual = value.is_string() || value.is_array();
    let numeric = expected.contains(&"number") || expected.contains(&"integer");
    match ty.format.as_deref() {
        Some(wanted) if !textual && !fits && format != wanted => Some((wanted, format)),
        // With a format, text and lists are left to the format.
        Some(_) if textual && !numeric => None,
        _ if fits => None,
        _ => Some((joined, found)),
    }
}
