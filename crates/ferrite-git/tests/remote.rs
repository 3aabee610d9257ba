//! The client against real servers: ours, and Git's own where it is installed.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test, its helpers included")]

#[path = "remote/client.rs"]
mod client;
#[path = "remote/failures.rs"]
mod failures;
#[path = "remote/ssh.rs"]
mod ssh;
#[path = "remote/stock_git.rs"]
mod stock_git;

use ferrite_git::{Client, EntryKind, Error, Head, Reference, Remote};

/// A client for `url` with everything else at its default.
fn client(url: &str) -> Client {
    Client::new(Remote::parse(url).unwrap()).unwrap()
}

/// Resolves and fetches; the revision, and `path=content` for each file.
async fn checkout(client: &Client, reference: &Reference) -> Result<(Head, Vec<String>), Error> {
    let head = client.resolve(reference).await?;
    let snapshot = client.fetch(&head).await?;
    let files = tokio::task::spawn_blocking(move || {
        snapshot
            .files()
            .map(|file| {
                let file = file?;
                let mark = match file.kind {
                    EntryKind::Executable => "*",
                    EntryKind::Symlink => "@",
                    EntryKind::File | EntryKind::Directory | EntryKind::Submodule => "",
                };
                Ok(format!("{}{mark}={}", file.path, String::from_utf8_lossy(&file.bytes)))
            })
            .collect::<Result<Vec<_>, Error>>()
    })
    .await
    .unwrap()?;
    Ok((head, files))
}
