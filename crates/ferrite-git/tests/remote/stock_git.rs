//! Against the git program, where it is installed: it clones from our server, and we fetch from its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use ferrite_git::Reference;
use ferrite_testkit::GitServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{checkout, client};

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.current_dir(directory).args(arguments);
    for (name, value) in [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_AUTHOR_NAME", "a"),
        ("GIT_AUTHOR_EMAIL", "a@example.com"),
        ("GIT_COMMITTER_NAME", "a"),
        ("GIT_COMMITTER_EMAIL", "a@example.com"),
    ] {
        command.env(name, value);
    }
    command
}

async fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut command = command(directory, arguments);
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn installed() -> bool {
    let found = Command::new("git").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: git is not installed");
    }
    found
}

#[tokio::test]
async fn git_clones_deepens_and_pulls_from_our_server() {
    if !installed() {
        return;
    }
    let server = GitServer::start().await.unwrap();
    let app = server.repository("app", &[("a/b.txt", "1"), ("big.txt", &"line\n".repeat(40_000))]).unwrap();
    for number in 2..=5 {
        app.commit(&format!("commit {number}"), &[("a/b.txt", &number.to_string())]).unwrap();
    }
    app.annotated_tag("v1.0.0", "first").unwrap();
    let directory = tempfile::tempdir().unwrap();
    for version in ["0", "2"] {
        let option = format!("protocol.version={version}");
        let run = async |place: &Path, arguments: &[&str]| {
            git(place, &[&["-c", &option], arguments].concat()).await
        };
        let (full, shallow) = (
            directory.path().join(format!("full{version}")),
            directory.path().join(format!("shallow{version}")),
        );
        run(directory.path(), &["clone", "-q", &app.url(), full.to_str().unwrap()]).await;
        assert_eq!(git(&full, &["rev-parse", "HEAD"]).await, app.head().unwrap());
        assert_eq!(
            git(&full, &["rev-list", "--count", "--all"]).await,
            (app_commits(&full).await).to_string()
        );
        assert_eq!(git(&full, &["cat-file", "-t", "v1.0.0"]).await, "tag");
        run(directory.path(), &["clone", "-q", "--depth", "1", &app.url(), shallow.to_str().unwrap()]).await;
        assert_eq!(git(&shallow, &["rev-list", "--count", "HEAD"]).await, "1");
        run(&shallow, &["fetch", "-q", "--depth", "3"]).await;
        assert_eq!(git(&shallow, &["rev-list", "--count", "HEAD"]).await, "3");

        let new = app.commit("newer", &[("a/new.txt", version)]).unwrap();
        for place in [&full, &shallow] {
            run(place, &["pull", "-q", "--ff-only"]).await;
            assert_eq!(git(place, &["rev-parse", "HEAD"]).await, new);
        }
        run(&shallow, &["fetch", "-q", "--unshallow"]).await;
        for place in [&full, &shallow] {
            git(place, &["fsck", "--strict", "--full"]).await;
            let count = git(place, &["rev-list", "--count", "HEAD"]).await;
            assert_eq!(count, if version == "0" { "6" } else { "7" });
        }
    }
}

async fn app_commits(place: &Path) -> usize {
    git(place, &["log", "--format=%H"]).await.lines().count()
}

#[tokio::test]
async fn git_clones_an_empty_and_a_private_repository() {
    if !installed() {
        return;
    }
    let server = GitServer::start().await.unwrap();
    let empty = server.repository("empty", &[]).unwrap();
    let private = server.private_repository("private", "me", "secret", &[("a", "a")]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    git(directory.path(), &["clone", "-q", &empty.url(), "empty"]).await;
    assert_eq!(git(&directory.path().join("empty"), &["symbolic-ref", "HEAD"]).await, "refs/heads/main");
    let url = private.url().replace("http://", "http://me:secret@");
    git(directory.path(), &["clone", "-q", &url, "private"]).await;
    let mut anonymous = command(directory.path(), &["clone", "-q", &private.url(), "anonymous"]);
    let refused = tokio::task::spawn_blocking(move || anonymous.output().unwrap()).await.unwrap();
    assert!(!refused.status.success());
}

#[tokio::test]
async fn a_work_tree_made_by_git_is_served() {
    if !installed() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let place = work_tree(directory.path()).await;
    let server = GitServer::start().await.unwrap();
    let app = server.existing("app", &place).unwrap();
    let (head, files) = checkout(&client(&app.url()), &Reference::branch("main")).await.unwrap();
    assert_eq!(head.commit.to_string(), git(&place, &["rev-parse", "HEAD"]).await);
    assert_eq!(files.len(), 21);
}

/// A repository with history that Git has packed with deltas.
async fn work_tree(directory: &Path) -> std::path::PathBuf {
    let place = directory.join("work");
    git(directory, &["init", "-q", "-b", "main", "work"]).await;
    let lines: Vec<String> = (0..500).map(|n| format!("line {n} {}", n * 7919 % 1000)).collect();
    for round in 0..4 {
        for file in 0..20 {
            let text = format!("{}\nround {round} file {file}\n", lines.join("\n"));
            fs_err::write(place.join(format!("f{file}.txt")), text).unwrap();
        }
        fs_err::write(place.join("run.sh"), "#!/bin/sh\n").unwrap();
        git(&place, &["add", "."]).await;
        git(&place, &["update-index", "--chmod=+x", "run.sh"]).await;
        git(&place, &["commit", "-q", "-m", &format!("round {round}")]).await;
    }
    git(&place, &["gc", "-q", "--aggressive"]).await;
    place
}

/// Git's own HTTP server, one CGI process for each request.
async fn http_backend(root: &Path, version_2: bool) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let root = root.to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(cgi(stream, root.clone(), version_2));
        }
    });
    url
}

async fn cgi(mut stream: TcpStream, root: std::path::PathBuf, version_2: bool) {
    let mut request = Vec::new();
    let end = loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        request.extend_from_slice(&chunk[..read]);
        if let Some(at) = request.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if read == 0 {
            return;
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    let header = |name: &str| {
        let found =
            head.lines().find_map(|l| l.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)));
        found.map_or_else(String::new, |(_, value)| value.to_owned())
    };
    let length: usize = header("content-length").parse().unwrap_or(0);
    let mut body = request[end..].to_vec();
    let missing = length - body.len();
    let mut rest = vec![0; missing];
    stream.read_exact(&mut rest).await.unwrap();
    body.extend(rest);
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut child = tokio::process::Command::from(command(&root, &["http-backend"]))
        .env("GIT_PROJECT_ROOT", &root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", if version_2 { header("git-protocol") } else { String::new() })
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", length.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&body).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap().stdout;
    let text = String::from_utf8_lossy(&output[..output.len().min(512)]).into_owned();
    let status = text.lines().find_map(|l| l.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    stream.write_all(format!("HTTP/1.1 {status}\r\nconnection: close\r\n").as_bytes()).await.unwrap();
    stream.write_all(&output).await.unwrap();
}

#[tokio::test]
async fn we_fetch_deltas_from_gits_own_server() {
    if !installed() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let place = work_tree(directory.path()).await;
    git(&place, &["tag", "-a", "v1.0.0", "-m", "first", "HEAD~1"]).await;
    git(directory.path(), &["clone", "-q", "--bare", "work", "app.git"]).await;
    let first = git(&place, &["rev-list", "--max-parents=0", "HEAD"]).await;
    let url = http_backend(directory.path(), true).await;
    let former = http_backend(directory.path(), false).await;
    // A server of protocol v0 gives no commit out that no ref names, so it comes with its history.
    for url in [&url, &former] {
        let client = client(&format!("{url}/app.git"));
        for (reference, round) in [
            (Reference::branch("main"), 3),
            (Reference::tag("v1.0.0"), 2),
            (Reference::semver("1.x"), 2),
            (Reference::commit(&first), 0),
        ] {
            let (_, files) = checkout(&client, &reference).await.unwrap();
            assert_eq!(files.len(), 21);
            assert!(files[0].ends_with(&format!("round {round} file 0\n")), "{reference:?}");
            assert_eq!(files[20], "run.sh*=#!/bin/sh\n");
        }
        let nowhere = Reference::commit("0123456789012345678901234567890123456789");
        let gone = checkout(&client, &nowhere).await.unwrap_err().to_string();
        assert!(gone.starts_with("commit '0123456789012345678901234567890123456789' not found"), "{gone}");
    }
    git(directory.path(), &["init", "-q", "--bare", "-b", "main", "empty.git"]).await;
    let empty =
        crate::client(&format!("{url}/empty.git")).resolve(&Reference::branch("main")).await.unwrap_err();
    assert_eq!(empty.to_string(), "git repository is empty");
}

#[tokio::test]
async fn git_finds_nothing_to_do_in_a_work_tree_of_ours_and_commits_on_it() {
    if !installed() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("demo");
    let author = ferrite_git::Person::now("a", "a@example.com");
    let files: [(&str, &[u8]); 2] = [("apps/web.yaml", b"replicas: 2\n"), ("README.md", b"# demo\n")];
    let ours = ferrite_git::Repository::init_with_work_tree(&path, "first", &author, &files).unwrap();

    assert_eq!(git(&path, &["status", "--porcelain"]).await, "");
    fs_err::write(path.join("apps/web.yaml"), "replicas: 3\n").unwrap();
    git(&path, &["commit", "-qam", "three"]).await;
    assert_eq!(git(&path, &["show", "--stat", "--format=%s", "HEAD"]).await.lines().next(), Some("three"));
    let tip = ours.tip("main").unwrap().unwrap().to_string();
    assert_eq!(tip, git(&path, &["rev-parse", "HEAD"]).await);
}
