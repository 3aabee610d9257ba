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

/// A key of cosign: signs, and its public half as PEM.
struct CosignKey(ring::signature::EcdsaKeyPair);

impl CosignKey {
    fn new() -> Self {
        use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
        let random = ring::rand::SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap())
    }

    fn pem(&self) -> String {
        use ring::signature::KeyPair as _;
        // SubjectPublicKeyInfo of a point on P-256.
        let head = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        let der = [&head[..], self.0.public_key().as_ref()].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", encode(&der))
    }

    fn sign(&self, message: &[u8]) -> String {
        encode(self.0.sign(&ring::rand::SystemRandom::new(), message).unwrap().as_ref())
    }

    /// Signs as cosign 2 does: beside the artifact.
    fn sign_beside(&self, oci: &Oci, digest: &str) {
        let payload = json!({"critical": {"image": {"docker-manifest-digest": digest}}}).to_string();
        let annotation = json!({"dev.cosignproject.cosign/signature": self.sign(payload.as_bytes())});
        let layer = json!({"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
            "digest": oci.registry.push_blob(payload.as_bytes()), "size": payload.len(), "annotations": annotation});
        let tag = format!("{}.sig", digest.replace(':', "-"));
        oci.registry.push_manifest("org/app", Some(&tag), &json!({"schemaVersion": 2, "layers": [layer]}));
    }

    /// Signs as cosign 3 does: a bundle that refers to the artifact.
    fn sign_bundle(&self, oci: &Oci, digest: &str) -> Value {
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let hex = digest.strip_prefix("sha256:").unwrap();
        let statement =
            json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": hex}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {}})
            .to_string();
        let signed = format!("DSSEv1 28 application/vnd.in-toto+json {} {statement}", statement.len());
        let bundle =
            json!({"mediaType": kind, "verificationMaterial": {"publicKey": {"hint": "x"}}, "dsseEnvelope": {
            "payload": encode(statement.as_bytes()), "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": self.sign(signed.as_bytes())}]}})
            .to_string();
        let layer = json!({"mediaType": kind, "digest": oci.registry.push_blob(bundle.as_bytes()), "size": bundle.len()});
        let manifest = json!({"schemaVersion": 2, "artifactType": kind, "layers": [layer], "subject": {"digest": digest}});
        let pushed = oci.registry.push_manifest("org/app", None, &manifest);
        json!({"digest": pushed, "artifactType": kind})
    }
}

fn encode(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[track_caller]
fn verified(after: &After<OciRepositories>, digest: &str) {
    assert_eq!(artifact(after).revision, format!("latest@{digest}"));
    let shown = condition(&after.report.status.conditions, "SourceVerified");
    assert_eq!(shown, format!("True Succeeded verified signature of revision latest@{digest}"));
}

#[tokio::test]
async fn what_a_trusted_key_signed_is_pulled_and_nothing_else() {
    let (oci, key, stranger) = (Oci::new().await, CosignKey::new(), CosignKey::new());
    let digest = oci.push("latest", &[("a", "1")]);
    oci.world.secret("keys", &[("a.pub", &stranger.pem()), ("b.pub", &key.pem()), ("note", "x")]);
    let spec = json!({"verify": {"provider": "cosign", "secretRef": {"name": "keys"}}});
    let unsigned = oci.reconcile(&oci.repository(&spec)).await;
    let place = format!("{}/org/app@{digest}", oci.registry.host());
    let message = format!(
        "VerificationError failed to verify the signature using provider 'cosign': no matching signatures were found for '{place}'"
    );
    let conditions = &unsigned.report.status.conditions;
    assert_eq!(condition(conditions, "SourceVerified"), format!("False {message}"));
    assert_eq!(condition(conditions, "Ready"), format!("False {message}"));
    assert_eq!((unsigned.report.requeue, oci.blobs()), (Requeue::Backoff, 0), "nothing of it is pulled");

    key.sign_beside(&oci, &digest);
    let first = oci.reconcile(&unsigned.object).await;
    verified(&first, &digest);
    let asked_before = oci.registry.asked().len();
    verified(&oci.reconcile(&first.object).await, &digest);
    let asked = oci.registry.asked();
    assert!(!asked[asked_before..].iter().any(|line| line.contains("referrers")), "once a revision");

    // Another revision with a bundle; without a list of referrers it is found under a tag.
    let moved = oci.push("latest", &[("a", "2")]);
    let bundle = key.sign_bundle(&oci, &moved);
    let second = oci.reconcile(&world::asked(&first.object)).await;
    verified(&second, &moved);
    oci.registry.forget_referrers();
    let list = json!({"schemaVersion": 2, "manifests": [bundle]});
    oci.registry.push_manifest("org/app", Some(&moved.replace(':', "-")), &list);
    verified(&oci.reconcile(&changed(&second.object, &json!({"interval": "2h"}))).await, &moved);

    oci.world.secret("keys", &[("a.pub", &stranger.pem())]);
    let refused = oci.reconcile(&changed(&second.object, &json!({"interval": "3h"}))).await;
    let shown = condition(&refused.report.status.conditions, "Ready");
    assert!(shown.ends_with("the signature of the statement is not valid"), "{shown}");
    let without = oci.reconcile(&changed(&refused.object, &json!({"verify": null}))).await;
    assert_eq!(condition(&without.report.status.conditions, "SourceVerified"), "absent");
}

#[tokio::test]
async fn verification_that_is_set_up_wrongly_is_told() {
    let oci = Oci::new().await;
    oci.push("latest", &[("a", "1")]);
    oci.world.secret("empty", &[("x", "y")]);
    oci.world.secret("broken", &[("a.pub", "canary"), ("trustpolicy.json", "{}")]);
    for (verify, message) in [
        (
            json!({"provider": "cosign", "secretRef": {"name": "empty"}}),
            "'cosign': no public keys found in secret 'default/empty'; their names end in '.pub'",
        ),
        (
            json!({"provider": "cosign", "secretRef": {"name": "broken"}}),
            "'cosign': public key: expected PEM with BEGIN PUBLIC KEY",
        ),
        (
            json!({"provider": "cosign", "secretRef": {"name": "none"}}),
            "'cosign': failed to get secret 'default/none': ",
        ),
        (
            json!({"provider": "cosign", "trustedRootSecretRef": {"name": "empty"}}),
            "'cosign keyless': 'trusted_root.json' not found in secret 'default/empty'",
        ),
        (json!({"provider": "cosign"}), "'cosign keyless': no matching signatures were found for '"),
        (json!({"provider": "notation"}), "'notation': verification secret cannot be empty"),
        (
            json!({"provider": "notation", "secretRef": {"name": "empty"}}),
            "'notation': 'trustpolicy.json' not found in secret 'default/empty'",
        ),
        (json!({"provider": "notation", "secretRef": {"name": "broken"}}), "'notation': trust policy: "),
    ] {
        let after = oci.reconcile(&oci.repository(&json!({"verify": verify}))).await;
        let shown = condition(&after.report.status.conditions, "Ready");
        let expect =
            format!("False VerificationError failed to verify the signature using provider {message}");
        assert!(shown.starts_with(&expect), "{shown}");
    }
}
