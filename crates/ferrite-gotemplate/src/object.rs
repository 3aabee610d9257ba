//! Values with methods or fields of their own: structs and named types of the host.

use std::{any::Any, fmt::Debug};

use crate::{
    error::Error,
    value::{Kind, List, Str, Value},
};

/// What a struct or a named type answers to a template.
pub trait Object: Debug {
    /// The Go type's name, such as `time.Time`.
    fn type_name(&self) -> &'static str;

    /// `struct` or `ptr` for structs, `map` or `slice` for named types over those.
    fn kind(&self) -> Kind {
        Kind::Struct
    }

    /// Parameters of the method, or `None` when there is no such method.
    fn method(&self, name: &str) -> Option<Method> {
        let _ = name;
        None
    }

    /// Calls a method that [`Object::method`] announced.
    ///
    /// # Errors
    ///
    /// What the Go method's error says.
    fn call(&self, name: &str, args: &[Value]) -> Result<Value, Error> {
        let _ = args;
        Err(Error::plain(format!("no method {name}")))
    }

    /// A field, for structs.
    fn field(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// `(name, value)` of the exported fields in order, for printing and encoding structs.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// The text of `String()` or `Error()`, when the type has one.
    fn text(&self) -> Option<String> {
        None
    }

    /// The integer behind a named integer type.
    fn number(&self) -> Option<i64> {
        None
    }

    /// The text an action prints, where it is not [`Object::text`]: `String()` of the pointer to an addressable value.
    fn printed(&self) -> Option<String> {
        None
    }

    /// The slice behind a named slice type.
    fn as_list(&self) -> Option<&List> {
        None
    }

    /// The entries of a named map type, sorted by key.
    fn as_entries(&self) -> Option<Vec<(Str, Value)>> {
        None
    }

    /// Template truth.
    fn truth(&self) -> bool {
        match self.kind() {
            Kind::Slice => self.as_list().is_some_and(|list| !list.is_empty()),
            Kind::Map => self.as_entries().is_some_and(|entries| !entries.is_empty()),
            _ => true,
        }
    }

    /// What `toJson` makes of it: the value to encode in its place.
    fn json(&self) -> Value {
        if let Some(list) = self.as_list() {
            return Value::List(list.clone());
        }
        if let Some(entries) = self.as_entries() {
            return Value::map(entries);
        }
        Value::map(self.fields())
    }

    /// The fields to encode in this order, for structs whose JSON has them in place of [`Object::json`].
    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        None
    }

    /// `reflect.DeepEqual` with another object.
    fn deep_equal(&self, other: &dyn Object) -> bool {
        self.type_name() == other.type_name() && self.text().is_some() && self.text() == other.text()
    }

    /// The concrete type, for functions that need it.
    fn as_any(&self) -> &dyn Any;
}

/// The parameters of a method.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Fixed parameters.
    pub params: &'static [crate::func::Ty],
    /// The type of further ones.
    pub variadic: Option<crate::func::Ty>,
}

impl Method {
    /// A method without parameters.
    pub const NONE: Self = Self { params: &[], variadic: None };
}
