//! The grammar of `--set`: `a.b[0].c=v,x={p,q}`.

use serde_json::{Map, Number, Value};

/// Largest list index; guards against `a[999999999]=x`.
const MAX_INDEX: i64 = 65536;

/// Nesting of names.
const MAX_DEPTH: usize = 30;

/// How values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `--set`: true, false, null and integers are typed.
    Typed,
    /// `--set-string`: everything is a string.
    Strings,
    /// `--set-json`: the value is JSON.
    Json,
    /// `--set-literal`: all that follows the `=` is one string.
    Literal,
}

/// Applies assignments to `values`.
///
/// # Errors
///
/// Helm's message, without the flag's name.
pub fn parse_into(text: &str, values: &mut Map<String, Value>, mode: Mode) -> Result<(), String> {
    let mut parser = Parser { chars: text.chars().collect(), at: 0, mode };
    while parser.at < parser.chars.len() {
        parser.key(values, 0)?;
    }
    Ok(())
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    mode: Mode,
}

/// Reads up to one of the stop characters, which is consumed; `None` as stop is the end.
impl Parser {
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(c) = self.chars.get(self.at).copied() {
            self.at += 1;
            if stops.contains(&c) {
                return (text, Some(c));
            }
            if c == '\\' && self.mode != Mode::Literal {
                if let Some(next) = self.chars.get(self.at) {
                    text.push(*next);
                    self.at += 1;
                }
            } else {
                text.push(c);
            }
        }
        (text, None)
    }

    fn key(&mut self, data: &mut Map<String, Value>, depth: usize) -> Result<(), String> {
        let stops: &[char] =
            if self.mode == Mode::Literal { &['=', '[', '.'] } else { &['=', '[', ',', '.'] };
        let (key, last) = self.until(stops);
        match last {
            None => {
                if key.is_empty() {
                    return Ok(());
                }
                Err(format!("key {} has no value", quoted(&key)))
            }
            Some('[') => {
                let index = self.index()?;
                let mut list = match data.get_mut(&key) {
                    Some(Value::Array(list)) if !key.is_empty() => std::mem::take(list),
                    _ => Vec::new(),
                };
                let done = self.item(&mut list, index, depth);
                data.insert(key, Value::Array(list));
                done
            }
            Some('=') => {
                if self.mode == Mode::Json {
                    let value = self.json()?;
                    set(data, key, value);
                    return Ok(());
                }
                let value = self.value()?;
                set(data, key, value);
                Ok(())
            }
            Some(',') => {
                set(data, key.clone(), "".into());
                Err(format!("key {} has no value (cannot end with ,)", quoted(&key)))
            }
            Some(_) => {
                if depth >= MAX_DEPTH {
                    return Err(format!(
                        "value name nested level is greater than maximum supported nested level of {MAX_DEPTH}"
                    ));
                }
                let mut inner = match data.get_mut(&key) {
                    Some(Value::Object(inner)) => std::mem::take(inner),
                    _ => Map::new(),
                };
                let done = self.key(&mut inner, depth + 1);
                if done.is_ok() && inner.is_empty() {
                    return Err(format!("key map {} has no value", quoted(&key)));
                }
                if !inner.is_empty() {
                    set(data, key, Value::Object(inner));
                }
                done
            }
        }
    }

    fn index(&mut self) -> Result<usize, String> {
        let (text, stop) = self.until(&[']']);
        if stop.is_none() {
            return Err("error parsing index: EOF".into());
        }
        let index: i64 = text.parse().map_err(|_| {
            format!("error parsing index: strconv.Atoi: parsing {}: invalid syntax", quoted(&text))
        })?;
        if index < 0 {
            return Err(format!("negative {index} index not allowed"));
        }
        if index > MAX_INDEX {
            return Err(format!("index of {index} is greater than maximum supported index of {MAX_INDEX}"));
        }
        usize::try_from(index).map_err(|e| e.to_string())
    }

    fn item(&mut self, list: &mut Vec<Value>, index: usize, depth: usize) -> Result<(), String> {
        let (text, last) = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            return Err(format!("unexpected data at end of array index: {}", quoted(&text)));
        }
        match last {
            None => Ok(()),
            Some('=') => {
                let value = if self.mode == Mode::Json { self.json()? } else { self.value()? };
                put(list, index, value);
                Ok(())
            }
            Some('[') => {
                let next = self.index()?;
                if depth >= MAX_DEPTH {
                    return Err("lists are nested too deeply".into());
                }
                let mut inner = match list.get_mut(index) {
                    Some(Value::Array(inner)) => std::mem::take(inner),
                    _ => Vec::new(),
                };
                let done = self.item(&mut inner, next, depth + 1);
                put(list, index, Value::Array(inner));
                done
            }
            Some(_) => {
                if depth >= MAX_DEPTH {
                    return Err(format!(
                        "value name nested level is greater than maximum supported nested level of {MAX_DEPTH}"
                    ));
                }
                let mut inner = match list.get_mut(index) {
                    Some(Value::Object(inner)) => std::mem::take(inner),
                    _ => Map::new(),
                };
                let done = self.key(&mut inner, depth + 1);
                put(list, index, Value::Object(inner));
                done
            }
        }
    }

    /// The value after `=`, with the comma that ends it.
    fn value(&mut self) -> Result<Value, String> {
        if self.mode == Mode::Literal {
            let rest = self.chars.get(self.at..).unwrap_or_default().iter().collect::<String>();
            self.at = self.chars.len();
            return Ok(rest.into());
        }
        if self.chars.get(self.at) == Some(&'{') {
            self.at += 1;
            return self.list();
        }
        let (text, _) = self.until(&[',']);
        Ok(self.typed(text))
    }

    /// `{a,b}`, its opening brace consumed.
    fn list(&mut self) -> Result<Value, String> {
        let mut items = Vec::new();
        loop {
            let (text, last) = self.until(&[',', '}']);
            match last {
                None => return Err("list must terminate with '}'".into()),
                Some('}') => {
                    if self.chars.get(self.at) == Some(&',') {
                        self.at += 1;
                    }
                    items.push(self.typed(text));
                    return Ok(Value::Array(items));
                }
                Some(_) => items.push(self.typed(text)),
            }
        }
    }

    fn typed(&self, text: String) -> Value {
        if self.mode != Mode::Typed {
            return text.into();
        }
        match text.to_ascii_lowercase().as_str() {
            "true" => return true.into(),
            "false" => return false.into(),
            "null" => return Value::Null,
            "0" => return 0.into(),
            _ => {}
        }
        if !text.starts_with('0')
            && let Ok(number) = text.parse::<i64>()
        {
            return Value::Number(Number::from(number));
        }
        text.into()
    }

    fn json(&mut self) -> Result<Value, String> {
        let rest: String = self.chars.get(self.at..).unwrap_or_default().iter().collect();
        if rest.trim().is_empty() || rest.starts_with(',') {
            // An empty value is null, as in `a=,b=1`.
            self.at += usize::from(rest.starts_with(','));
            if rest.trim().is_empty() {
                self.at = self.chars.len();
            }
            return Ok(Value::Null);
        }
        let mut stream = serde_json::Deserializer::from_str(&rest).into_iter::<Value>();
        let mut value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(format!("unexpected end of JSON input: {error}")),
            None => return Err("unexpected end of JSON input".into()),
        };
        let used = rest.get(..stream.byte_offset()).map_or(0, |used| used.chars().count());
        self.at += used;
        while let Some(c) = self.chars.get(self.at).copied() {
            self.at += 1;
            if c == ',' {
                break;
            }
            if !c.is_whitespace() {
                let after: String = self.chars.get(self.at - 1..).unwrap_or_default().iter().collect();
                return Err(format!("unexpected data after JSON value: {}", quoted(&after)));
            }
        }
        crate::go_yaml::floats(&mut value);
        Ok(value)
    }
}

fn quoted(text: &str) -> String {
    ferrite_gotemplate::quote(text.as_bytes())
}

fn set(data: &mut Map<String, Value>, key: String, value: Value) {
    if !key.is_empty() {
        data.insert(key, value);
    }
}

fn put(list: &mut Vec<Value>, index: usize, value: Value) {
    if list.len() <= index {
        list.resize(index + 1, Value::Null);
    }
    list[index] = value;
}

#[cfg(test)]
mod tests {
    use super::{Map, Mode, Value, parse_into};

    #[track_caller]
    fn check(mode: Mode, text: &str, expect: Result<&str, &str>) {
        let mut values = Map::new();
        let got = parse_into(text, &mut values, mode).map(|()| Value::Object(values).to_string());
        assert_eq!(got, expect.map(str::to_owned).map_err(str::to_owned), "{text}");
    }

    #[test]
    fn assignments() {
        check(
            Mode::Typed,
            "a.b.c=x,d=1,e=01,f=true,g=null,h=",
            Ok(r#"{"a":{"b":{"c":"x"}},"d":1,"e":"01","f":true,"g":null,"h":""}"#),
        );
        check(Mode::Typed, "l={x,y,1},m={}", Ok(r#"{"l":["x","y",1],"m":[""]}"#));
        check(Mode::Typed, "a[1].b=x,a[0]=y,c[0][1]=z", Ok(r#"{"a":["y",{"b":"x"}],"c":[[null,"z"]]}"#));
        check(Mode::Typed, r"a\.b=1\,2", Ok(r#"{"a.b":"1,2"}"#));
        check(Mode::Strings, "a=1,b=true", Ok(r#"{"a":"1","b":"true"}"#));
        check(Mode::Literal, "a.b=x,y={z}", Ok(r#"{"a":{"b":"x,y={z}"}}"#));
        check(Mode::Json, r#"a={"x":[1]},b="s""#, Ok(r#"{"a":{"x":[1.0]},"b":"s"}"#));
    }

    #[test]
    fn mistakes() {
        check(Mode::Typed, "a", Err(r#"key "a" has no value"#));
        check(
            Mode::Typed,
            "a[x]=1",
            Err(r#"error parsing index: strconv.Atoi: parsing "x": invalid syntax"#),
        );
        check(Mode::Typed, "a[-1]=1", Err("negative -1 index not allowed"));
        check(
            Mode::Typed,
            "a[70000]=1",
            Err("index of 70000 is greater than maximum supported index of 65536"),
        );
        check(Mode::Typed, "a={x", Err("list must terminate with '}'"));
    }
}
