//! The submodules of a commit: where each is, and fetching them, theirs included.
//!
//! Credentials are for the host they were given for. A submodule elsewhere is asked without them; over SSH the key is
//! offered to every host in `known_hosts`, since proving to have a key gives nothing away.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use gix::ObjectId;
use url::Url;

use crate::client::blocking;
use crate::{Auth, Client, EntryKind, Error, Head, Location, Remote, Snapshot};

/// Repositories within each other; go-git stops there too.
const MAX_DEPTH: usize = 10;
/// Submodules of a commit, those of submodules included.
const MAX_MODULES: u64 = 500;
/// Bytes of a `.gitmodules`.
const MAX_LIST_BYTES: usize = 1 << 20;

type Pending<'a> = Pin<Box<dyn Future<Output = Result<Snapshot, Error>> + Send + 'a>>;

/// A submodule that is to be fetched.
struct Module {
    path: String,
    commit: ObjectId,
    url: String,
}

impl Client {
    /// Fetches the submodules of `snapshot`, each one commit deep, and theirs; its walks then go into them.
    ///
    /// One that `.gitmodules` does not name stays an empty directory, as in a checkout by Git. The deadline is for all.
    ///
    /// # Errors
    /// As [`Client::fetch`], [`Error::Submodule`] for an address that must not be followed, and [`Error::Limit`].
    pub async fn fetch_submodules(&self, snapshot: Snapshot) -> Result<Snapshot, Error> {
        let remote = self.remote().clone();
        let mut left = MAX_MODULES;
        self.deadline(fetch_all(remote, snapshot, 0, &mut left)).await
    }
}

fn fetch_all(remote: Remote, snapshot: Snapshot, depth: usize, left: &mut u64) -> Pending<'_> {
    Box::pin(async move {
        let (mut snapshot, modules) = blocking(move || {
            let modules = list(&snapshot)?;
            Ok((snapshot, modules))
        })
        .await?;
        for module in modules {
            let limit = |what, limit| Error::Limit { url: remote.shown(), what, limit };
            if depth >= MAX_DEPTH {
                return Err(limit("submodules within each other", MAX_DEPTH as u64));
            }
            *left = left.checked_sub(1).ok_or_else(|| limit("submodules", MAX_MODULES))?;
            let its_remote = locate(&remote, &module)?;
            let client = Client::new(its_remote.clone())?;
            let head = Head { name: None, reference: None, commit: module.commit, tag: None };
            let fetched = client.fetch(&head).await?;
            let fetched = fetch_all(its_remote, fetched, depth + 1, &mut *left).await?;
            snapshot.insert_submodule(module.path, fetched);
        }
        Ok(snapshot)
    })
}

/// The submodules that a commit both holds and names.
fn list(snapshot: &Snapshot) -> Result<Vec<Module>, Error> {
    let mut found = Vec::new();
    let mut has_list = false;
    for entry in snapshot.walk() {
        let entry = entry?;
        match entry.kind {
            EntryKind::Submodule => found.push((entry.path, entry.id)),
            EntryKind::File | EntryKind::Executable => has_list |= entry.path == LIST,
            EntryKind::Symlink if entry.path == LIST => {
                let commit = snapshot.commit().id.to_string();
                return Err(Error::UnsafeEntry { path: entry.path, commit, problem: "it must be a file" });
            }
            EntryKind::Symlink | EntryKind::Directory => {}
        }
    }
    if found.is_empty() || !has_list {
        return Ok(Vec::new());
    }
    let urls = read_list(&snapshot.read_file(LIST, MAX_LIST_BYTES)?)?;
    let named = |(path, commit): (String, ObjectId)| {
        let url = urls.get(&path)?.clone();
        Some(Module { path, commit, url })
    };
    Ok(found.into_iter().filter_map(named).collect())
}

const LIST: &str = ".gitmodules";

/// The address of each path in a `.gitmodules`.
fn read_list(text: &[u8]) -> Result<BTreeMap<String, String>, Error> {
    let metadata = gix::config::file::Metadata::default();
    let options = gix::config::file::init::Options::default();
    let file = gix::config::File::from_bytes_no_includes(text, metadata, options).map_err(|error| {
        let problem = format!("'.gitmodules' cannot be read: {error}");
        Error::Submodule { path: LIST.to_owned(), problem: problem.chars().take(256).collect() }
    })?;
    let mut urls = BTreeMap::new();
    for section in file.sections_by_name("submodule").into_iter().flatten() {
        let text = |key| section.value(key).map(|value| value.to_string());
        if let (Some(path), Some(url)) = (text("path"), text("url")) {
            urls.insert(path.trim_end_matches('/').to_owned(), url);
        }
    }
    Ok(urls)
}

/// Where a submodule of the repository at `parent` is, and what may be presented there.
fn locate(parent: &Remote, module: &Module) -> Result<Remote, Error> {
    let wrong = |problem: &str| Error::Submodule { path: module.path.clone(), problem: problem.to_owned() };
    let mut remote = if module.url.starts_with("./") || module.url.starts_with("../") {
        let location = relative(&parent.location, &module.url)
            .ok_or_else(|| wrong("its address leads out of the server"))?;
        Remote { location, auth: Auth::None, ..parent.clone() }
    } else {
        Remote::parse_any(&module.url).map_err(|error| wrong(&error.to_string()))?
    };
    let same_host = match (&parent.location, &remote.location) {
        (Location::Http(from), Location::Http(to)) => from.origin() == to.origin(),
        (Location::Ssh(_), Location::Ssh(_)) => true,
        // A repository on this machine may be followed only from one on this machine.
        (Location::Local(_), Location::Local(_)) => true,
        (_, Location::Local(_)) => return Err(wrong("its address is a path on this machine")),
        (Location::Http(_) | Location::Local(_), Location::Ssh(_)) => {
            return Err(wrong("its address is an SSH one, and there is no SSH key"));
        }
        (Location::Ssh(_) | Location::Local(_), Location::Http(_)) => false,
    };
    if same_host {
        remote.auth = parent.auth.clone();
        remote.identity = parent.identity.clone();
    } else {
        // Not even what the address itself holds: it is written by whoever commits.
        remote.auth = Auth::None;
        remote.identity = None;
    }
    remote.ca = parent.ca.clone();
    remote.proxy = parent.proxy.clone();
    remote.ssh_algorithms = parent.ssh_algorithms.clone();
    remote.timeout = parent.timeout;
    remote.limits = parent.limits;
    Ok(remote)
}

/// Resolves `./` and `../` as Git does: against the parent's address taken as a directory.
fn relative(parent: &Location, url: &str) -> Option<Location> {
    let path = |base: &str| {
        let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
        for part in url.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                name => parts.push(name),
            }
        }
        let usable = !parts.is_empty() && !parts.iter().any(|part| part.chars().any(char::is_control));
        usable.then(|| format!("/{}", parts.join("/")))
    };
    Some(match parent {
        Location::Http(base) => {
            let mut to: Url = base.clone();
            to.set_path(&path(base.path())?);
            Location::Http(to)
        }
        Location::Ssh(base) => {
            let to = path(&base.path)?;
            let to = if base.path.starts_with('/') { to } else { to.trim_start_matches('/').to_owned() };
            Location::Ssh(crate::SshAddress { path: to, ..base.clone() })
        }
        Location::Local(base) => Location::Local(path(base.to_str()?)?.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(address: &str) -> Remote {
        let auth = Auth::Bearer("token".to_owned().into());
        Remote::parse_any(address).unwrap().with_auth(auth)
    }

    #[track_caller]
    fn check(from: &str, url: &str, expect: &str) {
        let commit = ObjectId::null(gix::hash::Kind::Sha1);
        let module = Module { path: "lib".to_owned(), commit, url: url.to_owned() };
        let shown = match locate(&parent(from), &module) {
            Ok(remote) => {
                let with = if matches!(remote.auth, Auth::Bearer(_)) { " with credentials" } else { "" };
                format!("{}{with}", remote.shown())
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn addresses_are_resolved_and_credentials_stay_with_their_host() {
        let app = "https://host/org/app.git";
        check(app, "../lib.git", "https://host/org/lib.git with credentials");
        check(app, "./sub", "https://host/org/app.git/sub with credentials");
        check(app, "../../other/lib", "https://host/other/lib with credentials");
        check(app, "https://host/x", "https://host/x with credentials");
        check(app, "https://me:canary@host/x", "https://host/x with credentials");
        check(app, "https://host:8443/x", "https://host:8443/x");
        check(app, "http://host/x", "http://host/x");
        check(app, "https://me:canary@evil/x", "https://evil/x");
        check("ssh://git@host/org/app", "../lib", "ssh://host/org/lib with credentials");
        check("ssh://git@host/org/app", "git@other:x/y.git", "ssh://other/x/y.git with credentials");
        check("ssh://git@host/org/app", "https://other/x", "https://other/x");
    }

    #[test]
    fn addresses_that_lead_elsewhere_are_refused() {
        let app = "https://host/org/app.git";
        let out = "cannot use the submodule 'lib': its address leads out of the server";
        check(app, "../../..", out);
        check(app, "../../../../etc", out);
        for url in
            ["file:///etc", "/etc", "ext::sh -c id", "-u", "--upload-pack=x", "ftp://host/x", "", "c:\\x"]
        {
            let module = Module {
                path: "lib".to_owned(),
                commit: ObjectId::null(gix::hash::Kind::Sha1),
                url: url.into(),
            };
            let error = locate(&parent(app), &module).unwrap_err().to_string();
            assert!(error.starts_with("cannot use the submodule 'lib': "), "{url}: {error}");
        }
        check(
            app,
            "git@host:x",
            "cannot use the submodule 'lib': its address is an SSH one, and there is no SSH key",
        );
    }

    #[test]
    fn a_list_names_paths_and_addresses() {
        let text = b"[submodule \"a b\"]\n\tpath = lib/a\n\turl = ../a.git\n[submodule \"c\"]\n\tpath = c\n[include]\n\tpath = /etc/passwd\n";
        let urls = read_list(text).unwrap();
        assert_eq!(urls.into_iter().collect::<Vec<_>>(), [("lib/a".to_owned(), "../a.git".to_owned())]);
        assert!(read_list(b"[submodule").unwrap_err().to_string().contains("'.gitmodules' cannot be read"));
    }
}
