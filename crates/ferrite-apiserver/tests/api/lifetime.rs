//! Starting, surviving, standing in for workload controllers.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ferrite_apiserver::ApiServer;
use serde_json::{Value, json};

use crate::client::{Api, CONFIG_MAPS, config_map, start};

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Killed already is as good.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn spawn(dir: &Path) -> (Process, Api) {
    let kubeconfig = dir.join("kubeconfig");
    drop(fs_err::remove_file(&kubeconfig));
    let child = Command::new(env!("CARGO_BIN_EXE_ferrite-apiserver"))
        .arg("--kubeconfig-out")
        .arg(&kubeconfig)
        .arg("--data-dir")
        .arg(dir.join("data"))
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let process = Process(child);
    let found = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            if let Ok(text) = fs_err::read_to_string(&kubeconfig) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let text = found.await.expect("a kubeconfig");
    (process, Api::new(&text))
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let (process, api) = spawn(dir.path()).await;
    for i in 0..20 {
        assert_eq!(
            api.post(CONFIG_MAPS, &config_map(&format!("c{i}"), &json!({"k": i.to_string()}))).await.0,
            201
        );
    }
    assert_eq!(api.delete(&format!("{CONFIG_MAPS}/c0"), &json!({})).await.0, 200);
    let before = api.get(&format!("{CONFIG_MAPS}/c7")).await.1;
    drop(process);

    let (process, api) = spawn(dir.path()).await;
    assert_eq!(api.get(&format!("{CONFIG_MAPS}/c7")).await.1, before);
    assert_eq!(api.get(&format!("{CONFIG_MAPS}/c0")).await.0, 404);
    let (_, next) = api.post(CONFIG_MAPS, &config_map("next", &json!({}))).await;
    let version = |o: &Value| o["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok());
    assert!(version(&next) > version(&before), "versions go on: {next}");
    drop(process);
}

#[tokio::test]
async fn the_kubeconfig_is_private_and_the_token_stays() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a directory");
    let builder = || ApiServer::builder().data_dir(Some(dir.path().to_owned()));
    let (first, _) = start(builder()).await;
    let path = dir.path().join("kubeconfig");
    first.write_kubeconfig(&path).expect("written");
    let mode = fs_err::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = |text: &str| text.lines().find(|l| l.contains("token:")).map(str::to_owned);
    let before = token(&first.kubeconfig());
    first.shutdown().await;
    let (second, api) = start(builder()).await;
    assert_eq!(token(&second.kubeconfig()), before);
    assert_eq!(api.get("/readyz").await.0, 200);
    second.shutdown().await;
}

fn deployment(name: &str, annotations: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "annotations": annotations},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "img:1"}]}}}})
}

fn condition<'o>(object: &'o Value, kind: &str) -> &'o Value {
    object["status"]["conditions"]
        .as_array()
        .and_then(|c| c.iter().find(|c| c["type"] == kind))
        .unwrap_or(&Value::Null)
}

#[tokio::test]
async fn workloads_become_ready_fail_or_hang() {
    let (running, api) = start(ApiServer::builder().workloads(true)).await;
    let all = "/apis/apps/v1/namespaces/default/deployments";
    for (name, annotations) in [
        ("good", json!({})),
        ("bad", json!({"ferrite.dev/fail": "image cannot be pulled"})),
        ("slow", json!({"ferrite.dev/hang": "true"})),
    ] {
        assert_eq!(api.post(all, &deployment(name, &annotations)).await.0, 201);
    }
    let (_, good) = api.until(&format!("{all}/good"), |(_, o)| o["status"]["availableReplicas"] == 2).await;
    assert_eq!(good["status"]["observedGeneration"], good["metadata"]["generation"]);
    assert_eq!(condition(&good, "Available")["status"], "True");
    let failed = |o: &Value| condition(o, "Progressing")["reason"] == "ProgressDeadlineExceeded";
    let (_, bad) = api.until(&format!("{all}/bad"), |(_, o)| failed(o)).await;
    assert_eq!(condition(&bad, "Progressing")["message"], "image cannot be pulled");
    let (_, slow) = api.get(&format!("{all}/slow")).await;
    assert_eq!(
        (&slow["status"]["unavailableReplicas"], &condition(&slow, "Available")["status"]),
        (&json!(2), &json!("False"))
    );
    // A new generation is observed anew.
    api.merge(&format!("{all}/good"), &json!({"spec": {"replicas": 3}})).await;
    let (_, good) = api.until(&format!("{all}/good"), |(_, o)| o["status"]["availableReplicas"] == 3).await;
    assert_eq!(good["status"]["observedGeneration"], good["metadata"]["generation"]);
    // A rollout that hangs keeps the old pods, and is not finished.
    let hang = json!({"metadata": {"annotations": {"ferrite.dev/hang": "true"}},
        "spec": {"template": {"metadata": {"labels": {"version": "2"}}}}});
    api.merge(&format!("{all}/good"), &hang).await;
    let (_, rolling) = api
        .until(&format!("{all}/good"), |(_, o)| {
            o["status"]["observedGeneration"] == o["metadata"]["generation"]
        })
        .await;
    assert_eq!(
        (&rolling["status"]["availableReplicas"], rolling["status"].get("updatedReplicas")),
        (&json!(3), None)
    );
    assert_eq!(rolling["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    running.shutdown().await;
}

#[tokio::test]
async fn a_pod_runs_and_ends_with_its_grace() {
    let (running, api) = start(ApiServer::builder().workloads(true)).await;
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "img:1"}]}});
    assert_eq!(api.post(pods, &pod).await.0, 201);
    api.until(&format!("{pods}/p"), |(_, o)| o["status"]["phase"] == "Running").await;
    let (code, going) = api.delete(&format!("{pods}/p"), &json!({})).await;
    assert_eq!((code, &going["metadata"]["deletionGracePeriodSeconds"]), (200, &json!(30)));
    api.gone(&format!("{pods}/p")).await;
    running.shutdown().await;
}
