//! `ferrite envsubst`: variables of the environment into a text, as post-build substitution does.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use ferrite_kustomize_controller::preview;

use crate::output;

/// Bytes of the text.
const TEXT_BYTES: u64 = 64 << 20;

/// Options of `ferrite envsubst`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Fail for variables that have neither value nor default.
    #[arg(long)]
    strict: bool,
}

/// Reads standard input and prints it with the variables in it.
///
/// # Errors
///
/// With the line of what cannot be substituted.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut text = String::new();
    std::io::stdin()
        .take(TEXT_BYTES)
        .read_to_string(&mut text)
        .context("cannot read standard input as text")?;
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    output::print(&preview::envsubst(&text, &variables, options.strict)?)
}
