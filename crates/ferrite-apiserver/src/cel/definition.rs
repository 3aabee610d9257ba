//! The rules of a definition: whether they parse, fit their schema and result in what they must.

use ferrite_schema::{ListType, Type};
use serde_json::{Value as Json, json};

use super::check::{Refusal, Static, check as check_types, static_type};
use super::syntax::{Node, parse};
use crate::json::{items, text};
use crate::status::Cause;

/// Adds a cause for each rule in a schema that cannot be used. The schema itself is sound.
pub(crate) fn check(schema: &Json, at: &str, out: &mut Vec<Cause>) {
    let ty = Type::from_crd_schema(schema);
    visit(schema, &ty, at, None, out);
}

/// `uncorrelated`: the path from which on old and new values cannot be told to be the same.
fn visit(schema: &Json, ty: &Type, at: &str, uncorrelated: Option<&str>, out: &mut Vec<Cause>) {
    if ty.builtin {
        return;
    }
    for (index, rule) in items(&schema["x-kubernetes-validations"]).iter().enumerate() {
        check_rule(rule, ty, &format!("{at}.x-kubernetes-validations[{index}]"), uncorrelated, out);
    }
    let below = uncorrelated.or(if ty.atomic { Some(at) } else { None });
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(field) = ty.field(name) {
            visit(property, &field.ty, &format!("{at}.properties[{name}]"), below, out);
        }
    }
    if let Some(values) = ty.values.as_deref().filter(|_| schema["additionalProperties"].is_object()) {
        visit(
            &schema["additionalProperties"],
            values,
            &format!("{at}.additionalProperties"),
            uncorrelated,
            out,
        );
    }
    if schema["items"].is_object() {
        let keyed = matches!(ty.list, ListType::Map(_));
        let below = uncorrelated.or(if keyed { None } else { Some(at) });
        visit(&schema["items"], ty.item(), &format!("{at}.items"), below, out);
    }
}

fn check_rule(rule: &Json, ty: &Type, at: &str, uncorrelated: Option<&str>, out: &mut Vec<Cause>) {
    let optional = rule["optionalOldSelf"] == true;
    let refused = |key: &str, why: &str| Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {}: {why}", shown(rule)),
        field: format!("{at}.{key}"),
    };
    let expression = text(rule, "rule");
    let node = match compile(expression, ty, optional) {
        Ok((node, Static::Bool | Static::Dyn)) => Some(node),
        Ok((node, _)) => {
            out.push(refused("rule", "cel expression must evaluate to a bool"));
            Some(node)
        }
        Err(refusal) => {
            out.push(refused("rule", &format!("compilation failed: {}", located(expression, &refusal))));
            None
        }
    };
    let message = text(rule, "messageExpression");
    if !message.trim().is_empty() {
        match compile(message, ty, optional) {
            Ok((_, Static::Text | Static::Dyn)) => {}
            Ok(_) => out.push(refused("messageExpression", "messageExpression must evaluate to a string")),
            Err(refusal) => {
                let why = format!("messageExpression compilation failed: {}", located(message, &refusal));
                out.push(refused("messageExpression", &why));
            }
        }
    }
    let Some(node) = node else { return };
    if node.uses("oldSelf") {
        if let Some(within) = uncorrelated {
            let why =
                format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {within}");
            out.push(Cause::invalid(format!("{at}.rule"), &rule["rule"], &why));
        }
    } else if !rule["optionalOldSelf"].is_null() {
        let why = "may not be set if oldSelf is not used in rule";
        out.push(Cause::invalid(format!("{at}.optionalOldSelf"), &rule["optionalOldSelf"], why));
    }
}

fn compile<'t>(expression: &str, ty: &'t Type, optional: bool) -> Result<(Node, Static<'t>), Refusal> {
    let node = parse(expression).map_err(|e| Refusal { at: e.at, message: e.to_string() })?;
    let this = static_type(ty);
    let old = if optional { Static::Optional(std::rc::Rc::new(this.clone())) } else { this.clone() };
    let mut names = vec![("self", this), ("oldSelf", old)];
    let found = check_types(&node, &mut names)?;
    Ok((node, found))
}

/// A refusal with the line it is about, as cel-go shows it.
fn located(expression: &str, refusal: &Refusal) -> String {
    let (mut line, mut column, mut text) = (1, refusal.at, "");
    for (index, candidate) in expression.split('\n').enumerate() {
        (line, text) = (index + 1, candidate);
        let length = candidate.chars().count();
        if column <= length {
            break;
        }
        column -= length + 1;
    }
    let dots = ".".repeat(column);
    format!("ERROR: <input>:{line}:{}: {}\n | {text}\n | {dots}^", column + 1, refusal.message)
}

/// A rule as Go's encoder writes it, field by field.
fn shown(rule: &Json) -> String {
    let or_null = |key: &str| if rule[key].is_null() { Json::Null } else { rule[key].clone() };
    let fields = [
        ("Rule", json!(text(rule, "rule"))),
        ("Message", json!(text(rule, "message"))),
        ("MessageExpression", json!(text(rule, "messageExpression"))),
        ("Reason", or_null("reason")),
        ("FieldPath", json!(text(rule, "fieldPath"))),
        ("OptionalOldSelf", or_null("optionalOldSelf")),
    ];
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    let text = format!("{{{}}}", fields.join(","));
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
