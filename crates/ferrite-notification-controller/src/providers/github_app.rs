//! GitHub Apps: from the app's key to a token for the repository. Pure.

use ferrite_runtime::Redacted;
use serde_json::{Value, json};

use super::repository::Repository;
use super::{Outgoing, ProviderError, Target};

/// What the Secret of a provider says of a GitHub App.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitHubApp {
    /// Number or client ID of the app.
    pub id: String,
    /// Its private key (PEM, PKCS #1 or #8).
    pub private_key: Vec<u8>,
    /// Number of the installation; that of the repository when there is none.
    pub installation: Option<String>,
    /// Base of the API; that of the repository's host when there is none.
    pub base_url: Option<String>,
}

/// The requests by which an app gets its token.
#[derive(Debug)]
pub(crate) struct AppRequests {
    /// The app's own token.
    pub(crate) own: Redacted<String>,
    /// Asks for the app's `slug`.
    pub(crate) about: Outgoing,
    /// Asks for the `id` of the installation, when it is not known.
    pub(crate) find: Option<Outgoing>,
    installations: String,
    known: String,
}

impl AppRequests {
    /// Asks for the `token` of the installation that the answer to `find` names, or of the known one.
    pub(crate) fn token(&self, found: &Value) -> Outgoing {
        let id =
            found.get("id").and_then(Value::as_u64).map_or_else(|| self.known.clone(), |id| id.to_string());
        let request = Outgoing::json(format!("{}/{id}/access_tokens", self.installations), &json!({}));
        authorised(request, self.own.expose_secret())
    }
}

/// What to ask, when the target has an app.
///
/// # Errors
///
/// [`ProviderError`] when the key, a number or the address cannot be used.
pub(crate) fn plan(target: &Target, now: jiff::Timestamp) -> Result<Option<AppRequests>, ProviderError> {
    let Some(app) = &target.github_app else { return Ok(None) };
    let app = app.expose_secret();
    let repository = Repository::of(target)?;
    let (owner, name) = repository.owner_and_name(target)?;
    let field = |field: &'static str, problem: &'static str| ProviderError::Field {
        kind: target.kind.clone(),
        field,
        problem,
    };
    let known = app.installation.clone().unwrap_or_default();
    // The number becomes a part of a URL.
    if !known.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(field("githubAppInstallationID", "must be a number"));
    }
    let api = match &app.base_url {
        Some(base) => base.trim_end_matches('/').to_owned(),
        None => repository.github_api(),
    };
    let own = ferrite_cloud::github::app_token(&app.id, &app.private_key, now)
        .map(|token| token.expose_secret().clone())
        .ok_or_else(|| field("githubAppPrivateKey", "must be an RSA key of 2048 bits or more in PEM form"))?;
    let find = known
        .is_empty()
        .then(|| authorised(Outgoing::get(format!("{api}/repos/{owner}/{name}/installation")), &own));
    Ok(Some(AppRequests {
        about: authorised(Outgoing::get(format!("{api}/app")), &own),
        find,
        installations: format!("{api}/app/installations"),
        known,
        own: Redacted::new(own),
    }))
}

fn authorised(request: Outgoing, own: &str) -> Outgoing {
    request.bearer(Some(own)).with_header("Accept", "application/vnd.github+json")
}
