//! Checks a document against a schema.

use std::collections::BTreeSet;

use ferrite_gotemplate::format_float;
use serde_json::{Map, Value};

use super::{
    Draft, Fault, format,
    index::{Index, Target},
    quote,
};

/// Schemas entered on the way to one place; only loops of references get there.
const MAX_DEPTH: usize = 200;

/// Schemas applied in all, against exponential blow-ups.
const MAX_STEPS: usize = 2_000_000;

/// Properties and items that some rule has looked at.
#[derive(Debug, Default, Clone)]
struct Seen {
    properties: BTreeSet<String>,
    items: BTreeSet<usize>,
}

impl Seen {
    fn merge(&mut self, other: Self) {
        self.properties.extend(other.properties);
        self.items.extend(other.items);
    }
}

pub(super) struct Checker<'s> {
    index: &'s Index<'s>,
    draft: Draft,
    steps: std::cell::Cell<usize>,
}

type Checked = Result<Seen, Fault>;

impl<'s> Checker<'s> {
    pub(super) fn new(index: &'s Index<'s>, draft: Draft) -> Self {
        Self { index, draft, steps: std::cell::Cell::new(0) }
    }

    pub(super) fn check(&self, schema: &Value, document: &Value) -> Result<(), Fault> {
        self.apply(schema, document, "", 0).map(|_| ())
    }

    fn apply(&self, schema: &Value, value: &Value, at: &str, depth: usize) -> Checked {
        let fault = |message: String| Err(Fault::new(at, message));
        self.steps.set(self.steps.get() + 1);
        if depth > MAX_DEPTH {
            return fault("infinite loop of references".into());
        }
        if self.steps.get() > MAX_STEPS {
            return fault("the schema takes too many steps to check".into());
        }
        let map = match schema {
            Value::Bool(false) => return fault("false schema".into()),
            Value::Object(map) => map,
            _ => return Ok(Seen::default()),
        };
        // Until draft 7 a reference hides everything beside it.
        if self.draft < Draft::Draft2019
            && let Some(reference) = map.get("$ref").and_then(Value::as_str)
        {
            return self.reference(schema, reference, value, at, depth);
        }
        if let Some(message) = first_rule(map, value, self.draft) {
            return fault(message);
        }
        let mut run = Run { checker: self, map, at, depth, seen: Seen::default(), faults: Vec::new() };
        for key in ["$ref", "$recursiveRef", "$dynamicRef"] {
            if let Some(reference) = map.get(key).and_then(Value::as_str) {
                let checked = self.reference(schema, reference, value, at, depth);
                run.add(checked);
            }
        }
        match value {
            Value::Object(object) => run.object(object),
            Value::Array(items) => run.array(items),
            Value::String(text) => run.string(text),
            Value::Number(number) => run.number(number.as_f64().unwrap_or_default()),
            Value::Null | Value::Bool(_) => {}
        }
        run.combinations(value);
        run.unevaluated(value);
        run.finish()
    }

    fn reference(&self, from: &Value, reference: &str, value: &Value, at: &str, depth: usize) -> Checked {
        match self.index.follow(from, reference) {
            Target::Schema(schema) => self.apply(schema, value, at, depth + 1),
            Target::Anything => Ok(Seen::default()),
            Target::Missing(address) => {
                Err(Fault::new(at, format!("reference to {} not found", quote(&address))))
            }
        }
    }
}

/// Rules whose failure ends the check of a place: type, const, enum, format.
fn first_rule(map: &Map<String, Value>, value: &Value, draft: Draft) -> Option<String> {
    if let Some(wanted) = map.get("type") {
        let names: Vec<&str> = match wanted {
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect(),
        };
        let got = type_name(value);
        let whole = got == "number" && value.as_f64().is_some_and(|n| n.fract() == 0.0);
        if !names.iter().any(|name| *name == got || *name == "integer" && whole) {
            // In the library's order, not in the schema's.
            let order = ["null", "boolean", "number", "integer", "string", "array", "object"];
            let wanted: Vec<&str> = order.into_iter().filter(|name| names.contains(name)).collect();
            return Some(format!("got {got}, want {}", wanted.join(" or ")));
        }
    }
    if let Some(wanted) = map.get("const")
        && draft > Draft::Draft4
        && !equal(wanted, value)
    {
        return Some(match wanted {
            Value::Array(_) | Value::Object(_) => "const failed".into(),
            wanted => format!("value must be {}", display(wanted)),
        });
    }
    if let Some(Value::Array(wanted)) = map.get("enum")
        && !wanted.iter().any(|wanted| equal(wanted, value))
    {
        return Some(if wanted.iter().any(|w| w.is_array() || w.is_object()) {
            "enum failed".into()
        } else {
            let shown: Vec<String> = wanted.iter().map(display).collect();
            let one = if shown.len() == 1 { "" } else { "one of " };
            format!("value must be {one}{}", shown.join(", "))
        });
    }
    if let (Some(Value::String(name)), Value::String(text)) = (map.get("format"), value)
        && draft < Draft::Draft2019
        && let Err(why) = format::check(name, text)
    {
        return Some(format!("{} is not valid {name}: {why}", quote(text)));
    }
    None
}

/// The check of one schema at one place.
struct Run<'r, 's> {
    checker: &'r Checker<'s>,
    map: &'r Map<String, Value>,
    at: &'r str,
    depth: usize,
    seen: Seen,
    faults: Vec<Fault>,
}

impl Run<'_, '_> {
    fn add(&mut self, checked: Checked) {
        match checked {
            Ok(seen) => self.seen.merge(seen),
            Err(fault) => self.faults.push(fault),
        }
    }

    fn fault(&mut self, message: String) {
        self.faults.push(Fault::new(self.at, message));
    }

    fn caused(&mut self, message: String, causes: Vec<Fault>) {
        self.faults.push(Fault { causes, ..Fault::new(self.at, message) });
    }

    fn below(&self, schema: &Value, value: &Value, key: &str) -> Checked {
        let key = key.replace('~', "~0").replace('/', "~1");
        self.checker.apply(schema, value, &format!("{}/{key}", self.at), self.depth + 1)
    }

    fn here(&self, schema: &Value, value: &Value) -> Checked {
        self.checker.apply(schema, value, self.at, self.depth + 1)
    }

    /// A bound such as `minLength`.
    fn bound(&mut self, key: &str, got: usize, lower: bool) {
        if let Some(want) = self.map.get(key).and_then(Value::as_f64)
            && (lower && (got as f64) < want || !lower && got as f64 > want)
        {
            self.fault(format!(
                "{key}: got {}, want {}",
                grouped(&got.to_string()),
                grouped(&want.to_string())
            ));
        }
    }

    fn object(&mut self, object: &Map<String, Value>) {
        self.bound("minProperties", object.len(), true);
        self.bound("maxProperties", object.len(), false);
        if let Some(missing) = self.map.get("required").and_then(|r| absent(r, object)) {
            self.fault(match missing.as_slice() {
                [one] => format!("missing property {one}"),
                all => format!("missing properties {}", all.join(", ")),
            });
        }
        self.dependencies(object);
        let mut additional = Vec::new();
        for (name, value) in object {
            let mut known = false;
            if let Some(schema) = self.map.get("properties").and_then(|p| p.get(name)) {
                known = true;
                let checked = self.below(schema, value, name);
                self.child(checked);
            }
            for (pattern, schema) in
                self.map.get("patternProperties").and_then(Value::as_object).into_iter().flatten()
            {
                if regex(pattern).is_some_and(|re| re.is_match(name.as_bytes())) {
                    known = true;
                    let checked = self.below(schema, value, name);
                    self.child(checked);
                }
            }
            match self.map.get("additionalProperties") {
                Some(Value::Bool(false)) if !known => {
                    known = true;
                    additional.push(quote(name));
                }
                Some(schema) if !known => {
                    known = true;
                    let checked = self.below(schema, value, name);
                    self.child(checked);
                }
                _ => {}
            }
            if known {
                self.seen.properties.insert(name.clone());
            }
        }
        if !additional.is_empty() {
            self.fault(format!("additional properties {} not allowed", additional.join(", ")));
        }
        if let Some(schema) = self.map.get("propertyNames") {
            for name in object.keys() {
                // The cause's place is empty: a name has none.
                if let Err(cause) =
                    self.checker.apply(schema, &Value::String(name.clone()), "", self.depth + 1)
                {
                    self.caused(format!("invalid propertyName {}", quote(name)), vec![cause]);
                }
            }
        }
    }

    /// What a child has seen is not seen here.
    fn child(&mut self, checked: Checked) {
        if let Err(fault) = checked {
            self.faults.push(fault);
        }
    }

    fn dependencies(&mut self, object: &Map<String, Value>) {
        let whole = Value::Object(object.clone());
        for key in ["dependencies", "dependentRequired", "dependentSchemas"] {
            for (name, needed) in self.map.get(key).and_then(Value::as_object).into_iter().flatten() {
                if !object.contains_key(name) {
                    continue;
                }
                if needed.is_array() {
                    if let Some(missing) = absent(needed, object) {
                        let missing = missing.join(", ");
                        self.fault(format!("properties {missing} required, if {} exists", quote(name)));
                    }
                } else {
                    let checked = self.here(needed, &whole);
                    self.add(checked);
                }
            }
        }
    }

    fn array(&mut self, items: &[Value]) {
        self.bound("minItems", items.len(), true);
        self.bound("maxItems", items.len(), false);
        if self.map.get("uniqueItems") == Some(&Value::Bool(true))
            && let Some((i, j)) = duplicate(items)
        {
            self.fault(format!("items at {i} and {j} are equal"));
        }
        let (first, rest): (&[Value], Option<&Value>) =
            match (self.map.get("prefixItems"), self.map.get("items")) {
                (Some(Value::Array(first)), rest) => (first, rest),
                (_, Some(Value::Array(first))) => (first, self.map.get("additionalItems")),
                (_, rest) => (&[], rest),
            };
        if rest == Some(&Value::Bool(false))
            && !self.map.contains_key("prefixItems")
            && items.len() > first.len()
            && !first.is_empty()
        {
            self.fault(format!("last {} additionalItem(s) not allowed", items.len() - first.len()));
        }
        for (i, item) in items.iter().enumerate() {
            let Some(schema) = first.get(i).or(rest) else { continue };
            self.seen.items.insert(i);
            if schema == &Value::Bool(false)
                && !self.map.contains_key("prefixItems")
                && i >= first.len()
                && !first.is_empty()
            {
                continue;
            }
            let checked = self.below(schema, item, &i.to_string());
            self.child(checked);
        }
        self.contains(items);
    }

    fn contains(&mut self, items: &[Value]) {
        let Some(schema) = self.map.get("contains") else { return };
        let (mut matched, mut causes) = (Vec::new(), Vec::new());
        for (i, item) in items.iter().enumerate() {
            match self.below(schema, item, &i.to_string()) {
                Ok(_) => matched.push(i),
                Err(cause) => causes.push(cause),
            }
        }
        let bound = |key: &str| self.map.get(key).and_then(Value::as_f64).map(|n| n as usize);
        let (min, max) = (bound("minContains"), bound("maxContains"));
        if self.checker.draft >= Draft::Draft2020 {
            self.seen.items.extend(&matched);
        }
        match min {
            Some(min) if matched.len() < min => {
                let got = if matched.is_empty() {
                    "none matched".to_owned()
                } else {
                    format!("matched {} items", matched.len())
                };
                self.fault(format!("min {min} items required to match contains schema, but {got}"));
            }
            None if matched.is_empty() => self.caused("no items match contains schema".into(), causes),
            _ => {}
        }
        if let Some(max) = max.filter(|max| matched.len() > *max) {
            self.fault(format!(
                "max {max} items required to match contains schema, but matched {} items",
                matched.len()
            ));
        }
    }

    fn string(&mut self, text: &str) {
        let length = text.chars().count();
        self.bound("minLength", length, true);
        self.bound("maxLength", length, false);
        if let Some(pattern) = self.map.get("pattern").and_then(Value::as_str)
            && regex(pattern).is_some_and(|re| !re.is_match(text.as_bytes()))
        {
            self.fault(format!("{} does not match pattern {}", quote(text), quote(pattern)));
        }
    }

    fn number(&mut self, got: f64) {
        let bound = |key: &str| self.map.get(key).and_then(Value::as_f64);
        let shown = |n: f64| grouped(&format_float(n, b'g', None));
        let exclusive = |key: &str| self.map.get(key) == Some(&Value::Bool(true));
        let mut found = Vec::new();
        for (plain, strict, sign) in
            [("minimum", "exclusiveMinimum", 1.0), ("maximum", "exclusiveMaximum", -1.0)]
        {
            let breaks = |got: f64, want: f64| sign * got < sign * want;
            let breaks_strictly = |got: f64, want: f64| sign * got <= sign * want;
            if let Some(want) = bound(plain) {
                if exclusive(strict) && breaks_strictly(got, want) {
                    found.push(format!("{strict}: got {}, want {}", shown(got), shown(want)));
                } else if breaks(got, want) {
                    found.push(format!("{plain}: got {}, want {}", shown(got), shown(want)));
                }
            }
            if let Some(want) = bound(strict).filter(|want| breaks_strictly(got, *want)) {
                found.push(format!("{strict}: got {}, want {}", shown(got), shown(want)));
            }
        }
        if let Some(want) = bound("multipleOf").filter(|want| *want > 0.0 && !is_multiple(got, *want)) {
            found.push(format!("multipleOf: got {}, want {}", shown(got), shown(want)));
        }
        for message in found {
            self.fault(message);
        }
    }

    fn combinations(&mut self, value: &Value) {
        if let Some(schema) = self.map.get("not")
            && self.here(schema, value).is_ok()
        {
            self.fault("'not' failed".into());
        }
        if let Some(Value::Array(schemas)) = self.map.get("allOf") {
            let mut causes = Vec::new();
            for schema in schemas {
                match self.here(schema, value) {
                    Ok(seen) => self.seen.merge(seen),
                    Err(fault) => causes.push(fault),
                }
            }
            if !causes.is_empty() {
                self.caused("'allOf' failed".into(), causes);
            }
        }
        if let Some(Value::Array(schemas)) = self.map.get("anyOf") {
            let (matched, causes) = self.each(schemas, value);
            if matched.is_empty() {
                self.caused("'anyOf' failed".into(), causes);
            }
        }
        if let Some(Value::Array(schemas)) = self.map.get("oneOf") {
            let (matched, causes) = self.each(schemas, value);
            match matched.as_slice() {
                [_] => {}
                [] => self.caused("'oneOf' failed, none matched".into(), causes),
                many => {
                    let many: Vec<String> = many.iter().map(usize::to_string).collect();
                    self.fault(format!("'oneOf' failed, subschemas {} matched", many.join(", ")));
                }
            }
        }
        if let Some(condition) = self.map.get("if").filter(|_| self.checker.draft >= Draft::Draft7) {
            let branch = match self.here(condition, value) {
                Ok(seen) => {
                    self.seen.merge(seen);
                    "then"
                }
                Err(_) => "else",
            };
            if let Some(schema) = self.map.get(branch) {
                let checked = self.here(schema, value);
                self.add(checked);
            }
        }
    }

    /// Which alternatives match, and why the others do not.
    fn each(&mut self, schemas: &[Value], value: &Value) -> (Vec<usize>, Vec<Fault>) {
        let (mut matched, mut causes) = (Vec::new(), Vec::new());
        for (i, schema) in schemas.iter().enumerate() {
            match self.here(schema, value) {
                Ok(seen) => {
                    self.seen.merge(seen);
                    matched.push(i);
                }
                Err(fault) => causes.push(fault),
            }
        }
        (matched, causes)
    }

    fn unevaluated(&mut self, value: &Value) {
        if self.checker.draft < Draft::Draft2019 {
            return;
        }
        match (value, self.map.get("unevaluatedProperties"), self.map.get("unevaluatedItems")) {
            (Value::Object(object), Some(schema), _) => {
                for (name, value) in object {
                    if !self.seen.properties.contains(name) {
                        let checked = self.below(schema, value, name);
                        self.child(checked);
                        self.seen.properties.insert(name.clone());
                    }
                }
            }
            (Value::Array(items), _, Some(schema)) => {
                for (i, item) in items.iter().enumerate() {
                    if self.seen.items.insert(i) {
                        let checked = self.below(schema, item, &i.to_string());
                        self.child(checked);
                    }
                }
            }
            _ => {}
        }
    }

    fn finish(mut self) -> Checked {
        match self.faults.len() {
            0 => Ok(self.seen),
            1 => Err(self.faults.remove(0)),
            _ => Err(Fault { causes: self.faults, group: true, ..Fault::new(self.at, "validation failed") }),
        }
    }
}

/// The required names that are not there, quoted.
fn absent(required: &Value, object: &Map<String, Value>) -> Option<Vec<String>> {
    let names = required.as_array()?.iter().filter_map(Value::as_str);
    let missing: Vec<String> = names.filter(|name| !object.contains_key(*name)).map(quote).collect();
    (!missing.is_empty()).then_some(missing)
}

/// A pattern that was found well-formed before.
fn regex(pattern: &str) -> Option<regex::bytes::Regex> {
    ferrite_gotemplate::compile_regex(pattern).ok()
}

/// A number as the library's printer for English writes it: thousands apart, powers of ten raised.
fn grouped(text: &str) -> String {
    if let Some((mantissa, exponent)) = text.split_once('e') {
        let raised = exponent.trim_start_matches('+').chars().map(|c| match c {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            c => c.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(c),
        });
        return format!("{mantissa}×10{}", raised.collect::<String>());
    }
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    let (whole, fraction) =
        digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut out = sign.to_owned();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// JSON Schema's name of a value's type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn display(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(_) => "array".into(),
        Value::Object(_) => "object".into(),
        Value::Null => "<nil>".into(),
        Value::Number(number) => {
            number.as_f64().map_or_else(|| number.to_string(), |f| format_float(f, b'g', None))
        }
        Value::Bool(flag) => flag.to_string(),
    }
}

/// Equality where 1 and 1.0 are one number.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

fn duplicate(items: &[Value]) -> Option<(usize, usize)> {
    let mut seen: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for (j, item) in items.iter().enumerate() {
        let mut item = item.clone();
        crate::go_yaml::floats(&mut item);
        let key = ferrite_yaml::go_json(&item);
        if let Some(i) = seen.insert(key, j) {
            return Some((i, j));
        }
    }
    None
}

/// Whether the decimal texts divide without rest.
fn is_multiple(got: f64, want: f64) -> bool {
    let ratio = got / want;
    ratio.is_finite() && (ratio - ratio.round()).abs() <= 1e-9 * ratio.abs().max(1.0)
}
