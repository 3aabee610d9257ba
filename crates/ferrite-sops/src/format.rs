//! The formats of files: which one a file has, and how each is read and written.

mod dotenv;
mod ini;
mod json;
mod yaml;

use std::fmt;

use crate::{
    error::Error,
    tree::{Branch, Part, Value},
};

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// YAML, one or more documents.
    Yaml,
    /// JSON, one object.
    Json,
    /// Lines of `name=value`.
    Dotenv,
    /// Sections with keys.
    Ini,
    /// Anything else: encrypted as the one text of a JSON object.
    Binary,
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Yaml => "YAML",
            Self::Json => "JSON",
            Self::Dotenv => "dotenv",
            Self::Ini => "INI",
            Self::Binary => "binary",
        })
    }
}

impl Format {
    /// The format of a file of this name.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        let ends = |suffix: &str| path.ends_with(suffix);
        if ends(".yaml") || ends(".yml") {
            Self::Yaml
        } else if ends(".json") || ends(".dockerconfigjson") {
            Self::Json
        } else if ends(".env") {
            Self::Dotenv
        } else if ends(".ini") {
            Self::Ini
        } else {
            Self::Binary
        }
    }

    /// Whether the bytes carry the mark of an encrypted file of this format.
    #[must_use]
    pub fn is_encrypted(self, bytes: &[u8]) -> bool {
        let mark: &[u8] = match self {
            Self::Yaml => b"mac: ENC[",
            Self::Json | Self::Binary => b"\"mac\": \"ENC[",
            Self::Dotenv => b"sops_mac=ENC[",
            Self::Ini => b"[sops]",
        };
        bytes.windows(mark.len()).any(|window| window == mark)
    }

    /// The format of bytes that carry the mark of one.
    #[must_use]
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        [Self::Json, Self::Yaml, Self::Dotenv, Self::Ini]
            .into_iter()
            .find(|format| format.is_encrypted(bytes))
    }
}

/// Whatever is larger is no secret of a cluster.
const MAX_BYTES: usize = 16 << 20;

/// The documents and the metadata of a file.
pub(crate) fn load(bytes: &[u8], format: Format) -> Result<(Vec<Branch>, Branch), Error> {
    let refused = |problem: String| Error::Load { format, problem };
    if bytes.len() > MAX_BYTES {
        return Err(refused("it is larger than 16 MiB".to_owned()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".to_owned()))?;
    let (branches, metadata) = match format {
        Format::Yaml => nested(yaml::read(text).map_err(refused)?),
        Format::Json | Format::Binary => nested(vec![json::read(text).map_err(refused)?]),
        Format::Dotenv => dotenv::split(dotenv::read(text).map_err(refused)?),
        Format::Ini => ini::split(ini::read(text).map_err(refused)?),
    };
    match metadata {
        Some(Value::Map(metadata)) => Ok((branches, metadata)),
        Some(_) | None => Err(Error::NoMetadata(format)),
    }
}

/// The same for an object that was read already.
pub(crate) fn of_object(object: &serde_json::Value) -> Result<(Vec<Branch>, Branch), Error> {
    let format = Format::Json;
    let Value::Map(branch) = json::of_value(object) else { return Err(Error::NoMetadata(format)) };
    match nested(vec![branch]) {
        (branches, Some(Value::Map(metadata))) => Ok((branches, metadata)),
        _ => Err(Error::NoMetadata(format)),
    }
}

/// The object of a document.
pub(crate) fn into_object(branch: Branch) -> serde_json::Value {
    json::into_value(Value::Map(branch))
}

/// Takes the metadata out of documents that hold it as the value of `sops`; each has it, and the first counts.
fn nested(mut branches: Vec<Branch>) -> (Vec<Branch>, Option<Value>) {
    let mut metadata = None;
    for (index, branch) in branches.iter_mut().enumerate() {
        let is_metadata =
            |part: &Part<(String, Value)>| matches!(part, Part::Item((key, _)) if key == "sops");
        let (sops, rest) = std::mem::take(branch).into_iter().partition(is_metadata);
        *branch = rest;
        let sops: Branch = sops;
        if index == 0
            && let Some(Part::Item((_, value))) = sops.into_iter().next()
        {
            metadata = Some(value);
        }
    }
    (branches, metadata)
}

/// The bytes of documents; or why the format cannot hold them.
pub(crate) fn emit(branches: &[Branch], format: Format) -> Result<Vec<u8>, &'static str> {
    let one = || match branches {
        [branch] => Ok(branch),
        _ => Err("there must be exactly one document"),
    };
    match format {
        Format::Yaml => Ok(yaml::write(branches).into_bytes()),
        Format::Json => Ok(json::write(branches.first().ok_or("there is no document")?).into_bytes()),
        Format::Dotenv => dotenv::write(one()?).map(String::into_bytes),
        Format::Ini => ini::write(branches).map(String::into_bytes),
        Format::Binary => match crate::metadata::get(one()?, "data") {
            Some(Value::Text(text)) => Ok(text.clone().into_bytes()),
            Some(_) => Err("'data' does not hold a text"),
            None => Err("no binary data found in tree"),
        },
    }
}

/// Puts metadata together that was written as one level: `age__list_0__map_recipient` is `age[0].recipient`.
pub(crate) fn unflatten(pairs: Vec<(String, Value)>) -> Value {
    let mut root = Value::Map(Branch::new());
    for (path, value) in pairs {
        // More levels than metadata has are no metadata.
        if let Some(place) = place(&mut root, &path, 8) {
            *place = value;
        }
    }
    root
}

/// The place of a flat key, made on the way.
fn place<'a>(node: &'a mut Value, path: &str, depth: usize) -> Option<&'a mut Value> {
    let (map, list) = (path.find("__map_"), path.find("__list_"));
    let (end, mark) = match (map, list) {
        (Some(map), Some(list)) if list < map => (list, "__list_"),
        (Some(map), _) => (map, "__map_"),
        (None, Some(list)) => (list, "__list_"),
        (None, None) => (path.len(), ""),
    };
    let (key, rest) = path.split_at_checked(end)?;
    let rest = rest.strip_prefix(mark)?;
    let child = match node {
        Value::Map(branch) => entry(branch, key),
        Value::List(parts) => {
            let index: usize = key.parse().ok()?;
            // In order, and without gaps.
            if index == parts.len() {
                parts.push(Part::Item(Value::Null));
            }
            match parts.get_mut(index)? {
                Part::Item(value) => value,
                Part::Comment(_) => return None,
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Time(_) => {
            return None;
        }
    };
    if mark.is_empty() {
        return Some(child);
    }
    if *child == Value::Null {
        *child = if mark == "__list_" { Value::List(Vec::new()) } else { Value::Map(Branch::new()) };
    }
    if depth == 0 { None } else { place(child, rest, depth - 1) }
}

fn entry<'a>(branch: &'a mut Branch, key: &str) -> &'a mut Value {
    let known = |part: &Part<(String, Value)>| matches!(part, Part::Item((name, _)) if name == key);
    let at = branch.iter().position(known).unwrap_or_else(|| {
        branch.push(Part::Item((key.to_owned(), Value::Null)));
        branch.len() - 1
    });
    match branch.get_mut(at) {
        Some(Part::Item((_, value))) => value,
        // What was found or pushed is there, and is a pair.
        Some(Part::Comment(_)) | None => unreachable!("a pair was found or pushed at this place"),
    }
}
