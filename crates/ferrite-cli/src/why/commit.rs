//! Who made a commit, asked of its repository with the credentials of the GitRepository.

use std::time::Duration;

use base64::Engine as _;
use ferrite_git::{Auth, Client, Reference, Remote};
use jiff::Timestamp;
use serde_json::Value;

use crate::age::since;
use crate::objects::{dynamic, namespace, text};
use crate::session::Session;

/// A repository that is slower is not asked: the chain matters more than the name.
const PATIENCE: Duration = Duration::from_secs(10);

/// `"subject" by author, 3m ago`; `None` when the repository cannot be asked from here.
pub(crate) async fn describe(
    session: &Session,
    source: &Value,
    revision: &str,
    now: Timestamp,
) -> Option<String> {
    let (_, id) = revision.rsplit_once(':')?;
    let mut remote = Remote::parse(text(source, "/spec/url")).ok()?.with_timeout(PATIENCE);
    let secret = text(source, "/spec/secretRef/name");
    if !secret.is_empty() {
        remote = remote.with_auth(credentials(session, namespace(source), secret).await?);
    }
    let client = Client::new(remote).ok()?;
    let ask = async {
        let reference = reference(source, id);
        let head = client.resolve(&reference).await.ok()?;
        client.fetch(&head).await.ok()
    };
    let snapshot = tokio::time::timeout(PATIENCE, ask).await.ok()??;
    let commit = snapshot.commit();
    let at = Timestamp::from_second(commit.author.seconds).ok()?;
    let subject: String = commit.summary().chars().take(72).collect();
    Some(format!("\"{subject}\" by {}, {} ago", commit.author.name, since(at, now)))
}

/// The commit on the branch it was found on: not every server hands out commits by id alone.
fn reference(source: &Value, id: &str) -> Reference {
    let branch = text(source, "/spec/ref/branch");
    let branch = (!branch.is_empty()).then(|| branch.to_owned());
    Reference { branch, ..Reference::commit(id) }
}

async fn credentials(session: &Session, namespace: &str, name: &str) -> Option<Auth> {
    let secrets = dynamic(session, ("", "v1", "Secret", "secrets"), Some(namespace));
    let secret = secrets.get(name).await.ok()?;
    let field = |key: &str| {
        let data = secret.data.pointer(&format!("/data/{key}"))?.as_str()?;
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(data).ok()?).ok()
    };
    if let Some(token) = field("bearerToken") {
        return Some(Auth::Bearer(token.into()));
    }
    Some(Auth::Basic { username: field("username")?, password: field("password")?.into() })
}
