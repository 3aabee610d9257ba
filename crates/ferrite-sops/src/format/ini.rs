//! INI, as go-ini reads and writes it: sections, keys that are aligned, comments before what they are about.

use super::{dotenv, unflatten};
use crate::tree::{Branch, Comment, Part, Value};

/// The section of what stands before all others.
const DEFAULT: &str = "DEFAULT";

/// One branch: the sections in order, each a mapping.
pub(crate) fn read(text: &str) -> Result<Branch, String> {
    let mut sections: Vec<(String, Branch)> = vec![(DEFAULT.to_owned(), Branch::new())];
    let mut pending: Vec<String> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if line.starts_with(['#', ';']) {
            pending.push(line.to_owned());
            continue;
        }
        let refused = |why: &str| format!("line {}: {why}", index + 1);
        if let Some(rest) = line.strip_prefix('[') {
            let (name, _) = rest.rsplit_once(']').ok_or_else(|| refused("unclosed section"))?;
            let mut branch = Branch::new();
            branch.extend(comment_of(&mut pending));
            sections.push((name.trim().to_owned(), branch));
            continue;
        }
        let (name, value) = key_and_value(line).ok_or_else(|| refused("expected key = value"))?;
        let mut further = || lines.next().map(|(_, line)| line);
        let (value, trailing) = value_of(value, &mut further).ok_or_else(|| refused("unclosed quotes"))?;
        pending.extend(trailing);
        if let Some((_, branch)) = sections.last_mut() {
            branch.push(Part::Item((name, Value::Text(value))));
            branch.extend(comment_of(&mut pending));
        }
    }
    let part = |(name, branch)| Part::Item((name, Value::Map(branch)));
    Ok(sections.into_iter().map(part).collect())
}

/// The comment lines that were collected, as one comment; its mark goes, as SOPS drops it.
fn comment_of(pending: &mut Vec<String>) -> Option<Part<(String, Value)>> {
    if pending.is_empty() {
        return None;
    }
    let text = std::mem::take(pending).join("\n");
    let text = match text.strip_prefix(';') {
        Some(_) => text.trim_start_matches([';', ' ']),
        None => text.trim_start_matches(['#', ' ']),
    };
    Some(Part::Comment(Comment { text: text.to_owned(), inline: false }))
}

fn key_and_value(line: &str) -> Option<(String, &str)> {
    for quote in ["\"\"\"", "\"", "`"] {
        if let Some(rest) = line.strip_prefix(quote) {
            let (name, rest) = rest.split_once(quote)?;
            let (_, value) = rest.split_once(['=', ':'])?;
            return Some((name.to_owned(), value.trim()));
        }
    }
    let (name, value) = line.split_once(['=', ':'])?;
    Some((name.trim().to_owned(), value.trim()))
}

/// A value without its quotes, and the comment that follows it.
fn value_of<'a>(
    mut value: &'a str,
    further: &mut dyn FnMut() -> Option<&'a str>,
) -> Option<(String, Option<String>)> {
    for quote in ["\"\"\"", "`"] {
        let Some(rest) = value.strip_prefix(quote) else { continue };
        let mut text = String::new();
        let mut line = rest;
        loop {
            if let Some((inner, _)) = line.split_once(quote) {
                text.push_str(inner);
                return Some((text, None));
            }
            text.push_str(line);
            text.push('\n');
            line = further()?;
        }
    }
    let mut joined = String::new();
    while let Some(rest) = value.strip_suffix('\\') {
        joined.push_str(rest);
        match further() {
            Some(line) => value = line.trim(),
            None => {
                value = "";
                break;
            }
        }
    }
    joined.push_str(value);
    let (text, trailing) = match joined.find(['#', ';']).and_then(|at| joined.split_at_checked(at)) {
        Some((text, comment)) => (text.trim(), Some(comment.to_owned())),
        None => (joined.trim(), None),
    };
    let unquoted = ['"', '\''].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    });
    Some((unquoted.unwrap_or(text).to_owned(), trailing))
}

/// Takes the metadata out: the section `sops`.
pub(crate) fn split(branch: Branch) -> (Vec<Branch>, Option<Value>) {
    let is_metadata = |part: &Part<(String, Value)>| matches!(part, Part::Item((name, _)) if name == "sops");
    let (found, rest): (Branch, Branch) = branch.into_iter().partition(is_metadata);
    let metadata = found.into_iter().next().and_then(|part| match part {
        Part::Item((_, Value::Map(section))) => Some(section),
        Part::Item(_) | Part::Comment(_) => None,
    });
    let flat = metadata.map(|section| {
        let pairs = section.into_iter().filter_map(|part| match part {
            Part::Item((name, Value::Text(text))) => Some((name, Value::Text(text.replace("\\n", "\n")))),
            Part::Item(pair) => Some(pair),
            Part::Comment(_) => None,
        });
        unflatten(pairs.collect())
    });
    (vec![rest], flat)
}

pub(crate) fn write(branches: &[Branch]) -> Result<String, &'static str> {
    let mut out = String::new();
    let sections = branches.iter().flatten().filter_map(|part| match part {
        Part::Item(section) => Some(section),
        Part::Comment(_) => None,
    });
    for (index, (name, value)) in sections.enumerate() {
        let Value::Map(section) = value else { return Err("an INI file can hold sections only") };
        write_section(&mut out, index, name, section)?;
    }
    Ok(out)
}

fn write_section(out: &mut String, index: usize, name: &str, section: &Branch) -> Result<(), &'static str> {
    if !out.is_empty() {
        out.push('\n');
    }
    let mut parts = section.iter().peekable();
    let lead = parts.next_if(|part| matches!(part, Part::Comment(_)));
    if let Some(Part::Comment(comment)) = lead {
        write_comment(out, &comment.text);
    }
    if index > 0 || name != DEFAULT {
        out.push_str(&format!("[{name}]\n"));
    } else if section.is_empty() {
        return Ok(());
    }
    let mut pairs: Vec<(&str, String, Option<&str>)> = Vec::new();
    for part in parts {
        match part {
            Part::Item((key, value)) => {
                let text =
                    dotenv::simple(value).ok_or("an INI file cannot hold lists and mappings in a section")?;
                pairs.push((key, text, None));
            }
            Part::Comment(comment) => {
                if let Some(last) = pairs.last_mut() {
                    last.2 = Some(&comment.text);
                }
            }
        }
    }
    let names: Vec<String> = pairs.iter().map(|(key, ..)| quoted_key(key)).collect();
    let width = names.iter().map(String::len).max().unwrap_or_default();
    for (name, (_, text, comment)) in names.iter().zip(&pairs) {
        if let Some(comment) = comment {
            write_comment(out, comment);
        }
        out.push_str(&format!("{name:width$} = {}\n", quoted(text)));
    }
    Ok(())
}

fn write_comment(out: &mut String, text: &str) {
    for line in text.lines() {
        let line = line.trim();
        match line.strip_prefix(['#', ';']) {
            Some(rest) => {
                out.extend(line.chars().next());
                out.push(' ');
                out.push_str(rest.trim());
            }
            None => {
                out.push_str("; ");
                out.push_str(line);
            }
        }
        out.push('\n');
    }
}

fn quoted_key(key: &str) -> String {
    if key.contains(['"', '=', ':']) {
        format!("`{key}`")
    } else if key.contains('`') {
        format!("\"\"\"{key}\"\"\"")
    } else {
        key.to_owned()
    }
}

fn quoted(text: &str) -> String {
    if text.contains(['\n', '`']) {
        format!("\"\"\"{text}\"\"\"")
    } else if text.contains(['#', ';']) {
        format!("`{text}`")
    } else if text.trim() != text {
        format!("\"{text}\"")
    } else {
        text.to_owned()
    }
}
