//! `known_hosts`: which key a host has (sshd(8), and fluxcd/pkg `ssh/knownhosts` for the order of decisions).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use russh::keys::{Algorithm, PublicKey};
use sha1::Sha1;

use crate::Error;

/// Longest text read, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// What a `known_hosts` file says.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownHosts {
    entries: Vec<Entry>,
    revoked: Vec<PublicKey>,
}

#[derive(Debug, Clone)]
struct Entry {
    hosts: Hosts,
    key: PublicKey,
}

#[derive(Debug, Clone)]
enum Hosts {
    Patterns(Vec<Pattern>),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

#[derive(Debug, Clone)]
struct Pattern {
    negated: bool,
    host: String,
    port: u16,
}

/// What is known of a key that a host presents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the host's.
    Known,
    /// Nothing is known of the host.
    Unknown,
    /// The host has another key.
    Mismatch,
    /// The key must not be used any more.
    Revoked,
}

impl KnownHosts {
    /// Reads the text; empty lines and comments are skipped.
    ///
    /// # Errors
    /// [`Error::KnownHosts`] with the number of the first line that cannot be read.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Error> {
        let wrong = |line: usize, problem: &'static str| Error::KnownHosts { line: line + 1, problem };
        if text.len() > MAX_BYTES {
            return Err(wrong(0, "the text is longer than 1 MiB"));
        }
        let text = std::str::from_utf8(text).map_err(|_| wrong(0, "the text is not UTF-8"))?;
        let mut known = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            known.add(line).map_err(|problem| wrong(number, problem))?;
        }
        Ok(known)
    }

    fn add(&mut self, line: &str) -> Result<(), &'static str> {
        let mut words = line.split_ascii_whitespace().peekable();
        let marker = words.next_if(|word| matches!(*word, "@cert-authority" | "@revoked"));
        let hosts = words.next().ok_or("missing host pattern")?;
        words.next().ok_or("missing key type")?; // the key names its type itself
        let key = words.next().ok_or("missing key")?;
        let key = STANDARD.decode(key).map_err(|_| "the key is not base64")?;
        let key = PublicKey::from_bytes(&key).map_err(|_| "the key cannot be read")?;
        let hosts = Hosts::parse(hosts)?;
        match marker {
            Some("@revoked") => self.revoked.push(key),
            // Certificates of hosts are never asked for, so their authorities decide nothing.
            Some(_) => {}
            None => self.entries.push(Entry { hosts, key }),
        }
        Ok(())
    }

    /// What is known of `key` when `host` presents it at `port`.
    pub(crate) fn verdict(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let same = |known: &PublicKey| known.key_data() == key.key_data();
        if self.revoked.iter().any(same) {
            return Verdict::Revoked;
        }
        let mut of_host = self.entries.iter().filter(|entry| entry.hosts.matches(host, port)).peekable();
        if of_host.peek().is_none() {
            return Verdict::Unknown;
        }
        // Of several keys of one type the first counts for Flux; here each is good, so that keys can be rotated.
        if of_host.any(|entry| same(&entry.key)) { Verdict::Known } else { Verdict::Mismatch }
    }

    /// The types of the keys known for a host; of all keys when the host is not known.
    pub(crate) fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let types = |entries: &mut dyn Iterator<Item = &Entry>| {
            let mut found = Vec::new();
            for entry in entries {
                let algorithm = entry.key.algorithm();
                if !found.contains(&algorithm) {
                    found.push(algorithm);
                }
            }
            found
        };
        let own = types(&mut self.entries.iter().filter(|entry| entry.hosts.matches(host, port)));
        if own.is_empty() { types(&mut self.entries.iter()) } else { own }
    }
}

impl Hosts {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(hashed) = text.strip_prefix('|') {
            let mut parts = hashed.split('|');
            let (kind, salt, hash) = (parts.next(), parts.next(), parts.next());
            if kind != Some("1") || parts.next().is_some() {
                return Err("unknown form of a hashed host name");
            }
            let decode = |part: Option<&str>| {
                STANDARD.decode(part.unwrap_or_default()).map_err(|_| "a hashed host name is not base64")
            };
            return Ok(Self::Hashed { salt: decode(salt)?, hash: decode(hash)? });
        }
        let mut patterns = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (negated, part) = match part.strip_prefix('!') {
                Some("") => return Err("negation without a host name"),
                Some(rest) => (true, rest),
                None => (false, part),
            };
            let (host, port) = host_and_port(part)?;
            patterns.push(Pattern { negated, host: host.to_ascii_lowercase(), port });
        }
        Ok(Self::Patterns(patterns))
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        match self {
            Self::Patterns(patterns) => {
                let mut of_host = patterns
                    .iter()
                    .filter(|p| p.port == port && wildcard(p.host.as_bytes(), host.as_bytes()));
                let mut matched = false;
                of_host.all(|pattern| {
                    matched = true;
                    !pattern.negated
                }) && matched
            }
            Self::Hashed { salt, hash } => {
                let name = if port == 22 { host } else { format!("[{host}]:{port}") };
                // HMAC takes keys of any length.
                Hmac::<Sha1>::new_from_slice(salt).is_ok_and(|mut mac| {
                    mac.update(name.as_bytes());
                    mac.verify_slice(hash).is_ok()
                })
            }
        }
    }
}

/// `host`, `host:port`, `[host]:port` or a bare IPv6 address.
fn host_and_port(text: &str) -> Result<(&str, u16), &'static str> {
    let port = |text: &str| text.parse().map_err(|_| "unreadable port");
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once("]:") {
            Some((host, number)) => Ok((host, port(number)?)),
            None => Err("`[` without `]:port`"),
        };
    }
    match text.split_once(':') {
        Some((host, number)) if !number.contains(':') => Ok((host, port(number)?)),
        _ => Ok((text, 22)),
    }
}

/// Whether `text` fits a pattern of `*` and `?`; linear but for one step back.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == letter => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIbHYkJEZbSP5Zv9yIWs0CfDCgFpHAqn4cVFVo6j4rzK";

    fn key(line: &str) -> PublicKey {
        PublicKey::from_openssh(line).unwrap()
    }

    #[track_caller]
    fn check(hosts: &str, host: &str, port: u16, expect: Verdict) {
        let known = KnownHosts::parse(format!("# comment\n\n{hosts} {ED} someone\n").as_bytes()).unwrap();
        assert_eq!(known.verdict(host, port, &key(ED)), expect, "{hosts} for {host}:{port}");
    }

    #[test]
    fn hosts_are_matched_as_sshd_documents() {
        check("github.com", "github.com", 22, Verdict::Known);
        check("github.com", "GitHub.com", 22, Verdict::Known);
        check("github.com", "github.com", 2222, Verdict::Unknown);
        check("[github.com]:2222", "github.com", 2222, Verdict::Known);
        check("github.com:2222", "github.com", 2222, Verdict::Known);
        check("a.example,b.example", "b.example", 22, Verdict::Known);
        check("*.example", "a.example", 22, Verdict::Known);
        check("*.example,!b.example", "b.example", 22, Verdict::Unknown);
        check("?.example", "ab.example", 22, Verdict::Unknown);
        check("[::1]:2222", "::1", 2222, Verdict::Known);
        check("::1", "::1", 22, Verdict::Known);
        // ssh-keygen -H
        let hashed = "|1|lxm9JRqEwMbHfoQ5Wp6rW3YtjTs=|";
        let mut mac =
            Hmac::<Sha1>::new_from_slice(&STANDARD.decode("lxm9JRqEwMbHfoQ5Wp6rW3YtjTs=").unwrap()).unwrap();
        mac.update(b"[git.example]:2222");
        let hashed = format!("{hashed}{}", STANDARD.encode(mac.finalize().into_bytes()));
        check(&hashed, "git.example", 2222, Verdict::Known);
        check(&hashed, "git.example", 22, Verdict::Unknown);
    }

    #[test]
    fn another_key_is_a_mismatch_and_a_revoked_one_is_refused() {
        let known = KnownHosts::parse(format!("h {OTHER}\n").as_bytes()).unwrap();
        assert_eq!(known.verdict("h", 22, &key(ED)), Verdict::Mismatch);
        let both = KnownHosts::parse(format!("h {OTHER}\nh {ED}\n").as_bytes()).unwrap();
        assert_eq!(both.verdict("h", 22, &key(ED)), Verdict::Known);
        let revoked = KnownHosts::parse(format!("h {ED}\n@revoked * {ED}\n").as_bytes()).unwrap();
        assert_eq!(revoked.verdict("h", 22, &key(ED)), Verdict::Revoked);
        let authority = KnownHosts::parse(format!("@cert-authority h {ED}\n").as_bytes()).unwrap();
        assert_eq!(authority.verdict("h", 22, &key(ED)), Verdict::Unknown);
    }

    #[test]
    fn unreadable_lines_are_named() {
        for (text, expect) in [
            ("h", "'known_hosts' cannot be used: line 1: missing key type"),
            ("\nh ssh-ed25519", "'known_hosts' cannot be used: line 2: missing key"),
            ("h ssh-ed25519 !!", "'known_hosts' cannot be used: line 1: the key is not base64"),
            ("h ssh-ed25519 AAAA", "'known_hosts' cannot be used: line 1: the key cannot be read"),
            (
                "|2|a|b ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
                "'known_hosts' cannot be used: line 1: unknown form of a hashed host name",
            ),
        ] {
            assert_eq!(KnownHosts::parse(text.as_bytes()).unwrap_err().to_string(), expect);
        }
    }

    #[test]
    fn many_stars_are_matched_in_time() {
        let pattern = "*a".repeat(200);
        assert!(!wildcard(pattern.as_bytes(), "a".repeat(5000).replace('a', "ab").as_bytes()));
    }
}
