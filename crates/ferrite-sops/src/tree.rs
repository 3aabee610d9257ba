//! A document as SOPS sees it: ordered, typed, with comments; and the walk that decrypts it.

use regex::Regex;
use sha2::{Digest as _, Sha512};

use crate::{
    cipher,
    error::{Error, ValueError},
    key::DataKey,
    number,
};

/// A point in time: how it was written, as RFC 3339.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Time(String);

impl Time {
    /// RFC 3339 with or without a fraction; the offset stays.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok()?;
        text.contains('T').then(|| Self(trim_fraction(text)))
    }

    /// With nanoseconds as far as they are not zero (`MarshalText`).
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// `…:43.10-05:00` is written as `…:43.1-05:00`.
fn trim_fraction(text: &str) -> String {
    let Some((whole, rest)) = text.split_once('.') else { return text.to_owned() };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{whole}{zone}") } else { format!("{whole}.{fraction}{zone}") }
}

/// What a decrypted text can be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Time(Time),
    Comment(String),
}

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Time(Time),
    Map(Branch),
    List(Vec<Part<Self>>),
}

/// A comment of one line, without its `#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comment {
    pub(crate) text: String,
    /// Behind a value, not on a line of its own.
    pub(crate) inline: bool,
}

/// A comment, or what comments can stand between.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part<T> {
    Comment(Comment),
    Item(T),
}

/// The pairs of a mapping and the comments between them, in order.
pub(crate) type Branch = Vec<Part<(String, Value)>>;

impl From<Scalar> for Value {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Text(text) | Scalar::Comment(text) => Self::Text(text),
            Scalar::Int(int) => Self::Int(int),
            Scalar::Float(float) => Self::Float(float),
            Scalar::Bool(bool) => Self::Bool(bool),
            Scalar::Time(time) => Self::Time(time),
        }
    }
}

impl Value {
    /// The bytes that count for the checksum; none for what holds others.
    fn digest(&self, hasher: &mut Sha512) {
        match self {
            Self::Null | Self::Map(_) | Self::List(_) => {}
            Self::Bool(true) => hasher.update("True"),
            Self::Bool(false) => hasher.update("False"),
            Self::Int(int) => hasher.update(int.to_string()),
            Self::Float(float) => hasher.update(number::plain(*float)),
            Self::Text(text) => hasher.update(text),
            Self::Time(time) => hasher.update(time.text()),
        }
    }
}

/// Which values are encrypted: at most one rule of a file.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    UnencryptedSuffix(String),
    EncryptedSuffix(String),
    UnencryptedRegex(Regex),
    EncryptedRegex(Regex),
    UnencryptedCommentRegex(Regex),
    EncryptedCommentRegex(Regex),
}

impl Rule {
    fn encrypts(&self, path: &[String], comments: &[Vec<String>], is_comment: bool) -> bool {
        let any = |holds: &dyn Fn(&str) -> bool| path.iter().any(|part| holds(part));
        match self {
            Self::UnencryptedSuffix(suffix) => !any(&|part| part.ends_with(suffix.as_str())),
            Self::EncryptedSuffix(suffix) => any(&|part| part.ends_with(suffix.as_str())),
            Self::UnencryptedRegex(regex) => !any(&|part| regex.is_match(part)),
            Self::EncryptedRegex(regex) => any(&|part| regex.is_match(part)),
            Self::UnencryptedCommentRegex(regex) => {
                !comments.iter().flatten().any(|text| regex.is_match(text))
            }
            Self::EncryptedCommentRegex(regex) => {
                let total: usize = comments.iter().map(Vec::len).sum();
                // The comment that asks for encryption is not encrypted itself.
                let counted = if is_comment { total.saturating_sub(1) } else { total };
                comments.iter().flatten().take(counted).any(|text| regex.is_match(text))
            }
        }
    }
}

/// The bytes a checksum over encrypted values only begins with: the SHA-256 of `sops`.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b,
    0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Decrypts a tree and sums it up.
pub(crate) struct Walk<'a> {
    key: &'a DataKey,
    rule: &'a Rule,
    only_encrypted: bool,
    hasher: Sha512,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(key: &'a DataKey, rule: &'a Rule, only_encrypted: bool) -> Self {
        let mut hasher = Sha512::new();
        if only_encrypted {
            hasher.update(ONLY_ENCRYPTED);
        }
        Self { key, rule, only_encrypted, hasher }
    }

    /// Decrypts a document in place.
    pub(crate) fn branch(&mut self, branch: &mut Branch) -> Result<(), Error> {
        self.map(branch, &mut Vec::new(), &mut Vec::new())
    }

    /// The checksum of all documents so far, in upper case.
    pub(crate) fn mac(self) -> String {
        use std::fmt::Write as _;
        let mut mac = String::with_capacity(128);
        for byte in self.hasher.finalize() {
            // Writing to a String cannot fail.
            let _infallible = write!(mac, "{byte:02X}");
        }
        mac
    }

    fn map(
        &mut self,
        branch: &mut Branch,
        path: &mut Vec<String>,
        comments: &mut Vec<Vec<String>>,
    ) -> Result<(), Error> {
        comments.push(Vec::new());
        for part in branch {
            match part {
                Part::Comment(comment) => self.comment(comment, path, comments),
                Part::Item((key, value)) => {
                    path.push(key.clone());
                    if let Some(text) = self.value(value, path, comments)? {
                        *value = Value::Text(text);
                    }
                    path.pop();
                    if let Some(last) = comments.last_mut() {
                        last.clear();
                    }
                }
            }
        }
        comments.pop();
        Ok(())
    }

    fn list(
        &mut self,
        list: &mut [Part<Value>],
        path: &mut Vec<String>,
        comments: &mut Vec<Vec<String>>,
    ) -> Result<(), Error> {
        comments.push(Vec::new());
        for part in list {
            match part {
                Part::Comment(comment) => self.comment(comment, path, comments),
                Part::Item(value) => {
                    // A comment between items was encrypted to what looks like an item.
                    if let Some(text) = self.value(value, path, comments)? {
                        *part = Part::Comment(Comment { text, inline: false });
                    }
                    if let Some(last) = comments.last_mut() {
                        last.clear();
                    }
                }
            }
        }
        comments.pop();
        Ok(())
    }

    /// A comment that cannot be decrypted was not encrypted, by an older version.
    fn comment(&self, comment: &mut Comment, path: &[String], comments: &mut [Vec<String>]) {
        if let Some(last) = comments.last_mut() {
            last.push(comment.text.clone());
        }
        if !cipher::is_encrypted(&comment.text) || !self.rule.encrypts(path, comments, true) {
            return;
        }
        // At the end of a mapping it is not certain which one it belongs to; only its own path opens it.
        for length in (0..=path.len()).rev() {
            let path = path.get(..length).unwrap_or_default();
            if let Ok(Scalar::Text(text) | Scalar::Comment(text)) =
                cipher::decrypt(&comment.text, self.key, &joined(path))
            {
                *comment = Comment { text, inline: false };
                return;
            }
        }
    }

    /// Decrypts a value, or tells the comment that it turned out to be; comments do not count for the checksum.
    fn value(
        &mut self,
        value: &mut Value,
        path: &mut Vec<String>,
        comments: &mut Vec<Vec<String>>,
    ) -> Result<Option<String>, Error> {
        match value {
            Value::Null => return Ok(None),
            Value::Map(branch) => return self.map(branch, path, comments).map(|()| None),
            Value::List(list) => return self.list(list, path, comments).map(|()| None),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) | Value::Time(_) => {}
        }
        let encrypted = self.rule.encrypts(path, comments, false);
        if encrypted {
            let refused = |error| Error::Value { path: shown(path), error };
            let Value::Text(text) = value else { return Err(refused(ValueError::Plain)) };
            match cipher::decrypt(text, self.key, &joined(path)).map_err(refused)? {
                Scalar::Comment(text) => return Ok(Some(text)),
                plain => *value = Value::from(plain),
            }
        }
        if encrypted || !self.only_encrypted {
            value.digest(&mut self.hasher);
        }
        Ok(None)
    }
}

/// The path as it is authenticated with a value.
fn joined(path: &[String]) -> String {
    let mut joined = path.join(":");
    joined.push(':');
    joined
}

/// The path for a message.
fn shown(path: &[String]) -> String {
    path.join(".").chars().take(256).collect()
}
