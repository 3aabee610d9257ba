//! One commit with its files, read without a work tree.

use std::collections::BTreeMap;
use std::rc::Rc;

use gix::ObjectId;
use gix::objs::FindExt as _;
use gix::objs::tree::EntryKind as Mode;

use crate::objects::{Objects, Store, TreeEntry};
use crate::signature::{self, SignedObject};
use crate::{Error, Head, Limits, Remote};

/// Who wrote or committed something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// Seconds east of UTC, for display.
    pub offset_seconds: i32,
}

impl Person {
    /// `name` and `email` at this moment, UTC.
    pub fn now(name: impl Into<String>, email: impl Into<String>) -> Self {
        let time = gix::date::Time::now_utc();
        Self { name: name.into(), email: email.into(), seconds: time.seconds, offset_seconds: time.offset }
    }

    fn read(signature: &gix::actor::SignatureRef<'_>) -> Self {
        let time = signature.time().unwrap_or_default();
        Self {
            name: signature.name.to_string(),
            email: signature.email.to_string(),
            seconds: time.seconds,
            offset_seconds: time.offset,
        }
    }

    pub(crate) fn signature(&self) -> gix::actor::Signature {
        gix::actor::Signature {
            name: self.name.as_str().into(),
            email: self.email.as_str().into(),
            time: gix::date::Time::new(self.seconds, self.offset_seconds),
        }
    }
}

/// What a commit says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// The id of its root tree.
    pub tree: ObjectId,
    /// Who wrote the change.
    pub author: Person,
    /// Who put it into this history.
    pub committer: Person,
    /// The whole message; bytes that are not UTF-8 are replaced.
    pub message: String,
}

impl Commit {
    /// The first line of the message.
    #[must_use]
    pub fn summary(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// What an annotated tag says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The id of the tag object.
    pub id: ObjectId,
    /// The name written in it, without `refs/tags/`.
    pub name: String,
    /// Who tagged.
    pub tagger: Option<Person>,
    /// The whole message.
    pub message: String,
}

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A regular file with the executable bit.
    Executable,
    /// A symbolic link; its bytes are the target.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

/// One entry of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path below the root, with `/`, without a leading one.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// The blob, the tree, or a submodule's commit.
    pub id: ObjectId,
}

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path below the root, with `/`, without a leading one.
    pub path: String,
    /// [`EntryKind::File`], [`EntryKind::Executable`] or [`EntryKind::Symlink`].
    pub kind: EntryKind,
    /// The content, or the target of a symbolic link.
    pub bytes: Vec<u8>,
}

/// One commit with its files. Objects that were fetched are removed from disk with it.
#[derive(Debug)]
pub struct Snapshot {
    store: Store,
    head: Head,
    commit: Commit,
    tag: Option<Tag>,
    limits: Limits,
    shown: String,
    /// What was fetched of its submodules, by path.
    submodules: BTreeMap<String, Self>,
}

impl Snapshot {
    pub(crate) fn open(store: Store, head: &Head, remote: &Remote) -> Result<Self, Error> {
        let objects = store.open(head.commit.kind())?;
        if !objects.exists(head.commit) {
            return Err(Error::UnknownReference {
                kind: "commit",
                name: head.commit.to_string(),
                url: remote.shown(),
            });
        }
        let commit = objects.read_commit(head.commit)?;
        let tag = head.tag.map(|id| objects.read_tag(id)).transpose()?;
        if let Some(tag) = &tag
            && objects.peel(tag.id)? != head.commit
        {
            let problem =
                format!("its list of refs says that the tag {} is another commit than it is", tag.id);
            return Err(Error::Protocol { url: remote.shown(), problem });
        }
        Ok(Self {
            store,
            head: head.clone(),
            commit,
            tag,
            limits: remote.limits,
            shown: remote.shown(),
            submodules: BTreeMap::new(),
        })
    }

    /// What was asked for.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The commit.
    #[must_use]
    pub const fn commit(&self) -> &Commit {
        &self.commit
    }

    /// The annotated tag that led here.
    #[must_use]
    pub const fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The commit taken apart into its signature and what is signed.
    ///
    /// # Errors
    /// [`Error::Objects`] when it cannot be read any more.
    pub fn signed_commit(&self) -> Result<SignedObject, Error> {
        let objects = self.store.open(self.commit.id.kind())?;
        let mut buffer = Vec::new();
        Ok(signature::of_commit(objects.read(self.commit.id, &mut buffer)?.data))
    }

    /// The annotated tag that led here, taken apart in the same way.
    ///
    /// # Errors
    /// [`Error::Objects`] when it cannot be read any more.
    pub fn signed_tag(&self) -> Result<Option<SignedObject>, Error> {
        let Some(tag) = &self.tag else { return Ok(None) };
        let objects = self.store.open(tag.id.kind())?;
        let mut buffer = Vec::new();
        Ok(Some(signature::of_tag(objects.read(tag.id, &mut buffer)?.data)))
    }

    pub(crate) fn insert_submodule(&mut self, path: String, submodule: Self) {
        self.submodules.insert(path, submodule);
    }

    /// One file of the root directory, at most `limit` bytes of it.
    pub(crate) fn read_file(&self, name: &str, limit: usize) -> Result<Vec<u8>, Error> {
        let objects = self.store.open(self.commit.id.kind())?;
        let mut bytes = Vec::new();
        if let Some(entry) = objects.tree(self.commit.tree)?.iter().find(|e| e.name == name.as_bytes()) {
            objects.read(entry.id, &mut bytes)?;
        }
        if bytes.len() > limit {
            let (url, what) = (self.shown.clone(), "bytes in '.gitmodules'");
            return Err(Error::Limit { url, what, limit: limit as u64 });
        }
        Ok(bytes)
    }

    /// Every entry: parents before children, siblings in the order of their bytes.
    ///
    /// The iterator ends after its first error. Blocking; call it from a thread that may wait.
    #[must_use]
    pub fn walk(&self) -> Walk {
        Walk::new(self, Vec::new())
    }

    /// As [`Snapshot::walk`], with only what lies below one of `directories` and the directories that lead there.
    ///
    /// # Errors
    /// [`Error::NoSuchDirectory`] when one of them does not exist.
    pub fn walk_below(&self, directories: &[String]) -> Result<Walk, Error> {
        let objects = self.store.open(self.commit.id.kind())?;
        let mut only = Vec::with_capacity(directories.len());
        for directory in directories {
            let path = directory.trim_start_matches("./").trim_matches('/');
            if path.is_empty() || path == "." {
                return Ok(self.walk());
            }
            if !is_directory(&objects, self.commit.tree, path)? {
                let commit = self.commit.id.to_string();
                return Err(Error::NoSuchDirectory { directory: directory.clone(), commit });
            }
            only.push(path.to_owned());
        }
        Ok(Walk::new(self, only))
    }

    /// Every file with its bytes; directories, and submodules that were not fetched, are left out.
    #[must_use]
    pub fn files(&self) -> Files {
        self.walk().files()
    }
}

fn is_directory(objects: &Objects, root: ObjectId, path: &str) -> Result<bool, Error> {
    let mut tree = root;
    for component in path.split('/') {
        let entries = objects.tree(tree)?;
        match entries.iter().find(|e| e.mode == Mode::Tree && e.name == component.as_bytes()) {
            Some(entry) => tree = entry.id,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// The entries of a snapshot, in order, those of fetched submodules where they are. Ends after the first error.
#[derive(Debug)]
pub struct Walk {
    store: Option<Result<Rc<Objects>, Error>>,
    /// Submodules not reached yet, by path.
    submodules: BTreeMap<String, Self>,
    /// The submodule the walk is in, with the path it is at.
    inside: Option<(String, Box<Self>)>,
    root: ObjectId,
    stack: Vec<Level>,
    only: Vec<String>,
    entries: u64,
    limits: Limits,
    commit: ObjectId,
    shown: String,
}

#[derive(Debug)]
struct Level {
    /// The directory's path with a trailing `/`, or nothing for the root.
    prefix: String,
    entries: std::vec::IntoIter<TreeEntry>,
}

impl Walk {
    fn new(snapshot: &Snapshot, only: Vec<String>) -> Self {
        Self {
            store: Some(snapshot.store.open(snapshot.commit.id.kind()).map(Rc::new)),
            submodules: snapshot.submodules.iter().map(|(path, one)| (path.clone(), one.walk())).collect(),
            inside: None,
            root: snapshot.commit.tree,
            stack: Vec::new(),
            only,
            entries: 0,
            limits: snapshot.limits,
            commit: snapshot.commit.id,
            shown: snapshot.shown.clone(),
        }
    }

    /// The files among the entries, with their bytes.
    #[must_use]
    pub const fn files(self) -> Files {
        Files { walk: self, bytes: 0 }
    }

    fn step(&mut self, objects: &Objects) -> Result<Option<Entry>, Error> {
        if self.entries == 0 && self.stack.is_empty() {
            self.descend(objects, String::new(), self.root)?;
        }
        while let Some(level) = self.stack.last_mut() {
            let Some(entry) = level.entries.next() else {
                self.stack.pop();
                continue;
            };
            let prefix = level.prefix.clone();
            self.entries += 1;
            if self.entries > self.limits.entries {
                return Err(self.limit("entries", self.limits.entries));
            }
            let path = self.path(&prefix, &entry)?;
            let Some(inside) = self.selects(&path) else { continue };
            let kind = match entry.mode {
                Mode::Tree => EntryKind::Directory,
                Mode::Blob => EntryKind::File,
                Mode::BlobExecutable => EntryKind::Executable,
                Mode::Link => EntryKind::Symlink,
                Mode::Commit => EntryKind::Submodule,
            };
            if kind == EntryKind::Directory {
                self.descend(objects, format!("{path}/"), entry.id)?;
            } else if !inside {
                continue;
            }
            return Ok(Some(Entry { path, kind, id: entry.id }));
        }
        Ok(None)
    }

    fn descend(&mut self, objects: &Objects, prefix: String, tree: ObjectId) -> Result<(), Error> {
        if self.stack.len() >= self.limits.depth {
            return Err(self.limit("directories within each other", self.limits.depth as u64));
        }
        let mut entries = objects.tree(tree)?;
        // Git sorts a directory as if its name ended in `/`; a walk of the file system does not.
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        self.stack.push(Level { prefix, entries: entries.into_iter() });
        Ok(())
    }

    /// `Some(true)` for what is wanted, `Some(false)` for a directory on the way there.
    fn selects(&self, path: &str) -> Option<bool> {
        if self.only.is_empty() {
            return Some(true);
        }
        let below = |path: &str, directory: &str| {
            path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if self.only.iter().any(|d| below(path, d)) {
            return Some(true);
        }
        self.only.iter().any(|d| below(d, path)).then_some(false)
    }

    fn path(&self, prefix: &str, entry: &TreeEntry) -> Result<String, Error> {
        let problem = match std::str::from_utf8(&entry.name) {
            Err(_) => "its name is not UTF-8",
            Ok("" | "." | "..") => "its name means another directory",
            Ok(name) if name.contains(['/', '\0']) => "its name holds a separator",
            Ok(name) if name.eq_ignore_ascii_case(".git") => "its name is reserved for Git itself",
            Ok(name) => return Ok(format!("{prefix}{name}")),
        };
        let name = String::from_utf8_lossy(&entry.name);
        let path = format!("{prefix}{name}").chars().filter(|c| !c.is_control()).take(256).collect();
        Err(Error::UnsafeEntry { path, commit: self.commit.to_string(), problem })
    }

    fn limit(&self, what: &'static str, limit: u64) -> Error {
        Error::Limit { url: self.shown.clone(), what, limit }
    }

    /// The next entry, and where its bytes are; nothing follows an error.
    fn advance(&mut self) -> Option<Result<(Entry, Rc<Objects>), Error>> {
        if let Some((at, walk)) = &mut self.inside {
            match walk.advance() {
                Some(Ok((mut entry, objects))) => {
                    entry.path = format!("{at}/{}", entry.path);
                    return Some(Ok((entry, objects)));
                }
                Some(Err(error)) => {
                    self.end();
                    return Some(Err(error));
                }
                None => self.inside = None,
            }
        }
        let objects = match self.store.take()? {
            Ok(objects) => objects,
            Err(error) => return Some(Err(error)),
        };
        match self.step(&objects) {
            Ok(Some(mut entry)) => {
                self.store = Some(Ok(Rc::clone(&objects)));
                if let Some(walk) = self.submodules.remove(&entry.path) {
                    entry.kind = EntryKind::Directory;
                    self.inside = Some((entry.path.clone(), Box::new(walk)));
                }
                Some(Ok((entry, objects)))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn end(&mut self) {
        (self.store, self.inside) = (None, None);
    }
}

impl Iterator for Walk {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().map(|found| found.map(|(entry, _)| entry))
    }
}

/// The files of a snapshot with their bytes, in order. Ends after the first error.
#[derive(Debug)]
pub struct Files {
    walk: Walk,
    bytes: u64,
}

impl Iterator for Files {
    type Item = Result<File, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (entry, objects) = match self.walk.advance()? {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            };
            if matches!(entry.kind, EntryKind::Directory | EntryKind::Submodule) {
                continue;
            }
            let mut bytes = Vec::new();
            if let Err(error) = objects.read(entry.id, &mut bytes) {
                self.walk.end();
                return Some(Err(error));
            }
            self.bytes += bytes.len() as u64;
            if self.bytes > self.walk.limits.tree_bytes {
                self.walk.end();
                return Some(Err(self.walk.limit("bytes in all files", self.walk.limits.tree_bytes)));
            }
            return Some(Ok(File { path: entry.path, kind: entry.kind, bytes }));
        }
    }
}

impl Objects {
    fn read_commit(&self, id: ObjectId) -> Result<Commit, Error> {
        let failed = |e| Error::objects(format!("read commit {id}"), e);
        let mut buffer = Vec::new();
        let commit = self.handle.find_commit(&id, &mut buffer).map_err(failed)?;
        Ok(Commit {
            id,
            tree: commit.tree(),
            author: Person::read(&commit.author().map_err(failed)?),
            committer: Person::read(&commit.committer().map_err(failed)?),
            message: commit.message.to_string(),
        })
    }

    fn read_tag(&self, id: ObjectId) -> Result<Tag, Error> {
        let failed = |e| Error::objects(format!("read tag {id}"), e);
        let mut buffer = Vec::new();
        let tag = self.handle.find_tag(&id, &mut buffer).map_err(failed)?;
        let tagger = tag.tagger().map_err(failed)?;
        Ok(Tag {
            id,
            name: tag.name.to_string(),
            tagger: tagger.as_ref().map(Person::read),
            message: tag.message.to_string(),
        })
    }
}
