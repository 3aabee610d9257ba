//! What the documentation tells people to paste.

use std::path::{Path, PathBuf};

use ferrite_e2e::with_namespace;

/// Markdown files of the project, without those that are generated.
fn documents() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs_err::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "api" && name != "cli") {
                below(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the root");
    let mut found = vec![root.join("README.md"), root.join("config/README.md")];
    below(&root.join("docs"), &mut found);
    found.sort();
    found
}

/// The YAML blocks of a page, each with the line it starts at.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match &mut open {
            None if line.trim_start() == "```yaml" => open = Some((number + 2, String::new())),
            Some(_) if line.trim_start() == "```" => found.extend(open.take()),
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    found
}

#[test]
fn every_manifest_of_the_documentation_is_accepted() {
    with_namespace(|env| async move {
        let mut tried = 0;
        for file in documents() {
            let page = fs_err::read_to_string(&file).expect("a page");
            for (line, text) in blocks(&page) {
                for document in text.split("\n---\n") {
                    let place = format!("{}:{line}", file.display());
                    let object =
                        ferrite_api::crds::parse(document).unwrap_or_else(|e| panic!("{place}: {e}"));
                    let version = object["apiVersion"].as_str().unwrap_or_default();
                    // Parts of objects, and what no API server knows.
                    let known =
                        ["toolkit.fluxcd.io/", "source.extensions.fluxcd.io/", "rbac.authorization.k8s.io/"];
                    if !known.iter().any(|group| version.contains(group)) && version != "v1" {
                        continue;
                    }
                    let answer = env.would_apply(object).await;
                    assert!(answer.is_ok(), "{place}: {}", answer.expect_err("a refusal"));
                    tried += 1;
                }
            }
        }
        assert!(tried > 15, "only {tried} manifests were found");
    });
}
