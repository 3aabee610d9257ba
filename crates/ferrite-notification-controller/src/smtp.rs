//! Sends events by e-mail: SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS from the start (RFC 8314), and a password.
//!
//! ```text
//! ◀ 220   ▶ EHLO ◀ 250 …   (▶ STARTTLS ◀ 220, TLS, ▶ EHLO)   ▶ AUTH   ▶ MAIL, RCPT…, DATA, message   ◀ 250
//! ```
//!
//! A password is never sent over a connection that is not encrypted.

mod message;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::credentials::Connection;
use crate::event::Event;
use crate::providers::{ProviderError, Target};
use crate::sender::{SendError, masked};
use crate::wire::{self, BoxedStream};
use message::Mailbox;

/// Bytes of a reply of the server, all lines together.
const REPLY_BYTES: u64 = 16 << 10;
/// Bytes of a reply that an error shows.
const SHOWN_BYTES: usize = 512;
/// People that one provider writes to.
const RECIPIENTS: usize = 100;
/// Attempts, and the time between them, when the server is away or asks for another try.
const ATTEMPTS: u32 = 3;
const DELAY: Duration = Duration::from_secs(2);

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    /// From the start (`smtps://`).
    Whole,
    /// After a word in the clear; refused where the server cannot (`smtp://`).
    StartTls,
    /// Not at all (`smtp://…?tls=none`).
    None,
}

/// Where to send what, and as whom.
#[derive(Debug)]
pub(crate) struct Mail<'a> {
    target: &'a Target,
    connection: &'a Connection,
    host: String,
    port: u16,
    encryption: Encryption,
    from: Mailbox,
    to: Vec<Mailbox>,
    data: Vec<u8>,
}

/// Reads the target and writes the message.
///
/// # Errors
///
/// [`ProviderError`] when server, sender or recipients are missing or no such; the text holds no secret.
pub(crate) fn plan<'a>(
    target: &'a Target,
    connection: &'a Connection,
    event: &Event,
    now: jiff::Timestamp,
) -> Result<Mail<'a>, ProviderError> {
    let field = |field: &'static str, problem: &'static str| ProviderError::Field {
        kind: target.kind.clone(),
        field,
        problem,
    };
    let shape = || field("the address", "must be smtp://<host>[:<port>] or smtps://<host>[:<port>]");
    let url = url::Url::parse(target.address.expose_secret().trim()).map_err(|_| shape())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(shape)?.to_owned();
    let clear = url.query_pairs().any(|(key, value)| key == "tls" && value == "none");
    let (encryption, port) = match (url.scheme(), clear) {
        ("smtps", _) => (Encryption::Whole, 465),
        ("smtp", false) => (Encryption::StartTls, 587),
        ("smtp", true) => (Encryption::None, 25),
        _ => return Err(shape()),
    };
    if encryption == Encryption::None && target.password.is_some() {
        return Err(field("the address", "must not say tls=none when there is a password to send"));
    }
    let from = [&target.sender, &target.username].into_iter().find(|name| !name.is_empty());
    let from = from.and_then(|text| Mailbox::parse(text));
    let from = from.ok_or_else(|| field("spec.username", "must be the sender's address"))?;
    let to: Option<Vec<Mailbox>> = target.channel.split(',').map(Mailbox::parse).collect();
    let to = to.filter(|to| to.len() <= RECIPIENTS).ok_or_else(|| {
        field("spec.channel", "must be the recipients' addresses, separated by commas, at most 100")
    })?;
    let data = message::write(event, &from, &to, now);
    let port = url.port().unwrap_or(port);
    Ok(Mail { target, connection, host, port, encryption, from, to, data })
}

/// What went wrong, and whether another try may help.
struct Failure(SendError, bool);

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self(error, true)
    }
}

/// A reply: its code and its lines.
struct Reply {
    code: u16,
    text: String,
}

impl Mail<'_> {
    /// Sends, and waits until the server has taken the message for every recipient.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the target's secrets masked.
    pub(crate) async fn send(&self, deadline: Duration) -> Result<(), SendError> {
        let mut last = None;
        let attempts = async {
            for attempt in 1.. {
                match self.attempt().await {
                    Ok(()) => return Ok(()),
                    Err(Failure(error, true)) if attempt < ATTEMPTS => last = Some(error),
                    Err(Failure(error, _)) => return Err(error),
                }
                tokio::time::sleep(DELAY).await;
            }
            Ok(())
        };
        match tokio::time::timeout(deadline, attempts).await {
            Ok(result) => result,
            Err(_) => Err(last.unwrap_or(SendError::Deadline(deadline))),
        }
    }

    async fn attempt(&self) -> Result<(), Failure> {
        let stream = wire::connect(&self.host, self.port).await.map_err(|error| self.failed(&error))?;
        let stream: BoxedStream = match self.encryption {
            Encryption::Whole => wire::encrypt(stream, &self.host, self.connection).await?,
            Encryption::StartTls | Encryption::None => Box::new(stream),
        };
        let mut session = Session { mail: self, stream: BufReader::new(stream) };
        session.greeting().await?;
        let mut offers = session.hello().await?;
        if self.encryption == Encryption::StartTls {
            if !offers.lines().any(|line| line.trim().eq_ignore_ascii_case("STARTTLS")) {
                let problem = "the server offers no STARTTLS; ?tls=none in the address does without";
                return Err(Failure(self.failed(&problem), false));
            }
            session.command("STARTTLS", 220).await?;
            if !session.stream.buffer().is_empty() {
                return Err(Failure(self.failed(&"the server speaks before TLS"), false));
            }
            let stream = wire::encrypt(session.stream.into_inner(), &self.host, self.connection).await?;
            session = Session { mail: self, stream: BufReader::new(stream) };
            offers = session.hello().await?;
        }
        session.log_in(&offers).await?;
        session.deliver().await
    }

    fn failed(&self, problem: &dyn std::fmt::Display) -> SendError {
        let mut text = masked(&problem.to_string(), self.target);
        text.truncate(text.floor_char_boundary(SHOWN_BYTES));
        SendError::Unreachable(text)
    }
}

/// A conversation with one server.
struct Session<'a> {
    mail: &'a Mail<'a>,
    stream: BufReader<BoxedStream>,
}

impl Session<'_> {
    async fn greeting(&mut self) -> Result<(), Failure> {
        let reply = self.reply().await?;
        self.expect("the greeting", &reply, 220)
    }

    /// Says hello and returns what the server offers.
    async fn hello(&mut self) -> Result<String, Failure> {
        let hello = format!("EHLO {}", self.mail.from.domain());
        Ok(self.command(&hello, 250).await?.text)
    }

    async fn log_in(&mut self, offers: &str) -> Result<(), Failure> {
        let Some((user, password)) = self.mail.target.basic() else { return Ok(()) };
        let words = |line: &str| line.to_ascii_uppercase().split_whitespace().map(str::to_owned).collect();
        let ways: Vec<String> = offers
            .lines()
            .map(words)
            .find(|line: &Vec<_>| line.first().is_some_and(|word| word == "AUTH"))
            .unwrap_or_default();
        let offered = |way: &str| ways.iter().any(|word| word == way);
        if offered("PLAIN") || !offered("LOGIN") {
            let secret = STANDARD.encode(format!("\0{user}\0{password}"));
            self.secret(&format!("AUTH PLAIN {secret}"), 235).await
        } else {
            self.command("AUTH LOGIN", 334).await?;
            self.secret(&STANDARD.encode(user), 334).await?;
            self.secret(&STANDARD.encode(password), 235).await
        }
    }

    async fn deliver(&mut self) -> Result<(), Failure> {
        self.command(&format!("MAIL FROM:<{}>", self.mail.from.address()), 250).await?;
        for mailbox in &self.mail.to {
            self.command(&format!("RCPT TO:<{}>", mailbox.address()), 250).await?;
        }
        self.command("DATA", 354).await?;
        let mut out = message::stuffed(&self.mail.data);
        out.extend_from_slice(b".\r\n");
        self.write(&out).await?;
        let reply = self.reply().await?;
        self.expect("the message", &reply, 250)?;
        // The message is delivered, whatever the server says to this.
        let _farewell = self.write(b"QUIT\r\n").await;
        Ok(())
    }

    async fn command(&mut self, line: &str, code: u16) -> Result<Reply, Failure> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        let reply = self.reply().await?;
        let verb = line.split(':').next().unwrap_or_default();
        self.expect(verb, &reply, code)?;
        Ok(reply)
    }

    /// A line that no error shows.
    async fn secret(&mut self, line: &str, code: u16) -> Result<(), Failure> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        let reply = self.reply().await?;
        self.expect("AUTH", &reply, code)
    }

    /// 5yz is final, 4yz asks for another try (RFC 5321 §4.2.1).
    fn expect(&self, what: &str, reply: &Reply, code: u16) -> Result<(), Failure> {
        // A recipient elsewhere is as good (251).
        if reply.code == code || code == 250 && reply.code == 251 {
            return Ok(());
        }
        let text = format!("the server answers {what} with {} {}", reply.code, reply.text.replace('\n', " "));
        Err(Failure(self.mail.failed(&text), (400..500).contains(&reply.code)))
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        Ok(written.await.map_err(|error| self.mail.failed(&error))?)
    }

    /// Reads the lines of one reply; all but the last have a hyphen after the code.
    async fn reply(&mut self) -> Result<Reply, Failure> {
        let mut text = String::new();
        let mut limited = (&mut self.stream).take(REPLY_BYTES);
        loop {
            let mut line = Vec::new();
            limited.read_until(b'\n', &mut line).await.map_err(|error| self.mail.failed(&error))?;
            if line.last() != Some(&b'\n') {
                return Err(self.mail.failed(&"the server hung up, or sent a reply that is too long").into());
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let (code, rest) = line.split_at_checked(3).unwrap_or(("", ""));
            let Ok(code) = code.parse() else {
                return Err(Failure(self.mail.failed(&"this is no SMTP server"), false));
            };
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(rest.get(1..).unwrap_or_default());
            if !rest.starts_with('-') {
                return Ok(Reply { code, text });
            }
        }
    }
}

#[cfg(test)]
mod tests;
