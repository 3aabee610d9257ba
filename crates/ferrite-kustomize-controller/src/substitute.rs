//! Post-build substitution: `${…}` in the text of a manifest.
//!
//! The dialect is that of fluxcd/pkg `envsubst`, which looks like a shell's and differs from it: `:-`, `:=`, `:+` and
//! `:?` all mean the same, and what a shell would pass through is an error. Nothing here knows YAML.

mod glob;

use std::collections::BTreeMap;

use glob::Glob;

/// Expansions within each other.
const MAX_DEPTH: usize = 100;
/// Bytes that one text may grow to.
const MAX_BYTES: usize = 64 << 20;

/// Values by the names of variables.
pub(crate) type Variables = BTreeMap<String, String>;

/// Why a text cannot be expanded; holds no value of a variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} in line {line}")]
pub(crate) struct SubstituteError {
    problem: Problem,
    /// Line of the manifest after the build, from 1.
    line: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("variable not set (strict mode): \"{0}\"")]
    NotSet(String),
    #[error("bad substitution; write `$${{` for a literal `${{`, or exclude the object")]
    Bad,
    #[error("missing closing brace; write `$${{` for a literal `${{`, or exclude the object")]
    MissingBrace,
    #[error("unable to parse variable name; write `$${{` for a literal `${{`, or exclude the object")]
    VariableName,
    #[error("unable to parse substitution within function")]
    Parameter,
    #[error("expansions are nested deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("the text grows beyond {MAX_BYTES} bytes")]
    TooLarge,
}

/// Expands every `${…}` of `text`, and turns `$$` into `$`.
///
/// In `strict` mode a variable that is not set is an error unless a default is given; otherwise it is empty.
pub(crate) fn expand(text: &str, variables: &Variables, strict: bool) -> Result<String, SubstituteError> {
    let mut parser = Parser { rest: text, variables, strict, budget: MAX_BYTES };
    let out = parser.text();
    out.map_err(|problem| {
        let done = text.len() - parser.rest.len();
        let line = text.bytes().take(done).filter(|byte| *byte == b'\n').count() + 1;
        SubstituteError { problem, line }
    })
}

struct Parser<'a> {
    rest: &'a str,
    variables: &'a Variables,
    strict: bool,
    /// Bytes that may still be made.
    budget: usize,
}

impl<'a> Parser<'a> {
    fn text(&mut self) -> Result<String, Problem> {
        let mut out = String::with_capacity(self.rest.len());
        while let Some((before, after)) = self.rest.split_once('$') {
            out.push_str(before);
            self.rest = after;
            if self.take("{") {
                out.push_str(&self.expansion(0)?);
            } else {
                // `$$` is a literal `$`; a lonely one stays.
                let _escaped = self.take("$");
                out.push('$');
            }
        }
        out.push_str(self.rest);
        Ok(out)
    }

    fn take(&mut self, expected: &str) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// What follows `${`, up to and with its `}`.
    fn expansion(&mut self, depth: usize) -> Result<String, Problem> {
        if depth >= MAX_DEPTH {
            return Err(Problem::TooDeep);
        }
        if self.take("#") {
            let name = self.name().ok_or(Problem::Bad)?;
            self.close()?;
            return Ok(self.value(name)?.len().to_string());
        }
        let name = self.name().ok_or(Problem::VariableName)?;
        let mut next = self.rest.chars();
        match (next.next(), next.next()) {
            (Some(':'), Some('=' | '-' | '?' | '+')) => self.default(name, 2, depth),
            (Some('='), _) => self.default(name, 1, depth),
            (Some(':'), _) => self.substring(name, depth),
            (Some(',' | '^'), _) => self.casing(name),
            (Some('/'), _) => self.replace(name, depth),
            (Some('#' | '%'), _) => self.trim(name, depth),
            _ if self.take("}") => self.value(name).map(str::to_owned),
            _ => Err(Problem::MissingBrace),
        }
    }

    fn name(&mut self) -> Option<&'a str> {
        let is_name = |c: char| c == '_' || c.is_alphanumeric();
        let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    fn close(&mut self) -> Result<(), Problem> {
        if self.take("}") { Ok(()) } else { Err(Problem::Bad) }
    }

    fn value(&self, name: &str) -> Result<&'a str, Problem> {
        match self.variables.get(name) {
            Some(value) => Ok(value),
            None if self.strict => Err(Problem::NotSet(name.to_owned())),
            None => Ok(""),
        }
    }

    /// `:-d`, `:=d`, `=d`, `:+d`, `:?d`: `d` when the variable is unset or empty, in all of them.
    fn default(&mut self, name: &str, operator: usize, depth: usize) -> Result<String, Problem> {
        self.rest = self.rest.get(operator..).unwrap_or_default();
        let mut default = String::new();
        while !self.take("}") {
            default.push_str(&self.parameter(|c| c == '}', false, depth)?);
        }
        match self.variables.get(name) {
            Some(value) if !value.is_empty() => Ok(value.clone()),
            _ => Ok(default),
        }
    }

    /// `:n` and `:n:m`, in bytes; what is no number leaves the value whole.
    fn substring(&mut self, name: &str, depth: usize) -> Result<String, Problem> {
        self.take(":");
        let position = self.parameter(|c| matches!(c, ':' | '}'), false, depth)?;
        let length = match self.peek() {
            Some('}') => None,
            Some(':') => {
                self.take(":");
                Some(self.parameter(|c| c == '}', false, depth)?)
            }
            _ => return Err(Problem::Bad),
        };
        self.close()?;
        Ok(substring(self.value(name)?, &position, length.as_deref()))
    }

    /// `^`, `^^`, `,`, `,,`.
    fn casing(&mut self, name: &str) -> Result<String, Problem> {
        let end = self.rest.chars().take(2).take_while(|c| matches!(c, ',' | '^')).count();
        let (operator, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.close()?;
        let value = self.value(name)?;
        let mut chars = value.chars();
        Ok(match operator {
            "^^" => value.to_uppercase(),
            ",," => value.to_lowercase(),
            "^" => chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default(),
            "," => chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default(),
            _ => value.to_owned(),
        })
    }

    /// `/a/b`, `//a/b`, `/#a/b`, `/%a/b`; the pattern is literal.
    fn replace(&mut self, name: &str, depth: usize) -> Result<String, Problem> {
        self.take("/");
        let mode = match self.peek() {
            Some(mode @ ('/' | '#' | '%')) => {
                self.rest = self.rest.get(1..).unwrap_or_default();
                Some(mode)
            }
            _ => None,
        };
        let pattern = match self.peek() {
            Some('/') => String::new(),
            _ => self.parameter(|c| c == '/', true, depth)?,
        };
        if !self.take("/") {
            return Err(Problem::Bad);
        }
        let with = match self.peek() {
            Some('}') => None,
            _ => Some(self.parameter(|c| c == '}', true, depth)?),
        };
        self.close()?;
        let value = self.value(name)?;
        let text = with.as_deref().unwrap_or_default();
        let count = if mode == Some('/') { value.matches(pattern.as_str()).count() } else { 1 };
        self.spend(count.saturating_mul(text.len()).saturating_add(value.len()))?;
        Ok(match (mode, with.is_some()) {
            (Some('/'), _) => value.replace(pattern.as_str(), text),
            (None, _) => value.replacen(pattern.as_str(), text, 1),
            (Some('#'), true) => value
                .strip_prefix(pattern.as_str())
                .map_or_else(|| value.to_owned(), |rest| format!("{text}{rest}")),
            (Some('%'), true) => value
                .strip_suffix(pattern.as_str())
                .map_or_else(|| value.to_owned(), |rest| format!("{rest}{text}")),
            (Some(_), _) => value.to_owned(),
        })
    }

    /// `#p`, `##p`, `%p`, `%%p`: what the glob matches goes from the start or the end, the shortest or the longest.
    fn trim(&mut self, name: &str, depth: usize) -> Result<String, Problem> {
        let from_end = self.peek() == Some('%');
        let operator = if from_end { "%" } else { "#" };
        self.take(operator);
        let longest = self.take(operator);
        let pattern = self.parameter(|c| c == '}', false, depth)?;
        self.close()?;
        let value = self.value(name)?;
        Ok(glob_trim(value, &pattern, from_end, longest))
    }

    /// A nested expansion, or text up to `stop` or the next one.
    fn parameter(&mut self, stop: fn(char) -> bool, escapes: bool, depth: usize) -> Result<String, Problem> {
        if self.take("${") {
            let nested = self.expansion(depth + 1)?;
            self.spend(nested.len())?;
            return Ok(nested);
        }
        let mut out = String::new();
        let mut chars = self.rest.chars();
        while let Some(c) = chars.next() {
            let next = chars.clone().next();
            if c == '$' && next == Some('{') {
                break;
            }
            let escaped = escapes && matches!((c, next), ('$', Some('$')) | ('\\', Some('/' | '\\')));
            if escaped {
                out.extend(chars.next());
            } else if stop(c) {
                break;
            } else {
                out.push(c);
            }
            self.rest = chars.as_str();
        }
        if out.is_empty() { Err(Problem::Parameter) } else { Ok(out) }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Problem> {
        self.budget = self.budget.checked_sub(bytes).ok_or(Problem::TooLarge)?;
        Ok(())
    }
}

fn substring(value: &str, position: &str, length: Option<&str>) -> String {
    let whole = || value.to_owned();
    let Ok(position) = position.parse::<i64>() else { return whole() };
    let size = i64::try_from(value.len()).unwrap_or(i64::MAX);
    let start = if position < 0 { size.saturating_add(position).max(0) } else { position };
    let end = match length.map(str::parse::<i64>) {
        None => size,
        Some(Err(_)) => return whole(),
        Some(Ok(length)) if length < 0 => size.saturating_add(length),
        Some(Ok(length)) => start.saturating_add(length).min(size),
    };
    let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else { return String::new() };
    let bytes = value.as_bytes().get(start..end).unwrap_or_default();
    // Offsets count bytes and may split a character.
    String::from_utf8_lossy(bytes).into_owned()
}

fn glob_trim(value: &str, pattern: &str, from_end: bool, longest: bool) -> String {
    let reversed = |text: &str| text.chars().rev().collect::<String>();
    if from_end {
        // The pattern is turned around too, so a class such as `[ab]` does not work from the end.
        return reversed(&glob_trim(&reversed(value), &reversed(pattern), false, longest));
    }
    let matched = Glob::parse(pattern).and_then(|glob| glob.prefix(value, longest)).unwrap_or(0);
    value.get(matched..).unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests;
