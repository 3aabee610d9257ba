//! Asking an object about the rules of its schema.

use std::collections::HashMap;

use ferrite_patch::structured::same;
use ferrite_schema::{Kind, ListType, Type};
use serde_json::Value as Json;

use super::eval::{BUDGET, Failure, Meter, Scope, eval};
use super::syntax::{Node, parse};
use super::value::{Value, lift};
use crate::json::text;
use crate::status::Cause;

/// Longest message that an expression may make.
const MESSAGE_BYTES: usize = 5 << 10;

/// The expressions of a schema, parsed.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    parsed: HashMap<String, Node>,
}

impl Rules {
    /// Reads every rule in a schema. What does not parse was refused with its definition, and is left out.
    pub(crate) fn of(ty: &Type) -> Self {
        let mut rules = Self::default();
        rules.collect(ty);
        rules
    }

    /// Whether there are any.
    pub(crate) fn any(&self) -> bool {
        !self.parsed.is_empty()
    }

    fn collect(&mut self, ty: &Type) {
        if ty.builtin {
            return;
        }
        for rule in ty.rules.iter().flat_map(|r| &r.validations) {
            for key in ["rule", "messageExpression"] {
                let expression = text(rule, key);
                if !expression.is_empty()
                    && !self.parsed.contains_key(expression)
                    && let Ok(node) = parse(expression)
                {
                    self.parsed.insert(expression.to_owned(), node);
                }
            }
        }
        ty.fields.iter().for_each(|f| self.collect(&f.ty));
        ty.items.iter().chain(&ty.values).for_each(|t| self.collect(t));
    }

    /// Adds a cause for each rule that the object breaks. Rules about changes are asked when there was an object before.
    pub(crate) fn check(&self, ty: &Type, live: Option<&Json>, object: &Json, causes: &mut Vec<Cause>) {
        if self.parsed.is_empty() {
            return;
        }
        let mut run = Run { rules: self, meter: Meter(BUDGET), out: causes };
        let ran = run.visit(ty, object, live, &mut String::new());
        if ran.is_err() {
            causes.push(Cause {
                reason: "FieldValueInvalid",
                message: "Invalid value: \"\": validation failed due to running out of cost budget, no further validation rules will be run".to_owned(),
                field: "<nil>".to_owned(),
            });
        }
    }
}

struct Run<'r> {
    rules: &'r Rules,
    meter: Meter,
    out: &'r mut Vec<Cause>,
}

/// The steps ran out.
struct Exhausted;

impl Run<'_> {
    fn visit(
        &mut self,
        ty: &Type,
        value: &Json,
        old: Option<&Json>,
        path: &mut String,
    ) -> Result<(), Exhausted> {
        if ty.builtin || value.is_null() {
            return Ok(());
        }
        if let Some(rules) = ty.rules.as_deref().filter(|r| !r.validations.is_empty()) {
            let unchanged = old.is_some_and(|old| same(old, value));
            for rule in &rules.validations {
                self.ask(rule, ty, value, old, unchanged, path)?;
            }
        }
        let length = path.len();
        match value {
            Json::Object(map) => {
                let old = old.filter(|_| !ty.atomic);
                for (name, value) in map {
                    let old = old.and_then(|o| o.get(name));
                    if let Some(field) = ty.field(name) {
                        if !path.is_empty() {
                            path.push('.');
                        }
                        path.push_str(name);
                        self.visit(&field.ty, value, old, path)?;
                    } else if let Some(values) = &ty.values {
                        path.push_str(&format!("[{name}]"));
                        self.visit(values, value, old, path)?;
                    }
                    path.truncate(length);
                }
            }
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let old = old.and_then(|old| correlated(ty, old, item));
                    path.push_str(&format!("[{index}]"));
                    self.visit(ty.item(), item, old, path)?;
                    path.truncate(length);
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
        Ok(())
    }

    fn ask(
        &mut self,
        rule: &Json,
        ty: &Type,
        value: &Json,
        old: Option<&Json>,
        unchanged: bool,
        path: &str,
    ) -> Result<(), Exhausted> {
        let Some(node) = self.rules.parsed.get(text(rule, "rule")) else { return Ok(()) };
        let about_change = node.uses("oldSelf");
        let optional = rule["optionalOldSelf"] == true;
        // What was wrong before and did not change is not this writer's fault.
        if about_change && old.is_none() && !optional || unchanged && !about_change {
            return Ok(());
        }
        let empty = Scope::empty();
        let with_self = empty.with("self", lift(value, ty));
        let scope = if optional {
            let old = old.map(|o| std::rc::Rc::new(lift(o, ty)));
            with_self.with("oldSelf", Value::Optional(old))
        } else {
            with_self.with("oldSelf", old.map_or(Value::Null, |o| lift(o, ty)))
        };
        let failed = match eval(node, &scope, &mut self.meter) {
            Ok(Value::Bool(true)) => return Ok(()),
            Ok(_) => None,
            Err(Failure::Budget) => return Err(Exhausted),
            Err(failure) => Some(failure),
        };
        let named = Some(text(rule, "message").trim()).filter(|m| !m.is_empty());
        let shown = named.unwrap_or_else(|| text(rule, "rule").trim());
        let cause = match failed {
            Some(failure) => {
                let why = match failure {
                    Failure::Error(why) => format!("{why} evaluating rule: {shown}"),
                    _ => format!(
                        "'no such overload': call arguments did not match a supported operator, function or macro signature for rule: {shown}"
                    ),
                };
                let field = if path.is_empty() { "<nil>" } else { path };
                Cause::invalid(field, &type_word(ty).into(), &why)
            }
            None => {
                let computed = self.message(rule, &scope)?;
                let message = computed
                    .or_else(|| named.map(str::to_owned))
                    .unwrap_or_else(|| format!("failed rule: {shown}"));
                broken(rule, ty, path, &message)
            }
        };
        self.out.push(cause);
        Ok(())
    }

    fn message(&mut self, rule: &Json, scope: &Scope<'_, '_>) -> Result<Option<String>, Exhausted> {
        let Some(node) = self.rules.parsed.get(text(rule, "messageExpression")) else { return Ok(None) };
        match eval(node, scope, &mut self.meter) {
            Ok(Value::Text(text)) => {
                let text = text.trim();
                let fits = !text.is_empty() && text.len() <= MESSAGE_BYTES && !text.contains(['\n', '\r']);
                Ok(fits.then(|| text.to_owned()))
            }
            Err(Failure::Budget) => Err(Exhausted),
            _ => Ok(None),
        }
    }
}

/// The cause of a rule that does not hold, at the path it names.
fn broken(rule: &Json, ty: &Type, path: &str, message: &str) -> Cause {
    let joined = format!("{path}{}", shown_path(text(rule, "fieldPath"), ty));
    let field = joined.strip_prefix('.').unwrap_or(&joined);
    let (reason, kind) = match text(rule, "reason") {
        "FieldValueRequired" => ("FieldValueRequired", "Required value"),
        "FieldValueForbidden" => ("FieldValueForbidden", "Forbidden"),
        "FieldValueDuplicate" => ("FieldValueDuplicate", "Duplicate value"),
        _ => ("FieldValueInvalid", "Invalid value"),
    };
    let field = if field.is_empty() { "<nil>" } else { field };
    // A duplicate is told by its value alone, which a rule has none of.
    let message = if kind == "Duplicate value" { kind.to_owned() } else { format!("{kind}: {message}") };
    Cause { reason, message, field: field.to_owned() }
}

/// A path such as `.spec['a-b']` as causes show it: keys of mappings are in brackets, fields are not.
fn shown_path(path: &str, ty: &Type) -> String {
    let (mut out, mut ty, mut rest) = (String::new(), ty, path);
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix("['") {
            Some(inner) => inner.split_once("']").unwrap_or((inner, "")),
            None => {
                let inner = rest.strip_prefix('.').unwrap_or(rest);
                inner.split_at_checked(inner.find(['.', '[']).unwrap_or(inner.len())).unwrap_or((inner, ""))
            }
        };
        let field = ty.field(name).is_some() || ty.values.is_none();
        out = if field { format!("{out}.{name}") } else { format!("{out}[{name}]") };
        ty = ty.child(name).unwrap_or_else(|| Type::any());
        // A bracket that opens nothing would be read forever.
        if after.len() == rest.len() {
            break;
        }
        rest = after;
    }
    out
}

/// The item of the old list that is the same one as `item`; only keyed lists tell.
fn correlated<'j>(ty: &Type, old: &'j Json, item: &Json) -> Option<&'j Json> {
    let ListType::Map(keys) = &ty.list else { return None };
    old.as_array()?.iter().find(|o| keys.iter().all(|k| o.get(&**k) == item.get(&**k)))
}

fn type_word(ty: &Type) -> &'static str {
    match ty.kind {
        Kind::Object => "object",
        Kind::Array => "array",
        Kind::String | Kind::Quantity => "string",
        Kind::Integer => "integer",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
        Kind::Any | Kind::IntOrString => "",
    }
}
