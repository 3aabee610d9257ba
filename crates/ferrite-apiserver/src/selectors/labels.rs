//! `app=x,tier in (a,b),!legacy`

use serde_json::Value;

use crate::status::ApiError;

/// Requirements on labels, all of which must hold.
#[derive(Debug, Default, Clone)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Exists,
    Missing,
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut tokens = Tokens { rest: text };
        let mut requirements = Vec::new();
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        loop {
            requirements.push(requirement(&mut tokens).map_err(|why| failed(&why))?);
            match tokens.next() {
                None => return Ok(Self(requirements)),
                Some(",") => {}
                Some(other) => {
                    return Err(failed(&format!("found '{other}', expected: ',' or 'end of string'")));
                }
            }
        }
    }

    /// A `LabelSelector` object, as specs hold it.
    pub(crate) fn of(selector: &Value) -> Self {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let labels = selector["matchLabels"].as_object().into_iter().flatten();
        let mut requirements: Vec<Requirement> = labels
            .map(|(key, value)| Requirement { key: key.clone(), test: Test::In(vec![text(value)]) })
            .collect();
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let values =
                || expression["values"].as_array().map_or_else(Vec::new, |v| v.iter().map(text).collect());
            let test = match expression["operator"].as_str() {
                Some("In") => Test::In(values()),
                Some("NotIn") => Test::NotIn(values()),
                Some("Exists") => Test::Exists,
                Some(_) | None => Test::Missing,
            };
            requirements.push(Requirement { key: text(&expression["key"]), test });
        }
        Self(requirements)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|r| {
            let value = label(&r.key);
            let number = || value.and_then(|v| v.parse::<i64>().ok());
            match &r.test {
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
                Test::In(values) => value.is_some_and(|v| values.iter().any(|x| x == v)),
                Test::NotIn(values) => value.is_none_or(|v| values.iter().all(|x| x != v)),
                Test::Greater(limit) => number().is_some_and(|v| v > *limit),
                Test::Less(limit) => number().is_some_and(|v| v < *limit),
            }
        })
    }
}

fn failed(why: &str) -> ApiError {
    ApiError::bad_request(format!("unable to parse requirement: {why}"))
}

#[derive(Clone, Copy)]
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn peek(mut self) -> Option<&'a str> {
        self.next()
    }

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start();
        let length = match text.chars().next()? {
            ',' | '(' | ')' => 1,
            '!' | '=' | '<' | '>' => 1 + usize::from(text.starts_with("!=") || text.starts_with("==")),
            _ => text.find(|c: char| c.is_whitespace() || ",()!=<>".contains(c)).unwrap_or(text.len()),
        };
        let (token, rest) = text.split_at(length);
        self.rest = rest;
        Some(token)
    }
}

fn is_symbol(token: &str) -> bool {
    matches!(token, "," | "(" | ")" | "=" | "==" | "!=" | "<" | ">" | "!")
}

fn requirement(tokens: &mut Tokens<'_>) -> Result<Requirement, String> {
    let first = tokens.next();
    let (negated, key) = if first == Some("!") { (true, tokens.next()) } else { (false, first) };
    let Some(key) = key.filter(|k| !is_symbol(k)) else {
        return Err(format!(
            "found '{}', expected: !, identifier, or 'end of string'",
            key.unwrap_or_default()
        ));
    };
    let errors = crate::kinds::names::qualified_name(key);
    if !errors.is_empty() {
        return Err(format!("key: Invalid value: {key:?}: {}", errors.join("; ")));
    }
    let key = key.to_owned();
    if negated {
        return Ok(Requirement { key, test: Test::Missing });
    }
    if matches!(tokens.peek(), None | Some(",")) {
        return Ok(Requirement { key, test: Test::Exists });
    }
    let test = match tokens.next().unwrap_or_default() {
        "=" | "==" => Test::In(vec![value(tokens, &key)?]),
        "!=" => Test::NotIn(vec![value(tokens, &key)?]),
        "in" => Test::In(values(tokens, &key)?),
        "notin" => Test::NotIn(values(tokens, &key)?),
        ">" => Test::Greater(number(tokens, &key)?),
        "<" => Test::Less(number(tokens, &key)?),
        other => return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
    };
    Ok(Requirement { key, test })
}

fn value(tokens: &mut Tokens<'_>, key: &str) -> Result<String, String> {
    let value = match tokens.peek() {
        None | Some(",") => return Ok(String::new()),
        Some(symbol) if is_symbol(symbol) => return Err(format!("found '{symbol}', expected: identifier")),
        Some(_) => tokens.next().unwrap_or_default(),
    };
    check_value(value, key)?;
    Ok(value.to_owned())
}

fn number(tokens: &mut Tokens<'_>, key: &str) -> Result<i64, String> {
    let text = value(tokens, key)?;
    text.parse().map_err(|_| format!("values[0][{key}]: Invalid value: {text:?}: for 'Gt', 'Lt' operators, the value must be an integer"))
}

fn values(tokens: &mut Tokens<'_>, key: &str) -> Result<Vec<String>, String> {
    match tokens.next() {
        Some("(") => {}
        other => return Err(format!("found '{}' expected: '('", other.unwrap_or_default())),
    }
    let mut values = Vec::new();
    loop {
        match tokens.next() {
            Some(")") => break,
            Some(",") => {
                if matches!(tokens.peek(), Some("," | ")")) {
                    values.push(String::new());
                }
            }
            Some(text) => {
                check_value(text, key)?;
                values.push(text.to_owned());
            }
            None => return Err("found '', expected: ',', or ')'".to_owned()),
        }
    }
    Ok(values)
}

fn check_value(value: &str, key: &str) -> Result<(), String> {
    let errors = crate::kinds::names::label_value(value);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(format!("values[0][{key}]: Invalid value: {value:?}: {}", errors.join("; ")))
    }
}
