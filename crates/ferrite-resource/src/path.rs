//! JSON pointers, the paths of `spec.ignore`.

use std::fmt;

use serde_json::Value;

/// More steps than any Kubernetes object is deep.
const MAX_STEPS: usize = 128;

/// A path into an object, RFC 6901: `/spec/replicas`. The empty pointer is the whole object.
///
/// A step into a list is an index without leading zeros; a key holds `/` as `~1` and `~` as `~0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(Vec<String>);

/// A text that is not a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It does not start with a slash.
    #[error("JSON pointer `{0}` must start with `/`")]
    Start(String),
    /// `~` that is neither `~0` nor `~1`.
    #[error("JSON pointer `{0}` holds a `~` that is not followed by 0 or 1")]
    Escape(String),
    /// Deeper than any object.
    #[error("JSON pointer with {0} steps is too deep; the limit is 128")]
    Deep(usize),
}

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    ///
    /// [`PointerError`] when the text does not follow RFC 6901 or has more than 128 steps.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let rest = text.strip_prefix('/').ok_or_else(|| PointerError::Start(text.to_owned()))?;
        let steps = rest.split('/').map(|step| {
            let escaped = step.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
            if !escaped {
                return Err(PointerError::Escape(text.to_owned()));
            }
            Ok(step.replace("~1", "/").replace("~0", "~"))
        });
        let steps = steps.collect::<Result<Vec<String>, _>>()?;
        if steps.len() > MAX_STEPS {
            return Err(PointerError::Deep(steps.len()));
        }
        Ok(Self(steps))
    }

    /// The steps, unescaped.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        &self.0
    }

    /// What is there.
    #[must_use]
    pub fn get<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(object, |at, step| child(at, step))
    }

    /// Takes out what is there. The whole object cannot be taken out of itself: nothing happens.
    pub fn remove(&self, object: &mut Value) -> Option<Value> {
        let (last, parents) = self.0.split_last()?;
        let parent = parents.iter().try_fold(object, |at, step| child_mut(at, step))?;
        match parent {
            Value::Object(map) => map.shift_remove(last),
            Value::Array(items) => {
                let at = index(last).filter(|at| *at < items.len())?;
                Some(items.remove(at))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    /// Replaces what is there; says whether something was there.
    pub fn replace(&self, object: &mut Value, value: Value) -> bool {
        let found = self.0.iter().try_fold(object, |at, step| child_mut(at, step));
        found.map(|place| *place = value).is_some()
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            write!(formatter, "/{}", step.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || !step.starts_with('0');
    (plain && step.bytes().all(|byte| byte.is_ascii_digit())).then(|| step.parse().ok())?
}

fn child<'a>(at: &'a Value, step: &str) -> Option<&'a Value> {
    match at {
        Value::Object(map) => map.get(step),
        Value::Array(items) => items.get(index(step)?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn child_mut<'a>(at: &'a mut Value, step: &str) -> Option<&'a mut Value> {
    match at {
        Value::Object(map) => map.get_mut(step),
        Value::Array(items) => items.get_mut(index(step)?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pointers_are_read_as_rfc_6901_says() {
        for (text, expect) in [
            ("", Ok(vec![])),
            ("/", Ok(vec![""])),
            ("/spec/replicas", Ok(vec!["spec", "replicas"])),
            ("/metadata/annotations/a.b~1c~01", Ok(vec!["metadata", "annotations", "a.b/c~1"])),
            ("spec", Err("JSON pointer `spec` must start with `/`")),
            ("/a~2", Err("JSON pointer `/a~2` holds a `~` that is not followed by 0 or 1")),
            ("/a~", Err("JSON pointer `/a~` holds a `~` that is not followed by 0 or 1")),
        ] {
            match (Pointer::parse(text), expect) {
                (Ok(pointer), Ok(steps)) => {
                    assert_eq!(pointer.steps(), steps);
                    assert_eq!(pointer.to_string(), text);
                }
                (Err(error), Err(message)) => assert_eq!(error.to_string(), message),
                (got, expect) => panic!("{text}: {got:?}, expected {expect:?}"),
            }
        }
        assert_eq!(Pointer::parse(&"/a".repeat(129)), Err(PointerError::Deep(129)));
    }

    #[test]
    fn what_is_there_is_read_removed_and_replaced() {
        let object = || json!({"spec": {"ports": [{"port": 80}, {"port": 81}], "type": "A"}});
        let at = |text| Pointer::parse(text).unwrap();
        assert_eq!(at("/spec/ports/1/port").get(&object()), Some(&json!(81)));
        for nothing in ["/spec/ports/2", "/spec/ports/01", "/spec/ports/-", "/spec/type/x", "/none"] {
            let mut changed = object();
            assert_eq!(at(nothing).get(&changed), None, "{nothing}");
            assert_eq!(at(nothing).remove(&mut changed), None, "{nothing}");
            assert!(!at(nothing).replace(&mut changed, json!(1)), "{nothing}");
            assert_eq!(changed, object());
        }
        let mut changed = object();
        assert_eq!(at("/spec/ports/0").remove(&mut changed), Some(json!({"port": 80})));
        assert!(at("/spec/type").replace(&mut changed, json!("B")));
        assert_eq!(changed, json!({"spec": {"ports": [{"port": 81}], "type": "B"}}));
    }
}
