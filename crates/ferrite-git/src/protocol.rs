//! What is said in the packets: advertisements, ref lists, fetch requests and answers, protocol v2 and v0.

use gix::ObjectId;
use gix::hash::Kind;

use crate::pktline::{self, Packet};
use crate::{Error, Ref};

const AGENT: &str = concat!("agent=ferrite/", env!("CARGO_PKG_VERSION"));

/// Why a message could not be read; the caller adds the address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The bytes make no sense.
    Nonsense(String),
    /// The server said `ERR`.
    Refused(String),
}

impl Broken {
    /// The error of the remote at `url`.
    pub(crate) fn of(self, url: &str) -> Error {
        let url = url.to_owned();
        match self {
            Self::Nonsense(problem) => Error::Protocol { url, problem },
            Self::Refused(message) => Error::Refused { url, message },
        }
    }
}

impl From<pktline::Malformed> for Broken {
    fn from(_: pktline::Malformed) -> Self {
        Self::Nonsense("malformed packet".to_owned())
    }
}

/// What a server says of itself first.
#[derive(Debug)]
pub(crate) struct Advertisement {
    pub(crate) format: Kind,
    capabilities: Vec<String>,
    /// Protocol v0 lists all refs at once; v2 lists none.
    pub(crate) refs: Option<Vec<Ref>>,
}

impl Advertisement {
    pub(crate) fn is_v2(&self) -> bool {
        self.refs.is_none()
    }

    fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|c| c == capability)
    }

    /// Whether `fetch=` of v2, or v0's capabilities, name `feature`.
    pub(crate) fn fetches_with(&self, feature: &str) -> bool {
        if self.is_v2() {
            let value = self.capabilities.iter().find_map(|c| c.strip_prefix("fetch="));
            value.is_some_and(|v| v.split(' ').any(|f| f == feature))
        } else {
            self.has(feature)
        }
    }
}

pub(crate) fn read_advertisement(body: &[u8]) -> Result<Advertisement, Broken> {
    let packets = pktline::decode_all(body)?;
    let mut lines = packets.into_iter().filter_map(Packet::line).peekable();
    if lines.peek().is_some_and(|l| l.starts_with(b"# service=")) {
        lines.next();
    }
    let first = lines.peek().copied().ok_or_else(|| Broken::Nonsense("empty answer".to_owned()))?;
    refused(first)?;
    if first == b"version 2" {
        let capabilities: Vec<String> =
            lines.skip(1).map(|l| String::from_utf8_lossy(l).into_owned()).collect();
        return Ok(Advertisement { format: format_of(&capabilities)?, capabilities, refs: None });
    }
    if first == b"version 1" {
        lines.next();
    }
    read_v0(lines)
}

fn read_v0<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Advertisement, Broken> {
    let (mut refs, mut capabilities): (Vec<Ref>, Vec<String>) = (Vec::new(), Vec::new());
    for (index, line) in lines.enumerate() {
        let mut line = line;
        if index == 0 {
            let at = line
                .iter()
                .position(|b| *b == 0)
                .ok_or_else(|| Broken::Nonsense("no capabilities".to_owned()))?;
            let (head, tail) = line.split_at(at);
            let tail = String::from_utf8_lossy(tail.get(1..).unwrap_or_default()).into_owned();
            capabilities = tail.split_ascii_whitespace().map(str::to_owned).collect();
            line = head;
        }
        if line.starts_with(b"shallow ") {
            continue;
        }
        let (target, name) = id_and_name(line)?;
        match name.strip_suffix("^{}") {
            Some("capabilities") => {}
            Some(tag) => {
                if let Some(last) = refs.last_mut().filter(|r| r.name == tag) {
                    last.peeled = Some(target);
                }
            }
            None => refs.push(Ref { name, target, peeled: None }),
        }
    }
    Ok(Advertisement { format: format_of(&capabilities)?, capabilities, refs: Some(refs) })
}

fn format_of(capabilities: &[String]) -> Result<Kind, Broken> {
    match capabilities.iter().find_map(|c| c.strip_prefix("object-format=")) {
        None | Some("sha1") => Ok(Kind::Sha1),
        Some("sha256") => Ok(Kind::Sha256),
        Some(other) => {
            Err(Broken::Nonsense(format!("unknown object format `{}`", bounded(other.as_bytes()))))
        }
    }
}

fn id_and_name(line: &[u8]) -> Result<(ObjectId, String), Broken> {
    let wrong = || Broken::Nonsense(format!("unexpected line `{}`", bounded(line)));
    let space = line.iter().position(|b| *b == b' ').ok_or_else(wrong)?;
    let (id, name) = line.split_at(space);
    let id = ObjectId::from_hex(id).map_err(|_| wrong())?;
    Ok((id, String::from_utf8_lossy(name.get(1..).unwrap_or_default()).into_owned()))
}

fn refused(line: &[u8]) -> Result<(), Broken> {
    match line.strip_prefix(b"ERR ") {
        Some(message) => Err(Broken::Refused(bounded(message))),
        None => Ok(()),
    }
}

/// Words of a peer, short enough for a message and without control characters.
pub(crate) fn bounded(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(1024)).unwrap_or_default()).into_owned();
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(256).collect()
}

fn command(name: &str, server: &Advertisement) -> Vec<u8> {
    let mut out = Vec::new();
    pktline::line(&mut out, &format!("command={name}"));
    pktline::line(&mut out, AGENT);
    if server.capabilities.iter().any(|c| c.starts_with("object-format=")) {
        pktline::line(&mut out, &format!("object-format={}", server.format));
    }
    pktline::delimiter(&mut out);
    out
}

/// The v2 request for refs below the prefixes.
pub(crate) fn ls_refs_request(server: &Advertisement, prefixes: &[String]) -> Vec<u8> {
    let mut out = command("ls-refs", server);
    pktline::line(&mut out, "peel");
    for prefix in prefixes {
        pktline::line(&mut out, &format!("ref-prefix {prefix}"));
    }
    pktline::flush(&mut out);
    out
}

pub(crate) fn read_ls_refs(body: &[u8]) -> Result<Vec<Ref>, Broken> {
    let mut refs = Vec::new();
    for line in pktline::decode_all(body)?.into_iter().filter_map(Packet::line) {
        refused(line)?;
        if line.starts_with(b"unborn ") {
            continue;
        }
        let (target, rest) = id_and_name(line)?;
        let mut words = rest.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let peeled =
            words.find_map(|w| w.strip_prefix("peeled:")).map(|hex| ObjectId::from_hex(hex.as_bytes()));
        let peeled = peeled.transpose().map_err(|_| Broken::Nonsense("unreadable peeled id".to_owned()))?;
        refs.push(Ref { name, target, peeled });
    }
    Ok(refs)
}

/// How much of the history and of the files to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The wanted commits with their files.
    Shallow,
    /// The wanted commits without files, where the server can leave them out.
    CommitsOnly,
    /// The wanted commits with all that came before them.
    History,
}

/// The request for `wants`, in the protocol the server speaks.
pub(crate) fn fetch_request(server: &Advertisement, wants: &[ObjectId], extent: Extent) -> Vec<u8> {
    let filter = extent == Extent::CommitsOnly && server.fetches_with("filter");
    let shallow = extent != Extent::History && server.fetches_with("shallow");
    if server.is_v2() {
        let mut out = command("fetch", server);
        pktline::line(&mut out, "ofs-delta");
        pktline::line(&mut out, "no-progress");
        for want in wants {
            pktline::line(&mut out, &format!("want {want}"));
        }
        if shallow {
            pktline::line(&mut out, "deepen 1");
        }
        if filter {
            pktline::line(&mut out, "filter tree:0");
        }
        pktline::line(&mut out, "done");
        pktline::flush(&mut out);
        return out;
    }
    let mut asked = String::new();
    // Azure DevOps answers only clients that can take several acknowledgements; with `done` at once there are none.
    for capability in ["multi_ack_detailed", "side-band-64k", "ofs-delta", "no-progress", "shallow"] {
        if server.has(capability) {
            asked.push(' ');
            asked.push_str(capability);
        }
    }
    let mut out = Vec::new();
    for (index, want) in wants.iter().enumerate() {
        let extra = if index == 0 { format!("{asked} {AGENT}") } else { String::new() };
        pktline::line(&mut out, &format!("want {want}{extra}"));
    }
    if shallow {
        pktline::line(&mut out, "deepen 1");
    }
    if filter {
        pktline::line(&mut out, "filter tree:0");
    }
    pktline::flush(&mut out);
    pktline::line(&mut out, "done");
    out
}

/// Takes a fetch answer apart as it arrives.
#[derive(Debug)]
pub(crate) struct Answer {
    buffer: Vec<u8>,
    state: State,
    side_band: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Sections before the pack.
    Before,
    /// The pack, in side-band packets.
    Pack,
    /// The pack, bare (v0 without side band).
    Bare,
    Done,
}

impl Answer {
    pub(crate) fn new(server: &Advertisement) -> Self {
        let side_band = server.is_v2() || server.has("side-band-64k");
        Self { buffer: Vec::new(), state: State::Before, side_band }
    }

    /// Adds bytes from the wire; what belongs to the pack goes to `pack`.
    pub(crate) fn feed(&mut self, bytes: &[u8], pack: &mut Vec<u8>) -> Result<(), Broken> {
        if self.state == State::Bare {
            pack.extend_from_slice(bytes);
            return Ok(());
        }
        self.buffer.extend_from_slice(bytes);
        let mut used = 0;
        loop {
            let rest = self.buffer.get(used..).unwrap_or_default();
            if self.state == State::Before && !self.side_band && rest.starts_with(b"PACK") {
                self.state = State::Bare;
                pack.extend_from_slice(rest);
                used = self.buffer.len();
                break;
            }
            let Some((packet, length)) = pktline::decode(rest)? else { break };
            used += length;
            match (self.state, packet) {
                (State::Before, Packet::Data(data)) => {
                    let line = data.strip_suffix(b"\n").unwrap_or(data);
                    refused(line)?;
                    // v2 announces the pack; in v0 it simply follows as the first side-band packet.
                    if line == b"packfile" {
                        self.state = State::Pack;
                    } else if data.starts_with(b"\x01PACK")
                        || data.first().is_some_and(|b| matches!(b, 1..=3))
                    {
                        self.state = State::Pack;
                        band(data, pack)?;
                    }
                }
                (State::Pack, Packet::Data(data)) => band(data, pack)?,
                (State::Pack, Packet::Flush | Packet::ResponseEnd) => self.state = State::Done,
                (State::Before | State::Pack | State::Bare | State::Done, _) => {}
            }
        }
        self.buffer.drain(..used);
        Ok(())
    }

    /// Whether nothing may follow.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the answer may end here.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Done | State::Bare)
    }
}

fn band(data: &[u8], pack: &mut Vec<u8>) -> Result<(), Broken> {
    match data.split_first() {
        Some((1, bytes)) => pack.extend_from_slice(bytes),
        Some((3, message)) => return Err(Broken::Refused(bounded(message))),
        Some((2, _)) | None => {}
        Some((other, _)) => return Err(Broken::Nonsense(format!("unknown side band {other}"))),
    }
    Ok(())
}
