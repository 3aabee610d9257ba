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
    let result = plan(&target, &Connection::default(), &event).unwrap().send(Duration::from_secs(10)).await;
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
    let (result, _) = publish("INFO {\"max_payload\":10}\r\n", "").await;
    assert!(text(result).contains("the server takes fewer"));
    let (result, _) = publish("SSH-2.0\r\n", "").await;
    assert_eq!(text(result), "request failed: this is no NATS server");
}

#[test]
fn subjects_and_addresses_are_checked() {
    for channel in ["", "a b", "a\r\nPUB x 0", "flux.*", "flux.>"] {
        let wrong = Target { channel: channel.into(), ..target("nats://nats:4222") };
        let error = plan(&wrong, &Connection::default(), &event("info")).err().unwrap().to_string();
        assert!(error.starts_with("spec.channel of a provider of type nats"), "{error}");
    }
    for address in ["", "https://canary", "://", "nats://a,https://canary"] {
        let error = plan(&target(address), &Connection::default(), &event("info")).err().unwrap().to_string();
        assert!(error.starts_with("the address") && !error.contains("canary"), "{error}");
    }
}

/// A server of its own with `config`; `None`, told on the output, where the program is not installed.
fn nats_server(config: &str) -> Option<(std::process::Child, u16, tempfile::TempDir)> {
    let directory = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let file = directory.path().join("nats.conf");
    fs_err::write(&file, format!("listen: 127.0.0.1:{port}\n{config}")).unwrap();
    let started = std::process::Command::new("nats-server")
        .arg("-c")
        .arg(&file)
        .stderr(std::process::Stdio::null())
        .spawn();
    match started {
        Ok(child) => Some((child, port, directory)),
        Err(_) => {
            println!("skipped: no nats-server");
            None
        }
    }
}

/// What a real server says to `target`, asked again until it listens.
async fn at_server(config: &str, ca: Option<&str>, target: Target) -> Option<Result<(), String>> {
    let (mut child, port, _directory) = nats_server(config)?;
    let scheme = if ca.is_some() { "tls" } else { "nats" };
    let target = Target { address: Redacted::new(format!("{scheme}://127.0.0.1:{port}")), ..target };
    let connection = Connection { ca: ca.map(|pem| pem.as_bytes().to_vec()), ..Connection::default() };
    let start = tokio::time::Instant::now();
    let result = loop {
        let event = event("info");
        let result = plan(&target, &connection, &event).unwrap().send(Duration::from_secs(5)).await;
        let refused = result.as_ref().is_err_and(|error| error.to_string().contains("onnection refused"));
        if !refused || start.elapsed() > Duration::from_secs(10) {
            break result;
        }
        tokio::task::yield_now().await;
    };
    child.kill().unwrap();
    child.wait().unwrap();
    Some(result.map_err(|error| error.to_string()))
}

const SEED: &str = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";
const PUBLIC: &str = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";

#[tokio::test]
async fn a_real_server_knows_users_and_keys() {
    let me = || target("nats://unused");
    let keyed = || Target { nkey: Some(Redacted::new(SEED.to_owned())), ..me() };
    let users = "authorization { users: [{user: me, password: pass-word}] }";
    let keys = format!("authorization {{ users: [{{nkey: {PUBLIC}}}] }}");
    let Some(known) = at_server(users, None, me()).await else { return };
    assert_eq!(known, Ok(()));
    assert_eq!(at_server(&keys, None, keyed()).await, Some(Ok(())));
    let stranger = at_server(&keys, None, me()).await.unwrap();
    assert_eq!(stranger, Err("request failed: 'Authorization Violation'".to_owned()));
}

#[tokio::test]
async fn a_real_server_speaks_tls() {
    let authority = ferrite_testkit::ServerCertificate::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("crt"), directory.path().join("key"));
    fs_err::write(&certificate, &authority.certificate).unwrap();
    fs_err::write(&key, &authority.key).unwrap();
    let config = format!("tls {{ cert_file: {certificate:?}, key_file: {key:?} }}");
    let Some(known) = at_server(&config, Some(&authority.ca), target("nats://unused")).await else { return };
    assert_eq!(known, Ok(()));
    let other = ferrite_testkit::ServerCertificate::new().unwrap();
    let refused = at_server(&config, Some(&other.ca), target("nats://unused")).await.unwrap().unwrap_err();
    assert!(refused.starts_with("request failed: TLS: "), "{refused}");
}
