//! What a schema says a value is: mapping, list or scalar, whole or in parts.

use super::element::{Element, Scalar};
use ferrite_schema::{Kind, ListType, Type};
use serde_json::Value;

/// The three ways to walk a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Map,
    List,
    Scalar,
}

/// A form, and whether it is the only one that the schema and the value allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) form: Form,
    certain: bool,
}

/// The form of `value` under `ty`. Without a schema the value decides; nothing and null count as mappings there.
pub(crate) fn shape(ty: &Type, value: Option<&Value>) -> Shape {
    let form = match ty.kind {
        Kind::Object => Form::Map,
        Kind::Array => Form::List,
        Kind::String | Kind::Integer | Kind::Number | Kind::Boolean | Kind::IntOrString | Kind::Quantity => {
            Form::Scalar
        }
        Kind::Any => match value {
            Some(Value::Array(_)) => Form::List,
            Some(Value::Object(_)) => Form::Map,
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => Form::Scalar,
            Some(Value::Null) | None => return Shape { form: Form::Map, certain: false },
        },
    };
    Shape { form, certain: true }
}

/// Whether a mapping of this type has one owner for all of it.
pub(crate) fn whole_map(ty: &Type) -> bool {
    // Built-in types without a schema, such as a default in a CRD's schema, are values of their own.
    ty.atomic || ty.kind == Kind::Any && ty.builtin
}

/// Whether a list of this type has one owner for all of it.
pub(crate) fn whole_list(ty: &Type) -> bool {
    ty.kind != Kind::Array || ty.list == ListType::Atomic
}

/// Whether any field may be there: nothing is declared.
pub(crate) fn free(ty: &Type) -> bool {
    ty.kind == Kind::Any || ty.fields.is_empty() && ty.values.is_none()
}

/// The type of the value at a key, `None` when the schema has no such field.
pub(crate) fn child<'t>(ty: &'t Type, name: &str) -> Option<&'t Type> {
    ty.child(name).or_else(|| free(ty).then(Type::any))
}

/// The path element of a list item, or why there is none.
pub(crate) fn item_element(ty: &Type, item: &Value) -> Result<Element, String> {
    match &ty.list {
        ListType::Atomic => Err("invalid indexing of non-associative list".to_owned()),
        ListType::Set => match item {
            Value::Object(_) => {
                Err("associative list without keys has an element that's a map type".to_owned())
            }
            Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
            Value::Null => {
                Err("associative list without keys has an element that's an explicit null".to_owned())
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(Element::Value(Scalar(item.clone()))),
        },
        ListType::Map(keys) => keyed(ty, keys, item),
    }
}

fn keyed(ty: &Type, keys: &[Box<str>], item: &Value) -> Result<Element, String> {
    let map = match item {
        Value::Object(map) => map,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let mut fields = Vec::with_capacity(keys.len());
    for key in keys {
        let value = map.get(&**key).cloned().or_else(|| ty.item().key_default(key));
        if let Some(value) = value {
            fields.push((key.clone(), Scalar(value)));
        }
    }
    if !keys.is_empty() && fields.is_empty() {
        let keys: Vec<_> = keys.iter().map(|k| crate::go::quote(k)).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default \
             values for any key fields)",
            keys.join(" ")
        ));
    }
    fields.sort();
    Ok(Element::Key(fields))
}

/// The type of the value at a key; anything goes where the schema has no such field.
pub(crate) fn child_or_any<'t>(ty: &'t Type, name: &str) -> &'t Type {
    child(ty, name).unwrap_or_else(|| Type::any())
}
