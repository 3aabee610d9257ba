//! The client: what a controller asks of a remote.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gix::ObjectId;
use gix::hash::Kind;
use tokio::sync::mpsc;

use crate::connection::{Connection, Transport};
use crate::objects::Store;
use crate::protocol::{self, Advertisement, Answer, Broken, Extent};
use crate::reference::{Wanted, choose};
use crate::{Error, Head, Limits, Ref, Reference, Remote, Snapshot, local};

/// Asks one remote. Keeps connections, so keep the client as long as the remote's settings stay the same.
#[derive(Debug, Clone)]
pub struct Client {
    remote: Arc<Remote>,
    transport: Option<Transport>,
}

/// Sets its flag when dropped, so that blocking work stops when the future waiting for it is dropped.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Client {
    /// Prepares to talk to `remote`; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Credentials`] when a certificate, key, token or proxy cannot be used, or an SSH address has no key.
    pub fn new(remote: Remote) -> Result<Self, Error> {
        let transport = Transport::new(&remote)?;
        Ok(Self { remote: Arc::new(remote), transport })
    }

    /// The remote this client asks.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The refs whose names start with one of `prefixes`: two small requests, whatever the size of the repository.
    ///
    /// # Errors
    /// Every variant about the connection, [`Error::Timeout`], [`Error::Protocol`] and [`Error::Limit`].
    pub async fn ls_refs(&self, prefixes: &[String]) -> Result<Vec<Ref>, Error> {
        self.deadline(self.ls_refs_inner(prefixes)).await
    }

    /// The commit that `reference` means now.
    ///
    /// # Errors
    /// As [`Client::ls_refs`], and [`Error::Empty`], [`Error::UnknownReference`], [`Error::NoMatchingTag`],
    /// [`Error::InvalidReference`].
    pub async fn resolve(&self, reference: &Reference) -> Result<Head, Error> {
        self.deadline(self.resolve_inner(reference.kind())).await
    }

    /// Fetches one commit with its files, without history, into a temporary place that goes with the snapshot.
    ///
    /// # Errors
    /// As [`Client::ls_refs`], and [`Error::UnknownReference`] when the commit is gone.
    pub async fn fetch(&self, head: &Head) -> Result<Snapshot, Error> {
        self.deadline(self.fetch_inner(head)).await
    }

    pub(crate) async fn deadline<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let timeout = self.remote.timeout;
        match tokio::time::timeout(timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout { url: self.remote.shown(), timeout }),
        }
    }

    async fn ls_refs_inner(&self, prefixes: &[String]) -> Result<Vec<Ref>, Error> {
        let Some(transport) = &self.transport else {
            let (remote, prefixes) = (Arc::clone(&self.remote), prefixes.to_vec());
            return blocking(move || local::ls_refs(&remote, &prefixes)).await;
        };
        let limit = self.remote.limits.advertisement_bytes;
        let (server, mut connection) = transport.open(limit).await?;
        if let Some(mut refs) = server.refs {
            refs.retain(|r| prefixes.is_empty() || prefixes.iter().any(|p| r.name.starts_with(p.as_str())));
            return Ok(refs);
        }
        connection.send(protocol::ls_refs_request(&server, prefixes)).await?;
        let body = connection.message("bytes in a list of refs", limit).await?;
        protocol::read_ls_refs(&body).map_err(|e| self.broken(e))
    }

    async fn resolve_inner(&self, wanted: Wanted<'_>) -> Result<Head, Error> {
        wanted.check()?;
        // A commit is named by its id alone: there is nothing to ask.
        let refs = match wanted {
            Wanted::Commit { .. } => Vec::new(),
            Wanted::Name(_) | Wanted::Tag(_) | Wanted::Semver(_) | Wanted::Branch(_) => {
                self.ls_refs_inner(&[wanted.prefix()]).await?
            }
        };
        let mut candidates = choose(wanted, &refs)?;
        if candidates.len() > 1 {
            return self.newest(candidates).await;
        }
        match candidates.pop() {
            Some(head) => Ok(head),
            None => Err(self.nothing_found(wanted).await?),
        }
    }

    /// Tells an empty repository from one that lacks the reference.
    async fn nothing_found(&self, wanted: Wanted<'_>) -> Result<Error, Error> {
        let any = self.ls_refs_inner(&["HEAD".to_owned(), "refs/heads/".to_owned()]).await?;
        if any.is_empty() {
            return Ok(Error::Empty);
        }
        let url = self.remote.shown();
        let unknown =
            |kind, name: &str| Error::UnknownReference { kind, name: name.to_owned(), url: url.clone() };
        Ok(match wanted {
            Wanted::Commit { id, .. } => unknown("commit", id),
            Wanted::Name(name) => unknown("reference", name),
            Wanted::Tag(tag) => unknown("tag", tag),
            Wanted::Branch(branch) => unknown("branch", branch),
            Wanted::Semver(range) => Error::NoMatchingTag { range: range.to_owned(), url },
        })
    }

    /// Among tags of equal versions, the one with the newest commit (Flux does the same).
    async fn newest(&self, candidates: Vec<Head>) -> Result<Head, Error> {
        let wants: Vec<ObjectId> = candidates.iter().map(|c| c.commit).collect();
        let format = wants.first().map_or(Kind::Sha1, |id| id.kind());
        let store = match &self.transport {
            None => Store::local(&self.remote)?,
            Some(transport) => {
                let (server, connection) = transport.open(self.remote.limits.advertisement_bytes).await?;
                self.receive(connection, &server, &wants, Extent::CommitsOnly).await?
            }
        };
        blocking(move || {
            let objects = store.open(format)?;
            let mut best: Option<(i64, Head)> = None;
            for head in candidates {
                let time = objects.commit_time(head.commit)?;
                if best.as_ref().is_none_or(|(newest, _)| time > *newest) {
                    best = Some((time, head));
                }
            }
            best.map(|(_, head)| head).ok_or(Error::Empty)
        })
        .await
    }

    async fn fetch_inner(&self, head: &Head) -> Result<Snapshot, Error> {
        let head = head.clone();
        let remote = Arc::clone(&self.remote);
        let Some(transport) = &self.transport else {
            return blocking(move || Snapshot::open(Store::local(&remote)?, &head, &remote)).await;
        };
        let (server, connection) = transport.open(self.remote.limits.advertisement_bytes).await?;
        if server.format != head.commit.kind() {
            return Err(self.unknown_commit(&head));
        }
        let mut wants = vec![head.commit];
        wants.extend(head.tag);
        let received = self.receive(connection, &server, &wants, Extent::Shallow).await;
        let store = match received {
            // `not our ref` and its relatives: servers word it differently, but they refuse only for this.
            Err(Error::Refused { message, .. })
                if message.contains("not our ref") || message.contains("unadvertised") =>
            {
                self.fetch_history(transport, &server, &head).await?
            }
            other => other?,
        };
        blocking(move || Snapshot::open(store, &head, &remote)).await
    }

    /// Fetches everything there is, for servers of protocol v0 that give out only what a ref names.
    async fn fetch_history(
        &self,
        transport: &Transport,
        server: &Advertisement,
        head: &Head,
    ) -> Result<Store, Error> {
        let Some(refs) = &server.refs else { return Err(self.unknown_commit(head)) };
        let named =
            |found: &&Ref| found.name.starts_with("refs/heads/") || found.name.starts_with("refs/tags/");
        let mut wants: Vec<ObjectId> = refs.iter().filter(named).map(|found| found.target).collect();
        wants.sort_unstable();
        wants.dedup();
        if wants.is_empty() {
            return Err(self.unknown_commit(head));
        }
        let (server, connection) = transport.open(self.remote.limits.advertisement_bytes).await?;
        self.receive(connection, &server, &wants, Extent::History).await
    }

    fn unknown_commit(&self, head: &Head) -> Error {
        Error::UnknownReference { kind: "commit", name: head.commit.to_string(), url: self.remote.shown() }
    }

    /// Asks for a pack and indexes it while it arrives.
    async fn receive(
        &self,
        mut connection: Connection,
        server: &Advertisement,
        wants: &[ObjectId],
        extent: Extent,
    ) -> Result<Store, Error> {
        connection.send(protocol::fetch_request(server, wants, extent)).await?;
        let limits = self.remote.limits;
        let (sender, receiver) = mpsc::channel(16);
        let stop = StopOnDrop::default();
        let (flag, format) = (Arc::clone(&stop.0), server.format);
        let indexer = tokio::task::spawn_blocking(move || {
            Store::receive(PackReader::new(receiver), format, limits.object_bytes, &flag)
        });
        let mut answer = Answer::new(server);
        let mut meter = Meter::default();
        let mut pack = Vec::new();
        while let Some(chunk) = connection.chunk().await? {
            answer.feed(&chunk, &mut pack).map_err(|e| self.broken(e))?;
            meter.count(&pack, &limits).map_err(|(what, limit)| self.too_large(what, limit))?;
            if !pack.is_empty() && sender.send(std::mem::take(&mut pack)).await.is_err() {
                break; // the indexer failed; its own error says why
            }
            if answer.is_done() {
                break; // over SSH the server waits for another request
            }
        }
        if !answer.is_complete() && !sender.is_closed() {
            return Err(connection.ended());
        }
        drop(sender);
        let result = indexer.await.map_err(|_| Error::Interrupted)?;
        drop(stop);
        result
    }

    fn too_large(&self, what: &'static str, limit: u64) -> Error {
        Error::Limit { url: self.remote.shown(), what, limit }
    }

    fn broken(&self, broken: Broken) -> Error {
        broken.of(&self.remote.shown())
    }
}

/// Counts what has arrived of a pack and reads the number of objects off its header.
#[derive(Default)]
struct Meter {
    bytes: u64,
    header: Vec<u8>,
}

impl Meter {
    fn count(&mut self, pack: &[u8], limits: &Limits) -> Result<(), (&'static str, u64)> {
        self.bytes += pack.len() as u64;
        if self.bytes > limits.pack_bytes {
            return Err(("bytes in a pack", limits.pack_bytes));
        }
        if self.header.len() < 12 {
            self.header.extend(pack.iter().take(12 - self.header.len()));
            if let Some(Ok(count)) = self.header.get(8..12).map(<[u8; 4]>::try_from)
                && u64::from(u32::from_be_bytes(count)) > limits.objects
            {
                return Err(("objects in a pack", limits.objects));
            }
        }
        Ok(())
    }
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)?
}

/// The blocking end of the pack's channel.
pub(crate) struct PackReader {
    receiver: mpsc::Receiver<Vec<u8>>,
    current: io::Cursor<Vec<u8>>,
}

impl PackReader {
    fn new(receiver: mpsc::Receiver<Vec<u8>>) -> Self {
        Self { receiver, current: io::Cursor::default() }
    }
}

impl Read for PackReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.current.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            match self.receiver.blocking_recv() {
                Some(chunk) => self.current = io::Cursor::new(chunk),
                None => return Ok(0),
            }
        }
    }
}
