//! Repositories on this machine, read directly.

use std::path::Path;

use crate::{Error, Location, Ref, Remote};

/// Opens a repository with no configuration but its own.
pub(crate) fn open(path: &Path) -> Result<gix::Repository, Error> {
    // The reflog of a repository with a work tree names a committer, and no configuration of a user is read.
    let options = gix::open::Options::isolated()
        .config_overrides(["user.name=Ferrite", "user.email=ferrite@localhost.invalid"]);
    gix::open_opts(path, options).map_err(|source| Error::Open { path: path.display().to_string(), source })
}

pub(crate) fn ls_refs(remote: &Remote, prefixes: &[String]) -> Result<Vec<Ref>, Error> {
    let Location::Local(path) = &remote.location else { return Ok(Vec::new()) };
    let mut refs = refs(&open(path)?)?;
    refs.retain(|r| prefixes.is_empty() || prefixes.iter().any(|p| r.name.starts_with(p.as_str())));
    Ok(refs)
}

/// `HEAD` and every ref, sorted by name; refs that lead nowhere are left out.
pub(crate) fn refs(repository: &gix::Repository) -> Result<Vec<Ref>, Error> {
    let failed = |e| Error::objects("list the refs of a local repository", e);
    let mut refs = Vec::new();
    if let Ok(head) = repository.head_id() {
        refs.push(Ref { name: "HEAD".to_owned(), target: head.detach(), peeled: None });
    }
    let platform = repository.references().map_err(failed)?;
    for reference in platform.all().map_err(failed)? {
        let Ok(mut reference) = reference else { continue };
        let name = reference.name().as_bstr().to_string();
        let Ok(target) = reference.follow_to_object().map(|id| id.detach()) else { continue };
        let peeled = if name.starts_with("refs/tags/") {
            let peeled = reference.peel_to_id().map(|id| id.detach()).ok();
            peeled.filter(|id| *id != target)
        } else {
            None
        };
        refs.push(Ref { name, target, peeled });
    }
    refs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(refs)
}
