//! The JSON paths of printer columns: `.status.conditions[?(@.type=="Ready")].status`

use serde_json::Value;

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Key(String),
    Index(i64),
    Any,
    /// Items whose value at the path equals (or not) the text.
    Where(Vec<String>, bool, String),
}

impl Path {
    /// Reads a path; `None` when it is not one that can be evaluated.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('{').trim_end_matches('}');
        let mut steps = Vec::new();
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let end = bracket(inner)?;
                let (step, after) = inner.split_at_checked(end)?;
                steps.push(bracketed(step)?);
                rest = after.get(1..)?;
            } else {
                let (key, after) = key(rest.strip_prefix('.').unwrap_or(rest));
                if key.is_empty() {
                    return None;
                }
                steps.push(if key == "*" { Step::Any } else { Step::Key(key) });
                rest = after;
            }
        }
        Some(Self(steps))
    }

    /// The first value at the path.
    pub(crate) fn read<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        read(value, &self.0)
    }
}

fn read<'v>(value: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match step {
        Step::Key(key) => read(value.get(key.as_str())?, rest),
        Step::Index(index) => {
            let list = value.as_array()?;
            let at = if *index < 0 {
                list.len().checked_sub(index.unsigned_abs() as usize)?
            } else {
                *index as usize
            };
            read(list.get(at)?, rest)
        }
        Step::Any => match value {
            Value::Array(list) => list.iter().find_map(|v| read(v, rest)),
            Value::Object(map) => map.values().find_map(|v| read(v, rest)),
            _ => None,
        },
        Step::Where(path, equal, wanted) => value.as_array()?.iter().find_map(|item| {
            let found = path.iter().fold(item, |v, key| &v[key.as_str()]);
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            if (text == *wanted) == *equal { read(item, rest) } else { None }
        }),
    }
}

/// The position of the bracket that closes, quotes minded.
fn bracket(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), _) if q == c => quote = None,
            (None, ']') => return Some(at),
            _ => {}
        }
    }
    None
}

/// A key up to a dot or bracket that no backslash protects.
fn key(text: &str) -> (String, &str) {
    let (mut key, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => key.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' => return (key, text.get(at..).unwrap_or_default()),
            _ => key.push(c),
        }
    }
    (key, "")
}

fn bracketed(text: &str) -> Option<Step> {
    let text = text.trim();
    if text == "*" {
        return Some(Step::Any);
    }
    if let Some(filter) = text.strip_prefix("?(").and_then(|t| t.strip_suffix(')')) {
        let (path, equal, wanted) = match filter.split_once("==") {
            Some((path, wanted)) => (path, true, wanted),
            None => filter.split_once("!=").map(|(path, wanted)| (path, false, wanted))?,
        };
        let path =
            path.trim().strip_prefix('@')?.trim_start_matches('.').split('.').map(str::to_owned).collect();
        return Some(Step::Where(path, equal, wanted.trim().trim_matches(['\'', '"']).to_owned()));
    }
    let bare = text.trim_matches(['\'', '"']);
    if bare.len() != text.len() {
        return Some(Step::Key(bare.to_owned()));
    }
    text.parse().ok().map(Step::Index)
}
