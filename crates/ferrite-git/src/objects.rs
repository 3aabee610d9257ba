//! Where the objects of a snapshot lie, and reading them.

use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::hash::Kind;
use gix::objs::FindExt as _;
use gix::odb::pack;
use tempfile::TempDir;

use crate::{Error, Location, Remote, local};

/// An objects directory; a received one is removed with the value.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    alloc_limit_bytes: Option<usize>,
    _temporary: Option<TempDir>,
}

impl Store {
    /// The objects of a repository on this machine.
    pub(crate) fn local(remote: &Remote) -> Result<Self, Error> {
        let Location::Local(path) = &remote.location else { return Err(Error::Empty) };
        let directory = local::open(path)?.objects.store_ref().path().to_owned();
        Ok(Self { directory, alloc_limit_bytes: Some(remote.limits.object_bytes), _temporary: None })
    }

    /// The objects of an open repository, without a bound on one of them.
    pub(crate) fn of(repository: &gix::Repository) -> Self {
        let directory = repository.objects.store_ref().path().to_owned();
        Self { directory, alloc_limit_bytes: None, _temporary: None }
    }

    /// Indexes a pack while reading it, into a temporary directory.
    pub(crate) fn receive(
        pack: impl Read,
        format: Kind,
        object_bytes: usize,
        stop: &AtomicBool,
    ) -> Result<Self, Error> {
        let io = |action: &str, source| Error::Io { action: action.to_owned(), source };
        let temporary = TempDir::with_prefix("ferrite-git-")
            .map_err(|e| io("create a temporary directory for a fetch", e))?;
        let directory = temporary.path().join("objects");
        let packs = directory.join("pack");
        fs_err::create_dir_all(&packs).map_err(|e| io("create a temporary directory for a fetch", e))?;
        let options = pack::bundle::write::Options {
            // Several threads multiply the memory and a fetch is bound by the network.
            thread_limit: Some(1),
            alloc_limit_bytes: Some(object_bytes),
            ..Default::default()
        };
        pack::Bundle::write_to_directory(
            &mut BufReader::with_capacity(64 * 1024, pack),
            Some(&packs),
            &mut gix::progress::Discard,
            stop,
            None::<gix::odb::Handle>,
            format,
            options,
        )
        .map_err(|e| Error::objects("index the pack that the server sent; it may be damaged", e))?;
        Ok(Self { directory, alloc_limit_bytes: Some(object_bytes), _temporary: Some(temporary) })
    }

    /// A reader; make one for each thread.
    pub(crate) fn open(&self, format: Kind) -> Result<Objects, Error> {
        let options = gix::odb::store::init::Options {
            alloc_limit_bytes: self.alloc_limit_bytes,
            ..Default::default()
        };
        let mut handle = gix::odb::at_opts(self.directory.clone(), format, None, options)
            .map_err(|source| Error::Io { action: format!("open {}", self.directory.display()), source })?;
        // Neighbouring blobs share delta bases; without this each is unpacked from its base again.
        handle.set_pack_cache(|| Box::new(pack::cache::lru::StaticLinkedList::<64>::default()));
        Ok(Objects { handle, format })
    }
}

/// Tags of tags followed.
const MAX_TAGS_WITHIN: usize = 16;

/// Reads objects.
pub(crate) struct Objects {
    pub(crate) handle: gix::odb::Handle,
    pub(crate) format: Kind,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").finish_non_exhaustive()
    }
}

impl Objects {
    /// The kind and bytes of an object, in `buffer`.
    pub(crate) fn read<'a>(
        &self,
        id: ObjectId,
        buffer: &'a mut Vec<u8>,
    ) -> Result<gix::objs::Data<'a>, Error> {
        self.handle.find(&id, buffer).map_err(|e| Error::objects(format!("read object {id}"), e))
    }

    pub(crate) fn exists(&self, id: ObjectId) -> bool {
        gix::objs::Exists::exists(&self.handle, &id)
    }

    pub(crate) fn commit_time(&self, id: ObjectId) -> Result<i64, Error> {
        let mut buffer = Vec::new();
        let commit = self
            .handle
            .find_commit(&id, &mut buffer)
            .map_err(|e| Error::objects(format!("read commit {id}"), e))?;
        Ok(commit.time().map_or(0, |time| time.seconds))
    }

    pub(crate) fn kind(&self, id: ObjectId) -> Result<gix::objs::Kind, Error> {
        use gix::objs::FindHeader as _;
        let failed = |e| Error::objects(format!("read object {id}"), e);
        match self.handle.try_header(&id).map_err(failed)? {
            Some(header) => Ok(header.kind),
            None => Ok(self.read(id, &mut Vec::new())?.kind),
        }
    }

    /// What a tag points to.
    pub(crate) fn tag_target(&self, id: ObjectId) -> Result<ObjectId, Error> {
        let mut buffer = Vec::new();
        let tag = self
            .handle
            .find_tag(&id, &mut buffer)
            .map_err(|e| Error::objects(format!("read tag {id}"), e))?;
        Ok(tag.target())
    }

    /// What a tag, or a tag of a tag, leads to in the end.
    pub(crate) fn peel(&self, mut id: ObjectId) -> Result<ObjectId, Error> {
        for _ in 0..MAX_TAGS_WITHIN {
            if self.kind(id)? != gix::objs::Kind::Tag {
                break;
            }
            id = self.tag_target(id)?;
        }
        Ok(id)
    }

    /// The tree of a commit and its parents.
    pub(crate) fn commit(&self, id: ObjectId) -> Result<(ObjectId, Vec<ObjectId>), Error> {
        let mut buffer = Vec::new();
        let commit = self
            .handle
            .find_commit(&id, &mut buffer)
            .map_err(|e| Error::objects(format!("read commit {id}"), e))?;
        Ok((commit.tree(), commit.parents().collect()))
    }

    /// The entries of a tree: mode, name, id.
    pub(crate) fn tree(&self, id: ObjectId) -> Result<Vec<TreeEntry>, Error> {
        let mut buffer = Vec::new();
        let tree = self
            .handle
            .find_tree(&id, &mut buffer)
            .map_err(|e| Error::objects(format!("read tree {id}"), e))?;
        Ok(tree
            .entries
            .iter()
            .map(|e| TreeEntry { mode: e.mode.kind(), name: e.filename.to_vec(), id: e.oid.to_owned() })
            .collect())
    }
}

/// One line of a tree.
#[derive(Debug, Clone)]
pub(crate) struct TreeEntry {
    pub(crate) mode: gix::objs::tree::EntryKind,
    pub(crate) name: Vec<u8>,
    pub(crate) id: ObjectId,
}
