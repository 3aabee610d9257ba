//! What `ferrite dev` syncs: a demo made on the spot, a directory of this machine, or a remote repository.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ferrite_git::serve::Repositories;
use ferrite_git::{Person, Repository};
use kube::Client;
use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::objects;
use crate::args;

/// Where the demo is made, below the current directory.
const DEMO: &str = ".ferrite/demo";
/// Git writes several files for one commit; they are taken together.
const SETTLE: Duration = Duration::from_millis(20);

/// The demo's files, as they are committed first.
const FILES: &[(&str, &[u8])] = &[
    ("README.md", include_bytes!("../../demo/README.md")),
    ("apps/web/deployment.yaml", include_bytes!("../../demo/apps/web/deployment.yaml")),
    ("apps/web/kustomization.yaml", include_bytes!("../../demo/apps/web/kustomization.yaml")),
    ("apps/web/service.yaml", include_bytes!("../../demo/apps/web/service.yaml")),
    ("infrastructure/namespace.yaml", include_bytes!("../../demo/infrastructure/namespace.yaml")),
    ("infrastructure/quota.yaml", include_bytes!("../../demo/infrastructure/quota.yaml")),
];

/// A repository, before anything is served.
pub(crate) enum Opened {
    /// On this machine; served over HTTP by this process.
    Local { repository: Repository, branch: String, path: Option<String>, demo: bool },
    /// Elsewhere.
    Remote { url: String, branch: String, path: String },
}

/// What the GitRepository object points to.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Name of the objects made for it.
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) branch: String,
    /// The directory to apply; `None` for the demo, which has two.
    pub(crate) path: Option<String>,
    directory: Option<PathBuf>,
    demo: bool,
}

/// Finds or makes the repository that `options` ask for.
///
/// # Errors
///
/// When a local directory is no Git repository, has no branch, or the demo cannot be written.
pub(crate) fn open(options: &args::Dev) -> Result<Opened> {
    let path = options.path.clone().unwrap_or_else(|| "./".to_owned());
    match &options.url {
        None => demo(options.branch.as_deref(), options.path.clone()),
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            let branch = options.branch.clone().unwrap_or_else(|| "main".to_owned());
            Ok(Opened::Remote { url: url.clone(), branch, path })
        }
        Some(url) => {
            let directory = url.strip_prefix("file://").unwrap_or(url);
            if directory.contains("://") || directory.contains('@') && !Path::new(directory).exists() {
                bail!("--url {url}: expected an http:// or https:// URL, or a directory of this machine");
            }
            local(Path::new(directory), options.branch.as_deref(), path)
        }
    }
}

fn demo(branch: Option<&str>, path: Option<String>) -> Result<Opened> {
    let directory = PathBuf::from(DEMO);
    let repository = if directory.join(".git").exists() {
        Repository::open(&directory).with_context(|| format!("{DEMO} exists, but is no Git repository"))?
    } else {
        let author = Person::now("Ferrite", "demo@ferrite.invalid");
        Repository::init_with_work_tree(&directory, "Demo of Ferrite", &author, FILES).with_context(|| {
            format!("cannot make the demo repository in {DEMO}; remove the directory and try again")
        })?
    };
    let branch = branch_of(&repository, branch)?;
    Ok(Opened::Local { repository, branch, path, demo: true })
}

fn local(directory: &Path, branch: Option<&str>, path: String) -> Result<Opened> {
    let shown = directory.display();
    let repository = Repository::open(directory)
        .with_context(|| format!("--url {shown}: expected a directory with a Git repository in it"))?;
    let branch = branch_of(&repository, branch)?;
    Ok(Opened::Local { repository, branch, path: Some(path), demo: false })
}

/// The branch asked for, or the one that is checked out.
fn branch_of(repository: &Repository, asked: Option<&str>) -> Result<String> {
    let shown = repository.path().display();
    if let Some(branch) = asked {
        return Ok(branch.to_owned());
    }
    repository
        .head_branch()?
        .with_context(|| format!("no branch is checked out in {shown}; name one with --branch"))
}

impl Opened {
    /// Serves a local repository over smart HTTP on a free port, until `stop`.
    ///
    /// # Errors
    ///
    /// When no port can be opened.
    pub(crate) async fn serve(self, tasks: &TaskTracker, stop: &CancellationToken) -> Result<Source> {
        let (repository, branch, path, demo) = match self {
            Self::Remote { url, branch, path } => {
                let name = name_of(url.trim_end_matches('/').trim_end_matches(".git"));
                return Ok(Source { name, url, branch, path: Some(path), directory: None, demo: false });
            }
            Self::Local { repository, branch, path, demo } => (repository, branch, path, demo),
        };
        let directory = fs_err::canonicalize(repository.path())?;
        let name = if demo { "demo".to_owned() } else { name_of(&directory.to_string_lossy()) };
        let repositories = Repositories::default();
        repositories.add(name.clone(), &repository);
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/{name}", listener.local_addr()?);
        let stop = stop.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                result = repositories.serve(listener) => {
                    if let Err(error) = result {
                        tracing::error!(error = %ferrite_runtime::chain(&error), "the repository is no longer served");
                    }
                }
            }
        });
        Ok(Source { name, url, branch, path, directory: Some(directory), demo })
    }
}

/// A name for Kubernetes objects from the last part of a path.
fn name_of(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let name: String = last
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .take(50)
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "repository".to_owned() } else { name.to_owned() }
}

impl Source {
    /// Where it is, for a person.
    pub(crate) fn describe(&self) -> String {
        let place =
            self.directory.as_ref().map_or_else(|| self.url.clone(), |path| path.display().to_string());
        format!("{place} ({})", self.branch)
    }

    /// What to try with the demo.
    pub(crate) fn hint(&self) -> Option<String> {
        let directory = self.directory.as_ref().filter(|_| self.demo)?;
        let edit = "sed -i 's/replicas: 2/replicas: 3/' apps/web/deployment.yaml";
        Some(format!("cd {} && {edit} && git commit -am 'three replicas'", directory.display()))
    }

    /// Asks for a reconcile whenever a ref of a local repository moves.
    ///
    /// # Errors
    ///
    /// When the repository's directory cannot be watched.
    pub(crate) fn follow(
        &self,
        client: &Client,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let repository = Repository::open(directory)?;
        let git =
            Some(directory.join(".git")).filter(|git| git.is_dir()).unwrap_or_else(|| directory.clone());
        let (moved, mut changes) = mpsc::channel::<()>(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // A full channel holds a change that has not been looked at yet, which is as good.
            let _told = event.is_ok() && moved.try_send(()).is_ok();
        })?;
        watcher.watch(&git.join("refs"), RecursiveMode::Recursive)?;
        // Packed refs are replaced in the directory itself.
        watcher.watch(&git, RecursiveMode::NonRecursive)?;
        let (client, source, stop) = (client.clone(), self.clone(), stop.clone());
        tasks.spawn(async move {
            let _watching = watcher;
            let mut known = repository.tip(&source.branch).ok().flatten();
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    change = changes.recv() => if change.is_none() { return },
                }
                tokio::time::sleep(SETTLE).await;
                let tip = repository.tip(&source.branch).ok().flatten();
                let Some(commit) = tip.filter(|_| tip != known) else { continue };
                known = tip;
                if let Err(error) = objects::request_reconcile(&client, &source.name, &commit.to_string()).await {
                    tracing::warn!(error = %format!("{error:#}"), "cannot ask for a reconcile; the next poll will see the commit");
                }
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_kubernetes() {
        for (path, expect) in [
            ("https://example.com/Org/My_Repo", "my-repo"),
            ("/home/me/app", "app"),
            ("/", "repository"),
            ("/x/.hidden.", "hidden"),
        ] {
            assert_eq!(name_of(path), expect);
        }
    }

    #[test]
    fn a_url_of_another_kind_is_refused_with_what_was_expected() {
        let options = args::Dev { url: Some("ssh://git@example.com/app".into()), ..args::Dev::default() };
        let error = open(&options).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("expected an http:// or https:// URL, or a directory"), "{error}");
    }
}
