//! Helm's records of a release: Secrets, byte for byte as Helm writes them.

use std::collections::BTreeMap;

use ferrite_helm::{Release, SECRET_TYPE, Status, storage_name, surplus};
use ferrite_runtime::Clock;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams},
};

use crate::{NAME, object::said};

/// The records of one release.
pub(crate) struct Storage {
    api: Api<Secret>,
    name: String,
    clock: Clock,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Storage").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Storage {
    pub(crate) fn new(client: &Client, namespace: &str, name: &str, clock: Clock) -> Self {
        Self { api: Api::namespaced(client.clone(), namespace), name: name.to_owned(), clock }
    }

    /// Revisions and their states, oldest first; read from labels, so records are not unpacked.
    pub(crate) async fn history(&self) -> Result<Vec<(i64, Status)>, String> {
        let params = ListParams::default().labels(&format!("owner=helm,name={}", self.name));
        let list = self.api.list_metadata(&params).await.map_err(|error| said(&error))?;
        let mut all: Vec<(i64, Status)> = list
            .items
            .iter()
            .filter_map(|item| {
                let labels = item.metadata.labels.as_ref()?;
                Some((labels.get("version")?.parse().ok()?, Status::parse(labels.get("status")?)))
            })
            .collect();
        all.sort_unstable_by_key(|(version, _)| *version);
        Ok(all)
    }

    /// A revision; `None` when there is no record of it.
    pub(crate) async fn get(&self, version: i64) -> Result<Option<Release>, String> {
        let Some(secret) = self.secret(version).await? else { return Ok(None) };
        let bytes = secret.data.as_ref().and_then(|data| data.get("release"));
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default();
        let mut release = Release::decode(&text).map_err(|error| error.to_string())?;
        let own = ["name", "owner", "status", "version", "createdAt", "modifiedAt"];
        let labels = secret.metadata.labels.unwrap_or_default();
        release.labels = labels.into_iter().filter(|(key, _)| !own.contains(&key.as_str())).collect();
        Ok(Some(release))
    }

    /// The newest revision.
    pub(crate) async fn last(&self) -> Result<Option<Release>, String> {
        match self.history().await?.last() {
            Some((version, _)) => self.get(*version).await,
            None => Ok(None),
        }
    }

    /// Stores a new revision, after deleting the oldest ones beyond `max`.
    pub(crate) async fn create(&self, release: &Release, max: i32) -> Result<(), String> {
        let history = self.history().await?;
        for version in surplus(&history, usize::try_from(max).unwrap_or(0)) {
            self.delete(version).await?;
        }
        let secret = self.record(release, true)?;
        self.api.create(&params(), &secret).await.map_err(|error| said(&error))?;
        Ok(())
    }

    /// Stores a revision anew.
    pub(crate) async fn update(&self, release: &Release) -> Result<(), String> {
        let mut secret = self.record(release, false)?;
        let now = self.secret(release.version).await?;
        let Some(now) = now else {
            return Err(format!("the record of release {}.v{} is gone", release.name, release.version));
        };
        secret.metadata.resource_version = now.metadata.resource_version;
        self.api.replace(&release.storage_name(), &params(), &secret).await.map_err(|error| said(&error))?;
        Ok(())
    }

    pub(crate) async fn delete(&self, version: i64) -> Result<(), String> {
        match self.api.delete(&storage_name(&self.name, version), &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(said(&error)),
        }
    }

    async fn secret(&self, version: i64) -> Result<Option<Secret>, String> {
        self.api.get_opt(&storage_name(&self.name, version)).await.map_err(|error| said(&error))
    }

    fn record(&self, release: &Release, created: bool) -> Result<Secret, String> {
        let text = release.encode().map_err(|error| error.to_string())?;
        let labels = release.storage_labels(created, self.clock.now().as_second());
        Ok(Secret {
            metadata: ObjectMeta {
                name: Some(release.storage_name()),
                labels: Some(labels.into_iter().collect()),
                ..ObjectMeta::default()
            },
            type_: Some(SECRET_TYPE.to_owned()),
            data: Some(BTreeMap::from([("release".to_owned(), ByteString(text.into_bytes()))])),
            ..Secret::default()
        })
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(NAME.to_owned()), ..PostParams::default() }
}
