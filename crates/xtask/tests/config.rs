//! Reads the manifests of `config/`: they are whole, they refer to what exists, and what each controller may write
//! is its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is missing by failing")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn read(path: &Path) -> Value {
    let text = fs_err::read_to_string(path).unwrap();
    ferrite_api::crds::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// Every object of the kustomization in `folder`, built by the product's own engine.
fn build(folder: &str) -> Vec<Value> {
    let tree = ferrite_tree::DiskTree::new(root()).unwrap();
    let built = ferrite_kustomize::build(&tree, folder, &Default::default())
        .unwrap_or_else(|error| panic!("{error}"));
    built.into_objects()
}

fn everything() -> Vec<Value> {
    build("config/default")
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

fn controllers() -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(root().join("config")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with("-controller") {
            found.push(name);
        }
    }
    found.sort_unstable();
    found
}

/// Folders of `config/` with a kustomization of their own.
fn folders(below: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    let inner = entries.filter(|path| path.is_dir()).flat_map(|path| folders(&path));
    let own = below.join("kustomization.yaml").exists().then(|| below.to_owned());
    own.into_iter().chain(inner).collect()
}

#[test]
fn every_file_is_one_object_that_a_kustomization_lists() {
    for folder in folders(&root().join("config")) {
        let kustomization = read(&folder.join("kustomization.yaml"));
        let listed = strings(&kustomization["resources"]);
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let file = path.file_name().unwrap().to_str().unwrap();
            let object = read(&path);
            assert!(object["apiVersion"].is_string() && object["kind"].is_string(), "{}", path.display());
            assert!(
                file == "kustomization.yaml" || listed.contains(&file),
                "{} is not listed",
                path.display()
            );
        }
    }
}

#[test]
fn every_folder_builds_and_dashboards_are_json() {
    for folder in folders(&root().join("config")) {
        let objects = build(folder.strip_prefix(root()).unwrap().to_str().unwrap());
        assert!(!objects.is_empty(), "{}", folder.display());
    }
    let dashboards = build("config/monitoring");
    let map = of_kind(&dashboards, "ConfigMap").next().unwrap();
    for (file, text) in map["data"].as_object().unwrap() {
        let board: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        assert!(board["uid"].is_string() && board["panels"].as_array().unwrap().len() > 3, "{file}");
    }
}

fn args(object: &Value) -> Vec<&str> {
    strings(&object["spec"]["template"]["spec"]["containers"][0]["args"])
}

#[test]
fn lockdown_names_an_account_and_closes_references() {
    let objects = build("config/lockdown");
    for deployment in of_kind(&objects, "Deployment") {
        let (name, args) = (name(deployment), args(deployment));
        let applies = matches!(name, "kustomize-controller" | "helm-controller");
        assert_eq!(args.contains(&"--default-service-account=default"), applies, "{name}");
        assert_eq!(args.contains(&"--no-cross-namespace-refs=true"), name != "source-controller", "{name}");
        assert_eq!(args.contains(&"--no-remote-bases=true"), name == "kustomize-controller", "{name}");
    }
}

#[test]
fn a_shard_has_pods_of_its_own_and_nothing_of_others() {
    let objects = build("config/sharded");
    let names: Vec<_> = of_kind(&objects, "Deployment").map(name).collect();
    assert_eq!(names.iter().filter(|name| name.ends_with("-shard1")).count(), 3, "{names:?}");
    assert!(of_kind(&objects, "ServiceAccount").all(|account| !name(account).ends_with("-shard1")));
    for deployment in of_kind(&objects, "Deployment") {
        let (name, args) = (name(deployment), args(deployment));
        assert_eq!(deployment["spec"]["selector"]["matchLabels"]["app"], name);
        assert_eq!(deployment["spec"]["template"]["metadata"]["labels"]["app"], name);
        let selector = args.iter().find_map(|arg| arg.strip_prefix("--watch-label-selector="));
        let expected = match name {
            "notification-controller" => None,
            _ if name.ends_with("-shard1") => Some("sharding.fluxcd.io/key=shard1"),
            _ => Some("!sharding.fluxcd.io/key"),
        };
        assert_eq!(selector, expected, "{name}");
    }
    let service = of_kind(&objects, "Service").find(|service| name(service) == "source-controller-shard1");
    assert_eq!(service.unwrap()["spec"]["selector"]["app"], "source-controller-shard1");
}

#[test]
fn minimal_posts_to_nobody() {
    let objects = build("config/minimal");
    let names: Vec<_> = of_kind(&objects, "Deployment").map(name).collect();
    assert_eq!(names, ["source-controller", "kustomize-controller"]);
    assert!(of_kind(&objects, "Deployment").all(|deployment| args(deployment)[0] == "--events-addr="));
}

#[test]
fn the_whole_holds_every_definition_and_every_controller_once() {
    let objects = everything();
    let mut ids = BTreeSet::new();
    for object in &objects {
        let id = format!("{}/{}", object["kind"].as_str().unwrap(), name(object));
        let namespace = object["metadata"]["namespace"].as_str();
        assert!(namespace.is_none_or(|namespace| namespace == "flux-system"), "{id} in {namespace:?}");
        assert!(ids.insert(id.clone()), "{id} twice");
    }
    assert_eq!(of_kind(&objects, "CustomResourceDefinition").count(), ferrite_api::crds::ALL.len());
    let deployments: BTreeSet<&str> = of_kind(&objects, "Deployment").map(name).collect();
    assert_eq!(deployments, controllers().iter().map(String::as_str).collect());
    for controller in controllers() {
        let krate = root().join(format!("crates/ferrite-{controller}/src/main.rs"));
        assert!(krate.exists(), "{controller} is installed but does not exist");
    }
}

#[test]
fn references_lead_to_what_exists() {
    let objects = everything();
    let exists = |kind: &str, wanted: &str| of_kind(&objects, kind).any(|object| name(object) == wanted);
    for kind in ["ClusterRoleBinding", "RoleBinding"] {
        for binding in of_kind(&objects, kind) {
            let role = &binding["roleRef"];
            let (kind, role) = (role["kind"].as_str().unwrap(), role["name"].as_str().unwrap());
            assert!(role == "cluster-admin" || exists(kind, role), "{}: no {kind} {role}", name(binding));
        }
    }
    for deployment in of_kind(&objects, "Deployment") {
        let pod = &deployment["spec"]["template"];
        let selected = deployment["spec"]["selector"]["matchLabels"].as_object().unwrap();
        assert!(selected.iter().all(|(key, value)| pod["metadata"]["labels"][key] == *value), "{selected:?}");
        assert!(exists("ServiceAccount", pod["spec"]["serviceAccountName"].as_str().unwrap()));
        let container = &pod["spec"]["containers"][0];
        let ports: Vec<&str> = container["ports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|port| port["name"].as_str().unwrap())
            .collect();
        for probe in ["livenessProbe", "readinessProbe"] {
            assert!(ports.contains(&container[probe]["httpGet"]["port"].as_str().unwrap()), "{probe}");
        }
        let volumes: Vec<&Value> =
            pod["spec"]["volumes"].as_array().unwrap().iter().map(|volume| &volume["name"]).collect();
        let mounts: Vec<&Value> =
            container["volumeMounts"].as_array().unwrap().iter().map(|mount| &mount["name"]).collect();
        assert_eq!(volumes, mounts);
    }
    for service in of_kind(&objects, "Service") {
        let deployment = of_kind(&objects, "Deployment")
            .find(|deployment| deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"])
            .unwrap_or_else(|| panic!("{} selects nothing", name(service)));
        let target = &service["spec"]["ports"][0]["targetPort"];
        let ports = deployment["spec"]["template"]["spec"]["containers"][0]["ports"].as_array().unwrap();
        assert!(ports.iter().any(|port| port["name"] == *target), "{}: no port {target}", name(service));
    }
}

/// What `flux check`, dashboards and people's selectors go by.
#[test]
fn everything_is_labelled_and_pods_are_too() {
    for object in everything() {
        let labels = &object["metadata"]["labels"];
        let id = format!("{} {}", object["kind"], name(&object));
        assert_eq!(labels["app.kubernetes.io/instance"], "flux-system", "{id}");
        assert_eq!(labels["app.kubernetes.io/part-of"], "flux", "{id}");
        assert_eq!(labels["app.kubernetes.io/version"], concat!("v", env!("CARGO_PKG_VERSION")), "{id}");
        if object["kind"] == "Deployment" {
            let pod = &object["spec"]["template"]["metadata"]["labels"];
            assert_eq!(pod["app.kubernetes.io/component"], name(&object));
            assert_eq!(pod["app.kubernetes.io/version"], labels["app.kubernetes.io/version"]);
            assert_eq!(object["spec"]["selector"]["matchLabels"], serde_json::json!({"app": name(&object)}));
        }
    }
}

/// What people patch by position (flux2 2.9 `pkg/manifestgen/install`, and the documentation's patches).
#[test]
fn arguments_and_volumes_stand_where_flux_has_them() {
    const EVENTS: &str =
        "--events-addr=http://notification-controller.$(RUNTIME_NAMESPACE).svc.cluster.local./";
    const COMMON: &[&str] = &[
        "--watch-all-namespaces=true",
        "--log-level=info",
        "--log-encoding=json",
        "--enable-leader-election",
    ];
    const STORAGE: &[&str] = &[
        "--storage-path=/data",
        "--storage-adv-addr=source-controller.$(RUNTIME_NAMESPACE).svc.cluster.local.",
    ];
    let expected: BTreeMap<&str, (Vec<&str>, &str, &str)> = BTreeMap::from([
        (
            "source-controller",
            ([&[EVENTS], COMMON, STORAGE].concat(), "data tmp", "RUNTIME_NAMESPACE TUF_ROOT GOMEMLIMIT"),
        ),
        ("kustomize-controller", ([&[EVENTS], COMMON].concat(), "temp", "RUNTIME_NAMESPACE GOMEMLIMIT")),
        ("helm-controller", ([&[EVENTS], COMMON].concat(), "temp", "RUNTIME_NAMESPACE GOMEMLIMIT")),
        ("notification-controller", (COMMON.to_vec(), "temp", "RUNTIME_NAMESPACE GOMEMLIMIT")),
    ]);
    for deployment in of_kind(&everything(), "Deployment") {
        let (args, volumes, env) = &expected[name(deployment)];
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["name"], "manager");
        assert_eq!(strings(&container["args"]), *args);
        let names = |list: &Value| {
            list.as_array()
                .unwrap()
                .iter()
                .map(|item| item["name"].as_str().unwrap())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(names(&container["volumeMounts"]), *volumes);
        assert_eq!(names(&container["env"]), *env);
    }
}

#[test]
fn the_programs_know_their_arguments() {
    let known = |command: clap::Command| -> BTreeSet<String> {
        command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)).collect()
    };
    let own = BTreeMap::from([
        ("source-controller", known(ferrite_source_controller::Args::command())),
        ("kustomize-controller", known(ferrite_kustomize_controller::Args::command())),
        ("helm-controller", known(ferrite_helm_controller::Args::command())),
        ("notification-controller", known(ferrite_notification_controller::args::Args::command())),
    ]);
    for deployment in of_kind(&everything(), "Deployment") {
        let Some(own) = own.get(name(deployment)) else { continue };
        for argument in strings(&deployment["spec"]["template"]["spec"]["containers"][0]["args"]) {
            let flag = argument.trim_start_matches('-').split('=').next().unwrap();
            assert!(own.contains(flag), "{} does not know --{flag}", name(deployment));
        }
    }
}

/// Data flows one way: nobody but a kind's own controller may write it.
///
/// `cluster-admin` is left out: appliers have it to apply what users say, unless they are told to act as a tenant.
#[test]
fn only_its_own_controller_may_write_a_kind() {
    let objects = everything();
    let owners: BTreeMap<&str, &[&str]> = BTreeMap::from([
        (
            "source-controller",
            &["gitrepositories", "ocirepositories", "helmrepositories", "helmcharts", "buckets"][..],
        ),
        ("kustomize-controller", &["kustomizations"]),
        ("helm-controller", &["helmreleases"]),
        ("notification-controller", &["receivers"]),
    ]);
    for controller in controllers() {
        let own = owners[controller.as_str()];
        for rule in rules(&objects, &controller) {
            let writes: Vec<&str> = strings(&rule["verbs"])
                .into_iter()
                .filter(|verb| !["get", "list", "watch"].contains(verb))
                .collect();
            let of_flux =
                strings(&rule["apiGroups"]).iter().any(|group| group.ends_with("fluxcd.io") || *group == "*");
            for resource in strings(&rule["resources"]) {
                let kind = resource.split('/').next().unwrap();
                let may = match (controller.as_str(), resource) {
                    _ if !of_flux || writes.is_empty() => true,
                    _ if own.contains(&kind) => true,
                    // A HelmRelease makes its HelmChart.
                    ("helm-controller", "helmcharts") => true,
                    // A Receiver asks for reconciles by an annotation.
                    ("notification-controller", _) => resource == kind && kind != "*" && writes == ["patch"],
                    _ => false,
                };
                assert!(may, "{controller} may {writes:?} {resource}");
            }
        }
    }
}

/// Without the appliers' cluster-admin, no controller may write anything but its kinds, events and leases, or read
/// with a wildcard outside Flux's groups.
#[test]
fn controllers_write_nothing_else_than_events_and_leases() {
    let objects = everything();
    for controller in controllers() {
        for rule in rules(&objects, &controller) {
            let groups = strings(&rule["apiGroups"]);
            if groups.iter().all(|group| group.ends_with("fluxcd.io")) {
                continue;
            }
            let resources = strings(&rule["resources"]);
            assert!(!groups.contains(&"*") && !resources.contains(&"*"), "{controller}: {rule}");
            let reads = strings(&rule["verbs"]).iter().all(|verb| ["get", "list", "watch"].contains(verb));
            assert!(reads || resources == ["events"] || resources == ["leases"], "{controller}: {rule}");
        }
    }
    let admins: Vec<&str> = of_kind(&objects, "ClusterRoleBinding")
        .filter(|binding| binding["roleRef"]["name"] == "cluster-admin")
        .flat_map(|binding| binding["subjects"].as_array().unwrap())
        .map(|subject| subject["name"].as_str().unwrap())
        .collect();
    assert_eq!(admins, ["kustomize-controller", "helm-controller"]);
}

/// The rules that a controller's ServiceAccount is bound to.
fn rules(objects: &[Value], controller: &str) -> Vec<Value> {
    let bindings = of_kind(objects, "ClusterRoleBinding").chain(of_kind(objects, "RoleBinding"));
    let mut rules = Vec::new();
    for binding in bindings {
        let subjects = binding["subjects"].as_array().unwrap();
        if subjects.iter().any(|subject| subject["name"] == controller) {
            let role = &binding["roleRef"];
            let found =
                of_kind(objects, role["kind"].as_str().unwrap()).find(|object| name(object) == role["name"]);
            rules.extend(found.into_iter().flat_map(|role| role["rules"].as_array().unwrap().clone()));
        }
    }
    assert!(!rules.is_empty(), "{controller} is bound to nothing");
    rules
}
