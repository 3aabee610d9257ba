//! The grammar of `--set`: `a.b[0].c=v,x={p,q}`.

use serde_json::{Map, Number, Value};

/// Largest list index; guards against `a[999999999]=x`.
const MAX_INDEX: usize = 65536;

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
        if parser.key(values, 0)? == Flow::End {
            break;
        }
    }
    Ok(())
}

/// Whether the text ended where something could have followed; Helm then keeps what it has, and no more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    More,
    End,
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

    fn key(&mut self, data: &mut Map<String, Value>, depth: usize) -> Result<Flow, String> {
        let stops: &[char] =
            if self.mode == Mode::Literal { &['=', '[', '.'] } else { &['=', '[', ',', '.'] };
        let (key, last) = self.until(stops);
        match last {
            None if key.is_empty() => Ok(Flow::End),
            None => Err(format!("key {} has no value", quoted(&key))),
            Some('[') => {
                let Some(index) = self.index()? else { return Ok(Flow::End) };
                let mut list = match data.get_mut(&key) {
                    Some(Value::Array(list)) => std::mem::take(list),
                    Some(other) => return Err(mismatch(other, "[]interface {}")),
                    None => Vec::new(),
                };
                let done = self.item(&mut list, index, depth);
                set(data, key, Value::Array(list));
                done
            }
            Some('=') => {
                let ends = self.at >= self.chars.len();
                let value = if self.mode == Mode::Json { self.json()? } else { self.value()? };
                set(data, key, value);
                Ok(if ends && self.mode != Mode::Json { Flow::End } else { Flow::More })
            }
            Some(',') => {
                set(data, key.clone(), "".into());
                Err(format!("key {} has no value (cannot end with ,)", quoted(&key)))
            }
            Some(_) => {
                deeper(depth)?;
                let mut inner = match data.get_mut(&key) {
                    Some(Value::Object(inner)) => std::mem::take(inner),
                    Some(other) => return Err(mismatch(other, "map[string]interface {}")),
                    None => Map::new(),
                };
                let done = self.key(&mut inner, depth + 1);
                if done == Ok(Flow::More) && inner.is_empty() {
                    return Err(format!("key map {} has no value", quoted(&key)));
                }
                if !inner.is_empty() {
                    set(data, key, Value::Object(inner));
                }
                done
            }
        }
    }

    /// The index up to `]`; `None` when the text ends before it.
    fn index(&mut self) -> Result<Option<i64>, String> {
        let (text, stop) = self.until(&[']']);
        if stop.is_none() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| {
            format!("error parsing index: strconv.Atoi: parsing {}: invalid syntax", quoted(&text))
        })
    }

    fn item(&mut self, list: &mut Vec<Value>, index: i64, depth: usize) -> Result<Flow, String> {
        let Ok(at) = usize::try_from(index) else {
            return Err(format!("negative {index} index not allowed"));
        };
        let (text, last) = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            return Err(format!("unexpected data at end of array index: {}", quoted(&text)));
        }
        match last {
            None => Ok(Flow::End),
            Some('=') => {
                let value = if self.mode == Mode::Json { self.json()? } else { self.value()? };
                put(list, at, value)?;
                Ok(Flow::More)
            }
            Some('[') => {
                let Some(next) = self.index()? else { return Ok(Flow::End) };
                if depth >= MAX_DEPTH {
                    return Err("lists are nested too deeply".into());
                }
                let mut inner = match list.get(at) {
                    Some(Value::Array(inner)) => inner.clone(),
                    None | Some(Value::Null) => Vec::new(),
                    Some(other) => return Err(mismatch(other, "[]interface {}")),
                };
                let done = self.item(&mut inner, next, depth + 1)?;
                if done == Flow::More {
                    put(list, at, Value::Array(inner))?;
                }
                Ok(done)
            }
            Some(_) => {
                deeper(depth)?;
                let known = list.get_mut(at);
                let exists = known.is_some();
                let mut inner = match known {
                    Some(Value::Object(inner)) => std::mem::take(inner),
                    _ => Map::new(),
                };
                let done = self.key(&mut inner, depth + 1)?;
                if done == Flow::More || exists {
                    put(list, at, Value::Object(inner))?;
                }
                Ok(done)
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

fn put(list: &mut Vec<Value>, index: usize, value: Value) -> Result<(), String> {
    if index > MAX_INDEX {
        return Err(format!("index of {index} is greater than maximum supported index of {MAX_INDEX}"));
    }
    if list.len() <= index {
        list.resize(index + 1, Value::Null);
    }
    if let Some(place) = list.get_mut(index) {
        *place = value;
    }
    Ok(())
}

fn deeper(depth: usize) -> Result<(), String> {
    if depth < MAX_DEPTH {
        return Ok(());
    }
    Err(format!("value name nested level is greater than maximum supported nested level of {MAX_DEPTH}"))
}

/// What is there already is not of the type that the name needs: Helm stops rather than replace it.
fn mismatch(found: &Value, wanted: &str) -> String {
    let name = match found {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    format!("unable to parse key: interface conversion: interface {{}} is {name}, not {wanted}")
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
    fn texts_that_end_early_say_nothing() {
        check(Mode::Typed, "a.", Ok("{}"));
        check(Mode::Typed, "a=1,b[", Ok(r#"{"a":1}"#));
        check(Mode::Typed, "a[0]", Ok(r#"{"a":[]}"#));
        check(Mode::Typed, "a[0].b=", Ok(r#"{"a":[]}"#));
        check(Mode::Typed, "a[0].b=1,a[0].c=", Ok(r#"{"a":[{"b":1,"c":""}]}"#));
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
        let conversion = "unable to parse key: interface conversion: interface {} is";
        for (text, expect) in [
            ("a=1,a.b=2", "int64, not map[string]interface {}"),
            ("a=null,a.b=2", "nil, not map[string]interface {}"),
            ("a.b=1,a[0]=2", "map[string]interface {}, not []interface {}"),
            ("a[0]=x,a[0][0]=2", "string, not []interface {}"),
        ] {
            check(Mode::Typed, text, Err(&format!("{conversion} {expect}")));
        }
    }
}
