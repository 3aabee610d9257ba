//! YAML with its comments, written as go-yaml v3 does: indented by four, without the layout of the source.

use std::collections::{HashSet, VecDeque};

use ferrite_yaml::{Data, Dialect, Limits, Map, Node, Resolved, Style};
use granit_parser::{Event, Parser};

use crate::{
    number,
    tree::{Branch, Comment, Part, Time, Value},
};

/// Documents of one file.
const MAX_DOCUMENTS: usize = 1000;
/// Comments of one document.
const MAX_COMMENTS: usize = 100_000;

/// Reads all documents.
pub(crate) fn read(text: &str) -> Result<Vec<Branch>, String> {
    let mut branches = Vec::new();
    for (first_line, document) in documents(text) {
        if branches.len() == MAX_DOCUMENTS {
            return Err(format!("it has more than {MAX_DOCUMENTS} documents"));
        }
        branches
            .push(document_of(document).map_err(|(line, why)| format!("line {}: {why}", first_line + line))?);
    }
    Ok(branches)
}

/// The documents, each with the number of lines before it.
fn documents(text: &str) -> Vec<(u32, &str)> {
    let mut found = Vec::new();
    let (mut start, mut at, mut first_line, mut line_number) = (0, 0, 0, 0);
    for line in text.split_inclusive('\n') {
        line_number += 1;
        let bare = line.trim_end();
        if bare == "---" || bare.starts_with("--- ") {
            let before = text.get(start..at).unwrap_or_default();
            // What is before the first marker is no document, unless there is something in it.
            if !found.is_empty()
                || before.lines().any(|line| !line.trim().is_empty() && !line.starts_with('%'))
            {
                found.push((first_line, before));
            }
            start = at + "---".len();
            first_line = line_number - 1;
            if found.is_empty() {
                found.push((first_line, ""));
                found.clear();
            }
        }
        at += line.len();
    }
    found.push((first_line, text.get(start..).unwrap_or_default()));
    found
}

type Refused = (u32, String);

fn document_of(text: &str) -> Result<Branch, Refused> {
    let limits = Limits { keep_merge_keys: true, ..Limits::default() };
    let node = ferrite_yaml::parse(text, &limits)
        // The words of the parser can quote the text; the place cannot.
        .map_err(|error| (error.position.line, "it is no YAML".to_owned()))?;
    let mut reader = Reader { comments: comments(text) };
    match node {
        None => Ok(reader.rest(u32::MAX, 0)),
        Some(Node { data: Data::Map(map), style, position, .. }) => {
            reader.map(&map, position.column, u32::MAX, style == Style::Flow)
        }
        Some(node) if node.is_null() => Ok(reader.rest(u32::MAX, 0)),
        Some(node) => Err((node.position.line, "a document must be a mapping".to_owned())),
    }
}

struct Found {
    line: u32,
    column: u32,
    text: String,
}

/// The comments of a document, in order.
fn comments(text: &str) -> VecDeque<Found> {
    let mut options = granit_parser::options! { block_scalar_eof_without_line_feed: true };
    options.set_emit_comments(true);
    let mut found = VecDeque::new();
    for event in Parser::new_from_str_with_options(text, options) {
        // It was parsed before; what comes after an error are at most further comments.
        let Ok((event, span)) = event else { break };
        if let Event::Comment(text, _) = event {
            let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let (line, column) = (place(span.start.line()), place(span.start.col() + 1));
            found.push_back(Found { line, column, text: text.into_owned() });
        }
        if found.len() == MAX_COMMENTS {
            break;
        }
    }
    found
}

/// Puts comments back between what they stand between.
struct Reader {
    comments: VecDeque<Found>,
}

impl Reader {
    fn take(&mut self, holds: impl Fn(&Found) -> bool) -> Option<String> {
        let next = self.comments.front().is_some_and(holds);
        if next { self.comments.pop_front().map(|found| found.text) } else { None }
    }

    fn heads<T>(&mut self, parts: &mut Vec<Part<T>>, line: u32) {
        while let Some(text) = self.take(|found| found.line < line) {
            parts.push(Part::Comment(Comment { text, inline: false }));
        }
    }

    fn inline<T>(&mut self, parts: &mut Vec<Part<T>>, line: u32) {
        while let Some(text) = self.take(|found| found.line <= line) {
            parts.push(Part::Comment(Comment { text, inline: true }));
        }
    }

    /// What is left up to a line, if it is not indented less than `column`.
    fn rest<T>(&mut self, end: u32, column: u32) -> Vec<Part<T>> {
        let mut parts = Vec::new();
        while let Some(text) = self.take(|found| found.line < end && found.column >= column) {
            parts.push(Part::Comment(Comment { text, inline: false }));
        }
        parts
    }

    fn map(&mut self, map: &Map, column: u32, end: u32, flow: bool) -> Result<Branch, Refused> {
        let mut parts = Branch::new();
        let mut seen = HashSet::new();
        for (index, (key, value)) in map.entries.iter().enumerate() {
            let line = key.position.line;
            if !key.is_string(Dialect::Yaml12) {
                return Err((line, "only text can be a key".to_owned()));
            }
            if !seen.insert(key.text.as_str()) {
                return Err((line, "a key is there twice".to_owned()));
            }
            if !flow {
                self.heads(&mut parts, line);
            }
            let next = map.entries.get(index + 1).map_or(end, |(key, _)| key.position.line);
            let value = self.value(value, &mut parts, line, next, flow)?;
            parts.push(Part::Item((key.text.clone(), value)));
        }
        if !flow {
            parts.extend(self.rest(end, column));
        }
        Ok(parts)
    }

    fn list(
        &mut self,
        items: &[Node],
        column: u32,
        end: u32,
        flow: bool,
    ) -> Result<Vec<Part<Value>>, Refused> {
        let mut parts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let line = item.position.line;
            if !flow {
                self.heads(&mut parts, line);
            }
            let next = items.get(index + 1).map_or(end, |item| item.position.line);
            let value = self.value(item, &mut parts, line, next, flow)?;
            parts.push(Part::Item(value));
        }
        if !flow {
            parts.extend(self.rest(end, column));
        }
        Ok(parts)
    }

    /// A value; comments that go with it go before it, as in SOPS.
    fn value<T>(
        &mut self,
        node: &Node,
        before: &mut Vec<Part<T>>,
        line: u32,
        next: u32,
        in_flow: bool,
    ) -> Result<Value, Refused> {
        let flow = in_flow || node.style == Style::Flow;
        let column = node.position.column;
        if !flow && !matches!(node.data, Data::Scalar(_)) && node.position.line > line {
            self.heads(before, line + 1);
        }
        let value = match &node.data {
            Data::Map(map) => Value::Map(self.map(map, column, next, flow)?),
            Data::Seq(items) => Value::List(self.list(items, column, next, flow)?),
            Data::Scalar(text) => scalar(node, text)?,
        };
        if !in_flow && (flow || matches!(node.data, Data::Scalar(_))) {
            self.inline(before, node.position.line);
        }
        Ok(value)
    }
}

fn scalar(node: &Node, text: &str) -> Result<Value, Refused> {
    Ok(match node.resolved(Dialect::Yaml12) {
        Resolved::Null => Value::Null,
        Resolved::Bool(bool) => Value::Bool(bool),
        Resolved::Int(int) => Value::Int(int),
        Resolved::Uint(_) => return Err((node.position.line, "an integer exceeds 64 bits".to_owned())),
        Resolved::Float(float) => Value::Float(float),
        Resolved::Timestamp(time) => match Time::parse(&time) {
            Some(time) => Value::Time(time),
            None => Value::Text(text.to_owned()),
        },
        Resolved::Str => Value::Text(text.to_owned()),
    })
}

/// Writes all documents.
pub(crate) fn write(branches: &[Branch]) -> String {
    let mut out = String::new();
    for (index, branch) in branches.iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        if has_items(branch) {
            map(&mut out, branch, 0, false);
        } else {
            comments_of(&mut out, branch, 0);
            out.push_str("{}\n");
        }
    }
    out
}

fn has_items<T>(parts: &[Part<T>]) -> bool {
    parts.iter().any(|part| matches!(part, Part::Item(_)))
}

fn spaces(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn comment(out: &mut String, text: &str, indent: usize) {
    spaces(out, indent);
    out.push('#');
    out.push_str(text);
    out.push('\n');
}

fn comments_of<T>(out: &mut String, parts: &[Part<T>], indent: usize) {
    for part in parts {
        if let Part::Comment(found) = part {
            comment(out, &found.text, indent);
        }
    }
}

/// Everything but what follows `- ` aligns to a multiple of four.
const fn deeper(indent: usize) -> usize {
    4 * ((indent + 4) / 4)
}

/// `after_dash`: the first key follows `- `, and comments before it were written above.
fn map(out: &mut String, branch: &Branch, indent: usize, after_dash: bool) {
    let mut lines: Vec<&str> = Vec::new();
    let mut first = after_dash;
    for part in branch {
        match part {
            Part::Comment(found) if found.inline => lines.push(&found.text),
            Part::Comment(found) => {
                if !first {
                    comment(out, &found.text, indent);
                }
            }
            Part::Item((key, item)) => {
                if !std::mem::take(&mut first) {
                    spaces(out, indent);
                }
                out.push_str(&key_text(key));
                out.push(':');
                value(out, item, indent, deeper(indent), &std::mem::take(&mut lines));
            }
        }
    }
    for left in lines {
        comment(out, left, indent);
    }
}

fn list(out: &mut String, parts: &[Part<Value>], indent: usize, after_dash: bool) {
    let mut lines: Vec<&str> = Vec::new();
    let mut first = after_dash;
    for part in parts {
        match part {
            Part::Comment(found) if found.inline => lines.push(&found.text),
            Part::Comment(found) => {
                if !first {
                    comment(out, &found.text, indent);
                }
            }
            Part::Item(item) => {
                let leading = !first;
                if leading {
                    leading_comments(out, item, indent);
                }
                if !std::mem::take(&mut first) {
                    spaces(out, indent);
                }
                out.push('-');
                match item {
                    Value::Map(branch) if has_items(branch) => {
                        out.push(' ');
                        map(out, branch, indent + 2, true);
                    }
                    Value::List(inner) if has_items(inner) => {
                        out.push(' ');
                        list(out, inner, indent + 2, true);
                    }
                    _ => value(out, item, indent, indent + 2, &lines),
                }
                lines.clear();
            }
        }
    }
    for left in lines {
        comment(out, left, indent);
    }
}

/// Comments at the beginning of a collection that follows `- ` stand above it.
fn leading_comments(out: &mut String, item: &Value, indent: usize) {
    fn lead<T>(parts: &[Part<T>]) -> impl Iterator<Item = &Comment> {
        parts.iter().map_while(|part| match part {
            Part::Comment(found) => Some(found),
            Part::Item(_) => None,
        })
    }
    match item {
        Value::Map(branch) if has_items(branch) => {
            lead(branch).filter(|found| !found.inline).for_each(|found| comment(out, &found.text, indent));
        }
        Value::List(parts) if has_items(parts) => {
            lead(parts).filter(|found| !found.inline).for_each(|found| comment(out, &found.text, indent));
            if let Some(Part::Item(inner)) = parts.iter().find(|part| matches!(part, Part::Item(_))) {
                leading_comments(out, inner, indent);
            }
        }
        Value::Map(_)
        | Value::List(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Time(_) => {}
    }
}

/// What follows `key:` or `-`, with its line's end.
fn value(out: &mut String, item: &Value, _indent: usize, nested: usize, lines: &[&str]) {
    let end = |out: &mut String| {
        if !lines.is_empty() {
            out.push_str(" #");
            out.push_str(&lines.join("\n#"));
        }
        out.push('\n');
    };
    match item {
        Value::Map(branch) if has_items(branch) => {
            end(out);
            map(out, branch, nested, false);
        }
        Value::List(parts) if has_items(parts) => {
            end(out);
            list(out, parts, nested, false);
        }
        Value::Text(text) => {
            out.push(' ');
            let written = text_of(text);
            match written.split_once('\n') {
                // A block: its header, what it says of the line, its lines.
                Some((header, body)) if header.starts_with('|') => {
                    out.push_str(&header.replace('2', "4"));
                    end(out);
                    for line in body.split_inclusive('\n') {
                        if line != "\n" {
                            spaces(out, nested);
                        }
                        out.push_str(line);
                    }
                    if !out.ends_with('\n') {
                        out.push('\n');
                    }
                }
                _ => {
                    out.push_str(&written);
                    end(out);
                }
            }
        }
        other => {
            out.push(' ');
            out.push_str(&simple(other));
            end(out);
        }
    }
}

fn simple(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Float(float) => number::yaml(*float),
        Value::Time(time) => time.text().to_owned(),
        Value::Map(_) => "{}".to_owned(),
        Value::List(_) => "[]".to_owned(),
        Value::Text(text) => text_of(text),
    }
}

/// A text as a scalar, without the end of its line; blocks keep it.
fn text_of(text: &str) -> String {
    if text == "<<" {
        return "!!merge <<".to_owned();
    }
    let mut node = Node::string(text);
    if !text.contains('\n') && (text.contains('\t') || is_sexagesimal(text)) {
        node.style = Style::Double;
    }
    let written = ferrite_yaml::write_styled(&node);
    if written.starts_with('|') { written } else { written.trim_end_matches('\n').to_owned() }
}

/// A number of base 60, as YAML 1.1 had them: `1:20`.
fn is_sexagesimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = whole.split(':');
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let first =
        parts.next().is_some_and(|part| part.starts_with(|c: char| c.is_ascii_digit()) && digits(part));
    let sixtieth = |part: &str| {
        (1..=2).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part.parse::<u8>().is_ok_and(|number| number < 60)
    };
    let mut further = parts.peekable();
    first && further.peek().is_some() && further.all(sixtieth) && digits(fraction)
}

fn key_text(key: &str) -> String {
    if key.contains('\n') { ferrite_yaml::go_json(&key.into()) } else { text_of(key) }
}
