//! Copy operations, one by one.

use super::*;

fn tree(files: &[(&str, &[u8])]) -> MemoryTree {
    let mut builder = MemoryTree::builder();
    for (path, bytes) in files {
        builder.insert(path, bytes, path.ends_with(".sh")).unwrap();
    }
    builder.build()
}

fn tarball(files: &[(&str, &str)]) -> Vec<u8> {
    use ferrite_artifact::{Bounds, Item, ItemKind, Rules, archive};
    let items = files.iter().map(|(path, content)| Item {
        path: (*path).to_owned(),
        kind: ItemKind::File { executable: false },
        content: content.as_bytes().to_vec(),
    });
    let mut out = Vec::new();
    let read = |content: &Vec<u8>| Ok::<_, std::io::Error>(content.clone());
    archive(items.collect(), &Rules::none(), Bounds::default(), read, &mut out).unwrap();
    out
}

fn copy(from: &str, to: &str) -> CopyOperation {
    CopyOperation { from: format!("@git/{from}"), to: format!("@artifact/{to}"), ..Default::default() }
}

fn run(operations: &[CopyOperation]) -> Result<Vec<String>, String> {
    let packed = tarball(&[("in/a", "1"), ("in/b", "2")]);
    let files: &[(&str, &[u8])] = &[
        ("README.md", b"r"),
        ("apps/web/a.yaml", b"w: {x: 1}"),
        ("apps/web/sub/run.sh", b"s"),
        ("apps/api/a.yaml", b"w: {z: 2}"),
        ("apps/notes.md", b"n"),
        ("dist/one.tgz", &packed),
        ("dist/two.txt", b"t"),
    ];
    let trees = HashMap::from([("git".to_owned(), tree(files))]);
    let staged = compose(operations, &trees).map_err(|error| error.to_string())?;
    let shown =
        |(path, file): (&String, &File<'_>)| format!("{path}={}", String::from_utf8_lossy(&file.bytes));
    Ok(staged.files.iter().map(shown).collect())
}

#[track_caller]
fn check(operations: &[CopyOperation], expect: &[&str]) {
    assert_eq!(run(operations).unwrap(), expect);
}

#[track_caller]
fn fails(operation: CopyOperation, expect: &str) {
    let error = run(&[operation]).unwrap_err();
    assert!(error.ends_with(expect), "{error}");
}

#[test]
fn a_path_is_a_file_with_a_new_name_or_in_a_directory_or_a_directory_with_its_name() {
    check(&[copy("apps/web/a.yaml", "x.yaml")], &["x.yaml=w: {x: 1}"]);
    check(&[copy("apps/web/a.yaml", "dir/")], &["dir/a.yaml=w: {x: 1}"]);
    check(&[copy("README.md", "d/r"), copy("apps/notes.md", "d")], &["d/notes.md=n", "d/r=r"]);
    check(&[copy("apps/web", "out")], &["out/web/a.yaml=w: {x: 1}", "out/web/sub/run.sh=s"]);
    check(&[copy("apps/web/sub", "")], &["sub/run.sh=s"]);
}

#[test]
fn globs_copy_what_they_match_and_a_directory_s_content_loses_its_prefix() {
    check(&[copy("apps/web/**", "")], &["a.yaml=w: {x: 1}", "sub/run.sh=s"]);
    check(&[copy("apps/*/a.yaml", "o/")], &["o/apps/api/a.yaml=w: {z: 2}", "o/apps/web/a.yaml=w: {x: 1}"]);
    check(&[copy("*.md", "")], &["README.md=r"]);
    check(&[copy("apps/w*", "")], &["apps/web/a.yaml=w: {x: 1}", "apps/web/sub/run.sh=s"]);
}

#[test]
fn excluded_files_and_directories_stay_out() {
    let without = |from: &str, exclude: &[&str]| CopyOperation {
        exclude: exclude.iter().map(|text| (*text).to_owned()).collect(),
        ..copy(from, "")
    };
    check(&[without("apps/web/**", &["sub"])], &["a.yaml=w: {x: 1}"]);
    check(&[without("apps/web/**", &["sub/**"])], &["a.yaml=w: {x: 1}"]);
    check(&[without("apps/**", &["apps/web", "*.md"])], &["api/a.yaml=w: {z: 2}"]);
    fails(without("*.md", &["**/*.md"]), "all files that match pattern '*.md' are excluded");
}

#[test]
fn merging_merges_yaml_and_extracting_unpacks() {
    let merge = CopyOperation { strategy: Some(CopyStrategy::Merge), ..copy("apps/api/a.yaml", "a.yaml") };
    check(&[copy("apps/web/a.yaml", "a.yaml"), merge], &["a.yaml=w:\n  x: 1\n  z: 2\n"]);
    let extract = |from: &str| CopyOperation { strategy: Some(CopyStrategy::Extract), ..copy(from, "out/") };
    check(&[extract("dist/one.tgz")], &["out/in/a=1", "out/in/b=2"]);
    check(&[extract("**/*.tgz")], &["out/in/a=1", "out/in/b=2"]);
    check(&[extract("dist/*")], &["out/in/a=1", "out/in/b=2"]);
    fails(extract("dist/two.txt"), "'dist/two.txt' is no tarball, expected .tar.gz or .tgz");
    fails(extract("dist"), "'dist' is a directory, expected a tarball");
}

#[test]
fn later_files_replace_earlier_ones_and_contradictions_are_errors() {
    check(&[copy("README.md", "x"), copy("apps/notes.md", "x")], &["x=n"]);
    let error = run(&[copy("README.md", "x"), copy("apps/notes.md", "x/y")]).unwrap_err();
    assert!(error.ends_with("'x/y' would lie below the file 'x'"), "{error}");
    fails(copy("none.yaml", ""), "no files match pattern 'none.yaml'");
    fails(copy("../etc", ""), "'../etc' would leave its root");
    fails(copy("README.md", "../x"), "'../x' would leave its root");
}
