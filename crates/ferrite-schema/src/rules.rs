//! Value validations of a custom resource's schema, kept as data and checked by `validate`.

use crate::types::Type;
use serde_json::{Number, Value};

/// What a schema demands of a value beyond its type.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The only values allowed.
    pub enumeration: Vec<Value>,
    /// A regular expression the text must contain, as written and as compiled.
    pub pattern: Option<(Box<str>, Option<regex::Regex>)>,
    /// Smallest number, and whether it is itself excluded.
    pub minimum: Option<(Number, bool)>,
    /// Largest number, and whether it is itself excluded.
    pub maximum: Option<(Number, bool)>,
    /// The number must be a multiple of this.
    pub multiple_of: Option<Number>,
    /// Fewest and most characters.
    pub length: (Option<u64>, Option<u64>),
    /// Fewest and most items.
    pub items: (Option<u64>, Option<u64>),
    /// Fewest and most keys.
    pub properties: (Option<u64>, Option<u64>),
    /// Items must differ.
    pub unique_items: bool,
    /// All of these must hold.
    pub all_of: Vec<Type>,
    /// At least one of these must hold.
    pub any_of: Vec<Type>,
    /// Exactly one of these must hold.
    pub one_of: Vec<Type>,
    /// This must not hold.
    pub not: Option<Box<Type>>,
    /// `x-kubernetes-validations`, as written; the caller evaluates CEL.
    pub validations: Vec<Value>,
}
