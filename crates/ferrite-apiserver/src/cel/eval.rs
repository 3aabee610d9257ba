//! Running an expression.

use std::rc::Rc;

use ferrite_schema::ListType;

use super::library;
use super::syntax::{Expr, Literal, Macro, Node};
use super::value::Value;

/// Steps that the rules of one object may take together; then the object is refused.
pub(super) const BUDGET: u64 = 5_000_000;

/// Why an expression has no value. The texts are cel-go's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// What is wrong with these values.
    Error(String),
    /// A function does not take values of these types.
    NoOverload,
    /// Too many steps.
    Budget,
}

pub(super) type Outcome<'j> = Result<Value<'j>, Failure>;

pub(super) fn error<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Error(message.into()))
}

/// The variables in scope and the steps that are left.
pub(super) struct Scope<'j, 's> {
    name: &'s str,
    value: Option<Value<'j>>,
    outer: Option<&'s Self>,
}

impl<'j, 's> Scope<'j, 's> {
    /// A scope without variables.
    pub(super) fn empty() -> Self {
        Self { name: "", value: None, outer: None }
    }

    /// A scope with one more variable.
    pub(super) fn with(&'s self, name: &'s str, value: Value<'j>) -> Self {
        Self { name, value: Some(value), outer: Some(self) }
    }

    fn find(&self, name: &str) -> Option<&Value<'j>> {
        if self.value.is_some() && self.name == name {
            return self.value.as_ref();
        }
        self.outer.and_then(|outer| outer.find(name))
    }
}

/// Counts steps.
pub(super) struct Meter(pub(super) u64);

impl Meter {
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Failure> {
        self.0 = self.0.checked_sub(1 + steps as u64).ok_or(Failure::Budget)?;
        Ok(())
    }
}

/// The value of an expression.
pub(super) fn eval<'j>(node: &Node, scope: &Scope<'j, '_>, meter: &mut Meter) -> Outcome<'j> {
    meter.spend(0)?;
    match &node.expr {
        Expr::Literal(literal) => Ok(constant(literal)),
        Expr::Name(name) => match scope.find(name) {
            Some(value) => Ok(value.clone()),
            None => type_value(name).map_or_else(|| error(format!("no such attribute(s): {name}")), Ok),
        },
        Expr::Select { of, field, optional } => {
            let of = eval(of, scope, meter)?;
            select(&of, field, *optional)
        }
        Expr::Has { of, field } => {
            let of = eval(of, scope, meter)?;
            has(&of, field)
        }
        Expr::Index { of, key, optional } => {
            let of = eval(of, scope, meter)?;
            let key = eval(key, scope, meter)?;
            index(&of, &key, *optional)
        }
        Expr::Call { name, target, arguments } => {
            let target = target.as_ref().map(|t| eval(t, scope, meter)).transpose()?;
            let arguments = arguments.iter().map(|a| eval(a, scope, meter)).collect::<Result<Vec<_>, _>>()?;
            library::call(name, target.as_ref(), &arguments, meter)
        }
        Expr::Each { what, of, variables, filter, body } => {
            let of = eval(of, scope, meter)?;
            each(*what, &of, variables, filter.as_deref(), body, scope, meter)
        }
        Expr::OptMap { of, variable, body, flat } => match eval(of, scope, meter)? {
            Value::Optional(None) => Ok(Value::Optional(None)),
            Value::Optional(Some(value)) => {
                let result = eval(body, &scope.with(variable, (*value).clone()), meter)?;
                Ok(if *flat { result } else { Value::Optional(Some(Rc::new(result))) })
            }
            _ => Err(Failure::NoOverload),
        },
        Expr::List(items) => {
            let items = items.iter().map(|i| eval(i, scope, meter)).collect::<Result<Vec<_>, _>>()?;
            Ok(Value::List(Rc::new(items)))
        }
        Expr::Map(entries) => {
            let mut out: Vec<(Value<'j>, Value<'j>)> = Vec::new();
            for (key, value) in entries {
                let (key, value) = (eval(key, scope, meter)?, eval(value, scope, meter)?);
                meter.spend(out.len())?;
                match out.iter_mut().find(|(k, _)| k.same(&key)) {
                    Some(entry) => entry.1 = value,
                    None => out.push((key, value)),
                }
            }
            Ok(Value::Map(Rc::new(out)))
        }
        Expr::Not(of) => match eval(of, scope, meter)? {
            Value::Bool(b) => Ok(Value::Bool(!b)),
            _ => Err(Failure::NoOverload),
        },
        Expr::Negate(of) => match eval(of, scope, meter)? {
            Value::Int(n) => n.checked_neg().map_or_else(overflow, |n| Ok(Value::Int(n))),
            Value::Double(n) => Ok(Value::Double(-n)),
            Value::Duration(n) => Ok(Value::Duration(-n)),
            _ => Err(Failure::NoOverload),
        },
        Expr::Binary { operator: operator @ ("&&" | "||"), left, right } => {
            logic(*operator == "||", left, right, scope, meter)
        }
        Expr::Binary { operator, left, right } => {
            let left = eval(left, scope, meter)?;
            let right = eval(right, scope, meter)?;
            binary(operator, &left, &right, meter)
        }
        Expr::Conditional { condition, then, otherwise } => match eval(condition, scope, meter)? {
            Value::Bool(true) => eval(then, scope, meter),
            Value::Bool(false) => eval(otherwise, scope, meter),
            _ => Err(Failure::NoOverload),
        },
    }
}

fn constant<'j>(literal: &Literal) -> Value<'j> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(b) => Value::Bool(*b),
        Literal::Int(n) => Value::Int(*n),
        Literal::Uint(n) => Value::Uint(*n),
        Literal::Double(n) => Value::Double(*n),
        Literal::Text(text) => Value::Text(text.as_str().into()),
        Literal::Bytes(bytes) => Value::Bytes(bytes.as_slice().into()),
    }
}

/// A name that stands for a type.
fn type_value<'j>(name: &str) -> Option<Value<'j>> {
    let name = ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"]
        .into_iter()
        .find(|n| *n == name)?;
    Some(Value::Type(name))
}

fn overflow<T>() -> Result<T, Failure> {
    error("integer overflow")
}

fn some(value: Value<'_>) -> Value<'_> {
    Value::Optional(Some(Rc::new(value)))
}

fn select<'j>(of: &Value<'j>, field: &str, optional: bool) -> Outcome<'j> {
    match of {
        Value::Optional(inner) => Ok(match inner.as_deref().and_then(|v| v.field(field)) {
            Some(found) => some(found),
            None => Value::Optional(None),
        }),
        Value::Map(_) | Value::JsonMap(..) => match of.field(field) {
            Some(found) if optional => Ok(some(found)),
            Some(found) => Ok(found),
            None if optional => Ok(Value::Optional(None)),
            None => error(format!("no such key: {field}")),
        },
        _ => Err(Failure::NoOverload),
    }
}

fn has<'j>(of: &Value<'j>, field: &str) -> Outcome<'j> {
    match of {
        Value::Optional(inner) => Ok(Value::Bool(inner.as_deref().and_then(|v| v.field(field)).is_some())),
        Value::Map(_) | Value::JsonMap(..) => Ok(Value::Bool(of.field(field).is_some())),
        _ => Err(Failure::NoOverload),
    }
}

fn index<'j>(of: &Value<'j>, key: &Value<'j>, optional: bool) -> Outcome<'j> {
    let (of, optional) = match of {
        Value::Optional(None) => return Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => (&**inner, true),
        other => (other, optional),
    };
    let found = match (of, key) {
        (Value::Map(_) | Value::JsonMap(..), key) => of.entry(key),
        (Value::List(_) | Value::JsonList(..) | Value::Merged(..), Value::Int(at)) => {
            usize::try_from(*at).ok().and_then(|at| of.items().and_then(|items| items.into_iter().nth(at)))
        }
        _ => return Err(Failure::NoOverload),
    };
    match (found, optional) {
        (Some(found), true) => Ok(some(found)),
        (Some(found), false) => Ok(found),
        (None, true) => Ok(Value::Optional(None)),
        (None, false) => match key {
            Value::Text(key) => error(format!("no such key: {key}")),
            Value::Int(at) => error(format!("index out of bounds: {at}")),
            _ => error("no such key"),
        },
    }
}

/// `&&` and `||` do not care for the side that does not decide, not even for its error.
fn logic<'j>(or: bool, left: &Node, right: &Node, scope: &Scope<'j, '_>, meter: &mut Meter) -> Outcome<'j> {
    let left = eval(left, scope, meter);
    match left {
        Ok(Value::Bool(b)) if b == or => return Ok(Value::Bool(or)),
        Err(Failure::Budget) => return left,
        _ => {}
    }
    match (left, eval(right, scope, meter)) {
        (_, Ok(Value::Bool(b))) if b == or => Ok(Value::Bool(or)),
        (Ok(Value::Bool(_)), Ok(Value::Bool(b))) => Ok(Value::Bool(b)),
        (Err(failure), _) | (Ok(_), Err(failure)) => Err(failure),
        _ => Err(Failure::NoOverload),
    }
}

fn binary<'j>(operator: &str, left: &Value<'j>, right: &Value<'j>, meter: &mut Meter) -> Outcome<'j> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    meter.spend((left.size().unwrap_or(0) + right.size().unwrap_or(0)) / 10)?;
    let ordered = |accept: &[std::cmp::Ordering]| match left.compare(right) {
        Some(order) => Ok(Value::Bool(accept.contains(&order))),
        // NaN is comparable and never in order.
        None if matches!((left, right), (Value::Double(_), _) | (_, Value::Double(_))) => {
            Ok(Value::Bool(false))
        }
        None => Err(Failure::NoOverload),
    };
    match operator {
        "==" => Ok(Value::Bool(left.same(right))),
        "!=" => Ok(Value::Bool(!left.same(right))),
        "<" => ordered(&[Less]),
        "<=" => ordered(&[Less, Equal]),
        ">" => ordered(&[Greater]),
        ">=" => ordered(&[Greater, Equal]),
        "in" => match (right.items(), right.size()) {
            (Some(items), _) => {
                meter.spend(items.len())?;
                Ok(Value::Bool(items.iter().any(|i| i.same(left))))
            }
            (None, Some(_)) => Ok(Value::Bool(right.entry(left).is_some())),
            (None, None) => Err(Failure::NoOverload),
        },
        _ => arithmetic(operator, left, right, meter),
    }
}

fn arithmetic<'j>(operator: &str, left: &Value<'j>, right: &Value<'j>, meter: &mut Meter) -> Outcome<'j> {
    let int = |n: Option<i64>| n.map_or_else(overflow, |n| Ok(Value::Int(n)));
    let uint = |n: Option<u64>| n.map_or_else(|| error("unsigned integer overflow"), |n| Ok(Value::Uint(n)));
    let duration = |n: Option<i64>| n.map_or_else(|| error("duration overflow"), |n| Ok(Value::Duration(n)));
    let zero = || error(if operator == "/" { "division by zero" } else { "modulus by zero" });
    match (operator, left, right) {
        ("+", Value::Int(a), Value::Int(b)) => int(a.checked_add(*b)),
        ("-", Value::Int(a), Value::Int(b)) => int(a.checked_sub(*b)),
        ("*", Value::Int(a), Value::Int(b)) => int(a.checked_mul(*b)),
        ("/" | "%", Value::Int(_), Value::Int(0)) | ("/" | "%", Value::Uint(_), Value::Uint(0)) => zero(),
        ("/", Value::Int(a), Value::Int(b)) => int(a.checked_div(*b)),
        ("%", Value::Int(a), Value::Int(b)) => int(a.checked_rem(*b)),
        ("+", Value::Uint(a), Value::Uint(b)) => uint(a.checked_add(*b)),
        ("-", Value::Uint(a), Value::Uint(b)) => uint(a.checked_sub(*b)),
        ("*", Value::Uint(a), Value::Uint(b)) => uint(a.checked_mul(*b)),
        ("/", Value::Uint(a), Value::Uint(b)) => uint(a.checked_div(*b)),
        ("%", Value::Uint(a), Value::Uint(b)) => uint(a.checked_rem(*b)),
        ("+", Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        ("-", Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        ("*", Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        ("/", Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        ("+", Value::Text(a), Value::Text(b)) => {
            meter.spend((a.len() + b.len()) / 10)?;
            Ok(Value::Text(format!("{a}{b}").into()))
        }
        ("+", Value::Bytes(a), Value::Bytes(b)) => Ok(Value::Bytes([&**a, &**b].concat().into())),
        ("+", Value::Duration(a), Value::Duration(b)) => duration(a.checked_add(*b)),
        ("-", Value::Duration(a), Value::Duration(b)) => duration(a.checked_sub(*b)),
        ("+", Value::Timestamp(t), Value::Duration(d)) | ("+", Value::Duration(d), Value::Timestamp(t)) => {
            Ok(Value::Timestamp(t + i128::from(*d)))
        }
        ("-", Value::Timestamp(t), Value::Duration(d)) => Ok(Value::Timestamp(t - i128::from(*d))),
        ("-", Value::Timestamp(a), Value::Timestamp(b)) => duration(i64::try_from(a - b).ok()),
        ("+", _, _) => match (left.items(), right.items()) {
            (Some(mut a), Some(b)) => {
                meter.spend(a.len() + b.len())?;
                if matches!(left, Value::JsonList(_, ty) | Value::Merged(_, ty) if ty.list != ListType::Atomic)
                {
                    meter.spend(a.len().saturating_mul(b.len()))?;
                    return left.merged(b).ok_or(Failure::NoOverload);
                }
                a.extend(b);
                Ok(Value::List(Rc::new(a)))
            }
            _ => Err(Failure::NoOverload),
        },
        _ => Err(Failure::NoOverload),
    }
}

/// The elements that a macro visits: of a list with their positions, of a mapping its keys and values.
fn pairs<'j>(of: &Value<'j>) -> Option<Vec<(Value<'j>, Value<'j>)>> {
    match of.items() {
        Some(items) => {
            let position = |i: usize| Value::Int(i64::try_from(i).unwrap_or(i64::MAX));
            Some(items.into_iter().enumerate().map(|(i, v)| (position(i), v)).collect())
        }
        None => of.entries(),
    }
}

fn each<'j>(
    what: Macro,
    of: &Value<'j>,
    variables: &[String],
    filter: Option<&Node>,
    body: &Node,
    scope: &Scope<'j, '_>,
    meter: &mut Meter,
) -> Outcome<'j> {
    let Some(pairs) = pairs(of) else { return Err(Failure::NoOverload) };
    let list = of.items().is_some();
    let visit = |(key, value): &(Value<'j>, Value<'j>), node: &Node, meter: &mut Meter| match variables {
        [one] => eval(node, &scope.with(one, if list { value } else { key }.clone()), meter),
        [first, second, ..] => {
            let outer = scope.with(first, key.clone());
            eval(node, &outer.with(second, value.clone()), meter)
        }
        [] => Err(Failure::NoOverload),
    };
    let (mut found, mut failure, mut out, mut entries) = (0, None, Vec::new(), Vec::new());
    for pair in &pairs {
        if let Some(filter) = filter {
            match visit(pair, filter, meter)? {
                Value::Bool(true) => {}
                Value::Bool(false) => continue,
                _ => return Err(Failure::NoOverload),
            }
        }
        let result = visit(pair, body, meter);
        match (what, result) {
            (Macro::Map, result) => out.push(result?),
            (Macro::MapValues, result) => entries.push((pair.0.clone(), result?)),
            (Macro::SortBy, result) => entries.push((result?, pair.1.clone())),
            (Macro::All, Ok(Value::Bool(false))) => return Ok(Value::Bool(false)),
            (Macro::Exists, Ok(Value::Bool(true))) => return Ok(Value::Bool(true)),
            (Macro::Filter, Ok(Value::Bool(true))) => out.push(if list { &pair.1 } else { &pair.0 }.clone()),
            (Macro::ExistsOne, Ok(Value::Bool(true))) => found += 1,
            (_, Ok(Value::Bool(_))) => {}
            // Another element may decide; if none does, the error counts.
            (Macro::All | Macro::Exists, Err(f)) if f != Failure::Budget => {
                failure.get_or_insert(f);
            }
            (_, Err(f)) => return Err(f),
            (_, Ok(_)) => return Err(Failure::NoOverload),
        }
    }
    match (what, failure) {
        (Macro::Map | Macro::Filter, _) => Ok(Value::List(Rc::new(out))),
        (Macro::MapValues, _) => Ok(Value::Map(Rc::new(entries))),
        (Macro::SortBy, _) => library::sort(entries),
        (Macro::ExistsOne, _) => Ok(Value::Bool(found == 1)),
        (Macro::All | Macro::Exists, Some(failure)) => Err(failure),
        (Macro::All | Macro::Exists, None) => Ok(Value::Bool(what == Macro::All)),
    }
}
