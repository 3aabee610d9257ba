//! Which objects a patch or replacement is for.

use regex::Regex;

use crate::error::{Error, Result};
use crate::id::Id;
use crate::kustomization::SelectorArgs;
use crate::resource::Resource;

/// An anchored pattern; absent matches everything.
#[derive(Debug, Clone, Default)]
struct Pattern(Option<Regex>);

impl Pattern {
    fn new(text: &str, what: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        regex(&format!("^(?:{text})$"))
            .map(|regex| Self(Some(regex)))
            .map_err(|error| Error::invalid(format!("the selector's {what} `{text}`: {error}")))
    }

    fn matches(&self, text: &str) -> bool {
        self.0.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

/// Compiles a pattern within bounds.
pub(crate) fn regex(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(pattern).size_limit(4 << 20).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("invalid regular expression: {}", last.trim_start_matches("error: "))
        }
    })
}

/// A compiled `target`, `select` or `reject`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    group: Pattern,
    version: Pattern,
    kind: Pattern,
    name: Pattern,
    namespace: Pattern,
    labels: Option<LabelSelector>,
    annotations: Option<LabelSelector>,
}

impl Selector {
    pub(crate) fn new(args: &SelectorArgs) -> Result<Self> {
        let labels = |text: &str| -> Result<Option<LabelSelector>> {
            if text.is_empty() { Ok(None) } else { LabelSelector::parse(text).map(Some) }
        };
        Ok(Self {
            group: Pattern::new(&args.group, "group")?,
            version: Pattern::new(&args.version, "version")?,
            kind: Pattern::new(&args.kind, "kind")?,
            name: Pattern::new(&args.name, "name")?,
            namespace: Pattern::new(&args.namespace, "namespace")?,
            labels: labels(&args.label_selector)?,
            annotations: labels(&args.annotation_selector)?,
        })
    }

    /// Selection as patches do it: name and namespace may be the first or the present ones.
    pub(crate) fn selects(&self, resource: &Resource) -> bool {
        let (original, current) = (resource.original_id(), resource.id());
        self.kind.matches(&resource.gvk.kind)
            && self.group.matches(&resource.gvk.group)
            && self.version.matches(&resource.gvk.version)
            && (self.name.matches(original.name) || self.name.matches(current.name))
            && (self.namespace.matches(original.namespace) || self.namespace.matches(current.namespace))
            && self.matches_pairs(resource)
    }

    pub(crate) fn matches_pairs(&self, resource: &Resource) -> bool {
        self.labels.as_ref().is_none_or(|labels| labels.matches(resource, "labels"))
            && self.annotations.as_ref().is_none_or(|pairs| pairs.matches(resource, "annotations"))
    }

    /// True when all parts match one and the same identity.
    pub(crate) fn matches_id(&self, id: &Id<'_>, namespace: &str) -> bool {
        self.kind.matches(id.kind)
            && self.group.matches(id.group)
            && self.version.matches(id.version)
            && self.name.matches(id.name)
            && self.namespace.matches(namespace)
    }
}

/// A Kubernetes label selector (apimachinery `labels.Parse`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq)]
enum Operator {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
    Above(i64),
    Below(i64),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Symbol(&'static str),
}

impl LabelSelector {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::invalid(format!("the label selector `{text}`: {why}"));
        let tokens = tokens(text).map_err(|why| bad(&why))?;
        let mut parser = Parser { tokens: tokens.into_iter().peekable() };
        let mut requirements = Vec::new();
        if parser.tokens.peek().is_none() {
            return Ok(Self(requirements));
        }
        loop {
            requirements.push(parser.requirement().map_err(|why| bad(&why))?);
            match parser.tokens.next() {
                None => return Ok(Self(requirements)),
                Some(Token::Symbol(",")) => {}
                Some(_) => return Err(bad("expected `,` or the end")),
            }
        }
    }

    fn matches(&self, resource: &Resource, field: &str) -> bool {
        self.0.iter().all(|requirement| {
            let value = resource.pair(field, &requirement.key);
            let number = || value.and_then(|value| value.parse::<i64>().ok());
            match &requirement.operator {
                Operator::Exists => value.is_some(),
                Operator::Missing => value.is_none(),
                Operator::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
                Operator::NotIn(values) => value.is_none_or(|value| values.iter().all(|v| v != value)),
                Operator::Above(bound) => number().is_some_and(|number| number > *bound),
                Operator::Below(bound) => number().is_some_and(|number| number < *bound),
            }
        })
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
}

impl Parser {
    fn requirement(&mut self) -> Result<Requirement, String> {
        let missing = self.tokens.next_if_eq(&Token::Symbol("!")).is_some();
        let Some(Token::Word(key)) = self.tokens.next() else { return Err("expected a key".to_owned()) };
        if !is_key(&key) {
            return Err(format!("`{key}` is no valid key"));
        }
        if missing {
            return Ok(Requirement { key, operator: Operator::Missing });
        }
        let operator = match self.tokens.peek() {
            None | Some(Token::Symbol(",")) => return Ok(Requirement { key, operator: Operator::Exists }),
            Some(Token::Symbol(symbol)) => *symbol,
            Some(Token::Word(word)) if word == "in" => "in",
            Some(Token::Word(word)) if word == "notin" => "notin",
            Some(Token::Word(word)) => return Err(format!("`{word}` is no operator")),
        };
        self.tokens.next();
        let operator = match operator {
            "=" | "==" => Operator::In(vec![self.value()?]),
            "!=" => Operator::NotIn(vec![self.value()?]),
            "in" => Operator::In(self.values()?),
            "notin" => Operator::NotIn(self.values()?),
            ">" | "<" => {
                let value = self.value()?;
                let bound = value.parse().map_err(|_| format!("`{value}` is no integer"))?;
                if operator == ">" { Operator::Above(bound) } else { Operator::Below(bound) }
            }
            other => return Err(format!("`{other}` is no operator")),
        };
        Ok(Requirement { key, operator })
    }

    fn value(&mut self) -> Result<String, String> {
        match self.tokens.peek() {
            None | Some(Token::Symbol(",")) => Ok(String::new()),
            Some(Token::Word(_)) => match self.tokens.next() {
                Some(Token::Word(word)) => checked(word),
                _ => Ok(String::new()),
            },
            Some(Token::Symbol(symbol)) => Err(format!("expected a value, found `{symbol}`")),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        if self.tokens.next() != Some(Token::Symbol("(")) {
            return Err("expected `(`".to_owned());
        }
        let mut values = Vec::new();
        let mut open = true;
        loop {
            match self.tokens.next() {
                Some(Token::Word(word)) if open => {
                    values.push(checked(word)?);
                    open = false;
                }
                Some(Token::Symbol(",")) => {
                    if open {
                        values.push(String::new());
                    }
                    open = true;
                }
                Some(Token::Symbol(")")) => {
                    if open {
                        values.push(String::new());
                    }
                    return Ok(values);
                }
                _ => return Err("expected a value, `,` or `)`".to_owned()),
            }
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let symbol = match c {
            ' ' | '\t' | '\r' | '\n' => continue,
            '!' if chars.next_if_eq(&'=').is_some() => "!=",
            '!' => "!",
            '=' if chars.next_if_eq(&'=').is_some() => "==",
            '=' => "=",
            '>' => ">",
            '<' => "<",
            ',' => ",",
            '(' => "(",
            ')' => ")",
            first => {
                let mut word = String::from(first);
                while let Some(c) = chars.next_if(|c| {
                    !matches!(c, ' ' | '\t' | '\r' | '\n' | '!' | '=' | '>' | '<' | ',' | '(' | ')')
                }) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
                continue;
            }
        };
        tokens.push(Token::Symbol(symbol));
    }
    if tokens.len() > 10_000 { Err("it is too long".to_owned()) } else { Ok(tokens) }
}

/// A name of at most 63 characters, letters and digits at its ends, `-_.` between.
fn is_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && edge(text.chars().next())
        && edge(text.chars().next_back())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn is_key(key: &str) -> bool {
    match key.rsplit_once('/') {
        Some((prefix, name)) => {
            let label = |part: &str| {
                !part.is_empty()
                    && !part.starts_with('-')
                    && !part.ends_with('-')
                    && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            };
            prefix.len() <= 253 && prefix.split('.').all(label) && is_name(name)
        }
        None => is_name(key),
    }
}

fn checked(value: String) -> Result<String, String> {
    if value.is_empty() || is_name(&value) { Ok(value) } else { Err(format!("`{value}` is no valid value")) }
}

#[cfg(test)]
mod tests {
    use super::{LabelSelector, Selector};
    use crate::kustomization::SelectorArgs;
    use crate::resource::Resource;
    use crate::schema::Types;

    fn object() -> Resource {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {app: web, n: '5'}}";
        let node = ferrite_yaml::parse(text, &Default::default()).unwrap().unwrap();
        Resource::new(node, &Types::builtin())
    }

    #[track_caller]
    fn check(selector: &str, expect: &str) {
        let shown = match LabelSelector::parse(selector) {
            Ok(selector) => selector.matches(&object(), "labels").to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expect, "{selector}");
    }

    #[test]
    fn label_selectors() {
        check("app=web", "true");
        check("app == web, n > 4", "true");
        check("app!=web", "false");
        check("other!=web", "true");
        check("app in (a, web)", "true");
        check("app notin (a,web)", "false");
        check("app", "true");
        check("!app", "false");
        check("n<5", "false");
        check("app in web", "the label selector `app in web`: expected `(`");
        check("app=-x", "the label selector `app=-x`: `-x` is no valid value");
    }

    #[test]
    fn patterns_are_anchored_and_default_is_no_namespace() {
        let selects = |name: &str, namespace: &str| {
            let args = SelectorArgs { name: name.into(), namespace: namespace.into(), ..Default::default() };
            Selector::new(&args).unwrap().selects(&object())
        };
        assert!(selects("we.", ""));
        assert!(!selects("we", ""));
        assert!(selects("a|web", "default"));
        assert!(!selects("", "other"));
    }
}
