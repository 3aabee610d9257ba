//! The way of a commit, timed: API server, source-controller and kustomize-controller as processes of their own.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ferrite_testkit::GitServer;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};

use crate::figure;
use crate::programs::Program;

const NAMESPACE: &str = "bench";
const KUSTOMIZATIONS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(300);
/// How often a single-shot measurement is repeated; the median is printed.
const ROUNDS: usize = 11;

struct World {
    client: Client,
    git: GitServer,
    programs: Vec<Program>,
    _state: tempfile::TempDir,
}

/// Starts everything, then measures: memory idle, 100 Kustomizations to Ready, commit, drift, memory loaded.
pub(crate) async fn run(directory: &Path) -> Result<()> {
    let mut world = start(directory).await?;
    rss("rss-idle", &mut world)?;
    many_kustomizations(&world).await?;
    rss("rss-100-kustomizations", &mut world)?;
    commit_to_applied(&world).await?;
    drift_to_repaired(&world).await?;
    Ok(())
}

async fn start(directory: &Path) -> Result<World> {
    let state = tempfile::tempdir()?;
    let at = |name: &str| state.path().join(name);
    let kubeconfig = at("kubeconfig");
    let flag = |name: &str, value: &Path| format!("--{name}={}", value.display());
    let mut programs = vec![Program::start(
        directory,
        "ferrite-apiserver",
        &[flag("kubeconfig-out", &kubeconfig), "--workloads".to_owned()],
        &at("apiserver.log"),
    )?];
    wait_for_file(&kubeconfig).await?;
    let client = client(&kubeconfig).await?;
    apply_crds(&client).await?;
    let quiet = ["--metrics-addr=127.0.0.1:0", "--health-addr=127.0.0.1:0"].map(str::to_owned);
    let storage = at("storage");
    fs_err::create_dir_all(&storage)?;
    let mut source = vec![
        flag("kubeconfig", &kubeconfig),
        flag("storage-path", &storage),
        "--storage-addr=127.0.0.1:0".to_owned(),
    ];
    source.extend(quiet.clone());
    programs.push(Program::start(directory, "source-controller", &source, &at("source.log"))?);
    let mut kustomize = vec![flag("kubeconfig", &kubeconfig)];
    kustomize.extend(quiet);
    programs.push(Program::start(directory, "kustomize-controller", &kustomize, &at("kustomize.log"))?);
    let git = GitServer::start().await?;
    Ok(World { client, git, programs, _state: state })
}

async fn client(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig)?;
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

async fn wait_for_file(path: &Path) -> Result<()> {
    ferrite_testkit::wait_for(&format!("{} exists", path.display()), PATIENCE, || async {
        path.exists().then_some(())
    })
    .await
    .map_err(anyhow::Error::msg)
}

async fn apply_crds(client: &Client) -> Result<()> {
    for text in ferrite_api::crds::ALL {
        apply(client, serde_json::from_value(ferrite_api::crds::parse(text)?)?).await?;
    }
    Ok(())
}

fn rss(name: &str, world: &mut World) -> Result<()> {
    let mut values = Vec::new();
    for program in &mut world.programs {
        values.push((program.name, format!("{:.1}MiB", program.rss_mib()?)));
    }
    figure(name, &values);
    Ok(())
}

/// 100 Kustomizations of 4 objects each with `wait: true`, at the controllers' default flags.
async fn many_kustomizations(world: &World) -> Result<()> {
    let mut files = Vec::new();
    for number in 0..KUSTOMIZATIONS {
        files.push((format!("k{number}/all.yaml"), four_objects(number)));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let repository = world.git.repository("many", &files)?;
    apply(&world.client, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))
        .await?;
    apply(&world.client, git_repository("many", &repository.url())).await?;
    ready(&world.client, "source.toolkit.fluxcd.io", "GitRepository", &["many".to_owned()]).await?;
    let names: Vec<String> = (0..KUSTOMIZATIONS).map(|number| format!("k{number}")).collect();
    let start = Instant::now();
    for name in &names {
        apply(&world.client, kustomization(name, "many", &format!("./{name}"))).await?;
    }
    ready(&world.client, "kustomize.toolkit.fluxcd.io", "Kustomization", &names).await?;
    figure("sync-100-kustomizations-wait", &[("seconds", format!("{:.2}", start.elapsed().as_secs_f64()))]);
    Ok(())
}

/// From the commit, announced as a receiver would, to the new value in the cluster.
async fn commit_to_applied(world: &World) -> Result<()> {
    let manifest = |value: usize| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: commit\n  namespace: {NAMESPACE}\ndata:\n  value: \"{value}\"\n"
        )
    };
    let repository = world.git.repository("commit", &[("deploy/config.yaml", &manifest(0))])?;
    apply(&world.client, git_repository("commit", &repository.url())).await?;
    apply(&world.client, kustomization("commit", "commit", "./deploy")).await?;
    config_value(&world.client, "commit", "0").await?;
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        let start = Instant::now();
        repository.commit(&format!("round {round}"), &[("deploy/config.yaml", &manifest(round))])?;
        let request =
            json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": round.to_string()}}});
        api(&world.client, "source.toolkit.fluxcd.io", "GitRepository")
            .patch("commit", &PatchParams::default(), &Patch::Merge(&request))
            .await?;
        config_value(&world.client, "commit", &round.to_string()).await?;
        times.push(start.elapsed());
    }
    figure("commit-to-applied", &spread(times));
    Ok(())
}

/// From an edit by hand to the declared value.
async fn drift_to_repaired(world: &World) -> Result<()> {
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        let edit = json!({"data": {"value": format!("edited {round}")}});
        let start = Instant::now();
        config_maps(&world.client).patch("commit", &PatchParams::default(), &Patch::Merge(&edit)).await?;
        config_value(&world.client, "commit", &ROUNDS.to_string()).await?;
        times.push(start.elapsed());
    }
    figure("drift-to-repaired", &spread(times));
    Ok(())
}

fn spread(mut times: Vec<Duration>) -> Vec<(&'static str, String)> {
    times.sort_unstable();
    let ms =
        |time: Option<&Duration>| format!("{:.0}", time.copied().unwrap_or_default().as_secs_f64() * 1000.0);
    vec![("median_ms", ms(times.get(times.len() / 2))), ("max_ms", ms(times.last()))]
}

fn config_maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), NAMESPACE)
}

async fn config_value(client: &Client, name: &str, wanted: &str) -> Result<()> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut stream = watcher(config_maps(client), config).default_backoff().applied_objects().boxed();
    let found = async {
        while let Some(map) = stream.try_next().await? {
            if map.data.as_ref().and_then(|data| data.get("value")).is_some_and(|value| value == wanted) {
                return Ok(());
            }
        }
        anyhow::bail!("the watch ended")
    };
    tokio::time::timeout(PATIENCE, found).await.with_context(|| format!("{name} never became {wanted}"))?
}

/// Waits until every one of `names` is Ready.
async fn ready(client: &Client, group: &str, kind: &str, names: &[String]) -> Result<()> {
    let mut missing: std::collections::BTreeSet<String> = names.iter().cloned().collect();
    let mut stream = watcher(api(client, group, kind), watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    let all = async {
        while let Some(object) = stream.try_next().await? {
            if is_ready(&object.data) {
                missing.remove(&object.name_any());
            }
            if missing.is_empty() {
                return Ok(());
            }
        }
        anyhow::bail!("the watch ended")
    };
    let result = tokio::time::timeout(PATIENCE, all).await;
    result.with_context(|| format!("{kind}: not ready in time"))?
}

fn is_ready(data: &Value) -> bool {
    data.pointer("/status/conditions")
        .and_then(Value::as_array)
        .is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
}

fn api(client: &Client, group: &str, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}

async fn apply(client: &Client, object: Value) -> Result<()> {
    let object: DynamicObject = serde_json::from_value(object)?;
    let types = object.types.clone().context("object without apiVersion")?;
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let params = PatchParams::apply("ferrite-bench").force();
    api.patch(&object.name_any(), &params, &Patch::Apply(&object)).await?;
    Ok(())
}

fn git_repository(name: &str, url: &str) -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"url": url, "interval": "1h", "ref": {"branch": "main"}},
    })
}

fn kustomization(name: &str, source: &str, path: &str) -> Value {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "interval": "1h", "prune": true, "wait": true, "timeout": "5m", "path": path,
            "sourceRef": {"kind": "GitRepository", "name": source},
        },
    })
}

fn four_objects(number: usize) -> String {
    format!(
        r#"apiVersion: v1
kind: ConfigMap
metadata: {{name: c{number}, namespace: {NAMESPACE}}}
data: {{key: value}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: a{number}, namespace: {NAMESPACE}}}
---
apiVersion: v1
kind: Service
metadata: {{name: s{number}, namespace: {NAMESPACE}}}
spec:
  selector: {{app: d{number}}}
  ports: [{{port: 80}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: d{number}, namespace: {NAMESPACE}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: d{number}}}}}
  template:
    metadata: {{labels: {{app: d{number}}}}}
    spec: {{containers: [{{name: app, image: example}}]}}
"#
    )
}
