//! Watches: present state, changes, selectors, the past.

use futures::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Api, CONFIG_MAPS, config_map, plain};

/// Lines of a watch as they come.
struct Watch {
    stream: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    buffer: Vec<u8>,
}

impl Watch {
    async fn open(api: &Api, path: &str) -> Self {
        let response = api.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        Self { stream: response.bytes_stream().boxed(), buffer: Vec::new() }
    }

    /// The next event, or `None` when the watch has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).ok();
            }
            match self.stream.next().await? {
                Ok(bytes) => self.buffer.extend_from_slice(&bytes),
                Err(_) => return None,
            }
        }
    }

    async fn expect(&mut self, kind: &str, name: &str) -> Value {
        let event = self.next().await.expect("an event");
        assert_eq!(
            (&event["type"], &event["object"]["metadata"]["name"]),
            (&json!(kind), &json!(name)),
            "{event}"
        );
        event
    }
}

#[tokio::test]
async fn a_streaming_list_gives_state_mark_and_changes() {
    let (running, api) = plain().await;
    api.post("/api/v1/namespaces", &json!({"metadata": {"name": "w"}})).await;
    let maps = "/api/v1/namespaces/w/configmaps";
    api.until(&format!("{maps}/kube-root-ca.crt"), |(code, _)| *code == 200).await;
    let query =
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = Watch::open(&api, &format!("{maps}?{query}")).await;
    watch.expect("ADDED", "kube-root-ca.crt").await;
    let mark = watch.next().await.expect("the mark");
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    api.post(maps, &config_map("a", &json!({}))).await;
    watch.expect("ADDED", "a").await;
    api.merge(&format!("{maps}/a"), &json!({"data": {"k": "v"}})).await;
    watch.expect("MODIFIED", "a").await;
    api.delete(&format!("{maps}/a"), &json!({})).await;
    watch.expect("DELETED", "a").await;
    running.shutdown().await;
}

#[tokio::test]
async fn an_object_that_stops_to_match_is_deleted_for_the_watch() {
    let (running, api) = plain().await;
    let version =
        api.get(CONFIG_MAPS).await.1["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
    let mut watch =
        Watch::open(&api, &format!("{CONFIG_MAPS}?watch=1&labelSelector=app%3Dx&resourceVersion={version}"))
            .await;
    api.post(CONFIG_MAPS, &config_map("a", &json!({}))).await;
    api.merge(&format!("{CONFIG_MAPS}/a"), &json!({"metadata": {"labels": {"app": "x"}}})).await;
    watch.expect("ADDED", "a").await;
    api.merge(&format!("{CONFIG_MAPS}/a"), &json!({"metadata": {"labels": {"app": "y"}}})).await;
    let left = watch.expect("DELETED", "a").await;
    assert_eq!(left["object"]["metadata"]["labels"]["app"], "x");
    running.shutdown().await;
}

#[tokio::test]
async fn a_forgotten_version_is_gone_and_dropped_watches_end() {
    let (running, api) = plain().await;
    let version =
        api.get(CONFIG_MAPS).await.1["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
    let mut watch = Watch::open(&api, &format!("{CONFIG_MAPS}?watch=1&resourceVersion={version}")).await;
    running.faults().drop_watches();
    assert_eq!(watch.next().await, None);
    api.post(CONFIG_MAPS, &config_map("a", &json!({}))).await;
    running.faults().expire_history();
    let mut watch = Watch::open(&api, &format!("{CONFIG_MAPS}?watch=1&resourceVersion={version}")).await;
    let gone = watch.next().await.expect("an event");
    assert_eq!((&gone["type"], &gone["object"]["code"]), (&json!("ERROR"), &json!(410)));
    running.shutdown().await;
}

#[tokio::test]
async fn faults_are_what_was_asked_for() {
    let (running, api) = plain().await;
    running.faults().set_throttle(Some(7));
    let response = api.request(Method::GET, CONFIG_MAPS).send().await.expect("an answer");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &reqwest::header::HeaderValue::from_static("7"))
    );
    running.faults().clear();
    running.faults().set_error_rate(1.0);
    assert_eq!(api.get(CONFIG_MAPS).await.0, 500);
    assert_eq!(api.get("/readyz").await.0, 200);
    running.faults().clear();
    assert_eq!(api.get(CONFIG_MAPS).await.0, 200);
    running.shutdown().await;
}
