//! Drift: what in the cluster is not as the stored manifest says, and bringing it back.

use ferrite_api::{ConditionType, Reason};
use ferrite_apply::{Applier, ApplyOptions, Preview};
use ferrite_helm::Release;
use ferrite_resource::{Action, Entry};
use ferrite_runtime::{Event, Truth};
use serde_json::{Value, json};

use super::{Done, Work, Worker};
use crate::{error::Error, history, object::Item};

/// What differs.
#[derive(Debug, Default)]
pub(super) struct Drift {
    /// A line for each object that differs or is exempt, as they are in the manifest.
    lines: Vec<String>,
    /// The objects that are missing, then those that are otherwise.
    wanted: Vec<(Value, Action)>,
}

impl Drift {
    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }
}

impl Worker<'_> {
    fn applier(&self, work: &Work) -> Applier<'_> {
        let options = ApplyOptions {
            managers: self.settings.managers.clone(),
            ignore: work.released.ignore.clone(),
            audit: true,
            ..ApplyOptions::default()
        };
        Applier::new(&self.cluster, options)
    }

    /// Compares the objects of a release with the cluster. An object that cannot be compared hides no difference of
    /// another one.
    pub(super) async fn drift(&self, work: &Work, last: &Release) -> Result<Drift, Error> {
        let unable = |error: String| Error::State(format!("unable to determine cluster state: {error}"));
        let storage = self.records();
        let items = self.releaser(&storage).items(last).await.map_err(unable)?;
        let objects: Vec<Value> =
            items.iter().map(|item| item.object.clone()).filter(|object| !is_exempt(object)).collect();
        let applier = self.applier(work);
        let mut errors = Vec::new();
        let previews = match applier.preview(objects.clone()).await {
            Ok(previews) => previews,
            Err(_) => {
                let mut previews = Vec::new();
                for object in objects {
                    match applier.preview(vec![object]).await {
                        Ok(preview) => previews.extend(preview),
                        Err(error) => errors.push(error.to_string()),
                    }
                }
                previews
            }
        };
        let drift = summarize(&items, &previews);
        match errors.is_empty() {
            false if drift.is_empty() => Err(unable(errors.join(", "))),
            false => {
                tracing::error!(error = %errors.join(", "), "some objects could not be compared");
                Ok(drift)
            }
            true => Ok(drift),
        }
    }

    pub(super) fn tell_drift(&self, drift: &Drift, done: &mut Done) {
        let Some(latest) = done.status().history.first() else { return };
        let (full, lines) = (history::full_name(latest), drift.lines.join("\n"));
        let text = format!("Cluster state of release {full} has drifted from the desired state:\n{lines}");
        done.mark(ConditionType::Drifted, Truth::True, Reason::DriftDetected, &text);
        self.step.event(Event::error(Reason::DriftDetected, text));
    }

    /// Brings back what differs; what cannot be brought back is told of.
    pub(super) async fn correct(&self, work: &Work, drift: &Drift, done: &mut Done) {
        self.running("correct cluster drift", self.timeout(None), false, done);
        let progressing = "correcting cluster drift";
        self.step.mark(ConditionType::Ready, Truth::Unknown, Reason::Progressing, progressing);
        done.mark(ConditionType::Ready, Truth::Unknown, Reason::Progressing, progressing);
        let applier = self.applier(work);
        let (mut corrected, mut errors) = (Vec::new(), Vec::new());
        for (object, action) in &drift.wanted {
            let Ok(entry) = Entry::of(object) else { continue };
            let mut applied = ferrite_apply::Done::default();
            match applier.apply(vec![object.clone()], &mut applied).await {
                Ok(()) if *action == Action::Created => corrected.push(format!("{} created", entry.id)),
                Ok(()) => corrected.push(format!("{} configured", entry.id)),
                Err(error) if *action == Action::Created => {
                    errors.push(format!("{} creation failure: {error}", entry.id));
                }
                Err(error) => errors.push(format!("{} patch failure: {error}", entry.id)),
            }
        }
        let Some(latest) = done.status().history.first().cloned() else { return };
        let (full, corrected) = (history::full_name(&latest), corrected.join("\n"));
        let event = if errors.is_empty() {
            let text = format!("Cluster state of release {full} has been corrected:\n{corrected}");
            Event::info("DriftCorrected", text)
        } else {
            let (partially, successes) = if corrected.is_empty() {
                ("", String::new())
            } else {
                ("partially ", format!("\n\nSuccessful corrections:\n{corrected}"))
            };
            let errors = errors.join("\n");
            Event::error(
                "DriftCorrectionFailed",
                format!("Failed to {partially}correct cluster state of release {full}:\n{errors}{successes}"),
            )
        };
        self.tell(event, &latest);
    }
}

fn summarize(items: &[Item], previews: &[Preview]) -> Drift {
    let mut drift = Drift::default();
    let (mut missing, mut changed) = (Vec::new(), Vec::new());
    for item in items {
        if is_exempt(&item.object) {
            drift.lines.push(format!("{} excluded", item.entry.id));
            continue;
        }
        let Some(preview) = previews.iter().find(|preview| preview.entry.id == item.entry.id) else {
            continue;
        };
        match preview.action {
            Action::Created => {
                drift.lines.push(format!("{} removed", item.entry.id));
                missing.push((item.object.clone(), Action::Created));
            }
            Action::Configured => {
                drift.lines.push(changes(preview));
                changed.push((item.object.clone(), Action::Configured));
            }
            _ => {}
        }
    }
    let place = |(object, _): &(Value, Action)| Entry::of(object).map(|entry| entry.id).ok();
    for list in [&mut missing, &mut changed] {
        list.sort_by(|a, b| match (place(a), place(b)) {
            (Some(a), Some(b)) => ferrite_resource::apply_order(&a, &b),
            _ => std::cmp::Ordering::Equal,
        });
    }
    missing.append(&mut changed);
    drift.wanted = missing;
    drift
}

/// A changed object in words.
fn changes(preview: &Preview) -> String {
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
