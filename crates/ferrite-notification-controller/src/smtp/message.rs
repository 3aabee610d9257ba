//! The e-mail itself (RFC 5322, RFC 2045, RFC 2047). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::event::Event;

/// Characters of base64 in a line (RFC 2045 §6.8).
const LINE: usize = 76;
/// Bytes of text in one encoded word, so that it has at most 75 characters (RFC 2047 §2).
const WORD: usize = 42;

/// Somebody's address, with his name if he has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mailbox {
    name: String,
    local: String,
    domain: String,
}

impl Mailbox {
    /// `Name <user@host>` or `user@host`; `None` when it is neither. Nothing in it can end a line of a command.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
            Some((name, address)) => (name.trim().trim_matches('"'), address),
            None => ("", text),
        };
        let (local, domain) = address.rsplit_once('@')?;
        let odd =
            |letter: char| letter.is_whitespace() || letter.is_control() || "<>()[],;:\\\"@".contains(letter);
        if local.is_empty() || domain.is_empty() || local.contains(odd) || domain.contains(odd) {
            return None;
        }
        // Addresses beyond ASCII need servers that speak SMTPUTF8.
        if !address.is_ascii() || name.chars().any(char::is_control) {
            return None;
        }
        Some(Self { name: name.to_owned(), local: local.to_owned(), domain: domain.to_owned() })
    }

    /// `user@host`.
    pub(super) fn address(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }

    pub(super) fn domain(&self) -> &str {
        &self.domain
    }

    fn header(&self) -> String {
        if self.name.is_empty() {
            self.address()
        } else {
            format!("{} <{}>", words(&self.name), self.address())
        }
    }
}

/// The message with its headers. Mails about one object are one thread.
pub(super) fn write(event: &Event, from: &Mailbox, to: &[Mailbox], now: jiff::Timestamp) -> Vec<u8> {
    let object = &event.involved_object;
    let subject = format!("[{}] {}: {}", event.severity, event.object_title(), event.reason_words());
    let id = |text: String| {
        let digest = hex::encode(Sha256::digest(text));
        format!("<{}@{}>", digest.chars().take(32).collect::<String>(), from.domain)
    };
    let to: Vec<String> = to.iter().map(Mailbox::header).collect();
    let headers = [
        ("From", from.header()),
        ("To", to.join(",\r\n ")),
        ("Subject", words(&subject)),
        ("Date", now.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()),
        ("Message-ID", id(format!("{}{now}", event.dedup_key()))),
        ("References", id(format!("{}/{}", event.object_path(), object.uid))),
        // No answer of a machine, please (RFC 3834).
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("MIME-Version", "1.0".to_owned()),
        ("Content-Type", "text/plain; charset=utf-8".to_owned()),
        ("Content-Transfer-Encoding", "base64".to_owned()),
    ];
    let mut out = String::new();
    for (name, value) in headers {
        out.push_str(name);
        out.push_str(": ");
        out.push_str(&value);
        out.push_str("\r\n");
    }
    out.push_str("\r\n");
    let encoded = STANDARD.encode(body(event));
    let mut rest = encoded.as_str();
    while let Some((line, after)) = rest.split_at_checked(LINE) {
        out.push_str(line);
        out.push_str("\r\n");
        rest = after;
    }
    if !rest.is_empty() {
        out.push_str(rest);
        out.push_str("\r\n");
    }
    out.into_bytes()
}

fn body(event: &Event) -> String {
    let mut text = format!("{}\r\n\r\n", event.message.replace("\r\n", "\n").replace('\n', "\r\n"));
    text.push_str(&format!("Object: {}\r\nReason: {}\r\n", event.object_path(), event.reason));
    text.push_str(&format!("Time: {}\r\nFrom: {}\r\n", event.timestamp, event.reporting_controller));
    for (key, value) in &event.metadata {
        text.push_str(&format!("{key}: {value}\r\n"));
    }
    text
}

/// Text of a header: as it is when it is printable ASCII, else encoded words. Nothing in it ends the line.
fn words(text: &str) -> String {
    if text.len() <= LINE && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut encoded = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD));
        encoded.push(format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
        rest = after;
    }
    encoded.join("\r\n ")
}

/// A dot at the start of a line is doubled, since a line of one dot ends the message (RFC 5321 §4.5.2).
pub(super) fn stuffed(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 16);
    let mut start = true;
    for byte in data {
        if start && *byte == b'.' {
            out.push(b'.');
        }
        out.push(*byte);
        start = *byte == b'\n';
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::tests::event;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text).unwrap()
    }

    #[test]
    fn mailboxes_are_read() {
        assert_eq!(mailbox("a@b.example").header(), "a@b.example");
        assert_eq!(mailbox(" \"On Call\" <a@b.example>").header(), "On Call <a@b.example>");
        assert_eq!(mailbox("Jürgen <a@b.example>").header(), "=?utf-8?B?SsO8cmdlbg==?= <a@b.example>");
        for wrong in
            ["", "a", "@b", "a@", "a b@c", "a@b\r\nRCPT TO:<x@y>", "x\r\ny <a@b>", "a@b>", "<a@b", "ä@b"]
        {
            assert_eq!(Mailbox::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn messages_are_plain_text_in_base64() {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let to = [mailbox("ops@acme.example"), mailbox("Boss <boss@acme.example>")];
        let text =
            String::from_utf8(write(&event("error"), &mailbox("flux@acme.example"), &to, now)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        for line in [
            "From: flux@acme.example",
            "To: ops@acme.example,",
            " Boss <boss@acme.example>",
            "Date: Fri, 02 Jan 2026 03:04:05 +0000",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(head.lines().any(|l| l == line), "{line} is not in\n{head}");
        }
        let subject = "Subject: [error] kustomization/apps.flux-system: reconciliation succeeded";
        assert!(head.contains(subject), "{head}");
        assert!(body.lines().all(|line| line.len() <= 76));
        let body = String::from_utf8(STANDARD.decode(body.replace("\r\n", "")).unwrap()).unwrap();
        assert!(
            body.starts_with(
                "Deployment/web configured\r\nService/web created\r\n\r\nObject: Kustomization/"
            )
        );
        assert!(body.ends_with("revision: main@sha1:abc\r\n"), "{body}");
    }

    #[test]
    fn nothing_in_an_event_makes_a_header() {
        let mut hostile = event("info");
        hostile.involved_object.name = "x\r\nBcc: all@acme.example".into();
        hostile.reason = "Y\nZ".into();
        let to = [mailbox("ops@acme.example")];
        let data = write(&hostile, &mailbox("flux@acme.example"), &to, jiff::Timestamp::UNIX_EPOCH);
        let text = String::from_utf8(data).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    }

    #[test]
    fn dots_are_doubled_at_the_start_of_lines() {
        assert_eq!(stuffed(b".a\r\nb.\r\n.\r\n"), b"..a\r\nb.\r\n..\r\n");
    }
}
