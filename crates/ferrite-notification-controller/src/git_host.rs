//! Git hosts are read before they are written to: a status that stands is not set again, a comment is edited.
//!
//! ```text
//! commit status:  GET statuses ─▶ stands? done : POST
//! GitHub App:     GET installation ─▶ POST access_tokens, before either
//! comment:        GET user ─▶ GET comments ─▶ ours? PATCH : POST
//! ```

use std::time::Duration;

use ferrite_api::notification::{Alert, Provider};
use ferrite_runtime::Redacted;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::credentials::Connection;
use crate::event::Event;
use crate::providers::{Outgoing, ProviderError, Target, comment, commit_status, github_app};
use crate::sender::{SendError, Sender};

const NOT_FOUND: u16 = 404;

/// Why a Git host does not show what happened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitHostError {
    /// `commitStatusExpr` cannot be used.
    #[error("failed to create commit status")]
    StatusId(#[source] ferrite_cel::Error),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Gives the target the token of its GitHub App, if it has one, and returns the name under which the app comments.
pub(crate) async fn log_in(
    sender: &Sender,
    connection: &Connection,
    target: &mut Target,
    deadline: Duration,
    now: jiff::Timestamp,
) -> Result<Option<String>, GitHostError> {
    let Some(requests) = github_app::plan(target, now)? else { return Ok(None) };
    // The app's own token is masked in errors like any other.
    let app = Target { token: Some(requests.own.clone()), ..target.clone() };
    let session = Session::new(sender, connection, &app, deadline);
    let found = match &requests.find {
        Some(find) => session.ask(find).await?,
        None => Value::Null,
    };
    let text = |answer: &Value, key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    let answer = session.ask(&requests.token(&found)).await?;
    let token = text(&answer, "token").ok_or(SendError::Answer)?;
    let mut login = None;
    if target.kind.ends_with("comment") {
        let about = session.ask(&requests.about).await?;
        login = Some(format!("{}[bot]", text(&about, "slug").ok_or(SendError::Answer)?));
    }
    target.token = Some(Redacted::new(token));
    Ok(login)
}

/// What is said to one host about one event, within one deadline.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    sender: &'a Sender,
    connection: &'a Connection,
    target: &'a Target,
    start: Instant,
    deadline: Duration,
}

impl<'a> Session<'a> {
    /// A session that starts now.
    pub(crate) fn new(
        sender: &'a Sender,
        connection: &'a Connection,
        target: &'a Target,
        deadline: Duration,
    ) -> Self {
        Self { sender, connection, target, start: Instant::now(), deadline }
    }

    /// Sets the status of the event's commit.
    pub(crate) async fn set_status(
        &self,
        provider: &Provider,
        alert: &Alert,
        event: &Event,
    ) -> Result<(), GitHostError> {
        let id = commit_status::status_id(provider, alert, event).map_err(GitHostError::StatusId)?;
        let Some(status) = commit_status::plan(self.target, event, &id)? else { return Ok(()) };
        match self.ask(&status.look).await {
            Ok(answer) if status.stands(&answer) => return Ok(()),
            Ok(_) | Err(SendError::Status { status: NOT_FOUND, .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.tell(&status.post).await?)
    }

    /// Writes the comment on the event's pull request.
    ///
    /// `login` is under which name, if that is known.
    pub(crate) async fn comment(&self, event: &Event, login: Option<&str>) -> Result<(), GitHostError> {
        let comment = comment::plan(self.target, event)?;
        let who = match login {
            Some(login) => json!({"login": login}),
            None => self.ask(&comment.who).await?,
        };
        let list = self.ask(&comment.list).await?;
        let request = match comment.own(&who, &list) {
            Some(id) => comment.edit(id),
            None => comment.create,
        };
        Ok(self.tell(&request).await?)
    }

    async fn ask(&self, request: &Outgoing) -> Result<Value, SendError> {
        self.sender.ask(self.connection, self.target, request, self.left()).await
    }

    async fn tell(&self, request: &Outgoing) -> Result<(), SendError> {
        self.sender.send(self.connection, self.target, request, self.left()).await
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.start.elapsed())
    }
}

#[cfg(test)]
mod tests;
