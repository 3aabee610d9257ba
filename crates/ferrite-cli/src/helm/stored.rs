//! The releases that Helm and the helm-controller stored in a cluster.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use ferrite_helm::{
    Release,
    command::{Query, Record},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Records that are read at a time.
const CONCURRENCY: usize = 8;

/// The records that a command asks for, read as the kubeconfig's user.
pub(super) async fn records(query: &Query) -> Result<Vec<Record>> {
    let config = config(query).await.context("Kubernetes cluster unreachable")?;
    let namespace = query.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).context("Kubernetes cluster unreachable")?;
    let secrets: Api<Secret> = if query.all_namespaces {
        Api::all(client.clone())
    } else {
        Api::namespaced(client.clone(), &namespace)
    };
    let mut selector = "owner=helm".to_owned();
    if let Some(name) = &query.name {
        selector.push_str(&format!(",name={name}"));
    }
    if let Some(labels) = &query.labels {
        selector.push_str(&format!(",{labels}"));
    }
    let params = ListParams::default().labels(&selector);
    if !query.newest {
        let list = secrets.list(&params).await.context("cannot list the records of releases")?;
        return list.items.iter().map(record).collect();
    }
    let places = newest(&secrets, &params).await?;
    let read = stream::iter(places).map(|(namespace, name)| {
        let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
        async move {
            let found =
                api.get(&name).await.with_context(|| format!("cannot read Secret {namespace}/{name}"))?;
            record(&found)
        }
    });
    read.buffered(CONCURRENCY).try_collect().await
}

/// Namespace and name of the record of the newest revision of each release; read from labels, so nothing is unpacked.
async fn newest(secrets: &Api<Secret>, params: &ListParams) -> Result<Vec<(String, String)>> {
    let list = secrets.list_metadata(params).await.context("cannot list the records of releases")?;
    let mut found: HashMap<(String, String), (i64, String)> = HashMap::new();
    for item in list.items {
        let meta = item.metadata;
        let labels = meta.labels.unwrap_or_default();
        let (Some(release), Some(version)) = (labels.get("name"), labels.get("version")) else { continue };
        let Ok(version) = version.parse::<i64>() else { continue };
        let place = (meta.namespace.unwrap_or_default(), release.clone());
        let newer = found.get(&place).is_none_or(|(known, _)| *known < version);
        if newer {
            found.insert(place, (version, meta.name.unwrap_or_default()));
        }
    }
    Ok(found.into_iter().map(|((namespace, _), (_, name))| (namespace, name)).collect())
}

fn record(secret: &Secret) -> Result<Record> {
    let name = secret.metadata.name.as_deref().unwrap_or_default();
    let bytes = secret.data.as_ref().and_then(|data| data.get("release"));
    let text = String::from_utf8_lossy(bytes.map(|bytes| bytes.0.as_slice()).unwrap_or_default());
    let release = Release::decode(&text).with_context(|| format!("Secret {name}"))?;
    let labels = secret.metadata.labels.clone().unwrap_or_default().into_iter().collect();
    Ok(Record { release, labels })
}

async fn config(query: &Query) -> Result<Config> {
    let options = KubeConfigOptions { context: query.context.clone(), ..KubeConfigOptions::default() };
    Ok(match &query.kubeconfig {
        Some(path) => Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?,
        None => match Config::from_kubeconfig(&options).await {
            Ok(config) => config,
            Err(error) => Config::incluster().map_err(|_| error)?,
        },
    })
}
