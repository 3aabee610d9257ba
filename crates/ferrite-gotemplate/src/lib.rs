//! Go's `text/template` and the sprig function library, with Go's values, messages and `fmt`.
//!
//! ```text
//! text ─▶ parse ─▶ Template ─▶ Templates (a set) ─▶ Engine::execute(name, data) ─▶ bytes
//!                                                      │  Functions: builtin, sprig, the host's own
//!                                                      └  Limits: steps, output, depth, stack, time
//! ```
//!
//! For whoever has to render what Go programs render, byte for byte, errors included. A [`Value`] keeps Go's types
//! apart (`int`, `int64`, `float64`, nil, `[]string`, …), because templates can tell; maps are shared and mutable, as
//! Go's are. A host adds functions with [`Functions::insert`] and structs with methods through [`Object`].
//!
//! ```
//! use ferrite_gotemplate::{Engine, Functions, Limits, MissingKey, Templates, Value, parse};
//!
//! let functions = Functions::sprig();
//! let mut set = Templates::default();
//! set.add(parse("hello", b"Hello {{ .name | upper }}: {{ printf \"%05.1f\" .n }}", &functions)?);
//! let engine = Engine::new(functions, MissingKey::Zero, Limits::default());
//! let data = Value::map([("name", Value::from("you")), ("n", Value::Float(2.5))]);
//! assert_eq!(engine.execute(&set, "hello", &data)?, b"Hello YOU: 002.5");
//! # Ok::<(), ferrite_gotemplate::Error>(())
//! ```
//!
//! **Invariants.** No input panics. Nothing here opens a file or a connection, reads the environment or knows Helm.
//! Where Go iterates in random order (sprig's `keys`, `values`), the order is that of sorted keys.
//! HTML escaping (`html/template`) and functions as values are deliberately absent.

mod builtins;
mod error;
mod exec;
mod fmt;
mod func;
mod json;
mod object;
mod parse;
mod quote;
mod sprig;
mod strconv;
mod value;

pub use error::{Error, ErrorKind};
pub use exec::{Engine, Exec, Limits, MissingKey, RenderText, Templates};
pub use fmt::{sprintf, to_bytes, to_text};
pub use func::{Function, Functions, Ty};
pub use json::{Json, from_json, json_to_value, to_json};
pub use object::{Method, Object};
pub use parse::{Template, parse};
pub use quote::quote;
pub use sprig::{Duration, Time, duration_text, parse_duration, round_duration, truncate_duration};
pub use sprig::{check_url, compile_regex};
pub use strconv::format_float;
pub use value::{Elem, Kind, List, Map, MapKind, Str, Value};
