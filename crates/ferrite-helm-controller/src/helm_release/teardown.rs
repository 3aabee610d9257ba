//! Uninstalls the release of a HelmRelease that is being deleted, and deletes its HelmChart.

use ferrite_api::{helm::HelmRelease, source::HelmChart};
use ferrite_apply::{Expressions, TargetError};
use ferrite_runtime::{Event, Progress};
use kube::{Api, api::DeleteParams};

use super::act::{Done, Worker};
use crate::{
    context::Context,
    error::Error,
    object::{is_not_found, said},
};

pub(crate) async fn teardown(
    context: &Context,
    object: &HelmRelease,
    done: &mut Done,
    step: &Progress,
) -> Result<Vec<Event>, Error> {
    if object.spec.suspend {
        return Ok(Vec::new());
    }
    done.status = Some(object.status.clone().unwrap_or_default());
    if let Some(storage) = done.status().storage_namespace.clone() {
        // Nobody can act as an account, or reach a cluster, that is gone: the object is not held for it.
        let local = object.spec.kube_config.is_none();
        let lost = local
            && context.targets.lost_identity(object).await.map_err(|error| {
                Error::Teardown(format!(
                    "failed to confirm ServiceAccount can be used to uninstall release: {}",
                    said(&error)
                ))
            })?;
        let cluster = match context.targets.of(object).await {
            Ok(cluster) => Some(cluster),
            Err(TargetError::Secret { source, .. }) if is_not_found(&source) => None,
            Err(error) => {
                let why = ferrite_runtime::chain(&error);
                return Err(Error::Teardown(format!(
                    "failed to build REST client getter to uninstall release: {why}"
                )));
            }
        };
        if let (Some(cluster), false) = (cluster, lost) {
            let expressions = Expressions::compile(&object.spec.depends_on, &object.spec.health_check_exprs)
                .unwrap_or_default();
            let worker = Worker::new(context, object, cluster, &std::sync::Arc::new(expressions), step);
            Box::pin(worker.take_away(&storage, done)).await.map_err(Error::Action)?;
        }
        let status = done.status();
        status.history.clear();
        status.storage_namespace = None;
        status.inventory = None;
    }
    let chart = done.status().helm_chart.clone();
    if let Some((namespace, name)) = chart.as_deref().and_then(|chart| chart.split_once('/')) {
        let api: Api<HelmChart> = Api::namespaced(context.client.clone(), namespace);
        match api.delete(name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => {}
            Err(source) => return Err(Error::ChartSync { name: format!("{namespace}/{name}"), source }),
        }
        done.status().helm_chart = None;
    }
    Ok(Vec::new())
}
