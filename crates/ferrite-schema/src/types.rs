//! The one model of a type, for built-in kinds and custom resources alike.

use crate::builtin;
use crate::rules::Rules;
use serde_json::Value;
use std::ops::Deref;

/// What JSON a value of the type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is known: any JSON.
    Any,
    /// A mapping, with fields or with free keys.
    Object,
    /// A list.
    Array,
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A port or percentage: `80` or `"http"`.
    IntOrString,
    /// A resource quantity: `"100m"`, `1`.
    Quantity,
}

/// How a list merges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ListType {
    /// Owned and replaced whole.
    #[default]
    Atomic,
    /// Scalars, each at most once.
    Set,
    /// Mappings told apart by these keys.
    Map(Vec<Box<str>>),
}

/// What strategic merge patch does with a field, from Go's `patchStrategy` and `patchMergeKey`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patch {
    /// Lists merge instead of being replaced.
    pub merge: bool,
    /// The mapping is replaced whole.
    pub replace: bool,
    /// `$retainKeys` is honoured and expected.
    pub retain_keys: bool,
    /// The key by which items of a merged list are matched; `None` for lists of scalars.
    pub merge_key: Option<Box<str>>,
}

/// How Go encodes a field of a built-in type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Go {
    /// Left out when zero.
    pub omit_empty: bool,
    /// A struct that is left out when zero.
    pub omit_zero: bool,
    /// A pointer: absent and zero are two values.
    pub pointer: bool,
    /// A struct by value: always written, as `{}` when empty.
    pub value_struct: bool,
}

/// One declared field of an object.
#[derive(Debug, Clone)]
pub struct Field {
    /// The JSON name.
    pub name: Box<str>,
    /// Its type.
    pub ty: Ref,
    /// Strategic merge.
    pub patch: Patch,
    /// Go's encoding; all false for custom resources.
    pub go: Go,
}

/// A type in place, or a built-in definition (types may refer to themselves).
#[derive(Debug, Clone)]
pub enum Ref {
    /// Written where it is used.
    Own(Box<Type>),
    /// The n-th built-in definition.
    Builtin(u16),
}

impl Deref for Ref {
    type Target = Type;

    fn deref(&self) -> &Type {
        match self {
            Self::Own(ty) => ty,
            Self::Builtin(index) => builtin::definition(*index),
        }
    }
}

/// A type: scalar, list or mapping, with what merges and validation need to know.
#[derive(Debug, Clone)]
pub struct Type {
    /// Full name of a built-in definition (`io.k8s.api.core.v1.Pod`), empty elsewhere.
    pub name: Box<str>,
    /// What JSON it is.
    pub kind: Kind,
    /// `int32`, `date-time`, `byte`, …
    pub format: Option<Box<str>>,
    /// `null` is a value.
    pub nullable: bool,
    /// Declared fields; in Go's order for built-in types.
    pub fields: Vec<Field>,
    by_name: Vec<u16>,
    /// Type of undeclared keys (`additionalProperties`).
    pub values: Option<Ref>,
    /// Type of a list's items.
    pub items: Option<Ref>,
    /// How a list merges.
    pub list: ListType,
    /// The schema says of the list that it is atomic, which a list is without saying.
    pub said_atomic: bool,
    /// A mapping that is owned whole.
    pub atomic: bool,
    /// Undeclared fields are kept (`x-kubernetes-preserve-unknown-fields`).
    pub preserve_unknown: bool,
    /// Holds `apiVersion`, `kind` and `metadata` of its own.
    pub embedded: bool,
    /// Fields that must be there.
    pub required: Vec<Box<str>>,
    /// Value when absent.
    pub default: Option<Value>,
    /// Value validations of a custom resource's schema.
    pub rules: Option<Box<Rules>>,
    /// Decoded into a Go struct: nulls and zeros vanish, unknown fields are dropped.
    pub builtin: bool,
}

impl Type {
    /// A type of this kind with nothing else said.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        Self {
            name: "".into(),
            kind,
            format: None,
            nullable: false,
            fields: Vec::new(),
            by_name: Vec::new(),
            values: None,
            items: None,
            list: ListType::Atomic,
            said_atomic: false,
            atomic: false,
            preserve_unknown: false,
            embedded: false,
            required: Vec::new(),
            default: None,
            rules: None,
            builtin: false,
        }
    }

    /// The type of any JSON: mappings merge, lists are atomic. Used where no schema says more.
    #[must_use]
    pub fn any() -> &'static Self {
        static ANY: std::sync::OnceLock<Type> = std::sync::OnceLock::new();
        ANY.get_or_init(|| {
            let mut ty = Self::of(Kind::Any);
            ty.preserve_unknown = true;
            ty.nullable = true;
            ty
        })
    }

    /// The type of a custom resource without a schema: metadata is typed, the rest is free.
    #[must_use]
    pub fn free_object() -> &'static Self {
        static FREE: std::sync::OnceLock<Type> = std::sync::OnceLock::new();
        FREE.get_or_init(|| {
            let mut ty = Self::of(Kind::Object);
            ty.preserve_unknown = true;
            ty.set_fields(crate::crd::object_fields());
            ty
        })
    }

    /// Sets the declared fields and their index.
    pub fn set_fields(&mut self, fields: Vec<Field>) {
        self.fields = fields;
        self.by_name = (0..u16::try_from(self.fields.len()).unwrap_or(u16::MAX)).collect();
        let fields = &self.fields;
        self.by_name.sort_by(|a, b| fields[usize::from(*a)].name.cmp(&fields[usize::from(*b)].name));
    }

    /// The declared field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        let found = self.by_name.binary_search_by(|i| (*self.fields[usize::from(*i)].name).cmp(name)).ok()?;
        self.fields.get(usize::from(self.by_name[found]))
    }

    /// The type of the value under `name`: declared, free, or `None` when the schema knows no such field.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        if let Some(field) = self.field(name) {
            return Some(&field.ty);
        }
        if let Some(values) = &self.values {
            return Some(values);
        }
        (self.preserve_unknown || self.kind == Kind::Any).then(Self::any)
    }

    /// The type of a list's items.
    #[must_use]
    pub fn item(&self) -> &Self {
        self.items.as_deref().unwrap_or_else(|| Self::any())
    }

    /// Whether `name` is a declared field, as opposed to a free key.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// The value that stands for an absent key of a keyed list's item, if its type has one.
    ///
    /// Built-in types: the documented default (`TCP` for a protocol), else Go's zero value where the key is required.
    #[must_use]
    pub fn key_default(&self, key: &str) -> Option<Value> {
        let field = self.field(key)?;
        if let Some(default) = &field.ty.default {
            return Some(default.clone());
        }
        if !self.builtin {
            return None;
        }
        if !self.required.iter().any(|r| **r == *key) {
            return None;
        }
        match field.ty.kind {
            Kind::String => Some(Value::from("")),
            Kind::Integer | Kind::Number => Some(Value::from(0)),
            Kind::Any | Kind::Object | Kind::Array | Kind::Boolean | Kind::IntOrString | Kind::Quantity => {
                None
            }
        }
    }

    /// The merge key of the list field `name` in strategic merge patches, if it has one.
    #[must_use]
    pub fn merge_key(&self, name: &str) -> Option<&str> {
        self.field(name)?.patch.merge_key.as_deref()
    }
}
