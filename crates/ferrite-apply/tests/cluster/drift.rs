use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ferrite_apply::{Applier, ApplyOptions, Cluster, Done, Drift, TrackerOptions, WaitOptions, prune, wait};
use ferrite_resource::Inventory;
use serde_json::{Value, json};

use crate::world::{World, config_map, deployment, entry, eventually, owner, prepared, world};

const MAP: &str = "/api/v1/namespaces/default/configmaps/a";

struct Tracked {
    world: World,
    cluster: Cluster,
    told: Arc<Mutex<Vec<Drift>>>,
}

async fn tracked() -> Tracked {
    let world = world().await;
    let told: Arc<Mutex<Vec<Drift>>> = Arc::default();
    let sink = Arc::clone(&told);
    let options =
        TrackerOptions { debounce: Duration::from_millis(100), longest_quiet: Duration::from_millis(400) };
    let cluster = Cluster::with_tracker(
        world.client.clone(),
        options,
        Arc::new(move |drift| sink.lock().unwrap().push(drift)),
    );
    Tracked { world, cluster, told }
}

impl Tracked {
    async fn apply(&self, objects: Vec<Value>) -> String {
        let mut done = Done::default();
        let objects = objects.into_iter().map(prepared).collect();
        Applier::new(&self.cluster, ApplyOptions::default()).apply(objects, &mut done).await.unwrap();
        let inventory: Inventory = done.entries().cloned().collect();
        self.cluster.track(&owner(), &inventory);
        done.changes.to_string()
    }

    fn told(&self) -> Vec<String> {
        let told = std::mem::take(&mut *self.told.lock().unwrap());
        told.into_iter()
            .map(|drift| format!("{} {}", drift.entry.id, if drift.deleted { "deleted" } else { "changed" }))
            .collect()
    }

    /// Applies until nothing is asked of the API server any more: the watches are in step.
    async fn settle(&self, objects: impl Fn() -> Vec<Value>) {
        eventually(|| async {
            self.world.requests.take();
            self.apply(objects()).await;
            self.world.requests.take().is_empty()
        })
        .await;
    }

    async fn hears(&self, expect: &str) {
        let heard = Mutex::new(Vec::new());
        eventually(|| async {
            heard.lock().unwrap().extend(self.told());
            !heard.lock().unwrap().is_empty()
        })
        .await;
        assert_eq!(*heard.lock().unwrap(), [expect]);
    }

    /// Long enough that something would have been told.
    async fn hears_nothing(&self) {
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(self.told(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn while_a_watch_is_in_step_unchanged_objects_cost_no_request() {
    let tracked = tracked().await;
    let objects = || vec![config_map("a", &json!({"k": "v"})), deployment("web", 1, &json!({}))];
    tracked.settle(objects).await;
    assert_eq!(
        tracked.apply(objects()).await,
        "ConfigMap/default/a unchanged\nDeployment/default/web unchanged"
    );
    assert_eq!(tracked.world.requests.take(), Vec::<String>::new());
    let targets = || objects().iter().map(entry).collect::<Vec<_>>();
    let options = WaitOptions::default();
    wait(&tracked.cluster, targets(), &options, std::future::pending()).await.unwrap();
    tracked.world.requests.take();
    wait(&tracked.cluster, targets(), &options, std::future::pending()).await.unwrap();
    assert_eq!(tracked.world.requests.take(), Vec::<String>::new(), "nor does their health");
    tracked.hears_nothing().await;

    let path = "/apis/apps/v1/namespaces/default/deployments/web/status";
    tracked.world.edit(path, "x", &json!({"status": {"readyReplicas": 0}})).await;
    eventually(|| async {
        wait(&tracked.cluster, targets(), &options, std::future::pending()).await.unwrap();
        !tracked.world.requests.take().is_empty()
    })
    .await;
}

#[tokio::test]
async fn what_a_watch_sees_is_audited_less_often() {
    let tracked = tracked().await;
    let objects = || vec![config_map("a", &json!({"k": "v"}))];
    tracked.settle(objects).await;
    let asked = async |audit_after, audit_watched_after| {
        tracked.world.requests.take();
        let options = ApplyOptions { audit_after, audit_watched_after, ..ApplyOptions::default() };
        let objects = objects().into_iter().map(prepared).collect();
        Applier::new(&tracked.cluster, options).apply(objects, &mut Done::default()).await.unwrap();
        tracked.world.requests.take().len()
    };
    let hour = Duration::from_secs(3600);
    assert_eq!(asked(Duration::ZERO, hour).await, 0, "a watch sees it");
    assert_eq!(asked(hour, Duration::ZERO).await, 1, "read");
    assert_eq!(asked(Duration::ZERO, Duration::ZERO).await, 2, "read and dry-run");
}

#[tokio::test]
async fn foreign_changes_are_told_and_our_own_are_not() {
    let tracked = tracked().await;
    let objects = || vec![config_map("a", &json!({"k": "v"}))];
    tracked.settle(objects).await;
    tracked.world.edit(MAP, "kubectl-edit", &json!({"data": {"k": "theirs", "extra": "x"}})).await;
    tracked.hears("ConfigMap/default/a changed").await;
    assert_eq!(tracked.apply(objects()).await, "ConfigMap/default/a configured");
    assert_eq!(tracked.world.get(MAP).await.unwrap()["data"], json!({"k": "v"}));
    tracked.hears_nothing().await;
    assert_eq!(
        tracked.apply(vec![config_map("a", &json!({"k": "new"}))]).await,
        "ConfigMap/default/a configured"
    );
    tracked.hears_nothing().await;
    tracked.world.delete(MAP).await;
    tracked.hears("ConfigMap/default/a deleted").await;
    assert_eq!(tracked.apply(objects()).await, "ConfigMap/default/a created");
}

#[tokio::test]
async fn a_label_taken_away_is_told() {
    let tracked = tracked().await;
    let objects = || vec![config_map("a", &json!({"k": "v"}))];
    tracked.settle(objects).await;
    let unlabelled = json!({"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": null}}});
    tracked.world.edit(MAP, "somebody", &unlabelled).await;
    tracked.hears("ConfigMap/default/a deleted").await;
    assert_eq!(tracked.apply(objects()).await, "ConfigMap/default/a configured");
}

#[tokio::test]
async fn a_watch_that_starts_again_tells_only_what_changed_meanwhile() {
    let tracked = tracked().await;
    let objects = || (0..30).map(|n| config_map(&format!("m{n}"), &json!({"k": "v"}))).collect::<Vec<_>>();
    tracked.settle(objects).await;
    tracked.world.server.faults().expire_history();
    tracked.hears_nothing().await;
    tracked.world.server.faults().drop_watches();
    tracked.world.edit("/api/v1/namespaces/default/configmaps/m7", "x", &json!({"data": {"k": "w"}})).await;
    tracked.hears("ConfigMap/default/m7 changed").await;
}

#[tokio::test]
async fn a_status_is_not_drift_and_a_restless_object_is_told_less_and_less() {
    let tracked = tracked().await;
    let objects = || vec![deployment("web", 1, &json!({}))];
    tracked.settle(objects).await;
    let path = "/apis/apps/v1/namespaces/default/deployments/web";
    tracked.world.edit(&format!("{path}/status"), "x", &json!({"status": {"collisionCount": 7}})).await;
    tracked.hears_nothing().await;
    for round in 0..20 {
        tracked.world.edit(path, "x", &json!({"metadata": {"annotations": {"n": round.to_string()}}})).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = tracked.told().len();
    assert!((1..=5).contains(&told), "20 changes in one second were told {told} times");
}

#[tokio::test]
async fn kinds_nobody_owns_any_more_are_not_watched() {
    let tracked = tracked().await;
    let (map, web) = (config_map("a", &json!({})), deployment("web", 1, &json!({})));
    tracked.settle(|| vec![map.clone(), web.clone()]).await;
    let kinds = |tracked: &Tracked| tracked.cluster.tracker().unwrap().kinds();
    let both = [(String::new(), "ConfigMap".to_owned()), ("apps".to_owned(), "Deployment".to_owned())];
    assert_eq!(kinds(&tracked), both);
    prune(&tracked.cluster, &[entry(&web)], &owner(), &mut Done::default()).await.unwrap();
    tracked.apply(vec![map]).await;
    assert_eq!(kinds(&tracked), both[..1]);
    tracked.hears_nothing().await;
    tracked.cluster.forget(&owner());
    assert_eq!(kinds(&tracked), []);
    tracked.world.edit(MAP, "x", &json!({"data": {"k": "w"}})).await;
    tracked.hears_nothing().await;
}
