use super::*;

/// `path` ending in a slash is a directory.
#[track_caller]
fn check(spec: &str, path: &str, excluded: bool) {
    let rules = Rules::new(Some(spec)).unwrap();
    let (name, directory) = path.strip_suffix('/').map_or((path, false), |name| (name, true));
    assert_eq!(rules.excludes(name, directory), excluded, "`{spec}` on {path}");
}

#[test]
fn patterns_match_as_in_go_git() {
    check("*.md", "README.md", true);
    check("*.md", "docs/deep/README.md", true);
    check("docs", "docs/", true);
    check("docs", "a/docs/b.yaml", true);
    check("docs/", "docs", false);
    check("docs/", "docs/a.yaml", true);
    check("/docs", "docs/a.yaml", true);
    check("/docs", "a/docs/b.yaml", false);
    check("a/b", "a/b/c", true);
    check("a/b", "x/a/b", false);
    check("a/*", "a/b/c", true);
    check("a/*/c", "a/b/c", true);
    check("a/*/c", "a/c", false);
    check("**/b", "b", true);
    check("**/b", "x/y/b/z", true);
    check("a/**", "a", false);
    check("a/**", "a/b", true);
    check("a/**/c", "a/x/y/c", true);
    check("a/**/c", "a/c", true);
    check("a/**/c/d", "a/x/c", false);
    check("a**b/c", "axb/c", false);
    check("[", "[", false);
    check("  # not a comment", "x", false);
    check("trailing   ", "trailing", true);
    check("\\#file", "#file", true);
}

#[test]
fn the_last_pattern_that_matches_decides() {
    check("*.yaml\n!keep.yaml", "a/keep.yaml", false);
    check("!keep.yaml\n*.yaml", "keep.yaml", true);
    check("!.git/", ".git/config", false);
}

/// The idiom of Flux's documentation.
#[test]
fn all_but_one_directory() {
    let spec = "# exclude all\n/*\n# include\n!/deploy\n";
    check(spec, "README.md", true);
    check(spec, "deploy/", false);
    check(spec, "deploy/app/web.yaml", false);
    check(spec, "charts/deploy/x.yaml", true);
}

#[test]
fn defaults_go_with_the_first_own_pattern_but_version_control_stays_out() {
    check("", "logo.png", true);
    check("# only a comment\n\n", ".github/workflows/ci.yaml", true);
    check("", "a/.sops.yaml", true);
    check("*.md", "logo.png", false);
    check("*.md", ".git/config", true);
    check("*.md", "sub/.gitignore", true);
    check("", ".sourceignore", false);
}

fn file(path: &str, content: &'static str) -> Item<&'static str> {
    Item { path: path.to_owned(), kind: ItemKind::File { executable: false }, content }
}

fn load(items: &[Item<&'static str>], spec: Option<&str>) -> Rules {
    Rules::load(items, spec, |text| Ok::<_, std::io::Error>(text.as_bytes().to_vec())).unwrap()
}

#[test]
fn files_of_patterns_are_for_their_directory_and_deeper_ones_and_the_spec_win() {
    let items = [
        file("apps/.sourceignore", "!keep.txt\n/only-here"),
        file(".sourceignore", "*.txt"),
        file(".git/.sourceignore", "*.yaml"),
    ];
    let rules = load(&items, None);
    assert!(rules.excludes("a.txt", false));
    assert!(!rules.excludes("apps/keep.txt", false));
    assert!(rules.excludes("keep.txt", false));
    assert!(rules.excludes("apps/only-here", false));
    assert!(!rules.excludes("only-here", false));
    assert!(!rules.excludes("a.yaml", false), "what lies in .git is not read");
    assert!(load(&items, Some("keep.txt")).excludes("apps/keep.txt", false));
}

#[test]
fn more_patterns_than_allowed_are_refused() {
    let text = "x\n".repeat(PATTERN_LIMIT + 1);
    assert!(matches!(Rules::new(Some(&text)), Err(IgnoreError::TooMany { limit: PATTERN_LIMIT })));
}

proptest::proptest! {
    #[test]
    fn no_pattern_panics(spec in ".{0,60}", path in "[a-z/.*]{0,30}", directory: bool) {
        let rules = Rules::new(Some(&spec)).unwrap();
        let _either = rules.excludes(&path, directory);
    }
}

#[test]
fn a_bucket_s_rules_are_only_its_own() {
    let rules = Rules::only(["*.md\n", "!keep.md"]).unwrap();
    let excluded = ["a.md", "keep.md", ".git/config", "logo.png"].map(|path| rules.excludes(path, false));
    assert_eq!(excluded, [true, false, false, false]);
}
