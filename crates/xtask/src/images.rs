//! `cargo xtask images`: container images without a container engine.
//!
//! An image is an OCI archive: one layer with a static program, the CA bundle and a user, and an SPDX list of the
//! crates it was built from. The same programs give the same bytes on every run.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Name of an image, its program, and how it is started.
const IMAGES: &[(&str, &[&str])] = &[
    ("source-controller", &["/usr/local/bin/source-controller"]),
    ("kustomize-controller", &["/usr/local/bin/kustomize-controller"]),
    ("helm-controller", &["/usr/local/bin/helm-controller"]),
    ("notification-controller", &["/usr/local/bin/notification-controller"]),
    ("ferrite", &["/usr/local/bin/ferrite"]),
];
/// The user of Flux's images, so that volumes of theirs stay readable.
const USER: &str = "65534:65534";
const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/tmp:/sbin/nologin\n";

/// What to build images of.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder with the programs, built with `-C target-feature=+crt-static`.
    #[arg(long, default_value = "target/x86_64-unknown-linux-gnu/release")]
    programs: PathBuf,
    /// Where the archives go.
    #[arg(long, default_value = "target/images")]
    out: PathBuf,
    /// OCI's name of the machine.
    #[arg(long, default_value = "amd64")]
    architecture: String,
    /// The tag, which is also the version in labels.
    #[arg(long, default_value = concat!("v", env!("CARGO_PKG_VERSION")))]
    tag: String,
    /// CA certificates that images trust, PEM.
    #[arg(long, default_value = "/etc/ssl/certs/ca-certificates.crt")]
    certificates: PathBuf,
    /// Accept programs that need shared libraries; such an image does not start.
    #[arg(long)]
    dynamic: bool,
}

pub(crate) fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    fs_err::create_dir_all(&options.out)?;
    let certificates = fs_err::read(&options.certificates)
        .context("images need CA certificates (Debian: ca-certificates); name others by --certificates")?;
    let bill = bill_of_materials(&fs_err::read_to_string(root.join("Cargo.lock"))?, &options.tag)?;
    for (name, entrypoint) in IMAGES {
        let program = fs_err::read(options.programs.join(name))?;
        if !options.dynamic && is_dynamic(&program) {
            bail!(
                "{name} needs shared libraries; build it with RUSTFLAGS='-C target-feature=+crt-static' and --target"
            );
        }
        let files = [
            ("etc/passwd", 0o644, PASSWD.as_bytes()),
            ("etc/ssl/certs/ca-certificates.crt", 0o644, certificates.as_slice()),
            (&format!("usr/local/bin/{name}"), 0o755, program.as_slice()),
            ("usr/share/sbom/ferrite.spdx.json", 0o644, bill.as_bytes()),
        ];
        let image = Image { name, entrypoint, options };
        let path = options.out.join(format!("{name}-{}-{}.tar", options.tag, options.architecture));
        let archive = image.archive(&layer(&files)?)?;
        fs_err::write(&path, &archive)?;
        let megabytes = archive.len() / 1_000_000;
        writeln!(std::io::stdout(), "{} {megabytes} MB", path.display())?;
    }
    fs_err::write(options.out.join(format!("ferrite-{}.spdx.json", options.tag)), bill)?;
    Ok(())
}

struct Image<'a> {
    name: &'a str,
    entrypoint: &'a [&'a str],
    options: &'a Options,
}

impl Image<'_> {
    /// The OCI layout as a tar archive, which podman, skopeo, crane, containerd and Docker 25 read.
    fn archive(&self, layer: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(layer)?;
        let packed = packed.finish()?;
        let labels = json!({
            "org.opencontainers.image.title": self.name,
            "org.opencontainers.image.version": self.options.tag,
            "org.opencontainers.image.licenses": "Apache-2.0",
        });
        let config = json!({
            "architecture": self.options.architecture, "os": "linux",
            "config": {"User": USER, "Entrypoint": self.entrypoint, "Labels": labels, "WorkingDir": "/",
                "Env": ["PATH=/usr/local/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
            "history": [{"created_by": "cargo xtask images"}],
        })
        .to_string();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &packed)],
        })
        .to_string();
        let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
        let reference = format!("ferrite/{}:{}", self.name, self.options.tag);
        entry["platform"] = json!({"architecture": self.options.architecture, "os": "linux"});
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": self.options.tag, "io.containerd.image.name": reference});
        let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry]})
        .to_string();
        let blob = |bytes: &[u8]| digest(bytes).replace(':', "/");
        let blobs = [config.as_bytes(), manifest.as_bytes(), packed.as_slice()];
        let names = blobs.map(|bytes| format!("blobs/{}", blob(bytes)));
        let mut files: Vec<(&str, u32, &[u8])> =
            names.iter().zip(blobs).map(|(name, bytes)| (name.as_str(), 0o644, bytes)).collect();
        files.sort_unstable_by_key(|(name, ..)| *name);
        files.push(("index.json", 0o644, index.as_bytes()));
        files.push(("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#));
        tarball(&files, &["blobs/", "blobs/sha256/"])
    }
}

/// The layer, not compressed.
fn layer(files: &[(&str, u32, &[u8])]) -> anyhow::Result<Vec<u8>> {
    let folders = [
        "etc/",
        "etc/ssl/",
        "etc/ssl/certs/",
        "tmp/",
        "usr/",
        "usr/local/",
        "usr/local/bin/",
        "usr/share/",
        "usr/share/sbom/",
    ];
    tarball(files, &folders)
}

fn tarball(files: &[(&str, u32, &[u8])], folders: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let header = |mode, size, kind| {
        let mut header = tar::Header::new_ustar();
        header.set_mode(mode);
        header.set_size(size);
        header.set_entry_type(kind);
        // No time, user or group of whoever builds.
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header
    };
    for folder in folders {
        let mode = if *folder == "tmp/" { 0o1777 } else { 0o755 };
        archive.append_data(&mut header(mode, 0, tar::EntryType::Directory), folder, std::io::empty())?;
    }
    for (name, mode, content) in files {
        let size = u64::try_from(content.len())?;
        archive.append_data(&mut header(*mode, size, tar::EntryType::Regular), name, *content)?;
    }
    Ok(archive.into_inner()?)
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

/// Whether an ELF program asks for a loader of shared libraries: it has a segment of type `PT_INTERP`.
fn is_dynamic(program: &[u8]) -> bool {
    let number = |at: usize, size: usize| {
        let bytes = program.get(at..at.saturating_add(size))?;
        Some(bytes.iter().rev().fold(0usize, |number, byte| number << 8 | usize::from(*byte)))
    };
    let headers = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    let Some((start, size, count)) = headers() else { return false };
    (0..count).any(|index| number(start + index * size, 4) == Some(3))
}

/// The crates of the lock file in SPDX 2.3.
fn bill_of_materials(text: &str, tag: &str) -> anyhow::Result<String> {
    let lock: toml::Table = toml::from_str(text)?;
    let packages =
        lock.get("package").and_then(toml::Value::as_array).context("Cargo.lock lists no package")?;
    let mut listed = Vec::new();
    let mut relations = Vec::new();
    for package in packages {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str);
        let (Some(name), Some(version)) = (text("name"), text("version")) else { continue };
        // Our own crates are what is described.
        let Some(checksum) = text("checksum") else { continue };
        let id = format!("SPDXRef-{}-{}", name.replace('_', "."), version.replace(['+', '_'], "."));
        relations.push(json!({"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
            "relatedSpdxElement": id}));
        listed.push(json!({
            "SPDXID": id, "name": name, "versionInfo": version, "filesAnalyzed": false,
            "downloadLocation": format!("https://crates.io/api/v1/crates/{name}/{version}/download"),
            "checksums": [{"algorithm": "SHA256", "checksumValue": checksum}],
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                "referenceLocator": format!("pkg:cargo/{name}@{version}")}],
        }));
    }
    ensure!(!listed.is_empty(), "Cargo.lock lists no dependency");
    let bill = json!({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("ferrite-{tag}"),
        "documentNamespace": format!("https://spdx.org/spdxdocs/ferrite-{tag}-{}", digest(text.as_bytes()).replace(':', "-")),
        "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: cargo-xtask-images"]},
        "packages": listed, "relationships": relations,
    });
    Ok(serde_json::to_string_pretty(&bill)?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn options(folder: &Path) -> Options {
        Options {
            programs: folder.join("programs"),
            out: folder.join("images"),
            architecture: "amd64".into(),
            tag: "v1".into(),
            certificates: folder.join("ca.crt"),
            dynamic: false,
        }
    }

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
    }

    fn prepared() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("programs")).unwrap();
        for (name, _) in IMAGES {
            fs_err::write(folder.path().join("programs").join(name), b"a program").unwrap();
        }
        fs_err::write(folder.path().join("ca.crt"), b"certificates").unwrap();
        folder
    }

    fn files(archive: &[u8]) -> std::collections::BTreeMap<String, (u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            (name, (entry.header().mode().unwrap(), bytes))
        });
        entries.collect()
    }

    fn blob<'a>(
        archive: &'a std::collections::BTreeMap<String, (u32, Vec<u8>)>,
        descriptor: &Value,
    ) -> &'a [u8] {
        let name = descriptor["digest"].as_str().unwrap();
        let bytes = &archive[&format!("blobs/{}", name.replace(':', "/"))].1;
        assert_eq!(
            (digest(bytes).as_str(), bytes.len()),
            (name, descriptor["size"].as_u64().unwrap() as usize)
        );
        bytes
    }

    #[test]
    fn an_image_is_whole_and_the_same_every_time() {
        let folder = prepared();
        let options = options(folder.path());
        run(&root(), &options).unwrap();
        let path = options.out.join("helm-controller-v1-amd64.tar");
        let first = fs_err::read(&path).unwrap();
        run(&root(), &options).unwrap();
        assert_eq!(fs_err::read(&path).unwrap(), first);

        let archive = files(&first);
        let index: Value = serde_json::from_slice(&archive["index.json"].1).unwrap();
        let manifest: Value = serde_json::from_slice(blob(&archive, &index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(blob(&archive, &manifest["config"])).unwrap();
        assert_eq!(config["config"]["User"], USER);
        assert_eq!(config["config"]["Entrypoint"], json!(["/usr/local/bin/helm-controller"]));
        let mut layer = Vec::new();
        flate2::read::GzDecoder::new(blob(&archive, &manifest["layers"][0])).read_to_end(&mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&layer));
        let inside = files(&layer);
        assert_eq!(inside["usr/local/bin/helm-controller"], (0o755, b"a program".to_vec()));
        assert_eq!(inside["etc/ssl/certs/ca-certificates.crt"].1, b"certificates");
        let bill: Value = serde_json::from_slice(&inside["usr/share/sbom/ferrite.spdx.json"].1).unwrap();
        assert!(bill["packages"].as_array().unwrap().iter().any(|package| package["name"] == "kube"));
    }

    #[test]
    fn a_program_that_would_not_start_is_refused() {
        let folder = prepared();
        let mut elf = vec![0u8; 128];
        elf[..4].copy_from_slice(b"\x7fELF");
        // One program header at 64 of 56 bytes, of type PT_INTERP.
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 1;
        elf[64] = 3;
        assert!(is_dynamic(&elf));
        fs_err::write(folder.path().join("programs/ferrite"), &elf).unwrap();
        let error = run(&root(), &options(folder.path())).unwrap_err().to_string();
        assert!(error.contains("ferrite needs shared libraries"), "{error}");
        elf[64] = 1;
        assert!(!is_dynamic(&elf));
    }
}
