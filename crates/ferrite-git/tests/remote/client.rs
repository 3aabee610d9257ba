//! What a controller does on a good day.

use ferrite_git::{Change, Entry, EntryKind, Person, Reference, Remote};
use ferrite_testkit::GitServer;

use crate::{checkout, client};

#[tokio::test]
async fn every_kind_of_reference_leads_to_its_commit() {
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[("a.txt", "1")]).unwrap();
    let first = app.head().unwrap();
    app.tag("v1.2.0").unwrap();
    let second = app.commit("second", &[("a.txt", "2")]).unwrap();
    app.annotated_tag("v1.10.0", "the tenth").unwrap();
    app.branch("stable").unwrap();
    let third = app.commit("third", &[("a.txt", "3")]).unwrap();
    app.tag("v2.0.0-rc.1").unwrap();
    app.repository().set_reference("refs/pull/7/head", second.parse_id()).unwrap();
    let client = client(&app.url());
    let both = Reference { branch: Some("main".into()), ..Reference::commit(&first) };
    for (reference, revision, content) in [
        (Reference::branch("main"), format!("main@sha1:{third}"), "3"),
        (Reference::branch("stable"), format!("stable@sha1:{second}"), "2"),
        (Reference::tag("v1.2.0"), format!("v1.2.0@sha1:{first}"), "1"),
        (Reference::tag("v1.10.0"), format!("v1.10.0@sha1:{second}"), "2"),
        (Reference::semver(">=1.0.0"), format!("v1.10.0@sha1:{second}"), "2"),
        (Reference::semver(">=1.0.0-0"), format!("v2.0.0-rc.1@sha1:{third}"), "3"),
        (Reference::name("refs/pull/7/head"), format!("refs/pull/7/head@sha1:{second}"), "2"),
        (Reference::name("refs/tags/v1.10.0^{}"), format!("refs/tags/v1.10.0^{{}}@sha1:{second}"), "2"),
        (Reference::commit(&first), format!("sha1:{first}"), "1"),
        (both, format!("main@sha1:{first}"), "1"),
    ] {
        let (head, files) = checkout(&client, &reference).await.unwrap();
        assert_eq!((head.revision(), files), (revision, vec![format!("a.txt={content}")]), "{reference:?}");
    }
}

/// The sha of a test as an id.
trait ParseId {
    fn parse_id(&self) -> ferrite_git::ObjectId;
}

impl ParseId for String {
    fn parse_id(&self) -> ferrite_git::ObjectId {
        ferrite_git::ObjectId::from_hex(self.as_bytes()).unwrap()
    }
}

#[tokio::test]
async fn among_equal_versions_the_newest_commit_is_meant() {
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[]).unwrap();
    let commit = |seconds: i64, text: &str| {
        let author = Person { seconds, ..Person::now("a", "a@example.com") };
        app.repository().commit("main", text, &author, &[Change::write("a", text)]).unwrap()
    };
    let newest = commit(2000, "newest");
    let older = commit(1000, "older");
    app.repository().set_tag("1.0.0", newest).unwrap();
    app.repository().set_tag("v1.0.0", older).unwrap();
    let head = client(&app.url()).resolve(&Reference::semver("1.x")).await.unwrap();
    assert_eq!(head.revision(), format!("1.0.0@sha1:{newest}"));
}

#[tokio::test]
async fn a_poll_is_two_small_requests_however_many_refs_there_are() {
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[("a.txt", "1")]).unwrap();
    for number in 0..300 {
        app.branch(&format!("feature-{number}")).unwrap();
    }
    let client = client(&app.url());
    let before = git.traffic();
    client.resolve(&Reference::branch("main")).await.unwrap();
    let after = git.traffic();
    assert_eq!(after.requests - before.requests, 2);
    let bytes = after.sent_bytes + after.received_bytes - before.sent_bytes - before.received_bytes;
    assert!(bytes < 1000, "bodies took {bytes} bytes; with headers a poll must stay below 2 kB");
}

#[tokio::test]
async fn a_snapshot_holds_one_commit_with_bits_links_and_the_words_of_its_author() {
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[("old.txt", "gone soon"), ("b/x", "x")]).unwrap();
    let author = Person {
        name: "Ada".into(),
        email: "ada@example.com".into(),
        seconds: 1_700_000_000,
        offset_seconds: 3600,
    };
    let changes = [
        Change::remove("old.txt"),
        Change::Write { path: "run.sh".into(), kind: EntryKind::Executable, bytes: b"#!/bin/sh\n".to_vec() },
        Change::Write { path: "link".into(), kind: EntryKind::Symlink, bytes: b"run.sh".to_vec() },
        Change::write("b.txt", "b"),
        Change::write("b/deep/er/y", vec![0_u8, 255]),
    ];
    let id = app.repository().commit("main", "Change it\n\nAll of it.\n", &author, &changes).unwrap();
    let client = client(&app.url());
    let head = client.resolve(&Reference::branch("main")).await.unwrap();
    let snapshot = client.fetch(&head).await.unwrap();
    let commit = snapshot.commit();
    assert_eq!(
        (commit.id, commit.summary(), commit.message.as_str()),
        (id, "Change it", "Change it\n\nAll of it.\n")
    );
    assert_eq!((&commit.author, &commit.committer), (&author, &author));
    let shown = |entry: Entry| format!("{:?} {}", entry.kind, entry.path);
    let walked: Vec<_> = snapshot.walk().map(|e| shown(e.unwrap())).collect();
    assert_eq!(
        walked,
        [
            "Directory b",
            "Directory b/deep",
            "Directory b/deep/er",
            "File b/deep/er/y",
            "File b/x",
            "File b.txt",
            "Symlink link",
            "Executable run.sh",
        ]
    );
    let below: Vec<_> =
        snapshot.walk_below(&["./b/deep".into()]).unwrap().map(|e| shown(e.unwrap())).collect();
    assert_eq!(below, ["Directory b", "Directory b/deep", "Directory b/deep/er", "File b/deep/er/y"]);
    let missing = snapshot.walk_below(&["b/x".into()]).unwrap_err().to_string();
    assert_eq!(
        missing,
        format!("failed to sparse checkout directories: 'b/x' does not exist in commit {id}")
    );
    let bytes: Vec<_> = snapshot.files().map(|f| f.unwrap().bytes).collect();
    assert_eq!(
        bytes,
        [vec![0, 255], b"x".to_vec(), b"b".to_vec(), b"run.sh".to_vec(), b"#!/bin/sh\n".to_vec()]
    );
}

#[tokio::test]
async fn an_annotated_tag_comes_with_the_snapshot() {
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[("a", "a")]).unwrap();
    app.annotated_tag("v1.0.0", "first release").unwrap();
    let client = client(&app.url());
    let head = client.resolve(&Reference::tag("v1.0.0")).await.unwrap();
    let snapshot = client.fetch(&head).await.unwrap();
    let tag = snapshot.tag().unwrap();
    assert_eq!((tag.name.as_str(), tag.message.trim_end()), ("v1.0.0", "first release"));
    assert_eq!(tag.tagger.as_ref().unwrap().email, "tester@example.com");
    assert_eq!(snapshot.commit().id.to_string(), app.head().unwrap());
}

#[tokio::test]
async fn a_local_repository_reads_as_a_remote_one() {
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[("a", "a")]).unwrap();
    app.annotated_tag("v1.0.0", "first").unwrap();
    let local = ferrite_git::Client::new(Remote::local(app.repository().path())).unwrap();
    let remote = client(&app.url());
    for reference in [Reference::branch("main"), Reference::tag("v1.0.0"), Reference::semver("*")] {
        let (here, there) =
            (checkout(&local, &reference).await.unwrap(), checkout(&remote, &reference).await.unwrap());
        assert_eq!(here, there);
    }
}

/// What a poll costs does not depend on how many refs a repository has.
#[tokio::test]
async fn a_poll_of_a_repository_with_many_refs_is_two_small_requests() {
    let git = GitServer::start().await.unwrap();
    let app = git.repository("app", &[("a.txt", "1")]).unwrap();
    let head = app.head().unwrap();
    let refs: Vec<String> = (0..18_000).map(|n| format!("{head} refs/pull/{n:05}/head")).collect();
    let packed = format!("# pack-refs with: peeled fully-peeled sorted \n{}\n", refs.join("\n"));
    fs_err::write(app.repository().path().join("packed-refs"), packed).unwrap();
    assert_eq!(app.repository().refs().unwrap().len(), 18_002);
    let client = client(&app.url());
    let before = git.traffic();

    let found = client.resolve(&Reference::branch("main")).await.unwrap();

    assert_eq!(found.revision(), format!("main@sha1:{head}"));
    let after = git.traffic();
    assert_eq!(after.requests - before.requests, 2);
    let bytes = after.sent_bytes + after.received_bytes - before.sent_bytes - before.received_bytes;
    assert!(bytes < 2048, "{bytes} bytes");
}
