//! Whether an expression fits the schema it stands in, before any object exists.

mod signatures;

use std::fmt;
use std::rc::Rc;

use ferrite_schema::{Kind, Type};

use super::library;
use super::syntax::{Expr, Literal, Macro, Node};
use super::value::unescape;

/// The type of an expression.
#[derive(Debug, Clone)]
pub(super) enum Static<'t> {
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Duration,
    Timestamp,
    Quantity,
    Url,
    Ip,
    Cidr,
    TypeName,
    List(Rc<Self>),
    Map(Rc<Self>, Rc<Self>),
    Object(&'t Type),
    Optional(Rc<Self>),
}

use Static as S;

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) at: usize,
    pub(super) message: String,
}

type Checked<'t> = Result<Static<'t>, Refusal>;

/// The type that expressions see of values of this type.
pub(super) fn static_type(ty: &Type) -> Static<'_> {
    match ty.kind {
        Kind::Any | Kind::IntOrString | Kind::Quantity => S::Dyn,
        Kind::String => match ty.format.as_deref() {
            Some("date-time" | "date") => S::Timestamp,
            Some("duration") => S::Duration,
            Some("byte") => S::Bytes,
            _ => S::Text,
        },
        Kind::Integer => S::Int,
        Kind::Number => S::Double,
        Kind::Boolean => S::Bool,
        Kind::Array => S::List(Rc::new(static_type(ty.item()))),
        Kind::Object => match &ty.values {
            Some(values) if ty.fields.is_empty() => S::Map(Rc::new(S::Text), Rc::new(static_type(values))),
            _ => S::Object(ty),
        },
    }
}

impl fmt::Display for Static<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            S::Dyn => f.write_str("dyn"),
            S::Null => f.write_str("null"),
            S::Bool => f.write_str("bool"),
            S::Int => f.write_str("int"),
            S::Uint => f.write_str("uint"),
            S::Double => f.write_str("double"),
            S::Text => f.write_str("string"),
            S::Bytes => f.write_str("bytes"),
            S::Duration => f.write_str("duration"),
            S::Timestamp => f.write_str("timestamp"),
            S::Quantity => f.write_str("kubernetes.Quantity"),
            S::Url => f.write_str("kubernetes.URL"),
            S::Ip => f.write_str("net.IP"),
            S::Cidr => f.write_str("net.CIDR"),
            S::TypeName => f.write_str("type"),
            S::List(item) => write!(f, "list({item})"),
            S::Map(key, value) => write!(f, "map({key}, {value})"),
            S::Object(_) => f.write_str("object"),
            S::Optional(inner) => write!(f, "optional_type({inner})"),
        }
    }
}

impl Static<'_> {
    /// Whether a value may be of both types.
    pub(super) fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (S::Dyn, _) | (_, S::Dyn) => true,
            (S::Null, other) | (other, S::Null) => other.nullable(),
            (S::List(a), S::List(b)) | (S::Optional(a), S::Optional(b)) => a.fits(b),
            (S::Map(k, v), S::Map(l, w)) => k.fits(l) && v.fits(w),
            (S::Object(a), S::Object(b)) => std::ptr::eq(*a, *b),
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }

    fn nullable(&self) -> bool {
        !matches!(
            self,
            S::Bool
                | S::Int
                | S::Uint
                | S::Double
                | S::Text
                | S::Bytes
                | S::List(_)
                | S::Map(..)
                | S::TypeName
        )
    }

    /// Whether both are the same type, as the items of a written list must be.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (S::Dyn, S::Dyn) => true,
            (S::Dyn, _) | (_, S::Dyn) => false,
            (S::List(a), S::List(b)) | (S::Optional(a), S::Optional(b)) => a.fits(b),
            (S::Null, _) | (_, S::Null) => matches!((self, other), (S::Null, S::Null)),
            _ => self.fits(other),
        }
    }

    fn numeric(&self) -> bool {
        matches!(self, S::Int | S::Uint | S::Double)
    }
}

/// The variables in scope.
pub(super) type Names<'n, 't> = Vec<(&'n str, Static<'t>)>;

fn refuse<T>(at: usize, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { at, message: message.into() })
}

fn no_overload<T>(at: usize, name: &str, types: &[Static<'_>]) -> Result<T, Refusal> {
    let types: Vec<_> = types.iter().map(ToString::to_string).collect();
    refuse(at, format!("found no matching overload for '{name}' applied to '({})'", types.join(", ")))
}

/// The type of an expression, or why it has none.
pub(super) fn check<'n, 't>(node: &'n Node, names: &mut Names<'n, 't>) -> Checked<'t> {
    match &node.expr {
        Expr::Literal(literal) => Ok(constant(literal)),
        Expr::Name(name) => match names.iter().rev().find(|(n, _)| n == name) {
            Some((_, ty)) => Ok(ty.clone()),
            None if signatures::is_type(name) => Ok(S::TypeName),
            None => refuse(node.at, format!("undeclared reference to '{name}' (in container '')")),
        },
        Expr::Select { of, field, optional } => {
            let of = check(of, names)?;
            let found = select(&of, field, node.at)?;
            Ok(if *optional && !matches!(of, S::Optional(_)) { S::Optional(Rc::new(found)) } else { found })
        }
        Expr::Has { of, field } => {
            let of = check(of, names)?;
            select(&of, field, node.at).map(|_| S::Bool)
        }
        Expr::Index { of, key, optional } => {
            let (of, key) = (check(of, names)?, check(key, names)?);
            let found = index(&of, &key, node.at)?;
            Ok(if *optional { S::Optional(Rc::new(found)) } else { found })
        }
        Expr::Call { name, target, arguments } => {
            let found = invoke(name, target.as_deref(), arguments, node.at, names)?;
            constants(name, arguments)?;
            Ok(found)
        }
        Expr::Each { what, of, variables, filter, body } => {
            each(*what, of, variables, filter.as_deref(), body, names)
        }
        Expr::OptMap { of, variable, body, flat } => {
            let inner = match check(of, names)? {
                S::Optional(inner) => (*inner).clone(),
                S::Dyn => S::Dyn,
                other => return no_overload(node.at, "optMap", &[other]),
            };
            names.push((variable, inner));
            let result = check(body, names);
            names.pop();
            result.map(|r| if *flat { r } else { S::Optional(Rc::new(r)) })
        }
        Expr::List(items) => {
            let types = items.iter().map(|i| check(i, names)).collect::<Result<Vec<_>, _>>()?;
            alike(&types, items.iter())?;
            Ok(S::List(Rc::new(join(types))))
        }
        Expr::Map(entries) => {
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            for (key, value) in entries {
                keys.push(check(key, names)?);
                values.push(check(value, names)?);
            }
            alike(&keys, entries.iter().map(|(k, _)| k))?;
            alike(&values, entries.iter().map(|(_, v)| v))?;
            Ok(S::Map(Rc::new(join(keys)), Rc::new(join(values))))
        }
        Expr::Not(of) => match check(of, names)? {
            S::Bool | S::Dyn => Ok(S::Bool),
            other => no_overload(node.at, "!_", &[other]),
        },
        Expr::Negate(of) => match check(of, names)? {
            ty @ (S::Int | S::Double | S::Duration | S::Dyn) => Ok(ty),
            other => no_overload(node.at, "-_", &[other]),
        },
        Expr::Binary { operator, left, right } => {
            let (left, right) = (check(left, names)?, check(right, names)?);
            binary(operator, &left, &right)
                .map_or_else(|| no_overload(node.at, &shown(operator), &[left.clone(), right.clone()]), Ok)
        }
        Expr::Conditional { condition, then, otherwise } => {
            let condition = check(condition, names)?;
            let (then, otherwise) = (check(then, names)?, check(otherwise, names)?);
            if !condition.fits(&S::Bool) || !then.fits(&otherwise) {
                return no_overload(node.at, "_?_:_", &[condition, then, otherwise]);
            }
            Ok(join(vec![then, otherwise]))
        }
    }
}

fn invoke<'n, 't>(
    name: &str,
    target: Option<&'n Node>,
    arguments: &'n [Node],
    at: usize,
    names: &mut Names<'n, 't>,
) -> Checked<'t> {
    let of = target.map(|t| check(t, names)).transpose()?;
    // What is formatted need not be of one type.
    let mixed = name == "format" && of.is_some();
    let types = arguments.iter().map(|a| match &a.expr {
        Expr::List(items) if mixed => {
            items.iter().try_for_each(|i| check(i, names).map(|_| ()))?;
            Ok(S::List(Rc::new(S::Dyn)))
        }
        _ => check(a, names),
    });
    let types = types.collect::<Result<Vec<_>, _>>()?;
    call(name, of, &types, at)
}

/// The items of a list that is written out have one type.
fn alike<'n>(types: &[Static<'_>], nodes: impl Iterator<Item = &'n Node>) -> Result<(), Refusal> {
    let Some(first) = types.first() else { return Ok(()) };
    match types.iter().zip(nodes).find(|(ty, _)| !first.is(ty)) {
        Some((ty, node)) => refuse(node.at, format!("expected type '{first}' but found '{ty}'")),
        None => Ok(()),
    }
}

/// Texts that are given to these functions as they are can be judged right away.
fn constants(name: &str, arguments: &[Node]) -> Result<(), Refusal> {
    let Some(Node { expr: Expr::Literal(Literal::Text(text)), at, .. }) = arguments.last() else {
        return Ok(());
    };
    let sound = match (name, arguments.len()) {
        ("matches", _) => library::is_pattern(text),
        ("duration", 1) => library::duration(text).is_some(),
        ("timestamp", 1) => library::timestamp(text).is_some(),
        _ => true,
    };
    if sound { Ok(()) } else { refuse(*at, format!("invalid {name} argument")) }
}

fn constant<'t>(literal: &Literal) -> Static<'t> {
    match literal {
        Literal::Null => S::Null,
        Literal::Bool(_) => S::Bool,
        Literal::Int(_) => S::Int,
        Literal::Uint(_) => S::Uint,
        Literal::Double(_) => S::Double,
        Literal::Text(_) => S::Text,
        Literal::Bytes(_) => S::Bytes,
    }
}

fn shown(operator: &str) -> String {
    if operator == "in" { "@in".to_owned() } else { format!("_{operator}_") }
}

/// The type of all; what differs is only known of the value.
fn join(types: Vec<Static<'_>>) -> Static<'_> {
    let mut types = types.into_iter();
    let Some(first) = types.next() else { return S::Dyn };
    types.fold(first, |joined, ty| match (&joined, &ty) {
        (S::Null, _) => ty,
        (_, S::Null) => joined,
        (a, b) if a.fits(b) && !matches!(b, S::Dyn) => joined,
        _ => S::Dyn,
    })
}

fn select<'t>(of: &Static<'t>, field: &str, at: usize) -> Checked<'t> {
    match of {
        S::Dyn => Ok(S::Dyn),
        S::Optional(inner) => {
            let found = select(inner, field, at)?;
            Ok(if matches!(found, S::Optional(_)) { found } else { S::Optional(Rc::new(found)) })
        }
        S::Map(_, value) => Ok((**value).clone()),
        S::Object(ty) => {
            let name = if ty.declares(field) { field.to_owned() } else { unescape(field) };
            // Of metadata only the names are there to see.
            let hidden = ty.builtin && !matches!(name.as_str(), "name" | "generateName");
            match ty.field(&name).filter(|_| !hidden) {
                Some(field) => Ok(static_type(&field.ty)),
                None => refuse(at, format!("undefined field '{field}'")),
            }
        }
        other => refuse(at, format!("type '{other}' does not support field selection")),
    }
}

fn index<'t>(of: &Static<'t>, key: &Static<'t>, at: usize) -> Checked<'t> {
    match of {
        S::Dyn => Ok(S::Dyn),
        S::List(item) if key.fits(&S::Int) => Ok((**item).clone()),
        S::Map(k, value) if key.fits(k) => Ok((**value).clone()),
        S::Optional(inner) => Ok(S::Optional(Rc::new(index(inner, key, at)?))),
        other => no_overload(at, "_[_]", &[other.clone(), key.clone()]),
    }
}

fn call<'t>(name: &str, target: Option<Static<'t>>, arguments: &[Static<'t>], at: usize) -> Checked<'t> {
    if !signatures::is_known(name) {
        return refuse(at, format!("undeclared reference to '{name}' (in container '')"));
    }
    let found = match &target {
        Some(target) => signatures::method(name, target, arguments),
        None => signatures::function(name, arguments),
    };
    if let Some(found) = found {
        return Ok(found);
    }
    let shown: Vec<_> = arguments.iter().map(ToString::to_string).collect();
    let target = target.map(|t| format!("{t}.")).unwrap_or_default();
    refuse(at, format!("found no matching overload for '{name}' applied to '{target}({})'", shown.join(", ")))
}

fn binary<'t>(operator: &str, left: &Static<'t>, right: &Static<'t>) -> Option<Static<'t>> {
    let either = |ty: fn(&Static<'t>) -> bool| ty(left) && ty(right);
    let boolean = |fits: bool| fits.then_some(S::Bool);
    match operator {
        "&&" | "||" => boolean(left.fits(&S::Bool) && right.fits(&S::Bool)),
        "==" | "!=" => boolean(left.fits(right)),
        "<" | "<=" | ">" | ">=" => {
            let ordered = |ty: &Static<'t>| {
                matches!(ty, S::Bool | S::Text | S::Bytes | S::Duration | S::Timestamp | S::Dyn)
                    || ty.numeric()
            };
            let both = either(Static::numeric) || left.fits(right);
            boolean(both && ordered(left) && ordered(right))
        }
        "in" => match right {
            S::List(item) => boolean(item.fits(left)),
            S::Map(key, _) => boolean(key.fits(left)),
            S::Dyn => Some(S::Bool),
            _ => None,
        },
        _ => arithmetic(operator, left, right),
    }
}

fn arithmetic<'t>(operator: &str, left: &Static<'t>, right: &Static<'t>) -> Option<Static<'t>> {
    match (left, right) {
        (S::Dyn, other) | (other, S::Dyn) => Some(if operator == "+" { other.clone() } else { S::Dyn }),
        (S::Int, S::Int) => Some(S::Int),
        (S::Uint, S::Uint) => Some(S::Uint),
        (S::Double, S::Double) if operator != "%" => Some(S::Double),
        (S::Text, S::Text) if operator == "+" => Some(S::Text),
        (S::Bytes, S::Bytes) if operator == "+" => Some(S::Bytes),
        (S::List(a), S::List(b)) if operator == "+" && a.fits(b) => Some(left.clone()),
        (S::Duration, S::Duration) if matches!(operator, "+" | "-") => Some(S::Duration),
        (S::Timestamp, S::Duration) if matches!(operator, "+" | "-") => Some(S::Timestamp),
        (S::Duration, S::Timestamp) if operator == "+" => Some(S::Timestamp),
        (S::Timestamp, S::Timestamp) if operator == "-" => Some(S::Duration),
        _ => None,
    }
}

fn each<'n, 't>(
    what: Macro,
    of: &'n Node,
    variables: &'n [String],
    filter: Option<&'n Node>,
    body: &'n Node,
    names: &mut Names<'n, 't>,
) -> Checked<'t> {
    let (key, value, list) = match check(of, names)? {
        S::List(item) => (S::Int, (*item).clone(), true),
        S::Map(key, value) => ((*key).clone(), (*value).clone(), false),
        S::Dyn => (S::Dyn, S::Dyn, true),
        other => {
            let message = format!(
                "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
            );
            return refuse(of.at, message);
        }
    };
    let element = if list { value.clone() } else { key.clone() };
    let before = names.len();
    let first = key.clone();
    match variables {
        [one] => names.push((one, element.clone())),
        [first, second, ..] => names.extend([(first.as_str(), key), (second.as_str(), value)]),
        [] => {}
    }
    let inner = |node: &'n Node, names: &mut Names<'n, 't>| {
        let ty = check(node, names)?;
        if ty.fits(&S::Bool) { Ok(()) } else { no_overload(node.at, "_&&_", &[S::Bool, ty]) }
    };
    let result = match (filter, what) {
        (Some(filter), Macro::Map) => {
            inner(filter, names).and_then(|()| check(body, names)).map(|ty| S::List(Rc::new(ty)))
        }
        (filter, Macro::MapValues) => {
            let filter = filter.map_or(Ok(()), |f| inner(f, names));
            filter.and_then(|()| check(body, names)).map(|ty| S::Map(Rc::new(first), Rc::new(ty)))
        }
        (_, Macro::Map) => check(body, names).map(|ty| S::List(Rc::new(ty))),
        (_, Macro::SortBy) => check(body, names).map(|_| S::List(Rc::new(element))),
        (_, Macro::Filter) => inner(body, names).map(|()| S::List(Rc::new(element))),
        (_, Macro::All | Macro::Exists | Macro::ExistsOne) => inner(body, names).map(|()| S::Bool),
    };
    names.truncate(before);
    result
}
