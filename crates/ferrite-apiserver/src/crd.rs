//! CustomResourceDefinitions: from the object to the resources that are served.
//!
//! A definition is compiled once per change. Names are accepted and versions established right after the write, by the
//! same code for the definitions a server starts with and for those that clients create.

mod check;
mod names;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrite_schema::Type;
use serde_json::{Value, json};

use crate::handlers::options::Options;
use crate::handlers::perform::{Owners, Writer};
use crate::json::{is_empty, items, text};
use crate::resources::{CustomParts, Resource, Sub};
use crate::server::Server;
use crate::status::{ApiError, Cause};
use crate::{schema, yaml};

pub(crate) use check::{object as check, update as check_update};
pub(crate) use names::{set_terminating, settle};

pub(crate) const KEY: &str = "apiextensions.k8s.io/customresourcedefinitions";
/// Holds a definition until its objects are gone.
pub(crate) const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// One served version of a custom resource.
#[derive(Debug)]
pub(crate) struct CustomVersion {
    /// The schema, for merging, pruning, defaults and validation.
    pub(crate) ty: Type,
    /// The schema's rules in CEL.
    pub(crate) rules: crate::cel::Rules,
    /// The schema as the definition has it.
    pub(crate) schema: Option<Value>,
    /// The warning that each use of a deprecated version gets.
    pub(crate) deprecation: Option<String>,
    /// Stored objects may lack defaults of this version.
    pub(crate) defaults_on_read: bool,
    /// JSON paths that field selectors may name.
    pub(crate) selectable: Vec<String>,
    /// `spec.versions[].subresources.scale`
    pub(crate) scale: Option<Value>,
    /// `spec.versions[].additionalPrinterColumns`
    pub(crate) columns: Vec<Value>,
    /// The definition is being deleted: no new objects.
    pub(crate) terminating: bool,
}

impl CustomVersion {
    /// What this version shows of a stored object: fields that it knows, with its defaults.
    pub(crate) fn read(&self, value: &mut Value) {
        schema::prune_and_default(&self.ty, value);
    }
}

/// Definitions as they were compiled, by name and resource version.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    by_name: HashMap<String, (u64, Vec<Arc<Resource>>)>,
}

/// What the server fills into a definition.
pub(crate) fn defaults(o: &mut Value) {
    use crate::kinds::defaults::{child, each, set};
    let spec = child(o, "spec");
    set(spec, "scope", "Namespaced");
    let kind = text(&spec["names"], "kind").to_owned();
    let names = child(spec, "names");
    if !kind.is_empty() {
        set(names, "singular", kind.to_lowercase());
        set(names, "listKind", format!("{kind}List"));
    }
    set(child(spec, "conversion"), "strategy", "None");
    if spec["conversion"]["webhook"]["clientConfig"]["service"].is_object() {
        set(&mut spec["conversion"]["webhook"]["clientConfig"]["service"], "port", 443);
    }
    // A look at the absent webhook left a null behind.
    if spec["conversion"]["webhook"].is_null()
        || is_empty(&spec["conversion"]["webhook"]["clientConfig"])
            && spec["conversion"]["strategy"] == "None"
    {
        crate::json::remove(&mut spec["conversion"], "webhook");
    }
    each(spec, "versions", |v| {
        if v["deprecated"] == false {
            crate::json::remove(v, "deprecated");
        }
    });
}

/// What creation sets: the storage version is the only one that objects can be in.
pub(crate) fn on_create(o: &mut Value) {
    let storage = storage_version(o).unwrap_or_default().to_owned();
    o["status"] = json!({"acceptedNames": {"plural": "", "kind": ""}, "storedVersions": [storage]});
}

/// What an update sets: a new storage version joins those that objects may be in.
pub(crate) fn on_update(o: &mut Value) {
    let Some(storage) = storage_version(o).map(str::to_owned) else { return };
    if !items(&o["status"]["storedVersions"]).iter().any(|v| *v == storage) {
        let mut versions = items(&o["status"]["storedVersions"]).to_vec();
        versions.push(storage.into());
        o["status"]["storedVersions"] = versions.into();
    }
}

fn storage_version(o: &Value) -> Option<&str> {
    items(&o["spec"]["versions"]).iter().find(|v| v["storage"] == true).and_then(|v| v["name"].as_str())
}

/// Installs the definitions of YAML or JSON texts, replacing older ones, and serves them.
///
/// Reading and checking a definition is most of the work of a start: it is spread over the processors.
///
/// # Errors
///
/// The number of the first text that is refused, from 1, and why.
pub(crate) fn install(server: &Arc<Server>, texts: &[String]) -> Result<(), (usize, String)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((index, text)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, texts.get(i)?)))
        {
            done.push((index + 1, put_all(server, text)));
        }
        done
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(texts.len());
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        done.extend(others.into_iter().filter_map(|thread| thread.join().ok()).flatten());
        done
    });
    done.sort_by_key(|(number, _)| *number);
    for (number, result) in done {
        // Names are accepted in the order of the texts, whichever was read first.
        for name in result.map_err(|why| (number, why))? {
            settle(server, &name);
        }
    }
    refresh(server);
    Ok(())
}

/// Stores the definitions of one text and returns their names.
fn put_all(server: &Arc<Server>, content: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for document in yaml::documents(content)? {
        let (kind, version) = (text(&document, "kind"), text(&document, "apiVersion"));
        if version.starts_with("kustomize.config.k8s.io/") {
            continue;
        }
        if (version, kind) != ("apiextensions.k8s.io/v1", "CustomResourceDefinition") {
            return Err(format!(
                "expected apiextensions.k8s.io/v1 CustomResourceDefinition, found {version} {kind}"
            ));
        }
        names.push(text(&document["metadata"], "name").to_owned());
        put(server, document).map_err(|e| e.message().to_owned())?;
    }
    Ok(names)
}

fn put(server: &Arc<Server>, document: Value) -> Result<(), ApiError> {
    let served = server.registry.served();
    let Some(resource) = served.by_key(KEY) else { return Err(ApiError::no_resource()) };
    let name = text(&document["metadata"], "name").to_owned();
    if let Some(why) = schema::decode_error(resource, &document) {
        return Err(ApiError::bad_request(why));
    }
    let user = crate::auth::User::admin();
    let options = Options::internal("ferrite-apiserver");
    let writer =
        Writer { server, resource, namespace: "", name: &name, user: &user, options, sub: None, call: None };
    if let Some(stored) = server.store.get(KEY, "", &name) {
        let mut wanted = document.clone();
        schema::complete(resource, &mut wanted);
        let live = stored.value();
        let labelled = |key: &str| wanted["metadata"].get(key).is_none_or(|v| *v == live["metadata"][key]);
        if crate::merge::same(&wanted["spec"], &live["spec"]) && labelled("labels") && labelled("annotations")
        {
            return Ok(());
        }
        writer.update(|live| {
            let mut new = live.clone();
            new["spec"] = document["spec"].clone();
            for key in ["labels", "annotations"] {
                if let Some(value) = document["metadata"].get(key) {
                    new["metadata"][key] = value.clone();
                }
            }
            Ok((new, Owners::Changed))
        })?;
    } else {
        writer.create(document, &Owners::Changed)?;
    }
    Ok(())
}

/// Serves the definitions as they are stored now.
pub(crate) fn refresh(server: &Server) {
    let mut compiled = server.crds.lock();
    let mut fresh = HashMap::new();
    for object in server.store.list(KEY, None).objects {
        let name = object.name.to_string();
        let known = compiled.by_name.remove(&name).filter(|(version, _)| *version == object.version);
        let entry = known.unwrap_or_else(|| (object.version, compile(&object.value())));
        fresh.insert(name, entry);
    }
    let all: Vec<Arc<Resource>> = fresh.values().flat_map(|(_, r)| r.iter().cloned()).collect();
    compiled.by_name = fresh;
    server.registry.set_custom(all);
    // Watches of what is no longer served end.
    server.store.wake_all();
}

fn is_true(o: &Value, condition: &str) -> bool {
    items(&o["status"]["conditions"]).iter().any(|c| c["type"] == condition && c["status"] == "True")
}

fn strings(value: &Value) -> Vec<String> {
    items(value).iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn compile(o: &Value) -> Vec<Arc<Resource>> {
    if !is_true(o, "Established") {
        return Vec::new();
    }
    let spec = &o["spec"];
    let (group, storage) = (text(spec, "group"), storage_version(o).unwrap_or_default());
    let names = &o["status"]["acceptedNames"];
    let terminating = is_true(o, "Terminating");
    let changed = o["metadata"]["generation"].as_i64().unwrap_or(1) > 1;
    let mut out = Vec::new();
    for version in items(&spec["versions"]).iter().filter(|v| v["served"] == true) {
        let v = text(version, "name");
        let schema = version["schema"].get("openAPIV3Schema").filter(|s| s.is_object()).cloned();
        let ty = schema.as_ref().map_or_else(|| Type::free_object().clone(), Type::from_crd_schema);
        let subs = subresources(version, text(names, "kind"));
        let custom = CustomVersion {
            defaults_on_read: v != storage || changed,
            rules: crate::cel::Rules::of(&ty),
            ty,
            schema,
            deprecation: deprecation(spec, version),
            selectable: items(&version["selectableFields"])
                .iter()
                .map(|f| text(f, "jsonPath").to_owned())
                .collect(),
            scale: version["subresources"].get("scale").filter(|s| s.is_object()).cloned(),
            columns: items(&version["additionalPrinterColumns"]).to_vec(),
            terminating,
        };
        let parts = CustomParts {
            group: group.to_owned(),
            version: v.to_owned(),
            plural: text(names, "plural").to_owned(),
            singular: text(names, "singular").to_owned(),
            kind: text(names, "kind").to_owned(),
            list_kind: text(names, "listKind").to_owned(),
            namespaced: spec["scope"] == "Namespaced",
            short: strings(&names["shortNames"]),
            categories: strings(&names["categories"]),
            subs,
            storage: storage.to_owned(),
        };
        out.push(Arc::new(Resource::custom(parts, Arc::new(custom))));
    }
    out
}

/// The warning of a deprecated version, which names the newest version to go to.
fn deprecation(spec: &Value, version: &Value) -> Option<String> {
    use crate::resources::version_order;
    if version["deprecated"] != true {
        return None;
    }
    let own = text(version, "deprecationWarning");
    if !own.is_empty() {
        return Some(own.to_owned());
    }
    let (group, kind, name) = (text(spec, "group"), text(&spec["names"], "kind"), text(version, "name"));
    let newer = items(&spec["versions"])
        .iter()
        .filter(|v| v["served"] == true && v["deprecated"] != true)
        .map(|v| text(v, "name"));
    let best = newer.filter(|v| version_order(v) > version_order(name)).max_by_key(|v| version_order(v));
    let instead = best.map_or_else(String::new, |v| format!("; use {group}/{v} {kind}"));
    Some(format!("{group}/{name} {kind} is deprecated{instead}"))
}

fn subresources(version: &Value, kind: &str) -> Vec<Sub> {
    let verbs = || ["get", "patch", "update"].map(str::to_owned).to_vec();
    let mut subs = Vec::new();
    if version["subresources"].get("status").is_some_and(|s| !s.is_null()) {
        subs.push(Sub { name: "status".into(), kind: kind.to_owned(), of: None, verbs: verbs() });
    }
    if version["subresources"].get("scale").is_some_and(|s| !s.is_null()) {
        subs.push(Sub {
            name: "scale".into(),
            kind: "Scale".into(),
            of: Some(("autoscaling".into(), "v1".into())),
            verbs: verbs(),
        });
    }
    subs
}

/// Refuses new objects of a definition that is being deleted.
pub(crate) fn accepts(writer: &Writer<'_>, object: &Value) -> Result<(), ApiError> {
    if writer.resource.custom.as_ref().is_some_and(|c| c.terminating) {
        let subject = writer.resource.subject(text(&object["metadata"], "name"));
        return Err(ApiError::forbidden(
            subject,
            "create not allowed while custom resource definition is terminating",
        ));
    }
    Ok(())
}

/// Checks a custom object against its schema. Rules in CEL (`x-kubernetes-validations`) belong here too.
pub(crate) fn validate(
    resource: &Resource,
    sub: Option<&str>,
    live: Option<&Value>,
    object: &Value,
    causes: &mut Vec<Cause>,
) {
    let Some(custom) = &resource.custom else { return };
    schema::validate(custom, sub, live, object, causes);
}
