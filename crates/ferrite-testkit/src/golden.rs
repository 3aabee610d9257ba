//! Files that hold what a program is expected to produce.

use std::path::{Path, PathBuf};

use similar::TextDiff;

/// The environment variable that makes [`check`] rewrite the files instead.
pub const UPDATE: &str = "UPDATE_GOLDEN";

/// One case of a corpus: a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The directory's name.
    pub name: String,
    /// Its path.
    pub path: PathBuf,
}

/// The directories directly below `corpus`, sorted by name.
///
/// # Errors
/// When the corpus cannot be read or holds no case: a run that checks nothing must not pass.
pub fn cases(corpus: &Path) -> Result<Vec<Case>, String> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(corpus).map_err(|e| e.to_string())? {
        let entry = entry.map_err(|e| e.to_string())?;
        if entry.file_type().map_err(|e| e.to_string())?.is_dir() {
            found.push(Case { name: entry.file_name().to_string_lossy().into_owned(), path: entry.path() });
        }
    }
    if found.is_empty() {
        return Err(format!("{} holds no case", corpus.display()));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Compares `actual` with the file, or writes the file when `UPDATE_GOLDEN=1` is set.
///
/// # Errors
/// The difference line by line, and how to accept it.
pub fn check(file: &Path, actual: &str) -> Result<(), String> {
    #[expect(clippy::disallowed_methods, reason = "a test has no main that could read the environment once")]
    let update = std::env::var(UPDATE).is_ok_and(|value| value == "1");
    check_or_update(file, actual, update)
}

fn check_or_update(file: &Path, actual: &str, update: bool) -> Result<(), String> {
    if update {
        if let Some(parent) = file.parent() {
            fs_err::create_dir_all(parent).map_err(|e| e.to_string())?;
        }
        return fs_err::write(file, actual).map_err(|e| e.to_string());
    }
    let expected = match fs_err::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return Err(format!("{error}; run with {UPDATE}=1 to write it")),
    };
    if expected == actual {
        return Ok(());
    }
    let diff = TextDiff::from_lines(expected.as_str(), actual);
    let shown = diff.unified_diff().context_radius(3).header("expected", "actual").to_string();
    Err(format!("{} differs; run with {UPDATE}=1 if the change is right\n{shown}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_and_an_update_writes_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("case/expected.txt");
        assert!(check_or_update(&file, "a\nb\n", false).unwrap_err().contains("UPDATE_GOLDEN=1 to write it"));
        check_or_update(&file, "a\nb\n", true).unwrap();
        assert_eq!(check_or_update(&file, "a\nb\n", false), Ok(()));
        let shown = check_or_update(&file, "a\nc\n", false).unwrap_err();
        assert!(shown.contains("-b") && shown.contains("+c"), "{shown}");
        let names: Vec<_> = cases(directory.path()).unwrap().into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["case"]);
        assert!(cases(&directory.path().join("case")).unwrap_err().ends_with("holds no case"));
    }
}
