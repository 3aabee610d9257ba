//! CEL as Flux's objects use it: compiled once, checked before it runs, evaluated over JSON.
//!
//! ```text
//! text + declared variables ─▶ Expression::compile ─▶ Expression ─▶ eval_bool / eval_string over JSON values
//!                               │ syntax, undeclared names, type of the result
//! ```
//!
//! For whoever reads `readyExpr`, `healthCheckExprs`, `commitStatusExpr` and receivers' filters. The environment is
//! Flux's: standard functions, optional syntax (`?.`, `orValue`), comparison across number types, and the extension
//! libraries strings, sets and encoders.
//!
//! ```
//! use ferrite_cel::{Expression, Output};
//! use serde_json::json;
//!
//! let ready = Expression::compile("self.status.replicas == self.spec.replicas", &["self"], Output::Bool)?;
//! let object = json!({"spec": {"replicas": 2}, "status": {"replicas": 2}});
//! assert!(ready.eval_bool(&[("self", &object)])?);
//! assert!(Expression::compile("self.ready", &["self"], Output::Bool).is_err(), "the type must be certain");
//! # Ok::<(), ferrite_cel::Error>(())
//! ```
//!
//! **Invariants.** Pure. Text and nesting are bounded, and no input panics. It deliberately has no protobuf types and
//! no cost model: who writes an expression may already write the object it stands in.

mod check;
mod functions;
mod negation;
mod optional;

use cel::objects::{Key, Map};
use cel::parser::Parser;
use cel::{Context, Value as CelValue};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of an expression.
const EXPRESSION_BYTES: usize = 16 << 10;
const NESTING: u16 = 64;
/// Levels of a syntax tree: chains of selections and operators count, too.
const LEVELS: usize = 160;
/// The parser recurses for every operator, and nothing bounds how many there are but the length of the text.
const PARSER_STACK_BYTES: usize = 512 << 20;

/// What an expression has to result in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// True or false, certain from the text alone.
    Bool,
    /// Text, certain from the text alone.
    String,
    /// Whatever it is.
    Any,
}

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no CEL.
    #[error("failed to parse the CEL expression '{expression}': {problem}")]
    Parse {
        /// The text.
        expression: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Its result has another type, or one that is only known when it runs.
    #[error("CEL expression output type mismatch: expected {expected}, got {found}")]
    Output {
        /// The type asked for.
        expected: &'static str,
        /// The type found.
        found: &'static str,
    },
    /// It fails on these values.
    #[error("failed to evaluate the CEL expression '{expression}': {problem}")]
    Evaluate {
        /// The text.
        expression: String,
        /// What went wrong.
        problem: String,
    },
}

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    text: String,
    ast: cel::IdedExpr,
}

impl Expression {
    /// Compiles `text`, which may use the variables named.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] for what is no CEL, is too long or names something undeclared, and [`Error::Output`] when its
    /// type is not the one asked for.
    pub fn compile(text: &str, variables: &[&str], output: Output) -> Result<Self, Error> {
        let refuse = |problem: String| Error::Parse { expression: text.chars().take(256).collect(), problem };
        if text.len() > EXPRESSION_BYTES {
            return Err(refuse(format!(
                "it has {} bytes, at most {EXPRESSION_BYTES} are allowed",
                text.len()
            )));
        }
        let ast = parse(text).map_err(refuse)?;
        if let Some(name) = check::undeclared(&ast, variables) {
            return Err(refuse(format!("undeclared reference to '{name}'")));
        }
        check::output(&ast, output)?;
        Ok(Self { text: text.to_owned(), ast })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Evaluates to true or false.
    ///
    /// # Errors
    ///
    /// [`Error::Evaluate`], for example for a field that is not there, and [`Error::Output`].
    pub fn eval_bool(&self, variables: &[(&str, &Value)]) -> Result<bool, Error> {
        match self.resolve(variables)? {
            CelValue::Bool(flag) => Ok(flag),
            other => Err(Error::Output { expected: "bool", found: check::type_of(&other) }),
        }
    }

    /// Evaluates to text.
    ///
    /// # Errors
    ///
    /// As [`Expression::eval_bool`].
    pub fn eval_string(&self, variables: &[(&str, &Value)]) -> Result<String, Error> {
        match self.resolve(variables)? {
            CelValue::String(text) => Ok(text.to_string()),
            other => Err(Error::Output { expected: "string", found: check::type_of(&other) }),
        }
    }

    /// Evaluates to JSON.
    ///
    /// # Errors
    ///
    /// As [`Expression::eval_bool`]; also for results that JSON cannot hold.
    pub fn eval_json(&self, variables: &[(&str, &Value)]) -> Result<Value, Error> {
        let value = self.resolve(variables)?;
        to_json(&value).ok_or_else(|| Error::Output { expected: "JSON", found: check::type_of(&value) })
    }

    fn resolve(&self, variables: &[(&str, &Value)]) -> Result<CelValue, Error> {
        let mut context = Context::default();
        functions::add(&mut context);
        for (name, value) in variables {
            context.add_variable_from_value(*name, from_json(value));
        }
        CelValue::resolve(&self.ast, &context).map_err(|error| Error::Evaluate {
            expression: self.text.chars().take(256).collect(),
            problem: problem(&error),
        })
    }
}

/// Parses on a stack of its own, where even a text of nothing but operators fits, and keeps no tree that others could
/// not walk. The stack is address space: only what is used is memory.
fn parse(text: &str) -> Result<cel::IdedExpr, String> {
    let work = || {
        let parser = Parser::new().enable_optional_syntax(true).max_recursion_depth(NESTING);
        let ast = parser
            .parse(&negation::cancel_pairs(text))
            .map_err(|errors| errors.to_string().trim().to_owned())?;
        if check::levels(&ast) > LEVELS {
            return Err(format!("it is nested deeper than {LEVELS} levels"));
        }
        Ok(optional::expand(ast))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES).spawn_scoped(scope, work);
        let parsed = thread.map_err(|error| format!("cannot start a thread to parse it: {error}"))?;
        parsed.join().unwrap_or_else(|_| Err("the parser failed on it, which is a bug".to_owned()))
    })
}

/// The failure as cel-go words the usual ones; values are not shown, they may be secret.
fn problem(error: &cel::ExecutionError) -> String {
    use cel::ExecutionError as E;
    match error {
        E::NoSuchKey(key) => format!("no such key: {key}"),
        E::UndeclaredReference(name) => format!("undeclared reference to '{name}'"),
        E::FunctionError { function, message } => format!("{function}: {message}"),
        E::UnexpectedType { got, want } => format!("unexpected type: got {got}, want {want}"),
        E::InvalidArgumentCount { expected, actual } => {
            format!("invalid argument count: expected {expected}, got {actual}")
        }
        E::DivisionByZero(_) | E::RemainderByZero(_) => "division by zero".to_owned(),
        E::Overflow(..) => "integer overflow".to_owned(),
        E::IndexOutOfBounds(_) => "index out of bounds".to_owned(),
        _ => "no such overload".to_owned(),
    }
}

fn from_json(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => CelValue::Int(int),
            (None, Some(uint)) => CelValue::UInt(uint),
            // Equality knows one number type at a time, so a whole number is always an int.
            (None, None) => match number.as_f64().unwrap_or_default() {
                whole if whole.fract() == 0.0 && whole.abs() < 9e15 => CelValue::Int(whole as i64),
                float => CelValue::Float(float),
            },
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(from_json).collect())),
        Value::Object(fields) => {
            let map: HashMap<Key, CelValue> = fields
                .iter()
                .map(|(key, value)| (Key::String(Arc::new(key.clone())), from_json(value)))
                .collect();
            CelValue::Map(Map { map: Arc::new(map) })
        }
    }
}

fn to_json(value: &CelValue) -> Option<Value> {
    Some(match value {
        CelValue::Null => Value::Null,
        CelValue::Bool(flag) => Value::Bool(*flag),
        CelValue::Int(int) => Value::from(*int),
        CelValue::UInt(uint) => Value::from(*uint),
        CelValue::Float(float) => serde_json::Number::from_f64(*float).map(Value::Number)?,
        CelValue::String(text) => Value::String(text.to_string()),
        CelValue::List(items) => Value::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        CelValue::Map(map) => {
            let mut fields: Vec<(String, Value)> = Vec::new();
            for (key, value) in map.map.iter() {
                fields.push((key.to_string(), to_json(value)?));
            }
            fields.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(fields.into_iter().collect())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
