//! Functions a template can call, with the parameter types Go would check.

use std::{collections::HashMap, fmt, rc::Rc};

use crate::{error::Error, exec::Exec, value::Value};

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ty {
    /// `interface {}`
    Any,
    /// `reflect.Value`: anything, nil included.
    Reflect,
    /// `string`
    Str,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `float64`
    Float,
    /// `map[string]interface {}`
    Map,
    /// `[]interface {}`
    List,
    /// `[]string`
    Strings,
    /// `[]uint8`
    Bytes,
    /// `uint32`
    Uint32,
    /// `time.Time`
    Time,
    /// A host type by its Go name.
    Named(&'static str),
}

impl Ty {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Reflect => "reflect.Value",
            Self::Str => "string",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Float => "float64",
            Self::Map => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Strings => "[]string",
            Self::Bytes => "[]uint8",
            Self::Uint32 => "uint32",
            Self::Time => "time.Time",
            Self::Named(name) => name,
        }
    }

    pub(crate) fn can_be_nil(self) -> bool {
        match self {
            Self::Any | Self::Reflect | Self::Map | Self::List | Self::Strings | Self::Bytes => true,
            Self::Named(name) => name.starts_with('*'),
            Self::Str | Self::Bool | Self::Int | Self::Int64 | Self::Float | Self::Uint32 | Self::Time => {
                false
            }
        }
    }
}

type Plain = fn(&[Value]) -> Result<Value, Error>;
type Host = Rc<dyn Fn(&mut Exec<'_>, &[Value]) -> Result<Value, Error>>;

/// How a function is carried out.
#[derive(Clone)]
pub(crate) enum Body {
    And,
    Or,
    Plain(Plain),
    Host(Host),
}

/// A callable function.
#[derive(Clone)]
pub struct Function {
    pub(crate) params: &'static [Ty],
    pub(crate) variadic: Option<Ty>,
    pub(crate) body: Body,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "func({:?}, {:?}...)", self.params, self.variadic)
    }
}

impl Function {
    /// A function of its arguments only.
    pub const fn plain(params: &'static [Ty], variadic: Option<Ty>, f: Plain) -> Self {
        Self { params, variadic, body: Body::Plain(f) }
    }

    /// A function that needs the running template or state of the host.
    pub fn host(
        params: &'static [Ty],
        variadic: Option<Ty>,
        f: impl Fn(&mut Exec<'_>, &[Value]) -> Result<Value, Error> + 'static,
    ) -> Self {
        Self { params, variadic, body: Body::Host(Rc::new(f)) }
    }
}

/// Functions by name.
#[derive(Clone, Debug, Default)]
pub struct Functions(HashMap<&'static str, Function>);

impl Functions {
    /// Only what `text/template` itself has.
    #[must_use]
    pub fn builtin() -> Self {
        let mut functions = Self::default();
        crate::builtins::register(&mut functions);
        functions
    }

    /// Adds or replaces a function.
    pub fn insert(&mut self, name: &'static str, function: Function) {
        self.0.insert(name, function);
    }

    /// Removes a function.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Whether there is such a function.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Function> {
        self.0.get(name)
    }

    /// Adds several plain functions.
    pub(crate) fn add(&mut self, rows: &[(&'static str, &'static [Ty], Option<Ty>, Plain)]) {
        for (name, params, variadic, f) in rows {
            self.insert(name, Function::plain(params, *variadic, *f));
        }
    }
}
