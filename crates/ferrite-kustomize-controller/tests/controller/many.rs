//! Many Kustomizations at default settings.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::world::{World, condition, deployment};

const COUNT: usize = 100;

fn four_objects(number: usize) -> String {
    let config =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{number}}}\ndata: {{key: value}}\n");
    let account = format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: a{number}}}\n");
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: s{number}}}\nspec: {{selector: {{app: d{number}}}, ports: [{{port: 80}}]}}\n"
    );
    [config, account, service, deployment(&format!("d{number}"), "{}")].join("---\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_with_four_objects_each_become_ready() {
    let world = World::start().await;
    let files: Vec<(String, String)> =
        (0..COUNT).map(|number| (format!("k{number}/all.yaml"), four_objects(number))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    world.push("many", "1", &files).await;
    let start = Instant::now();
    for number in 0..COUNT {
        world
            .kustomization(
                &format!("k{number}"),
                "many",
                json!({"path": format!("./k{number}"), "wait": true}),
            )
            .await;
    }
    let created = start.elapsed();
    for number in 0..COUNT {
        world.ready(&format!("k{number}")).await;
    }
    println!("created in {created:?}, all ready after {:?}", start.elapsed());
    // An object costs a look, a dry run and a write; the rest is shared or once for each Kustomization.
    let requests = world.requests.lock().unwrap().clone();
    let total: u32 =
        requests.iter().filter(|(name, _)| !name.starts_with("POST events")).map(|(_, count)| count).sum();
    assert!(total < 19 * 100, "{total} requests: {requests:#?}");
    assert!(start.elapsed() < Duration::from_secs(120));
    for number in 0..COUNT {
        let object = world.get(&format!("Kustomization/k{number}")).await;
        assert_eq!(condition(&object, "Healthy")["status"], "True");
        let total = object["status"]["history"][0]["totalReconciliations"].as_i64().unwrap();
        assert!(total <= 2, "own writes are no drift: {total} reconciles");
    }
}
