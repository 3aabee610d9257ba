use ferrite_runtime::Redacted;
use ferrite_testkit::{SmtpOptions, SmtpSink};

use super::*;
use crate::providers::tests::event;

fn target(address: String, password: Option<&str>) -> Target {
    Target {
        kind: "smtp".into(),
        address: Redacted::new(address),
        channel: "ops@acme.example, Boss <boss@acme.example>".into(),
        sender: "Flux <flux@acme.example>".into(),
        username: "mailer".into(),
        password: password.map(|password| Redacted::new(password.to_owned())),
        ..Target::default()
    }
}

/// Sends one event to a server with `options`; returns the outcome and what was taken.
async fn send(options: SmtpOptions, query: &str, password: Option<&str>) -> (Result<(), String>, Vec<Mail2>) {
    let sink = SmtpSink::start(options).await.unwrap();
    let target = target(format!("smtp://localhost:{}{query}", sink.address().port()), password);
    let connection = Connection { ca: Some(sink.ca().as_bytes().to_vec()), ..Connection::default() };
    let event = event("error");
    let mail = plan(&target, &connection, &event, jiff::Timestamp::UNIX_EPOCH).unwrap();
    let result = mail.send(Duration::from_secs(10)).await.map_err(|error| format!("{error} {error:?}"));
    (result, sink.taken())
}

type Mail2 = ferrite_testkit::Mail;

const LOGIN: Option<(&str, &str)> = Some(("mailer", "s3cret-word"));

#[tokio::test]
async fn mails_go_out_encrypted_and_with_a_password() {
    for old_login in [false, true] {
        let options = SmtpOptions { start_tls: true, login: LOGIN, old_login, ..SmtpOptions::default() };
        let (result, taken) = send(options, "", Some("s3cret-word")).await;
        result.unwrap();
        let [mail] = taken.as_slice() else { panic!("{taken:?}") };
        assert!(mail.encrypted);
        assert_eq!(mail.from, "flux@acme.example");
        assert_eq!(mail.to, ["ops@acme.example", "boss@acme.example"]);
        assert!(mail.data.contains("\nSubject: [error] kustomization/apps.flux-system: "), "{}", mail.data);
    }
}

#[tokio::test]
async fn servers_without_tls_are_written_to_on_request_only() {
    let (result, taken) = send(SmtpOptions::default(), "", None).await;
    assert!(result.unwrap_err().contains("the server offers no STARTTLS"));
    assert!(taken.is_empty());
    let (result, taken) = send(SmtpOptions::default(), "?tls=none", None).await;
    result.unwrap();
    assert_eq!(taken.len(), 1);
    let address = "smtp://localhost:1?tls=none".to_owned();
    let target = target(address, Some("s3cret-word"));
    let connection = Connection::default();
    let error = plan(&target, &connection, &event("info"), jiff::Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(error.to_string().contains("must not say tls=none"), "{error}");
}

#[tokio::test]
async fn refusals_are_told_without_secrets() {
    let options = SmtpOptions { start_tls: true, login: LOGIN, ..SmtpOptions::default() };
    let (result, _) = send(options, "", Some("wr0ng-word")).await;
    let error = result.unwrap_err();
    assert!(error.contains("the server answers AUTH with 535"), "{error}");
    assert!(!error.contains("wr0ng-word") && !error.contains(&STANDARD.encode("\0mailer\0wr0ng-word")));
    let options = SmtpOptions { refuse: Some(550), ..SmtpOptions::default() };
    let (result, taken) = send(options, "?tls=none", None).await;
    assert!(result.unwrap_err().contains("the server answers RCPT TO with 550 nobody of that name"));
    assert!(taken.is_empty());
}

#[test]
fn addresses_senders_and_recipients_are_checked() {
    let good = || target("smtp://mail.example".to_owned(), None);
    let check = |target: &Target| {
        let connection = Connection::default();
        plan(target, &connection, &event("info"), jiff::Timestamp::UNIX_EPOCH)
            .map(|mail| (mail.host, mail.port, mail.encryption))
            .map_err(|error| error.to_string())
    };
    assert_eq!(check(&good()), Ok(("mail.example".to_owned(), 587, Encryption::StartTls)));
    let whole = target("smtps://mail.example".to_owned(), None);
    assert_eq!(check(&whole), Ok(("mail.example".to_owned(), 465, Encryption::Whole)));
    for address in ["", "https://canary", "smtp://", "canary"] {
        let error = check(&target(address.to_owned(), None)).unwrap_err();
        assert!(error.starts_with("the address of a provider of type smtp") && !error.contains("canary"));
    }
    for channel in ["", "ops", "a@b\r\nRCPT TO:<x@y>", "a@b,"] {
        let error = check(&Target { channel: channel.to_owned(), ..good() }).unwrap_err();
        assert!(error.starts_with("spec.channel of a provider of type smtp"), "{error}");
    }
    let nobody = Target { sender: String::new(), username: "mailer".into(), ..good() };
    assert!(check(&nobody).unwrap_err().starts_with("spec.username"));
}
