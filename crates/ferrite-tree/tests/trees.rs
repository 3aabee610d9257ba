//! One set of facts, checked on every kind of tree.

use ferrite_tree::{DiskTree, Kind, MemoryTree, OverlayTree, RecordingTree, Tree, TreePath};

const FILES: [(&str, &str); 4] =
    [("a/x.yaml", "1"), ("a-b/z.yaml", "2"), ("a/b/c.yaml", "3"), ("top.yaml", "4")];

fn path(text: &str) -> TreePath {
    TreePath::new(text).expect("must work")
}

fn listing(tree: &dyn Tree, at: &str) -> String {
    let names = tree.list(&path(at)).expect("must work");
    let names: Vec<_> = names
        .iter()
        .map(|e| format!("{}{}", e.name, if e.kind == Kind::Directory { "/" } else { "" }))
        .collect();
    names.join(" ")
}

fn check(tree: &dyn Tree) {
    assert_eq!(listing(tree, "."), "a/ a-b/ top.yaml");
    assert_eq!(listing(tree, "a"), "b/ x.yaml");
    assert_eq!(&*tree.read(&path("a/b/c.yaml")).expect("must work"), b"3");
    assert_eq!(tree.stat(&path("a")).expect("must work"), Some(Kind::Directory));
    assert_eq!(tree.stat(&path("nope/x")).expect("must work"), None);
    let message = |at: &str| tree.read(&path(at)).expect_err("must fail").to_string();
    assert!(message("nope").starts_with("no such file or directory: '"), "{}", message("nope"));
    assert!(message("a").ends_with("a' is a directory, expected a file"), "{}", message("a"));
    assert!(tree.list(&path("top.yaml")).is_err());
}

fn memory() -> MemoryTree {
    let mut builder = MemoryTree::builder();
    for (at, text) in FILES {
        builder.insert(at, text.as_bytes(), false).expect("must work");
    }
    builder.build()
}

#[test]
fn memory_tree() {
    check(&memory());
    let mut builder = MemoryTree::builder();
    builder.insert("a", b"", true).unwrap();
    assert_eq!(
        builder.insert("a/b", b"", false).unwrap_err().to_string(),
        "'a' is used both as a file and as a directory"
    );
}

#[test]
fn disk_tree_follows_links_inside_only() {
    let outside = tempfile::tempdir().unwrap();
    fs_err::write(outside.path().join("secret"), "s").unwrap();
    let root = tempfile::tempdir().unwrap();
    for (at, text) in FILES {
        fs_err::create_dir_all(root.path().join(at).parent().unwrap()).unwrap();
        fs_err::write(root.path().join(at), text).unwrap();
    }
    let tree = DiskTree::new(root.path()).unwrap();
    check(&tree);

    std::os::unix::fs::symlink("a/x.yaml", root.path().join("inside")).unwrap();
    std::os::unix::fs::symlink(outside.path(), root.path().join("out")).unwrap();
    assert_eq!(&*tree.read(&path("inside")).unwrap(), b"1");
    assert_eq!(tree.canonical(&path("inside")).unwrap(), path("a/x.yaml"));
    assert!(tree.read(&path("out/secret")).unwrap_err().to_string().contains("leads out of the root"));
    assert_eq!(listing(&tree, "."), "a/ a-b/ inside top.yaml");

    let small = tree.with_limit(0);
    assert!(
        small
            .read(&path("top.yaml"))
            .unwrap_err()
            .to_string()
            .ends_with("has 1 bytes, more than the limit of 0")
    );
}

#[test]
fn overlay_and_recording() {
    let base = memory();
    let mut overlay = OverlayTree::new(&base);
    overlay.insert(path("a/kustomization.yaml"), b"resources: []".to_vec());
    overlay.insert(path("new/deep/file"), b"n".to_vec());
    overlay.insert(path("top.yaml"), b"replaced".to_vec());
    assert_eq!(listing(&overlay, "a"), "b/ kustomization.yaml x.yaml");
    assert_eq!(listing(&overlay, "new"), "deep/");
    let recording = RecordingTree::new(&overlay);
    assert_eq!(&*recording.read(&path("top.yaml")).unwrap(), b"replaced");
    assert!(recording.read(&path("absent")).is_err());
    assert_eq!(recording.files_read(), [path("top.yaml")]);
}
