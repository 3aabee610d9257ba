//! Writing repositories without the git binary: for demos, tests and local work.

use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::tree::EntryKind as Mode;
use gix::refs::transaction::PreviousValue;

use crate::{EntryKind, Error, Person, Ref, local};

/// A repository on this machine. Holds no lock: of two writers to one branch the later one fails and may try again.
#[derive(Debug, Clone)]
pub struct Repository {
    path: PathBuf,
}

/// One change of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes a file, an executable or a symbolic link, whatever was there before.
    Write {
        /// The path below the root.
        path: String,
        /// [`EntryKind::File`], [`EntryKind::Executable`] or [`EntryKind::Symlink`].
        kind: EntryKind,
        /// The content, or the target of a symbolic link.
        bytes: Vec<u8>,
    },
    /// Puts a commit of another repository at a path; `.gitmodules` says where that repository is.
    Submodule {
        /// The path below the root.
        path: String,
        /// The commit.
        commit: ObjectId,
    },
    /// Removes a file or a directory; nothing happens when it is not there.
    Remove {
        /// The path below the root.
        path: String,
    },
}

impl Change {
    /// Writes a regular file.
    pub fn write(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::Write { path: path.into(), kind: EntryKind::File, bytes: bytes.into() }
    }

    /// Removes a file or a directory.
    pub fn remove(path: impl Into<String>) -> Self {
        Self::Remove { path: path.into() }
    }

    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Write { path, .. } | Self::Submodule { path, .. } | Self::Remove { path } => path,
        }
    }
}

impl Repository {
    /// Creates a bare repository whose `HEAD` is the branch `main`. The directory must be empty or absent.
    ///
    /// # Errors
    /// [`Error::Open`] when the directory cannot be created or holds something.
    pub fn init(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        gix::ThreadSafeRepository::init_opts(
            &path,
            gix::create::Kind::Bare,
            gix::create::Options::default(),
            gix::open::Options::isolated(),
        )
        .map_err(|source| Error::Open { path: path.display().to_string(), source })?;
        Ok(Self { path })
    }

    /// Creates a repository with a work tree: writes the files, commits them to `main` and fills the index, so that
    /// `git status` finds nothing to do. The directory must be empty or absent.
    ///
    /// # Errors
    /// [`Error::Open`] when the directory cannot be created or holds something, [`Error::Io`] when a file cannot be
    /// written, and those of [`Repository::commit`].
    pub fn init_with_work_tree(
        path: impl Into<PathBuf>,
        message: &str,
        author: &Person,
        files: &[(&str, &[u8])],
    ) -> Result<Self, Error> {
        let path = path.into();
        gix::ThreadSafeRepository::init_opts(
            &path,
            gix::create::Kind::WithWorktree,
            gix::create::Options::default(),
            gix::open::Options::isolated(),
        )
        .map_err(|source| Error::Open { path: path.display().to_string(), source })?;
        let made = Self { path };
        let changes: Vec<Change> = files.iter().map(|(name, bytes)| Change::write(*name, *bytes)).collect();
        // The commit refuses paths that leave the tree before anything is written to disk.
        made.commit("main", message, author, &changes)?;
        for (name, bytes) in files {
            let file = made.path.join(name);
            let written = file
                .parent()
                .map_or(Ok(()), fs_err::create_dir_all)
                .and_then(|()| fs_err::write(&file, bytes));
            written.map_err(|source| Error::Io { action: format!("write {}", file.display()), source })?;
        }
        let repository = local::open(&made.path)?;
        let failed = |e| Error::objects("write the index", e);
        let tree = repository.head_tree_id().map_err(|e| Error::objects("read HEAD", e))?;
        let mut index = repository.index_from_tree(&tree).map_err(|e| Error::objects("make the index", e))?;
        index.write(gix::index::write::Options::default()).map_err(failed)?;
        Ok(made)
    }

    /// Opens a bare repository or a directory with a `.git` in it.
    ///
    /// # Errors
    /// [`Error::Open`] when it is neither.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        local::open(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `HEAD` and every ref, sorted by name.
    ///
    /// # Errors
    /// [`Error::Open`] and [`Error::Objects`].
    pub fn refs(&self) -> Result<Vec<Ref>, Error> {
        local::refs(&local::open(&self.path)?)
    }

    /// The branch that `HEAD` names, also before its first commit; `None` when `HEAD` is detached.
    ///
    /// # Errors
    /// [`Error::Open`] and [`Error::Objects`].
    pub fn head_branch(&self) -> Result<Option<String>, Error> {
        let repository = local::open(&self.path)?;
        let name = repository.head_name().map_err(|e| Error::objects("read HEAD", e))?;
        Ok(name.map(|name| name.shorten().to_string()))
    }

    /// The newest commit of `branch`, or `None` when it does not exist.
    ///
    /// # Errors
    /// [`Error::Open`] and [`Error::Objects`].
    pub fn tip(&self, branch: &str) -> Result<Option<ObjectId>, Error> {
        let full = full_name("refs/heads/", branch, "branch")?;
        Ok(self.refs()?.into_iter().find(|r| r.name == full).map(|r| r.target))
    }

    /// Commits `changes` on top of `branch`, which is created when it does not exist.
    ///
    /// # Errors
    /// [`Error::InvalidReference`] for a branch name that Git refuses, [`Error::UnsafeEntry`] for a path that leaves
    /// the tree, [`Error::Objects`] when writing fails or the branch moved meanwhile.
    pub fn commit(
        &self,
        branch: &str,
        message: &str,
        author: &Person,
        changes: &[Change],
    ) -> Result<ObjectId, Error> {
        self.commit_signed(branch, message, author, changes, |_| None)
    }

    /// As [`Repository::commit`], with the armored signature that `sign` makes of the commit.
    ///
    /// # Errors
    /// As [`Repository::commit`].
    pub fn commit_signed(
        &self,
        branch: &str,
        message: &str,
        author: &Person,
        changes: &[Change],
        sign: impl FnOnce(&[u8]) -> Option<String>,
    ) -> Result<ObjectId, Error> {
        let full = full_name("refs/heads/", branch, "branch")?;
        let parent = self.tip(branch)?;
        let repository = local::open(&self.path)?;
        let tree = edit(&repository, parent, changes)?;
        let mut commit = gix::objs::Commit {
            tree,
            parents: parent.into_iter().collect(),
            author: author.signature(),
            committer: author.signature(),
            encoding: None,
            message: message.into(),
            extra_headers: Vec::new(),
        };
        if let Some(signature) = sign(&serialized(&commit)?) {
            commit.extra_headers.push(("gpgsig".into(), signature.trim_end().into()));
        }
        let failed = |e| Error::objects(format!("write a commit to branch '{branch}'"), e);
        let id = repository.write_object(&commit).map_err(failed)?.detach();
        let previous = match parent {
            Some(parent) => PreviousValue::MustExistAndMatch(parent.into()),
            None => PreviousValue::MustNotExist,
        };
        repository.reference(full, id, previous, format!("commit: {message}")).map_err(failed)?;
        Ok(id)
    }

    /// Points `branch` to `commit`, whatever it pointed to before.
    ///
    /// # Errors
    /// As [`Repository::commit`].
    pub fn set_branch(&self, branch: &str, commit: ObjectId) -> Result<(), Error> {
        self.set(full_name("refs/heads/", branch, "branch")?, commit)
    }

    /// Points the lightweight tag `tag` to `commit`, whatever it pointed to before.
    ///
    /// # Errors
    /// As [`Repository::commit`].
    pub fn set_tag(&self, tag: &str, commit: ObjectId) -> Result<(), Error> {
        self.set(full_name("refs/tags/", tag, "tag")?, commit)
    }

    /// Points any ref, by its full name such as `refs/pull/1/head`, to `commit`.
    ///
    /// # Errors
    /// As [`Repository::commit`].
    pub fn set_reference(&self, name: &str, commit: ObjectId) -> Result<(), Error> {
        self.set(full_name("", name, "reference name")?, commit)
    }

    /// Creates an annotated tag and returns the id of its object.
    ///
    /// # Errors
    /// As [`Repository::commit`].
    pub fn annotate(
        &self,
        tag: &str,
        commit: ObjectId,
        message: &str,
        tagger: &Person,
    ) -> Result<ObjectId, Error> {
        self.annotate_signed(tag, commit, message, tagger, |_| None)
    }

    /// As [`Repository::annotate`], with the armored signature that `sign` makes of the tag.
    ///
    /// # Errors
    /// As [`Repository::commit`].
    pub fn annotate_signed(
        &self,
        tag: &str,
        commit: ObjectId,
        message: &str,
        tagger: &Person,
        sign: impl FnOnce(&[u8]) -> Option<String>,
    ) -> Result<ObjectId, Error> {
        let full = full_name("refs/tags/", tag, "tag")?;
        let object = gix::objs::Tag {
            target: commit,
            target_kind: gix::objs::Kind::Commit,
            name: tag.into(),
            tagger: Some(tagger.signature()),
            message: message.into(),
            signature: None,
        };
        let mut bytes = serialized(&object)?;
        if !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        if let Some(signature) = sign(&bytes) {
            bytes.extend_from_slice(signature.as_bytes());
        }
        let repository = local::open(&self.path)?;
        let written = gix::objs::Write::write_buf(&repository.objects, gix::objs::Kind::Tag, &bytes);
        let id = written.map_err(|e| Error::objects(format!("write tag '{tag}'"), e))?;
        self.set(full, id)?;
        Ok(id)
    }

    fn set(&self, name: String, target: ObjectId) -> Result<(), Error> {
        let action = format!("write {name}");
        local::open(&self.path)?
            .reference(name, target, PreviousValue::Any, "set")
            .map_err(|e| Error::objects(action, e))?;
        Ok(())
    }
}

fn serialized(object: &impl gix::objs::WriteTo) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let written = object.write_to(&mut bytes);
    written.map_err(|source| Error::Io { action: "put an object into bytes".to_owned(), source })?;
    Ok(bytes)
}

pub(crate) fn full_name(prefix: &str, name: &str, kind: &'static str) -> Result<String, Error> {
    let full = format!("{prefix}{name}");
    match gix::validate::reference::name(full.as_bytes().into()) {
        Ok(_) => Ok(full),
        Err(_) => Err(Error::InvalidReference {
            kind,
            name: name.chars().take(256).collect(),
            problem: "expected a name that Git allows for a ref".to_owned(),
        }),
    }
}

/// The tree of `parent` with `changes`.
fn edit(
    repository: &gix::Repository,
    parent: Option<ObjectId>,
    changes: &[Change],
) -> Result<ObjectId, Error> {
    use gix::objs::FindExt as _;
    let failed = |e| Error::objects("write a tree", e);
    let mut buffer = Vec::new();
    let root = match parent {
        None => gix::objs::Tree::empty(),
        Some(parent) => {
            let id =
                repository.find_commit(parent).and_then(|c| Ok(c.tree_id()?.detach())).map_err(failed)?;
            repository.objects.find_tree(&id, &mut buffer).map_err(failed)?.into_owned()
        }
    };
    let mut editor = gix::objs::tree::Editor::new(root, &repository.objects, repository.object_hash());
    for change in changes {
        check_path(change.path(), parent)?;
        let components = change.path().split('/');
        match change {
            Change::Remove { .. } => {
                editor.remove(components).map_err(failed)?;
            }
            Change::Submodule { commit, .. } => {
                editor.upsert(components, Mode::Commit, *commit).map_err(failed)?;
            }
            Change::Write { kind, bytes, .. } => {
                let mode = match kind {
                    EntryKind::Executable => Mode::BlobExecutable,
                    EntryKind::Symlink => Mode::Link,
                    EntryKind::File | EntryKind::Directory | EntryKind::Submodule => Mode::Blob,
                };
                let blob = repository.write_blob(bytes).map_err(failed)?.detach();
                editor.upsert(components, mode, blob).map_err(failed)?;
            }
        }
    }
    editor.write(|tree| repository.write_object(tree).map(gix::Id::detach)).map_err(failed)
}

pub(crate) fn check_path(path: &str, parent: Option<ObjectId>) -> Result<(), Error> {
    let bad = |name: &str| {
        matches!(name, "" | "." | "..") || name.eq_ignore_ascii_case(".git") || name.contains('\0')
    };
    if path.split('/').any(bad) {
        return Err(Error::UnsafeEntry {
            path: path.chars().take(256).collect(),
            commit: parent.map_or_else(|| "(none yet)".to_owned(), |id| id.to_string()),
            problem: "expected a path below the root, without `.git`",
        });
    }
    Ok(())
}
