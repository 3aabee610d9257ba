//! Whole reconciles of OCIRepositories against a real registry.

use std::io;

use ferrite_api::source::OciRepository;
use ferrite_artifact::{Bounds, Item, ItemKind, Rules, archive};
use ferrite_runtime::Requeue;
use ferrite_testkit::RegistryServer;
use serde_json::{Value, json};

use super::OciRepositories;
use crate::world::{self, After, World, asked, base64, changed, condition};

const FLUX_LAYER: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";

struct Oci {
    registry: RegistryServer,
    world: World,
    reconciler: OciRepositories,
}

/// A layer of the given files.
fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let items = files.iter().map(|(path, content)| Item {
        path: (*path).to_owned(),
        kind: ItemKind::File { executable: false },
        content: (*content).to_owned(),
    });
    let mut out = Vec::new();
    let read = |content: &String| Ok::<_, io::Error>(content.clone().into_bytes());
    archive(items.collect(), &Rules::none(), Bounds::default(), read, &mut out).unwrap();
    out
}

impl Oci {
    async fn new() -> Self {
        let (registry, world) = (RegistryServer::start().await.unwrap(), World::new());
        let reconciler = OciRepositories::new(world.context("http://storage.test"));
        Self { registry, world, reconciler }
    }

    fn push(&self, tag: &str, files: &[(&str, &str)]) -> String {
        self.registry.push("org/app", tag, &[(FLUX_LAYER, &layer(files))], &[])
    }

    fn repository(&self, spec: &Value) -> OciRepository {
        let mut object = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository",
            "metadata": {"name": "app", "namespace": "default", "generation": 1},
            "spec": {"url": self.registry.url("org/app"), "interval": "1h", "timeout": "10s"},
            "status": {"observedGeneration": -1},
        });
        world::merge(&mut object["spec"], spec);
        serde_json::from_value(object).unwrap()
    }

    async fn reconcile(&self, object: &OciRepository) -> After<OciRepositories> {
        world::reconcile(&self.reconciler, &self.reconciler.context, object).await
    }

    fn blobs(&self) -> usize {
        self.registry.asked().iter().filter(|line| line.contains("/blobs/")).count()
    }
}

fn artifact(after: &After<OciRepositories>) -> &ferrite_api::Artifact {
    let conditions = &after.report.status.conditions;
    after.report.status.artifact.as_ref().unwrap_or_else(|| panic!("{}", condition(conditions, "Ready")))
}

#[track_caller]
fn failed(after: &After<OciRepositories>, reason: &str, message: &str, requeue: Requeue) {
    let shown = condition(&after.report.status.conditions, "Ready");
    assert!(shown.starts_with(&format!("False {reason} {message}")), "{shown}");
    let fetch_failed = condition(&after.report.status.conditions, "FetchFailed");
    assert_eq!(fetch_failed, shown.replacen("False", "True", 1));
    assert_eq!(after.report.requeue, requeue);
}

#[tokio::test]
async fn a_tag_becomes_an_artifact_and_is_kept_until_it_moves() {
    let oci = Oci::new().await;
    let origin = [
        ("org.opencontainers.image.source", "https://git.test/app"),
        ("org.opencontainers.image.revision", "main@sha1:abc"),
    ];
    let files = layer(&[("deploy/app.yaml", "v: 1"), ("logo.png", "x")]);
    let digest = oci.registry.push("org/app", "latest", &[(FLUX_LAYER, &files)], &origin);
    let first = oci.reconcile(&oci.repository(&json!({}))).await;
    let stored = artifact(&first);
    assert_eq!(stored.revision, format!("latest@{digest}"));
    assert_eq!(stored.path, format!("ocirepository/default/app/{digest}.tar.gz"));
    assert_eq!(stored.metadata["org.opencontainers.image.revision"], "main@sha1:abc");
    assert_eq!(oci.world.files(stored), ["deploy/app.yaml"], "archived anew, without what is ignored");
    let latest = "http://storage.test/ocirepository/default/app/latest.tar.gz";
    assert_eq!(first.report.status.url.as_deref(), Some(latest));
    let ready = format!("True Succeeded stored artifact for digest 'latest@{digest}'");
    assert_eq!(condition(&first.report.status.conditions, "Ready"), ready);
    let told = format!(
        "Info NewArtifact stored artifact with revision 'latest@{digest}' from '{}', origin source 'https://git.test/app', origin revision 'main@sha1:abc'",
        oci.registry.url("org/app")
    );
    assert_eq!(first.events(), [told]);

    let second = oci.reconcile(&first.object).await;
    assert_eq!(second.report.status, first.report.status);
    assert_eq!((second.events().len(), oci.blobs()), (0, 1), "a HEAD, no pull");

    let moved = oci.push("latest", &[("deploy/app.yaml", "v: 2")]);
    let third = oci.reconcile(&asked(&second.object)).await;
    assert_eq!(artifact(&third).revision, format!("latest@{moved}"));
    let shown = third.progress.said().unwrap();
    let url = oci.registry.url("org/app");
    assert_eq!(shown, format!("building artifact: new revision 'latest@{moved}' for '{url}:latest'"));
}

#[tokio::test]
async fn references_of_every_kind_have_flux_revisions() {
    let oci = Oci::new().await;
    let one = oci.push("1.0.0", &[("a", "1")]);
    let ten = oci.push("1.10.0", &[("a", "2")]);
    oci.push("1.2.0", &[("a", "3")]);
    let pre = oci.push("2.0.0-rc.1", &[("a", "4")]);
    oci.push("latest", &[("a", "5")]);
    for (reference, expect) in [
        (json!({"semver": "1.x"}), format!("1.10.0@{ten}")),
        (json!({"semver": ">=1.0.0-0", "semverFilter": ".*-rc.*"}), format!("2.0.0-rc.1@{pre}")),
        (json!({"tag": "1.0.0"}), format!("1.0.0@{one}")),
        (json!({"digest": one, "semver": "9.x", "tag": "latest"}), one.clone()),
    ] {
        let after = oci.reconcile(&oci.repository(&json!({"ref": reference}))).await;
        assert_eq!(artifact(&after).revision, expect);
        assert_eq!(oci.reconcile(&after.object).await.report.status, after.report.status);
    }
}

#[tokio::test]
async fn layers_are_selected_copied_and_built_anew_when_the_rules_change() {
    let oci = Oci::new().await;
    let (first, second) = (layer(&[("a.yaml", "1"), ("b.md", "2")]), layer(&[("c.yaml", "3")]));
    let layers: [(&str, &[u8]); 2] = [(FLUX_LAYER, &first), ("application/x.other", &second)];
    let digest = oci.registry.push("org/app", "latest", &layers, &[]);
    let whole = oci.reconcile(&oci.repository(&json!({}))).await;
    assert_eq!(oci.world.files(artifact(&whole)), ["a.yaml", "b.md"]);

    let ignoring = oci.reconcile(&changed(&whole.object, &json!({"ignore": "*.md"}))).await;
    assert_eq!(oci.world.files(artifact(&ignoring)), ["a.yaml"]);
    assert_eq!(artifact(&ignoring).revision, format!("latest@{digest}"));

    let selector = json!({"layerSelector": {"mediaType": "application/x.other", "operation": "copy"}});
    let copied = oci.reconcile(&changed(&ignoring.object, &selector)).await;
    assert_eq!(fs_err::read(oci.world.place(artifact(&copied))).unwrap(), second, "byte for byte");
    assert_eq!(oci.reconcile(&copied.object).await.report.status, copied.report.status);

    let none = json!({"layerSelector": {"mediaType": "application/x.none"}});
    let missing = oci.reconcile(&changed(&copied.object, &none)).await;
    let message = "failed to find layer with media type 'application/x.none' in artifact";
    failed(&missing, "OCIArtifactLayerOperationFailed", message, Requeue::Backoff);
}

#[tokio::test]
async fn of_an_index_the_manifest_for_linux_on_amd64_is_pulled() {
    let oci = Oci::new().await;
    let (arm, amd) = (oci.push("arm", &[("arm", "1")]), oci.push("amd", &[("amd", "2")]));
    let index = oci.registry.push_index("org/app", "latest", &[("linux/arm64", &arm), ("linux/amd64", &amd)]);
    let after = oci.reconcile(&oci.repository(&json!({}))).await;
    assert_eq!(artifact(&after).revision, format!("latest@{index}"), "the revision is that of the index");
    assert_eq!(oci.world.files(artifact(&after)), ["amd"]);
}

#[tokio::test]
async fn pull_secrets_come_from_the_secret_or_the_service_account() {
    let oci = Oci::new().await;
    oci.push("latest", &[("a", "1")]);
    oci.registry.protect("reader", "canary");
    let anonymous = oci.reconcile(&oci.repository(&json!({}))).await;
    failed(&anonymous, "OCIArtifactPullFailed", "failed to determine artifact digest: ", Requeue::Backoff);
    assert!(
        condition(&anonymous.report.status.conditions, "Ready").contains("refused access (401 Unauthorized)")
    );

    let config = |password: &str| {
        let auth = base64(&format!("reader:{password}"));
        json!({"auths": {oci.registry.host(): {"auth": auth}}}).to_string()
    };
    let with_secret = oci.repository(&json!({"secretRef": {"name": "pull"}}));
    failed(
        &oci.reconcile(&with_secret).await,
        "AuthenticationFailed",
        "failed to get secret 'default/pull'",
        Requeue::Backoff,
    );
    oci.world.secret("pull", &[("username", "x")]);
    let wrong_type = "failed to read the pull secret 'default/pull': it has no '.dockerconfigjson'";
    failed(&oci.reconcile(&with_secret).await, "AuthenticationFailed", wrong_type, Requeue::Backoff);
    oci.world.secret("pull", &[(".dockerconfigjson", &config("wrong"))]);
    let wrong = oci.reconcile(&with_secret).await;
    failed(&wrong, "OCIArtifactPullFailed", "failed to determine artifact digest: ", Requeue::Backoff);
    oci.world.secret("pull", &[(".dockerconfigjson", &config("canary"))]);
    let right = oci.reconcile(&with_secret).await;
    assert_eq!(oci.world.files(artifact(&right)), ["a"]);
    assert!(!format!("{:?} {:?}", right.report, wrong.report).contains("canary"));

    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller"},
        "imagePullSecrets": [{"name": "pull"}]});
    oci.world.put("serviceaccounts/puller", account);
    let by_account = oci.reconcile(&oci.repository(&json!({"serviceAccountName": "puller"}))).await;
    assert_eq!(oci.world.files(artifact(&by_account)), ["a"]);
}

#[tokio::test]
async fn what_goes_wrong_is_told_and_keeps_the_last_artifact() {
    let oci = Oci::new().await;
    oci.push("latest", &[("a", "1")]);
    let good = oci.reconcile(&oci.repository(&json!({}))).await;
    let broken = layer(&[("b", "2")]);
    oci.registry.push("org/app", "broken", &[(FLUX_LAYER, &broken)], &[]);
    oci.registry.corrupt_blob(&broken, "evil");
    oci.registry.push("org/app", "text", &[(FLUX_LAYER, b"no archive")], &[]);
    oci.registry.push("org/app", "empty", &[], &[]);
    let url = oci.registry.url("org/app");
    let digest = "failed to determine artifact digest: '";
    for (spec, reason, message) in [
        (json!({"ref": {"tag": "nowhere"}}), "OCIArtifactPullFailed", digest.to_owned()),
        (
            json!({"ref": {"semver": "^9"}}),
            "ReadOperationFailed",
            format!("failed to determine the artifact tag for '{url}': no match found for semver: ^9"),
        ),
        (
            json!({"ref": {"tag": "../../x"}}),
            "ReadOperationFailed",
            format!("failed to determine the artifact tag for '{url}': '../../x' cannot be a tag"),
        ),
        (
            json!({"ref": {"tag": "broken"}}),
            "OCIArtifactPullFailed",
            format!("failed to pull artifact from '{url}': '"),
        ),
        (
            json!({"ref": {"tag": "text"}}),
            "OCIArtifactLayerOperationFailed",
            "failed to extract layer contents from artifact: the archive is damaged".to_owned(),
        ),
        (
            json!({"ref": {"tag": "empty"}}),
            "OCIArtifactLayerOperationFailed",
            "failed to find layer in artifact".to_owned(),
        ),
        (
            json!({"url": "oci://127.0.0.1:1/app"}),
            "OCIArtifactPullFailed",
            format!("{digest}cannot reach").replace('\'', ""),
        ),
    ] {
        let after = oci.reconcile(&changed(&good.object, &spec)).await;
        failed(&after, reason, &message, Requeue::Backoff);
        assert_eq!(after.report.status.artifact, good.report.status.artifact);
    }
}

#[tokio::test]
async fn what_only_an_edit_can_help_stalls() {
    let oci = Oci::new().await;
    oci.push("latest", &[("a", "1")]);
    let tagged = format!("{}:v1", oci.registry.url("org/app"));
    let message = format!("URL validation failed for '{tagged}': URL must not contain a tag; remove ':v1'");
    let after = oci.reconcile(&oci.repository(&json!({"url": tagged}))).await;
    failed(&after, "URLInvalid", &message, Requeue::Never);
    let verify = json!({"verify": {"provider": "cosign"}});
    let after = oci.reconcile(&oci.repository(&verify)).await;
    failed(
        &after,
        "VerificationError",
        "spec.verify is not supported by this controller yet",
        Requeue::Never,
    );
    let named = json!({"provider": "aws", "serviceAccountName": "puller"});
    oci.world.put(
        "serviceaccounts/puller",
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller"}}),
    );
    let after = oci.reconcile(&oci.repository(&named)).await;
    let message = "to use spec.serviceAccountName for provider authentication please enable the ObjectLevelWorkloadIdentity feature gate in the controller";
    failed(&after, "FeatureGateDisabled", message, Requeue::Never);
}

#[tokio::test]
async fn a_cloud_that_gives_no_login_is_told_and_pull_secrets_come_before_it() {
    let oci = Oci::new().await;
    oci.push("latest", &[("a", "1")]);
    for (provider, told) in [("aws", "AWS"), ("azure", "Azure"), ("gcp", "GCP")] {
        let after = oci.reconcile(&oci.repository(&json!({"provider": provider}))).await;
        let message =
            format!("failed to get credential from {provider}: invalid {told} registry: '127.0.0.1:");
        failed(&after, "AuthenticationFailed", &message, Requeue::Backoff);
    }
    let config = json!({"auths": {oci.registry.host(): {"username": "a", "password": "b"}}}).to_string();
    oci.world.secret("pull", &[(".dockerconfigjson", &config)]);
    let spec = json!({"provider": "aws", "secretRef": {"name": "pull"}});
    artifact(&oci.reconcile(&oci.repository(&spec)).await);
}

#[tokio::test]
async fn objects_that_follow_the_same_reference_share_the_answer() {
    let oci = Oci::new().await;
    let digest = oci.push("latest", &[("a", "1")]);
    let mut stored = Vec::new();
    for _ in 0..3 {
        stored.push(oci.reconcile(&oci.repository(&json!({}))).await);
    }
    let heads = || oci.registry.asked().iter().filter(|line| line.starts_with("HEAD")).count();
    let before = heads();
    for after in &stored {
        let again = oci.reconcile(&after.object).await;
        assert_eq!(artifact(&again).revision, format!("latest@{digest}"));
    }
    assert_eq!(heads(), before, "the last answer is young enough for all of them");
    oci.reconcile(&asked(&stored[0].object)).await;
    assert_eq!(heads(), before + 1, "who asks for news gets news");
}
