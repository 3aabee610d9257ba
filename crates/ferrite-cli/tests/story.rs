//! The command line against `ferrite dev`: what a person does with a cluster, in one story.

#![expect(clippy::unwrap_used, reason = "whatever fails fails the test")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Generous: a loaded machine must not fail a test.
const PATIENCE: Duration = Duration::from_secs(120);

/// The development cluster; ends with the test.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// Starts the cluster and waits until its demo is applied.
fn dev(directory: &Path) -> Dev {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ferrite"))
        .args(["dev", "--plain", "--interval=1h"])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let dev = Dev(child);
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
    loop {
        let line = received.recv_timeout(PATIENCE).expect("the demo is applied");
        if line.contains("✔ Kustomization/flux-system/apps") {
            // Whoever prints must not be stopped by a full pipe.
            std::thread::spawn(move || received.into_iter().for_each(drop));
            return dev;
        }
    }
}

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn ferrite(directory: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_ferrite"))
        .args(arguments)
        .args(["--kubeconfig", ".ferrite/kubeconfig"])
        .current_dir(directory)
        .env_remove("FLUX_SYSTEM_NAMESPACE")
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a command that must end with `code`.
#[track_caller]
fn run(directory: &Path, code: i32, line: &str) -> Ran {
    let ran = ferrite(directory, &line.split(' ').collect::<Vec<_>>());
    assert_eq!(ran.code, code, "{line}\n{}{}", ran.stdout, ran.stderr);
    ran
}

#[test]
fn a_person_drives_a_cluster() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let _dev = dev(at);
    reads(at);
    drives(at);
    compares(at);
    creates_and_asks_why(at);
    bootstraps(at);
}

fn reads(at: &Path) {
    let names = run(at, 0, "get kustomizations -o name").stdout;
    assert_eq!(
        names,
        "kustomization.kustomize.toolkit.fluxcd.io/apps\nkustomization.kustomize.toolkit.fluxcd.io/infrastructure\n"
    );
    let table = run(at, 0, "get ks apps -A --show-source").stdout;
    let (titles, row) = table.split_once('\n').unwrap();
    assert!(titles.starts_with("NAMESPACE  \tNAME\tSOURCE                        \tREVISION"), "{table}");
    assert!(row.starts_with("flux-system\tapps\tGitRepository/flux-system/demo\tmain@sha1:"), "{table}");
    assert!(
        run(at, 0, "get all").stdout.contains("\ngitrepository/demo\tmain@sha1:"),
        "names with their kind"
    );
    let missing = run(at, 1, "get ks nope");
    assert_eq!(missing.stderr, "✗ Kustomization object 'nope' not found in \"flux-system\" namespace\n");
    run(at, 2, "get kustomizatoin");

    let tree = run(at, 0, "tree ks apps").stdout;
    assert!(tree.starts_with("Kustomization/flux-system/apps\n├── "), "{tree}");
    assert!(tree.contains("Deployment/demo/web"), "{tree}");
    let trace = run(at, 0, "trace deployment/web -n demo").stdout;
    assert!(
        trace.contains("\nKustomization:   apps\n") && trace.contains("\nGitRepository:   demo\n"),
        "{trace}"
    );
    let events = run(at, 0, "events --for Kustomization/apps").stdout;
    assert!(events.contains("ReconciliationSucceeded") && events.contains("GitRepository/demo"), "{events}");
    let stats = run(at, 0, "stats").stdout;
    assert!(stats.contains("Kustomization        \t2      \t0      \t0        \t-"), "{stats}");
    let exported = run(at, 0, "export source git demo").stdout;
    assert!(exported.starts_with("---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\n"));
    assert!(!exported.contains("status:"), "{exported}");
}

fn drives(at: &Path) {
    let told = run(at, 0, "reconcile ks apps --with-source").stderr;
    let steps: Vec<&str> = told.lines().collect();
    assert_eq!(
        steps[..3],
        [
            "► annotating GitRepository demo in flux-system namespace",
            "✔ GitRepository annotated",
            "◎ waiting for GitRepository reconciliation"
        ],
        "{told}"
    );
    assert!(steps.last().unwrap().starts_with("✔ applied revision main@sha1:"), "{told}");
    run(at, 0, "suspend ks apps");
    assert_eq!(run(at, 1, "reconcile ks apps").stderr, "✗ resource is suspended\n");
    let table = run(at, 0, "get ks apps").stdout;
    assert!(table.contains("\tTrue     \tTrue"), "{table}");
    let told = run(at, 0, "resume ks apps").stderr;
    assert!(told.contains("✔ Kustomization apps reconciliation completed\n"), "{told}");
    run(at, 1, "suspend ks nope");
}

fn compares(at: &Path) {
    let demo = ".ferrite/demo/apps";
    assert_eq!(run(at, 0, &format!("diff ks apps --path {demo}")).stdout, "");
    let manifest = at.join(demo).join("web/deployment.yaml");
    let text = fs_err::read_to_string(&manifest).unwrap();
    fs_err::write(&manifest, text.replace("replicas: 2", "replicas: 3")).unwrap();
    let diff = run(at, 4, &format!("diff ks apps --path {demo}")).stdout;
    assert!(diff.starts_with("► Deployment/demo/web drifted\n\nspec.replicas\n"), "{diff}");
    let built = run(at, 0, &format!("build ks apps --path {demo}")).stdout;
    assert!(built.contains("kustomize.toolkit.fluxcd.io/name: apps"), "{built}");
    fs_err::write(&manifest, text).unwrap();
}

fn creates_and_asks_why(at: &Path) {
    let secret =
        run(at, 0, "create secret git s --url=https://example.com/r --username=u --password=p --export");
    assert_eq!(
        secret.stdout,
        "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: flux-system\nstringData:\n  password: p\n  username: u\n"
    );
    let create = "create ks broken --source=demo --path=./nowhere --prune=true --timeout=10s";
    run(at, 2, create);
    let create = create.replace("--prune=true", "--prune");
    let failed = run(at, 3, &create);
    assert!(failed.stderr.contains("kustomization path not found"), "{}", failed.stderr);
    let why = run(at, 3, "why ks/broken");
    assert!(why.stdout.starts_with("✗ Kustomization/flux-system/broken is not ready"), "{}", why.stdout);
    assert!(why.stdout.contains("kustomization path not found"), "{}", why.stdout);
    let json = run(at, 3, "why ks broken -o json").stdout;
    assert!(json.contains("\"ready\": false"), "{json}");
    run(at, 0, "delete ks broken --silent");
    run(at, 1, "get ks broken");
    let why = run(at, 0, "why deployment/web -n demo");
    assert_eq!(why.stdout.lines().next(), Some("✔ Deployment/demo/web is Current"));
    assert_eq!(run(at, 0, "debug ks apps --show-vars").stdout, "");
}

/// A cluster that manages itself from a repository it did not have before.
fn bootstraps(at: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let repository = ferrite_git::Repository::init(at.join("fleet.git")).unwrap();
    let served = ferrite_git::serve::Repositories::default();
    served.add_writable("fleet", &repository);
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/fleet", listener.local_addr().unwrap());
    let _serving = runtime.spawn(served.serve(listener));
    let bootstrap = format!("bootstrap git --url={url} --path=clusters/dev --timeout=100s");

    let told = run(at, 0, &bootstrap).stderr;
    assert!(
        told.contains("✔ pushed sync manifests to") && told.ends_with("✔ all components are healthy\n"),
        "{told}"
    );
    let tip = repository.tip("main").unwrap().expect("the branch was made");
    let table = run(at, 0, "get ks flux-system -o json").stdout;
    assert!(table.contains(&format!("main@sha1:{tip}")), "{table}");

    // Nothing has changed since.
    let told = run(at, 0, &bootstrap).stderr;
    assert!(told.contains("✔ component manifests are up to date\n"), "{told}");
    assert_eq!(repository.tip("main").unwrap(), Some(tip));
    assert!(run(at, 1, "install").stderr.contains("use 'ferrite bootstrap' to upgrade"));
    let other = run(at, 1, &bootstrap.replace("clusters/dev", "clusters/prod")).stderr;
    assert!(other.contains("would overwrite path (\"./clusters/dev\")"), "{other}");
    let versions = run(at, 0, "version").stdout;
    assert!(versions.contains("source-controller: v"), "{versions}");
    let checked = run(at, 0, "check").stderr;
    assert!(
        checked.contains("✔ bootstrapped: true\n") && checked.ends_with("✔ all checks passed\n"),
        "{checked}"
    );
}

#[test]
fn some_commands_need_no_cluster() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let manifests = run(at, 0, "install --export --components=source-controller,kustomize-controller").stdout;
    assert!(manifests.contains("# Components: source-controller,kustomize-controller\n"));
    assert!(manifests.contains("image: ferrite/source-controller:v"), "images have tags");
    assert!(!manifests.contains("image: ferrite/helm-controller"), "only what was asked for");
    assert!(run(at, 0, "version --client").stdout.starts_with("ferrite: v"));
    assert!(run(at, 0, "completion bash").stdout.contains("_ferrite"));
    run(at, 2, "install --components");
}
