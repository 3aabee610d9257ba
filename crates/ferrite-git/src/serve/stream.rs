//! `git-upload-pack` over one stream in both directions, as it runs behind SSH (gitprotocol-pack).

use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::{FRAME, MAX_REQUEST_BYTES, Repositories, Sender, Stop, upload_pack};
use crate::pktline::{self, Packet};

impl Repositories {
    /// Speaks `git-upload-pack` for the repository `name` until the client has what it wants. Whether there is such a
    /// repository; nothing is said when there is none. Credentials are the business of whoever made the stream.
    pub async fn upload_pack(
        &self,
        name: &str,
        version_2: bool,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
    ) -> bool {
        let Some(served) = self.find(name.trim_matches('/')) else { return false };
        // A client that goes away is its own affair.
        drop(talk(served.path, version_2, &mut stream).await);
        drop(stream.flush().await);
        true
    }
}

/// The conversation is over: the client is gone or has said something that makes no sense.
struct Over;

async fn talk(
    path: PathBuf,
    version_2: bool,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<(), Over> {
    let mut requests = Requests::default();
    say(stream, path.clone(), move |path, out| upload_pack::advertise(path, version_2, false, out)).await?;
    if version_2 {
        while let Some(request) = requests.until(stream, |packet| packet == Packet::Flush).await? {
            say(stream, path.clone(), move |path, out| upload_pack::respond(path, true, &request, out))
                .await?;
        }
        return Ok(());
    }
    let Some(mut asked) = requests.until(stream, |packet| packet == Packet::Flush).await? else {
        return Ok(());
    };
    let wants = asked.clone();
    say(stream, path.clone(), move |path, out| upload_pack::shallow(path, &wants, out)).await?;
    loop {
        let ends = |packet: Packet<'_>| packet == Packet::Flush || packet.line() == Some(b"done");
        let Some(haves) = requests.until(stream, ends).await? else { return Ok(()) };
        let done = haves.ends_with(b"done\n") || haves.ends_with(b"done");
        asked.extend_from_slice(&haves);
        if asked.len() > MAX_REQUEST_BYTES {
            return Err(Over);
        }
        if done {
            return say(stream, path, move |path, out| upload_pack::finish(path, &asked, out)).await;
        }
        let mut nak = Vec::new();
        pktline::line(&mut nak, "NAK");
        stream.write_all(&nak).await.map_err(|_| Over)?;
    }
}

/// Sends what `work` writes on a thread of its own.
async fn say(
    stream: &mut (impl AsyncWrite + Unpin),
    path: PathBuf,
    work: impl FnOnce(&Path, &mut Sender) -> Result<(), Stop> + Send + 'static,
) -> Result<(), Over> {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(8);
    let worker = tokio::task::spawn_blocking(move || {
        let mut out = Sender { channel: sender, buffer: Vec::with_capacity(FRAME) };
        let said = work(&path, &mut out);
        drop(out.flush()); // the reader is gone
        said.map_err(|Stop| Over)
    });
    while let Some(bytes) = receiver.recv().await {
        stream.write_all(&bytes).await.map_err(|_| Over)?;
    }
    stream.flush().await.map_err(|_| Over)?;
    worker.await.map_err(|_| Over)?
}

/// Takes requests off the stream.
#[derive(Default)]
struct Requests {
    buffer: Vec<u8>,
}

impl Requests {
    /// The packets up to and with the first that `ends`; `None` when there is nothing but the end.
    async fn until(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        ends: impl Fn(Packet<'_>) -> bool,
    ) -> Result<Option<Vec<u8>>, Over> {
        let mut read = 0;
        loop {
            while let Some((packet, used)) =
                pktline::decode(self.buffer.get(read..).unwrap_or_default()).map_err(|_| Over)?
            {
                read += used;
                if ends(packet) {
                    let rest = self.buffer.split_off(read);
                    let request = std::mem::replace(&mut self.buffer, rest);
                    return Ok((request != b"0000").then_some(request));
                }
            }
            if self.buffer.len() > MAX_REQUEST_BYTES {
                return Err(Over);
            }
            if stream.read_buf(&mut self.buffer).await.map_err(|_| Over)? == 0 {
                return Ok(None);
            }
        }
    }
}
