//! A strict reader of tar: USTAR, PAX and GNU long names; it never guesses where the next header is.
//!
//! Sources: POSIX.1-2001 `pax`, GNU tar's manual. A size in a PAX record that contradicts the header is refused: two
//! readers that believe different ones see different archives (CVE-2025-62518).

use std::io::Read;

use super::{Failure, damaged, refuse};

const BLOCK: usize = 512;
/// Bytes of a PAX record list or of a long name; Go's `archive/tar` has the same bound.
const META_LIMIT: u64 = 1 << 20;
/// Meta headers in a row before one entry.
const META_HEADERS: usize = 8;

/// One entry; its content follows in the [`Reader`].
#[derive(Debug)]
pub(super) struct Entry {
    /// The path as written.
    pub(super) path: String,
    pub(super) kind: EntryKind,
    /// Bytes of content.
    pub(super) size: u64,
}

#[derive(Debug)]
pub(super) enum EntryKind {
    File { executable: bool },
    Directory,
    Symlink { target: String },
}

/// Reads entries one after the other.
#[derive(Debug)]
pub(super) struct Reader<R> {
    source: R,
    /// Bytes before the next header: what was not read of the content, and its padding.
    to_skip: u64,
    /// Padding after content that was read.
    padding: u64,
}

/// What meta headers say about the next entry.
#[derive(Debug, Default)]
struct Meta {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

impl<R: Read> Reader<R> {
    pub(super) const fn new(source: R) -> Self {
        Self { source, to_skip: 0, padding: 0 }
    }

    pub(super) const fn source(&self) -> &R {
        &self.source
    }

    pub(super) fn into_source(self) -> R {
        self.source
    }

    /// The next entry; `None` at the end of the archive.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Failure> {
        let mut meta = Meta::default();
        for seen in 0..=META_HEADERS {
            self.skip()?;
            let Some(block) = self.block()? else {
                return if seen == 0 { Ok(None) } else { Err(damaged("it ends within an entry")) };
            };
            let header = Header(&block);
            let size = header.checked_size()?;
            match header.kind() {
                b'x' => meta.read_pax(&self.meta(size)?)?,
                b'L' => meta.path = Some(long_name(&self.meta(size)?)),
                b'K' => meta.link = Some(long_name(&self.meta(size)?)),
                // Global records may set owners and times, which nothing here uses, or a comment.
                b'g' => Meta::default().read_pax(&self.meta(size)?)?,
                _ => return self.entry(&header, size, meta).map(Some),
            }
        }
        Err(damaged("too many extended headers in a row"))
    }

    /// The content of the entry that was returned last.
    pub(super) fn content(&mut self, size: u64) -> Result<Vec<u8>, Failure> {
        // The capacity is not taken from the header alone: it may lie about a small archive.
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(1 << 20)).unwrap_or(0));
        let read = (&mut self.source).take(size).read_to_end(&mut bytes)?;
        if (read as u64) < size {
            return Err(damaged("it is cut off"));
        }
        self.to_skip = self.padding;
        Ok(bytes)
    }

    fn entry(&mut self, header: &Header<'_>, size: u64, meta: Meta) -> Result<Entry, Failure> {
        let path = meta.path.unwrap_or_else(|| header.path());
        let size = match meta.size {
            Some(extended) if size != 0 && extended != size => {
                return Err(refuse(&path, "its two headers give different sizes"));
            }
            Some(extended) => extended,
            None => size,
        };
        let kind = match header.kind() {
            b'0' | b'\0' | b'7' if path.ends_with('/') => EntryKind::Directory,
            b'0' | b'\0' | b'7' => EntryKind::File { executable: header.mode() & 0o111 != 0 },
            b'5' => EntryKind::Directory,
            b'2' => EntryKind::Symlink { target: meta.link.unwrap_or_else(|| header.text(157, 100)) },
            b'1' => return Err(refuse(&path, "it is a hard link")),
            b'3' | b'4' => return Err(refuse(&path, "it is a device")),
            b'6' => return Err(refuse(&path, "it is a pipe")),
            b'S' => return Err(refuse(&path, "it is a sparse file")),
            _ => return Err(refuse(&path, "its type is unknown")),
        };
        if size > 0 && !matches!(kind, EntryKind::File { .. }) {
            return Err(refuse(&path, "it has content but is no file"));
        }
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        self.to_skip = size + self.padding;
        Ok(Entry { path, kind, size })
    }

    fn meta(&mut self, size: u64) -> Result<Vec<u8>, Failure> {
        if size > META_LIMIT {
            return Err(damaged("an extended header is larger than 1 MiB"));
        }
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        self.content(size)
    }

    fn skip(&mut self) -> Result<(), Failure> {
        let skipped = std::io::copy(&mut (&mut self.source).take(self.to_skip), &mut std::io::sink())?;
        if skipped < self.to_skip {
            return Err(damaged("it is cut off"));
        }
        self.to_skip = 0;
        Ok(())
    }

    /// The next header; `None` after an empty block or at the end of the input.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Failure> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.source.read(rest)? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(damaged("it is cut off")),
                read => filled += read,
            }
        }
        Ok(block.iter().any(|byte| *byte != 0).then_some(block))
    }
}

struct Header<'a>(&'a [u8; BLOCK]);

impl Header<'_> {
    fn field(&self, at: usize, length: usize) -> &[u8] {
        self.0.get(at..at + length).unwrap_or_default()
    }

    fn text(&self, at: usize, length: usize) -> String {
        let field = self.field(at, length).split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(field).into_owned()
    }

    fn kind(&self) -> u8 {
        self.field(156, 1).first().copied().unwrap_or_default()
    }

    fn path(&self) -> String {
        let name = self.text(0, 100);
        // GNU's old format keeps times where USTAR has the prefix; its magic differs.
        let prefix = if self.field(257, 6) == b"ustar\0" { self.text(345, 155) } else { String::new() };
        if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
    }

    fn mode(&self) -> u64 {
        number(self.field(100, 8)).unwrap_or_default()
    }

    fn checked_size(&self) -> Result<u64, Failure> {
        let sum = number(self.field(148, 8)).ok_or_else(|| damaged("a header has no checksum"))?;
        let bytes = || {
            self.0.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte })
        };
        let unsigned: u64 = bytes().map(u64::from).sum();
        let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
        if sum != unsigned && i64::try_from(sum) != Ok(signed) {
            return Err(damaged("the checksum of a header is wrong"));
        }
        let size = number(self.field(124, 12)).filter(|size| *size <= i64::MAX.unsigned_abs() - BLOCK as u64);
        size.ok_or_else(|| damaged("the size in a header is no number"))
    }
}

/// Octal digits with blanks and NULs around them, or GNU's base 256; blank is 0.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) {
        // Negative numbers have no meaning here.
        let start = if *first & 0x40 == 0 { u64::from(*first & 0x3f) } else { return None };
        return rest
            .iter()
            .try_fold(start, |value, byte| value.checked_mul(256)?.checked_add(u64::from(*byte)));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() {
        Some(0)
    } else {
        u64::from_str_radix(text, 8).ok().filter(|_| !text.starts_with('+'))
    }
}

fn long_name(bytes: &[u8]) -> String {
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

impl Meta {
    /// Reads `<length> <key>=<value>\n` records.
    fn read_pax(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        let broken = || damaged("an extended header is malformed");
        while !bytes.is_empty() {
            let space = bytes.iter().take(20).position(|byte| *byte == b' ').ok_or_else(broken)?;
            let digits = bytes.get(..space).and_then(|digits| std::str::from_utf8(digits).ok());
            let length: usize = digits.and_then(|digits| digits.parse().ok()).ok_or_else(broken)?;
            let (record, rest) = bytes.split_at_checked(length).ok_or_else(broken)?;
            let record =
                record.get(space + 1..).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(broken)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
            let (key, value) = record.split_at_checked(equals).ok_or_else(broken)?;
            self.set(&String::from_utf8_lossy(key), value.get(1..).unwrap_or_default())?;
            bytes = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &[u8]) -> Result<(), Failure> {
        let text = || String::from_utf8_lossy(value).into_owned();
        match key {
            "path" => self.path = Some(text()).filter(|path| !path.is_empty()),
            "linkpath" => self.link = Some(text()).filter(|link| !link.is_empty()),
            "size" => {
                let size = text().parse().ok().filter(|size| *size <= i64::MAX.unsigned_abs() - BLOCK as u64);
                self.size = Some(size.ok_or_else(|| damaged("the size in an extended header is no number"))?);
            }
            key if key.starts_with("GNU.sparse") => return Err(damaged("it holds a sparse file")),
            _ => {}
        }
        Ok(())
    }
}
