//! Uninstalls the release of a HelmRelease that is being deleted, and deletes its HelmChart.

use ferrite_api::{Reason, helm::HelmRelease, source::HelmChart};
use ferrite_apply::{Expressions, TargetError};
use ferrite_helm::Status;
use ferrite_runtime::{Event, Progress};
use kube::{Api, api::DeleteParams};

use super::{
    act::{self, Done},
    report::told,
};
use crate::{api::said, context::Context, error::Error, state};

pub(crate) async fn teardown(
    context: &Context,
    object: &HelmRelease,
    done: &mut Done,
    step: &Progress,
) -> Result<Vec<Event>, Error> {
    if object.spec.suspend {
        return Ok(Vec::new());
    }
    let mut status = object.status.clone().unwrap_or_default();
    let mut events = Vec::new();
    if let Some(storage) = status.storage_namespace.clone() {
        let lost = context.targets.lost_identity(object).await.map_err(|error| Error::State(said(&error)))?;
        let cluster = match context.targets.of(object).await {
            Ok(cluster) => Some(cluster),
            Err(TargetError::Secret { source: kube::Error::Api(answer), .. }) if answer.code == 404 => None,
            Err(error) => return Err(error.into()),
        };
        if let (Some(cluster), false) = (cluster, lost) {
            let expressions = std::sync::Arc::new(
                Expressions::compile(&object.spec.depends_on, &object.spec.health_check_exprs)
                    .unwrap_or_default(),
            );
            let settings = &context.settings;
            let worker = act::Worker::new(context, object, &cluster, &expressions, settings, step);
            let (name, namespace) = worker.target(&status);
            let last = worker.storage(&storage, &name).last().await.map_err(Error::State)?;
            if let Some(last) = last.filter(|last| last.status != Status::Uninstalled) {
                let (full, chart) = (state::full_name(&last), state::chart_name(&last));
                let outcome = worker.uninstall(&storage, last, &namespace).await;
                if let Err(error) = outcome {
                    done.status = Some(status);
                    return Err(Error::Teardown(format!(
                        "Helm uninstall failed for release {full} with chart {chart}: {error}"
                    )));
                }
                let text = format!("Helm uninstall succeeded for release {full} with chart {chart}");
                events.push(told(Event::info(Reason::UninstallSucceeded, text), &status));
            }
        }
        status.history.clear();
        status.storage_namespace = None;
        status.inventory = None;
    }
    if let Some((namespace, name)) = status.helm_chart.as_deref().and_then(|chart| chart.split_once('/')) {
        let api: Api<HelmChart> = Api::namespaced(context.client.clone(), namespace);
        match api.delete(name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(answer)) if answer.code == 404 => {}
            Err(source) => return Err(Error::ChartSync { name: format!("{namespace}/{name}"), source }),
        }
        status.helm_chart = None;
    }
    done.status = Some(status);
    Ok(events)
}
