//! The append-only file behind `--data-dir`.
//!
//! One line per write: a CRC of the payload, a space, the payload as JSON. A thread collects what arrived meanwhile,
//! writes it, syncs once (group commit) and then lets the waiting answers go. A torn last line is cut off on opening.
//! When the file has grown to a multiple of what lives, it is written anew beside and renamed over the old one.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{ResourceKey, Stored};

/// A file smaller than this is never compacted.
const COMPACT_FROM: u64 = 4 << 20;

/// Why the log cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("cannot open the data directory {path}")]
    Open { path: PathBuf, source: std::io::Error },
    #[error("line {line} of {path} is damaged in the middle of the file; move the file away to start empty")]
    Damaged { path: PathBuf, line: usize },
}

/// One write as the file holds it.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    #[serde(rename = "v")]
    pub(crate) version: u64,
    #[serde(rename = "r")]
    pub(crate) resource: String,
    #[serde(rename = "ns", default)]
    pub(crate) namespace: String,
    #[serde(rename = "n")]
    pub(crate) name: String,
    #[serde(rename = "o", default)]
    pub(crate) object: Option<Value>,
}

/// Waits until a write is on disk.
#[derive(Debug)]
pub(crate) struct Ticket(Option<(u64, watch::Receiver<u64>)>);

impl Ticket {
    /// Nothing to wait for: the store is in memory.
    pub(super) fn done() -> Self {
        Self(None)
    }

    /// Returns when the write is durable, or `false` when the log failed before that.
    pub(crate) async fn wait(self) -> bool {
        match self.0 {
            None => true,
            Some((sequence, mut synced)) => synced.wait_for(|done| *done >= sequence).await.is_ok(),
        }
    }
}

/// Every object, with its resource.
type Live = Vec<(ResourceKey, Arc<Stored>)>;

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Bytes>,
    rewrite: Option<(Live, u64)>,
    sequence: u64,
    size: u64,
    compacted_size: u64,
    compacting: bool,
    closed: bool,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

/// The writing end of the file.
#[derive(Debug)]
pub(crate) struct Log {
    shared: Arc<Shared>,
    synced: watch::Receiver<u64>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Log {
    /// Opens `dir/objects.log`, returning what it holds.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Vec<Record>), LogError> {
        let path = dir.join("objects.log");
        let failed = |source| LogError::Open { path: path.clone(), source };
        fs_err::create_dir_all(dir).map_err(failed)?;
        let (records, good) = read(&path)?;
        let file = fs_err::OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        file.set_len(good).map_err(failed)?;
        let queue = Queue { size: good, compacted_size: good, ..Queue::default() };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), wake: Condvar::new() });
        let (sender, synced) = watch::channel(0);
        let for_writer = shared.clone();
        let writer = std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || write_loop(&for_writer, &path, file, &sender))
            .map_err(|source| LogError::Open { path: dir.to_owned(), source })?;
        Ok((Self { shared, synced, writer: Mutex::new(Some(writer)) }, records))
    }

    /// Queues a write; called in version order, under the store's lock.
    pub(super) fn append(&self, resource: &str, stored: &Stored, live: bool) -> Ticket {
        let line = encode(resource, stored, live);
        let mut queue = self.shared.queue.lock();
        queue.sequence += 1;
        queue.size += line.len() as u64;
        queue.lines.push_back(line);
        let sequence = queue.sequence;
        drop(queue);
        self.shared.wake.notify_one();
        Ticket(Some((sequence, self.synced.clone())))
    }

    pub(super) fn wants_compaction(&self) -> bool {
        let queue = self.shared.queue.lock();
        !queue.compacting && queue.size > COMPACT_FROM && queue.size > queue.compacted_size.saturating_mul(3)
    }

    /// Has the file written anew from `live`, which is the state after the last append.
    pub(super) fn compact(&self, live: Vec<(ResourceKey, Arc<Stored>)>, version: u64) {
        let mut queue = self.shared.queue.lock();
        queue.compacting = true;
        // Everything queued so far is in `live`.
        queue.lines.clear();
        queue.rewrite = Some((live, version));
        drop(queue);
        self.shared.wake.notify_one();
    }

    pub(super) fn close(&self) {
        self.shared.queue.lock().closed = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            tracing::error!("the log writer panicked");
        }
    }
}

fn encode(resource: &str, stored: &Stored, live: bool) -> Bytes {
    let head =
        json!({"v": stored.version, "r": resource, "ns": &*stored.namespace, "n": &*stored.name}).to_string();
    let mut payload = head.into_bytes();
    if live {
        payload.pop();
        payload.extend_from_slice(b",\"o\":");
        payload.extend_from_slice(&stored.json);
        payload.push(b'}');
    }
    let mut line = format!("{:08x} ", crc32(&payload)).into_bytes();
    line.append(&mut payload);
    line.push(b'\n');
    line.into()
}

/// CRC-32 (IEEE), bit by bit over a small table built once.
fn crc32(data: &[u8]) -> u32 {
    static TABLE: std::sync::OnceLock<[u32; 256]> = std::sync::OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table = [0u32; 256];
        for (i, slot) in (0u32..).zip(table.iter_mut()) {
            *slot = (0..8).fold(i, |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 });
        }
        table
    });
    !data.iter().fold(!0u32, |crc, byte| {
        let index = usize::from(*byte) ^ (crc as usize & 0xff);
        table.get(index).copied().unwrap_or_default() ^ (crc >> 8)
    })
}

fn read(path: &Path) -> Result<(Vec<Record>, u64), LogError> {
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(source) => return Err(LogError::Open { path: path.to_owned(), source }),
    };
    let mut reader = BufReader::new(file);
    let (mut records, mut good, mut number) = (Vec::new(), 0u64, 0usize);
    let mut bad_at = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .map_err(|source| LogError::Open { path: path.to_owned(), source })?;
        if read == 0 {
            break;
        }
        number += 1;
        match (bad_at, parse(&line)) {
            // A torn write leaves one bad tail; good lines after a bad one mean damage.
            (Some(line), Some(_)) => return Err(LogError::Damaged { path: path.to_owned(), line }),
            (None, Some(record)) => {
                records.push(record);
                good += read as u64;
            }
            (_, None) => bad_at = bad_at.or(Some(number)),
        }
    }
    if let Some(line) = bad_at {
        tracing::warn!(line, path = %path.display(), "cut a torn tail off the log");
    }
    Ok((records, good))
}

fn parse(line: &[u8]) -> Option<Record> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, payload) = line.split_at_checked(9)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?.trim_end(), 16).ok()?;
    if sum != crc32(payload) {
        return None;
    }
    serde_json::from_slice(payload).ok()
}

fn write_loop(shared: &Shared, path: &Path, mut file: fs_err::File, synced: &watch::Sender<u64>) {
    loop {
        let (lines, rewrite, sequence) = {
            let mut queue = shared.queue.lock();
            while queue.lines.is_empty() && queue.rewrite.is_none() {
                if queue.closed {
                    return;
                }
                shared.wake.wait(&mut queue);
            }
            (std::mem::take(&mut queue.lines), queue.rewrite.take(), queue.sequence)
        };
        let result = match rewrite {
            Some((live, version)) => compact(path, &live, version, &lines).map(|(new, size)| {
                file = new;
                let mut queue = shared.queue.lock();
                queue.size = size + queue.lines.iter().map(|l| l.len() as u64).sum::<u64>();
                queue.compacted_size = size;
                queue.compacting = false;
            }),
            None => append(&mut file, &lines),
        };
        if let Err(error) = result {
            tracing::error!(%error, path = %path.display(), "cannot write the log; no further write is acknowledged");
            return;
        }
        synced.send_replace(sequence);
    }
}

fn append(file: &mut fs_err::File, lines: &VecDeque<Bytes>) -> std::io::Result<()> {
    let mut batch = Vec::with_capacity(lines.iter().map(Bytes::len).sum());
    lines.iter().for_each(|line| batch.extend_from_slice(line));
    file.write_all(&batch)?;
    file.sync_data()
}

fn compact(
    path: &Path,
    live: &[(ResourceKey, Arc<Stored>)],
    version: u64,
    after: &VecDeque<Bytes>,
) -> std::io::Result<(fs_err::File, u64)> {
    let beside = path.with_extension("log.new");
    let mut file = fs_err::File::create(&beside)?;
    let mut out = std::io::BufWriter::new(&mut file);
    let mut size = 0u64;
    // The version outlives a deletion that was the last write: an empty record carries it.
    let mark = Stored { version, ..Stored::describe(&Value::Null) };
    for line in live
        .iter()
        .map(|(r, o)| encode(r, o, true))
        .chain([encode("", &mark, false)])
        .chain(after.iter().cloned())
    {
        size += line.len() as u64;
        out.write_all(&line)?;
    }
    out.flush()?;
    drop(out);
    file.sync_all()?;
    fs_err::rename(&beside, path)?;
    if let Some(dir) = path.parent() {
        fs_err::File::open(dir)?.sync_all()?;
    }
    Ok((fs_err::OpenOptions::new().append(true).open(path)?, size))
}
