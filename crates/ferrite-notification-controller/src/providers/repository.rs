//! Where a repository is, from any form of Git URL.

use super::{Outgoing, ProviderError, Target};

/// A repository on a Git host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    /// `https://host[:port]`; a URL for SSH counts as HTTPS.
    pub(super) origin: String,
    /// The host without port.
    host: String,
    /// The parts of the path, escaped as in a URL, the last one without `.git`.
    pub(super) parts: Vec<String>,
}

impl Repository {
    /// The repository at the target's address.
    pub(super) fn of(target: &Target) -> Result<Self, ProviderError> {
        parse(target.address.expose_secret()).ok_or_else(|| ProviderError::Field {
            kind: target.kind.clone(),
            field: "the address",
            problem: "must be the URL of a Git repository: https://<host>/<path>, ssh://<host>/<path> or <user>@<host>:<path>",
        })
    }

    /// Owner and name.
    pub(super) fn owner_and_name(&self, target: &Target) -> Result<(&str, &str), ProviderError> {
        match self.parts.as_slice() {
            [owner, name] => Ok((owner, name)),
            _ => Err(ProviderError::Field {
                kind: target.kind.clone(),
                field: "the address",
                problem: "must end in <owner>/<repository>",
            }),
        }
    }

    /// Organisation, project and name of a repository of Azure DevOps.
    pub(super) fn azure(&self, target: &Target) -> Result<(&str, &str, &str), ProviderError> {
        match self.parts.as_slice() {
            [version, organisation, project, name] if version == "v3" => Ok((organisation, project, name)),
            [organisation, project, _git, name] => Ok((organisation, project, name)),
            _ => Err(ProviderError::Field {
                kind: target.kind.clone(),
                field: "the address",
                problem: "must be https://<host>/<organisation>/<project>/_git/<repository>",
            }),
        }
    }

    /// The origin of Azure DevOps' API; SSH has a host of its own.
    pub(super) fn azure_origin(&self) -> &str {
        if self.host == "ssh.dev.azure.com" { "https://dev.azure.com" } else { &self.origin }
    }

    /// The base of GitHub's API: github.com has a host for it, other servers a path.
    pub(super) fn github_api(&self) -> String {
        match self.host.as_str() {
            "github.com" => "https://api.github.com".to_owned(),
            _ => format!("{}/api/v3", self.origin),
        }
    }

    /// The path as one escaped part, which is how GitLab names a project.
    pub(super) fn project(&self) -> String {
        self.parts.join("%2F")
    }
}

fn parse(address: &str) -> Option<Repository> {
    let address = address.trim();
    let url = match address.split_once("://") {
        Some(("http" | "https", _)) => url::Url::parse(address).ok()?,
        Some(("ssh" | "git+ssh" | "ssh+git", rest)) => url::Url::parse(&format!("https://{rest}")).ok()?,
        Some(_) => return None,
        None => {
            let (host, path) = address.split_once(':')?;
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            url::Url::parse(&format!("https://{host}/{}", path.trim_start_matches('/'))).ok()?
        }
    };
    let path = url.path().trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if parts.is_empty() {
        return None;
    }
    Some(Repository { origin: super::origin(&url), host: url.host_str()?.to_owned(), parts })
}

/// The version of GitHub's API that requests are written for.
const GITHUB_API: &str = "2022-11-28";

/// The credentials of GitHub, GitLab and Gitea: the token, or else the password.
fn token(target: &Target) -> Result<&str, ProviderError> {
    let password = || target.password.as_ref().map(|password| password.expose_secret().as_str());
    target.token().or_else(password).ok_or_else(|| ProviderError::Missing {
        kind: target.kind.clone(),
        what: if target.kind.starts_with("github") {
            "`token`, `password` or `githubAppID` in spec.secretRef"
        } else {
            "`token` or `password` in spec.secretRef"
        },
    })
}

pub(super) fn github(request: Outgoing, target: &Target) -> Result<Outgoing, ProviderError> {
    let request = request.bearer(Some(token(target)?)).with_header("Accept", "application/vnd.github+json");
    Ok(request.with_header("X-GitHub-Api-Version", GITHUB_API))
}

pub(super) fn gitlab(request: Outgoing, target: &Target) -> Result<Outgoing, ProviderError> {
    Ok(request.with_header("PRIVATE-TOKEN", token(target)?))
}

pub(super) fn gitea(request: Outgoing, target: &Target) -> Result<Outgoing, ProviderError> {
    Ok(request.with_header("Authorization", format!("token {}", token(target)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_git_url_names_the_repository() {
        for (address, origin, path) in [
            ("https://github.com/acme/fleet.git", "https://github.com", "acme/fleet"),
            ("https://github.com/acme/fleet/", "https://github.com", "acme/fleet"),
            ("https://user:pw@git.example:8443/a/b/c", "https://git.example:8443", "a/b/c"),
            ("http://git.example/acme/fleet", "http://git.example", "acme/fleet"),
            ("ssh://git@git.example:2222/acme/fleet.git", "https://git.example:2222", "acme/fleet"),
            ("git@gitlab.com:group/sub/fleet.git", "https://gitlab.com", "group/sub/fleet"),
            ("git@gitlab.com:/group/fleet", "https://gitlab.com", "group/fleet"),
            ("https://dev.azure.com/o/my%20p/_git/r", "https://dev.azure.com", "o/my%20p/_git/r"),
        ] {
            let found = parse(address).unwrap();
            assert_eq!((found.origin.as_str(), found.parts.join("/").as_str()), (origin, path), "{address}");
        }
    }

    #[test]
    fn what_is_no_git_url_is_refused() {
        for address in ["", "acme/fleet", "https://github.com", "file:///x/y", "git@:x", "https://", ":"] {
            assert_eq!(parse(address), None, "{address}");
        }
    }

    #[test]
    fn climbing_paths_stay_in_the_repository() {
        assert_eq!(parse("git@git.example:a/../../b/c").unwrap().parts, ["b", "c"]);
    }
}
