//! The definitions in a chart's `crds/`, which are made before the chart is rendered.

use std::time::Duration;

use ferrite_api::helm::CrdsPolicy;
use ferrite_apply::{WaitOptions, wait};
use ferrite_resource::Entry;
use serde_json::Value;

use super::{Work, Worker, attempt::Attempt};
use crate::{
    object,
    release::{Wait, patiently},
    render::{label, origin},
};

/// How long definitions may take to be established.
const ESTABLISHED_AFTER: Duration = Duration::from_secs(60);

impl Worker<'_> {
    /// Makes the definitions of the chart and of those of its subcharts that take part; returns them.
    pub(super) async fn crds(&self, work: &Work, attempt: &Attempt) -> Result<Vec<Entry>, String> {
        let files = ferrite_helm::enabled_crds(&work.released.chart, &work.released.values)
            .map_err(|error| format!("failed to process chart dependencies: {error}"))?;
        let labels = origin(self.object).into_iter().collect();
        let (mut all, mut written) = (Vec::new(), Vec::new());
        for (path, file) in files {
            let objects = object::objects(&file.text())
                .map_err(|error| format!("failed to parse CustomResourceDefinitions from {path}: {error}"))?;
            for mut object in objects {
                if object.get("kind").and_then(Value::as_str) != Some("CustomResourceDefinition") {
                    tracing::warn!(%path, "only CustomResourceDefinitions are made of files in crds/");
                    continue;
                }
                label(&mut object, "labels", &labels);
                let (entry, item) = self.locate_crd(object).await?;
                all.push(entry.clone());
                if attempt.crds == CrdsPolicy::Skip {
                    continue;
                }
                let client = self.cluster.client();
                let name = &entry.id.name;
                match item.read(client).await? {
                    None => item.create(client, attempt.options.write).await.map_err(|error| {
                        format!("failed to create CustomResourceDefinition {name}: {error}")
                    })?,
                    Some(_) if attempt.crds == CrdsPolicy::Create => continue,
                    Some(live) => {
                        // Client-side, definitions are replaced.
                        let how = object::Write { replace: true, ..attempt.options.write };
                        let updated = item.update(client, &live, None, how).await;
                        updated.map_err(|error| {
                            format!("failed to update CustomResourceDefinition(s): {error}")
                        })?;
                    }
                }
                self.journal.note(format_args!("applied CustomResourceDefinition {name}"));
                written.push(entry);
            }
        }
        if written.is_empty() || attempt.options.wait == Wait::Hooks {
            return Ok(all);
        }
        let options = WaitOptions { timeout: ESTABLISHED_AFTER, ..WaitOptions::default() };
        let waited = wait(&self.cluster, written, &options, std::future::pending());
        let waited = patiently(self.step, waited).await;
        waited.map_err(|error| format!("failed to wait for CustomResourceDefinition(s): {error:#}"))?;
        Ok(all)
    }
}
