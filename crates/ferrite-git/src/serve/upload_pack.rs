//! What `git-upload-pack` says, over stateless HTTP and over one stream (gitprotocol-pack, gitprotocol-v2).

use std::path::Path;

use gix::ObjectId;

use super::pack::{self, Asked, Selection};
use super::{Sender, Stop};
use crate::objects::{Objects, Store};
use crate::pktline::{self, Packet};
use crate::protocol::bounded;
use crate::{Error, Ref, local};

const AGENT: &str = concat!("agent=ferrite/", env!("CARGO_PKG_VERSION"));

struct Opened {
    refs: Vec<Ref>,
    /// The full name of the branch that `HEAD` is, also before its first commit.
    head: Option<String>,
    objects: Objects,
}

impl Opened {
    fn at(path: &Path) -> Result<Self, Error> {
        let repository = local::open(path)?;
        let head = repository.head_name().ok().flatten().map(|name| name.as_bstr().to_string());
        let objects = Store::of(&repository).open(repository.object_hash())?;
        Ok(Self { refs: local::refs(&repository)?, head, objects })
    }
}

/// Tells the client in its own words that the repository cannot be read; details stay here.
fn opened(path: &Path, out: &mut Sender) -> Result<Opened, Stop> {
    match Opened::at(path) {
        Ok(opened) => Ok(opened),
        Err(error) => refuse(out, &error.to_string()),
    }
}

fn refuse<T>(out: &mut Sender, message: &str) -> Result<T, Stop> {
    let mut packet = Vec::new();
    pktline::line(&mut packet, &format!("ERR {}", bounded(message.as_bytes())));
    out.send(&packet)?;
    out.flush()?;
    Err(Stop)
}

/// What the server says first; `info/refs` names the service before it.
pub(crate) fn advertise(
    path: &Path,
    version_2: bool,
    names_service: bool,
    out: &mut Sender,
) -> Result<(), Stop> {
    let repository = opened(path, out)?;
    let format = repository.objects.format;
    let mut packets = Vec::new();
    if version_2 {
        for text in
            ["version 2", AGENT, "ls-refs=unborn", "fetch=shallow", &format!("object-format={format}")]
        {
            pktline::line(&mut packets, text);
        }
        pktline::flush(&mut packets);
        return out.send(&packets);
    }
    let mut capabilities =
        format!("side-band-64k shallow no-progress include-tag ofs-delta object-format={format} {AGENT}");
    if let Some(head) = &repository.head {
        capabilities.push_str(&format!(" symref=HEAD:{head}"));
    }
    if names_service {
        pktline::line(&mut packets, "# service=git-upload-pack");
        pktline::flush(&mut packets);
    }
    if repository.refs.is_empty() {
        pktline::line(&mut packets, &format!("{} capabilities^{{}}\0{capabilities}", ObjectId::null(format)));
    }
    for (index, found) in repository.refs.iter().enumerate() {
        let tail = if index == 0 { format!("\0{capabilities}") } else { String::new() };
        pktline::line(&mut packets, &format!("{} {}{tail}", found.target, found.name));
        if let Some(peeled) = found.peeled {
            pktline::line(&mut packets, &format!("{peeled} {}^{{}}", found.name));
        }
    }
    pktline::flush(&mut packets);
    out.send(&packets)
}

/// The answer to a request.
pub(crate) fn respond(path: &Path, version_2: bool, body: &[u8], out: &mut Sender) -> Result<(), Stop> {
    let Ok(packets) = pktline::decode_all(body) else { return refuse(out, "malformed packets") };
    let repository = opened(path, out)?;
    if !version_2 {
        return fetch_v0(&repository, &packets, out);
    }
    match packets.first().copied().and_then(Packet::line) {
        Some(b"command=ls-refs") => ls_refs(&repository, &packets, out),
        Some(b"command=fetch") => fetch_v2(&repository, &packets, out),
        _ => refuse(out, "unknown command"),
    }
}

fn ls_refs(repository: &Opened, packets: &[Packet<'_>], out: &mut Sender) -> Result<(), Stop> {
    let arguments = || packets.iter().skip_while(|p| **p != Packet::Delimiter).filter_map(|p| p.line());
    let has = |name: &[u8]| arguments().any(|a| a == name);
    let prefixes: Vec<&[u8]> = arguments().filter_map(|a| a.strip_prefix(b"ref-prefix ")).collect();
    let wanted = |name: &str| prefixes.is_empty() || prefixes.iter().any(|p| name.as_bytes().starts_with(p));
    let mut packets = Vec::new();
    let unborn = !repository.refs.iter().any(|r| r.name == "HEAD");
    if let Some(head) = repository.head.as_ref().filter(|_| unborn && has(b"unborn") && wanted("HEAD")) {
        pktline::line(&mut packets, &format!("unborn HEAD symref-target:{head}"));
    }
    for found in repository.refs.iter().filter(|r| wanted(&r.name)) {
        let mut line = format!("{} {}", found.target, found.name);
        if let Some(head) = repository.head.as_ref().filter(|_| found.name == "HEAD" && has(b"symrefs")) {
            line.push_str(&format!(" symref-target:{head}"));
        }
        if let Some(peeled) = found.peeled.filter(|_| has(b"peel")) {
            line.push_str(&format!(" peeled:{peeled}"));
        }
        pktline::line(&mut packets, &line);
    }
    pktline::flush(&mut packets);
    out.send(&packets)
}

/// Reads the lines both protocols share; capabilities behind the first `want` of v0 are returned.
fn read_asked(packets: &[Packet<'_>]) -> (Asked, bool, String) {
    let mut asked = Asked::default();
    let (mut done, mut capabilities) = (false, String::new());
    for line in packets.iter().filter_map(|p| p.line()) {
        let line = String::from_utf8_lossy(line);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let (first, tail) = rest.split_once(' ').unwrap_or((rest, ""));
        let id = || ObjectId::from_hex(first.as_bytes()).ok();
        match word {
            "want" => {
                asked.wants.extend(id());
                if !tail.is_empty() {
                    capabilities = tail.to_owned();
                }
            }
            "have" => asked.haves.extend(id()),
            "shallow" => asked.shallow.extend(id()),
            "deepen" => asked.depth = first.parse().ok(),
            "include-tag" => asked.include_tag = true,
            "done" => done = true,
            _ => {}
        }
    }
    asked.include_tag |= capabilities.split(' ').any(|c| c == "include-tag");
    (asked, done, capabilities)
}

/// Selects what to send, or refuses the request.
fn select(repository: &Opened, asked: &Asked, out: &mut Sender) -> Result<Selection, Stop> {
    if asked.wants.is_empty() {
        return refuse(out, "expected at least one want");
    }
    if let Some(unknown) = asked.wants.iter().find(|id| !repository.objects.exists(**id)) {
        return refuse(out, &format!("upload-pack: not our ref {unknown}"));
    }
    match pack::select(&repository.objects, asked, &repository.refs) {
        Ok(selection) => Ok(selection),
        Err(error) => refuse(out, &error.to_string()),
    }
}

fn shallow_lines(selection: &Selection) -> Vec<u8> {
    let mut packets = Vec::new();
    for id in &selection.shallow {
        pktline::line(&mut packets, &format!("shallow {id}"));
    }
    for id in &selection.unshallow {
        pktline::line(&mut packets, &format!("unshallow {id}"));
    }
    packets
}

fn fetch_v2(repository: &Opened, packets: &[Packet<'_>], out: &mut Sender) -> Result<(), Stop> {
    let (asked, done, _) = read_asked(packets);
    let mut packets = Vec::new();
    if !done {
        let common: Vec<_> = asked.haves.iter().filter(|id| repository.objects.exists(**id)).collect();
        pktline::line(&mut packets, "acknowledgments");
        if common.is_empty() {
            pktline::line(&mut packets, "NAK");
            pktline::flush(&mut packets);
            return out.send(&packets);
        }
        for id in common {
            pktline::line(&mut packets, &format!("ACK {id}"));
        }
        pktline::line(&mut packets, "ready");
        pktline::delimiter(&mut packets);
    }
    let selection = select(repository, &asked, out)?;
    let shallow = shallow_lines(&selection);
    if !shallow.is_empty() {
        pktline::line(&mut packets, "shallow-info");
        packets.extend_from_slice(&shallow);
        pktline::delimiter(&mut packets);
    }
    pktline::line(&mut packets, "packfile");
    out.send(&packets)?;
    pack::write(&repository.objects, &selection.objects, true, out)
}

fn fetch_v0(repository: &Opened, packets: &[Packet<'_>], out: &mut Sender) -> Result<(), Stop> {
    let (asked, done, _) = read_asked(packets);
    shallow_v0(repository, &asked, out)?;
    if !done && asked.haves.is_empty() {
        return Ok(());
    }
    finish_v0(repository, packets, out)
}

/// The boundary of a shallow fetch, where one was asked for.
fn shallow_v0(repository: &Opened, asked: &Asked, out: &mut Sender) -> Result<(), Stop> {
    let selection = select(repository, asked, out)?;
    if asked.depth.is_none() && selection.shallow.is_empty() {
        return Ok(());
    }
    let mut answer = shallow_lines(&selection);
    pktline::flush(&mut answer);
    out.send(&answer)
}

fn finish_v0(repository: &Opened, packets: &[Packet<'_>], out: &mut Sender) -> Result<(), Stop> {
    let (asked, done, capabilities) = read_asked(packets);
    let selection = select(repository, &asked, out)?;
    let mut answer = Vec::new();
    match asked.haves.iter().find(|id| repository.objects.exists(**id)) {
        Some(common) => pktline::line(&mut answer, &format!("ACK {common}")),
        None => pktline::line(&mut answer, "NAK"),
    }
    out.send(&answer)?;
    if !done {
        return Ok(());
    }
    let side_band = capabilities.split(' ').any(|c| c == "side-band-64k");
    pack::write(&repository.objects, &selection.objects, side_band, out)
}

/// Over a stream, protocol v0: the boundary of a shallow fetch comes as soon as the wants are said.
pub(crate) fn shallow(path: &Path, wants: &[u8], out: &mut Sender) -> Result<(), Stop> {
    let Ok(packets) = pktline::decode_all(wants) else { return refuse(out, "malformed packets") };
    let (asked, _, _) = read_asked(&packets);
    shallow_v0(&opened(path, out)?, &asked, out)
}

/// Over a stream, protocol v0: the pack, once all is said.
pub(crate) fn finish(path: &Path, asked: &[u8], out: &mut Sender) -> Result<(), Stop> {
    let Ok(packets) = pktline::decode_all(asked) else { return refuse(out, "malformed packets") };
    finish_v0(&opened(path, out)?, &packets, out)
}
