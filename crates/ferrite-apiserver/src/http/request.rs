//! A request, and what it asks of which resource.

use bytes::Bytes;
use http::{HeaderMap, Method, request::Parts};
use parking_lot::Mutex;

use crate::auth::User;

/// One request with its body read.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) user: User,
    warnings: Mutex<Vec<String>>,
}

impl Call {
    pub(crate) fn new(parts: Parts, body: Bytes) -> Self {
        Self {
            method: parts.method,
            path: percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned(),
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            headers: parts.headers,
            body,
            user: User::anonymous(),
            warnings: Mutex::default(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// Adds a warning header to the answer, once.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.lock();
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    pub(crate) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock())
    }

    /// The first word of the user agent: the default field manager.
    pub(crate) fn agent(&self) -> String {
        let agent = self.header("user-agent").unwrap_or("unknown");
        let name = agent.split('/').next().unwrap_or_default();
        if name.is_empty() { "unknown".to_owned() } else { name.chars().take(128).collect() }
    }
}

/// Query parameters in order, decoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let decode = |s: &str| {
            percent_encoding::percent_decode_str(&s.replace('+', " ")).decode_utf8_lossy().into_owned()
        };
        Self(
            text.split('&')
                .filter(|p| !p.is_empty())
                .map(|p| {
                    let (key, value) = p.split_once('=').unwrap_or((p, ""));
                    (decode(key), decode(value))
                })
                .collect(),
        )
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The value when present and not empty.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|v| !v.is_empty())
    }

    pub(crate) fn all(&self, key: &str) -> Vec<&str> {
        self.0.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str()).collect()
    }

    /// Kubernetes' reading of a boolean parameter: present and neither false nor 0.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|v| !matches!(v.to_ascii_lowercase().as_str(), "false" | "0"))
    }
}

/// What a path and method mean to authorisation and dispatch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// `get`, `list`, `create`, ... or the lower-case HTTP method for other paths.
    pub(crate) verb: String,
    /// Whether the path is one of a resource.
    pub(crate) resource_path: bool,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) resource: String,
    pub(crate) name: Option<String>,
    pub(crate) sub: Option<String>,
}

impl Target {
    /// Reads a path as `/api/v1/...` or `/apis/<group>/<version>/...`.
    pub(crate) fn of(method: &Method, path: &str, query: &Query) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        let other = Self { verb: method.as_str().to_ascii_lowercase(), ..Self::default() };
        let (group, version, mut rest) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return other,
        };
        let watching = rest.first() == Some(&"watch") && rest.len() > 1;
        if watching {
            rest = rest.get(1..).unwrap_or_default();
        }
        let owned = |s: &&str| Some((*s).to_owned());
        let (namespace, resource, name, sub) = match rest {
            ["namespaces"] => (None, "namespaces", None, None),
            ["namespaces", name] => (owned(name), "namespaces", owned(name), None),
            ["namespaces", name, sub @ ("status" | "finalize")] => {
                (owned(name), "namespaces", owned(name), owned(sub))
            }
            ["namespaces", ns, resource] => (owned(ns), *resource, None, None),
            ["namespaces", ns, resource, name] => (owned(ns), *resource, owned(name), None),
            ["namespaces", ns, resource, name, sub, ..] => (owned(ns), *resource, owned(name), owned(sub)),
            [resource] => (None, *resource, None, None),
            [resource, name] => (None, *resource, owned(name), None),
            [resource, name, sub, ..] => (None, *resource, owned(name), owned(sub)),
            [] => return other,
        };
        let one = name.is_some();
        let verb = match method.as_str() {
            "GET" | "HEAD" if watching => "watch",
            "GET" | "HEAD" if one => "get",
            "GET" | "HEAD" if query.flag("watch") => "watch",
            "GET" | "HEAD" => "list",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" if one => "delete",
            "DELETE" => "deletecollection",
            _ => "",
        };
        Self {
            verb: verb.to_owned(),
            resource_path: true,
            group: group.to_owned(),
            version: version.to_owned(),
            namespace,
            resource: resource.to_owned(),
            name,
            sub,
        }
    }
}
