//! Label selectors as Kubernetes writes them: `app=web,tier in (a, b),!canary`.

use serde_json::Value;

/// One requirement of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Need {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

/// A selector over labels or annotations; the empty one selects everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(Vec<Need>);

/// A text that is not a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "selector `{text}` cannot be read at `{at}`: expected key, key=value, key!=value, key in (…), key notin (…) or !key"
)]
pub struct SelectorError {
    /// The selector.
    pub text: String,
    /// The part that cannot be read.
    pub at: String,
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    ///
    /// [`SelectorError`] naming the part that is not a requirement.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut needs = Vec::new();
        for part in parts(text) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let need =
                need(part).ok_or_else(|| SelectorError { text: text.to_owned(), at: part.to_owned() })?;
            needs.push(need);
        }
        Ok(Self(needs))
    }

    /// Whether a map of labels or annotations fulfils every requirement. Without a map there are no keys.
    #[must_use]
    pub fn selects(&self, map: Option<&Value>) -> bool {
        let value = |key: &str| map.and_then(|map| map.get(key)).and_then(Value::as_str);
        self.0.iter().all(|need| match need {
            Need::In(key, values) => value(key).is_some_and(|have| values.iter().any(|want| want == have)),
            Need::NotIn(key, values) => {
                !value(key).is_some_and(|have| values.iter().any(|want| want == have))
            }
            Need::Exists(key) => value(key).is_some(),
            Need::Missing(key) => value(key).is_none(),
        })
    }
}

/// Splits at commas outside parentheses.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth <= 0
    })
}

fn need(part: &str) -> Option<Need> {
    if let Some(key) = part.strip_prefix('!') {
        return name(key).map(Need::Missing);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Some(Need::NotIn(name(key)?, vec![plain(value)?]));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Need::In(name(key)?, vec![plain(value)?]));
    }
    let Some((head, list)) = part.split_once('(') else { return name(part).map(Need::Exists) };
    let list = list.trim_end().strip_suffix(')')?;
    let values = list.split(',').map(plain).collect::<Option<Vec<String>>>()?;
    let (key, word) = head.trim().split_once(char::is_whitespace)?;
    match word.trim() {
        "in" => Some(Need::In(name(key)?, values)),
        "notin" => Some(Need::NotIn(name(key)?, values)),
        _ => None,
    }
}

fn name(text: &str) -> Option<String> {
    plain(text).filter(|name| !name.is_empty())
}

fn plain(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.contains(|c: char| c.is_whitespace() || "()=!,".contains(c))).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_are_read_as_kubernetes_reads_them() {
        let labels = json!({"app": "web", "tier": "a", "empty": ""});
        for (text, expect) in [
            ("", true),
            ("app", true),
            ("app=web", true),
            ("app == web", true),
            ("app!=web", false),
            ("none!=web", true),
            ("tier in (a, b),app", true),
            ("tier notin (a,b)", false),
            ("!app", false),
            ("!none,app=web", true),
            ("empty=", true),
            ("none in (a)", false),
        ] {
            assert_eq!(Selector::parse(text).unwrap().selects(Some(&labels)), expect, "{text}");
        }
        assert!(!Selector::parse("app").unwrap().selects(None));
        for wrong in ["a b", "a in b", "a in (b", "a foo (b)", "=x", "!", "a=b=c"] {
            assert!(Selector::parse(wrong).is_err(), "{wrong}");
        }
    }
}
