//! Artifacts on a local disk or a mounted volume.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use fs_err::{File, OpenOptions, os::unix::fs::OpenOptionsExt as _};
use parking_lot::Mutex;

use super::{Health, ObjectDirectory, Pending, Retention, Store, StoreError, Stored, check_name};
use crate::{Algorithm, Digest, Hasher};

const LOCK_SUFFIX: &str = ".lock";
const TEMPORARY_SUFFIX: &str = ".tmp";
/// Files looked at by one collection.
const COLLECT_LIMIT: usize = 1000;

/// A [`Store`] in a directory. Cheap to clone; clones share what they know.
#[derive(Debug, Clone)]
pub struct DiskStore {
    root: Arc<Path>,
    algorithm: Algorithm,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

/// A file that was hashed: unless its metadata change, its bytes have not.
#[derive(Debug, Clone)]
struct Known {
    print: Fingerprint,
    digest: Digest,
}

/// Device, inode, size and the time of the last change of content or metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint(u64, u64, u64, i64, i64);

impl Fingerprint {
    fn of(meta: &std::fs::Metadata) -> Self {
        Self(meta.dev(), meta.ino(), meta.len(), meta.ctime(), meta.ctime_nsec())
    }
}

impl DiskStore {
    /// Opens the directory `root`; new artifacts are named by `algorithm`. Removes what a killed writer left behind.
    ///
    /// # Errors
    /// [`StoreError::NoDirectory`] or [`StoreError::Io`].
    pub fn open(root: impl AsRef<Path>, algorithm: Algorithm) -> Result<Self, StoreError> {
        let given = root.as_ref();
        let root = fs_err::canonicalize(given).ok().filter(|root| root.is_dir());
        let root = root.ok_or_else(|| StoreError::NoDirectory { path: given.to_owned() })?;
        sweep(&root, 3).map_err(|source| io_error("clean", &root, source))?;
        Ok(Self { root: root.into(), algorithm, known: Arc::default() })
    }

    /// The directory, with links resolved.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn directory(&self, directory: &ObjectDirectory) -> PathBuf {
        self.root.join(directory.to_string())
    }

    /// Where the artifact at `path` is; only paths of four plain names exist.
    fn locate(&self, path: &str) -> Result<PathBuf, StoreError> {
        let names: Vec<&str> = path.split('/').collect();
        if names.len() != 4 {
            return Err(StoreError::Name { name: path.chars().take(256).collect() });
        }
        names.iter().try_for_each(|name| check_name(name))?;
        Ok(self.root.join(path))
    }

    /// The digest of a file by `algorithm`, from memory when it has not changed since it was hashed.
    fn digest(&self, path: &str, file: &mut File, algorithm: Algorithm) -> io::Result<Digest> {
        let print = Fingerprint::of(&file.metadata()?);
        if let Some(known) = self.known.lock().get(path)
            && known.print == print
            && known.digest.algorithm() == algorithm
        {
            return Ok(known.digest.clone());
        }
        let mut hasher = Hasher::new(algorithm);
        io::copy(file, &mut Hashing(&mut hasher))?;
        let digest = hasher.finish();
        self.known.lock().insert(path.to_owned(), Known { print, digest: digest.clone() });
        Ok(digest)
    }
}

impl Store for DiskStore {
    fn create(&self, directory: &ObjectDirectory, file: &str) -> Result<Box<dyn Pending>, StoreError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        check_name(file)?;
        let parent = self.directory(directory);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&parent);
        made.map_err(|source| io_error("create the directory", &parent, source))?;
        let target = parent.join(file);
        let lock = lock(&parent.join(format!("{file}{LOCK_SUFFIX}")), &target)?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = parent.join(format!(".{}-{number}{TEMPORARY_SUFFIX}", std::process::id()));
        let out = new_file(&temporary).map_err(|source| io_error("create", &temporary, source))?;
        Ok(Box::new(PendingFile {
            out: io::BufWriter::with_capacity(
                64 << 10,
                Output { file: out, hasher: Hasher::new(self.algorithm), size: 0 },
            ),
            temporary: Temporary(Some(temporary)),
            target,
            path: format!("{directory}/{file}"),
            known: Arc::clone(&self.known),
            _lock: lock,
        }))
    }

    fn check(&self, path: &str, digest: &str) -> Result<Health, StoreError> {
        let place = self.locate(path)?;
        let io = |source| io_error("read", &place, source);
        match fs_err::symlink_metadata(&place) {
            Ok(meta) if meta.is_file() => {}
            Ok(_) => return Ok(Health::Missing),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Health::Missing),
            Err(error) => return Err(io(error)),
        }
        let mut file = File::open(&place).map_err(io)?;
        let right = match digest.parse::<Digest>() {
            Ok(expected) => self.digest(path, &mut file, expected.algorithm()).map_err(io)? == expected,
            Err(_) => false,
        };
        if right {
            return Ok(Health::Good);
        }
        self.known.lock().remove(path);
        fs_err::remove_file(&place).map_err(|source| io_error("remove", &place, source))?;
        Ok(Health::Corrupt)
    }

    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + Send>>, StoreError> {
        let place = self.locate(path)?;
        match File::open(&place) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io_error("read", &place, source)),
        }
    }

    fn link(&self, directory: &ObjectDirectory, alias: &str, file: &str) -> Result<(), StoreError> {
        check_name(alias)?;
        check_name(file)?;
        let parent = self.directory(directory);
        let (link, next) = (parent.join(alias), parent.join(format!("{alias}{TEMPORARY_SUFFIX}")));
        match fs_err::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", &next, error));
            }
            _ => {}
        }
        fs_err::os::unix::fs::symlink(parent.join(file), &next)
            .map_err(|source| io_error("link", &next, source))?;
        fs_err::rename(&next, &link).map_err(|source| io_error("link", &link, source))
    }

    fn collect(
        &self,
        directory: &ObjectDirectory,
        current: &str,
        retention: Retention,
        now: SystemTime,
    ) -> Result<Vec<String>, StoreError> {
        let parent = self.directory(directory);
        let mut others = match candidates(&parent, current) {
            Ok(others) => others,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io_error("list", &parent, source)),
        };
        others.sort();
        let expired =
            |modified: &SystemTime| now.duration_since(*modified).is_ok_and(|age| age > retention.ttl);
        let old = others.iter().take_while(|(modified, _)| expired(modified)).count();
        // The current file is one of the records.
        let surplus = others.len().saturating_sub(retention.records.saturating_sub(1));
        let mut removed = Vec::new();
        for (_, name) in others.into_iter().take(old.max(surplus)) {
            let place = parent.join(&name);
            fs_err::remove_file(&place).map_err(|source| io_error("remove", &place, source))?;
            // The lock goes with its file; it may never have existed.
            let _absent = fs_err::remove_file(parent.join(format!("{name}{LOCK_SUFFIX}"))).is_err();
            self.known.lock().remove(&format!("{directory}/{name}"));
            removed.push(name);
        }
        Ok(removed)
    }

    fn remove(&self, directory: &ObjectDirectory) -> Result<bool, StoreError> {
        let place = self.directory(directory);
        let prefix = format!("{directory}/");
        self.known.lock().retain(|path, _| !path.starts_with(&prefix));
        match fs_err::remove_dir_all(&place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(io_error("remove", &place, source)),
        }
    }
}

/// The files that a collection may remove, with the time of their last change.
fn candidates(directory: &Path, current: &str) -> io::Result<Vec<(SystemTime, String)>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(directory)?.take(COLLECT_LIMIT) {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let meta = entry.metadata()?;
        if meta.is_file() && name != current && !name.ends_with(LOCK_SUFFIX) {
            found.push((meta.modified()?, name));
        }
    }
    Ok(found)
}

/// Removes temporary files below `directory`, which is `depth` levels above them.
fn sweep(directory: &Path, depth: usize) -> io::Result<()> {
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 && entry.file_name() != "lost+found" {
            sweep(&entry.path(), depth - 1)?;
        } else if depth == 0 && !kind.is_dir() && entry.file_name().as_encoded_bytes().ends_with(b".tmp") {
            fs_err::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn lock(path: &Path, target: &Path) -> Result<File, StoreError> {
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let lock = opened.map_err(|source| io_error("open", path, source))?;
    match lock.file().try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Locked { path: target.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(io_error("lock", path, source)),
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, path: path.to_owned(), source }
}

struct PendingFile {
    out: io::BufWriter<Output>,
    temporary: Temporary,
    target: PathBuf,
    path: String,
    known: Arc<Mutex<HashMap<String, Known>>>,
    _lock: File,
}

struct Output {
    file: File,
    hasher: Hasher,
    size: u64,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Write for PendingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Pending for PendingFile {
    fn commit(self: Box<Self>) -> Result<Stored, StoreError> {
        let Self { out, mut temporary, target, path, known, _lock } = *self;
        let io = |action, source| io_error(action, &target, source);
        let Output { file, hasher, size } =
            out.into_inner().map_err(|error| io("write", error.into_error()))?;
        file.sync_all().map_err(|source| io("write", source))?;
        if let Some(from) = &temporary.0 {
            fs_err::rename(from, &target).map_err(|source| io("write", source))?;
        }
        temporary.0 = None;
        // The name is durable once its directory is.
        if let Some(parent) = target.parent() {
            let synced = File::open(parent).and_then(|directory| directory.sync_all());
            synced.map_err(|source| io("write", source))?;
        }
        let digest = hasher.finish();
        let print = Fingerprint::of(&file.metadata().map_err(|source| io("read", source))?);
        known.lock().insert(path.clone(), Known { print, digest: digest.clone() });
        Ok(Stored { path, digest, size })
    }
}

/// Removes its file when dropped, unless it was renamed.
struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What cannot be removed now is removed by the next start.
            let _left_behind = fs_err::remove_file(path).is_err();
        }
    }
}

struct Hashing<'a>(&'a mut Hasher);

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
