//! Git hosts are read before they are written to: a status that stands is not set again, a comment is edited.
//!
//! ```text
//! commit status:  GET statuses ─▶ stands? done : POST
//! GitHub App:     GET installation ─▶ POST access_tokens, before either
//! comment:        GET user ─▶ GET comments ─▶ ours? PATCH : POST
//! ```

use std::collections::HashMap;
use std::time::Duration;

use ferrite_api::notification::{Alert, Provider};
use ferrite_runtime::Redacted;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
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

/// Apps whose tokens are kept.
const APPS: usize = 100;
/// GitHub's tokens hold an hour; ours are used for less.
const TOKEN_TIME: Duration = Duration::from_mins(45);

/// Tokens of GitHub Apps that still hold.
#[derive(Debug, Default)]
pub(crate) struct AppTokens(Mutex<HashMap<String, Kept>>);

/// A token, the name under which its app comments if that was asked, and how long it is used.
#[derive(Debug, Clone)]
struct Kept {
    token: Redacted<String>,
    login: Option<String>,
    until: Instant,
}

impl AppTokens {
    fn get(&self, key: &str) -> Option<Kept> {
        self.0.lock().get(key).filter(|kept| kept.until > Instant::now()).cloned()
    }

    fn keep(&self, key: String, kept: Kept) {
        let mut all = self.0.lock();
        all.retain(|_, kept| kept.until > Instant::now());
        if all.len() >= APPS {
            all.clear();
        }
        all.insert(key, kept);
    }
}

/// What a token is good for: app, key, installation and repository, without showing the key.
fn app_key(target: &Target) -> Option<String> {
    let app = target.github_app.as_ref()?.expose_secret();
    let mut digest = Sha256::new();
    for part in [
        app.id.as_bytes(),
        &app.private_key,
        app.installation.as_deref().unwrap_or_default().as_bytes(),
        app.base_url.as_deref().unwrap_or_default().as_bytes(),
        target.address.expose_secret().as_bytes(),
        // Only comments need the app's name.
        &[u8::from(target.kind.ends_with("comment"))],
    ] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    Some(hex::encode(digest.finalize()))
}

/// Gives the target the token of its GitHub App, if it has one, and returns the name under which the app comments.
pub(crate) async fn log_in(
    tokens: &AppTokens,
    sender: &Sender,
    connection: &Connection,
    target: &mut Target,
    deadline: Duration,
    now: jiff::Timestamp,
) -> Result<Option<String>, GitHostError> {
    let Some(key) = app_key(target) else { return Ok(None) };
    if let Some(kept) = tokens.get(&key) {
        target.token = Some(kept.token);
        return Ok(kept.login);
    }
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
    let token = Redacted::new(token);
    let until = Instant::now() + TOKEN_TIME;
    tokens.keep(key, Kept { token: token.clone(), login: login.clone(), until });
    target.token = Some(token);
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
