use std::io::{self, Read as _};

use super::*;

fn item(path: &str, kind: ItemKind, content: &'static str) -> Item<&'static str> {
    Item { path: path.to_owned(), kind, content }
}

fn file(path: &str, content: &'static str) -> Item<&'static str> {
    item(path, ItemKind::File { executable: false }, content)
}

fn pack(items: Vec<Item<&'static str>>, rules: &Rules, bounds: Bounds) -> Result<Vec<u8>, ArchiveError> {
    let mut out = Vec::new();
    archive(items, rules, bounds, |text| Ok::<_, io::Error>(text.as_bytes().to_vec()), &mut out)?;
    Ok(out)
}

/// Mode, kind and name of each header of an archive.
fn headers(gzip: &[u8]) -> Vec<String> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(gzip).read_to_end(&mut tar).unwrap();
    assert_eq!(tar.len() % 512, 0);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    let (mut at, mut lines) = (0, Vec::new());
    while tar[at] != 0 {
        let header = &tar[at..at + 512];
        let size = usize::from_str_radix(&text(&header[124..135]), 8).unwrap();
        lines.push(format!(
            "{} {} {}",
            text(&header[100..107]),
            char::from(header[156]),
            text(&header[..100])
        ));
        at += 512 + size.next_multiple_of(512);
    }
    assert!(tar[at..].iter().all(|byte| *byte == 0) && tar.len() - at == 1024);
    lines
}

#[test]
fn entries_are_walked_as_go_walks_them_with_flux_modes() {
    let items = vec![
        item("run.sh", ItemKind::File { executable: true }, "#!"),
        file("a-b", "2"),
        file("a/x", "1"),
        item("link/to", ItemKind::Other, ""),
        item("empty", ItemKind::Directory, ""),
        file("a/b/c", "1"),
    ];
    let packed = pack(items, &Rules::none(), Bounds::default()).unwrap();
    assert_eq!(
        headers(&packed),
        [
            "0000750 5 ./",
            "0000750 5 a/",
            "0000750 5 a/b/",
            "0000600 0 a/b/c",
            "0000600 0 a/x",
            "0000600 0 a-b",
            "0000750 5 empty/",
            "0000750 5 link/",
            "0000700 0 run.sh",
        ]
    );
}

#[test]
fn equal_files_give_equal_bytes_in_any_order() {
    let items = || vec![file("b", "2"), file("a/ä.yaml", "1"), file("c", "3")];
    let mut reversed = items();
    reversed.reverse();
    let one = pack(items(), &Rules::none(), Bounds::default()).unwrap();
    let two = pack(reversed, &Rules::none(), Bounds::default()).unwrap();
    assert_eq!(one, two);
    assert_eq!(&one[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], "no name, no time");
}

#[test]
fn an_excluded_directory_does_not_prune_what_is_included_below() {
    let items = vec![file("deploy/app.yaml", "1"), file("docs/a.md", "2"), file("b.md", "3")];
    let rules = Rules::new(Some("/*\n!/deploy\n")).unwrap();
    let packed = pack(items, &rules, Bounds::default()).unwrap();
    assert_eq!(headers(&packed), ["0000750 5 ./", "0000750 5 deploy/", "0000600 0 deploy/app.yaml"]);
}

#[test]
fn bounds_end_the_work() {
    let items = || vec![file("a", "12345"), file("b", "12345")];
    let few = pack(items(), &Rules::none(), Bounds { entries: 1, ..Bounds::default() });
    assert!(matches!(few, Err(ArchiveError::TooLarge { what: "entries", limit: 1 })));
    let small = pack(items(), &Rules::none(), Bounds { unpacked_bytes: 9, ..Bounds::default() });
    assert!(matches!(small, Err(ArchiveError::TooLarge { what: "bytes", limit: 9 })));
    let excluded = Rules::new(Some("b")).unwrap();
    assert!(pack(items(), &excluded, Bounds { unpacked_bytes: 5, ..Bounds::default() }).is_ok());
}

#[track_caller]
fn refused(paths: &[&str]) {
    let items = paths.iter().map(|path| file(path, "")).collect();
    let result = pack(items, &Rules::none(), Bounds::default());
    assert!(matches!(result, Err(ArchiveError::Path { .. })), "{paths:?}: {result:?}");
}

#[test]
fn paths_that_contradict_or_leave_the_source_are_refused() {
    refused(&["../x"]);
    refused(&["/etc/passwd"]);
    refused(&["a/./b"]);
    refused(&["a//b"]);
    refused(&[""]);
    refused(&["a\0b"]);
    refused(&["a", "a"]);
    refused(&["a", "a/b"]);
    refused(&["a", "a-b", "a/b"]);
}

#[test]
fn what_is_packed_unpacks_to_the_same() {
    let long = format!("{}/{}.yaml", "d".repeat(140), "f".repeat(120));
    let items =
        vec![file(&long, "1"), file("ünï/cödé", "2"), item("x", ItemKind::File { executable: true }, "3")];
    let packed = pack(items, &Rules::none(), Bounds::default()).unwrap();
    let tree = crate::unpack(packed.as_slice(), &crate::Limits::default()).unwrap();
    let files: Vec<_> = tree.files().collect();
    assert_eq!(files, [(long.as_str(), &b"1"[..], false), ("x", b"3", true), ("ünï/cödé", b"2", false)]);
}

#[test]
fn a_file_that_shrinks_while_it_is_archived_is_an_error() {
    let items = vec![Item { path: "a".to_owned(), kind: ItemKind::File { executable: false }, content: () }];
    let open = |(): &()| Ok::<_, std::io::Error>((9, &b"12345678"[..]));
    let error = archive_streams(items, &Rules::none(), Bounds::default(), open, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read 'a' of the source");
}
