//! Remote bases: single files over HTTP, and directories of Git repositories, while a kustomization is built.
//!
//! What is public here is shared with the command line, which loads as its user.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ferrite_git::{Client, EntryKind, Reference, Snapshot};
use ferrite_kustomize::{Remote, RepoSpec};
use ferrite_tree::{MemoryTree, Tree};
use parking_lot::Mutex;

/// The deadline of each load; kustomize's own default.
pub const TIMEOUT: Duration = Duration::from_secs(27);
/// Bytes of one file.
pub const FILE_BYTES: usize = 16 << 20;
/// Bytes of the files of one repository.
const TREE_BYTES: usize = 512 << 20;
/// Loads of one build, so that their deadlines add up to something.
const LOADS: usize = 64;

/// Loads the remote bases of one build, one after the other; a repository at one reference is loaded once.
///
/// Nobody's credentials are used: what is loaded must be public.
#[derive(Default)]
pub(crate) struct RemoteBases {
    loads: Mutex<usize>,
    repositories: Mutex<HashMap<(String, String), Arc<dyn Tree>>>,
}

impl std::fmt::Debug for RemoteBases {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RemoteBases").field("loads", &*self.loads.lock()).finish_non_exhaustive()
    }
}

impl RemoteBases {
    /// Whether anything was asked for: then what was built depends on more than its files.
    #[must_use]
    pub(crate) fn used(&self) -> bool {
        *self.loads.lock() > 0
    }

    fn count(&self) -> Result<(), String> {
        let mut loads = self.loads.lock();
        *loads += 1;
        if *loads > LOADS {
            return Err(format!("a build may load {LOADS} remote resources, and this is one more"));
        }
        Ok(())
    }
}

impl Remote for RemoteBases {
    fn file(&self, url: &str) -> Result<Vec<u8>, String> {
        self.count()?;
        download(url)
    }

    fn repository(&self, spec: &RepoSpec) -> Result<Arc<dyn Tree>, String> {
        if spec.clone.starts_with("file://") {
            return Err("repositories of this machine are no remote bases; use https:// or ssh://".to_owned());
        }
        let key = (spec.clone.clone(), spec.reference.clone());
        if let Some(known) = self.repositories.lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        self.count()?;
        let tree = blocking(async { fetch(spec).await.map_err(|error| ferrite_runtime::chain(&error)) })?;
        let tree: Arc<dyn Tree> = Arc::new(tree);
        self.repositories.lock().insert(key, Arc::clone(&tree));
        Ok(tree)
    }
}

/// One file over HTTP, at most [`FILE_BYTES`].
///
/// # Errors
/// What the server or the way to it says, without the address.
pub fn download(url: &str) -> Result<Vec<u8>, String> {
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

/// Runs `work` to its end on a scheduler of its own: the engine that asks is synchronous.
///
/// # Errors
/// Those of `work`, or that no scheduler can be had.
pub fn blocking<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(work)
}

/// Why a repository does not become a tree.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The remote, or what it sent.
    #[error(transparent)]
    Git(#[from] ferrite_git::Error),
    /// A path that leaves the tree.
    #[error(transparent)]
    Tree(#[from] ferrite_tree::Error),
    /// More than the bound.
    #[error("its files have more than {TREE_BYTES} bytes")]
    TooLarge,
}

async fn fetch(spec: &RepoSpec) -> Result<MemoryTree, FetchError> {
    let mut remote = ferrite_git::Remote::parse(&spec.clone)?;
    remote.timeout = TIMEOUT;
    let client = Client::new(remote)?;
    let mut failure = None;
    for reference in candidates(&spec.reference) {
        match client.resolve(&reference).await {
            Ok(head) => return tree(&client.fetch(&head).await?),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or(ferrite_git::Error::Interrupted).into())
}

/// What `ref=` may mean: a branch, a tag, a commit; the remote's default branch without it.
#[must_use]
pub fn candidates(reference: &str) -> Vec<Reference> {
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

/// The regular files of a commit and what was fetched into it; links are left out.
///
/// # Errors
/// [`FetchError`]
pub fn tree(snapshot: &Snapshot) -> Result<MemoryTree, FetchError> {
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
        let bases = Arc::new(RemoteBases::default());
        let options = ferrite_kustomize::Options { remote: Some(bases.clone()), ..Default::default() };

        let built = tokio::task::spawn_blocking(move || ferrite_kustomize::build(&local, ".", &options))
            .await
            .unwrap();

        assert!(bases.used());
        assert_eq!(
            built.unwrap().to_yaml(),
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: prod-web\n"
        );
    }

    #[test]
    fn repositories_of_the_machine_are_refused() {
        let spec = RepoSpec { clone: "file:///etc".to_owned(), ..RepoSpec::default() };
        let refused = RemoteBases::default().repository(&spec).err();
        assert!(refused.is_some_and(|text| text.starts_with("repositories of this machine")));
    }

    #[test]
    fn the_loads_of_a_build_are_counted() {
        let bases = RemoteBases::default();
        assert!(!bases.used());
        assert!((0..LOADS).all(|_| bases.count().is_ok()) && bases.count().is_err());
    }

    #[test]
    fn a_reference_may_be_a_branch_a_tag_or_a_commit() {
        assert_eq!(candidates(""), [Reference::name("HEAD")]);
        assert_eq!(candidates("v1"), [Reference::branch("v1"), Reference::tag("v1")]);
        let id = "0123456789012345678901234567890123456789";
        assert_eq!(candidates(id)[0], Reference::commit(id));
    }
}
