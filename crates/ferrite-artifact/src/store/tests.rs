use std::io::Write as _;

use super::*;
use crate::Algorithm;

struct Fixture {
    store: DiskStore,
    place: tempfile::TempDir,
    directory: ObjectDirectory,
}

fn fixture() -> Fixture {
    let place = tempfile::tempdir().unwrap();
    let store = DiskStore::open(place.path(), Algorithm::Sha256).unwrap();
    Fixture { store, place, directory: ObjectDirectory::new("GitRepository", "default", "app").unwrap() }
}

impl Fixture {
    fn put(&self, file: &str, bytes: &[u8]) -> Stored {
        let mut pending = self.store.create(&self.directory, file).unwrap();
        pending.write_all(bytes).unwrap();
        pending.commit().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let directory = self.place.path().join("gitrepository/default/app");
        let Ok(list) = fs_err::read_dir(directory) else { return Vec::new() };
        let mut names: Vec<String> =
            list.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn age(&self, file: &str, seconds: u64) {
        let file = fs_err::File::options().write(true).open(self.path(file)).unwrap();
        file.file().set_modified(now() - Duration::from_secs(seconds)).unwrap();
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.place.path().join("gitrepository/default/app").join(file)
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000)
}

#[test]
fn a_stored_file_has_its_digest_and_private_modes() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = fixture();
    let stored = fixture.put("abc.tar.gz", b"abc");
    assert_eq!(stored.path, "gitrepository/default/app/abc.tar.gz");
    assert_eq!(stored.size, 3);
    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(stored.digest.to_string(), digest);
    assert_eq!(fixture.store.check(&stored.path, digest).unwrap(), Health::Good);
    let mode = |path| fs_err::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(fixture.path("abc.tar.gz")), mode(fixture.path(""))), (0o600, 0o700));
    assert_eq!(fixture.names(), ["abc.tar.gz", "abc.tar.gz.lock"]);
}

#[test]
fn nothing_is_visible_before_it_is_whole() {
    let fixture = fixture();
    let mut pending = fixture.store.create(&fixture.directory, "a.tar.gz").unwrap();
    pending.write_all(b"half").unwrap();
    assert!(!fixture.path("a.tar.gz").exists());
    let second = fixture.store.create(&fixture.directory, "a.tar.gz").err().unwrap();
    assert!(matches!(second, StoreError::Locked { .. }), "{second}");
    drop(pending);
    assert_eq!(fixture.names(), ["a.tar.gz.lock"], "a dropped writer leaves no half file");
    assert!(fixture.store.create(&fixture.directory, "a.tar.gz").is_ok(), "nor its lock");
}

#[test]
fn a_restart_sweeps_what_a_killed_writer_left_and_keeps_the_rest() {
    let fixture = fixture();
    let stored = fixture.put("a.tar.gz", b"a");
    fs_err::write(fixture.path(".1-1.tmp"), b"half").unwrap();
    let restarted = DiskStore::open(fixture.place.path(), Algorithm::Sha512).unwrap();
    assert_eq!(fixture.names(), ["a.tar.gz", "a.tar.gz.lock"]);
    assert_eq!(restarted.check(&stored.path, &stored.digest.to_string()).unwrap(), Health::Good);
}

#[test]
fn other_bytes_are_noticed_and_removed() {
    let fixture = fixture();
    let stored = fixture.put("a.tar.gz", b"good");
    let digest = stored.digest.to_string();
    assert_eq!(fixture.store.check(&stored.path, &digest).unwrap(), Health::Good);
    fs_err::write(fixture.path("a.tar.gz"), b"evil").unwrap();
    assert_eq!(fixture.store.check(&stored.path, &digest).unwrap(), Health::Corrupt);
    assert_eq!(fixture.store.check(&stored.path, &digest).unwrap(), Health::Missing);
    assert!(fixture.store.open(&stored.path).unwrap().is_none());
}

#[test]
fn old_files_go_and_the_current_one_stays() {
    let fixture = fixture();
    for (file, age) in [("old", 3600), ("current", 7200), ("young", 5), ("younger", 4), ("youngest", 3)] {
        fixture.put(file, b"x");
        fixture.age(file, age);
    }
    fixture.store.link(&fixture.directory, "latest.tar.gz", "current").unwrap();
    let collect = |records| {
        let retention = Retention { records, ..Retention::default() };
        fixture.store.collect(&fixture.directory, "current", retention, now()).unwrap()
    };
    assert_eq!(collect(10), ["old"], "older than the retention");
    assert_eq!(collect(2), ["young", "younger"], "no more than two stay");
    assert_eq!(collect(2), [""; 0]);
    assert_eq!(fixture.names(), ["current", "current.lock", "latest.tar.gz", "youngest", "youngest.lock"]);
}

#[test]
fn a_link_is_swapped_and_the_whole_directory_can_go() {
    let fixture = fixture();
    fixture.put("a", b"a");
    fixture.put("b", b"b");
    for file in ["a", "b"] {
        fixture.store.link(&fixture.directory, "latest.tar.gz", file).unwrap();
        assert_eq!(fs_err::read(fixture.path("latest.tar.gz")).unwrap(), file.as_bytes());
    }
    assert!(fixture.store.remove(&fixture.directory).unwrap());
    assert!(!fixture.store.remove(&fixture.directory).unwrap());
    assert_eq!(fixture.names(), [""; 0]);
}

#[test]
fn names_that_leave_the_place_are_refused() {
    let fixture = fixture();
    for name in ["", "..", ".hidden", "a/b", "a\\b", "a\nb", &"x".repeat(256)] {
        assert!(ObjectDirectory::new("GitRepository", name, "app").is_err(), "{name}");
        assert!(fixture.store.create(&fixture.directory, name).is_err(), "{name}");
    }
    for path in ["gitrepository/default/../x", "/etc/passwd", "a/b/c", "a/b/c/d/e"] {
        assert!(matches!(fixture.store.check(path, ""), Err(StoreError::Name { .. })), "{path}");
    }
    assert!(matches!(
        DiskStore::open("/nowhere/at/all", Algorithm::Sha256),
        Err(StoreError::NoDirectory { .. })
    ));
}
