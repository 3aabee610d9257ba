//! Runs `tests/corpus/helm`: one directory is one test, answered by the tool that `case.toml` names.

use std::path::{Path, PathBuf};

use ferrite_helm::{Chart, command};
use ferrite_tree::{DiskTree, TreePath};
use libtest_mimic::{Arguments, Failed, Trial};

struct Case(PathBuf);

impl command::Host for Case {
    fn chart(&self, reference: &str) -> Result<Chart, String> {
        let tree = DiskTree::new(self.0.join(reference)).map_err(|e| e.to_string())?;
        Chart::from_tree(&tree, &TreePath::new(".").map_err(|e| e.to_string())?).map_err(|e| e.to_string())
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        fs_err::read(self.0.join(path)).map_err(|e| e.to_string())
    }

    fn now(&self) -> String {
        "2024-01-01T00:00:00Z".into()
    }
}

fn run(path: &Path) -> Result<(), Failed> {
    let case: toml::Table = fs_err::read_to_string(path.join("case.toml"))?.parse()?;
    let more = case.get("args").and_then(toml::Value::as_array).ok_or("case.toml needs args")?;
    let fixed = "template demo chart -n apps -f values.yaml --kube-version 1.33.2";
    let mut args: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
    args.extend(more.iter().filter_map(toml::Value::as_str).map(str::to_owned));
    let output = command::run(&args, &Case(path.to_owned()));
    let (got, name) = if output.code == 0 {
        (output.stdout, "expected.yaml")
    } else {
        (output.stderr, "expected-error.txt")
    };
    let expected = fs_err::read_to_string(path.join(name)).map_err(|_| format!("no {name} for:\n{got}"))?;
    if got == expected {
        return Ok(());
    }
    let differs = got.lines().zip(expected.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_else(|| got.lines().count().min(expected.lines().count()));
    let at = |text: &str| text.lines().nth(line).unwrap_or("(end)").to_owned();
    Err(format!("line {}:\n got      {}\n expected {}", line + 1, at(&got), at(&expected)).into())
}

fn main() {
    let args = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/helm");
    let entries = fs_err::read_dir(&root).expect("the corpus is part of the repository");
    let mut cases: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(cases.len() >= 10, "the corpus in {} is incomplete", root.display());
    let trials = cases.into_iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Trial::test(name, move || run(&path))
    });
    libtest_mimic::run(&args, trials.collect()).exit();
}
