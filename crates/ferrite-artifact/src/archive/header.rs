//! Tar headers as Go's `archive/tar` writes them: USTAR where the name fits, else PAX.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;
/// Bytes copied at once.
const PIECE: usize = 16 << 10;
const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o600;
const EXECUTABLE_MODE: u32 = 0o700;

/// Writes entries one after the other.
pub(super) struct Writer<W>(W);

impl<W: Write> Writer<W> {
    pub(super) const fn new(out: W) -> Self {
        Self(out)
    }

    /// `name` ends in a slash.
    pub(super) fn directory(&mut self, name: &str) -> io::Result<()> {
        self.entry(name, b'5', DIRECTORY_MODE, 0)
    }

    /// Copies exactly `size` of `bytes`.
    pub(super) fn file(
        &mut self,
        name: &str,
        executable: bool,
        size: u64,
        mut bytes: impl Read,
    ) -> Result<(), Failure> {
        let mode = if executable { EXECUTABLE_MODE } else { FILE_MODE };
        self.entry(name, b'0', mode, size).map_err(Failure::Write)?;
        let (mut piece, mut left) = ([0; PIECE], size);
        while left > 0 {
            let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let read = bytes.read(piece.get_mut(..most).unwrap_or_default()).map_err(Failure::Read)?;
            if read == 0 {
                return Err(Failure::Read(io::ErrorKind::UnexpectedEof.into()));
            }
            self.0.write_all(piece.get(..read).unwrap_or_default()).map_err(Failure::Write)?;
            left -= read as u64;
        }
        self.padding(size).map_err(Failure::Write)
    }

    /// Two empty blocks end an archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.0.write_all(&[0; 2 * BLOCK])?;
        Ok(self.0)
    }

    fn entry(&mut self, name: &str, kind: u8, mode: u32, size: u64) -> io::Result<()> {
        if let Some((prefix, short)) = ustar_name(name) {
            return self.0.write_all(&block(prefix, short, kind, mode, size));
        }
        let record = pax_record("path", name);
        let (directory, base) = name.trim_end_matches('/').rsplit_once('/').unwrap_or(("", name));
        let pax_name = match directory {
            "" => format!("PaxHeaders.0/{base}"),
            directory => format!("{directory}/PaxHeaders.0/{base}"),
        };
        self.0.write_all(&block("", &ascii(&pax_name), b'x', 0, record.len() as u64))?;
        self.padded(record.as_bytes())?;
        self.0.write_all(&block("", &ascii(name), kind, mode, size))
    }

    fn padded(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.padding(bytes.len() as u64)
    }

    /// Fills up the block that `size` bytes end in.
    fn padding(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
        let padding = if over == 0 { 0 } else { BLOCK - over };
        self.0.write_all([0; BLOCK].get(..padding).unwrap_or_default())
    }
}

/// Which side of a copy failed.
#[derive(Debug)]
pub(super) enum Failure {
    Read(io::Error),
    Write(io::Error),
}

/// The two fields of a USTAR name; `None` when it needs PAX. The prefix is split off at the last slash that lets both
/// parts fit.
fn ustar_name(name: &str) -> Option<(&str, &str)> {
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= 100 {
        return Some(("", name));
    }
    let (head, _) = name.split_at_checked(name.trim_end_matches('/').len().min(156))?;
    let (prefix, _) = head.rsplit_once('/')?;
    let short = name.strip_prefix(prefix)?.strip_prefix('/')?;
    (!prefix.is_empty() && prefix.len() <= 155 && !short.is_empty() && short.len() <= 100)
        .then_some((prefix, short))
}

/// The fallback name of an entry whose real one is in its PAX record: what is ASCII of it, cut to fit.
fn ascii(name: &str) -> String {
    name.chars().filter(char::is_ascii).take(100).collect()
}

/// `<length> <key>=<value>\n`, where the length counts itself.
fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    length = rest + length.to_string().len();
    format!("{length} {key}={value}\n")
}

fn block(prefix: &str, name: &str, kind: u8, mode: u32, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block, 0, name.as_bytes());
    put(&mut block, 100, format!("{mode:07o}").as_bytes());
    put(&mut block, 108, b"0000000");
    put(&mut block, 116, b"0000000");
    put(&mut block, 124, format!("{size:011o}").as_bytes());
    put(&mut block, 136, b"00000000000");
    put(&mut block, 148, b"        ");
    put(&mut block, 156, &[kind]);
    put(&mut block, 257, b"ustar\x0000");
    put(&mut block, 329, b"0000000");
    put(&mut block, 337, b"0000000");
    put(&mut block, 345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    block
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    for (target, byte) in block.iter_mut().skip(at).zip(bytes) {
        *target = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expect: Option<(&str, &str)>) {
        assert_eq!(ustar_name(name), expect);
    }

    #[test]
    fn long_names_are_split_where_they_fit() {
        let (d, f) = ("d".repeat(120), "f".repeat(90));
        check("short", Some(("", "short")));
        check(&format!("{d}/{f}"), Some((&d, &f)));
        check(&format!("{d}/{f}/"), Some((&d, &format!("{f}/"))));
        check(&format!("{d}/{d}"), None);
        check(&format!("{}/{f}", "d".repeat(156)), None);
        check("ä", None);
    }

    #[test]
    fn a_record_counts_its_own_length() {
        assert_eq!(pax_record("path", "ä"), "11 path=ä\n");
        let long = pax_record("path", &"x".repeat(91));
        assert_eq!(long.len(), 101, "a hundred would take one digit more");
        assert!(long.starts_with("101 path="));
        assert_eq!(pax_record("path", &"x".repeat(90)).len(), 99);
    }
}
