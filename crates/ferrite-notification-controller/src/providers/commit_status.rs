//! Statuses of commits: what is asked of a Git host, and what is told to it. Pure.

use ferrite_api::notification::{Alert, Provider};
use ferrite_cel::{Expression, Output};
use kube::ResourceExt as _;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::repository::{self, Repository};
use super::{Outgoing, ProviderError, Target};
use crate::event::Event;

/// Digits of the longest commit hash (SHA-256).
const HASH_DIGITS: usize = 64;
/// Events of this reason say that work goes on; most hosts are not told.
const PROGRESSING: &str = "Progressing";

/// The version of Azure DevOps' API: the oldest server that has statuses understands it.
const AZURE_API: &str = "application/json;api-version=6.0";

/// A status to set, unless it stands already.
#[derive(Debug)]
pub(crate) struct CommitStatus {
    /// Asks for what stands; 404 means nothing does.
    pub(crate) look: Outgoing,
    /// Sets the status.
    pub(crate) post: Outgoing,
    /// Where in the answer to `look` the statuses are (JSON pointer): a list, or a single one.
    list: &'static str,
    /// What the first status of ours has.
    ours: Vec<(&'static str, String)>,
    /// What it must have for nothing to be left to do.
    equal: Vec<(&'static str, String)>,
}

impl CommitStatus {
    /// Whether the answer to `look` shows the status as it is to be.
    pub(crate) fn stands(&self, answer: &Value) -> bool {
        let found = answer.pointer(self.list).unwrap_or(&Value::Null);
        let list = found.as_array().map_or(std::slice::from_ref(found), Vec::as_slice);
        let holds = |status: &Value, pairs: &[(&str, String)]| {
            pairs.iter().all(|(pointer, value)| {
                status.pointer(pointer).and_then(Value::as_str) == Some(value.as_str())
            })
        };
        list.iter().find(|status| holds(status, &self.ours)).is_some_and(|status| holds(status, &self.equal))
    }
}

/// The name under which a provider sets statuses: what `commitStatusExpr` says, else
/// `kind/name/<first part of the provider's UID>`.
///
/// # Errors
///
/// The expression does not compile to text, or fails on these objects.
pub(crate) fn status_id(
    provider: &Provider,
    alert: &Alert,
    event: &Event,
) -> Result<String, ferrite_cel::Error> {
    if let Some(text) = provider.spec.commit_status_expr.as_deref().filter(|text| !text.is_empty()) {
        let expression = Expression::compile(text, &["event", "provider", "alert"], Output::String)?;
        // Serialising these cannot fail.
        let (provider, alert) = (json!(provider), json!(alert));
        return expression.eval_string(&[
            ("event", &json!(event)),
            ("provider", &provider),
            ("alert", &alert),
        ]);
    }
    let uid = provider.uid().unwrap_or_default();
    let part = uid.split('-').next().unwrap_or_default();
    Ok(format!("{}/{part}", event.object_short()).to_lowercase())
}

/// What to do about `event`; nothing when the host is not told of such events.
///
/// # Errors
///
/// [`ProviderError`] when the event names no commit or the provider lacks something; the text holds no secret.
pub(crate) fn plan(target: &Target, event: &Event, id: &str) -> Result<Option<CommitStatus>, ProviderError> {
    if event.reason == PROGRESSING && target.kind != "gitea" {
        return Ok(None);
    }
    let facts =
        Facts { target, event, id, commit: commit(event)?.to_owned(), description: event.reason_words() };
    match target.kind.as_str() {
        "github" => facts.github().map(Some),
        "gitlab" => facts.gitlab().map(Some),
        "gitea" => facts.gitea().map(Some),
        "bitbucket" => facts.bitbucket().map(Some),
        "bitbucketserver" => facts.bitbucket_server().map(Some),
        "azuredevops" => facts.azure_devops().map(Some),
        other => Err(ProviderError::Unsupported(other.to_owned())),
    }
}

/// The hash of the commit that the event is about.
fn commit(event: &Event) -> Result<&str, ProviderError> {
    let value = |key: &str| event.metadata.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let revision =
        value("commit").or_else(|| value("originRevision")).or_else(|| value("revision")).unwrap_or_default();
    let digest = revision.rsplit_once('@').map_or(revision, |(_, digest)| digest);
    let hash = match digest.split_once(':') {
        Some(("sha1" | "sha256", hash)) => Some(hash),
        Some(_) => None,
        // The form of Flux before 0.36: `main/<hash>`.
        None => revision.rsplit_once('/').map(|(_, hash)| hash).filter(|hash| matches!(hash.len(), 40 | 64)),
    };
    // The hash becomes a part of URLs.
    let is_hash = |hash: &&str| {
        (1..=HASH_DIGITS).contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    hash.filter(is_hash).ok_or_else(|| ProviderError::Revision(revision.chars().take(256).collect()))
}

struct Facts<'a> {
    target: &'a Target,
    event: &'a Event,
    id: &'a str,
    commit: String,
    description: String,
}

impl Facts<'_> {
    /// The host's word for what happened.
    fn state(&self, success: &'static str, failure: &'static str) -> &'static str {
        if self.event.is_error() { failure } else { success }
    }

    /// The name where it may have 40 characters only.
    fn key(&self) -> String {
        hex::encode(Sha1::digest(self.id))
    }

    fn query(name: &str, value: &str) -> String {
        url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
    }

    fn github(&self) -> Result<CommitStatus, ProviderError> {
        let repository = Repository::of(self.target)?;
        let (owner, name) = repository.owner_and_name(self.target)?;
        let base = format!("{}/repos/{owner}/{name}", repository.github_api());
        let (commit, state) = (&self.commit, self.state("success", "failure"));
        let body = json!({"state": state, "description": self.description, "context": self.id});
        let look = Outgoing::get(format!("{base}/commits/{commit}/statuses?per_page=50"));
        let post = Outgoing::json(format!("{base}/statuses/{commit}"), &body);
        Ok(CommitStatus {
            look: repository::github(look, self.target)?,
            post: repository::github(post, self.target)?,
            list: "",
            ours: vec![("/context", self.id.to_owned())],
            equal: vec![("/state", state.to_owned()), ("/description", self.description.clone())],
        })
    }

    fn gitlab(&self) -> Result<CommitStatus, ProviderError> {
        let repository = Repository::of(self.target)?;
        let base = format!("{}/api/v4/projects/{}", repository.origin, repository.project());
        let (commit, state) = (&self.commit, self.state("success", "failed"));
        let body = json!({"state": state, "name": self.id, "description": self.description});
        let query = Self::query("name", self.id);
        let look = Outgoing::get(format!("{base}/repository/commits/{commit}/statuses?{query}"));
        let post = Outgoing::json(format!("{base}/statuses/{commit}"), &body);
        Ok(CommitStatus {
            look: repository::gitlab(look, self.target)?,
            post: repository::gitlab(post, self.target)?,
            list: "",
            // Other pipelines of the commit may have statuses of this name: any of them will do.
            ours: vec![
                ("/sha", commit.clone()),
                ("/status", state.to_owned()),
                ("/description", self.description.clone()),
                ("/name", self.id.to_owned()),
            ],
            equal: Vec::new(),
        })
    }

    fn gitea(&self) -> Result<CommitStatus, ProviderError> {
        let repository = Repository::of(self.target)?;
        let (owner, name) = repository.owner_and_name(self.target)?;
        let base = format!("{}/api/v1/repos/{owner}/{name}", repository.origin);
        let commit = &self.commit;
        let state = match self.event.reason == PROGRESSING {
            true => "pending",
            false => self.state("success", "failure"),
        };
        let body =
            json!({"state": state, "target_url": "", "description": self.description, "context": self.id});
        let look = Outgoing::get(format!("{base}/commits/{commit}/statuses?limit=50&page=1"));
        let post = Outgoing::json(format!("{base}/statuses/{commit}"), &body);
        Ok(CommitStatus {
            look: repository::gitea(look, self.target)?,
            post: repository::gitea(post, self.target)?,
            list: "",
            ours: vec![("/context", self.id.to_owned())],
            equal: vec![("/status", state.to_owned()), ("/description", self.description.clone())],
        })
    }

    fn bitbucket(&self) -> Result<CommitStatus, ProviderError> {
        let repository = Repository::of(self.target)?;
        let (owner, name) = repository.owner_and_name(self.target)?;
        let token = self.target.require_token()?;
        let (user, password) = token.split_once(':').ok_or_else(|| ProviderError::Field {
            kind: self.target.kind.clone(),
            field: "the token",
            problem: "must be <user>:<app password>",
        })?;
        let (key, state) = (self.key(), self.state("SUCCESSFUL", "FAILED"));
        let url = format!(
            "https://api.bitbucket.org/2.0/repositories/{owner}/{name}/commit/{}/statuses/build",
            self.commit
        );
        let body = json!({
            "state": state, "key": key, "name": self.event.object_short(), "description": self.description,
            "url": "https://bitbucket.org",
        });
        Ok(CommitStatus {
            look: Outgoing::get(format!("{url}/{key}")).basic(user, password),
            post: Outgoing::json(url, &body).basic(user, password),
            list: "",
            ours: Vec::new(),
            equal: vec![("/state", state.to_owned()), ("/description", self.description.clone())],
        })
    }

    fn bitbucket_server(&self) -> Result<CommitStatus, ProviderError> {
        let shape = || ProviderError::Field {
            kind: self.target.kind.clone(),
            field: "the address",
            problem: "must be http(s)://<host>/[<path>/]scm/<project>/<repository>.git",
        };
        let mut address = self.target.url()?;
        let repository = Repository::of(self.target)?;
        let [context @ .., scm, project, name] = repository.parts.as_slice() else { return Err(shape()) };
        if scm != "scm" {
            return Err(shape());
        }
        let base = context.iter().fold(repository.origin.clone(), |base, part| format!("{base}/{part}"));
        let (key, state) = (self.key(), self.state("SUCCESSFUL", "FAILED"));
        let url =
            format!("{base}/rest/api/latest/projects/{project}/repos/{name}/commits/{}/builds", self.commit);
        // What stands at the commit is public: no credentials of the address belong there. A URL with a host takes this.
        let _cleared = address.set_username("").is_ok() && address.set_password(None).is_ok();
        let title = format!("{} [{}]", self.event.object_short(), self.description);
        let fields =
            [("/key", key.clone()), ("/state", state.to_owned()), ("/description", self.description.clone())];
        let body = json!({
            "key": key, "name": title, "state": state, "description": self.description, "url": address.as_str(),
        });
        let authorised = |request: Outgoing| {
            let request = request
                .with_header("x-atlassian-token", "no-check")
                .with_header("x-requested-with", "XMLHttpRequest");
            match (self.target.token(), self.target.basic()) {
                (Some(token), _) => Ok(request.bearer(Some(token))),
                (None, Some((user, password))) => Ok(request.basic(user, password)),
                (None, None) => Err(ProviderError::Missing {
                    kind: self.target.kind.clone(),
                    what: "`token`, or `username` and `password`, in spec.secretRef",
                }),
            }
        };
        let query = Self::query("key", &key);
        Ok(CommitStatus {
            look: authorised(Outgoing::get(format!("{url}?{query}")))?,
            post: authorised(Outgoing::json(url, &body))?,
            list: "",
            ours: Vec::new(),
            equal: fields.into_iter().chain([("/name", title)]).collect(),
        })
    }

    fn azure_devops(&self) -> Result<CommitStatus, ProviderError> {
        let repository = Repository::of(self.target)?;
        let (organisation, project, name) = repository.azure(self.target)?;
        let authorised = |request: Outgoing| {
            let request = request.with_header("Accept", AZURE_API);
            match self.target.bearer() {
                Some(token) => Ok(request.bearer(Some(token))),
                None => self.target.require_token().map(|token| request.basic("", token)),
            }
        };
        let url = format!(
            "{}/{organisation}/{project}/_apis/git/repositories/{name}/commits/{}/statuses",
            repository.azure_origin(),
            self.commit
        );
        let state = self.state("succeeded", "error");
        let genre = match self.event.metadata.get("summary").filter(|summary| !summary.is_empty()) {
            Some(summary) => format!("fluxcd:{summary}"),
            None => "fluxcd".to_owned(),
        };
        let body = json!({
            "state": state, "description": self.description, "context": {"name": self.id, "genre": genre},
        });
        Ok(CommitStatus {
            look: authorised(Outgoing::get(url.clone()))?,
            post: authorised(Outgoing::json(url, &body))?,
            list: "/value",
            ours: vec![("/context/name", self.id.to_owned()), ("/context/genre", genre)],
            equal: vec![("/state", state.to_owned()), ("/description", self.description.clone())],
        })
    }
}

#[cfg(test)]
mod tests;
