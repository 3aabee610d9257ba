//! `kustomize build` with its flags, to compare the output with the real tool's.

use std::io::Write;
use std::process::ExitCode;

use ferrite_kustomize::{LoadRestrictor, Options, Reorder};

fn main() -> ExitCode {
    let mut options = Options { reorder: Reorder::Legacy, ..Options::default() };
    let mut dir = String::from(".");
    let mut words = std::env::args().skip(1).peekable();
    words.next_if(|word| word == "build");
    while let Some(word) = words.next() {
        let (flag, given) = match word.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
            None => (word.clone(), None),
        };
        match flag.as_str() {
            "--load-restrictor" => {
                let value = given.or_else(|| words.next());
                if value.as_deref() == Some("LoadRestrictionsNone") {
                    options.load_restrictor = LoadRestrictor::None;
                }
            }
            "--reorder" => {
                if given.or_else(|| words.next()).as_deref() == Some("none") {
                    options.reorder = Reorder::None;
                }
            }
            "--enable-managedby-label" => options.managed_by_label = true,
            "--enable-helm" => options.enable_helm = true,
            "--enable-alpha-plugins" => {}
            _ => dir = word,
        }
    }
    match run(&dir, &options) {
        Ok(text) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(dir: &str, options: &Options) -> Result<String, Box<dyn std::error::Error>> {
    let tree = ferrite_tree::DiskTree::new("/")?;
    let absolute = fs_err::canonicalize(dir)?;
    let build = ferrite_kustomize::build(&tree, &absolute.to_string_lossy(), options)?;
    for warning in build.warnings() {
        eprintln!("# Warning: {warning}");
    }
    Ok(build.to_yaml())
}
