//! What a command prints: tables for people, and JSON, YAML or names for programs.

use std::io::{ErrorKind, Write as _};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde_json::{Value, json};

/// `--output` of commands that list objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// A table.
    #[default]
    Table,
    /// A list of the objects as JSON.
    Json,
    /// A list of the objects as YAML.
    Yaml,
    /// `resource.group/name` of each, one a line.
    Name,
}

/// `--output` of commands that print a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Encoding {
    /// The value as text that ends in a line break.
    pub(crate) fn text(self, value: &Value) -> String {
        match self {
            Self::Json => format!("{value:#}\n"),
            Self::Yaml => ferrite_yaml::write(value),
        }
    }
}

/// Writes to standard output; a reader that has seen enough is no error.
///
/// # Errors
///
/// When it cannot be written.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// A Kubernetes list of the objects.
pub(crate) fn list(items: Vec<Value>) -> Value {
    let mut list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}});
    list["items"] = Value::Array(items);
    list
}
