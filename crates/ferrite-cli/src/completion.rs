//! `ferrite completion`: a script for the shell.

use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Args;
use crate::output;

/// Options of `ferrite completion`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// The shell.
    #[arg(value_parser = ["bash", "fish", "powershell", "zsh"])]
    shell: String,
}

/// Prints the script.
///
/// # Errors
///
/// When it cannot be written.
pub(crate) fn run(options: &Options) -> Result<()> {
    let shell = match options.shell.as_str() {
        "fish" => Shell::Fish,
        "powershell" => Shell::PowerShell,
        "zsh" => Shell::Zsh,
        _ => Shell::Bash,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "ferrite", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
