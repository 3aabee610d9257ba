//! What expressions compute with. JSON stays where it is and is looked at through its type.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferrite_schema::{Kind, ListType, Type};
use serde_json::{Map, Value as Json};

/// A value of CEL.
#[derive(Debug, Clone)]
pub(super) enum Value<'j> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Rc<str>),
    Bytes(Rc<[u8]>),
    /// A list that the expression made.
    List(Rc<Vec<Self>>),
    /// A mapping that the expression made.
    Map(Rc<Vec<(Self, Self)>>),
    /// A list of the object.
    JsonList(&'j [Json], &'j Type),
    /// A set or keyed list with what the expression added.
    Merged(Rc<Vec<Self>>, &'j Type),
    /// A mapping of the object.
    JsonMap(&'j Map<String, Json>, &'j Type),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since 1970, UTC.
    Timestamp(i128),
    /// In units of 10⁻⁹.
    Quantity(i128),
    Url(Rc<str>),
    Ip(IpAddr),
    Cidr(IpAddr, u8),
    Type(&'static str),
    Optional(Option<Rc<Self>>),
}

/// The field that an expression means by `name`: what is no identifier is escaped.
pub(super) fn unescape(name: &str) -> String {
    let inner = name.strip_prefix("__").and_then(|n| n.strip_suffix("__")).filter(|n| KEYWORDS.contains(n));
    if let Some(keyword) = inner {
        return keyword.to_owned();
    }
    if !name.contains("__") {
        return name.to_owned();
    }
    let plain = [("__dot__", "."), ("__dash__", "-"), ("__slash__", "/")];
    let name = plain.iter().fold(name.to_owned(), |n, (from, to)| n.replace(from, to));
    name.replace("__underscores__", "__")
}

const KEYWORDS: [&str; 18] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
];

/// The JSON value as its type has it: texts of some formats are times or bytes.
pub(super) fn lift<'j>(json: &'j Json, ty: &'j Type) -> Value<'j> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match (ty.kind, n.as_i64()) {
            (Kind::Number, _) => Value::Double(n.as_f64().unwrap_or_default()),
            (_, Some(int)) => Value::Int(int),
            _ => match n.as_f64().unwrap_or_default() {
                whole if ty.kind == Kind::Integer && whole.abs() < 9.2e18 => Value::Int(whole as i64),
                double => Value::Double(double),
            },
        },
        Json::String(text) => {
            let special = match ty.format.as_deref() {
                Some("date-time") => super::library::timestamp(text).map(Value::Timestamp),
                Some("date") => super::library::timestamp(&format!("{text}T00:00:00Z")).map(Value::Timestamp),
                Some("duration") => super::library::duration(text).map(Value::Duration),
                Some("byte") => STANDARD.decode(text).ok().map(|bytes| Value::Bytes(bytes.into())),
                _ => None,
            };
            special.unwrap_or_else(|| Value::Text(text.as_str().into()))
        }
        Json::Array(items) => Value::JsonList(items, ty),
        Json::Object(map) => Value::JsonMap(map, ty),
    }
}

impl<'j> Value<'j> {
    /// The name of its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) | Self::JsonList(..) | Self::Merged(..) => "list",
            Self::Map(_) | Self::JsonMap(..) => "map",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Url(_) => "kubernetes.URL",
            Self::Ip(_) => "net.IP",
            Self::Cidr(..) => "net.CIDR",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
        }
    }

    /// Its elements, when it is a list.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(items) | Self::Merged(items, _) => Some(items.to_vec()),
            Self::JsonList(items, ty) => Some(items.iter().map(|i| lift(i, ty.item())).collect()),
            _ => None,
        }
    }

    /// Its entries, when it is a mapping.
    pub(super) fn entries(&self) -> Option<Vec<(Self, Self)>> {
        match self {
            Self::Map(entries) => Some(entries.to_vec()),
            Self::JsonMap(map, ty) => Some(
                map.iter().map(|(k, v)| (Self::Text(k.as_str().into()), lift(v, child(ty, k)))).collect(),
            ),
            _ => None,
        }
    }

    /// How many characters, bytes, elements or entries it has.
    pub(super) fn size(&self) -> Option<usize> {
        Some(match self {
            Self::Text(text) => text.chars().count(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(items) | Self::Merged(items, _) => items.len(),
            Self::JsonList(items, _) => items.len(),
            Self::Map(entries) => entries.len(),
            Self::JsonMap(map, _) => map.len(),
            _ => return None,
        })
    }

    /// The entry of a mapping, if it is there. Null fields and undeclared ones are not.
    pub(super) fn entry(&self, key: &Self) -> Option<Self> {
        match (self, key) {
            (Self::JsonMap(map, ty), Self::Text(key)) => {
                let fields = ty.kind == Kind::Object && ty.values.is_none();
                let shown = |v: &&Json| !fields || !v.is_null() && ty.field(key).is_some();
                map.get(&**key).filter(shown).map(|v| lift(v, child(ty, key)))
            }
            (Self::Map(entries), key) => entries.iter().find(|(k, _)| k.same(key)).map(|(_, v)| v.clone()),
            _ => None,
        }
    }

    /// The field of an object, by the name that the expression uses.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        match self {
            Self::JsonMap(_, ty) => {
                let declared = unescape(name);
                let name = if ty.declares(name) || !ty.declares(&declared) { name } else { &declared };
                self.entry(&Self::Text(name.into()))
            }
            _ => self.entry(&Self::Text(name.into())),
        }
    }

    /// Equality: numbers across their types, sets and keyed lists without order.
    pub(super) fn same(&self, other: &Self) -> bool {
        if let Some(order) = self.compare_numbers(other) {
            return order == Some(Ordering::Equal);
        }
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) | (Self::Quantity(a), Self::Quantity(b)) => a == b,
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a, m), Self::Cidr(b, n)) => a == b && m == n,
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Optional(a), Self::Optional(b)) => match (a, b) {
                (Some(a), Some(b)) => a.same(b),
                (a, b) => a.is_none() && b.is_none(),
            },
            _ => match (self.items(), other.items()) {
                (Some(a), Some(b)) => a.len() == b.len() && self.same_items(other, &a, &b),
                _ => self.same_entries(other),
            },
        }
    }

    /// This list and what another has besides: keyed items are replaced, a set has no item twice.
    pub(super) fn merged(&self, other: Vec<Self>) -> Option<Self> {
        let (Self::JsonList(_, ty) | Self::Merged(_, ty)) = self else { return None };
        let mut items = self.items()?;
        match &ty.list {
            ListType::Atomic => return None,
            ListType::Set => {
                for item in other {
                    if !items.iter().any(|i| i.same(&item)) {
                        items.push(item);
                    }
                }
            }
            ListType::Map(keys) => {
                let key = |item: &Self| keys.iter().map(|k| item.field(k)).collect::<Vec<_>>();
                let alike = |a: &Self, b: &Self| {
                    key(a).iter().zip(key(b)).all(|(a, b)| match (a, b) {
                        (Some(a), Some(b)) => a.same(&b),
                        (a, b) => a.is_none() && b.is_none(),
                    })
                };
                for item in other {
                    match items.iter_mut().find(|i| alike(i, &item)) {
                        Some(found) => *found = item,
                        None => items.push(item),
                    }
                }
            }
        }
        Some(Self::Merged(Rc::new(items), ty))
    }

    fn same_items(&self, other: &Self, a: &[Self], b: &[Self]) -> bool {
        let unordered = |v: &Self| matches!(v, Self::JsonList(_, ty) | Self::Merged(_, ty) if ty.list != ListType::Atomic);
        if unordered(self) || unordered(other) {
            return a.iter().all(|x| b.iter().any(|y| x.same(y)));
        }
        a.iter().zip(b).all(|(x, y)| x.same(y))
    }

    fn same_entries(&self, other: &Self) -> bool {
        let (Some(a), Some(_)) = (self.entries(), other.entries()) else { return false };
        self.size() == other.size() && a.iter().all(|(k, v)| other.entry(k).is_some_and(|o| v.same(&o)))
    }

    /// `None` unless both are numbers; then their order, which NaN has none of.
    fn compare_numbers(&self, other: &Self) -> Option<Option<Ordering>> {
        let exact = |v: &Self| match v {
            Self::Int(n) => Some(i128::from(*n)),
            Self::Uint(n) => Some(i128::from(*n)),
            _ => None,
        };
        let double = |v: &Self| match v {
            Self::Int(n) => Some(*n as f64),
            Self::Uint(n) => Some(*n as f64),
            Self::Double(n) => Some(*n),
            _ => None,
        };
        match (exact(self), exact(other)) {
            (Some(a), Some(b)) => Some(Some(a.cmp(&b))),
            _ => Some(double(self)?.partial_cmp(&double(other)?)),
        }
    }

    /// The order of two values; `None` when their types have none.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        if let Some(order) = self.compare_numbers(other) {
            return order;
        }
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) | (Self::Quantity(a), Self::Quantity(b)) => {
                Some(a.cmp(b))
            }
            _ => None,
        }
    }
}

fn child<'t>(ty: &'t Type, name: &str) -> &'t Type {
    ty.child(name).unwrap_or_else(|| Type::any())
}
