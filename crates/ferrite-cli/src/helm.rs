//! `ferrite helm`: Helm's commands that change nothing, with Helm's flags and exit codes.

mod stored;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use ferrite_helm::{Chart, command};
use ferrite_tree::{DiskTree, TreePath};

/// Runs `template`, `install --dry-run=client`, `lint`, `show`, `dependency list`, `list`, `history`, `status` or `get`.
///
/// # Errors
///
/// When the output cannot be written; what the command itself has to say goes to standard error.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let output = command::run(args, &Disk);
    std::io::stdout().write_all(output.stdout.as_bytes()).context("cannot write to standard output")?;
    eprint!("{}", output.stderr);
    Ok(ExitCode::from(output.code))
}

/// Charts and files of this machine.
pub(crate) struct Disk;

impl command::Host for Disk {
    fn chart(&self, reference: &str) -> Result<Chart, String> {
        if Path::new(reference).is_file() {
            return Chart::from_archive(&self.read(reference)?).map_err(|e| e.to_string());
        }
        let missing = |_| format!("path {reference:?} not found; name a chart directory or a .tgz file");
        let tree = DiskTree::new(reference).map_err(missing)?;
        let root = TreePath::new(".").map_err(|e| e.to_string())?;
        Chart::from_tree(&tree, &root).map_err(|e| e.to_string())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path != "-" {
            return fs_err::read(path).map_err(|e| e.to_string());
        }
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(|e| format!("cannot read standard input: {e}"))?;
        Ok(bytes)
    }

    fn records(&self, query: &command::Query) -> Result<Vec<command::Record>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let read = runtime.block_on(stored::records(query));
        read.map_err(|error| ferrite_runtime::chain(error.as_ref()))
    }

    fn now(&self) -> String {
        jiff::Timestamp::now().to_string()
    }
}
