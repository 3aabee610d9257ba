//! Two kinds of file patterns: Go's `filepath.Match`, and gobwas/glob as `.Files.Glob` uses it.

/// `filepath.Match`: `*` and `?` stop at slashes. `None` when the pattern is malformed.
#[must_use]
pub(crate) fn matches(pattern: &str, name: &str) -> Option<bool> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    well_formed(&pattern)?;
    Some(run(&pattern, &name))
}

/// One element of a pattern matched against one character: its length and whether it fits.
fn step(pattern: &[char], c: char) -> (usize, bool) {
    match pattern.first() {
        Some('?') => (1, c != '/'),
        Some('\\') => (2, pattern.get(1) == Some(&c)),
        Some('[') => {
            let negated = pattern.get(1) == Some(&'^');
            let mut at = 1 + usize::from(negated);
            let mut found = false;
            let mut first = true;
            while let Some(low) = pattern.get(at).copied() {
                if low == ']' && !first {
                    break;
                }
                first = false;
                let (low, next) = escaped(pattern, at);
                at = next;
                let mut high = low;
                if pattern.get(at) == Some(&'-') {
                    (high, at) = escaped(pattern, at + 1);
                }
                found |= low <= c && c <= high;
            }
            (at + 1, found != negated && c != '/')
        }
        Some(literal) => (1, *literal == c),
        None => (0, false),
    }
}

fn escaped(pattern: &[char], at: usize) -> (char, usize) {
    match pattern.get(at) {
        Some('\\') => (pattern.get(at + 1).copied().unwrap_or('\\'), at + 2),
        other => (other.copied().unwrap_or('\0'), at + 1),
    }
}

fn run(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where the last `*` can be taken up again.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, n));
            p += 1;
            continue;
        }
        if n == name.len() && p == pattern.len() {
            return true;
        }
        if n < name.len() && p < pattern.len() {
            let (length, fits) = step(&pattern[p..], name[n]);
            if fits {
                p += length;
                n += 1;
                continue;
            }
        }
        match star {
            Some((after, taken)) if taken < name.len() && name[taken] != '/' => {
                star = Some((after, taken + 1));
                p = after;
                n = taken + 1;
            }
            _ => return false,
        }
    }
}

fn well_formed(pattern: &[char]) -> Option<()> {
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            '\\' => {
                pattern.get(at + 1)?;
                at += 2;
            }
            '[' => {
                at += 1 + usize::from(pattern.get(at + 1) == Some(&'^'));
                let mut ranges = 0;
                loop {
                    if *pattern.get(at)? == ']' && ranges > 0 {
                        break;
                    }
                    at = class_char(pattern, at)?;
                    if pattern.get(at) == Some(&'-') {
                        at = class_char(pattern, at + 1)?;
                    }
                    ranges += 1;
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    Some(())
}

fn class_char(pattern: &[char], at: usize) -> Option<usize> {
    match pattern.get(at)? {
        '-' | ']' => None,
        '\\' => pattern.get(at + 1).map(|_| at + 2),
        _ => Some(at + 1),
    }
}

/// A compiled pattern of `.Files.Glob`: `*` stops at slashes, `**` does not, `{a,b}` are alternatives.
#[derive(Debug)]
pub(crate) struct FileGlob(Option<regex::Regex>);

impl FileGlob {
    /// Compiles; a malformed pattern is taken as `**`.
    #[must_use]
    pub(crate) fn new(pattern: &str) -> Self {
        Self(translate(pattern).and_then(|text| regex::Regex::new(&text).ok()))
    }

    /// Whether a path matches.
    #[must_use]
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.0.as_ref().is_none_or(|re| re.is_match(path))
    }
}

fn translate(pattern: &str) -> Option<String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::from("(?s)^(?:");
    let (mut at, mut depth) = (0, 0usize);
    while let Some(c) = chars.get(at).copied() {
        at += 1;
        match c {
            '*' => {
                let mut stars = 1;
                while chars.get(at) == Some(&'*') {
                    stars += 1;
                    at += 1;
                }
                out.push_str(if stars > 1 { ".*" } else { "[^/]*" });
            }
            '?' => out.push_str("[^/]"),
            '{' => {
                depth += 1;
                out.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                out.push(')');
            }
            ',' if depth > 0 => out.push('|'),
            '[' => at = class(&chars, at, &mut out)?,
            '\\' => {
                out.push_str(&regex::escape(&chars.get(at)?.to_string()));
                at += 1;
            }
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    (depth == 0).then(|| out + ")$")
}

fn class(chars: &[char], mut at: usize, out: &mut String) -> Option<usize> {
    out.push('[');
    if chars.get(at) == Some(&'!') {
        out.push('^');
        at += 1;
    }
    let start = at;
    loop {
        let c = *chars.get(at)?;
        at += 1;
        match c {
            ']' if at - 1 > start => break,
            ']' => return None,
            '-' if at - 1 > start && chars.get(at) != Some(&']') => out.push('-'),
            '\\' => {
                out.push_str(&regex::escape(&chars.get(at)?.to_string()));
                at += 1;
            }
            c => {
                if c.is_ascii_punctuation() {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out.push(']');
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::{FileGlob, matches};

    #[test]
    fn go_patterns() {
        for (pattern, name, expect) in [
            ("*.md", "b.md", Some(true)),
            ("*.md", "d/b.md", Some(false)),
            ("d/*", "d/e", Some(true)),
            ("a?c", "abc", Some(true)),
            ("[a-c]x", "bx", Some(true)),
            ("[^a-c]x", "bx", Some(false)),
            ("a\\*", "a*", Some(true)),
            ("a*b*c", "aXbYc", Some(true)),
            ("a*b*c", "aXbY", Some(false)),
            ("[", "a", None),
            ("[]a]", "a", None),
            ("a\\", "a", None),
        ] {
            assert_eq!(matches(pattern, name), expect, "{pattern} {name}");
        }
    }

    #[test]
    fn file_globs() {
        for (pattern, path, expect) in [
            ("files/*", "files/a.txt", true),
            ("files/*", "files/sub/a.txt", false),
            ("files/**", "files/sub/a.txt", true),
            ("files/*.{txt,yaml}", "files/a.yaml", true),
            ("files/[!a].*", "files/b.x", true),
            ("[", "anything/at/all", true),
            ("", "x", false),
        ] {
            assert_eq!(FileGlob::new(pattern).matches(path), expect, "{pattern} {path}");
        }
    }
}
