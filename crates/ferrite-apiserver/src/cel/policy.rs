//! Expressions of admission policies: several named values, any answer.

use std::rc::Rc;

use ferrite_schema::Type;
use serde_json::Value as Json;

use super::eval::{BUDGET, Failure, Meter, Scope, eval};
use super::syntax::parse;
use super::value::{Value, lift};

/// A name that expressions may use, its value and that value's type.
pub(crate) type Named<'a> = (&'a str, &'a Json, &'a Type);

/// What an expression came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
    /// A value of another kind.
    Other,
}

/// Asks `expression` about the named values; `variables` are expressions that it may use as `variables.<name>`, each
/// of which may use those before it.
///
/// # Errors
///
/// What is wrong with the expression, or with it for these values.
pub(crate) fn ask(
    expression: &str,
    named: &[Named<'_>],
    variables: &[(&str, &str)],
) -> Result<Answer, String> {
    let node = parse(expression).map_err(|e| e.message)?;
    let mut meter = Meter(BUDGET);
    let mut answer = Ok(Answer::Other);
    with(&Scope::empty(), named, &mut |scope| {
        let mut known: Vec<(Value<'_>, Value<'_>)> = Vec::new();
        if node.uses("variables") {
            for (name, expression) in variables {
                let Ok(node) = parse(expression) else { continue };
                let inner = scope.with("variables", Value::Map(Rc::new(known.clone())));
                // One that fails is missing, which only an expression that uses it notices.
                if let Ok(value) = eval(&node, &inner, &mut meter) {
                    known.push((Value::Text((*name).into()), value));
                }
            }
        }
        let scope = scope.with("variables", Value::Map(Rc::new(known)));
        answer = match eval(&node, &scope, &mut meter) {
            Ok(Value::Bool(yes)) => Ok(Answer::Bool(yes)),
            Ok(Value::Text(text)) => Ok(Answer::Text(text.to_string())),
            Ok(_) => Ok(Answer::Other),
            Err(Failure::Error(why)) => Err(why),
            Err(Failure::NoOverload) => Err("no such overload".to_owned()),
            Err(Failure::Budget) => Err("the expression costs too much".to_owned()),
        };
    });
    answer
}

fn with<'j>(scope: &Scope<'j, '_>, named: &[Named<'j>], run: &mut dyn FnMut(&Scope<'j, '_>)) {
    match named.split_first() {
        None => run(scope),
        Some(((name, json, ty), rest)) => with(&scope.with(name, lift(json, ty)), rest, run),
    }
}

#[cfg(test)]
mod tests {
    use ferrite_schema::Type;
    use serde_json::json;

    use super::{Answer, ask};

    #[test]
    fn named_values_and_variables() {
        let object = json!({"metadata": {"name": "abc", "labels": {"owner": "me"}}});
        let named = [("object", &object, Type::any())];
        let variables = [("length", "object.metadata.name.size()"), ("long", "variables.length > 2")];
        for (expression, wanted) in [
            ("has(object.metadata.labels) && 'owner' in object.metadata.labels", Ok(Answer::Bool(true))),
            ("'name ' + object.metadata.name", Ok(Answer::Text("name abc".to_owned()))),
            ("variables.long", Ok(Answer::Bool(true))),
            ("object.metadata.name.size()", Ok(Answer::Other)),
            ("object.nope", Err("no such key: nope".to_owned())),
        ] {
            assert_eq!(ask(expression, &named, &variables), wanted, "{expression}");
        }
        assert!(ask("object.", &named, &[]).is_err());
    }
}
