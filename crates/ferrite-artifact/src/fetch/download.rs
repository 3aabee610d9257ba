//! From a response to a tree: hashed and unpacked while it arrives, used only when the digest is right.

use std::{
    io::{self, Read},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use ferrite_tree::MemoryTree;
use tokio::sync::mpsc;

use super::Failure;
use crate::{Digest, Hasher, Limits, UnpackError, unpack};

/// Pieces of a body that wait to be unpacked.
const QUEUE_LENGTH: usize = 16;

pub(super) async fn receive(
    mut response: reqwest::Response,
    digest: &Digest,
    limits: Limits,
    stall: Duration,
) -> Result<MemoryTree, Failure> {
    if response.content_length().is_some_and(|length| length > limits.archive_bytes) {
        return Err(too_large(&limits));
    }
    let (sender, receiver) = mpsc::channel::<Bytes>(QUEUE_LENGTH);
    let algorithm = digest.algorithm();
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut source = Source { receiver, current: Bytes::new(), hasher: Hasher::new(algorithm) };
        let unpacked = unpack(&mut source, &limits);
        // The digest is that of all bytes, also of those after a damaged place.
        let drained = io::copy(&mut source, &mut io::sink());
        (unpacked, drained.map(|_| source.hasher.finish()))
    });
    let mut left = limits.archive_bytes;
    loop {
        let chunk = tokio::time::timeout(stall, response.chunk()).await.map_err(|_| Failure::Stalled)??;
        let Some(chunk) = chunk else { break };
        left = left.checked_sub(chunk.len() as u64).ok_or_else(|| too_large(&limits))?;
        if sender.send(chunk).await.is_err() {
            break;
        }
    }
    drop(sender);
    let (unpacked, actual) = unpacking.await.map_err(|_| Failure::Interrupted)?;
    let actual = actual.map_err(|_| Failure::Interrupted)?;
    if actual != *digest {
        return Err(Failure::Digest { expected: digest.to_string(), actual: actual.to_string() });
    }
    unpacked.map_err(Failure::Archive)
}

const fn too_large(limits: &Limits) -> Failure {
    Failure::Archive(UnpackError::TooLarge { what: "bytes as downloaded", limit: limits.archive_bytes })
}

/// The blocking end of a download; hashes what passes.
struct Source {
    receiver: mpsc::Receiver<Bytes>,
    current: Bytes,
    hasher: Hasher,
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = out.len().min(self.current.len());
        let (Some(target), Some(source)) = (out.get_mut(..count), self.current.get(..count)) else {
            return Ok(0);
        };
        target.copy_from_slice(source);
        self.hasher.update(source);
        self.current.advance(count);
        Ok(count)
    }
}
