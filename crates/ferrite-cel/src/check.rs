//! What can be said of an expression before it runs.

use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators};
use cel::{IdedExpr, Value};

use crate::{Error, Output};

/// Names that are functions' namespaces or types, not variables.
const NAMESPACES: &[&str] = &["optional", "sets", "base64", "math", "strings", "lists"];

/// The first name that is no variable, neither declared nor bound by a macro.
pub(crate) fn undeclared<'a>(ast: &'a IdedExpr, declared: &[&'a str]) -> Option<&'a str> {
    let mut scope: Vec<&str> = declared.to_vec();
    unknown(ast, &mut scope)
}

fn unknown<'a>(ast: &'a IdedExpr, scope: &mut Vec<&'a str>) -> Option<&'a str> {
    match &ast.expr {
        Expr::Unspecified | Expr::Literal(_) => None,
        Expr::Ident(name) => (!scope.contains(&name.as_str())).then_some(name),
        Expr::Call(call) => {
            let target = call.target.as_deref().filter(|target| !is_namespace(target));
            target
                .and_then(|target| unknown(target, scope))
                .or_else(|| call.args.iter().find_map(|argument| unknown(argument, scope)))
        }
        Expr::Select(select) => unknown(&select.operand, scope),
        Expr::List(list) => list.elements.iter().find_map(|element| unknown(element, scope)),
        Expr::Map(map) => map.entries.iter().find_map(|entry| unknown_entry(&entry.expr, scope)),
        Expr::Struct(object) => object.entries.iter().find_map(|entry| unknown_entry(&entry.expr, scope)),
        Expr::Comprehension(comprehension) => {
            let outside = unknown(&comprehension.iter_range, scope)
                .or_else(|| unknown(&comprehension.accu_init, scope));
            if outside.is_some() {
                return outside;
            }
            let depth = scope.len();
            scope.push(&comprehension.iter_var);
            scope.extend(comprehension.iter_var2.as_deref());
            scope.push(&comprehension.accu_var);
            let inside = unknown(&comprehension.loop_cond, scope)
                .or_else(|| unknown(&comprehension.loop_step, scope))
                .or_else(|| unknown(&comprehension.result, scope));
            scope.truncate(depth);
            inside
        }
    }
}

fn unknown_entry<'a>(entry: &'a EntryExpr, scope: &mut Vec<&'a str>) -> Option<&'a str> {
    match entry {
        EntryExpr::StructField(field) => unknown(&field.value, scope),
        EntryExpr::MapEntry(entry) => unknown(&entry.key, scope).or_else(|| unknown(&entry.value, scope)),
    }
}

/// How deep the tree is.
pub(crate) fn levels(ast: &IdedExpr) -> usize {
    let deepest = |all: &mut dyn Iterator<Item = &IdedExpr>| all.map(levels).max().unwrap_or_default();
    1 + match &ast.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => 0,
        Expr::Call(call) => deepest(&mut call.target.as_deref().into_iter().chain(&call.args)),
        Expr::Select(select) => levels(&select.operand),
        Expr::List(list) => deepest(&mut list.elements.iter()),
        Expr::Map(map) => map.entries.iter().map(|entry| entry_levels(&entry.expr)).max().unwrap_or_default(),
        Expr::Struct(object) => {
            object.entries.iter().map(|entry| entry_levels(&entry.expr)).max().unwrap_or_default()
        }
        Expr::Comprehension(comprehension) => {
            let parts = [
                &comprehension.iter_range,
                &comprehension.accu_init,
                &comprehension.loop_cond,
                &comprehension.loop_step,
                &comprehension.result,
            ];
            deepest(&mut parts.into_iter())
        }
    }
}

fn entry_levels(entry: &EntryExpr) -> usize {
    match entry {
        EntryExpr::StructField(field) => levels(&field.value),
        EntryExpr::MapEntry(entry) => levels(&entry.key).max(levels(&entry.value)),
    }
}

fn is_namespace(target: &IdedExpr) -> bool {
    matches!(&target.expr, Expr::Ident(name) if NAMESPACES.contains(&name.as_str()))
}

/// Refuses an expression whose result is not certain to have the type asked for.
pub(crate) fn output(ast: &IdedExpr, wanted: Output) -> Result<(), Error> {
    let expected = match wanted {
        Output::Any => return Ok(()),
        Output::Bool => "bool",
        Output::String => "string",
    };
    let found = static_type(ast);
    if found == expected { Ok(()) } else { Err(Error::Output { expected, found }) }
}

/// The type of a result as far as the text tells; `dyn` when it depends on the values.
fn static_type(ast: &IdedExpr) -> &'static str {
    match &ast.expr {
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(_) => "bool",
            LiteralValue::Bytes(_) => "bytes",
            LiteralValue::Double(_) => "double",
            LiteralValue::Int(_) => "int",
            LiteralValue::Null => "null_type",
            LiteralValue::String(_) => "string",
            LiteralValue::UInt(_) => "uint",
        },
        Expr::List(_) => "list",
        Expr::Map(_) => "map",
        Expr::Select(select) if select.test => "bool",
        Expr::Call(call) => call_type(call),
        // exists, all and exists_one start from or end in a truth; map and filter in a list.
        Expr::Comprehension(comprehension) => match static_type(&comprehension.result) {
            "dyn" => static_type(&comprehension.accu_init),
            known => known,
        },
        Expr::Unspecified | Expr::Ident(_) | Expr::Select(_) | Expr::Struct(_) => "dyn",
    }
}

fn call_type(call: &cel::common::ast::CallExpr) -> &'static str {
    let argument = |index: usize| call.args.get(index).map_or("dyn", static_type);
    match call.func_name.as_str() {
        operators::EQUALS
        | operators::NOT_EQUALS
        | operators::GREATER
        | operators::GREATER_EQUALS
        | operators::LESS
        | operators::LESS_EQUALS
        | operators::LOGICAL_AND
        | operators::LOGICAL_OR
        | operators::LOGICAL_NOT
        | operators::IN
        | operators::NOT_STRICTLY_FALSE
        | "startsWith"
        | "endsWith"
        | "contains"
        | "matches"
        | "hasValue"
        | "bool"
        | "intersects"
        | "equivalent" => "bool",
        "string" | "lowerAscii" | "upperAscii" | "replace" | "substring" | "trim" | "join" | "charAt"
        | "format" | "quote" | "reverse" | "encode" => "string",
        "split" => "list",
        "size" | "int" | "indexOf" | "lastIndexOf" => "int",
        operators::CONDITIONAL if argument(1) == argument(2) => argument(1),
        operators::ADD if argument(0) == "string" || argument(1) == "string" => "string",
        "orValue" => argument(0),
        _ => "dyn",
    }
}

/// The name of a value's type.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Int(_) => "int",
        Value::UInt(_) => "uint",
        Value::Float(_) => "double",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Bool(_) => "bool",
        Value::Null => "null_type",
        _ => "dyn",
    }
}
