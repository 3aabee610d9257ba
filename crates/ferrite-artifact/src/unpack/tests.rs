use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::*;

/// A header as a hostile writer may make it, with the checksum right.
fn header(name: &str, kind: u8, size: u64) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = kind;
    block[257..265].copy_from_slice(b"ustar\x0000");
    sum(&mut block);
    block
}

fn sum(block: &mut [u8; 512]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

fn entry(name: &str, kind: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, kind, content.len() as u64).to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn link(name: &str, kind: u8, target: &str) -> Vec<u8> {
    let mut block = header(name, kind, 0);
    block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    sum(&mut block);
    block.to_vec()
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length += 1;
        }
        text.push_str(&format!("{length} {key}={value}\n"));
    }
    entry("pax", b'x', text.as_bytes())
}

fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(tar).unwrap();
    encoder.finish().unwrap()
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = entries.concat();
    tar.resize(tar.len() + 1024, 0);
    gzip(&tar)
}

fn paths(archive: &[u8]) -> Vec<String> {
    let tree = unpack(archive, &Limits::default()).unwrap();
    tree.files().map(|(path, ..)| path.to_owned()).collect()
}

#[track_caller]
fn refused(archive: &[u8], expect: &str) {
    refused_within(archive, Limits::default(), expect);
}

#[track_caller]
fn refused_within(archive: &[u8], limits: Limits, expect: &str) {
    let error = unpack(archive, &limits).unwrap_err().to_string();
    assert!(error.contains(expect), "{error}");
}

#[test]
fn files_directories_and_modes_come_out_as_they_went_in() {
    let mut script = header("bin/run", b'0', 2);
    script[100..107].copy_from_slice(b"0000755");
    sum(&mut script);
    let mut script = script.to_vec();
    script.extend_from_slice(b"#!");
    script.resize(1024, 0);
    let archive =
        tar(&[entry("./", b'5', b""), entry("./a/b.yaml", b'0', b"x: 1"), script, entry("old", 0, b"v7")]);
    let tree = unpack(archive.as_slice(), &Limits::default()).unwrap();
    let files: Vec<_> = tree.files().collect();
    assert_eq!(files, [("a/b.yaml", &b"x: 1"[..], false), ("bin/run", b"#!", true), ("old", b"v7", false)]);
}

#[test]
fn long_names_come_from_pax_and_gnu_headers() {
    let long = "d/".repeat(60) + "file";
    assert_eq!(
        paths(&tar(&[pax(&[("path", &long), ("mtime", "1.5")]), entry("cut", b'0', b"")])),
        [long.as_str()]
    );
    let gnu = entry("././@LongLink", b'L', format!("{long}\0").as_bytes());
    assert_eq!(paths(&tar(&[gnu, entry("cut", b'0', b"")])), [long]);
    assert_eq!(paths(&tar(&[entry("g", b'g', b"18 comment=abcdef\n"), entry("a", b'0', b"")])), ["a"]);
}

#[test]
fn paths_that_leave_the_root_are_refused() {
    refused(&tar(&[entry("../x", b'0', b"")]), "climbs out");
    refused(&tar(&[entry("a/../../x", b'0', b"")]), "climbs out");
    refused(&tar(&[entry("a/../x", b'0', b"")]), "climbs out");
    refused(&tar(&[entry("/etc/x", b'0', b"")]), "absolute");
    refused(&tar(&[entry("C:\\x", b'0', b"")]), "backslash");
    refused(&tar(&[entry("..", b'5', b"")]), "climbs out");
    refused(&tar(&[pax(&[("path", "../../etc/x")]), entry("good", b'0', b"")]), "climbs out");
    refused(&tar(&[pax(&[("path", "a\0b")]), entry("good", b'0', b"")]), "NUL");
    refused(
        &tar(&[
            entry(&"d/".repeat(49), b'5', b""),
            pax(&[("path", &"d/".repeat(129))]),
            entry("x", b'0', b""),
        ]),
        "too deep",
    );
}

#[test]
fn links_inside_are_skipped_and_others_are_refused() {
    assert_eq!(
        paths(&tar(&[link("a/l", b'2', "../b"), link("m", b'2', "a/./x"), entry("b", b'0', b"")])),
        ["b"]
    );
    refused(&tar(&[link("l", b'2', "/etc")]), "leaves the root");
    refused(&tar(&[link("l", b'2', "../x")]), "leaves the root");
    refused(&tar(&[link("a/l", b'2', "b/../../../x")]), "leaves the root");
    refused(&tar(&[pax(&[("linkpath", "/etc/passwd")]), link("l", b'2', "inside")]), "leaves the root");
    refused(&tar(&[link("h", b'1', "a")]), "hard link");
}

#[test]
fn devices_pipes_and_sparse_files_are_refused() {
    refused(&tar(&[entry("dev", b'3', b"")]), "device");
    refused(&tar(&[entry("dev", b'4', b"")]), "device");
    refused(&tar(&[entry("pipe", b'6', b"")]), "pipe");
    refused(&tar(&[entry("s", b'S', b"")]), "sparse");
    refused(&tar(&[pax(&[("GNU.sparse.major", "1")]), entry("s", b'0', b"")]), "sparse");
    refused(&tar(&[entry("?", b'Z', b"")]), "type is unknown");
    refused(&tar(&[entry("dir", b'5', b"content")]), "is no file");
}

#[test]
fn what_is_listed_twice_or_both_file_and_directory_is_refused() {
    refused(&tar(&[entry("a", b'0', b"1"), entry("./a", b'0', b"2")]), "twice");
    refused(&tar(&[entry("a", b'0', b"1"), entry("a/b", b'0', b"2")]), "both as a file and as a directory");
    refused(&tar(&[entry("a/b", b'0', b"1"), entry("a", b'0', b"2")]), "both as a file and as a directory");
    assert_eq!(
        paths(&tar(&[entry("a/b", b'0', b""), entry("a/", b'5', b""), entry("a", b'5', b"")])),
        ["a/b"]
    );
}

#[test]
fn two_sizes_for_one_entry_are_refused() {
    let smuggled = entry("smuggled", b'0', b"");
    refused(&tar(&[pax(&[("size", "0")]), entry("a", b'0', &smuggled)]), "different sizes");
    refused(&tar(&[pax(&[("size", "1024")]), entry("a", b'0', b"1")]), "different sizes");
    assert_eq!(paths(&tar(&[pax(&[("size", "1")]), entry("a", b'0', b"1")])), ["a"]);
}

#[test]
fn damage_is_noticed_wherever_it_is() {
    let good = tar(&[entry("a", b'0', &[7; 5000])]);
    for end in [0, 5, 20, good.len() - 9, good.len() - 1] {
        let error = unpack(&good[..end], &Limits::default()).unwrap_err();
        assert!(matches!(error, UnpackError::Damaged { .. }), "{end}: {error}");
    }
    refused(b"not an archive at all", "damaged");
    let mut flipped = entry("a", b'0', b"1");
    flipped[0] ^= 1;
    refused(&tar(&[flipped]), "checksum");
    refused(&gzip(&entry("a", b'0', &[1; 600])[..1000]), "cut off");
    refused(&[tar(&[entry("a", b'0', b"")]), tar(&[entry("b", b'0', b"")])].concat(), "follows the end");
    refused(&tar(&[vec![0; 512], entry("b", b'0', b"")]), "follows the end");
    refused(&tar(&[pax(&[("path", "x")])]), "within an entry");
    refused(&tar(&[entry("pax", b'x', b"99 path=x\n")]), "malformed");
    refused(&tar(&vec![pax(&[("path", "x")]); 20]), "in a row");
}

#[test]
fn bombs_end_at_their_bound() {
    let small = Limits { archive_bytes: 1 << 20, unpacked_bytes: 1 << 20, file_bytes: 100_000, entries: 10 };
    refused_within(&tar(&[entry("a", b'0', &vec![0; 100_001])]), small, "more than 100000 bytes in one file");
    let many: Vec<_> = (0..11).map(|n| entry(&n.to_string(), b'0', b"")).collect();
    refused_within(&tar(&many), small, "more than 10 entries");
    let large: Vec<_> = (0..9).map(|n| entry(&n.to_string(), b'0', &vec![0; 99_999])).collect();
    assert!(unpack(tar(&large).as_slice(), &small).is_ok());
    refused_within(&tar(&large), Limits { unpacked_bytes: 500_000, ..small }, "more than 500000 bytes");
    // Skipped content counts too: a link cannot have any, and an entry of meta data is bounded by itself.
    refused_within(&tar(&[entry("l", b'L', &vec![b'a'; 2 << 20])]), Limits::default(), "larger than 1 MiB");
    let trailing = gzip(&vec![0; 3 << 20]);
    refused(&trailing, "follows the end");
    // A header that lies about a huge file does not allocate it.
    refused(&gzip(&header("a", b'0', 1 << 26)), "cut off");
}

#[test]
fn deep_names_of_empty_files_are_charged() {
    let limits = Limits { unpacked_bytes: 2 << 20, ..Limits::default() };
    let deep = |n: u32| {
        let path = format!("{n}/").repeat(100) + "f";
        [pax(&[("path", &path)]), entry("f", b'0', b"")].concat()
    };
    let entries: Vec<_> = (0..200).map(|n| deep(10_000 + n)).collect();
    refused_within(&tar(&entries), limits, "more than 2097152 bytes");
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000)) {
        let _either = unpack(gzip(&bytes).as_slice(), &Limits::default()).is_ok();
    }

    #[test]
    fn no_change_of_a_good_archive_panics(at in 0..2048_usize, byte: u8) {
        let mut tar = [entry("a/b", b'0', b"content"), pax(&[("path", "x")]), entry("y", b'0', b"")].concat();
        tar[at] = byte;
        tar.resize(tar.len() + 1024, 0);
        let _either = unpack(gzip(&tar).as_slice(), &Limits::default()).is_ok();
    }
}
