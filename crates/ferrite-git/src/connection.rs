//! One conversation with `git-upload-pack`, whatever carries it.

use bytes::Bytes;
use reqwest::Response;
use url::Url;

use crate::pktline::{self, Packet};
use crate::protocol::{self, Advertisement};
use crate::{Error, Location, Remote, http, ssh};

/// How a remote is reached.
#[derive(Debug, Clone)]
pub(crate) enum Transport {
    Http(http::Session),
    Ssh(ssh::Session),
}

impl Transport {
    /// `None` for a repository on this machine.
    pub(crate) fn new(remote: &Remote) -> Result<Option<Self>, Error> {
        Ok(match &remote.location {
            Location::Http(url) => Some(Self::Http(http::Session::new(remote, url)?)),
            Location::Ssh(address) => Some(Self::Ssh(ssh::Session::new(remote, address)?)),
            Location::Local(_) => None,
        })
    }

    /// Begins a conversation; the server speaks first.
    pub(crate) async fn open(&self, limit: u64) -> Result<(Advertisement, Connection), Error> {
        const WHAT: &str = "bytes in a list of refs";
        let (body, mut connection) = match self {
            Self::Http(session) => {
                let (response, base) = session.advertisement().await?;
                let body = session.body(response, WHAT, limit).await?;
                let (session, response) = (session.clone(), None);
                (body, Connection::Http(Box::new(Posts { session, base, version_2: false, response })))
            }
            Self::Ssh(session) => {
                let mut conversation = session.open().await?;
                let body = message(&mut conversation, WHAT, limit).await?;
                (body, Connection::Ssh(Box::new(conversation)))
            }
        };
        let server = protocol::read_advertisement(&body).map_err(|e| connection.wrong(e))?;
        if let Connection::Http(posts) = &mut connection {
            posts.version_2 = server.is_v2();
        }
        Ok((server, connection))
    }
}

/// A conversation that has begun.
pub(crate) enum Connection {
    /// Each request is one of its own.
    Http(Box<Posts>),
    /// One stream for all.
    Ssh(Box<ssh::Conversation>),
}

/// Requests to one place, each with its answer.
pub(crate) struct Posts {
    session: http::Session,
    base: Url,
    version_2: bool,
    response: Option<Response>,
}

impl Connection {
    pub(crate) async fn send(&mut self, request: Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Http(posts) => {
                let Posts { session, base, version_2, response } = &mut **posts;
                *response = Some(session.upload_pack(base, *version_2, request).await?);
                Ok(())
            }
            Self::Ssh(conversation) => conversation.send(request).await,
        }
    }

    /// The whole answer, at most `limit` bytes of it.
    pub(crate) async fn message(&mut self, what: &'static str, limit: u64) -> Result<Vec<u8>, Error> {
        match self {
            Self::Http(posts) => match posts.response.take() {
                Some(response) => posts.session.body(response, what, limit).await,
                None => Ok(Vec::new()),
            },
            Self::Ssh(conversation) => message(conversation, what, limit).await,
        }
    }

    /// The next bytes of the answer; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Http(posts) => match &mut posts.response {
                Some(response) => response.chunk().await.map_err(|e| posts.session.broken(e)),
                None => Ok(None),
            },
            Self::Ssh(conversation) => conversation.chunk().await,
        }
    }

    /// Why the answer ended before all was said.
    pub(crate) fn ended(&self) -> Error {
        match self {
            Self::Http(posts) => {
                Error::protocol(posts.session.shown(), "the answer ended before the pack did")
            }
            Self::Ssh(conversation) => conversation.ended(),
        }
    }

    fn wrong(&self, broken: protocol::Broken) -> Error {
        let url = match self {
            Self::Http(posts) => posts.session.shown(),
            Self::Ssh(conversation) => conversation.shown(),
        };
        broken.of(url)
    }
}

/// Everything up to the flush packet that ends a message.
async fn message(
    conversation: &mut ssh::Conversation,
    what: &'static str,
    limit: u64,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut read = 0;
    while let Some(chunk) = conversation.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > limit {
            return Err(Error::Limit { url: conversation.shown().to_owned(), what, limit });
        }
        let malformed = |e: pktline::Malformed| protocol::Broken::from(e).of(conversation.shown());
        while let Some((packet, used)) =
            pktline::decode(bytes.get(read..).unwrap_or_default()).map_err(malformed)?
        {
            read += used;
            if packet == Packet::Flush {
                let rest = bytes.split_off(read);
                conversation.put_back(rest);
                return Ok(bytes);
            }
        }
    }
    // An error is one packet and the end.
    if read > 0 { Ok(bytes) } else { Err(conversation.ended()) }
}
