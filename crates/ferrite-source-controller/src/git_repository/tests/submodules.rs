//! `spec.recurseSubmodules`.

use serde_json::json;

use super::failures::{failed, retried};
use super::world::World;

#[tokio::test]
async fn submodules_and_theirs_are_archived_where_they_are() {
    let world = World::new().await;
    let inner = world.git.repository("inner", &[("deep.yaml", "3"), ("logo.png", "x")]).unwrap();
    let lib = world.git.repository("lib", &[("lib.yaml", "2"), ("z.yaml", "2")]).unwrap();
    lib.submodule("inner", "../inner", &inner).unwrap();
    let app = world.git.repository("app", &[("a.yaml", "1"), ("z.yaml", "1")]).unwrap();
    let url = format!("{}/lib", world.git.base_url());
    app.submodule("modules/lib", &url, &lib).unwrap();

    let flat = world.reconcile(&world.repository("app", &json!({}))).await;
    assert_eq!(world.files(flat.artifact()), ["a.yaml", "z.yaml"]);

    let deep = world.reconcile(&world.changed(&flat.object, &json!({"recurseSubmodules": true}))).await;
    let inside = ["modules/lib/inner/deep.yaml", "modules/lib/lib.yaml", "modules/lib/z.yaml"];
    assert_eq!(world.files(deep.artifact()), [&["a.yaml"], &inside[..], &["z.yaml"]].concat());
    assert!(deep.status.observed_recurse_submodules);
    assert_eq!(world.reconcile(&deep.object).await.status, deep.status);

    let sparse = json!({"recurseSubmodules": true, "sparseCheckout": ["modules"]});
    let sparse = world.reconcile(&world.changed(&deep.object, &sparse)).await;
    assert!(world.files(sparse.artifact()).contains(&"modules/lib/inner/deep.yaml".to_owned()));
    assert!(!world.files(sparse.artifact()).contains(&"a.yaml".to_owned()));
}

#[tokio::test]
async fn submodules_get_the_credentials_of_their_host_only() {
    let world = World::new().await;
    let other = World::new().await;
    let password = "canary-right";
    let near = world.git.private_repository("near", "reader", password, &[("n.yaml", "1")]).unwrap();
    let far = other.git.private_repository("far", "reader", password, &[("f.yaml", "1")]).unwrap();
    world.secret(&[("username", "reader"), ("password", password)]);
    let spec = json!({"recurseSubmodules": true, "secretRef": {"name": "git"}});

    let app = world.git.private_repository("app", "reader", password, &[("a.yaml", "1")]).unwrap();
    app.submodule("near", "../near", &near).unwrap();
    let good = world.reconcile(&world.repository("app", &spec)).await;
    assert!(world.files(good.artifact()).contains(&"near/n.yaml".to_owned()));

    let app = world.git.private_repository("leaky", "reader", password, &[("a.yaml", "1")]).unwrap();
    app.submodule("far", &far.url().replace("http://", "http://reader:canary-in-url@"), &far).unwrap();
    let refused = world.reconcile(&world.repository("leaky", &spec)).await;
    let message = "failed to checkout and determine revision: authentication required by ";
    failed(&refused, "FetchFailed", "GitOperationFailed", message);
    retried(&refused);
    assert!(!format!("{:?}{:?}", refused.status, refused.events()).contains("canary"));
}

#[tokio::test]
async fn submodules_that_lead_out_or_round_are_refused() {
    let world = World::new().await;
    let lib = world.git.repository("lib", &[("lib.yaml", "2")]).unwrap();
    let checkout = "failed to checkout and determine revision: ";
    for (name, url, problem) in [
        ("a", "file:///etc", "cannot use the submodule 'lib': "),
        ("b", "../../../x", "cannot use the submodule 'lib': its address leads out of the server"),
        ("c", "ext::sh -c id", "cannot use the submodule 'lib': "),
        ("d", "--upload-pack=x", "cannot use the submodule 'lib': "),
        ("e", "../missing", "repository not found at "),
    ] {
        let app = world.git.repository(name, &[("a.yaml", "1")]).unwrap();
        app.submodule("lib", url, &lib).unwrap();
        let after = world.reconcile(&world.repository(name, &json!({"recurseSubmodules": true}))).await;
        failed(&after, "FetchFailed", "GitOperationFailed", &format!("{checkout}{problem}"));
    }
    // Each commit holds the one before it, further than anybody goes.
    let round = world.git.repository("round", &[("a.yaml", "1")]).unwrap();
    for _ in 0..12 {
        round.submodule("again", "../round", &round).unwrap();
    }
    let after = world.reconcile(&world.repository("round", &json!({"recurseSubmodules": true}))).await;
    let message = format!("{checkout}'{}' exceeds a limit: submodules within each other", round.url());
    failed(&after, "FetchFailed", "GitOperationFailed", &message);
}
