//! Taking a release out of a cluster (Helm `pkg/action/uninstall.go`).

use ferrite_helm::{Event, Release, uninstall_rank};
use ferrite_resource::Entry;
use kube::api::PropagationPolicy;
use serde_json::Value;

use super::{Options, Releaser, Wait, is_kept};
use crate::object;

impl Releaser<'_> {
    /// Deletes the objects of a release in Helm's order, but those that are to be kept.
    ///
    /// # Errors
    ///
    /// All that could not be deleted; the rest is.
    pub(crate) async fn delete(
        &self,
        release: &Release,
        policy: PropagationPolicy,
    ) -> Result<Vec<Entry>, String> {
        let kind =
            |object: &Value| object.get("kind").and_then(Value::as_str).map_or(usize::MAX, uninstall_rank);
        let mut objects = object::objects(&release.manifest)?;
        objects.retain(|object| !is_kept(object));
        objects.sort_by_key(kind);
        let items = object::locate_served(self.cluster, objects, &release.namespace)
            .await
            .map_err(|error| format!("unable to build kubernetes objects for delete: {error}"))?;
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for item in items {
            // What says so only in the cluster is kept too.
            match item.read(self.cluster.client()).await {
                Ok(None) => continue,
                Ok(Some(live)) if is_kept(&live) => continue,
                Ok(Some(_)) => {}
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            }
            match item.delete(self.cluster.client(), policy.clone()).await {
                Ok(_) => deleted.push(item.entry),
                Err(error) => errors.push(error),
            }
        }
        self.journal.note(format_args!("deleted {} resource(s)", deleted.len()));
        if errors.is_empty() { Ok(deleted) } else { Err(errors.join("; ")) }
    }

    /// What follows the deletion: waiting until the objects are gone, and the hooks. Returns what went wrong; the
    /// release counts as uninstalled all the same.
    pub(crate) async fn after_deletion(
        &self,
        release: &mut Release,
        deleted: Vec<Entry>,
        options: Options,
    ) -> Vec<String> {
        let mut errors = Vec::new();
        if options.wait != Wait::Hooks
            && !deleted.is_empty()
            && let Err(error) = self.gone(deleted, options).await
        {
            errors.push(error);
        }
        if options.hooks
            && let Err(error) = self.hooks(release, Event::PostDelete, options, |_| true).await
        {
            errors.push(error);
        }
        errors
    }
}
