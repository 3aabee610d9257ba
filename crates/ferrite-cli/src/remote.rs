//! What `kustomize build` loads from elsewhere: single files over HTTP, and directories of Git repositories.

use std::path::Path;
use std::sync::Arc;

use ferrite_git::{Auth, Client, Location, SshAuth};
use ferrite_kustomize::{Remote, RepoSpec};
use ferrite_kustomize_controller::remote::{self, TIMEOUT, blocking, candidates, download, tree};
use ferrite_tree::{MemoryTree, Tree};

/// Loads over the network, one thing after the other.
#[derive(Debug, Default)]
pub(crate) struct Network;

impl Remote for Network {
    fn file(&self, url: &str) -> Result<Vec<u8>, String> {
        download(url)
    }

    fn repository(&self, spec: &RepoSpec) -> Result<Arc<dyn Tree>, String> {
        let tree = blocking(async { fetch(spec).await.map_err(|error| ferrite_runtime::chain(&error)) })?;
        Ok(Arc::new(tree))
    }
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Common(#[from] remote::FetchError),
    #[error("there is no SSH key without a passphrase in '{directory}' (id_ed25519, id_ecdsa or id_rsa)")]
    NoKey {
        /// Where the keys of the user are.
        directory: String,
    },
}

impl From<ferrite_git::Error> for FetchError {
    fn from(error: ferrite_git::Error) -> Self {
        Self::Common(error.into())
    }
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
            return Ok(tree(&snapshot)?);
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

#[cfg(test)]
mod tests {
    use ferrite_git::Reference;

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
