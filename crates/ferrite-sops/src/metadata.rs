//! The `sops` part of an encrypted document, read as leniently as SOPS does.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use crate::{
    error::Error,
    key::{MasterKey, MasterKeyKind},
    tree::{Branch, Part, Rule, Value},
};

/// Groups of one file.
const MAX_GROUPS: usize = 255;
/// Keys of one file.
const MAX_KEYS: usize = 20_000;
/// Memory of one compiled expression, in bytes.
const MAX_REGEX: usize = 1 << 20;

/// What a file says about its encryption.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    pub(crate) groups: Vec<Vec<MasterKey>>,
    pub(crate) threshold: usize,
    pub(crate) rule: Rule,
    pub(crate) mac: String,
    pub(crate) only_encrypted: bool,
    pub(crate) last_modified: String,
}

impl Metadata {
    /// Reads the metadata.
    pub(crate) fn read(branch: &Branch) -> Result<Self, Error> {
        let last_modified = text(branch, "lastmodified");
        if last_modified.parse::<jiff::Timestamp>().is_err() {
            return Err(refused("lastmodified is no RFC 3339 time"));
        }
        let mut groups = Vec::new();
        let alone = group(branch)?;
        if !alone.is_empty() {
            groups.push(alone);
        } else if let Some(list) = list(branch, "key_groups") {
            for item in items(list).take(MAX_GROUPS + 1) {
                let Value::Map(map) = item else { return Err(refused("a key group is no mapping")) };
                groups.push(group(map)?);
            }
        }
        if groups.is_empty() {
            return Err(refused("it names no key"));
        }
        if groups.len() > MAX_GROUPS || groups.iter().map(Vec::len).sum::<usize>() > MAX_KEYS {
            return Err(refused("it names too many keys"));
        }
        Ok(Self {
            groups,
            threshold: number(branch, "shamir_threshold"),
            rule: rule(branch)?,
            mac: text(branch, "mac"),
            only_encrypted: truth(branch, "mac_only_encrypted"),
            last_modified,
        })
    }
}

fn refused(why: &str) -> Error {
    Error::Metadata(why.to_owned())
}

fn rule(branch: &Branch) -> Result<Rule, Error> {
    let regex = |name: &str, text: &str| -> Result<Regex, Error> {
        RegexBuilder::new(text)
            .size_limit(MAX_REGEX)
            .build()
            .map_err(|_| Error::Metadata(format!("{name} is no regular expression")))
    };
    let mut rules = Vec::new();
    for name in [
        "unencrypted_suffix",
        "encrypted_suffix",
        "unencrypted_regex",
        "encrypted_regex",
        "unencrypted_comment_regex",
        "encrypted_comment_regex",
    ] {
        let text = text(branch, name);
        if text.is_empty() {
            continue;
        }
        rules.push(match name {
            "unencrypted_suffix" => Rule::UnencryptedSuffix(text),
            "encrypted_suffix" => Rule::EncryptedSuffix(text),
            "unencrypted_regex" => Rule::UnencryptedRegex(regex(name, &text)?),
            "encrypted_regex" => Rule::EncryptedRegex(regex(name, &text)?),
            "unencrypted_comment_regex" => Rule::UnencryptedCommentRegex(regex(name, &text)?),
            _ => Rule::EncryptedCommentRegex(regex(name, &text)?),
        });
    }
    if rules.len() > 1 {
        return Err(refused(
            "it has more than one of unencrypted_suffix, encrypted_suffix, unencrypted_regex, encrypted_regex, \
             unencrypted_comment_regex and encrypted_comment_regex",
        ));
    }
    Ok(rules.pop().unwrap_or_else(|| Rule::UnencryptedSuffix("_unencrypted".to_owned())))
}

/// All keys of a group, in the order that SOPS tries them.
fn group(branch: &Branch) -> Result<Vec<MasterKey>, Error> {
    let mut keys = Vec::new();
    for service in ["kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp", "age"] {
        for item in list(branch, service).into_iter().flat_map(items).take(MAX_KEYS) {
            let Value::Map(map) = item else {
                return Err(Error::Metadata(format!("an entry of {service} is no mapping")));
            };
            keys.push(MasterKey { kind: kind(service, map), encrypted: text(map, "enc") });
        }
    }
    Ok(keys)
}

fn kind(service: &str, map: &Branch) -> MasterKeyKind {
    match service {
        "kms" => {
            MasterKeyKind::AwsKms { arn: text(map, "arn"), role: text(map, "role"), context: context(map) }
        }
        "gcp_kms" => MasterKeyKind::GcpKms { resource_id: text(map, "resource_id") },
        "azure_kv" => MasterKeyKind::AzureKeyVault {
            vault_url: text(map, "vault_url"),
            name: text(map, "name"),
            version: text(map, "version"),
        },
        "hc_vault" => MasterKeyKind::Vault {
            address: text(map, "vault_address"),
            engine_path: text(map, "engine_path"),
            key_name: text(map, "key_name"),
        },
        "pgp" => MasterKeyKind::Pgp { fingerprint: text(map, "fp") },
        "age" => MasterKeyKind::Age { recipient: text(map, "recipient") },
        _ => MasterKeyKind::Other { service: "HuaweiCloud KMS", id: text(map, "key_id") },
    }
}

fn context(map: &Branch) -> BTreeMap<String, String> {
    let Some(Value::Map(context)) = get(map, "context") else { return BTreeMap::new() };
    let pairs = context.iter().filter_map(|part| match part {
        Part::Item((key, value)) if *value != Value::Null => Some((key.clone(), plain(value))),
        Part::Item(_) | Part::Comment(_) => None,
    });
    pairs.collect()
}

pub(crate) fn get<'a>(branch: &'a Branch, name: &str) -> Option<&'a Value> {
    branch.iter().find_map(|part| match part {
        Part::Item((key, value)) if key == name => Some(value),
        Part::Item(_) | Part::Comment(_) => None,
    })
}

fn list<'a>(branch: &'a Branch, name: &str) -> Option<&'a [Part<Value>]> {
    match get(branch, name) {
        Some(Value::List(list)) => Some(list),
        _ => None,
    }
}

fn items(list: &[Part<Value>]) -> impl Iterator<Item = &Value> {
    list.iter().filter_map(|part| match part {
        Part::Item(value) => Some(value),
        Part::Comment(_) => None,
    })
}

fn text(branch: &Branch, name: &str) -> String {
    get(branch, name).map(plain).unwrap_or_default()
}

/// A scalar as text; formats without types hold everything as text.
fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Int(int) => int.to_string(),
        Value::Bool(bool) => bool.to_string(),
        Value::Float(float) => crate::number::plain(*float),
        Value::Time(time) => time.text().to_owned(),
        Value::Null | Value::Map(_) | Value::List(_) => String::new(),
    }
}

fn number(branch: &Branch, name: &str) -> usize {
    text(branch, name).parse().unwrap_or_default()
}

fn truth(branch: &Branch, name: &str) -> bool {
    matches!(text(branch, name).as_str(), "true" | "True" | "1")
}
