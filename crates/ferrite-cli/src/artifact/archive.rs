//! Files as the layer of an artifact, and back.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use ferrite_artifact::{Algorithm, Bounds, Digest, Item, ItemKind, Limits, Rules, archive};

/// What stays out unless said otherwise: version control is left out in any case.
const LEFT_OUT: &str = "*.jpg\n*.jpeg\n*.gif\n*.png\n*.wmv\n*.flv\n*.tar.gz\n*.zip";
/// Directories within each other.
const DEPTH: usize = 100;
/// Bytes of manifests on standard input, and of an unpacked layer.
const BYTES: u64 = 512 << 20;

/// A layer.
pub(super) struct Layer {
    pub(super) gzip: Vec<u8>,
    /// The digest of what is compressed.
    pub(super) diff_id: Digest,
}

/// Archives a directory, or one file.
///
/// # Errors
///
/// When a file cannot be read or there is too much.
pub(super) fn of(path: &Path, ignore: &[String]) -> Result<Layer> {
    let mut items = Vec::new();
    let metadata =
        fs_err::metadata(path).context("invalid path, must point to an existing directory or file")?;
    if metadata.is_dir() {
        list(path, "", &mut items, 0)?;
    } else {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = ItemKind::File { executable: executable(&metadata) };
        items.push(Item { path: name, kind, content: path.to_owned() });
    }
    let ignore = if ignore.is_empty() { LEFT_OUT.to_owned() } else { ignore.join("\n") };
    let mut gzip = Vec::new();
    archive(
        items,
        &Rules::new(Some(&ignore))?,
        Bounds::default(),
        |path: &PathBuf| fs_err::read(path),
        &mut gzip,
    )?;
    layer(gzip)
}

/// Archives standard input as the file that `flux` makes of it.
///
/// # Errors
///
/// When it cannot be read or there is too much.
pub(super) fn of_stdin() -> Result<Layer> {
    let mut bytes = Vec::new();
    std::io::stdin().take(BYTES).read_to_end(&mut bytes).context("cannot read standard input")?;
    let kind = ItemKind::File { executable: false };
    let items = vec![Item { path: "artifact.yaml".to_owned(), kind, content: bytes }];
    let mut gzip = Vec::new();
    let read = |bytes: &Vec<u8>| Ok::<_, std::io::Error>(bytes.clone());
    archive(items, &Rules::none(), Bounds::default(), read, &mut gzip)?;
    layer(gzip)
}

fn layer(gzip: Vec<u8>) -> Result<Layer> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(gzip.as_slice()).take(BYTES).read_to_end(&mut tar)?;
    Ok(Layer { diff_id: Digest::of(Algorithm::Sha256, &tar), gzip })
}

fn list(directory: &Path, prefix: &str, items: &mut Vec<Item<PathBuf>>, depth: usize) -> Result<()> {
    if depth > DEPTH {
        bail!("{} is more than {DEPTH} directories deep", directory.display());
    }
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().with_context(|| format!("{} is no text", entry.path().display()))?;
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        let content = entry.path();
        if kind.is_dir() {
            items.push(Item { path: path.clone(), kind: ItemKind::Directory, content: content.clone() });
            list(&content, &format!("{path}/"), items, depth + 1)?;
        } else if kind.is_file() {
            let kind = ItemKind::File { executable: executable(&entry.metadata()?) };
            items.push(Item { path, kind, content });
        } else {
            items.push(Item { path, kind: ItemKind::Other, content });
        }
    }
    Ok(())
}

#[cfg(unix)]
fn executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn executable(_: &std::fs::Metadata) -> bool {
    false
}

/// The files of a layer by path.
///
/// # Errors
///
/// When it is no archive, or too large.
pub(super) fn files(gzip: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    let tree = ferrite_artifact::unpack(gzip, &Limits::default())?;
    Ok(tree.files().map(|(path, bytes, _)| (path.to_owned(), bytes.to_vec())).collect())
}

/// Writes the files of a layer below a directory.
///
/// # Errors
///
/// When it is no archive, or a file cannot be written.
pub(super) fn unpack(gzip: &[u8], directory: &Path) -> Result<()> {
    // The tree has no path that leaves it.
    for (path, bytes) in files(gzip)? {
        let file = directory.join(&path);
        if let Some(parent) = file.parent() {
            fs_err::create_dir_all(parent)?;
        }
        fs_err::write(&file, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_as_they_were_without_what_is_left_out() {
        let place = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = place.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write("app/web.yaml", "a: 1\n");
        write("logo.png", "x");
        write(".git/HEAD", "x");
        let layer = of(place.path(), &[]).unwrap();
        let back = tempfile::tempdir().unwrap();
        unpack(&layer.gzip, back.path()).unwrap();
        assert_eq!(fs_err::read_to_string(back.path().join("app/web.yaml")).unwrap(), "a: 1\n");
        assert_eq!(files(&layer.gzip).unwrap().into_keys().collect::<Vec<_>>(), ["app/web.yaml"]);
        assert_eq!(of(place.path(), &[]).unwrap().gzip, layer.gzip, "equal files are equal archives");
    }
}
