//! Remote resources: recognising them, and the door through which a caller may fetch them.

use std::sync::Arc;

use ferrite_tree::Tree;

/// Fetches what a kustomization names by URL. Without one, remote resources are refused.
pub trait Remote: Send + Sync {
    /// The body of an `http://` or `https://` URL.
    ///
    /// # Errors
    /// A message that names the failure; the caller's limits on size and time apply.
    fn file(&self, url: &str) -> Result<Vec<u8>, String>;

    /// The files of a git repository at a revision.
    ///
    /// # Errors
    /// A message that names the failure.
    fn repository(&self, spec: &RepoSpec) -> Result<Arc<dyn Tree>, String>;
}

/// A git repository, and a directory in it, named by one string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepoSpec {
    /// What to clone: `https://github.com/org/repo`, `git@host:org/repo.git`, `file:///…`.
    pub clone: String,
    /// The directory in the repository; empty for its root.
    pub path: String,
    /// Branch, tag or commit; empty for the default branch.
    pub reference: String,
    /// Whether submodules are wanted.
    pub submodules: bool,
}

impl RepoSpec {
    /// Reads a string as kustomize does; `None` when it is a path rather than a repository.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.starts_with('/') || text.starts_with('.') {
            return None;
        }
        let text = text.strip_prefix("git::").unwrap_or(text);
        let (location, query) = text.split_once('?').unwrap_or((text, ""));
        let (host, path) = host(location)?;
        let is_file = host.starts_with("file://");
        let (repo, sub, suffix) = split_path(path, is_file);
        if repo.is_empty() {
            return None;
        }
        let sub = clean(sub)?;
        let (reference, submodules) = options(query);
        Some(Self { clone: format!("{host}{repo}{suffix}"), path: sub, reference, submodules })
    }
}

/// Scheme, user and host, normalised, and the rest.
fn host(location: &str) -> Option<(String, &str)> {
    let lower = location.to_ascii_lowercase();
    let scheme = ["ssh://", "https://", "http://", "file://"].into_iter().find(|s| lower.starts_with(s));
    let rest = location.get(scheme.map_or(0, str::len)..)?;
    if scheme == Some("file://") {
        return Some(("file://".to_owned(), rest));
    }
    let at = rest.find('@').filter(|at| rest.find('/').is_none_or(|slash| *at < slash));
    let (user, rest) = match at {
        Some(at) => (rest.get(..=at)?, rest.get(at + 1..)?),
        None => ("", rest),
    };
    let is_github = ["github.com/", "github.com:"]
        .iter()
        .any(|prefix| rest.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)));
    if scheme.is_none() && user.is_empty() && !is_github {
        return None;
    }
    let separator = rest.find(|c| c == '/' || c == ':' && scheme.is_none()).or_else(|| rest.find('/'))?;
    let (name, path) = (rest.get(..separator)?, rest.get(separator + 1..)?);
    if name.is_empty() {
        return None;
    }
    if is_github {
        let normal = if user.is_empty() || matches!(scheme, Some("https://" | "http://")) {
            "https://github.com/".to_owned()
        } else {
            format!("{user}github.com:")
        };
        return Some((normal, path));
    }
    let end = rest.get(separator..=separator)?;
    Some((format!("{}{user}{name}{end}", scheme.unwrap_or_default()), path))
}

/// Repository, directory in it, and the suffix that belongs to the repository.
fn split_path(path: &str, is_file: bool) -> (&str, &str, &str) {
    if let Some((before, rest)) = path.split_once("_git/") {
        let length = rest.find('/').unwrap_or(rest.len());
        let end = before.len() + "_git/".len() + length;
        let (repo, sub) = path.split_at(end.min(path.len()));
        return (repo.trim_end_matches('/'), sub.trim_start_matches('/'), "");
    }
    if let Some((repo, sub)) = path.split_once("//") {
        return (repo, sub, "");
    }
    if let Some(at) = path
        .find(".git")
        .filter(|at| path.get(at + 4..).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    {
        let (repo, rest) = path.split_at(at);
        return (repo, rest.get(4..).unwrap_or_default().trim_start_matches('/'), ".git");
    }
    if is_file {
        return (path, "", "");
    }
    let second = path.find('/').and_then(|first| {
        path.get(first + 1..).and_then(|rest| rest.find('/')).map(|second| first + 1 + second)
    });
    match second {
        Some(at) => {
            let (repo, sub) = path.split_at(at);
            (repo, sub.trim_start_matches('/'), "")
        }
        None if path.contains('/') => (path, "", ""),
        None => ("", "", ""),
    }
}

/// The directory without `.` and `..`; `None` when it climbs out.
fn clean(path: &str) -> Option<String> {
    ferrite_tree::TreePath::new(path.trim_start_matches('/')).ok().map(|path| path.as_str().to_owned())
}

fn options(query: &str) -> (String, bool) {
    let (mut reference, mut version, mut submodules) = (String::new(), String::new(), true);
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "ref" => value.clone_into(&mut reference),
            "version" => value.clone_into(&mut version),
            "submodules" => submodules = !matches!(value, "false" | "False" | "FALSE" | "f" | "F" | "0"),
            _ => {}
        }
    }
    (if reference.is_empty() { version } else { reference }, submodules)
}

/// True for what is fetched over HTTP when it is a file.
pub(crate) fn is_http(text: &str) -> bool {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::RepoSpec;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let shown = RepoSpec::parse(text)
            .map_or_else(|| "a path".to_owned(), |s| format!("{} {} {}", s.clone, s.path, s.reference));
        assert_eq!(shown, expect, "{text}");
    }

    #[test]
    fn repositories_and_paths() {
        check("base", "a path");
        check("../base", "a path");
        check("github.com/org/repo/a/b?ref=v1", "https://github.com/org/repo a/b v1");
        check("https://github.com/org/repo//a?version=x", "https://github.com/org/repo a x");
        check("git@github.com:org/repo.git", "git@github.com:org/repo.git  ");
        check("git::https://host.example/x/y/z.git/sub", "https://host.example/x/y/z.git sub ");
        check("ssh://git@host.example/org/repo", "ssh://git@host.example/org/repo  ");
        check("https://dev.example/org/_git/repo/sub", "https://dev.example/org/_git/repo sub ");
        check("file:///srv/repo//sub", "file:///srv/repo sub ");
        check("https://host.example/file.yaml", "a path");
        check("github.com/org/repo/../../../x", "a path");
    }
}
