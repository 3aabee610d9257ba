//! `helm template` and its siblings without a cluster: `cargo run --example helm -- template demo ./chart`.

use std::{io::Read, io::Write, path::Path, process::ExitCode};

use ferrite_helm::{Chart, command};
use ferrite_tree::{DiskTree, TreePath};

struct Disk;

impl command::Host for Disk {
    fn chart(&self, reference: &str) -> Result<Chart, String> {
        let path = Path::new(reference);
        if path.is_file() {
            let bytes = fs_err::read(path).map_err(|e| e.to_string())?;
            return Chart::from_archive(&bytes).map_err(|e| e.to_string());
        }
        let tree = DiskTree::new(path).map_err(|_| format!("path {reference:?} not found"))?;
        let root = TreePath::new(".").map_err(|e| e.to_string())?;
        Chart::from_tree(&tree, &root).map_err(|e| e.to_string())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == "-" {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map_err(|e| e.to_string())?;
            return Ok(bytes);
        }
        fs_err::read(path).map_err(|e| e.to_string())
    }

    fn now(&self) -> String {
        "0001-01-01T00:00:00Z".into()
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let output = command::run(&args, &Disk);
    let written = std::io::stdout()
        .write_all(output.stdout.as_bytes())
        .and_then(|()| std::io::stderr().write_all(output.stderr.as_bytes()));
    match written {
        Ok(()) => ExitCode::from(output.code),
        Err(_) => ExitCode::FAILURE,
    }
}
