//! `.helmignore`.

use crate::{error::Error, glob};

/// The rules of the root chart's `.helmignore`, and the one that is always there.
#[derive(Debug)]
pub(crate) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    pattern: String,
    negate: bool,
    directories: bool,
    /// Matches the whole path rather than the last name.
    path: bool,
}

impl Rules {
    /// Reads the rules; `**` and malformed patterns are refused.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for line in text.lines().chain(["templates/.?*"]) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.contains("**") {
                return Err(Error::Load("double-star (**) syntax is not supported".into()));
            }
            if glob::matches(line, "abc").is_none() {
                return Err(Error::Load("syntax error in pattern".into()));
            }
            let (negate, line) = line.strip_prefix('!').map_or((false, line), |line| (true, line));
            let (directories, line) = line.strip_suffix('/').map_or((false, line), |line| (true, line));
            let (path, pattern) = match line.strip_prefix('/') {
                Some(anchored) => (true, anchored),
                None => (line.contains('/'), line),
            };
            rules.push(Rule { pattern: pattern.to_owned(), negate, directories, path });
        }
        Ok(Self(rules))
    }

    /// Whether a file or directory is left out. Helm's negation drops whatever does *not* match.
    pub(crate) fn ignores(&self, path: &str, directory: bool) -> bool {
        for rule in &self.0 {
            let name = if rule.path { path } else { path.rsplit('/').next().unwrap_or(path) };
            let matched = || glob::matches(&rule.pattern, name).unwrap_or(false);
            if rule.negate {
                if rule.directories && !directory || !matched() {
                    return true;
                }
            } else if (!rule.directories || directory) && matched() {
                return true;
            }
        }
        false
    }
}
