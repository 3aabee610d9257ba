//! From a snapshot and the included artifacts to a stored archive. Blocking.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ferrite_artifact::{
    ArchiveError, Bounds, Health, Item, ItemKind, Limits, Rules, Store, StoreError, Stored, archive, unpack,
};
use ferrite_git::{Entry, EntryKind, Files, Snapshot, Walk};

use super::{Build, Error, Included};

/// Where the bytes of an item are.
enum Content {
    /// In the commit, under this path; read in the order of the walk.
    Commit(String),
    /// In memory, out of an included artifact.
    Included(Arc<[u8]>),
}

/// Why a file could not be read.
type ReadError = Box<dyn std::error::Error + Send + Sync>;

/// Archives the commit of `snapshot` as `build` says, and stores it.
pub(super) fn store(store: &dyn Store, build: &Build, snapshot: &Snapshot) -> Result<Stored, Error> {
    let mut items = commit_items(build, snapshot)?;
    for one in &build.included {
        include(store, one, &mut items)?;
    }
    let rules = rules(build, snapshot, &items)?;
    let failed = |error| Error::Store(Arc::new(error));
    let mut pending = store.create(&build.directory, &build.file).map_err(failed)?;
    let mut reader = Reader::new(build, snapshot)?;
    archive(items, &rules, Bounds::default(), |content| reader.read(content), &mut pending)
        .map_err(unwrap_archive)?;
    pending.commit().map_err(failed)
}

fn commit_items(build: &Build, snapshot: &Snapshot) -> Result<Vec<Item<Content>>, Error> {
    let mut items = Vec::new();
    for entry in walk(build, snapshot)? {
        let Entry { path, kind, id: _ } = entry?;
        let kind = match kind {
            // A submodule that is not fetched is an empty directory, as in a checkout.
            EntryKind::Directory => ItemKind::Directory,
            EntryKind::Submodule => ItemKind::Directory,
            EntryKind::File => ItemKind::File { executable: false },
            EntryKind::Executable => ItemKind::File { executable: true },
            EntryKind::Symlink => ItemKind::Other,
        };
        items.push(Item { content: Content::Commit(path.clone()), path, kind });
    }
    Ok(items)
}

fn walk(build: &Build, snapshot: &Snapshot) -> Result<Walk, Error> {
    Ok(if build.sparse.is_empty() { snapshot.walk() } else { snapshot.walk_below(&build.sparse)? })
}

/// Copies a directory of an included artifact into the items.
fn include(store: &dyn Store, one: &Included, items: &mut Vec<Item<Content>>) -> Result<(), Error> {
    let name = &one.include.repository.name;
    let (from, to) = (clean(name, one.include.from_path())?, clean(name, one.include.to_path())?);
    let fail = |problem: String| Error::IncludeCopy {
        include: name.clone(),
        from: if from.is_empty() { "/".to_owned() } else { from.clone() },
        to: to.clone(),
        problem,
    };
    let below = |path: &str, directory: &str| {
        directory.is_empty()
            || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if items.iter().any(|item| below(&item.path, &to)) {
        return Err(fail(format!("'{to}' exists in the repository already")));
    }
    let io = |error: StoreError| fail(ferrite_runtime::chain(&error));
    let health = store.check(&one.artifact.path, &one.artifact.digest).map_err(io)?;
    let archive = if health == Health::Good { store.open(&one.artifact.path).map_err(io)? } else { None };
    let archive = archive.ok_or_else(|| fail("its artifact is not in the storage".to_owned()))?;
    let tree = unpack(archive, &Limits::default()).map_err(|error| fail(error.to_string()))?;
    let mut found = false;
    for (path, bytes, executable) in tree.files().filter(|(path, ..)| below(path, &from)) {
        found = true;
        let inside = path.strip_prefix(from.as_str()).unwrap_or(path).trim_start_matches('/');
        let path = if inside.is_empty() { to.clone() } else { format!("{to}/{inside}") };
        let kind = ItemKind::File { executable };
        items.push(Item { path, kind, content: Content::Included(bytes.into()) });
    }
    if found { Ok(()) } else { Err(fail(format!("there is nothing at '{from}'"))) }
}

/// A directory of an include without `./` and slashes; `..` leads nowhere.
fn clean(include: &str, path: &str) -> Result<String, Error> {
    let illegal = |problem: &str| Error::IncludePath {
        include: include.to_owned(),
        problem: format!("'{path}' {problem}"),
    };
    let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    if names.contains(&"..") {
        return Err(illegal("leads out of the repository"));
    }
    if path.contains('\0') || path.len() > 4096 {
        return Err(illegal("is not a usable path"));
    }
    Ok(names.join("/"))
}

fn rules(build: &Build, snapshot: &Snapshot, items: &[Item<Content>]) -> Result<Rules, Error> {
    let mut wanted: HashSet<&str> = items
        .iter()
        .filter(|item| matches!(item.kind, ItemKind::File { .. }))
        .filter_map(|item| match &item.content {
            Content::Commit(path) => Some(path.as_str()),
            Content::Included(_) => None,
        })
        .filter(|path| path.rsplit('/').next() == Some(Rules::FILE_NAME))
        .collect();
    let mut files = walk(build, snapshot)?.files();
    let mut found: HashMap<String, Vec<u8>> = HashMap::new();
    while !wanted.is_empty() {
        let Some(file) = files.next().transpose()? else { break };
        if wanted.remove(file.path.as_str()) {
            found.insert(file.path, file.bytes);
        }
    }
    let read = |content: &Content| match content {
        Content::Included(bytes) => Ok(bytes.to_vec()),
        Content::Commit(path) => found.get(path).cloned().ok_or_else(|| not_there(path)),
    };
    Rules::load(items, build.ignore.as_deref(), read).map_err(|error| Error::Ignore(Arc::new(error)))
}

fn not_there(path: &str) -> ReadError {
    format!("'{path}' is not where the commit lists it").into()
}

/// Reads items in the order of the walk: what is asked for must not lie before what was read last.
struct Reader {
    files: Files,
}

impl Reader {
    fn new(build: &Build, snapshot: &Snapshot) -> Result<Self, Error> {
        Ok(Self { files: walk(build, snapshot)?.files() })
    }

    fn read(&mut self, content: &Content) -> Result<Vec<u8>, ReadError> {
        let wanted = match content {
            Content::Included(bytes) => return Ok(bytes.to_vec()),
            Content::Commit(path) => path,
        };
        for file in &mut self.files {
            let file = file?;
            if file.path == *wanted {
                return Ok(file.bytes);
            }
        }
        Err(not_there(wanted))
    }
}

/// A commit that cannot be read is a failed fetch, not a failed storage.
fn unwrap_archive(error: ArchiveError) -> Error {
    match error {
        ArchiveError::Read { path, source } => match source.downcast::<ferrite_git::Error>() {
            Ok(error) => Error::from(*error),
            Err(source) => Error::Archive(Arc::new(ArchiveError::Read { path, source })),
        },
        ArchiveError::Write(source) => Error::Store(Arc::new(StoreError::Io {
            action: "write the archive for",
            path: std::path::PathBuf::from("the artifact"),
            source,
        })),
        other => Error::Archive(Arc::new(other)),
    }
}
