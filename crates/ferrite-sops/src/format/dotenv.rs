//! Lines of `name=value`; `\n` in a value is a line break, and lines with `#` are comments.

use super::unflatten;
use crate::{
    number,
    tree::{Branch, Comment, Part, Value},
};

pub(crate) fn read(text: &str) -> Result<Branch, String> {
    let mut branch = Branch::new();
    for (index, line) in text.split('\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        if let Some(comment) = line.strip_prefix('#') {
            branch.push(Part::Comment(Comment { text: comment.to_owned(), inline: false }));
            continue;
        }
        let (name, value) =
            line.split_once('=').ok_or_else(|| format!("line {}: expected name=value", index + 1))?;
        branch.push(Part::Item((name.to_owned(), Value::Text(value.replace("\\n", "\n")))));
    }
    Ok(branch)
}

/// Takes the metadata out: the names that begin with `sops_`.
pub(crate) fn split(branch: Branch) -> (Vec<Branch>, Option<Value>) {
    let (mut rest, mut flat) = (Branch::new(), Vec::new());
    for part in branch {
        match part {
            Part::Item((name, value)) => match name.strip_prefix("sops_") {
                Some(name) => flat.push((name.to_owned(), value)),
                None => rest.push(Part::Item((name, value))),
            },
            comment @ Part::Comment(_) => rest.push(comment),
        }
    }
    (vec![rest], (!flat.is_empty()).then(|| unflatten(flat)))
}

pub(crate) fn write(branch: &Branch) -> Result<String, &'static str> {
    let mut out = String::new();
    for part in branch {
        match part {
            Part::Comment(comment) => {
                out.push('#');
                out.push_str(&comment.text);
            }
            Part::Item((name, value)) => {
                out.push_str(name);
                out.push('=');
                out.push_str(&text(value).ok_or("a dotenv file cannot hold lists and mappings")?);
            }
        }
        out.push('\n');
    }
    Ok(out)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.replace('\n', "\\n")),
        other => simple(other),
    }
}

/// A value that is no text, as text.
pub(crate) fn simple(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Null => Some("<nil>".to_owned()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Int(int) => Some(int.to_string()),
        Value::Float(float) => Some(number::text(*float)),
        Value::Time(time) => Some(time.text().to_owned()),
        Value::Map(_) | Value::List(_) => None,
    }
}
