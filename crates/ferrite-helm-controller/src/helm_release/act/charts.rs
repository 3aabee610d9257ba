//! Writes the HelmChart of a spec, and deletes one that is not wanted any more.

use ferrite_api::{Reason, source::HelmChart};
use ferrite_runtime::{Event, Progress};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};

use super::{Done, Outcome};
use crate::{NAME, context::Context, error::Error, helm_release::observe::Charts, object::is_not_found};

pub(super) async fn write(
    context: &Context,
    charts: Charts,
    done: &mut Done,
    step: &Progress,
) -> Result<(), Error> {
    let fail = |name: &dyn std::fmt::Display, source| Error::ChartSync { name: name.to_string(), source };
    let params = PatchParams::apply(NAME).force();
    done.outcome = Outcome::Charts(charts.again);
    if let Some(key) = charts.delete {
        let api: Api<HelmChart> = Api::namespaced(context.client.clone(), &key.namespace);
        match api.delete(&key.name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(fail(&key, error)),
        }
        step.event(Event::trace(Reason::HelmChartDeleted, format!("deleted HelmChart '{key}'")));
        step.field("helmChart", serde_json::Value::Null);
        done.status = charts.status.clone();
        done.status().helm_chart = None;
        done.outcome = Outcome::Anew;
    }
    if let Some((key, wanted, new)) = charts.apply {
        let api: Api<HelmChart> = Api::namespaced(context.client.clone(), &key.namespace);
        api.patch(&key.name, &params, &Patch::Apply(&wanted)).await.map_err(|error| fail(&key, error))?;
        let (reason, verb) =
            if new { ("HelmChartCreated", "Created") } else { ("HelmChartConfigured", "Configured") };
        let source = |field: &str| wanted["spec"]["sourceRef"][field].as_str().unwrap_or_default().to_owned();
        step.event(Event::trace(
            reason,
            format!(
                "{verb} HelmChart/{}/{} with SourceRef '{}/{}/{}'",
                key.namespace,
                key.name,
                source("kind"),
                key.namespace,
                source("name")
            ),
        ));
        if done.status.is_none() {
            done.status = charts.status;
        }
        done.status().helm_chart = Some(key.to_string());
        done.outcome = Outcome::Charts(charts.again);
    }
    Ok(())
}
