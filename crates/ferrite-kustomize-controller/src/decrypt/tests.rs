use std::sync::LazyLock;

use ferrite_sops::{Keyring, MasterKey};
use ferrite_tree::{MemoryTree, TreePath};
use serde_json::json;

use super::*;

macro_rules! encrypted {
    ($name:literal) => {
        include_str!(concat!("../../tests/sops/", $name))
    };
}

static KEYS: LazyLock<Keyring> = LazyLock::new(|| {
    let mut keyring = Keyring::default();
    keyring.import_age(include_str!("../../../ferrite-sops/tests/data/age.key")).unwrap();
    keyring.import_pgp(include_bytes!("../../../ferrite-sops/tests/data/pgp.asc")).unwrap();
    keyring
});

fn object(text: &str) -> Value {
    let node = ferrite_yaml::parse(text, &ferrite_yaml::Limits::default()).unwrap().unwrap();
    node.to_json(ferrite_yaml::Dialect::Yaml11).unwrap()
}

fn decrypted(mut object: Value) -> Result<Value, String> {
    decrypt_object(&mut object, &*KEYS).map_err(|error| ferrite_runtime::chain(&error))?;
    Ok(object)
}

#[test]
fn objects_are_decrypted_with_what_the_build_added() {
    for (text, name, password) in [
        (encrypted!("login.yaml"), "login", "correct-horse"),
        (encrypted!("other.yaml"), "other", "battery-staple"),
    ] {
        let mut secret = object(text);
        secret["metadata"]["namespace"] = "shop".into();
        secret["metadata"]["labels"] = json!({"added": "by the build"});
        assert_eq!(
            decrypted(secret).unwrap(),
            json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name, "namespace": "shop", "labels": {"added": "by the build"}},
                "stringData": {"password": password, "port": "8080"}})
        );
    }
}

#[test]
fn values_of_secrets_are_decrypted_in_the_format_of_their_keys() {
    let base64 = |text: &str| STANDARD.encode(text);
    let secret =
        |data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data});
    let in_lines = |text: &str| {
        base64(text)
            .as_bytes()
            .chunks(70)
            .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
            .collect::<String>()
    };
    let after = decrypted(secret(json!({
        ".dockerconfigjson": base64(encrypted!("registry.json")),
        "token": in_lines(encrypted!("token.bin")),
        "app.env": base64(encrypted!("app.env")),
        "plain": base64("as it is"), "broken": "*",
    })))
    .unwrap();
    assert_eq!(
        after["data"],
        json!({
            ".dockerconfigjson": base64("{\n\t\"auths\": {\n\t\t\"example.com\": {\n\t\t\t\"auth\": \"file-auth\"\n\t\t}\n\t}\n}\n"),
            "token": base64("token of a binary\n"),
            "app.env": base64("TOKEN=env-token\n# note\nMODE=dark\n"),
            "plain": base64("as it is"), "broken": "*",
        })
    );
    let refused = decrypted(secret(json!({"token": base64(encrypted!("app.env"))}))).unwrap_err();
    assert_eq!(
        refused,
        "failed to decrypt and format '/s' Secret field 'token': failed to emit encrypted dotenv file as decrypted binary: \
         no binary data found in tree"
    );
}

#[test]
fn what_says_so_is_left_alone() {
    for word in ["disabled", "Disabled"] {
        let mut secret = object(encrypted!("login.yaml"));
        secret["metadata"]["annotations"] = json!({DECRYPT: word});
        assert_eq!(decrypted(secret.clone()).unwrap(), secret);
    }
    let plain =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"sops": "x"}});
    assert_eq!(decrypted(plain.clone()).unwrap(), plain);
}

#[test]
fn errors_name_the_object_and_nothing_of_it() {
    let mut plain_beside = object(encrypted!("login.yaml"));
    plain_beside["stringData"]["added"] = "hunter2".into();
    let mut moved = object(encrypted!("login.yaml"));
    moved["stringData"]["port"] = moved["stringData"]["password"].clone();
    let mut foreign = object(encrypted!("login.yaml"));
    foreign["sops"]["age"] = json!([]);
    foreign["sops"]["kms"] = json!([{"arn": "arn:aws:kms:eu-west-1:111122223333:key/x", "enc": "AAAA"}]);
    for (object, expect) in [
        (plain_beside, "stringData.added: Input string <redacted> does not match sops' data format"),
        (moved, "stringData.port: could not decrypt with AES_GCM: message authentication failed"),
        (
            foreign,
            "AWS KMS key 'arn:aws:kms:eu-west-1:111122223333:key/x': no credentials for this service are configured",
        ),
    ] {
        let error = decrypted(object).unwrap_err();
        assert!(error.starts_with("failed to decrypt and format '/login' Secret data: "), "{error}");
        assert!(error.ends_with(expect), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("ENC[") && !error.contains("horse"), "{error}");
    }
}

#[test]
fn kinds_are_shown_as_kustomize_does() {
    let shown = |object: Value| Shown(&object).to_string();
    assert_eq!(
        shown(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})),
        "Secret.v1.[noGrp]/a"
    );
    assert_eq!(
        shown(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}})),
        "Deployment.v1.apps/a"
    );
}

fn sources(files: &[(&str, &str)], service: &dyn KeyService) -> Result<Vec<(String, String)>, String> {
    let mut tree = MemoryTree::builder();
    for (path, text) in files {
        tree.insert(path, text.as_bytes(), false).unwrap();
    }
    let decrypted = decrypt_sources(&tree.build(), "deploy", &["../component".to_owned()], service);
    let decrypted = decrypted.map_err(|error| ferrite_runtime::chain(&error))?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ok(decrypted.iter().map(|(path, bytes): (&TreePath, _)| (path.to_string(), text(bytes))).collect())
}

#[test]
fn files_of_generators_and_patches_are_decrypted_wherever_they_are_included() {
    let found = sources(
        &[
            ("deploy/kustomization.yaml", "resources: [../base, app.yaml, https://example.com/x]\nsecretGenerator:\n- name: a\n  envs: [app.env]\n"),
            ("deploy/app.env", encrypted!("app.env")),
            ("base/kustomization.yml", "resources: [../deploy]\npatches: [{path: patch.yaml}, {patch: '{}'}, {path: https://example.com/p}]\n"),
            ("base/patch.yaml", encrypted!("patch.yaml")),
            ("component/Kustomization", "secretGenerator: [{name: b, files: [token=../files/token.bin, config.json=../files/r, ../../../files/none]}]\n"),
            ("files/token.bin", encrypted!("token.bin")),
            ("files/r", encrypted!("registry.json")),
            ("files/unused.env", encrypted!("app.env")),
        ],
        &*KEYS,
    )
    .unwrap();
    let names: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(names, ["base/patch.yaml", "deploy/app.env", "files/r", "files/token.bin"]);
    assert_eq!(found[1].1, "TOKEN=env-token\n# note\nMODE=dark\n");
    assert!(found[0].1.contains("extra: patched-in") && !found[0].1.contains("sops"), "{}", found[0].1);
    assert_eq!(found[3].1, "token of a binary\n");
}

#[test]
fn without_a_kustomization_those_below_are_included() {
    let found = sources(
        &[
            ("deploy/a.yaml", "x"),
            ("deploy/sub/deeper/kustomization.yaml", "secretGenerator: [{name: a, envs: [app.env]}]"),
            ("deploy/sub/deeper/app.env", encrypted!("app.env")),
        ],
        &*KEYS,
    );
    assert_eq!(found.unwrap().len(), 1);
}

#[test]
fn files_that_cannot_be_decrypted_are_named() {
    let files = [
        ("deploy/kustomization.yaml", "secretGenerator: [{name: a, envs: [app.env]}]"),
        ("deploy/app.env", encrypted!("app.env")),
    ];
    let error = sources(&files, &Keyring::default()).unwrap_err();
    assert!(error.starts_with("deploy/app.env: cannot get sops data key: "), "{error}");
    let large = "A".repeat((5 << 20) + 1);
    let error = sources(&[files[0], ("deploy/app.env", &large)], &*KEYS).unwrap_err();
    assert_eq!(
        error,
        "deploy/app.env: cannot decrypt file with size (5242881 bytes) exceeding limit (5242880)"
    );
}

/// The keys of another namespace are never asked: a key service is told the key, not the namespace.
#[test]
fn without_keys_nothing_is_opened() {
    let key = MasterKey {
        kind: ferrite_sops::MasterKeyKind::Age { recipient: "age1x".to_owned() },
        encrypted: String::new(),
    };
    assert!(Keys::default().open(&key).is_err());
}
