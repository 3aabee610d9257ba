//! Drift: what in the cluster is not as the stored manifest says, and bringing it back.

use ferrite_api::{ConditionType, Reason, helm::DriftDetectionMode};
use ferrite_apply::{Applier, ApplyOptions, Preview};
use ferrite_helm::Release;
use ferrite_resource::Action;
use ferrite_runtime::{Event, Truth};
use serde_json::{Value, json};

use super::{Done, Work, Worker};
use crate::{error::Error, state};

impl Worker<'_> {
    pub(super) async fn drift(&self, work: &Work, last: &Release, done: &mut Done) -> Result<(), Error> {
        let mode = self.object.spec.drift_detection.as_ref().and_then(|drift| drift.mode).unwrap_or_default();
        if mode == DriftDetectionMode::Disabled {
            done.unmark(ConditionType::Drifted);
            return Ok(());
        }
        let storage = self.records();
        let items = self.releaser(&storage).items(last).await.map_err(Error::State)?;
        let objects: Vec<Value> =
            items.into_iter().map(|item| item.object).filter(|object| !is_exempt(object)).collect();
        let options = ApplyOptions {
            managers: self.settings.managers.clone(),
            ignore: work.released.ignore.clone(),
            audit: true,
            ..ApplyOptions::default()
        };
        let applier = Applier::new(self.cluster, options);
        let previews =
            applier.preview(objects.clone()).await.map_err(|error| Error::State(error.to_string()))?;
        let drifted: Vec<&Preview> =
            previews.iter().filter(|p| matches!(p.action, Action::Created | Action::Configured)).collect();
        let full = state::full_name(last);
        if drifted.is_empty() {
            let text = format!("No drift detected for release {full}");
            done.mark(ConditionType::Drifted, Truth::False, Reason::NoDriftDetected, &text);
            return Ok(());
        }
        let lines: Vec<String> = drifted.iter().map(|preview| line(preview)).collect();
        let lines = lines.join("\n");
        let text = format!("Cluster state of release {full} has drifted from the desired state:\n{lines}");
        done.mark(ConditionType::Drifted, Truth::True, Reason::DriftDetected, &text);
        done.events.push(Event::error(Reason::DriftDetected, text));
        if mode == DriftDetectionMode::Warn {
            return Ok(());
        }
        self.running("correct cluster drift", self.timeout(None), false);
        let ids: Vec<_> = drifted.iter().map(|preview| &preview.entry.id).collect();
        let back = objects
            .into_iter()
            .filter(|object| ferrite_resource::Entry::of(object).is_ok_and(|entry| ids.contains(&&entry.id)))
            .collect();
        let mut applied = ferrite_apply::Done::default();
        match applier.apply(back, &mut applied).await {
            Ok(()) => {
                let text = format!("Cluster state of release {full} has been corrected:\n{lines}");
                done.events.push(Event::info("DriftCorrected", text));
                let text = format!("No drift detected for release {full}");
                done.mark(ConditionType::Drifted, Truth::False, Reason::NoDriftDetected, &text);
                Ok(())
            }
            Err(error) => {
                let text = format!("Failed to correct cluster state of release {full}: {error}");
                done.events.push(Event::error("DriftCorrectionFailed", text.clone()));
                Err(Error::State(text))
            }
        }
    }
}

/// One changed object in words.
fn line(preview: &Preview) -> String {
    if preview.action == Action::Created {
        return format!("{} removed", preview.entry.id);
    }
    let fields = &preview.diff.fields;
    let additions = fields.iter().filter(|field| field.before.is_none()).count();
    let removals = fields.iter().filter(|field| field.after.is_none()).count();
    let changes = fields.len().saturating_sub(additions + removals);
    format!("{} changed ({additions} additions, {changes} changes, {removals} removals)", preview.entry.id)
}

fn is_exempt(object: &Value) -> bool {
    let key = "helm.toolkit.fluxcd.io/driftDetection";
    ["labels", "annotations"].iter().any(|place| {
        let marks = object.pointer(&format!("/metadata/{place}"));
        marks.and_then(|marks| marks.get(key)) == Some(&json!("disabled"))
    })
}
