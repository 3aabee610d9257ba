//! Which resource a word means: `deploy`, `Deployment`, `deployments.apps`, as `kubectl` reads it.

use anyhow::{Result, anyhow};
use futures::future::join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
use kube::api::{Api, ApiResource, DynamicObject};
use serde_json::Value;

use crate::kinds::find;
use crate::objects::plain;
use crate::session::Session;

/// A resource and whether its objects are in namespaces.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) resource: ApiResource,
    pub(crate) namespaced: bool,
}

impl Resource {
    /// Its objects; those of the session's namespace where there are namespaces.
    pub(crate) fn api(&self, session: &Session) -> Api<DynamicObject> {
        if self.namespaced {
            Api::namespaced_with(session.client.clone(), &session.namespace, &self.resource)
        } else {
            Api::all_with(session.client.clone(), &self.resource)
        }
    }

    /// An object by name, with its type.
    ///
    /// # Errors
    ///
    /// What the API server says.
    pub(crate) async fn get(&self, session: &Session, name: &str) -> Result<Value> {
        let object = self.api(session).get(name).await.map_err(plain)?;
        let mut value = serde_json::to_value(object)?;
        value["apiVersion"] = self.resource.api_version.clone().into();
        value["kind"] = self.resource.kind.clone().into();
        Ok(value)
    }
}

/// Finds the resource for a word: a kind, a plural, a singular or a short name, perhaps followed by `.group`.
///
/// # Errors
///
/// When the API server has no such resource.
pub(crate) async fn resolve(session: &Session, word: &str) -> Result<Resource> {
    // Our own kinds come first and cost no question.
    if let Some(kind) = find(word) {
        return Ok(Resource { resource: kind.resource(), namespaced: true });
    }
    let (name, group) = word.split_once('.').map_or((word, None), |(name, group)| (name, Some(group)));
    let core = session.client.list_core_api_resources("v1").await.map_err(plain)?;
    if let Some(found) = pick(&core.resources, "v1", name, group) {
        return Ok(found);
    }
    let groups = session.client.list_api_groups().await.map_err(plain)?.groups;
    let versions = groups.into_iter().filter_map(|group| {
        let preferred = group.preferred_version.or_else(|| group.versions.into_iter().next())?;
        Some(preferred.group_version)
    });
    let lists = join_all(versions.map(|version| async move {
        let list = session.client.list_api_group_resources(&version).await;
        (version, list)
    }));
    // A group that does not answer must not hide the others.
    let found = lists
        .await
        .into_iter()
        .find_map(|(version, list)| pick(&list.ok()?.resources, &version, name, group));
    found.ok_or_else(|| anyhow!("the server doesn't have a resource type \"{word}\""))
}

/// The resource of an API version and kind.
///
/// # Errors
///
/// When the API server has no such kind.
pub(crate) async fn of_kind(session: &Session, api_version: &str, kind: &str) -> Result<Resource> {
    let list = if api_version.contains('/') {
        session.client.list_api_group_resources(api_version).await
    } else {
        session.client.list_core_api_resources(api_version).await
    };
    let resources = list.map_err(plain)?.resources;
    let found = resources.iter().find(|resource| resource.kind == kind && !resource.name.contains('/'));
    found
        .map(|found| resource(found, api_version))
        .ok_or_else(|| anyhow!("no matches for kind \"{kind}\" in version \"{api_version}\""))
}

fn pick(resources: &[APIResource], api_version: &str, name: &str, group: Option<&str>) -> Option<Resource> {
    let own = api_version.split_once('/').map_or("", |(group, _)| group);
    if group.is_some_and(|group| group != own) {
        return None;
    }
    let named = |resource: &&APIResource| {
        let short = resource.short_names.iter().flatten().map(String::as_str);
        [resource.name.as_str(), &resource.singular_name, &resource.kind]
            .into_iter()
            .chain(short)
            .any(|known| known.eq_ignore_ascii_case(name))
    };
    let mut whole = resources.iter().filter(|resource| !resource.name.contains('/'));
    whole.find(named).map(|found| resource(found, api_version))
}

fn resource(found: &APIResource, api_version: &str) -> Resource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvk = kube::api::GroupVersionKind::gvk(group, version, &found.kind);
    Resource { resource: ApiResource::from_gvk_with_plural(&gvk, &found.name), namespaced: found.namespaced }
}
