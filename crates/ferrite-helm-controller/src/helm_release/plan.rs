//! Decides what is wanted: which HelmCharts, or which release.

use std::{fmt, sync::Arc};

use ferrite_api::helm::HelmRelease;
use ferrite_helm::Strategy;

use super::{
    FORCE, RESET, is_asked,
    observe::{Charts, Observed, Released},
};
use crate::{
    decide::{Wanted, part_digest},
    digest::{Verdict, verify},
    render::{self, Changes},
    values,
};

/// What one reconcile will do. Which actions a release needs follows from its records, as they are when each action
/// ended: [`crate::state`] decides that.
pub(crate) enum Plan {
    /// Write HelmCharts.
    Charts(Box<Charts>),
    /// Bring the release to what is wanted.
    Release(Box<Work>),
}

/// A release and what is wanted of it.
pub(crate) struct Work {
    pub(crate) object: HelmRelease,
    pub(crate) released: Released,
    pub(crate) wanted: Wanted,
    /// Whether failures are forgotten.
    pub(crate) reset: bool,
    pub(crate) changes: Arc<Changes>,
    pub(crate) strategy: Strategy,
}

/// Shows what is released, never values: secrets are among them.
impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Charts(charts) => formatter.debug_tuple("Charts").field(charts).finish(),
            Self::Release(work) => formatter.debug_tuple("Release").field(&work.wanted).finish(),
        }
    }
}

pub(crate) fn plan(object: &HelmRelease, observed: &Observed) -> Plan {
    let released = match observed {
        Observed::Charts(charts) => return Plan::Charts(charts.clone()),
        Observed::Release(released) => released,
    };
    let (spec, status) = (&object.spec, object.status.clone().unwrap_or_default());
    let metadata = &released.chart.metadata;
    let (algorithm, config) = (released.settings.algorithm, values::text(&released.values));
    let wanted = Wanted {
        chart_name: metadata.name.clone(),
        chart_version: metadata.version.clone(),
        config_digest: algorithm.digest(&config),
        post_renderers: part_digest(&spec.post_renderers, spec.post_renderers.is_empty(), algorithm),
        common_metadata: part_digest(&spec.common_metadata, spec.common_metadata.is_none(), algorithm),
        generation: object.metadata.generation,
        force: is_asked(object, FORCE, status.last_handled_force_at.as_ref()),
    };
    let reset = is_asked(object, RESET, status.last_handled_reset_at.as_ref())
        || status.last_attempted_generation != object.metadata.generation
        || status.last_attempted_revision.as_ref() != Some(&wanted.chart_version)
        || status
            .last_attempted_config_digest
            .as_ref()
            .is_some_and(|last| verify(last, &config) != Verdict::Same);
    Plan::Release(Box::new(Work {
        object: object.clone(),
        released: released.as_ref().clone(),
        wanted,
        reset,
        changes: Arc::new(Changes::of(object)),
        strategy: render::strategy(object, released.settings.helm3_defaults),
    }))
}
