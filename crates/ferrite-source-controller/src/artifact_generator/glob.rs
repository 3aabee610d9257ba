//! The two kinds of globs that copy operations use.

use ferrite_artifact::matches_name;

/// Alternatives that one pattern may stand for.
const ALTERNATIVES_LIMIT: usize = 64;

/// Whether a text is a glob rather than a path.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', ']'])
}

/// Whether `path` matches part by part, as Go's `filepath.Glob` does: `**` is no more than `*`.
pub(super) fn matches_parts(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(pattern, name)| matches_name(pattern, name) == Some(true))
}

/// Whether `path` matches with `**` for any number of directories and `{a,b}` for alternatives (Go's `doublestar`).
pub(super) fn matches_deep(pattern: &str, path: &str) -> bool {
    let path: Vec<&str> = path.split('/').collect();
    let mut patterns = vec![pattern.to_owned()];
    let mut tried = 0;
    while let Some(pattern) = patterns.pop() {
        tried += 1;
        if tried > ALTERNATIVES_LIMIT {
            return false;
        }
        match alternatives(&pattern) {
            Some(more) => patterns.extend(more),
            None if parts_match(&pattern, &path) => return true,
            None => {}
        }
    }
    false
}

/// The texts that the first `{…}` stands for; `None` when there is none.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let (before, rest) = pattern.split_once('{')?;
    let (inside, after) = rest.split_once('}')?;
    Some(inside.split(',').map(|one| format!("{before}{one}{after}")).collect())
}

/// Remembers which parts of the path the pattern can have come to: no pattern takes more than their product.
fn parts_match(pattern: &str, path: &[&str]) -> bool {
    let mut reached = vec![false; path.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for part in pattern.split('/') {
        let mut next = vec![false; path.len() + 1];
        let mut before = false;
        for (at, slot) in next.iter_mut().enumerate() {
            let here = reached.get(at).copied().unwrap_or_default();
            if part == "**" {
                before |= here;
                *slot = before;
            } else if at > 0 {
                let came = reached.get(at - 1).copied().unwrap_or_default();
                *slot = came && path.get(at - 1).is_some_and(|name| matches_name(part, name) == Some(true));
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}

/// The directory before the first part that is a glob, without a slash at its end.
pub(super) fn literal_prefix(pattern: &str) -> String {
    let parts: Vec<&str> = pattern.split('/').take_while(|part| !is_glob(part)).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn deep(pattern: &str, path: &str, expect: bool) {
        assert_eq!(matches_deep(pattern, path), expect, "{pattern} {path}");
    }

    #[test]
    fn two_stars_are_any_number_of_directories_where_they_are_deep() {
        deep("**", "a/b/c", true);
        deep("**/*.md", "README.md", true);
        deep("**/*.md", "docs/a/README.md", true);
        deep("docs/**", "docs", true);
        deep("docs/**/x", "docs/x", true);
        deep("docs/**/x", "docs/a/b/y", false);
        deep("*.{md,txt}", "a.txt", true);
        deep("*.{md,txt}", "a.yaml", false);
        deep("*.md", "docs/a.md", false);
        deep(&format!("{}x", "**/".repeat(300)), &"a/".repeat(300), false);
        deep(&"{a,b}".repeat(200), "x", false);
    }

    #[test]
    fn two_stars_are_one_name_where_they_are_not() {
        assert!(matches_parts("docs/**", "docs/a") && !matches_parts("docs/**", "docs/a/b"));
        assert!(matches_parts("[^a]?", "bc") && !matches_parts("[", "["));
        assert_eq!(literal_prefix("a/b/*.md"), "a/b");
        assert_eq!(literal_prefix("*.md"), "");
    }
}
