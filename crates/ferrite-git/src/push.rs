//! Pushing a commit: objects are made in memory, packed, and sent by smart HTTP; or written, on this machine.
//!
//! ```text
//! Snapshot.walk + changes ─▶ trees, bottom up ─▶ commit ─▶ pack ─▶ POST git-receive-pack ─▶ report-status
//! ```
//!
//! Every tree of the new commit is sent, also those that the server has: they are small, and nothing needs to be
//! compared. Of files only the changed ones are sent.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::{Compression, write::ZlibEncoder};
use gix::ObjectId;
use gix::hash::Kind;
use gix::objs::tree::{Entry, EntryKind as Mode};
use gix::objs::{Kind as ObjectKind, Tree, WriteTo as _};

use crate::pktline::{self, Packet};
use crate::repository::{check_path, full_name};
use crate::{Change, Client, EntryKind, Error, Location, Person, Repository, Snapshot, http};

/// Bytes of the list of refs and of the report.
const ANSWER_BYTES: u64 = 16 << 20;

/// A commit to make and push.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    /// The branch; it is made when it does not exist.
    pub branch: &'a str,
    /// The newest commit of the branch, with its files; `None` when the branch does not exist.
    pub base: Option<&'a Snapshot>,
    /// The message.
    pub message: &'a str,
    /// Author and committer.
    pub author: &'a Person,
    /// What differs from the base.
    pub changes: &'a [Change],
}

impl Client {
    /// Commits on top of the base and pushes the branch; without a difference nothing is pushed and the base's id
    /// returned.
    ///
    /// # Errors
    /// [`Error::Refused`] when the branch moved meanwhile or the server refuses it, [`Error::UnsafeEntry`] for a path
    /// that leaves the tree, and those of [`Client::fetch`]. SSH remotes cannot be pushed to.
    pub async fn push(&self, push: Push<'_>) -> Result<ObjectId, Error> {
        let remote = self.remote();
        let url = match &remote.location {
            Location::Local(path) => {
                let made = Made::of(&push)?;
                return match made.unchanged() {
                    Some(base) => Ok(base),
                    None => {
                        Repository::open(path)?.commit(push.branch, push.message, push.author, push.changes)
                    }
                };
            }
            Location::Http(url) => url.clone(),
            Location::Ssh(_) => {
                return Err(Error::Refused {
                    url: remote.shown(),
                    message: "pushing over SSH is not supported yet; push over HTTPS with a token".to_owned(),
                });
            }
        };
        let made = Made::of(&push)?;
        if let Some(base) = made.unchanged() {
            return Ok(base);
        }
        let work = send(http::Session::new(remote, &url)?, &push, &made);
        let late = |_| Err(Error::Timeout { url: remote.shown(), timeout: remote.timeout });
        tokio::time::timeout(remote.timeout, work).await.unwrap_or_else(late)
    }
}

/// The objects of the new commit.
struct Made {
    base: Option<(ObjectId, ObjectId)>,
    tree: ObjectId,
    commit: ObjectId,
    objects: Vec<(ObjectKind, Vec<u8>)>,
}

/// A file or directory of the new tree.
enum Node {
    Leaf(Mode, ObjectId),
    Directory(BTreeMap<Vec<u8>, Self>),
}

impl Made {
    fn of(push: &Push<'_>) -> Result<Self, Error> {
        let base = push.base.map(Snapshot::commit);
        let format = base.map_or(Kind::Sha1, |commit| commit.id.kind());
        let mut made = Self {
            base: base.map(|commit| (commit.id, commit.tree)),
            tree: ObjectId::null(format),
            commit: ObjectId::null(format),
            objects: Vec::new(),
        };
        let mut root = BTreeMap::new();
        for entry in push.base.into_iter().flat_map(Snapshot::walk) {
            let entry = entry?;
            let mode = match entry.kind {
                EntryKind::Directory => continue,
                EntryKind::File => Mode::Blob,
                EntryKind::Executable => Mode::BlobExecutable,
                EntryKind::Symlink => Mode::Link,
                EntryKind::Submodule => Mode::Commit,
            };
            put(&mut root, &entry.path, Node::Leaf(mode, entry.id));
        }
        for change in push.changes {
            check_path(change.path(), base.map(|commit| commit.id))?;
            match change {
                Change::Remove { path } => remove(&mut root, path),
                Change::Submodule { path, commit } => put(&mut root, path, Node::Leaf(Mode::Commit, *commit)),
                Change::Write { path, kind, bytes } => {
                    let mode = match kind {
                        EntryKind::Executable => Mode::BlobExecutable,
                        EntryKind::Symlink => Mode::Link,
                        EntryKind::File | EntryKind::Directory | EntryKind::Submodule => Mode::Blob,
                    };
                    let id = made.add(format, ObjectKind::Blob, bytes.clone())?;
                    put(&mut root, path, Node::Leaf(mode, id));
                }
            }
        }
        made.tree = made.write(format, &root)?.unwrap_or_else(|| ObjectId::empty_tree(format));
        let commit = gix::objs::Commit {
            tree: made.tree,
            parents: base.map(|commit| commit.id).into_iter().collect(),
            author: push.author.signature(),
            committer: push.author.signature(),
            encoding: None,
            message: push.message.into(),
            extra_headers: Vec::new(),
        };
        let mut bytes = Vec::new();
        commit.write_to(&mut bytes).map_err(serialize)?;
        made.commit = made.add(format, ObjectKind::Commit, bytes)?;
        Ok(made)
    }

    /// The base's commit, when the new one would hold the same.
    fn unchanged(&self) -> Option<ObjectId> {
        self.base.filter(|(_, tree)| *tree == self.tree).map(|(commit, _)| commit)
    }

    fn add(&mut self, format: Kind, kind: ObjectKind, bytes: Vec<u8>) -> Result<ObjectId, Error> {
        let id =
            gix::objs::compute_hash(format, kind, &bytes).map_err(|e| Error::objects("name an object", e))?;
        self.objects.push((kind, bytes));
        Ok(id)
    }

    /// Makes the tree of a directory and of all below; `None` for one without files.
    fn write(&mut self, format: Kind, nodes: &BTreeMap<Vec<u8>, Node>) -> Result<Option<ObjectId>, Error> {
        let mut entries = Vec::with_capacity(nodes.len());
        for (name, node) in nodes {
            let (mode, oid) = match node {
                Node::Leaf(mode, id) => (*mode, *id),
                Node::Directory(below) => match self.write(format, below)? {
                    Some(id) => (Mode::Tree, id),
                    None => continue,
                },
            };
            entries.push(Entry { mode: mode.into(), filename: name.clone().into(), oid });
        }
        if entries.is_empty() {
            return Ok(None);
        }
        entries.sort();
        let mut bytes = Vec::new();
        Tree { entries }.write_to(&mut bytes).map_err(serialize)?;
        self.add(format, ObjectKind::Tree, bytes).map(Some)
    }

    /// Version 2, whole objects, no deltas.
    fn pack(&self) -> Result<Vec<u8>, Error> {
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        let count = u32::try_from(self.objects.len()).unwrap_or(u32::MAX);
        pack.extend_from_slice(&count.to_be_bytes());
        for (kind, bytes) in &self.objects {
            let code: u8 = match kind {
                ObjectKind::Commit => 1,
                ObjectKind::Tree => 2,
                ObjectKind::Blob => 3,
                ObjectKind::Tag => 4,
            };
            let mut size = bytes.len();
            let mut byte = (code << 4) | u8::try_from(size & 0x0f).unwrap_or(0);
            size >>= 4;
            while size > 0 {
                pack.push(byte | 0x80);
                byte = u8::try_from(size & 0x7f).unwrap_or(0);
                size >>= 7;
            }
            pack.push(byte);
            let mut zlib = ZlibEncoder::new(&mut pack, Compression::default());
            zlib.write_all(bytes).and_then(|()| zlib.try_finish()).map_err(serialize)?;
        }
        let mut hasher = gix::hash::hasher(self.commit.kind());
        hasher.update(&pack);
        let sum = hasher.try_finalize().map_err(|e| Error::objects("sum up a pack", e))?;
        pack.extend_from_slice(sum.as_bytes());
        Ok(pack)
    }
}

fn serialize(source: std::io::Error) -> Error {
    Error::Io { action: "write an object".to_owned(), source }
}

fn put(root: &mut BTreeMap<Vec<u8>, Node>, path: &str, leaf: Node) {
    let mut at = root;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            at.insert(part.as_bytes().to_vec(), leaf);
            return;
        }
        let next = at.entry(part.as_bytes().to_vec()).or_insert_with(|| Node::Directory(BTreeMap::new()));
        if let Node::Leaf(..) = next {
            *next = Node::Directory(BTreeMap::new());
        }
        let Node::Directory(below) = next else { return };
        at = below;
    }
}

fn remove(root: &mut BTreeMap<Vec<u8>, Node>, path: &str) {
    let mut at = root;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            at.remove(part.as_bytes());
            return;
        }
        let Some(Node::Directory(below)) = at.get_mut(part.as_bytes()) else { return };
        at = below;
    }
}

/// One update of one branch.
async fn send(session: http::Session, push: &Push<'_>, made: &Made) -> Result<ObjectId, Error> {
    let branch = full_name("refs/heads/", push.branch, "branch")?;
    let refused =
        |message: &str| Error::Refused { url: session.shown().to_owned(), message: message.to_owned() };
    let (response, base) = session.receive_advertisement().await?;
    let body = session.body(response, "bytes in a list of refs", ANSWER_BYTES).await?;
    let null = ObjectId::null(made.commit.kind());
    let there = branch_of(&body, &branch).map_err(|problem| Error::protocol(session.shown(), problem))?;
    let expected = made.base.map_or(null, |(commit, _)| commit);
    let found = there.unwrap_or(null);
    if found != expected {
        return Err(refused(&format!("the branch {} has moved to {found}; try again", push.branch)));
    }
    let mut request = Vec::new();
    let command = format!(
        "{expected} {} {branch}\0 report-status agent=ferrite/{}\n",
        made.commit,
        env!("CARGO_PKG_VERSION")
    );
    pktline::data(&mut request, command.as_bytes());
    pktline::flush(&mut request);
    request.extend_from_slice(&made.pack()?);
    let response = session.receive_pack(&base, request).await?;
    let report = session.body(response, "bytes in a report", ANSWER_BYTES).await?;
    match report_of(&report, &branch) {
        Ok(()) => Ok(made.commit),
        Err(problem) => Err(refused(&problem)),
    }
}

/// Where the branch is, in the list of refs of a server.
fn branch_of(body: &[u8], branch: &str) -> Result<Option<ObjectId>, &'static str> {
    let packets = pktline::decode_all(body).map_err(|_| "its list of refs is malformed")?;
    for packet in packets {
        let Some(line) = packet.line() else { continue };
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = std::str::from_utf8(line).unwrap_or_default().trim_end();
        if let Some((id, name)) = text.split_once(' ')
            && name == branch
        {
            return ObjectId::from_hex(id.as_bytes()).map(Some).map_err(|_| "its list of refs has no ids");
        }
    }
    Ok(None)
}

/// What became of the branch: `unpack ok`, `ok <ref>` or `ng <ref> <why>`.
fn report_of(report: &[u8], branch: &str) -> Result<(), String> {
    let packets = pktline::decode_all(report).map_err(|_| "its report is malformed".to_owned())?;
    let lines = packets.iter().filter_map(|packet: &Packet<'_>| packet.line());
    let lines: Vec<&str> =
        lines.filter_map(|line| std::str::from_utf8(line).ok()).map(str::trim_end).collect();
    match lines.iter().find_map(|line| line.strip_prefix("unpack ")) {
        Some("ok") => {}
        Some(why) => return Err(format!("it could not read the objects: {why}")),
        None => return Err("it reported nothing".to_owned()),
    }
    if lines.iter().any(|line| line.strip_prefix("ok ") == Some(branch)) {
        return Ok(());
    }
    let why = lines.iter().find_map(|line| line.strip_prefix("ng ")?.strip_prefix(branch));
    Err(format!("it did not accept the branch:{}", why.unwrap_or(" no reason given")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Reference, Remote, serve::Repositories};
    use std::time::Duration;

    fn person() -> Person {
        Person { name: "Flux".into(), email: "flux@example.com".into(), seconds: 1, offset_seconds: 0 }
    }

    #[tokio::test]
    async fn a_push_arrives_whole_and_only_on_what_it_was_made_from() {
        let place = tempfile::tempdir().unwrap();
        let repository = Repository::init(place.path().join("app.git")).unwrap();
        let served = Repositories::default();
        served.add_writable("app", &repository);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/app", listener.local_addr().unwrap());
        let serving = tokio::spawn(served.serve(listener));
        let remote = Remote::parse(&url).unwrap().with_timeout(Duration::from_secs(30));
        let client = Client::new(remote).unwrap();
        let author = person();
        let push = |base, message: &'static str, changes| Push {
            branch: "main",
            base,
            message,
            author: &author,
            changes,
        };

        let first = [Change::write("clusters/a.yaml", "a: 1\n"), Change::write("README.md", "hi\n")];
        let one = client.push(push(None, "one", &first)).await.unwrap();
        let head = client.resolve(&Reference::branch("main")).await.unwrap();
        assert_eq!(head.commit, one);
        let base = client.fetch(&head).await.unwrap();

        let second = [Change::write("clusters/b.yaml", "b: 1\n"), Change::remove("README.md")];
        let two = client.push(push(Some(&base), "two", &second)).await.unwrap();
        let head = client.resolve(&Reference::branch("main")).await.unwrap();
        assert_eq!(head.commit, two);
        let files: Vec<String> =
            client.fetch(&head).await.unwrap().files().map(|file| file.unwrap().path).collect();
        assert_eq!(files, ["clusters/a.yaml", "clusters/b.yaml"]);

        // The branch has moved since `base` was read.
        let late = client.push(push(Some(&base), "late", &first[..1])).await;
        assert!(late.is_ok(), "the file is as in the base: nothing is pushed");
        let changed = [Change::write("clusters/a.yaml", "a: 2\n")];
        let error = client.push(push(Some(&base), "late", &changed)).await.unwrap_err();
        assert!(error.to_string().contains("has moved"), "{error}");
        serving.abort();
    }

    #[test]
    fn a_report_says_why_a_branch_was_refused() {
        let mut report = Vec::new();
        pktline::line(&mut report, "unpack ok");
        pktline::line(&mut report, "ng refs/heads/main protected branch");
        pktline::flush(&mut report);
        let refused = report_of(&report, "refs/heads/main");
        assert_eq!(refused, Err("it did not accept the branch: protected branch".to_owned()));
    }
}
