//! One test per directory of `tests/corpus/kustomize`: what the tool named in `case.toml` printed, byte for byte, or
//! the error that must name its cause.

use std::path::{Path, PathBuf};

use ferrite_kustomize::{LoadRestrictor, Options, Reorder};
use ferrite_tree::DiskTree;
use libtest_mimic::{Arguments, Failed, Trial};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The tool that printed `expected.yaml`, and its version.
    tool: String,
    version: String,
    #[serde(default)]
    dir: String,
    #[serde(default)]
    reorder: String,
    #[serde(default)]
    load_restrictor: String,
    /// What our error must say; the tool fails too.
    error: Option<String>,
}

fn main() {
    let arguments = Arguments::from_args();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/kustomize");
    let mut dirs: Vec<PathBuf> = fs_err::read_dir(&corpus)
        .expect("the corpus is part of the repository")
        .map(|entry| entry.expect("the corpus can be listed").path())
        .filter(|path| path.join("case.toml").is_file())
        .collect();
    dirs.sort();
    assert!(!dirs.is_empty(), "no cases in {}", corpus.display());
    let trials = dirs.into_iter().map(|dir| {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Trial::test(name, move || run(&dir))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn run(dir: &Path) -> Result<(), Failed> {
    let case: Case = toml::from_str(&fs_err::read_to_string(dir.join("case.toml"))?)?;
    if case.tool != "kustomize" || case.version.is_empty() {
        return Err("case.toml must name the tool and its version".into());
    }
    let options = Options {
        reorder: if case.reorder == "legacy" { Reorder::Legacy } else { Reorder::None },
        load_restrictor: if case.load_restrictor == "none" {
            LoadRestrictor::None
        } else {
            LoadRestrictor::RootOnly
        },
        ..Options::default()
    };
    let tree = DiskTree::new(dir.join("input"))?;
    let built = ferrite_kustomize::build(&tree, &case.dir, &options);
    match (built, case.error) {
        (Err(error), Some(expected)) if error.to_string().contains(&expected) => Ok(()),
        (Err(error), Some(expected)) => Err(format!("the error does not say {expected:?}:\n{error}").into()),
        (Err(error), None) => Err(error.to_string().into()),
        (Ok(built), Some(expected)) => {
            Err(format!("expected an error that says {expected:?}, got\n{}", built.to_yaml()).into())
        }
        (Ok(built), None) => compare(dir, &built.to_yaml()),
    }
}

fn compare(dir: &Path, found: &str) -> Result<(), Failed> {
    let expected = fs_err::read_to_string(dir.join("expected.yaml"))?;
    if found == expected {
        return Ok(());
    }
    let different = expected.lines().zip(found.lines()).position(|(a, b)| a != b);
    let line = different.unwrap_or_else(|| expected.lines().count().min(found.lines().count()));
    let show = |text: &str| text.lines().nth(line).unwrap_or("<end>").to_owned();
    let message = format!("line {}: expected {:?}, found {:?}", line + 1, show(&expected), show(found));
    Err(message.into())
}
