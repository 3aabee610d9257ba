//! The value model: what a Go template can hold, with Go's distinctions.
//!
//! Values are cheap to copy: strings, lists and maps are shared. Maps are mutable through every handle, as
//! Go's are, because charts rely on `set` being visible elsewhere. A render stays on one thread, hence [`Rc`].

use std::{
    borrow::Borrow,
    cell::{Ref, RefCell, RefMut},
    collections::BTreeMap,
    fmt,
    ops::Deref,
    rc::Rc,
};

use crate::object::Object;

/// A Go string: shared bytes, usually but not always UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str(Rc<[u8]>);

impl Str {
    /// The text, with invalid sequences replaced.
    #[must_use]
    pub fn to_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Deref for Str {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Str {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Self(Rc::from(text.as_bytes()))
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(Rc::from(text.into_bytes()))
    }
}

impl From<Vec<u8>> for Str {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Rc::from(bytes))
    }
}

impl From<&[u8]> for Str {
    fn from(bytes: &[u8]) -> Self {
        Self(Rc::from(bytes))
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_text())
    }
}

/// What a list holds, by its Go type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    /// `[]interface {}`
    Any,
    /// `[]string`
    Str,
    /// `[]int`
    Int,
    /// `[][]interface {}`
    Lists,
    /// `[]map[string]interface {}`
    Maps,
}

impl Elem {
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Str => "string",
            Self::Int => "int",
            Self::Lists => "[]interface {}",
            Self::Maps => "map[string]interface {}",
        }
    }
}

#[derive(Debug)]
struct ListData {
    elem: Elem,
    nil: bool,
    items: Vec<Value>,
}

/// Takes values apart without recursion, so that deep nesting cannot exhaust the stack.
fn release(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        match value {
            Value::List(List(list)) => {
                if let Ok(mut data) = Rc::try_unwrap(list) {
                    pending.append(&mut data.items);
                }
            }
            Value::Map(Map { data: map, .. }) => {
                if let Ok(data) = Rc::try_unwrap(map) {
                    pending.extend(std::mem::take(&mut *data.entries.borrow_mut()).into_values());
                }
            }
            _ => {}
        }
    }
}

impl Drop for ListData {
    fn drop(&mut self) {
        if self.items.iter().any(Value::is_composite) {
            release(std::mem::take(&mut self.items));
        }
    }
}

impl Drop for MapData {
    fn drop(&mut self) {
        let entries = self.entries.get_mut();
        if entries.values().any(Value::is_composite) {
            release(std::mem::take(entries).into_values().collect());
        }
    }
}

/// A Go slice. Never changed in place: no template function does.
#[derive(Clone, Debug)]
pub struct List(Rc<ListData>);

impl List {
    /// A slice of the given element type.
    #[must_use]
    pub fn new(elem: Elem, items: Vec<Value>) -> Self {
        Self(Rc::new(ListData { elem, nil: false, items }))
    }

    /// A nil slice, which prints as `[]` and encodes as `null`.
    #[must_use]
    pub fn nil(elem: Elem) -> Self {
        Self(Rc::new(ListData { elem, nil: true, items: Vec::new() }))
    }

    /// The element type.
    #[must_use]
    pub fn elem(&self) -> Elem {
        self.0.elem
    }

    /// Whether this is a nil slice.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.0.nil
    }

    /// An identity for cycle checks.
    #[must_use]
    pub fn address(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }
}

impl Deref for List {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        &self.0.items
    }
}

/// A map's Go type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// `map[string]interface {}`
    Any,
    /// `common.Values`: same content, other name.
    Values,
    /// `map[string]string`
    Strings,
    /// A nil `map[string]interface {}`, which prints as `map[]` and encodes as `null`.
    NilAny,
    /// A nil `map[string]string`, which prints as `map[]` and encodes as `null`.
    NilStrings,
}

impl MapKind {
    /// Whether this is a nil map, as long as nothing was put into it.
    #[must_use]
    pub fn is_nil(self) -> bool {
        matches!(self, Self::NilAny | Self::NilStrings)
    }

    /// Whether the elements are strings.
    #[must_use]
    pub fn is_strings(self) -> bool {
        matches!(self, Self::Strings | Self::NilStrings)
    }

    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Any | Self::NilAny => "map[string]interface {}",
            Self::Values => "common.Values",
            Self::Strings | Self::NilStrings => "map[string]string",
        }
    }
}

struct MapData {
    entries: RefCell<BTreeMap<Str, Value>>,
}

/// A Go map with string keys: a shared, mutable reference. The type belongs to the reference, as a conversion changes
/// it without copying the map.
#[derive(Clone)]
pub struct Map {
    data: Rc<MapData>,
    kind: MapKind,
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.type_name())
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new(MapKind::Any)
    }
}

impl Map {
    /// An empty map.
    #[must_use]
    pub fn new(kind: MapKind) -> Self {
        Self::with(kind, BTreeMap::new())
    }

    /// A map with these entries.
    #[must_use]
    pub fn with(kind: MapKind, entries: BTreeMap<Str, Value>) -> Self {
        Self { data: Rc::new(MapData { entries: RefCell::new(entries) }), kind }
    }

    /// The Go type.
    #[must_use]
    pub fn kind(&self) -> MapKind {
        self.kind
    }

    /// The same map under another Go type.
    #[must_use]
    pub fn converted(&self, kind: MapKind) -> Self {
        Self { data: Rc::clone(&self.data), kind }
    }

    /// The entry, if there is one.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        self.data.entries.borrow().get(key).cloned()
    }

    /// Sets an entry.
    pub fn insert(&self, key: impl Into<Str>, value: Value) {
        self.data.entries.borrow_mut().insert(key.into(), value);
    }

    /// Removes an entry.
    pub fn remove(&self, key: &[u8]) -> Option<Value> {
        self.data.entries.borrow_mut().remove(key)
    }

    /// Read access to the entries. Hold it briefly: a write meanwhile panics.
    #[must_use]
    pub fn entries(&self) -> Ref<'_, BTreeMap<Str, Value>> {
        self.data.entries.borrow()
    }

    /// Write access to the entries.
    #[must_use]
    pub fn entries_mut(&self) -> RefMut<'_, BTreeMap<Str, Value>> {
        self.data.entries.borrow_mut()
    }

    /// A copy of the entries, for walks that may change the map.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(Str, Value)> {
        self.data.entries.borrow().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.entries.borrow().len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both handles are the same map.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.data, &other.data)
    }

    /// An identity for cycle checks.
    #[must_use]
    pub fn address(&self) -> usize {
        Rc::as_ptr(&self.data).addr()
    }
}

/// A value in a template.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value: an untyped nil.
    #[default]
    Nil,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `int64`
    Int64(i64),
    /// `uint8`, as indexing a string gives it.
    Byte(u8),
    /// `uint64`, as fields of a parsed version are.
    Uint64(u64),
    /// `float64`
    Float(f64),
    /// `complex128`
    Complex(f64, f64),
    /// `string`
    Str(Str),
    /// `[]uint8`
    Bytes(Str),
    /// A slice.
    List(List),
    /// A map.
    Map(Map),
    /// A struct, or a named type with methods.
    Object(Rc<dyn Object>),
}

/// Go's `reflect.Kind`, as far as values here have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No value.
    Invalid,
    /// bool
    Bool,
    /// int
    Int,
    /// int64
    Int64,
    /// uint8
    Uint8,
    /// uint64
    Uint64,
    /// float64
    Float64,
    /// complex128
    Complex128,
    /// string
    String,
    /// slice
    Slice,
    /// map
    Map,
    /// struct
    Struct,
    /// ptr
    Ptr,
}

impl Kind {
    /// Go's name of the kind.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint64 => "uint64",
            Self::Float64 => "float64",
            Self::Complex128 => "complex128",
            Self::String => "string",
            Self::Slice => "slice",
            Self::Map => "map",
            Self::Struct => "struct",
            Self::Ptr => "ptr",
        }
    }
}

impl Value {
    /// A string value.
    pub fn str(text: impl Into<Str>) -> Self {
        Self::Str(text.into())
    }

    /// A `[]interface {}`.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(List::new(Elem::Any, items))
    }

    /// A `[]string`.
    pub fn strings<S: Into<Str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::List(List::new(Elem::Str, items.into_iter().map(|s| Self::Str(s.into())).collect()))
    }

    /// A `map[string]interface {}`.
    pub fn map<K: Into<Str>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(Map::with(MapKind::Any, entries.into_iter().map(|(k, v)| (k.into(), v)).collect()))
    }

    /// The Go type's name, `interface {}` excluded: nil has the name `<nil>`.
    #[must_use]
    pub fn type_name(&self) -> String {
        match self {
            Self::Nil => "<nil>".into(),
            Self::List(list) => format!("[]{}", list.elem().type_name()),
            Self::Bytes(_) => "[]uint8".into(),
            Self::Map(map) => map.kind().type_name().into(),
            Self::Object(object) => object.type_name().into(),
            Self::Bool(_)
            | Self::Int(_)
            | Self::Int64(_)
            | Self::Byte(_)
            | Self::Uint64(_)
            | Self::Float(_)
            | Self::Complex(..)
            | Self::Str(_) => self.kind().name().into(),
        }
    }

    /// The Go kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Nil => Kind::Invalid,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Int64(_) => Kind::Int64,
            Self::Byte(_) => Kind::Uint8,
            Self::Uint64(_) => Kind::Uint64,
            Self::Float(_) => Kind::Float64,
            Self::Complex(..) => Kind::Complex128,
            Self::Str(_) => Kind::String,
            Self::List(_) | Self::Bytes(_) => Kind::Slice,
            Self::Map(_) => Kind::Map,
            Self::Object(object) => object.kind(),
        }
    }

    /// Go template truth: what is not the zero value or empty. Structs are true.
    #[must_use]
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(i) | Self::Int64(i) => *i != 0,
            Self::Byte(b) => *b != 0,
            Self::Uint64(u) => *u != 0,
            Self::Float(f) => *f != 0.0,
            Self::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Self::Str(s) | Self::Bytes(s) => !s.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Object(object) => object.truth(),
        }
    }

    /// The map behind this value, also when an object wraps one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The elements, if this is any slice.
    #[must_use]
    pub fn items(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(list) => Some(list.to_vec()),
            Self::Bytes(bytes) => Some(bytes.iter().map(|b| Self::Byte(*b)).collect()),
            Self::Object(object) => object.as_list().map(|list| list.to_vec()),
            _ => None,
        }
    }

    /// The signed integer behind an integer value.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(i) | Self::Int64(i) => Some(*i),
            _ => None,
        }
    }

    fn is_composite(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_))
    }

    /// Go's `reflect.DeepEqual`: types count. Values that differ only deeper than 1000 levels are not equal.
    #[must_use]
    pub fn deep_equal(&self, other: &Self) -> bool {
        self.equal_within(other, 1000)
    }

    fn equal_within(&self, other: &Self, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) | (Self::Int64(a), Self::Int64(b)) => a == b,
            (Self::Byte(a), Self::Byte(b)) => a == b,
            (Self::Uint64(a), Self::Uint64(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Complex(a, b), Self::Complex(c, d)) => a == c && b == d,
            (Self::Str(a), Self::Str(b)) | (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.elem() == b.elem()
                    && a.is_nil() == b.is_nil()
                    && a.len() == b.len()
                    && (a.address() == b.address()
                        || a.iter().zip(b.iter()).all(|(a, b)| a.equal_within(b, depth)))
            }
            (Self::Map(a), Self::Map(b)) => {
                a.kind() == b.kind()
                    && (a.same(b)
                        || a.len() == b.len() && {
                            let (a, b) = (a.entries(), b.entries());
                            a.iter().zip(b.iter()).all(|((k, v), (l, w))| k == l && v.equal_within(w, depth))
                        })
            }
            (Self::Object(a), Self::Object(b)) => Rc::ptr_eq(a, b) || a.deep_equal(&**b),
            _ => false,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Str(bytes.into())
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}
