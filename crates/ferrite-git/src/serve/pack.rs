//! Which objects a fetch needs, and the pack that holds them.

use std::collections::{HashSet, VecDeque};
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::ObjectId;
use gix::objs::Kind;
use gix::objs::tree::EntryKind as Mode;

use super::{Sender, Stop};
use crate::objects::Objects;
use crate::pktline;
use crate::protocol::bounded;
use crate::{Error, Ref};

/// What a client wants and what it has.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) wants: Vec<ObjectId>,
    pub(crate) haves: Vec<ObjectId>,
    /// Commits whose parents the client does not have.
    pub(crate) shallow: Vec<ObjectId>,
    /// Commits from a want down, the want included.
    pub(crate) depth: Option<u32>,
    pub(crate) include_tag: bool,
}

/// What to send.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Commits whose parents are not sent.
    pub(crate) shallow: Vec<ObjectId>,
    /// Commits of the client that were shallow and no longer are.
    pub(crate) unshallow: Vec<ObjectId>,
    /// In the order of the pack.
    pub(crate) objects: Vec<ObjectId>,
}

pub(crate) fn select(objects: &Objects, asked: &Asked, refs: &[Ref]) -> Result<Selection, Error> {
    let mut selection = Selection::default();
    let known_shallow: HashSet<ObjectId> = asked.shallow.iter().copied().collect();
    let client = owned_by_client(objects, asked, &known_shallow)?;
    let mut seen = HashSet::new();
    // The trees of the newest shared commits; more could be left out, never less.
    for id in asked.haves.iter().filter(|id| client.contains(*id)) {
        note_tree(objects, objects.commit(*id)?.0, &mut seen)?;
    }
    let mut queue = VecDeque::new();
    for want in &asked.wants {
        if let Some(commit) = peel(objects, *want, &mut seen, &mut selection.objects)? {
            queue.push_back((commit, 1_u32));
        }
    }
    let mut visited = HashSet::new();
    let mut sent = HashSet::new();
    while let Some((id, level)) = queue.pop_front() {
        // Breadth first: the first visit is at the least depth.
        if !visited.insert(id) || (asked.depth.is_none() && client.contains(&id)) {
            continue;
        }
        let (tree, parents) = objects.commit(id)?;
        let cut =
            asked.depth.is_some_and(|depth| level >= depth) || parents.iter().any(|p| !objects.exists(*p));
        if cut && !parents.is_empty() {
            selection.shallow.push(id);
        } else {
            if known_shallow.contains(&id) {
                selection.unshallow.push(id);
            }
            queue.extend(parents.into_iter().map(|parent| (parent, level + 1)));
        }
        if !client.contains(&id) {
            sent.insert(id);
            selection.objects.push(id);
            add_tree(objects, tree, &mut seen, &mut selection.objects)?;
        }
    }
    selection.shallow.retain(|id| !known_shallow.contains(id));
    if asked.include_tag {
        for found in refs {
            if found.peeled.is_some_and(|commit| sent.contains(&commit)) && seen.insert(found.target) {
                selection.objects.push(found.target);
            }
        }
    }
    Ok(selection)
}

/// Every commit the client has, as far as what it says tells.
fn owned_by_client(
    objects: &Objects,
    asked: &Asked,
    shallow: &HashSet<ObjectId>,
) -> Result<HashSet<ObjectId>, Error> {
    let mut owned = HashSet::new();
    let mut stack: Vec<ObjectId> = Vec::new();
    for have in &asked.haves {
        if objects.exists(*have) && objects.kind(*have)? == Kind::Commit {
            stack.push(*have);
        }
    }
    while let Some(id) = stack.pop() {
        if !owned.insert(id) || shallow.contains(&id) {
            continue;
        }
        let (_, parents) = objects.commit(id)?;
        stack.extend(parents.into_iter().filter(|p| objects.exists(*p)));
    }
    Ok(owned)
}

/// Follows tags to a commit, adding each; trees and blobs are added and lead no further.
fn peel(
    objects: &Objects,
    mut id: ObjectId,
    seen: &mut HashSet<ObjectId>,
    out: &mut Vec<ObjectId>,
) -> Result<Option<ObjectId>, Error> {
    loop {
        match objects.kind(id)? {
            Kind::Commit => return Ok(Some(id)),
            Kind::Tag => {
                if !seen.insert(id) {
                    return Ok(None);
                }
                out.push(id);
                id = objects.tag_target(id)?;
            }
            Kind::Tree => {
                add_tree(objects, id, seen, out)?;
                return Ok(None);
            }
            Kind::Blob => {
                if seen.insert(id) {
                    out.push(id);
                }
                return Ok(None);
            }
        }
    }
}

fn add_tree(
    objects: &Objects,
    root: ObjectId,
    seen: &mut HashSet<ObjectId>,
    out: &mut Vec<ObjectId>,
) -> Result<(), Error> {
    let mut stack = vec![root];
    while let Some(tree) = stack.pop() {
        if !seen.insert(tree) {
            continue;
        }
        out.push(tree);
        for entry in objects.tree(tree)? {
            match entry.mode {
                Mode::Tree => stack.push(entry.id),
                Mode::Commit => {}
                Mode::Blob | Mode::BlobExecutable | Mode::Link => {
                    if seen.insert(entry.id) {
                        out.push(entry.id);
                    }
                }
            }
        }
    }
    Ok(())
}

fn note_tree(objects: &Objects, root: ObjectId, seen: &mut HashSet<ObjectId>) -> Result<(), Error> {
    add_tree(objects, root, seen, &mut Vec::new())
}

/// Writes the pack of `ids`, in side-band packets or bare.
pub(crate) fn write(
    objects: &Objects,
    ids: &[ObjectId],
    side_band: bool,
    out: &mut Sender,
) -> Result<(), Stop> {
    let mut pack = Pack { out, hasher: gix::hash::hasher(objects.format), side_band };
    let Ok(count) = u32::try_from(ids.len()) else { return pack.fail("too many objects for one pack") };
    pack.put(&[b"PACK".as_slice(), &2_u32.to_be_bytes(), &count.to_be_bytes()].concat())?;
    let (mut buffer, mut packed) = (Vec::new(), Vec::new());
    for id in ids {
        let data = match objects.read(*id, &mut buffer) {
            Ok(data) => data,
            Err(error) => return pack.fail(&error.to_string()),
        };
        packed.clear();
        entry_header(&mut packed, data.kind, data.data.len() as u64);
        let mut encoder = ZlibEncoder::new(&mut packed, Compression::fast());
        // Writing to memory cannot fail.
        if encoder.write_all(data.data).and_then(|()| encoder.finish().map(|_| ())).is_err() {
            return pack.fail("cannot compress an object");
        }
        pack.put(&packed)?;
    }
    let Ok(checksum) = pack.hasher.clone().try_finalize() else {
        return pack.fail("cannot compute the checksum");
    };
    pack.emit(checksum.as_slice())?;
    if side_band {
        let mut end = Vec::new();
        pktline::flush(&mut end);
        pack.out.send(&end)?;
    }
    Ok(())
}

/// Type and size, seven bits a byte after the first four (gitformat-pack).
fn entry_header(out: &mut Vec<u8>, kind: Kind, size: u64) {
    let kind: u8 = match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    };
    let low = |bits: u64, mask: u64| (bits & mask) as u8;
    let mut byte = (kind << 4) | low(size, 0x0f);
    let mut rest = size >> 4;
    while rest > 0 {
        out.push(byte | 0x80);
        byte = low(rest, 0x7f);
        rest >>= 7;
    }
    out.push(byte);
}

struct Pack<'a> {
    out: &'a mut Sender,
    hasher: gix::hash::Hasher,
    side_band: bool,
}

impl Pack<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.hasher.update(bytes);
        self.emit(bytes)
    }

    fn emit(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if !self.side_band {
            return self.out.send(bytes);
        }
        let mut packet = Vec::new();
        for chunk in bytes.chunks(pktline::MAX_PAYLOAD - 1) {
            packet.clear();
            pktline::data(&mut packet, &[&[1], chunk].concat());
            self.out.send(&packet)?;
        }
        Ok(())
    }

    /// A pack that fails midway is reported in the error band, or simply ends.
    fn fail(&mut self, message: &str) -> Result<(), Stop> {
        if self.side_band {
            let mut packet = Vec::new();
            pktline::data(&mut packet, format!("\u{3}{}\n", bounded(message.as_bytes())).as_bytes());
            self.out.send(&packet)?;
            self.out.flush()?;
        }
        Err(Stop)
    }
}
