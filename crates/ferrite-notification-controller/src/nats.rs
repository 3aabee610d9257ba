//! Publishes events on NATS: its text protocol, over a plain connection.
//!
//! ```text
//! ◀ INFO {…}   ▶ CONNECT {…}, PUB <subject> <bytes>, <event>, PING   ◀ PONG: everything was taken
//! ```
//!
//! TLS, credentials files and NKeys are refused rather than left out.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;

use crate::event::Event;
use crate::providers::{ProviderError, Target};
use crate::sender::{SendError, masked};

const PORT: u16 = 4222;
/// Bytes of a line of the server.
const LINE_BYTES: u64 = 64 << 10;
/// Lines read before the answer that counts.
const LINES: usize = 64;
/// The name that Flux's controller has on the server.
const NAME: &str = "NATS Provider Publisher";

/// Where to publish, as whom, and what.
#[derive(Debug)]
pub(crate) struct Publication<'a> {
    target: &'a Target,
    server: url::Url,
    subject: &'a str,
    payload: Vec<u8>,
}

/// Reads the target.
///
/// # Errors
///
/// [`ProviderError`] when there is no subject or no server; the text holds no secret.
pub(crate) fn plan<'a>(target: &'a Target, event: &Event) -> Result<Publication<'a>, ProviderError> {
    let field = |field: &'static str, problem: &'static str| ProviderError::Field {
        kind: target.kind.clone(),
        field,
        problem,
    };
    let subject = target.channel.as_str();
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || matches!(letter, '*' | '>');
    if subject.is_empty() || subject.contains(odd) {
        return Err(field("spec.channel", "must be a subject without spaces and wildcards"));
    }
    let address = target.address.expose_secret().trim();
    let with_scheme = if address.contains("://") { address.to_owned() } else { format!("nats://{address}") };
    let server =
        url::Url::parse(&with_scheme).ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
    match server {
        Some(server) if server.scheme() == "nats" => Ok(Publication {
            target,
            server,
            subject,
            // Serialising an event cannot fail.
            payload: serde_json::to_vec(event).unwrap_or_default(),
        }),
        _ => Err(field("the address", "must be nats://<host>[:<port>]; TLS is not supported")),
    }
}

impl Publication<'_> {
    /// Publishes, and waits until the server has taken it.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the target's secrets masked.
    pub(crate) async fn send(&self, deadline: Duration) -> Result<(), SendError> {
        let host = self.server.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.server.port().unwrap_or(PORT);
        let talk = async {
            let stream = TcpStream::connect((host, port)).await.map_err(|error| self.failed(&error))?;
            let (read, write) = stream.into_split();
            self.talk(BufReader::new(read), write).await
        };
        tokio::time::timeout(deadline, talk).await.unwrap_or(Err(SendError::Deadline(deadline)))
    }

    async fn talk(
        &self,
        mut read: impl AsyncBufRead + Unpin,
        mut write: impl AsyncWrite + Unpin,
    ) -> Result<(), SendError> {
        let first = self.line(&mut read).await?;
        let info: Value = first
            .strip_prefix("INFO ")
            .and_then(|json| serde_json::from_str(json).ok())
            .ok_or_else(|| self.failed(&"this is no NATS server"))?;
        if info["tls_required"] == true {
            return Err(self.failed(&"the server asks for TLS, which is not supported"));
        }
        if info["max_payload"].as_u64().is_some_and(|most| self.payload.len() as u64 > most) {
            return Err(
                self.failed(&format!("the event has {} bytes, the server takes fewer", self.payload.len()))
            );
        }
        let mut out =
            format!("CONNECT {}\r\nPUB {} {}\r\n", self.connect(), self.subject, self.payload.len())
                .into_bytes();
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(b"\r\nPING\r\n");
        write.write_all(&out).await.map_err(|error| self.failed(&error))?;
        for _ in 0..LINES {
            let line = self.line(&mut read).await?;
            if line == "PONG" {
                return Ok(());
            }
            if line == "PING" {
                write.write_all(b"PONG\r\n").await.map_err(|error| self.failed(&error))?;
            }
            if let Some(error) = line.strip_prefix("-ERR") {
                return Err(self.failed(&error.trim()));
            }
        }
        Err(self.failed(&"the server does not say that it took the event"))
    }

    /// Who publishes: user and password or token of the Secret, else those of the address.
    fn connect(&self) -> Value {
        let mut connect = json!({
            "verbose": false, "pedantic": false, "tls_required": false, "name": NAME, "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"), "protocol": 1, "echo": false,
        });
        if let Some((user, password)) = self.target.basic() {
            connect["user"] = json!(user);
            connect["pass"] = json!(password);
        } else if let Some(token) = self.target.token() {
            connect["auth_token"] = json!(token);
        } else if let Some(password) = self.server.password() {
            connect["user"] = json!(self.server.username());
            connect["pass"] = json!(password);
        }
        connect
    }

    async fn line(&self, read: &mut (impl AsyncBufRead + Unpin)) -> Result<String, SendError> {
        let mut line = Vec::new();
        read.take(LINE_BYTES).read_until(b'\n', &mut line).await.map_err(|error| self.failed(&error))?;
        if line.last() != Some(&b'\n') {
            return Err(self.failed(&"the server hung up, or sent a line that is too long"));
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn failed(&self, problem: &dyn std::fmt::Display) -> SendError {
        SendError::Unreachable(masked(&problem.to_string(), self.target))
    }
}

#[cfg(test)]
mod tests {
    use ferrite_runtime::Redacted;
    use tokio::net::TcpListener;

    use super::*;
    use crate::providers::tests::event;

    fn target(address: &str) -> Target {
        Target {
            kind: "nats".into(),
            channel: "flux.events".into(),
            address: Redacted::new(address.to_owned()),
            username: "me".into(),
            password: Some(Redacted::new("pass-word".to_owned())),
            ..Target::default()
        }
    }

    /// Publishes to a server that says `info`, then `answer`; returns the outcome and the lines it got.
    async fn publish(info: &'static str, answer: &'static str) -> (Result<(), SendError>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = target(&listener.local_addr().unwrap().to_string());
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            write.write_all(info.as_bytes()).await.unwrap();
            let (mut lines, mut got) = (BufReader::new(read).lines(), Vec::new());
            while let Ok(Some(line)) = lines.next_line().await {
                let last = line == "PING";
                got.push(line);
                if last {
                    write.write_all(answer.as_bytes()).await.unwrap();
                }
            }
            got
        });
        let event = event("info");
        let result = plan(&target, &event).unwrap().send(Duration::from_secs(10)).await;
        (result, server.await.unwrap())
    }

    #[tokio::test]
    async fn the_event_is_published_and_its_receipt_awaited() {
        let (result, lines) = publish("INFO {\"max_payload\":1048576}\r\n", "PING\r\n+OK\r\nPONG\r\n").await;
        result.unwrap();
        let payload = serde_json::to_string(&event("info")).unwrap();
        let connect: Value = serde_json::from_str(lines[0].strip_prefix("CONNECT ").unwrap()).unwrap();
        assert_eq!((&connect["user"], &connect["pass"]), (&json!("me"), &json!("pass-word")));
        assert_eq!(connect["name"], "NATS Provider Publisher");
        let expect = [format!("PUB flux.events {}", payload.len()), payload, "PING".into(), "PONG".into()];
        assert_eq!(lines[1..], expect);
    }

    #[tokio::test]
    async fn refusals_are_told_without_secrets() {
        let text = |result: Result<(), SendError>| result.unwrap_err().to_string();
        let (result, _) = publish("INFO {}\r\n", "-ERR 'bad pass-word'\r\n").await;
        assert_eq!(text(result), "request failed: 'bad *****'");
        let (result, lines) = publish("INFO {\"tls_required\":true}\r\n", "").await;
        assert_eq!(text(result), "request failed: the server asks for TLS, which is not supported");
        assert!(lines.is_empty(), "no password is sent");
        let (result, _) = publish("INFO {\"max_payload\":10}\r\n", "").await;
        assert!(text(result).contains("the server takes fewer"));
        let (result, _) = publish("SSH-2.0\r\n", "").await;
        assert_eq!(text(result), "request failed: this is no NATS server");
    }

    #[test]
    fn subjects_and_addresses_are_checked() {
        for channel in ["", "a b", "a\r\nPUB x 0", "flux.*", "flux.>"] {
            let wrong = Target { channel: channel.into(), ..target("nats://nats:4222") };
            let error = plan(&wrong, &event("info")).unwrap_err().to_string();
            assert!(error.starts_with("spec.channel of a provider of type nats"), "{error}");
        }
        for address in ["", "tls://canary", "https://canary", "://"] {
            let error = plan(&target(address), &event("info")).unwrap_err().to_string();
            assert!(error.starts_with("the address") && !error.contains("canary"), "{error}");
        }
    }
}
