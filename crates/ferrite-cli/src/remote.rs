//! What `kustomize build` loads from elsewhere: single files over HTTP, and directories of Git repositories.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferrite_git::{Auth, Client, EntryKind, Location, Reference, Snapshot, SshAuth};
use ferrite_kustomize::{Remote, RepoSpec};
use ferrite_tree::{MemoryTree, Tree};

/// The deadline of each load; kustomize's own default.
const TIMEOUT: Duration = Duration::from_secs(27);
/// Bytes of one file.
const FILE_BYTES: usize = 16 << 20;
/// Bytes of the files of one repository.
const TREE_BYTES: usize = 512 << 20;

/// Loads over the network, one thing after the other.
#[derive(Debug, Default)]
pub(crate) struct Network;

impl Remote for Network {
    fn file(&self, url: &str) -> Result<Vec<u8>, String> {
        blocking(async {
            let client =
                reqwest::Client::builder().timeout(TIMEOUT).build().map_err(|error| error.to_string())?;
            let mut response =
                client.get(url).send().await.map_err(|error| ferrite_runtime::chain(&error.without_url()))?;
            if !response.status().is_success() {
                return Err(format!("the server answered {}", response.status()));
            }
            let mut body = Vec::new();
            while let Some(chunk) =
                response.chunk().await.map_err(|error| ferrite_runtime::chain(&error.without_url()))?
            {
                body.extend_from_slice(&chunk);
                if body.len() > FILE_BYTES {
                    return Err(format!("it has more than {FILE_BYTES} bytes"));
                }
            }
            Ok(body)
        })
    }

    fn repository(&self, spec: &RepoSpec) -> Result<Arc<dyn Tree>, String> {
        let tree = blocking(async { fetch(spec).await.map_err(|error| ferrite_runtime::chain(&error)) })?;
        Ok(Arc::new(tree))
    }
}

/// Runs `work` to its end on a scheduler of its own: the engine that asks is synchronous.
fn blocking<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(work)
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Git(#[from] ferrite_git::Error),
    #[error(transparent)]
    Tree(#[from] ferrite_tree::Error),
    #[error("there is no SSH key without a passphrase in '{directory}' (id_ed25519, id_ecdsa or id_rsa)")]
    NoKey {
        /// Where the keys of the user are.
        directory: String,
    },
    #[error("its files have more than {TREE_BYTES} bytes")]
    TooLarge,
}

async fn fetch(spec: &RepoSpec) -> Result<MemoryTree, FetchError> {
    let mut failure = None;
    for remote in remotes(spec, std::env::home_dir().as_deref())? {
        let client = Client::new(remote)?;
        for reference in candidates(&spec.reference) {
            let head = match client.resolve(&reference).await {
                Ok(head) => head,
                Err(error) => {
                    failure = failure.or(Some(error));
                    continue;
                }
            };
            let mut snapshot = client.fetch(&head).await?;
            if spec.submodules {
                snapshot = client.fetch_submodules(snapshot).await?;
            }
            return tree(&snapshot);
        }
        // The next key may be let in; anything else stays as it is.
        if !matches!(failure, Some(ferrite_git::Error::SshRefused { .. } | ferrite_git::Error::SshKey { .. }))
        {
            break;
        }
    }
    Err(failure.unwrap_or(ferrite_git::Error::Interrupted).into())
}

/// The repository with whatever lets this user in; over SSH one for each of the user's usual keys.
fn remotes(spec: &RepoSpec, home: Option<&Path>) -> Result<Vec<ferrite_git::Remote>, FetchError> {
    if let Some(path) = spec.clone.strip_prefix("file://") {
        return Ok(vec![ferrite_git::Remote::local(path).with_timeout(TIMEOUT)]);
    }
    let remote = ferrite_git::Remote::parse_any(&spec.clone)?.with_timeout(TIMEOUT);
    if !matches!(remote.location, Location::Ssh(_)) {
        return Ok(vec![remote]);
    }
    let ssh = home.map(|home| home.join(".ssh")).unwrap_or_default();
    let known_hosts = fs_err::read(ssh.join("known_hosts")).unwrap_or_default();
    let keys =
        ["id_ed25519", "id_ecdsa", "id_rsa"].iter().filter_map(|name| fs_err::read(ssh.join(name)).ok());
    let all: Vec<_> = keys
        .map(|identity| SshAuth {
            identity: identity.into(),
            passphrase: None,
            known_hosts: known_hosts.clone(),
        })
        .filter(|auth| !auth.lacks_passphrase())
        .map(|auth| remote.clone().with_auth(Auth::Ssh(auth)))
        .collect();
    if all.is_empty() { Err(FetchError::NoKey { directory: ssh.display().to_string() }) } else { Ok(all) }
}

/// What `ref=` may mean: a branch, a tag, a commit; the remote's default branch without it.
fn candidates(reference: &str) -> Vec<Reference> {
    if reference.is_empty() {
        return vec![Reference::name("HEAD")];
    }
    let mut all = vec![Reference::branch(reference), Reference::tag(reference)];
    if matches!(reference.len(), 40 | 64) && reference.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        all.insert(0, Reference::commit(reference));
    }
    if reference.starts_with("refs/") {
        all.insert(0, Reference::name(reference));
    }
    all
}

/// The regular files of a commit; links are left out.
fn tree(snapshot: &Snapshot) -> Result<MemoryTree, FetchError> {
    let mut builder = MemoryTree::builder();
    let mut total = 0;
    for file in snapshot.files() {
        let file = file?;
        if !matches!(file.kind, EntryKind::File | EntryKind::Executable) {
            continue;
        }
        total += file.bytes.len();
        if total > TREE_BYTES {
            return Err(FetchError::TooLarge);
        }
        builder.insert(&file.path, &file.bytes, file.kind == EntryKind::Executable)?;
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn bases_of_repositories_are_built() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let git = ferrite_testkit::GitServer::start().await.unwrap();
        let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\n";
        let files = [("base/kustomization.yaml", "resources: [web.yaml]\n"), ("base/web.yaml", manifest)];
        let base = git.repository("base.git", &files).unwrap();
        base.tag("v1").unwrap();
        let overlay = format!("namePrefix: prod-\nresources:\n- {}//base?ref=v1\n", base.url());
        let mut local = MemoryTree::builder();
        local.insert("kustomization.yaml", overlay.as_bytes(), false).unwrap();
        let local = local.build();
        let options = ferrite_kustomize::Options { remote: Some(Arc::new(Network)), ..Default::default() };

        let built = tokio::task::spawn_blocking(move || ferrite_kustomize::build(&local, ".", &options))
            .await
            .unwrap();

        assert_eq!(
            built.unwrap().to_yaml(),
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: prod-web\n"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn bases_come_over_ssh_with_the_keys_of_the_user_and_with_submodules() {
        let git = ferrite_testkit::GitServer::start_ssh().await.unwrap();
        let lib = git.repository("lib", &[("web.yaml", "kind: ConfigMap\n")]).unwrap();
        let base = git.repository("base", &[("kustomization.yaml", "resources: [lib/web.yaml]\n")]).unwrap();
        base.submodule("lib", "../lib", &lib).unwrap();
        let home = tempfile::tempdir().unwrap();
        let ssh = home.path().join(".ssh");
        fs_err::create_dir(&ssh).unwrap();
        let spec = RepoSpec {
            clone: base.url(),
            path: String::new(),
            reference: "main".to_owned(),
            submodules: true,
        };
        let none = remotes(&spec, Some(home.path())).unwrap_err().to_string();
        assert!(none.starts_with("there is no SSH key without a passphrase in '"), "{none}");

        let (stranger, _) = ferrite_testkit::new_ssh_key(ferrite_testkit::SshKey::Ecdsa, None).unwrap();
        fs_err::write(ssh.join("id_ecdsa"), stranger).unwrap();
        let key = git.ssh_key(ferrite_testkit::SshKey::Ed25519, None).unwrap();
        fs_err::write(ssh.join("id_ed25519"), key).unwrap();
        fs_err::write(ssh.join("known_hosts"), git.known_hosts().unwrap()).unwrap();
        let found = remotes(&spec, Some(home.path())).unwrap();
        assert_eq!(found.len(), 2);
        let client = Client::new(found[0].clone()).unwrap();
        let head = client.resolve(&Reference::branch("main")).await.unwrap();
        let snapshot = client.fetch_submodules(client.fetch(&head).await.unwrap()).await.unwrap();
        let files = tree(&snapshot).unwrap();
        assert_eq!(
            files.files().map(|(path, ..)| path.to_owned()).collect::<Vec<_>>(),
            [".gitmodules", "kustomization.yaml", "lib/web.yaml"]
        );
    }

    #[test]
    fn a_reference_may_be_a_branch_a_tag_or_a_commit() {
        assert_eq!(candidates(""), [Reference::name("HEAD")]);
        assert_eq!(candidates("v1"), [Reference::branch("v1"), Reference::tag("v1")]);
        let id = "0123456789012345678901234567890123456789";
        assert_eq!(candidates(id)[0], Reference::commit(id));
    }
}
