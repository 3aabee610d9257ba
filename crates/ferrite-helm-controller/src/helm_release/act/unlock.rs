//! Frees a release that an interrupted action left pending.

use ferrite_api::{ConditionType, Reason};
use ferrite_helm::{Release, Status};
use ferrite_runtime::{Event, Truth};

use super::{Done, Worker};
use crate::{error::Error, history};

impl Worker<'_> {
    pub(super) async fn unlock(&self, mut last: Release, done: &mut Done) -> Result<(), Error> {
        self.running("unlock", self.timeout(None), false, done);
        let was = last.status.as_str();
        last.status = Status::Failed;
        last.description = format!("Release unlocked from stale '{was}' state");
        let updated = self.records().update(&last).await;
        let known = done.status().history.iter().find(|known| i64::from(known.version) == last.version);
        let oci_digest = known.and_then(|known| known.oci_digest.clone());
        let about = history::snapshot(&last, None, oci_digest, self.settings.algorithm);
        let (full, chart) = (history::full_name(&about), history::chart_name(&about));
        let outcome = match updated {
            Ok(()) => {
                let text = format!("Unlocked Helm release {full} with chart {chart} in {was} state");
                self.refresh(&last, None, done);
                done.mark(ConditionType::Released, Truth::False, Reason::PendingRelease, &text);
                self.tell(Event::info(Reason::PendingRelease, text), &about);
                Ok(())
            }
            Err(error) => {
                let text = format!(
                    "Unlock of Helm release {full} with chart {chart} in {was} state failed: {error}"
                );
                done.status().failures += 1;
                done.mark(ConditionType::Released, Truth::False, Reason::PendingRelease, &text);
                self.tell(Event::error(Reason::PendingRelease, text.clone()), &about);
                Err(Error::Action(text))
            }
        };
        self.summarize(done);
        outcome
    }
}
