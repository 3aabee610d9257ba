//! `ferrite bootstrap git`: an installation that manages itself from a repository.
//!
//! ```text
//! clone ─▶ components ─▶ push ─▶ apply ─▶ Secret ─▶ sync manifests ─▶ push ─▶ apply ─▶ wait for the commit
//! ```

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use ferrite_git::{Auth, Change, Client, Location, Person, Push, Reference, Remote, Snapshot};
use serde_json::{Value, json};

use crate::export::document;
use crate::install::manifests::{self, Shape};
use crate::install::{apply, healthy, pull_secret};
use crate::installed::installation;
use crate::kinds::{GIT_REPOSITORY, KUSTOMIZATION};
use crate::objects::{self, condition, text};
use crate::readiness::{self, Verdict};
use crate::say;
use crate::session::{Session, Wait};

/// What a repository is.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Command {
    /// Any Git repository, over HTTPS with a user name and a password or token.
    Git(Box<Options>),
}

/// Options of `ferrite bootstrap git`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    shape: Shape,
    /// Address of the repository, https://….
    #[arg(long)]
    url: String,
    /// Branch; it is made when it does not exist.
    #[arg(long, default_value = "main")]
    branch: String,
    /// Directory of the cluster in the repository.
    #[arg(long, default_value = "")]
    path: String,
    /// How often the repository is polled.
    #[arg(long, default_value = "1m")]
    interval: Wait,
    /// User name.
    #[arg(short = 'u', long, default_value = "git")]
    username: String,
    /// Password or token.
    #[arg(short = 'p', long, env = "GIT_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Present the password as a bearer token.
    #[arg(long)]
    with_bearer_token: bool,
    /// Allow a password over plain HTTP.
    #[arg(long)]
    allow_insecure_http: bool,
    /// File with the certificate authority of the server.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// Accepted for scripts written for flux: credentials are always the password.
    #[arg(long, hide = true)]
    token_auth: bool,
    /// Accepted for scripts written for flux: nothing is asked.
    #[arg(short, long, hide = true)]
    silent: bool,
    /// Secret that the credentials are kept in. Default: flux-system.
    #[arg(long, default_value = "flux-system")]
    secret_name: String,
    /// With submodules.
    #[arg(long)]
    recurse_submodules: bool,
    /// Name of the commits' author.
    #[arg(long, default_value = "Flux")]
    author_name: String,
    /// Address of the commits' author.
    #[arg(long, default_value = "")]
    author_email: String,
    /// Text after the commits' message, as in [ci skip].
    #[arg(long)]
    commit_message_appendix: Option<String>,
    /// Override an installation that another tool manages.
    #[arg(long)]
    force: bool,
}

/// Bootstraps or upgrades.
///
/// # Errors
///
/// When the repository cannot be written, the API server refuses an object, or something does not become ready.
pub(crate) async fn run(session: &Session, command: &Command) -> Result<()> {
    let Command::Git(options) = command;
    if options.password.is_some() && options.url.starts_with("http://") && !options.allow_insecure_http {
        bail!("the password would be sent in the clear; use https, or say --allow-insecure-http");
    }
    refuse_others(session, options.force).await?;
    let work = Bootstrap::new(session, options)?;
    work.refuse_other_path().await?;
    let components = manifests::text(&options.shape, &session.namespace)?;
    let base = work.clone().await?;
    say::action("generating component manifests");
    say::success("generated component manifests");
    let message = format!("Add Ferrite {} component manifests", options.shape.version);
    let change = [Change::write(work.file("gotk-components.yaml"), components)];
    work.commit("component manifests", base.as_ref(), &message, &change).await?;
    work.install().await?;
    work.secret().await?;
    let commit = work.sync().await?;
    work.wait(&commit).await?;
    say::action("confirming components are healthy");
    healthy(session, &options.shape.components()?).await?;
    say::success("all components are healthy");
    Ok(())
}

async fn refuse_others(session: &Session, force: bool) -> Result<()> {
    let Some(found) = installation(session).await? else { return Ok(()) };
    if !force && !matches!(found.managed_by.as_str(), "" | "flux") {
        bail!("the cluster is managed by {}; override it with --force", found.managed_by);
    }
    Ok(())
}

struct Bootstrap<'a> {
    session: &'a Session,
    options: &'a Options,
    client: Client,
    shown: String,
    /// The directory of the cluster, without slashes around it.
    path: String,
}

impl<'a> Bootstrap<'a> {
    fn new(session: &'a Session, options: &'a Options) -> Result<Self> {
        let mut remote =
            Remote::parse(&options.url)?.with_timeout(session.timeout.max(Duration::from_secs(30)));
        if matches!(remote.location, Location::Ssh(_)) {
            bail!("{} cannot be pushed to over SSH yet; use https with a token", options.url);
        }
        if let Some(password) = &options.password {
            remote = remote.with_auth(if options.with_bearer_token {
                Auth::Bearer(password.clone().into())
            } else {
                Auth::Basic { username: options.username.clone(), password: password.clone().into() }
            });
        }
        remote.ca = options.ca_file.as_ref().map(fs_err::read).transpose()?;
        let path = options.path.trim_start_matches("./").trim_matches('/').to_owned();
        let shown = remote.shown();
        Ok(Self { session, options, client: Client::new(remote)?, shown, path })
    }

    /// A file of the installation in the repository.
    fn file(&self, name: &str) -> String {
        let directory = if self.path.is_empty() { String::new() } else { format!("{}/", self.path) };
        format!("{directory}{}/{name}", self.session.namespace)
    }

    /// Refuses to move a cluster to another directory: everything in the old one would be deleted.
    async fn refuse_other_path(&self) -> Result<()> {
        let name = self.session.namespace.as_str();
        let Ok(found) = objects::get(self.session, &KUSTOMIZATION, name, name).await else { return Ok(()) };
        let before = text(&found, "/spec/path").trim_start_matches("./").trim_matches('/');
        if before != self.path {
            bail!(
                "sync path configuration (\"./{}\") would overwrite path (\"./{before}\") of existing Kustomization",
                self.path
            );
        }
        Ok(())
    }

    /// The newest commit of the branch; `None` when there is none yet.
    async fn clone(&self) -> Result<Option<Snapshot>> {
        let branch = &self.options.branch;
        say::action(format!("cloning branch {branch:?} from Git repository {:?}", self.shown));
        let head = match self.client.resolve(&Reference::branch(branch)).await {
            Ok(head) => head,
            Err(ferrite_git::Error::Empty | ferrite_git::Error::UnknownReference { .. }) => return Ok(None),
            Err(error) => {
                return Err(anyhow!("failed to clone repository: {}", ferrite_runtime::chain(&error)));
            }
        };
        let snapshot = self.client.fetch(&head).await.context("failed to clone repository")?;
        say::success("cloned repository");
        Ok(Some(snapshot))
    }

    /// Commits and pushes; the id of the branch's newest commit.
    async fn commit(
        &self,
        what: &str,
        base: Option<&Snapshot>,
        message: &str,
        changes: &[Change],
    ) -> Result<String> {
        let options = self.options;
        let appendix = options.commit_message_appendix.as_ref().map(|text| format!("\n\n{text}"));
        let message = format!("{message}{}\n", appendix.unwrap_or_default());
        let author = Person::now(options.author_name.as_str(), options.author_email.as_str());
        let push = Push { branch: &options.branch, base, message: &message, author: &author, changes };
        let pushed = self.client.push(push).await.with_context(|| format!("failed to push {what}"))?;
        if base.is_some_and(|base| base.commit().id == pushed) {
            say::success(format!("{what} are up to date"));
        } else {
            say::success(format!("committed {what} to {:?} (\"{pushed}\")", options.branch));
            say::success(format!("pushed {what} to {:?}", self.shown));
        }
        Ok(pushed.to_string())
    }

    /// Applies the components, unless the cluster already follows the repository.
    async fn install(&self) -> Result<()> {
        let (session, shape) = (self.session, &self.options.shape);
        let name = session.namespace.as_str();
        let follows = objects::get(session, &KUSTOMIZATION, name, name).await;
        if follows.is_ok_and(|found| !text(&found, "/status/lastAppliedRevision").is_empty()) {
            say::success("reconciled components");
            return Ok(());
        }
        say::action(format!("installing components in {name:?} namespace"));
        apply(session, manifests::objects(shape, name)?).await?;
        if let Some(secret) = pull_secret(shape, name)? {
            apply(session, vec![secret]).await?;
        }
        say::success("installed components");
        say::success("reconciled components");
        Ok(())
    }

    /// Keeps the credentials for the source-controller.
    async fn secret(&self) -> Result<()> {
        let options = self.options;
        let mut data = json!({});
        match &options.password {
            Some(password) if options.with_bearer_token => data["bearerToken"] = password.as_str().into(),
            Some(password) => {
                data["username"] = options.username.as_str().into();
                data["password"] = password.as_str().into();
            }
            None => {}
        }
        if let Some(file) = &options.ca_file {
            data["ca.crt"] = fs_err::read_to_string(file)?.into();
        }
        if !self.has_secret() {
            return Ok(());
        }
        say::action(format!("applying source secret \"{}/{}\"", self.session.namespace, options.secret_name));
        let metadata = json!({"name": options.secret_name, "namespace": self.session.namespace});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data});
        apply(self.session, vec![secret]).await?;
        say::success("reconciled source secret");
        Ok(())
    }

    fn has_secret(&self) -> bool {
        self.options.password.is_some() || self.options.ca_file.is_some()
    }

    /// Writes, pushes and applies what makes the cluster follow the repository.
    async fn sync(&self) -> Result<String> {
        let base = self.clone().await?;
        say::action("generating sync manifests");
        let objects = self.sync_objects();
        let mut text = "# This manifest was generated by ferrite. DO NOT EDIT.\n".to_owned();
        text.extend(objects.iter().map(document));
        let mut changes = vec![Change::write(self.file("gotk-sync.yaml"), text)];
        let kustomization = self.file("kustomization.yaml");
        let exists = match &base {
            // The person's own patches stay.
            Some(base) => base.walk().any(|entry| entry.is_ok_and(|entry| entry.path == kustomization)),
            None => false,
        };
        if !exists {
            let text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- gotk-components.yaml\n- gotk-sync.yaml\n";
            changes.push(Change::write(kustomization, text));
        }
        say::success("generated sync manifests");
        let commit =
            self.commit("sync manifests", base.as_ref(), "Add Ferrite sync manifests", &changes).await?;
        say::action("applying sync manifests");
        apply(self.session, objects).await?;
        say::success("reconciled sync configuration");
        Ok(commit)
    }

    fn sync_objects(&self) -> Vec<Value> {
        let (options, namespace) = (self.options, self.session.namespace.as_str());
        let metadata = json!({"name": namespace, "namespace": namespace});
        let mut source = json!({
            "interval": crate::create::duration(options.interval),
            "ref": {"branch": options.branch},
            "url": options.url,
        });
        if self.has_secret() {
            source["secretRef"] = json!({"name": options.secret_name});
        }
        if options.recurse_submodules {
            source["recurseSubmodules"] = true.into();
        }
        vec![
            json!({
                "apiVersion": GIT_REPOSITORY.api_version(), "kind": GIT_REPOSITORY.kind,
                "metadata": metadata.clone(), "spec": source,
            }),
            json!({
                "apiVersion": KUSTOMIZATION.api_version(), "kind": KUSTOMIZATION.kind, "metadata": metadata,
                "spec": {
                    "interval": "10m0s", "path": format!("./{}", self.path), "prune": true,
                    "sourceRef": {"kind": GIT_REPOSITORY.kind, "name": namespace},
                },
            }),
        ]
    }

    /// Waits until the pushed commit was fetched and applied.
    async fn wait(&self, commit: &str) -> Result<()> {
        let session = self.session;
        let name = session.namespace.as_str();
        let revision = format!("{}@sha1:{commit}", self.options.branch);
        let waits = [
            (&GIT_REPOSITORY, "/status/artifact/revision"),
            (&KUSTOMIZATION, "/status/lastAttemptedRevision"),
        ];
        for (kind, pointer) in waits {
            let ask = json!({"metadata": {"annotations": {
                "reconcile.fluxcd.io/requestedAt": jiff::Timestamp::now().to_string(),
            }}});
            objects::merge(session, kind, name, name, &ask).await?;
            let waiting =
                say::waiting(format!("waiting for {} \"{name}/{name}\" to be reconciled", kind.kind));
            let decide = |object: &Value| {
                if text(object, pointer) == revision { readiness::ready(kind, object) } else { Verdict::Wait }
            };
            let object = readiness::wait(session, kind, (name, name), waiting, decide).await?;
            let message = condition(&object, "Ready").map_or("", |ready| text(ready, "/message"));
            say::success(format!("{} reconciled successfully: {message}", kind.kind));
        }
        Ok(())
    }
}
