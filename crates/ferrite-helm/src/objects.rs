//! The objects templates find in their context.

use std::{any::Any, rc::Rc};

use ferrite_gotemplate as go;
use go::{Elem, Error, Kind, List, Map, MapKind, Method, Object, Str, Ty, Value};

use crate::{
    capabilities::{Capabilities, HELM_VERSION, KubeVersion},
    chart::File,
    functions,
    glob::FileGlob,
    metadata::{Dependency, Metadata},
};

fn object(object: impl Object + 'static) -> Value {
    Value::Object(Rc::new(object))
}

fn text(args: &[Value], i: usize) -> String {
    match args.get(i) {
        Some(Value::Str(text)) => text.to_text().into_owned(),
        _ => String::new(),
    }
}

/// `.Files`: path to content.
#[derive(Debug)]
pub(crate) struct Files(Vec<(Str, Str)>);

impl Files {
    pub(crate) fn value(files: &[File]) -> Value {
        let mut entries: Vec<(Str, Str)> =
            files.iter().map(|file| (Str::from(file.name.as_str()), Str::from(&file.data[..]))).collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        object(Self(entries))
    }

    fn get(&self, name: &str) -> Option<&Str> {
        self.0.binary_search_by(|(key, _)| key[..].cmp(name.as_bytes())).ok().map(|at| &self.0[at].1)
    }

    /// `AsConfig` and `AsSecrets`: base names to text or base64.
    fn as_yaml(&self, secret: bool) -> Value {
        use base64::Engine;
        if self.0.is_empty() && !secret {
            return "{}".into();
        }
        let mut entries = serde_json::Map::new();
        for (path, data) in &self.0 {
            let path = path.to_text();
            let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
            let data = if secret {
                base64::engine::general_purpose::STANDARD.encode(&data[..])
            } else {
                data.to_text().into_owned()
            };
            entries.insert(name, data.into());
        }
        functions::yaml_text(&serde_json::Value::Object(entries)).into()
    }

    fn lines(&self, path: &str) -> Value {
        let Some(data) = self.get(path) else {
            return Value::List(List::new(Elem::Str, Vec::new()));
        };
        if data.is_empty() {
            return Value::List(List::new(Elem::Str, Vec::new()));
        }
        let data = data.strip_suffix(b"\n").unwrap_or(data);
        Value::strings(data.split(|b| *b == b'\n').map(Str::from))
    }
}

impl Object for Files {
    fn type_name(&self) -> &'static str {
        "engine.files"
    }

    fn kind(&self) -> Kind {
        Kind::Map
    }

    fn method(&self, name: &str) -> Option<Method> {
        match name {
            "Get" | "GetBytes" | "Glob" | "Lines" => Some(Method { params: &[Ty::Str], variadic: None }),
            "AsConfig" | "AsSecrets" => Some(Method::NONE),
            _ => None,
        }
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, Error> {
        Ok(match name {
            "Get" => Value::Str(self.get(&text(args, 0)).cloned().unwrap_or_else(|| "".into())),
            "GetBytes" => Value::Bytes(self.get(&text(args, 0)).cloned().unwrap_or_else(|| "".into())),
            "Glob" => {
                let glob = FileGlob::new(&text(args, 0));
                object(Self(
                    self.0.iter().filter(|(path, _)| glob.matches(&path.to_text())).cloned().collect(),
                ))
            }
            "Lines" => self.lines(&text(args, 0)),
            "AsConfig" => self.as_yaml(false),
            "AsSecrets" => self.as_yaml(true),
            _ => return Err(Error::plain(format!("no method {name}"))),
        })
    }

    fn as_entries(&self) -> Option<Vec<(Str, Value)>> {
        Some(self.0.iter().map(|(path, data)| (path.clone(), Value::Bytes(data.clone()))).collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `.Capabilities`.
#[derive(Debug)]
struct CapabilitiesObject([(&'static str, Value); 3]);

/// The `.Capabilities` object.
pub(crate) fn capabilities(capabilities: &Capabilities) -> Value {
    let apis = capabilities.api_versions.iter().map(|api| Value::from(api.as_str())).collect();
    object(CapabilitiesObject([
        ("KubeVersion", object(KubeVersionObject(capabilities.kube_version.clone()))),
        ("APIVersions", object(VersionSet(List::new(Elem::Str, apis)))),
        ("HelmVersion", object(HelmVersion)),
    ]))
}

impl Object for CapabilitiesObject {
    fn type_name(&self) -> &'static str {
        "*common.Capabilities"
    }

    fn kind(&self) -> Kind {
        Kind::Ptr
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        self.0.to_vec()
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        Some(self.fields())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[derive(Debug)]
struct KubeVersionObject(KubeVersion);

impl Object for KubeVersionObject {
    fn type_name(&self) -> &'static str {
        "common.KubeVersion"
    }

    fn method(&self, name: &str) -> Option<Method> {
        matches!(name, "String" | "GitVersion").then_some(Method::NONE)
    }

    fn call(&self, name: &str, _: &[Value]) -> Result<Value, Error> {
        Ok(if name == "String" { self.0.normalized.as_str() } else { self.0.version.as_str() }.into())
    }

    fn field(&self, name: &str) -> Option<Value> {
        let exported = name.starts_with(|c: char| c.is_ascii_uppercase());
        self.fields().into_iter().find(|(known, _)| exported && *known == name).map(|(_, value)| value)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("Version", self.0.version.as_str().into()),
            ("normalizedVersion", self.0.normalized.as_str().into()),
            ("Major", self.0.major.as_str().into()),
            ("Minor", self.0.minor.as_str().into()),
        ]
    }

    // `String` belongs to the pointer: an action can take it, a function gets a copy and cannot.
    fn printed(&self) -> Option<String> {
        Some(self.0.normalized.clone())
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        Some(self.fields().into_iter().filter(|(name, _)| *name != "normalizedVersion").collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `common.VersionSet`: a list with `Has`.
#[derive(Debug)]
struct VersionSet(List);

impl Object for VersionSet {
    fn type_name(&self) -> &'static str {
        "common.VersionSet"
    }

    fn kind(&self) -> Kind {
        Kind::Slice
    }

    fn method(&self, name: &str) -> Option<Method> {
        (name == "Has").then_some(Method { params: &[Ty::Str], variadic: None })
    }

    fn call(&self, _: &str, args: &[Value]) -> Result<Value, Error> {
        let wanted = args.first().cloned().unwrap_or_default();
        Ok(self.0.iter().any(|api| api.deep_equal(&wanted)).into())
    }

    fn as_list(&self) -> Option<&List> {
        Some(&self.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[derive(Debug)]
struct HelmVersion;

impl Object for HelmVersion {
    fn type_name(&self) -> &'static str {
        "version.BuildInfo"
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("Version", HELM_VERSION.into()),
            ("GitCommit", "".into()),
            ("GitTreeState", "".into()),
            ("GoVersion", "go1.27".into()),
            ("KubeClientVersion", "v1.37".into()),
        ]
    }

    fn json(&self) -> Value {
        Value::map([
            ("version", HELM_VERSION.into()),
            ("go_version", Value::from("go1.27")),
            ("kube_client_version", "v1.37".into()),
        ])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `.Chart`: in Helm 4 a map with Go's field names, all of them present.
pub(crate) fn chart(metadata: &Metadata, root: bool) -> Value {
    let strings = |items: &[String]| Value::list(items.iter().map(|s| s.as_str().into()).collect());
    let maintainers = metadata.maintainers.iter().flatten().map(|m| {
        Value::map([
            ("Name", m.name.as_str().into()),
            ("Email", Value::from(m.email.as_str())),
            ("URL", m.url.as_str().into()),
        ])
    });
    let annotations = match &metadata.annotations {
        None => Map::new(MapKind::NilStrings),
        Some(all) => {
            let entries = all.iter().map(|(k, v)| (Str::from(k.as_str()), v.as_str().into())).collect();
            Map::with(MapKind::Strings, entries)
        }
    };
    Value::map([
        ("Name", metadata.name.as_str().into()),
        ("Home", Value::from(metadata.home.as_str())),
        ("Sources", strings(&metadata.sources)),
        ("Version", metadata.version.as_str().into()),
        ("Description", metadata.description.as_str().into()),
        ("Keywords", strings(&metadata.keywords)),
        ("Maintainers", Value::list(maintainers.collect())),
        ("Icon", metadata.icon.as_str().into()),
        ("APIVersion", metadata.api_version.as_str().into()),
        ("Condition", metadata.condition.as_str().into()),
        ("Tags", metadata.tags.as_str().into()),
        ("AppVersion", metadata.app_version.as_str().into()),
        ("Deprecated", metadata.deprecated.into()),
        ("Annotations", Value::Map(annotations)),
        ("KubeVersion", metadata.kube_version.as_str().into()),
        ("Dependencies", Value::list(metadata.declared().map(dependency).collect())),
        ("Type", metadata.kind.as_str().into()),
        ("IsRoot", root.into()),
    ])
}

fn dependency(dependency: &Dependency) -> Value {
    let strings = |items: &[String]| Value::list(items.iter().map(|s| s.as_str().into()).collect());
    Value::map([
        ("Name", dependency.name.as_str().into()),
        ("Version", Value::from(dependency.version.as_str())),
        ("Repository", dependency.repository.as_str().into()),
        ("Condition", dependency.condition.as_str().into()),
        ("Tags", strings(&dependency.tags)),
        ("Enabled", dependency.enabled.into()),
        (
            "ImportValues",
            Value::list(dependency.import_values.iter().map(crate::values::to_template).collect()),
        ),
        ("Alias", dependency.alias.as_str().into()),
    ])
}

/// `*semver.Version`.
#[derive(Debug)]
pub(crate) struct SemVer(pub(crate) ferrite_semver::Version);

impl SemVer {
    pub(crate) fn value(version: ferrite_semver::Version) -> Value {
        object(Self(version))
    }
}

fn other(args: &[Value]) -> Option<&ferrite_semver::Version> {
    match args.first() {
        Some(Value::Object(object)) => object.as_any().downcast_ref::<SemVer>().map(|v| &v.0),
        _ => None,
    }
}

impl Object for SemVer {
    fn type_name(&self) -> &'static str {
        "*semver.Version"
    }

    fn kind(&self) -> Kind {
        Kind::Ptr
    }

    fn method(&self, name: &str) -> Option<Method> {
        let params: &'static [Ty] = match name {
            "Major" | "Minor" | "Patch" | "Prerelease" | "Metadata" | "Original" | "String" | "IncMajor"
            | "IncMinor" | "IncPatch" => &[],
            "Compare" | "Equal" | "LessThan" | "GreaterThan" | "LessThanEqual" | "GreaterThanEqual" => {
                &[Ty::Named("*semver.Version")]
            }
            "SetPrerelease" | "SetMetadata" => &[Ty::Str],
            _ => return None,
        };
        Some(Method { params, variadic: None })
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, Error> {
        let v = &self.0;
        let lead = if v.original().starts_with('v') { "v" } else { "" };
        let made = |text: String| {
            ferrite_semver::Version::parse(&text).map(Self::value).map_err(functions::semver_error)
        };
        let order = other(args).map_or(std::cmp::Ordering::Greater, |o| v.cmp(o));
        Ok(match name {
            "Major" => Value::Uint64(v.major()),
            "Minor" => Value::Uint64(v.minor()),
            "Patch" => Value::Uint64(v.patch()),
            "Prerelease" => v.prerelease().into(),
            "Metadata" => v.build().into(),
            "Original" => v.original().into(),
            "IncMajor" => made(format!("{lead}{}.0.0", v.major().saturating_add(1)))?,
            "IncMinor" => made(format!("{lead}{}.{}.0", v.major(), v.minor().saturating_add(1)))?,
            // A pre-release is followed by its release.
            "IncPatch" if !v.prerelease().is_empty() => {
                made(format!("{lead}{}.{}.{}", v.major(), v.minor(), v.patch()))?
            }
            "IncPatch" => made(format!("{lead}{}.{}.{}", v.major(), v.minor(), v.patch().saturating_add(1)))?,
            "SetPrerelease" | "SetMetadata" => {
                let given = text(args, 0);
                let (pre, build) = if name == "SetMetadata" {
                    (v.prerelease(), given.as_str())
                } else {
                    (given.as_str(), v.build())
                };
                let pre = if pre.is_empty() { String::new() } else { format!("-{pre}") };
                let build = if build.is_empty() { String::new() } else { format!("+{build}") };
                made(format!("{lead}{}.{}.{}{pre}{build}", v.major(), v.minor(), v.patch()))?
            }
            "Compare" => Value::Int(order as i64),
            "Equal" => order.is_eq().into(),
            "LessThan" => order.is_lt().into(),
            "GreaterThan" => order.is_gt().into(),
            "LessThanEqual" => order.is_le().into(),
            "GreaterThanEqual" => order.is_ge().into(),
            _ => v.to_string().into(),
        })
    }

    fn text(&self) -> Option<String> {
        Some(self.0.to_string())
    }

    fn json(&self) -> Value {
        self.0.to_string().into()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
