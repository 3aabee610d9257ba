//! Artifacts of a registry: pushed, listed, tagged, compared and pulled.

#![expect(clippy::unwrap_used, reason = "whatever fails fails the test")]

use std::path::Path;
use std::process::Command;

use ferrite_testkit::RegistryServer;

fn ferrite(at: &Path, code: i32, line: &str) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ferrite"))
        .args(line.split(' '))
        .current_dir(at)
        .env("DOCKER_CONFIG", at)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{line}\n{stdout}{stderr}");
    (stdout, stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_goes_there_and_back() {
    let registry = RegistryServer::start().await.unwrap();
    registry.protect("ada", "secret");
    let url = format!("oci://{}/org/app", registry.host());
    tokio::task::spawn_blocking(move || story(&url)).await.unwrap();
}

fn story(url: &str) {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    fs_err::create_dir_all(at.join("deploy/web")).unwrap();
    fs_err::write(at.join("deploy/web/app.yaml"), "replicas: 1\n").unwrap();
    let push = format!(
        "push artifact {url}:v1 --path=deploy --source=https://example.com/r --revision=main@sha1:ab --reproducible"
    );
    let (_, refused) = ferrite(at, 1, &push);
    assert!(refused.contains("check the credentials"), "{refused}");

    let push = format!("{push} --creds=ada:secret");
    let (_, told) = ferrite(at, 0, &push);
    assert!(told.contains("✔ artifact successfully pushed to") && told.contains("@sha256:"), "{told}");
    let (first, _) = ferrite(at, 0, &format!("{push} -o json"));
    let (second, _) = ferrite(at, 0, &format!("{push} -o json"));
    assert_eq!(first, second, "equal files are equal artifacts");
    assert!(first.contains("\"tag\": \"v1\""), "{first}");

    let creds = "--creds=ada:secret";
    ferrite(at, 0, &format!("tag artifact {url}:v1 --tag=latest,stable {creds}"));
    let (table, _) = ferrite(at, 0, &format!("list artifacts {url} {creds}"));
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(
        table.starts_with("ARTIFACT") && table.contains("https://example.com/r\tmain@sha1:ab"),
        "{table}"
    );
    let (table, _) = ferrite(at, 0, &format!("list artifacts {url} --filter-semver=>=1.0.0 {creds}"));
    assert_eq!(table.lines().count(), 2, "{table}");

    let diff = format!("diff artifact {url}:stable --path=deploy {creds}");
    assert!(ferrite(at, 0, &diff).1.contains("✔ no changes detected"));
    fs_err::write(at.join("deploy/web/app.yaml"), "replicas: 2\n").unwrap();
    assert_eq!(ferrite(at, 4, &diff).0, "► web/app.yaml changed\n");

    fs_err::create_dir_all(at.join("back")).unwrap();
    let (_, told) = ferrite(at, 0, &format!("pull artifact {url}:latest --output=back {creds}"));
    assert!(told.contains("✔ revision main@sha1:ab\n"), "{told}");
    assert_eq!(fs_err::read_to_string(at.join("back/web/app.yaml")).unwrap(), "replicas: 1\n");
}
