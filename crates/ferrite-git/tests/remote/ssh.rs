//! Over SSH, against the test kit's server.

use std::time::Duration;

use ferrite_git::{Auth, Client, Error, Redacted, Reference, Remote, SshAlgorithms, SshAuth};
use ferrite_testkit::{GitServer, SshKey, TestRepository, new_ssh_key};

use crate::checkout;

fn auth(key: &str, passphrase: Option<&str>, known_hosts: &str) -> Auth {
    Auth::Ssh(SshAuth {
        identity: Redacted::new(key.as_bytes().to_vec()),
        passphrase: passphrase.map(Redacted::from),
        known_hosts: known_hosts.as_bytes().to_vec(),
    })
}

fn client(url: &str, auth: Auth) -> Client {
    Client::new(Remote::parse(url).unwrap().with_auth(auth)).unwrap()
}

async fn fails(client: &Client) -> String {
    let error = client.resolve(&Reference::branch("main")).await.unwrap_err();
    error.to_string()
}

#[tokio::test]
async fn keys_of_every_type_get_in_with_both_protocols() {
    for server in [GitServer::start_ssh().await.unwrap(), GitServer::start_ssh_protocol_0().await.unwrap()] {
        let app = served(&server);
        let head = app.head().unwrap();
        for (kind, passphrase) in [
            (SshKey::Ed25519, None),
            (SshKey::Ed25519, Some("a passphrase")),
            (SshKey::Ecdsa, None),
            (SshKey::Rsa, None),
        ] {
            let key = server.ssh_key(kind, passphrase).unwrap();
            let client = client(&app.url(), auth(&key, passphrase, server.known_hosts().unwrap()));
            for (reference, name) in [
                (Reference::branch("main"), "main@"),
                (Reference::semver(">=1.0.0"), "v1.0.0@"),
                (Reference::commit(&head), ""),
            ] {
                let (found, files) = checkout(&client, &reference).await.unwrap();
                assert_eq!(found.revision(), format!("{name}sha1:{head}"), "{kind:?}");
                assert_eq!(
                    files,
                    ["a.txt=2", "big.txt=".to_owned().as_str()].map(|f| match f {
                        "big.txt=" => format!("big.txt={}", "line\n".repeat(40_000)),
                        other => other.to_owned(),
                    })
                );
            }
        }
    }
}

/// Two commits, a tag, and a file that does not fit into one packet.
fn served(server: &GitServer) -> TestRepository {
    let app = server.repository("app", &[("a.txt", "1"), ("big.txt", &"line\n".repeat(40_000))]).unwrap();
    app.commit("second", &[("a.txt", "2")]).unwrap();
    app.annotated_tag("v1.0.0", "first").unwrap();
    app
}

#[tokio::test]
async fn what_is_missing_is_told_as_over_http() {
    for server in [GitServer::start_ssh().await.unwrap(), GitServer::start_ssh_protocol_0().await.unwrap()] {
        let app = server.repository("app", &[("a", "a")]).unwrap();
        let empty = server.repository("empty", &[]).unwrap();
        let key = server.ssh_key(SshKey::Ed25519, None).unwrap();
        let auth = || auth(&key, None, server.known_hosts().unwrap());
        let at = |url: &str| client(url, auth());
        let unknown = at(&app.url()).resolve(&Reference::branch("nowhere")).await.unwrap_err();
        assert!(
            unknown.to_string().starts_with("branch 'nowhere' not found in 'ssh://127.0.0.1:"),
            "{unknown}"
        );
        let empty = at(&empty.url()).resolve(&Reference::branch("main")).await.unwrap_err();
        assert_eq!(empty.to_string(), "git repository is empty");
        let missing = fails(&at(&app.url().replace("/app", "/missing"))).await;
        assert!(missing.starts_with("repository not found at 'ssh://127.0.0.1:"), "{missing}");
        let gone = Reference::commit("0123456789012345678901234567890123456789");
        let head = at(&app.url()).resolve(&gone).await.unwrap();
        let gone = at(&app.url()).fetch(&head).await.unwrap_err().to_string();
        assert!(gone.starts_with("commit '0123456789012345678901234567890123456789' not found"), "{gone}");
    }
}

#[tokio::test]
async fn hosts_that_are_not_known_are_refused_before_the_key_is_offered() {
    let server = GitServer::start_ssh().await.unwrap();
    let app = server.repository("app", &[("a", "a")]).unwrap();
    let key = server.ssh_key(SshKey::Ed25519, None).unwrap();
    let line = server.known_hosts().unwrap();
    let own = line.split_once(' ').unwrap().0;
    let (_, other) = new_ssh_key(SshKey::Ed25519, None).unwrap();
    let (_, ecdsa) = new_ssh_key(SshKey::Ecdsa, None).unwrap();
    for (known_hosts, problem) in [
        (
            line.replace("127.0.0.1", "127.0.0.2"),
            "ssh: handshake failed: knownhosts: key is unknown: 'ssh://127.0.0.1:",
        ),
        (format!("{own} {other}\n"), "ssh: handshake failed: knownhosts: key mismatch: 'ssh://127.0.0.1:"),
        (
            format!("{line}@revoked * {}", line.split_once(' ').unwrap().1),
            "ssh: handshake failed: knownhosts: key is revoked: ",
        ),
        // The server has no such key at all, so there is nothing to agree on.
        (format!("{own} {ecdsa}\n"), "the SSH connection to 'ssh://127.0.0.1:"),
        ("nonsense".to_owned(), "'known_hosts' cannot be used: line 1: missing key type"),
        (String::new(), "ssh: handshake failed: knownhosts: key is unknown: "),
    ] {
        let found = fails(&client(&app.url(), auth(&key, None, &known_hosts))).await;
        assert!(found.starts_with(problem), "expected `{problem}`, got `{found}`");
    }
    let hashed = fails(&client(&app.url(), auth(&key, None, "|1|c2FsdA==|aGFzaA== ssh-ed25519 AAAA"))).await;
    assert_eq!(hashed, "'known_hosts' cannot be used: line 1: the key cannot be read");
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_told_and_never_shown() {
    let server = GitServer::start_ssh().await.unwrap();
    let app = server.repository("app", &[("a", "a")]).unwrap();
    let locked = server.ssh_key(SshKey::Ed25519, Some("canary-right")).unwrap();
    let (stranger, _) = new_ssh_key(SshKey::Ed25519, None).unwrap();
    let known_hosts = server.known_hosts().unwrap();
    for (key, passphrase, problem) in [
        (
            locked.as_str(),
            Some("canary-wrong"),
            "unable to use the SSH private key 'identity': decryption password incorrect",
        ),
        (
            &locked,
            None,
            "unable to use the SSH private key 'identity': it is encrypted; give its passphrase as 'password'",
        ),
        (
            "canary",
            None,
            "unable to use the SSH private key 'identity': expected an ed25519, ECDSA or RSA key in OpenSSH or PEM form",
        ),
        (&stranger, None, "ssh: handshake failed: ssh: unable to authenticate as 'git' to 'ssh://127.0.0.1:"),
    ] {
        let remote = Remote::parse(&app.url()).unwrap().with_auth(auth(key, passphrase, known_hosts));
        assert!(!format!("{remote:?}").contains("canary"));
        let error = Client::new(remote).unwrap().resolve(&Reference::branch("main")).await.unwrap_err();
        let all = format!("{error:?} {error}");
        assert!(error.to_string().starts_with(problem), "expected `{problem}`, got `{error}`");
        assert!(!all.contains("canary") && !all.contains("PRIVATE"), "{all}");
    }
    let other = app.url().replace("git@", "root@");
    let key = server.ssh_key(SshKey::Ed25519, None).unwrap();
    let refused = fails(&client(&other, auth(&key, None, known_hosts))).await;
    assert!(refused.contains("unable to authenticate as 'root'"), "{refused}");
}

#[tokio::test]
async fn algorithms_are_those_configured() {
    let server = GitServer::start_ssh().await.unwrap();
    let app = server.repository("app", &[("a", "a")]).unwrap();
    let key = server.ssh_key(SshKey::Ed25519, None).unwrap();
    let with = |kex: &[&str], host_key: &[&str]| {
        let mut remote =
            Remote::parse(&app.url()).unwrap().with_auth(auth(&key, None, server.known_hosts().unwrap()));
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        remote.ssh_algorithms = SshAlgorithms { kex: own(kex), host_key: own(host_key) };
        Client::new(remote).unwrap()
    };
    let main = Reference::branch("main");
    with(&["nonsense", "curve25519-sha256"], &["ssh-ed25519"]).resolve(&main).await.unwrap();
    with(&["diffie-hellman-group14-sha256"], &[]).resolve(&main).await.unwrap();
    assert_eq!(
        fails(&with(&["nonsense"], &[])).await,
        "cannot use the --ssh-kex-algos: none of nonsense is supported"
    );
    let rsa_only = fails(&with(&[], &["rsa-sha2-512"])).await;
    assert!(rsa_only.starts_with("the SSH connection to "), "{rsa_only}");
}

#[tokio::test]
async fn a_host_that_says_nothing_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ssh://git@{}/app", listener.local_addr().unwrap());
    let (key, public) = new_ssh_key(SshKey::Ed25519, None).unwrap();
    let remote = Remote::parse(&url).unwrap().with_auth(auth(&key, None, &format!("* {public}")));
    let silent = Client::new(remote.with_timeout(Duration::from_millis(200))).unwrap();
    assert!(matches!(silent.resolve(&Reference::branch("main")).await, Err(Error::Timeout { .. })));
    drop(listener);
    let closed = fails(&client(&url, auth(&key, None, ""))).await;
    assert!(closed.starts_with("cannot reach 'ssh://127.0.0.1:"), "{closed}");
}
