//! What functions take and give.

use std::rc::Rc;

use super::Static as S;

const TYPES: [&str; 10] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];

/// Whether the name stands for a type.
pub(super) fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}

const NAMES: [&str; 92] = [
    "add",
    "asApproximateFloat",
    "asInteger",
    "bool",
    "bytes",
    "charAt",
    "cidr",
    "compareTo",
    "contains",
    "containsCIDR",
    "containsIP",
    "distinct",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "family",
    "find",
    "findAll",
    "first",
    "flatten",
    "format",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getEscapedPath",
    "getFullYear",
    "getHost",
    "getHostname",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getPort",
    "getQuery",
    "getScheme",
    "getSeconds",
    "hasValue",
    "indexOf",
    "int",
    "ip",
    "ip.isCanonical",
    "isCIDR",
    "isGlobalUnicast",
    "isGreaterThan",
    "isIP",
    "isInteger",
    "isLessThan",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isQuantity",
    "isSorted",
    "isURL",
    "isUnspecified",
    "join",
    "last",
    "lastIndexOf",
    "lists.range",
    "lowerAscii",
    "masked",
    "matches",
    "max",
    "min",
    "optional.none",
    "optional.of",
    "optional.ofNonZeroValue",
    "or",
    "orValue",
    "prefixLength",
    "quantity",
    "replace",
    "reverse",
    "sets.contains",
    "sets.equivalent",
    "sets.intersects",
    "sign",
    "size",
    "slice",
    "sort",
    "split",
    "startsWith",
    "string",
    "sub",
    "substring",
    "sum",
    "timestamp",
    "trim",
    "type",
    "uint",
    "upperAscii",
];

/// Whether there is such a function or method, besides `url` and `value`.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name) || matches!(name, "url" | "value")
}

fn all<'t>(arguments: &[S<'t>], wanted: &[S<'t>]) -> bool {
    arguments.len() == wanted.len() && arguments.iter().zip(wanted).all(|(a, w)| a.fits(w))
}

/// The type of a function's result; `None` when it does not take these arguments.
pub(super) fn function<'t>(name: &str, arguments: &[S<'t>]) -> Option<S<'t>> {
    let first = arguments.first();
    match (name, arguments.len()) {
        ("dyn", 1) => return Some(S::Dyn),
        ("type", 1) => return Some(S::TypeName),
        ("optional.none", 0) => return Some(S::Optional(Rc::new(S::Dyn))),
        ("optional.of" | "optional.ofNonZeroValue", 1) => {
            return first.map(|t| S::Optional(Rc::new(t.clone())));
        }
        ("lists.range", 1) => return all(arguments, &[S::Int]).then(|| S::List(Rc::new(S::Int))),
        ("size", 1) => return method(name, first?, &[]),
        ("sets.contains" | "sets.equivalent" | "sets.intersects", 2) => {
            let lists = arguments.iter().all(|a| matches!(a, S::List(_) | S::Dyn));
            return (lists && arguments[0].fits(&arguments[1])).then_some(S::Bool);
        }
        _ => {}
    }
    let text = all(arguments, &[S::Text]);
    let number = |more: &[S<'t>]| arguments.len() == 1 && more.iter().any(|m| arguments[0].fits(m));
    match name {
        "matches" if all(arguments, &[S::Text, S::Text]) => Some(S::Bool),
        "sign" if all(arguments, &[S::Quantity]) => Some(S::Int),
        "quantity" if text => Some(S::Quantity),
        "url" if text => Some(S::Url),
        "ip" if text => Some(S::Ip),
        "cidr" if text => Some(S::Cidr),
        "isQuantity" | "isURL" | "isIP" | "ip.isCanonical" | "isCIDR" if text => Some(S::Bool),
        "duration" if number(&[S::Text, S::Duration]) => Some(S::Duration),
        "timestamp" if number(&[S::Text, S::Timestamp]) => Some(S::Timestamp),
        "int" if number(&[S::Int, S::Uint, S::Double, S::Text, S::Timestamp, S::Duration]) => Some(S::Int),
        "uint" if number(&[S::Int, S::Uint, S::Double, S::Text]) => Some(S::Uint),
        "double" if number(&[S::Int, S::Uint, S::Double, S::Text]) => Some(S::Double),
        "bool" if number(&[S::Bool, S::Text]) => Some(S::Bool),
        "bytes" if number(&[S::Bytes, S::Text]) => Some(S::Bytes),
        "string"
            if arguments.len() == 1 && !matches!(first, Some(S::List(_) | S::Map(..) | S::Object(_))) =>
        {
            Some(S::Text)
        }
        _ => None,
    }
}

/// The type of a method's result; `None` when the target has none such for these arguments.
pub(super) fn method<'t>(name: &str, target: &S<'t>, arguments: &[S<'t>]) -> Option<S<'t>> {
    match target {
        S::Dyn => Some(S::Dyn),
        S::Text => text(name, arguments),
        S::Bytes | S::Map(..) => (name == "size" && arguments.is_empty()).then_some(S::Int),
        S::List(item) => list(name, target, item, arguments),
        S::Quantity => match name {
            "isInteger" if arguments.is_empty() => Some(S::Bool),
            "asInteger" if arguments.is_empty() => Some(S::Int),
            "asApproximateFloat" if arguments.is_empty() => Some(S::Double),
            "add" | "sub" if all(arguments, &[S::Quantity]) || all(arguments, &[S::Int]) => Some(S::Quantity),
            "isLessThan" | "isGreaterThan" if all(arguments, &[S::Quantity]) => Some(S::Bool),
            "compareTo" if all(arguments, &[S::Quantity]) => Some(S::Int),
            _ => None,
        },
        S::Url => match name {
            _ if !arguments.is_empty() => None,
            "getScheme" | "getHost" | "getHostname" | "getPort" | "getEscapedPath" => Some(S::Text),
            "getQuery" => Some(S::Map(Rc::new(S::Text), Rc::new(S::List(Rc::new(S::Text))))),
            _ => None,
        },
        S::Ip => match name {
            _ if !arguments.is_empty() => None,
            "family" => Some(S::Int),
            "isUnspecified"
            | "isLoopback"
            | "isLinkLocalMulticast"
            | "isLinkLocalUnicast"
            | "isGlobalUnicast" => Some(S::Bool),
            _ => None,
        },
        S::Cidr => match (name, arguments) {
            ("containsIP", [S::Ip | S::Text | S::Dyn]) | ("containsCIDR", [S::Cidr | S::Text | S::Dyn]) => {
                Some(S::Bool)
            }
            ("ip", []) => Some(S::Ip),
            ("masked", []) => Some(S::Cidr),
            ("prefixLength", []) => Some(S::Int),
            _ => None,
        },
        S::Duration | S::Timestamp => {
            let clock = matches!(name, "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds");
            let date = matches!(
                name,
                "getFullYear" | "getMonth" | "getDate" | "getDayOfMonth" | "getDayOfWeek" | "getDayOfYear"
            );
            let zone = arguments.is_empty() || all(arguments, &[S::Text]);
            (zone && (clock || date && matches!(target, S::Timestamp))).then_some(S::Int)
        }
        S::Optional(inner) => match (name, arguments) {
            ("hasValue", []) => Some(S::Bool),
            ("value", []) => Some((**inner).clone()),
            ("orValue", [other]) if inner.fits(other) => Some(other.clone()),
            ("or", [other]) if target.fits(other) => Some(target.clone()),
            _ => None,
        },
        S::Object(_) | S::Null | S::Bool | S::Int | S::Uint | S::Double | S::TypeName => None,
    }
}

fn text<'t>(name: &str, arguments: &[S<'t>]) -> Option<S<'t>> {
    let is = |wanted: &[S<'t>]| all(arguments, wanted);
    match name {
        "size" if is(&[]) => Some(S::Int),
        "contains" | "startsWith" | "endsWith" | "matches" if is(&[S::Text]) => Some(S::Bool),
        "lowerAscii" | "upperAscii" | "trim" if is(&[]) => Some(S::Text),
        "find" if is(&[S::Text]) => Some(S::Text),
        "charAt" if is(&[S::Int]) => Some(S::Text),
        "findAll" | "split" if is(&[S::Text]) || is(&[S::Text, S::Int]) => Some(S::List(Rc::new(S::Text))),
        "indexOf" | "lastIndexOf" if is(&[S::Text]) || is(&[S::Text, S::Int]) => Some(S::Int),
        "replace" if is(&[S::Text, S::Text]) || is(&[S::Text, S::Text, S::Int]) => Some(S::Text),
        "substring" if is(&[S::Int]) || is(&[S::Int, S::Int]) => Some(S::Text),
        "format" if matches!(arguments, [S::List(_) | S::Dyn]) => Some(S::Text),
        _ => None,
    }
}

fn list<'t>(name: &str, target: &S<'t>, item: &S<'t>, arguments: &[S<'t>]) -> Option<S<'t>> {
    match (name, arguments) {
        ("size", []) => Some(S::Int),
        ("isSorted", []) => Some(S::Bool),
        ("sum" | "min" | "max", []) => Some(item.clone()),
        ("indexOf" | "lastIndexOf", [wanted]) if item.fits(wanted) => Some(S::Int),
        ("join", []) if item.fits(&S::Text) => Some(S::Text),
        ("join", [S::Text | S::Dyn]) if item.fits(&S::Text) => Some(S::Text),
        ("reverse" | "distinct" | "sort", []) => Some(target.clone()),
        ("slice", [S::Int | S::Dyn, S::Int | S::Dyn]) => Some(target.clone()),
        ("first" | "last", []) => Some(S::Optional(Rc::new(item.clone()))),
        ("flatten", []) => Some(if matches!(item, S::List(_)) { item.clone() } else { target.clone() }),
        _ => None,
    }
}
