//! One comment on a pull or merge request for each object, kept up to date. Pure.

use ferrite_runtime::Redacted;
use serde_json::{Value, json};

use super::messages::markdown;
use super::repository::{self, Repository};
use super::{Outgoing, ProviderError, Target};
use crate::event::Event;

/// How a comment is written: whoever asks learns who he is, looks for his comment, and edits or creates it.
#[derive(Debug)]
pub(crate) struct Comment {
    /// Asks whose token it is.
    pub(crate) who: Outgoing,
    /// Asks for the first comments.
    pub(crate) list: Outgoing,
    /// Writes a new comment.
    pub(crate) create: Outgoing,
    /// Edits a comment, once its number is known.
    edit: Outgoing,
    marker: String,
    /// Where the user's name is in the answer to `who`, and in a comment (JSON pointers).
    names: (&'static str, &'static str),
}

impl Comment {
    /// The number of our comment about this object; `None` when there is none.
    pub(crate) fn own(&self, who: &Value, list: &Value) -> Option<u64> {
        let login = who.pointer(self.names.0)?.as_str()?;
        let ours = |comment: &&Value| {
            comment.pointer(self.names.1).and_then(Value::as_str) == Some(login)
                && comment.get("body").and_then(Value::as_str).is_some_and(|body| body.contains(&self.marker))
        };
        list.as_array()?.iter().find(ours)?.get("id")?.as_u64()
    }

    /// The request that edits the comment `id`.
    pub(crate) fn edit(&self, id: u64) -> Outgoing {
        Outgoing {
            url: Redacted::new(format!("{}/{id}", self.edit.url.expose_secret())),
            ..self.edit.clone()
        }
    }
}

/// What to write about `event`.
///
/// # Errors
///
/// [`ProviderError`] when the event names no pull request or the provider lacks something; the text holds no secret.
pub(crate) fn plan(target: &Target, event: &Event) -> Result<Comment, ProviderError> {
    let text = event.metadata.get("change_request").map(String::as_str).unwrap_or_default();
    let number: u64 =
        text.trim().parse().map_err(|_| ProviderError::ChangeRequest(text.chars().take(64).collect()))?;
    let repository = Repository::of(target)?;
    let gitlab = target.kind == "gitlabmergerequestcomment";
    let prefix = if gitlab { "flux-mr-comment-key" } else { "flux-pr-comment-key" };
    let marker = format!("<!-- {prefix}:{}/{} -->", target.uid, event.object_path());
    let body = json!({"body": format!("{marker}\n\n{}", markdown(event))});
    // The base of the API, the comments to edit, the comments of the request, and these as a list.
    let (api, one, all, listed) = match target.kind.as_str() {
        "githubpullrequestcomment" | "giteapullrequestcomment" => {
            let (owner, name) = repository.owner_and_name(target)?;
            let github = target.kind.starts_with("github");
            let api = if github { repository.github_api() } else { format!("{}/api/v1", repository.origin) };
            let issues = format!("{api}/repos/{owner}/{name}/issues");
            let query = if github { "direction=asc&per_page=100&sort=created" } else { "limit=100&page=1" };
            let all = format!("{issues}/{number}/comments");
            (api, format!("{issues}/comments"), all.clone(), format!("{all}?{query}"))
        }
        "gitlabmergerequestcomment" => {
            let api = format!("{}/api/v4", repository.origin);
            let all = format!("{api}/projects/{}/merge_requests/{number}/notes", repository.project());
            (api, all.clone(), all.clone(), format!("{all}?order_by=created_at&per_page=100&sort=asc"))
        }
        other => return Err(ProviderError::Unsupported(other.to_owned())),
    };
    let authorise = match target.kind.as_str() {
        "githubpullrequestcomment" => repository::github,
        "gitlabmergerequestcomment" => repository::gitlab,
        _ => repository::gitea,
    };
    let method = if gitlab { http::Method::PUT } else { http::Method::PATCH };
    Ok(Comment {
        who: authorise(Outgoing::get(format!("{api}/user")), target)?,
        list: authorise(Outgoing::get(listed), target)?,
        create: authorise(Outgoing::json(all, &body), target)?,
        edit: authorise(Outgoing { method, ..Outgoing::json(one, &body) }, target)?,
        marker,
        names: if gitlab { ("/username", "/author/username") } else { ("/login", "/user/login") },
    })
}
