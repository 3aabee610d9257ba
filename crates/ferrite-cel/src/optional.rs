//! Optional selection (`a.?b`) in terms of `has`, because the evaluator fails where the field is not there.
//!
//! ```text
//! a.?b.c.orValue(x)  ─▶  has(a.b) && has(a.b.c) ? a.b.c : x
//! a.?b.hasValue()    ─▶  has(a.b)
//! a.?b               ─▶  has(a.b) ? optional.of(a.b) : optional.none()
//! ```

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators};

/// A value that is there when all conditions hold.
struct Chain {
    conditions: Vec<IdedExpr>,
    value: IdedExpr,
}

/// The same expression without optional selections.
pub(crate) fn expand(ast: IdedExpr) -> IdedExpr {
    match chain(ast) {
        Err(plain) => inside(plain),
        Ok(Chain { conditions, value }) => {
            let of = |name: &str, args| {
                let target = Some(Box::new(expression(Expr::Ident("optional".to_owned()))));
                expression(Expr::Call(CallExpr { func_name: name.to_owned(), target, args }))
            };
            call(operators::CONDITIONAL, vec![all(conditions), of("of", vec![value]), of("none", Vec::new())])
        }
    }
}

/// Takes a chain of selections apart if one of them is optional; gives the expression back otherwise.
fn chain(ast: IdedExpr) -> Result<Chain, IdedExpr> {
    let (operand, field, optional, id) = match ast.expr {
        Expr::Call(CallExpr { func_name, target: None, mut args })
            if func_name == operators::OPT_SELECT && args.len() == 2 =>
        {
            let field = args.pop().map(|field| field.expr);
            match (args.pop(), field) {
                (Some(operand), Some(Expr::Literal(LiteralValue::String(field)))) => {
                    (operand, field.inner().to_owned(), true, ast.id)
                }
                // The parser writes nothing else here.
                _ => return Err(IdedExpr { id: ast.id, expr: Expr::Unspecified }),
            }
        }
        Expr::Select(SelectExpr { operand, field, test: false }) => (*operand, field, false, ast.id),
        expr => return Err(IdedExpr { id: ast.id, expr }),
    };
    let mut found = match chain(operand) {
        Ok(found) => found,
        Err(operand) if optional => Chain { conditions: Vec::new(), value: inside(operand) },
        Err(operand) => {
            let select = SelectExpr { operand: Box::new(operand), field, test: false };
            return Err(IdedExpr { id, expr: Expr::Select(select) });
        }
    };
    found.conditions.push(select(found.value.clone(), field.clone(), true));
    found.value = select(found.value, field, false);
    Ok(found)
}

/// Expands what is below an expression that is no optional chain itself.
fn inside(ast: IdedExpr) -> IdedExpr {
    let expr = match ast.expr {
        Expr::Call(parts) => return IdedExpr { id: ast.id, ..expand_call(parts) },
        Expr::Select(SelectExpr { operand, field, test }) => {
            Expr::Select(SelectExpr { operand: Box::new(expand(*operand)), field, test })
        }
        Expr::List(mut list) => {
            list.elements = list.elements.into_iter().map(expand).collect();
            Expr::List(list)
        }
        Expr::Map(mut map) => {
            for entry in &mut map.entries {
                expand_entry(&mut entry.expr);
            }
            Expr::Map(map)
        }
        Expr::Struct(mut object) => {
            for entry in &mut object.entries {
                expand_entry(&mut entry.expr);
            }
            Expr::Struct(object)
        }
        Expr::Comprehension(mut parts) => {
            for part in [
                &mut parts.iter_range,
                &mut parts.accu_init,
                &mut parts.loop_cond,
                &mut parts.loop_step,
                &mut parts.result,
            ] {
                *part = expand(std::mem::take(part));
            }
            Expr::Comprehension(parts)
        }
        expr @ (Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_)) => expr,
    };
    IdedExpr { id: ast.id, expr }
}

fn expand_entry(entry: &mut EntryExpr) {
    match entry {
        EntryExpr::StructField(field) => field.value = expand(std::mem::take(&mut field.value)),
        EntryExpr::MapEntry(entry) => {
            entry.key = expand(std::mem::take(&mut entry.key));
            entry.value = expand(std::mem::take(&mut entry.value));
        }
    }
}

fn expand_call(CallExpr { func_name, target, args }: CallExpr) -> IdedExpr {
    let mut args: Vec<IdedExpr> = args.into_iter().map(expand).collect();
    let target = match target.map(|target| chain(*target)) {
        None => None,
        Some(Err(plain)) => Some(Box::new(inside(plain))),
        Some(Ok(Chain { conditions, value })) => match (func_name.as_str(), args.len()) {
            ("orValue", 1) => {
                args.splice(0..0, [all(conditions), value]);
                return call(operators::CONDITIONAL, args);
            }
            ("hasValue", 0) => return all(conditions),
            ("value", 0) => return value,
            // A method of what is there, such as `size`: without it the answer is an error, as without `?`.
            _ => Some(Box::new(value)),
        },
    };
    expression(Expr::Call(CallExpr { func_name, target, args }))
}

fn all(conditions: Vec<IdedExpr>) -> IdedExpr {
    let joined = conditions.into_iter().reduce(|left, right| call(operators::LOGICAL_AND, vec![left, right]));
    joined.unwrap_or_default()
}

fn call(name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    expression(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
}

fn select(operand: IdedExpr, field: String, test: bool) -> IdedExpr {
    expression(Expr::Select(SelectExpr { operand: Box::new(operand), field, test }))
}

/// Ids only serve positions in parse errors, which lie behind us.
fn expression(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}
