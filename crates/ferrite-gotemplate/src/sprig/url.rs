//! URLs taken apart and put together, as Go's `net/url` does it.

use super::Answer;
use crate::{
    error::Error,
    func::{Functions, Ty},
    value::{Map, Value},
};

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("urlParse", &[Ty::Str], None, |a| {
            let text = super::utf8(a, 0);
            let url = parse(&text).map_err(|e| {
                Error::plain(format!("unable to parse url: parse {}: {e}", crate::quote(text.as_bytes())))
            })?;
            Ok(Value::map([
                ("scheme", url.scheme.clone().into()),
                ("host", url.host.clone().into()),
                ("hostname", url.hostname().into()),
                ("path", Value::str(url.path.clone())),
                ("query", url.query.clone().into()),
                ("opaque", url.opaque.clone().into()),
                ("fragment", Value::str(url.fragment.clone())),
                ("userinfo", url.user.clone().into()),
            ]))
        }),
        ("urlJoin", &[Ty::Map], None, |a| a[0].as_map().map_or_else(|| Ok("".into()), join)),
    ]);
}

/// Whether a URL is absolute.
///
/// # Errors
///
/// What `url.Parse` says of a text that is none.
pub fn check(text: &str) -> Result<bool, String> {
    let url = parse(text).map_err(|e| format!("parse {}: {e}", crate::quote(text.as_bytes())))?;
    Ok(!url.scheme.is_empty())
}

#[derive(Default)]
struct Url {
    scheme: String,
    opaque: String,
    /// As `Userinfo.String()` prints it.
    user: String,
    host: String,
    path: Vec<u8>,
    query: String,
    fragment: Vec<u8>,
}

impl Url {
    fn hostname(&self) -> &str {
        if let Some(rest) = self.host.strip_prefix('[') {
            return rest.split(']').next().unwrap_or(rest);
        }
        match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => &self.host,
        }
    }
}

fn parse(text: &str) -> Result<Url, String> {
    if text.bytes().any(|b| b < b' ' || b == 0x7f) {
        return Err("net/url: invalid control character in URL".into());
    }
    let mut url = Url::default();
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    url.fragment = unescape(fragment, false)?;
    if rest == "*" {
        url.path = b"*".to_vec();
        return Ok(url);
    }
    let mut rest = rest;
    if let Some((scheme, after)) = rest.split_once(':')
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    {
        url.scheme = scheme.to_ascii_lowercase();
        rest = after;
    } else if rest.starts_with(':') {
        return Err("missing protocol scheme".into());
    }
    if let Some((before, query)) = rest.split_once('?') {
        url.query = query.to_owned();
        rest = before;
    }
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_owned();
            return Ok(url);
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".into());
        }
    }
    if let Some(authority) =
        rest.strip_prefix("//").filter(|_| !url.scheme.is_empty() || !rest.starts_with("///"))
    {
        let end = authority.find('/').unwrap_or(authority.len());
        let (authority, path) = authority.split_at_checked(end).unwrap_or((authority, ""));
        rest = path;
        let (user, host) =
            authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        if let Some(user) = user {
            url.user = userinfo(user)?;
        }
        url.host = checked_host(host)?;
    }
    url.path = unescape(rest, false)?;
    Ok(url)
}

fn checked_host(host: &str) -> Result<String, String> {
    let port = if let Some(inner) = host.strip_prefix('[') {
        let Some((_, after)) = inner.split_once(']') else {
            return Err("missing ']' in host".into());
        };
        after
    } else {
        host.find(':').and_then(|at| host.get(at..)).unwrap_or("")
    };
    let digits = port.strip_prefix(':').is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
    if !port.is_empty() && !digits {
        return Err(format!("invalid port {} after host", crate::quote(port.as_bytes())));
    }
    if let Some(bad) =
        host.chars().find(|c| matches!(c, ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'))
    {
        return Err(format!("invalid character {} in host name", crate::quote(bad.to_string().as_bytes())));
    }
    Ok(String::from_utf8_lossy(&unescape(host, true)?).into_owned())
}

fn userinfo(user: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
    if !user.bytes().all(allowed) {
        return Err("net/url: invalid userinfo".into());
    }
    let part = |text: &str| Ok::<_, String>(escape(&unescape(text, false)?, b"-_.~$&+,;="));
    Ok(match user.split_once(':') {
        Some((name, password)) => format!("{}:{}", part(name)?, part(password)?),
        None => part(user)?,
    })
}

fn unescape(text: &str, host: bool) -> Result<Vec<u8>, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' && !host {
            let digits = bytes.get(at + 1..at + 3).and_then(|d| std::str::from_utf8(d).ok());
            match digits
                .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|d| u8::from_str_radix(d, 16).ok())
            {
                Some(byte) => out.push(byte),
                None => {
                    let shown = text.get(at..(at + 3).min(text.len())).unwrap_or("%");
                    return Err(format!("invalid URL escape {}", crate::quote(shown.as_bytes())));
                }
            }
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    Ok(out)
}

fn escape(bytes: &[u8], allowed: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for b in bytes {
        if b.is_ascii_alphanumeric() || allowed.contains(b) {
            out.push(char::from(*b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

fn join(parts: &Map) -> Answer {
    let part = |key: &str| match parts.get(key.as_bytes()) {
        None => Ok(String::new()),
        Some(Value::Str(text)) => Ok(text.to_text().into_owned()),
        Some(other) => {
            let name = other.type_name();
            Err(Error::plain(format!("unable to parse {key} key, must be of type string, but {name} found")))
        }
    };
    let (scheme, host, path, query) = (part("scheme")?, part("host")?, part("path")?, part("query")?);
    let (opaque, fragment) = (part("opaque")?, part("fragment")?);
    let user = match part("userinfo")? {
        user if user.is_empty() => user,
        user => userinfo(&user).map_err(|e| Error::plain(format!("parse \"proto://{user}@host\": {e}")))?,
    };
    let mut out = String::new();
    if !scheme.is_empty() {
        out.push_str(&scheme);
        out.push(':');
    }
    if opaque.is_empty() {
        if !scheme.is_empty() || !host.is_empty() || !user.is_empty() {
            if !host.is_empty() || !path.is_empty() || !user.is_empty() {
                out.push_str("//");
            }
            if !user.is_empty() {
                out.push_str(&user);
                out.push('@');
            }
            out.push_str(&escape(host.as_bytes(), b"-_.~!$&'()*+,;=:[]<>\""));
        }
        let path = escape(path.as_bytes(), b"-_.~$&+,/:;=@!'()*[]").replace(['[', ']'], "");
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            out.push('/');
        }
        out.push_str(&path);
    } else {
        out.push_str(&opaque);
    }
    if !query.is_empty() {
        out.push('?');
        out.push_str(&query);
    }
    if !fragment.is_empty() {
        out.push('#');
        out.push_str(&escape(fragment.as_bytes(), b"-_.~$&+,/:;=@?!'()*"));
    }
    Ok(out.into())
}
