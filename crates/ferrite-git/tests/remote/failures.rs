//! What goes wrong, and what the message says then.

use std::time::Duration;

use ferrite_git::{Auth, Client, Error, Identity, Redacted, Reference, Remote};
use ferrite_testkit::GitServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{checkout, client};

fn main_branch() -> Reference {
    Reference::branch("main")
}

#[tokio::test]
async fn an_empty_repository_says_so() {
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[]).unwrap();
    let error = client(&app.url()).resolve(&main_branch()).await.unwrap_err();
    assert_eq!(error.to_string(), "git repository is empty");
}

#[tokio::test]
async fn what_does_not_exist_is_named_with_its_place() {
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[("a", "a")]).unwrap();
    app.tag("v0.1.0").unwrap();
    let url = app.url();
    let gone = "0123456789012345678901234567890123456789";
    for (reference, message) in [
        (Reference::branch("nowhere"), format!("branch 'nowhere' not found in '{url}'; check the reference")),
        (Reference::tag("v9"), format!("tag 'v9' not found in '{url}'; check the reference")),
        (
            Reference::name("refs/pull/1/head"),
            format!("reference 'refs/pull/1/head' not found in '{url}'; check the reference"),
        ),
        (Reference::semver(">=1"), format!("no tag of '{url}' matches the version range '>=1'")),
        (Reference::commit(gone), format!("commit '{gone}' not found in '{url}'; check the reference")),
    ] {
        assert_eq!(checkout(&client(&url), &reference).await.unwrap_err().to_string(), message);
    }
    let wrong = format!("{}/other", git.base_url());
    let error = client(&wrong).resolve(&main_branch()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("repository not found at '{wrong}'")), "{error}");
    let closed = client("http://127.0.0.1:1/away").resolve(&main_branch()).await.unwrap_err();
    assert!(
        matches!(closed, Error::Unreachable { .. }) && closed.to_string().contains("127.0.0.1:1"),
        "{closed}"
    );
}

#[tokio::test]
async fn credentials_are_needed_checked_and_never_shown() {
    let git = GitServer::start().await.unwrap();
    let app = git.private_repository("app", "reader", "canary-right", &[("a", "a")]).unwrap();
    let with = |password: &str| {
        let auth = Auth::Basic { username: "reader".into(), password: Redacted::from(password) };
        Client::new(Remote::parse(&app.url()).unwrap().with_auth(auth)).unwrap()
    };
    assert_eq!(checkout(&with("canary-right"), &main_branch()).await.unwrap().1, ["a=a"]);
    let wrong = with("canary-wrong").resolve(&main_branch()).await.unwrap_err();
    assert!(matches!(wrong, Error::AuthenticationRefused { status: 401, .. }), "{wrong}");
    assert!(!format!("{wrong} {wrong:?} {:?}", with("canary-wrong")).contains("canary"));
    let none = client(&app.url()).resolve(&main_branch()).await.unwrap_err();
    assert!(matches!(none, Error::AuthenticationRequired { .. }), "{none}");
    let inline = app.url().replace("http://", "http://reader:canary-right@");
    assert_eq!(checkout(&client(&inline), &main_branch()).await.unwrap().1, ["a=a"]);
    let wrong = client(&app.url().replace("http://", "http://reader:canary@"))
        .resolve(&main_branch())
        .await
        .unwrap_err();
    assert!(!format!("{wrong} {wrong:?}").contains("canary"));
}

#[tokio::test]
async fn a_private_authority_must_be_given() {
    let git = GitServer::start_tls().await.unwrap();
    let app = git.repository("app", &[("a", "a")]).unwrap();
    let unknown = client(&app.url()).resolve(&main_branch()).await.unwrap_err();
    assert!(matches!(unknown, Error::Tls { .. }), "{unknown:?}");
    let mut remote = Remote::parse(&app.url()).unwrap();
    remote.ca = git.ca_pem().map(|pem| pem.as_bytes().to_vec());
    assert_eq!(checkout(&Client::new(remote.clone()).unwrap(), &main_branch()).await.unwrap().1, ["a=a"]);
    remote.ca = Some(b"nonsense".to_vec());
    assert!(matches!(Client::new(remote), Err(Error::Credentials { .. })));
}

#[tokio::test]
async fn a_client_certificate_is_presented() {
    let git = GitServer::start_mutual_tls().await.unwrap();
    let app = git.repository("app", &[("a", "a")]).unwrap();
    let mut remote = Remote::parse(&app.url()).unwrap();
    remote.ca = git.ca_pem().map(|pem| pem.as_bytes().to_vec());
    assert!(Client::new(remote.clone()).unwrap().resolve(&main_branch()).await.is_err());
    let identity = git.client_identity().unwrap();
    remote.identity = Some(Identity {
        certificate: identity.certificate.clone().into_bytes(),
        key: Redacted::new(identity.key.clone().into_bytes()),
    });
    assert_eq!(checkout(&Client::new(remote).unwrap(), &main_branch()).await.unwrap().1, ["a=a"]);
}

/// Answers every connection with `answer`, or never when it is empty; hands over what was asked.
async fn server(answer: String) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            sender.send(String::from_utf8_lossy(&request[..read]).into_owned()).unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            if answer.is_empty() {
                open.push(stream);
            }
        }
    });
    (url, receiver)
}

#[tokio::test]
async fn a_redirect_is_followed_but_credentials_stay_with_their_host() {
    let git = GitServer::start().await.unwrap();
    git.repository("app", &[("a", "a")]).unwrap();
    git.private_repository("private", "me", "canary", &[("a", "a")]).unwrap();
    let location = |name: &str| {
        let base = git.base_url();
        format!(
            "HTTP/1.1 301 Moved\r\nlocation: {base}/{name}/info/refs?service=git-upload-pack\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
    };
    let (url, _asked) = server(location("app")).await;
    assert_eq!(checkout(&client(&format!("{url}/old")), &main_branch()).await.unwrap().1, ["a=a"]);
    let (url, mut asked) = server(location("private")).await;
    let moved = client(&format!("{}/old", url.replace("http://", "http://me:canary@")));
    let error = moved.resolve(&main_branch()).await.unwrap_err();
    assert!(matches!(error, Error::AuthenticationRefused { .. }), "{error}");
    assert!(
        asked.recv().await.unwrap().to_lowercase().contains("authorization: basic"),
        "the first host is given them"
    );
}

#[tokio::test]
async fn nonsense_and_silence_end_with_an_error() {
    let body = "<html>hello</html>";
    let (url, _asked) =
        server(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    let error = client(&url).resolve(&main_branch()).await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
    let (url, _asked) = server(String::new()).await;
    let remote = Remote::parse(&url).unwrap().with_timeout(Duration::from_millis(100));
    let error = Client::new(remote).unwrap().resolve(&main_branch()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_repository_beyond_the_limits_is_refused() {
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[("a", "aaaaaaaaaaaaaaaaaaaa"), ("b", "b"), ("c/d/e/f", "f")]).unwrap();
    let limited = |change: fn(&mut ferrite_git::Limits)| {
        let mut remote = Remote::parse(&app.url()).unwrap();
        change(&mut remote.limits);
        Client::new(remote).unwrap()
    };
    for (client, what) in [
        (limited(|l| l.pack_bytes = 100), "bytes in a pack"),
        (limited(|l| l.objects = 3), "objects in a pack"),
        (limited(|l| l.advertisement_bytes = 50), "bytes in a list of refs"),
        (limited(|l| l.tree_bytes = 10), "bytes in all files"),
        (limited(|l| l.entries = 2), "entries"),
        (limited(|l| l.depth = 2), "directories within each other"),
    ] {
        match checkout(&client, &main_branch()).await {
            Err(Error::Limit { what: found, .. }) => assert_eq!(found, what),
            other => panic!("expected a limit on {what}, got {other:?}"),
        }
    }
}

/// A commit whose root tree has these names, which no Git would write.
fn commit_names(app: &ferrite_testkit::TestRepository, names: &[&[u8]]) -> ferrite_git::ObjectId {
    use gix::objs::{Commit, Tree, tree};
    let repository = gix::open_opts(app.repository().path(), gix::open::Options::isolated()).unwrap();
    let blob = repository.write_blob(b"x").unwrap().detach();
    let mode = tree::EntryKind::Blob.into();
    let entries =
        names.iter().map(|name| tree::Entry { mode, filename: (*name).into(), oid: blob }).collect();
    let tree = repository.write_object(Tree { entries }).unwrap().detach();
    let time = gix::date::Time::new(1_700_000_000, 0);
    let person = gix::actor::Signature { name: "a".into(), email: "a@example.com".into(), time };
    let commit = Commit {
        tree,
        parents: Default::default(),
        author: person.clone(),
        committer: person,
        encoding: None,
        message: "hostile".into(),
        extra_headers: Vec::new(),
    };
    let id = repository.write_object(commit).unwrap().detach();
    app.repository().set_branch("hostile", id).unwrap();
    id
}

#[tokio::test]
async fn names_that_would_leave_the_tree_are_refused() {
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[("a", "a")]).unwrap();
    for (name, problem) in [
        (&b".."[..], "means another directory"),
        (b".", "means another directory"),
        (b".git", "reserved for Git itself"),
        (b".GIT", "reserved for Git itself"),
        (b"../x", "holds a separator"),
        (b"/etc/passwd", "holds a separator"),
        (b"\xff\xfe", "not UTF-8"),
    ] {
        let id = commit_names(&app, &[name]);
        match checkout(&client(&app.url()), &Reference::branch("hostile")).await {
            Err(error @ Error::UnsafeEntry { .. }) => {
                let text = error.to_string();
                assert!(text.contains(problem) && text.contains(&id.to_string()), "{text}");
            }
            other => panic!("{name:?} must be refused, got {other:?}"),
        }
    }
}
