//! `git-receive-pack`: branches that clients push. For tests and laptops.

use std::io::BufReader;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::hash::Kind;

use super::{Sender, Stop};
use crate::pktline;
use crate::{Error, Repository, local};

/// What is served, after the name of the first ref.
const CAPABILITIES: &str = "report-status no-thin agent=ferrite";

/// The refs, as the first answer to a push.
pub(super) fn advertise(path: &Path, out: &mut Sender) -> Result<(), Stop> {
    let mut lines = Vec::new();
    pktline::line(&mut lines, "# service=git-receive-pack");
    pktline::flush(&mut lines);
    let refs = Repository::open(path).and_then(|repository| repository.refs()).unwrap_or_default();
    let mut refs = refs.into_iter().filter(|found| found.name != "HEAD").peekable();
    if refs.peek().is_none() {
        let null = ObjectId::null(Kind::Sha1);
        pktline::data(&mut lines, format!("{null} capabilities^{{}}\0{CAPABILITIES}\n").as_bytes());
    }
    for (index, found) in refs.enumerate() {
        let capabilities = if index == 0 { format!("\0{CAPABILITIES}") } else { String::new() };
        pktline::data(&mut lines, format!("{} {}{capabilities}\n", found.target, found.name).as_bytes());
    }
    pktline::flush(&mut lines);
    out.send(&lines)
}

/// An update of a ref: what it was, what it shall be, its name.
type Command = (ObjectId, ObjectId, String);

/// Takes the pack in and moves the refs.
pub(super) fn respond(path: &Path, body: &[u8], out: &mut Sender) -> Result<(), Stop> {
    let mut lines = Vec::new();
    match commands(body) {
        None => pktline::line(&mut lines, "unpack the commands are malformed"),
        Some((commands, pack)) => match unpack(path, pack) {
            Err(error) => pktline::line(&mut lines, &format!("unpack {error}")),
            Ok(()) => {
                pktline::line(&mut lines, "unpack ok");
                for (old, new, name) in commands {
                    let line = match update(path, old, new, &name) {
                        Ok(()) => format!("ok {name}"),
                        Err(why) => format!("ng {name} {why}"),
                    };
                    pktline::line(&mut lines, &line);
                }
            }
        },
    }
    pktline::flush(&mut lines);
    out.send(&lines)
}

fn commands(body: &[u8]) -> Option<(Vec<Command>, &[u8])> {
    let mut commands = Vec::new();
    let mut rest = body;
    loop {
        let (packet, used) = pktline::decode(rest).ok()??;
        rest = rest.get(used..)?;
        let Some(line) = packet.line() else { return Some((commands, rest)) };
        let line = std::str::from_utf8(line.split(|byte| *byte == 0).next()?).ok()?;
        let mut parts = line.trim_end().splitn(3, ' ');
        let id = |text: &str| ObjectId::from_hex(text.as_bytes()).ok();
        commands.push((id(parts.next()?)?, id(parts.next()?)?, parts.next()?.to_owned()));
    }
}

fn unpack(path: &Path, pack: &[u8]) -> Result<(), Error> {
    if pack.is_empty() {
        return Ok(());
    }
    let repository = local::open(path)?;
    let directory = repository.objects.store_ref().path().join("pack");
    fs_err::create_dir_all(&directory)
        .map_err(|source| Error::Io { action: "make a directory for packs".to_owned(), source })?;
    gix::odb::pack::Bundle::write_to_directory(
        &mut BufReader::new(pack),
        Some(&directory),
        &mut gix::progress::Discard,
        &AtomicBool::new(false),
        None::<gix::odb::Handle>,
        repository.object_hash(),
        gix::odb::pack::bundle::write::Options { thread_limit: Some(1), ..Default::default() },
    )
    .map_err(|e| Error::objects("index the pack", e))?;
    Ok(())
}

fn update(path: &Path, old: ObjectId, new: ObjectId, name: &str) -> Result<(), String> {
    let repository = Repository::open(path).map_err(|error| error.to_string())?;
    let refs = repository.refs().map_err(|error| error.to_string())?;
    let found = refs.into_iter().find(|found| found.name == name).map(|found| found.target);
    if found.unwrap_or_else(|| ObjectId::null(old.kind())) != old {
        return Err("it has moved".to_owned());
    }
    if new.is_null() {
        return Err("deleting is not served here".to_owned());
    }
    repository.set_reference(name, new).map_err(|error| error.to_string())
}
