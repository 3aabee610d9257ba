//! Encrypted manifests, with and without the keys.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ferrite_kustomize_controller::Config;
use serde_json::{Value, json};

use crate::world::{World, condition, message};

const AGE: &str = include_str!("../../../ferrite-sops/tests/data/age.key");
const PGP: &str = include_str!("../../../ferrite-sops/tests/data/pgp.asc");
const LOGIN: &str = include_str!("../sops/login.yaml");

fn files() -> [(&'static str, &'static str); 5] {
    [
        (
            "kustomization.yaml",
            "resources: [login.yaml, other.yaml]\nsecretGenerator:\n- name: app\n  envs: [app.env]\n  files: [registry.json]\n  options: {disableNameSuffixHash: true}\n",
        ),
        ("login.yaml", LOGIN),
        ("other.yaml", include_str!("../sops/other.yaml")),
        ("app.env", include_str!("../sops/app.env")),
        ("registry.json", include_str!("../sops/registry.json")),
    ]
}

fn secret(name: &str, keys: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<String, Value> =
        keys.iter().map(|(key, text)| ((*key).to_owned(), STANDARD.encode(text).into())).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name,
        "labels": {"reconcile.fluxcd.io/watch": "Enabled"}}, "data": data})
}

fn value(secret: &Value, key: &str) -> String {
    let text = secret["data"][key].as_str().unwrap_or_default().replace('\n', "");
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

const BY_SECRET: &str = r#"{"decryption": {"provider": "sops", "secretRef": {"name": "keys"}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_applied_decrypted_once_their_keys_are_there() {
    let world = World::start().await;
    let revision = world.push("app", "1", &files()).await;
    world.kustomization("app", "app", serde_json::from_str(BY_SECRET).unwrap()).await;
    let missing = world.failed("app", "BuildFailed").await;
    assert_eq!(message(&missing, "Ready"), "secrets \"keys\" not found");

    world.apply(secret("keys", &[("identity.agekey", AGE)])).await;
    let half = world
        .until("a key is missing", "Kustomization/app", |o| message(o, "Ready").contains("PGP key"))
        .await;
    let told = message(&half, "Ready");
    assert!(
        told.starts_with("decryption failed for 'Secret.v1.[noGrp]/other': failed to decrypt and format"),
        "{told}"
    );
    assert!(told.ends_with("no OpenPGP key is configured"), "{told}");
    assert!(world.find("Secret/login").await.is_none(), "nothing is applied");

    world.apply(secret("keys", &[("identity.agekey", AGE), ("key.asc", PGP)])).await;
    let ready = world.applied("app", &revision).await;
    assert_eq!(value(&world.get("Secret/login").await, "password"), "correct-horse");
    assert_eq!(value(&world.get("Secret/other").await, "password"), "battery-staple");
    let app = world.get("Secret/app").await;
    assert_eq!(value(&app, "TOKEN"), "env-token");
    assert!(value(&app, "registry.json").contains("file-auth"));

    let mut told = ready.to_string();
    for (reason, message) in world.event("app", |reason, _| reason == "ReconciliationSucceeded").await {
        told.push_str(&format!("{reason} {message}\n"));
    }
    for plain in ["correct-horse", "battery-staple", "env-token", "file-auth", "AGE-SECRET-KEY"] {
        assert!(!told.contains(plain), "{plain} is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controllers_age_keys_are_used_where_no_secret_is_named() {
    let config = Config {
        sops_age_secret: Some("global".to_owned()),
        runtime_namespace: "default".to_owned(),
        ..Config::default()
    };
    let world = World::with(config).await;
    world.apply(secret("global", &[("identity.agekey", AGE), ("key.asc", PGP)])).await;
    let revision = world.push("app", "1", &[("login.yaml", LOGIN)]).await;
    world.kustomization("app", "app", json!({"decryption": {"provider": "sops"}})).await;
    world.applied("app", &revision).await;
    assert_eq!(value(&world.get("Secret/login").await, "password"), "correct-horse");
    // Its OpenPGP keys are nobody's.
    world.push("pgp", "1", &[("other.yaml", include_str!("../sops/other.yaml"))]).await;
    world.kustomization("pgp", "pgp", json!({"decryption": {"provider": "sops"}})).await;
    let refused = world.failed("pgp", "BuildFailed").await;
    assert!(
        message(&refused, "Ready").ends_with("no OpenPGP key is configured"),
        "{}",
        message(&refused, "Ready")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_encrypted_is_never_applied_as_it_is() {
    let world = World::start().await;
    world.push("app", "1", &[("login.yaml", LOGIN)]).await;
    world.kustomization("app", "app", json!({})).await;
    let refused = world.failed("app", "BuildFailed").await;
    assert_eq!(
        message(&refused, "Ready"),
        "Secret/default/login is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
    );
    world.apply(secret("keys", &[("bad.agekey", "AGE-SECRET-KEY-1BAD")])).await;
    world.kustomization("app", "app", serde_json::from_str(BY_SECRET).unwrap()).await;
    let refused = world
        .until("the key is refused", "Kustomization/app", |o| message(o, "Ready").contains("import"))
        .await;
    assert_eq!(
        message(&refused, "Ready"),
        "failed to import 'bad.agekey' data from sops decryption Secret 'default/keys': line 1 is no age identity: \
         expected AGE-SECRET-KEY-1…, a comment or nothing"
    );
    assert!(world.find("Secret/login").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_for_decryption_needs_the_gate() {
    let world = World::start().await;
    world.push("app", "1", &[("login.yaml", LOGIN)]).await;
    let spec = json!({"decryption": {"provider": "sops", "serviceAccountName": "kms"}});
    world.kustomization("app", "app", spec).await;
    let stalled = world.failed("app", "FeatureGateDisabled").await;
    assert_eq!(condition(&stalled, "Stalled")["status"], "True");
    assert_eq!(
        message(&stalled, "Ready"),
        "to use spec.decryption.serviceAccountName for decryption authentication please enable the \
         ObjectLevelWorkloadIdentity feature gate in the controller"
    );
}
