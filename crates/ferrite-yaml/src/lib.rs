//! Ordered YAML documents with source positions, read and written as Kubernetes' Go tools do.
//!
//! ```text
//! text ─▶ parse ─▶ Node (order, style, tag, line, column) ─▶ to_json ─▶ serde_json::Value ─▶ write ─▶ text
//!         (aliases expanded,                 │                  (go-yaml v3 or YAML 1.1       (go-yaml v2)
//!          merge keys applied, budgets)      └ edited in place   meaning of plain scalars)
//! ```
//!
//! For whoever needs to print exactly what `kustomize` and `sigs.k8s.io/yaml` print, or to say where in a file a
//! wrong value stands. A [`Node`] keeps what a later edit needs: key order, quoting style, explicit tags, positions.
//!
//! ```
//! let mut node = ferrite_yaml::parse("b: 'x'\na: 0x10\n", &Default::default())?.unwrap();
//! node.set("c", ferrite_yaml::Node::plain("on"));
//! let value = node.to_json(ferrite_yaml::Dialect::Yaml12)?;
//! assert_eq!(ferrite_yaml::write(&value), "a: 16\nb: x\nc: \"on\"\n");
//! # Ok::<(), ferrite_yaml::Error>(())
//! ```
//!
//! It deliberately has no serde data model and does not keep the layout of whole files.

mod comments;
mod emitter;
mod go_error;
mod json;
mod kyaml;
mod node;
mod parse;
mod resolve;
mod scalar;
mod write;

pub use go_error::go_syntax_error;
pub use json::{from_json, go_json};
pub use kyaml::{write_commented, write_styled};
pub use node::{Data, Key, Map, Node, Style, Tag};
pub use parse::{Limits, decode_text, parse};
pub use resolve::{Dialect, Resolved, resolve};
pub use write::{compare_keys, write, write_in_order, write_into};

/// A place in a text; both counted from 1, 0 when unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// Why a text or a document was refused. The caller knows the file and puts its name in front.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {message}", .position.line, .position.column)]
pub struct Error {
    /// Where.
    pub position: Position,
    /// What was wrong.
    pub message: String,
}

impl Error {
    /// An error at `position`.
    #[must_use]
    pub fn new(position: Position, message: impl Into<String>) -> Self {
        Self { position, message: message.into() }
    }
}
