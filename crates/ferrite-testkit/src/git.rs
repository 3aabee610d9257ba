//! Git servers with repositories that tests commit to.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use ferrite_git::serve::{Repositories, Traffic};
use ferrite_git::{Change, ObjectId, Person, Redacted, Repository};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::ClientIdentity;
use crate::ssh::{self, SshKey, SshSide};
use crate::tls::Authority;

/// A Git server on the loopback address; it and its repositories end with the value.
#[derive(Debug)]
pub struct GitServer {
    repositories: Repositories,
    base: String,
    tls: Option<(String, ClientIdentity)>,
    ssh: Option<SshSide>,
    directory: TempDir,
    task: JoinHandle<()>,
}

/// A repository of a [`GitServer`], with `main` as its branch.
#[derive(Debug, Clone)]
pub struct TestRepository {
    repository: Repository,
    url: String,
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl GitServer {
    /// Serves over plain HTTP.
    ///
    /// # Errors
    /// When no port or no directory can be had.
    pub async fn start() -> Result<Self> {
        let (listener, address) = listen().await?;
        let repositories = Repositories::default();
        let served = repositories.clone();
        let task = tokio::spawn(async move { drop(served.serve(listener).await) });
        Self::new(repositories, format!("http://{address}"), None, task)
    }

    /// Serves over HTTPS with a certificate of [`GitServer::ca_pem`].
    ///
    /// # Errors
    /// As [`GitServer::start`], and when no certificate can be made.
    pub async fn start_tls() -> Result<Self> {
        Self::tls(false).await
    }

    /// As [`GitServer::start_tls`], for clients that present [`GitServer::client_identity`] only.
    ///
    /// # Errors
    /// As [`GitServer::start_tls`].
    pub async fn start_mutual_tls() -> Result<Self> {
        Self::tls(true).await
    }

    async fn tls(require_client_certificate: bool) -> Result<Self> {
        let authority = Authority::new(require_client_certificate)?;
        let (listener, address) = listen().await?;
        let repositories = Repositories::default();
        let task = tokio::spawn(serve_tls(repositories.clone(), listener, authority.acceptor));
        Self::new(repositories, format!("https://{address}"), Some((authority.ca, authority.client)), task)
    }

    /// Serves over SSH, for the keys of [`GitServer::ssh_key`].
    ///
    /// # Errors
    /// As [`GitServer::start`], and when no host key can be made.
    pub async fn start_ssh() -> Result<Self> {
        Self::ssh(true).await
    }

    /// As [`GitServer::start_ssh`], by a server that takes no environment and so speaks protocol v0.
    ///
    /// # Errors
    /// As [`GitServer::start_ssh`].
    pub async fn start_ssh_protocol_0() -> Result<Self> {
        Self::ssh(false).await
    }

    async fn ssh(version_2: bool) -> Result<Self> {
        let (listener, address) = listen().await?;
        let repositories = Repositories::default();
        let side = SshSide::new(address)?;
        let task = tokio::spawn(ssh::serve(repositories.clone(), listener, side.clone(), version_2));
        let mut server = Self::new(repositories, format!("ssh://git@{address}"), None, task)?;
        server.ssh = Some(side);
        Ok(server)
    }

    /// The line of `known_hosts` for this server; `None` unless it serves over SSH.
    #[must_use]
    pub fn known_hosts(&self) -> Option<&str> {
        self.ssh.as_ref().map(SshSide::known_hosts)
    }

    /// A new private key that this server lets in, in OpenSSH form, encrypted when there is a passphrase.
    ///
    /// # Errors
    /// When the server does not serve over SSH or no key can be made.
    pub fn ssh_key(&self, kind: SshKey, passphrase: Option<&str>) -> Result<String> {
        self.ssh.as_ref().context("the server does not serve over SSH")?.admit(kind, passphrase)
    }

    fn new(
        repositories: Repositories,
        base: String,
        tls: Option<(String, ClientIdentity)>,
        task: JoinHandle<()>,
    ) -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot create a directory for repositories")?;
        Ok(Self { repositories, base, tls, ssh: None, directory, task })
    }

    /// The authority that signed the server's certificate, PEM; `None` over plain HTTP.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.tls.as_ref().map(|(ca, _)| ca.as_str())
    }

    /// A certificate the server accepts from a client; `None` over plain HTTP.
    #[must_use]
    pub fn client_identity(&self) -> Option<&ClientIdentity> {
        self.tls.as_ref().map(|(_, client)| client)
    }

    /// The address below which the repositories are, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// What has crossed the wire so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.repositories.traffic()
    }

    /// A new repository at `<base>/<name>`, with `files` as its first commit; without files it is empty.
    ///
    /// # Errors
    /// When the name is taken or the disk refuses.
    pub fn repository(&self, name: &str, files: &[(&str, &str)]) -> Result<TestRepository> {
        let created = self.create(name, files)?;
        self.repositories.add(name, &created.repository);
        Ok(created)
    }

    /// As [`GitServer::repository`], for whoever presents the user name and the password.
    ///
    /// # Errors
    /// As [`GitServer::repository`].
    pub fn private_repository(
        &self,
        name: &str,
        username: &str,
        password: &str,
        files: &[(&str, &str)],
    ) -> Result<TestRepository> {
        let created = self.create(name, files)?;
        self.repositories.add_private(name, &created.repository, username, Redacted::from(password));
        Ok(created)
    }

    /// Serves a repository that exists already, bare or with a work tree.
    ///
    /// # Errors
    /// When there is none at `path`.
    pub fn existing(&self, name: &str, path: &std::path::Path) -> Result<TestRepository> {
        let repository = Repository::open(path)?;
        self.repositories.add(name, &repository);
        Ok(TestRepository { repository, url: format!("{}/{name}", self.base) })
    }

    fn create(&self, name: &str, files: &[(&str, &str)]) -> Result<TestRepository> {
        let repository = Repository::init(self.directory.path().join(name))?;
        let created = TestRepository { repository, url: format!("{}/{name}", self.base) };
        if !files.is_empty() {
            created.commit("first commit", files)?;
        }
        Ok(created)
    }
}

impl TestRepository {
    /// The address to clone from.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The repository itself, for what the shortcuts below do not cover.
    #[must_use]
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Commits `files` to `main` and returns the commit's id.
    ///
    /// # Errors
    /// When a path leaves the tree or the disk refuses.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> Result<String> {
        self.commit_to("main", message, files)
    }

    /// Commits `files` to `branch`, which is created without history when it does not exist.
    ///
    /// # Errors
    /// As [`TestRepository::commit`].
    pub fn commit_to(&self, branch: &str, message: &str, files: &[(&str, &str)]) -> Result<String> {
        let changes: Vec<_> = files.iter().map(|(path, text)| Change::write(*path, *text)).collect();
        self.change(branch, message, &changes)
    }

    /// Removes files or directories from `main` and returns the commit's id.
    ///
    /// # Errors
    /// As [`TestRepository::commit`].
    pub fn remove(&self, message: &str, paths: &[&str]) -> Result<String> {
        let changes: Vec<_> = paths.iter().map(|path| Change::remove(*path)).collect();
        self.change("main", message, &changes)
    }

    /// Adds the head of `other`'s `main` as a submodule at `path`, known under `url`, and returns the commit's id.
    ///
    /// # Errors
    /// As [`TestRepository::commit`].
    pub fn submodule(&self, path: &str, url: &str, other: &Self) -> Result<String> {
        let list = format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
        let commit = other.tip()?;
        let added = Change::Submodule { path: path.to_owned(), commit };
        self.change("main", "add a submodule", &[Change::write(".gitmodules", list), added])
    }

    /// Tags the head of `main`, moving the tag when it exists.
    ///
    /// # Errors
    /// When there is no commit yet or Git refuses the name.
    pub fn tag(&self, name: &str) -> Result<()> {
        Ok(self.repository.set_tag(name, self.tip()?)?)
    }

    /// Tags the head of `main` with an annotated tag.
    ///
    /// # Errors
    /// As [`TestRepository::tag`].
    pub fn annotated_tag(&self, name: &str, message: &str) -> Result<()> {
        self.repository.annotate(name, self.tip()?, message, &author())?;
        Ok(())
    }

    /// Commits `files` to `main`, signed with an SSH key, and returns the commit's id.
    ///
    /// # Errors
    /// As [`TestRepository::commit`], and when the key cannot sign.
    pub fn commit_signed(&self, key: &str, message: &str, files: &[(&str, &str)]) -> Result<String> {
        let changes: Vec<_> = files.iter().map(|(path, text)| Change::write(*path, *text)).collect();
        let mut failure = None;
        let sign = |payload: &[u8]| ssh::ssh_signature(key, payload).map_err(|e| failure = Some(e)).ok();
        let id = self.repository.commit_signed("main", message, &author(), &changes, sign)?;
        failure.map_or(Ok(id.to_string()), Err)
    }

    /// Tags the head of `main` with an annotated tag, signed with an SSH key, and returns the tag's id.
    ///
    /// # Errors
    /// As [`TestRepository::tag`], and when the key cannot sign.
    pub fn signed_tag(&self, key: &str, name: &str, message: &str) -> Result<String> {
        let mut failure = None;
        let sign = |payload: &[u8]| ssh::ssh_signature(key, payload).map_err(|e| failure = Some(e)).ok();
        let id = self.repository.annotate_signed(name, self.tip()?, message, &author(), sign)?;
        failure.map_or(Ok(id.to_string()), Err)
    }

    /// Points `name` to the head of `main`.
    ///
    /// # Errors
    /// As [`TestRepository::tag`].
    pub fn branch(&self, name: &str) -> Result<()> {
        Ok(self.repository.set_branch(name, self.tip()?)?)
    }

    /// The id of the newest commit of `main`.
    ///
    /// # Errors
    /// When there is none yet.
    pub fn head(&self) -> Result<String> {
        Ok(self.tip()?.to_string())
    }

    fn tip(&self) -> Result<ObjectId> {
        self.repository.tip("main")?.context("the repository has no commit on main yet")
    }

    fn change(&self, branch: &str, message: &str, changes: &[Change]) -> Result<String> {
        Ok(self.repository.commit(branch, message, &author(), changes)?.to_string())
    }
}

fn author() -> Person {
    Person::now("Tester", "tester@example.com")
}

async fn listen() -> Result<(TcpListener, SocketAddr)> {
    let listener =
        TcpListener::bind(("127.0.0.1", 0)).await.context("cannot listen on the loopback address")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn serve_tls(repositories: Repositories, listener: TcpListener, acceptor: TlsAcceptor) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                let (repositories, acceptor) = (repositories.clone(), acceptor.clone());
                connections.spawn(async move {
                    // A handshake that fails is the client's to report.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        repositories.serve_connection(stream).await;
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
