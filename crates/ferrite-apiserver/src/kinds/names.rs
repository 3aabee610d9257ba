//! Names, labels and keys, with the sentences that Kubernetes refuses them with.

const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

type Problems = Vec<String>;

fn bounded(text: &str, inner: impl Fn(char) -> bool, edge: impl Fn(char) -> bool) -> bool {
    text.chars().all(&inner)
        && text.chars().next().is_some_and(&edge)
        && text.chars().next_back().is_some_and(&edge)
}

fn is_lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    bounded(text, |c| is_lower(c) || c == '-', is_lower)
}

fn is_name_part(text: &str) -> bool {
    bounded(text, |c| c.is_ascii_alphanumeric() || "-_.".contains(c), |c| c.is_ascii_alphanumeric())
}

fn characters(text: &str, limit: usize, out: &mut Problems) {
    if text.len() > limit {
        out.push(format!("must be no more than {limit} characters"));
    }
}

/// RFC 1123 subdomain.
pub(crate) fn subdomain(text: &str) -> Problems {
    let mut out = Problems::new();
    characters(text, 253, &mut out);
    if !text.split('.').all(is_label) {
        out.push(SUBDOMAIN.to_owned());
    }
    out
}

/// RFC 1123 label.
pub(crate) fn label(text: &str) -> Problems {
    let mut out = Problems::new();
    characters(text, 63, &mut out);
    if text.contains('.') && !text.split('.').any(|p| !is_label(p)) {
        out.push("must not contain dots".to_owned());
    } else if !is_label(text) {
        out.push(LABEL.to_owned());
    }
    out
}

/// RFC 1035 label.
pub(crate) fn label_1035(text: &str) -> Problems {
    let mut out = Problems::new();
    characters(text, 63, &mut out);
    if !is_label(text) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        out.push(LABEL_1035.to_owned());
    }
    out
}

/// A label's or annotation's key: an optional DNS prefix, a slash and a name.
pub(crate) fn qualified_name(text: &str) -> Problems {
    let mut out = Problems::new();
    let name = match text.split_once('/') {
        None => text,
        Some((prefix, name)) if !name.contains('/') => {
            if prefix.is_empty() {
                out.push("prefix part must be non-empty".to_owned());
            } else {
                out.extend(subdomain(prefix).into_iter().map(|m| format!("prefix part {m}")));
            }
            name
        }
        Some(_) => {
            let example = QUALIFIED.strip_prefix("name part").unwrap_or_default();
            let (start, end) = example.rsplit_once(')').unwrap_or((example, ""));
            return vec![format!(
                "a qualified name{start}){end} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        out.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        out.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_name_part(name) {
        out.push(QUALIFIED.to_owned());
    }
    out
}

/// A label's value.
pub(crate) fn label_value(text: &str) -> Problems {
    let mut out = Problems::new();
    if text.len() > 63 {
        out.push("must be no more than 63 bytes".to_owned());
    }
    if !text.is_empty() && !is_name_part(text) {
        out.push(LABEL_VALUE.to_owned());
    }
    out
}

/// A key of a ConfigMap or Secret.
pub(crate) fn config_key(text: &str) -> Problems {
    let mut out = Problems::new();
    characters(text, 253, &mut out);
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) {
        out.push(CONFIG_KEY.to_owned());
    }
    match text {
        "." | ".." => out.push(format!("must not be '{text}'")),
        _ if text.starts_with("..") => out.push("must not start with '..'".to_owned()),
        _ => {}
    }
    out
}

/// A name that only has to be one segment of a path.
pub(crate) fn path_segment(text: &str) -> Problems {
    if matches!(text, "." | "..") {
        return vec![format!("may not be '{text}'")];
    }
    ["/", "%"].iter().filter(|c| text.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// The name of a container port and a service's target port.
pub(crate) fn port_name(text: &str) -> Problems {
    let mut out = Problems::new();
    if text.len() > 15 {
        out.push("must be no more than 15 characters".to_owned());
    }
    if !text.chars().all(|c| c.is_ascii_alphanumeric() && !c.is_ascii_uppercase() || c == '-') {
        out.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.chars().any(|c| c.is_ascii_alphabetic()) {
        out.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        out.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        out.push("must not begin or end with a hyphen".to_owned());
    }
    out
}

/// How the name of an object of this resource is checked.
pub(crate) fn of_resource(group: &str, plural: &str, name: &str) -> Problems {
    match (group, plural) {
        ("", "namespaces") => label(name),
        ("", "services") => label(name),
        ("rbac.authorization.k8s.io", _) => path_segment(name),
        ("batch", "cronjobs") if name.len() > 52 => vec!["must be no more than 52 characters".to_owned()],
        ("", "events") | ("events.k8s.io", "events") => subdomain(name),
        _ => subdomain(name),
    }
}
