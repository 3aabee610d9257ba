//! A mail server that keeps every message it takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::tls::Authority;

/// Lines of one conversation.
const LINES: usize = 10_000;

/// One message as it was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// `MAIL FROM`, without brackets.
    pub from: String,
    /// Each `RCPT TO`, without brackets.
    pub to: Vec<String>,
    /// Headers and body, dots undone.
    pub data: String,
    /// Whether the connection was encrypted.
    pub encrypted: bool,
}

/// What the server asks for and offers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SmtpOptions {
    /// Offers STARTTLS, and takes mail after it only.
    pub start_tls: bool,
    /// User and password that mail needs.
    pub login: Option<(&'static str, &'static str)>,
    /// Offers AUTH LOGIN instead of AUTH PLAIN.
    pub old_login: bool,
    /// Refuses every recipient with this code.
    pub refuse: Option<u16>,
}

/// An SMTP server on the loopback address.
#[derive(Debug)]
pub struct SmtpSink {
    address: SocketAddr,
    ca: String,
    mails: watch::Receiver<Vec<Mail>>,
    task: JoinHandle<()>,
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Server {
    options: SmtpOptions,
    authority: Authority,
    sender: watch::Sender<Vec<Mail>>,
}

impl SmtpSink {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When no port or no certificate can be had.
    pub async fn start(options: SmtpOptions) -> Result<Self> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on the loopback address")?;
        let address = listener.local_addr()?;
        let authority = Authority::new(false)?;
        let ca = authority.ca.clone();
        let (sender, mails) = watch::channel(Vec::new());
        let server = Arc::new(Server { options, authority, sender });
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                tokio::spawn(async move { server.serve(stream).await.ok() });
            }
        });
        Ok(Self { address, ca, mails, task })
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority of the server's certificate, PEM.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// Everything taken so far, oldest first.
    #[must_use]
    pub fn taken(&self) -> Vec<Mail> {
        self.mails.borrow().clone()
    }

    /// Waits for the first message that is `wanted`.
    ///
    /// # Errors
    /// A sentence with `what`, the patience and what was taken instead.
    pub async fn wait_for(
        &self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&Mail) -> bool,
    ) -> Result<Mail, String> {
        let mut mails = self.mails.clone();
        let found = async {
            let seen = mails.wait_for(|all| all.iter().any(&wanted)).await.ok()?;
            seen.iter().find(|mail| wanted(mail)).cloned()
        };
        let found = tokio::time::timeout(patience, found).await.ok().flatten();
        found.ok_or_else(|| {
            format!("gave up after {patience:?} waiting for {what}; taken: {:#?}", self.taken())
        })
    }
}

impl Server {
    async fn serve(&self, stream: TcpStream) -> Result<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 sink.example ESMTP\r\n").await?;
        if self.talk(&mut stream, false).await? {
            let stream = self.authority.acceptor.accept(stream.into_inner()).await?;
            self.talk(&mut BufReader::new(stream), true).await?;
        }
        Ok(())
    }

    /// Talks until the client is done; whether it asked for TLS.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        encrypted: bool,
    ) -> Result<bool> {
        let mut mail = Mail { from: String::new(), to: Vec::new(), data: String::new(), encrypted };
        let mut known = self.options.login.is_none();
        for _ in 0..LINES {
            let Some(line) = line(stream).await? else { return Ok(false) };
            let (verb, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
            let answer = match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.offers(encrypted),
                "STARTTLS" if self.options.start_tls && !encrypted => {
                    stream.write_all(b"220 go ahead\r\n").await?;
                    return Ok(true);
                }
                "AUTH" => {
                    known = self.log_in(stream, rest).await?;
                    if known { "235 welcome".to_owned() } else { "535 no such user".to_owned() }
                }
                "MAIL" | "RCPT" | "DATA" if self.options.start_tls && !encrypted => {
                    "530 STARTTLS first".to_owned()
                }
                "MAIL" | "RCPT" | "DATA" if !known => "530 who are you".to_owned(),
                "MAIL" => {
                    mail.from = bracketed(rest);
                    "250 ok".to_owned()
                }
                "RCPT" => match self.options.refuse {
                    Some(code) => format!("{code} nobody of that name"),
                    None => {
                        mail.to.push(bracketed(rest));
                        "250 ok".to_owned()
                    }
                },
                "DATA" => {
                    stream.write_all(b"354 go ahead\r\n").await?;
                    mail.data = data(stream).await?;
                    self.sender.send_modify(|all| all.push(mail.clone()));
                    "250 taken".to_owned()
                }
                "QUIT" => return Ok(false),
                _ => "502 what".to_owned(),
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(false)
    }

    fn offers(&self, encrypted: bool) -> String {
        let mut lines = vec!["sink.example".to_owned(), "8BITMIME".to_owned()];
        if self.options.start_tls && !encrypted {
            lines.push("STARTTLS".to_owned());
        } else if self.options.login.is_some() {
            lines.push(format!("AUTH {}", if self.options.old_login { "LOGIN" } else { "PLAIN" }));
        }
        let last = lines.len() - 1;
        let line =
            |(index, text): (usize, &String)| format!("250{}{text}", if index == last { ' ' } else { '-' });
        lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
    }

    async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        way: &str,
    ) -> Result<bool> {
        let Some((user, password)) = self.options.login else { return Ok(true) };
        let decode =
            |text: &str| String::from_utf8(STANDARD.decode(text).unwrap_or_default()).unwrap_or_default();
        if let Some(secret) = way.strip_prefix("PLAIN ") {
            return Ok(decode(secret) == format!("\0{user}\0{password}"));
        }
        let mut given = Vec::new();
        for prompt in ["Username:", "Password:"] {
            stream.write_all(format!("334 {}\r\n", STANDARD.encode(prompt)).as_bytes()).await?;
            given.push(decode(&line(stream).await?.unwrap_or_default()));
        }
        Ok(given == [user, password])
    }
}

async fn line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Result<Option<String>> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await?;
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}

async fn data<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Result<String> {
    let mut text = String::new();
    while let Some(line) = line(stream).await? {
        if line == "." {
            break;
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push('\n');
    }
    Ok(text)
}

fn bracketed(text: &str) -> String {
    let inner = text.split_once('<').map_or(text, |(_, rest)| rest);
    inner.split('>').next().unwrap_or_default().to_owned()
}
