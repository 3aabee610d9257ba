//! `Chart.yaml`: what a chart says of itself.

use std::collections::BTreeMap;

use ferrite_semver::Version;
use serde_json::{Map, Value, json};

use crate::{error::Error, go_yaml};

/// The content of `Chart.yaml`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// `name`
    pub name: String,
    /// `home`
    pub home: String,
    /// `sources`
    pub sources: Vec<String>,
    /// `version`
    pub version: String,
    /// `description`
    pub description: String,
    /// `keywords`
    pub keywords: Vec<String>,
    /// `maintainers`; a null one is refused by [`Metadata::validate`].
    pub maintainers: Vec<Option<Maintainer>>,
    /// `icon`
    pub icon: String,
    /// `apiVersion`: `v1` or `v2`.
    pub api_version: String,
    /// `condition`
    pub condition: String,
    /// `tags`
    pub tags: String,
    /// `appVersion`
    pub app_version: String,
    /// `deprecated`
    pub deprecated: bool,
    /// `annotations`
    pub annotations: Option<BTreeMap<String, String>>,
    /// `kubeVersion`: a range of Kubernetes versions.
    pub kube_version: String,
    /// `dependencies`; `None` when none were ever declared.
    pub dependencies: Option<Vec<Option<Dependency>>>,
    /// `type`: `application`, `library` or empty.
    pub kind: String,
}

/// A maintainer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Maintainer {
    /// `name`
    pub name: String,
    /// `email`
    pub email: String,
    /// `url`
    pub url: String,
}

/// A declared dependency.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependency {
    /// `name`
    pub name: String,
    /// `version`: a range.
    pub version: String,
    /// `repository`
    pub repository: String,
    /// `condition`: paths to booleans in the values.
    pub condition: String,
    /// `tags`
    pub tags: Vec<String>,
    /// Whether the chart is used; decided while rendering.
    pub enabled: bool,
    /// `import-values`
    pub import_values: Vec<Value>,
    /// `alias`
    pub alias: String,
}

struct Reader<'a> {
    map: &'a Map<String, Value>,
    path: &'static str,
}

impl Reader<'_> {
    fn wrong(&self, key: &str, value: &Value, wanted: &str) -> String {
        let kind = go_yaml::json_kind(value);
        let path = self.path;
        format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go struct field {path}.{key} of type {wanted}"
        )
    }

    /// A string; numbers and booleans are accepted, as sigs.k8s.io/yaml does for string fields.
    fn text(&self, key: &str) -> Result<String, String> {
        let value = self.map.get(key).unwrap_or(&Value::Null);
        scalar(value).ok_or_else(|| self.wrong(key, value, "string"))
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(key, other, "bool")),
        }
    }

    fn list(&self, key: &str, wanted: &str) -> Result<&[Value], String> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.wrong(key, other, wanted)),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        let items = self.list(key, "[]string")?;
        items.iter().map(|item| scalar(item).ok_or_else(|| self.wrong(key, item, "string"))).collect()
    }
}

fn scalar(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => int.to_string(),
            (None, Some(float)) => ferrite_gotemplate::format_float(float, b'g', None),
            (None, None) => number.to_string(),
        },
        Value::Array(_) | Value::Object(_) => return None,
    })
}

impl Metadata {
    /// Reads `text` into this; fields the text has not are kept, as for `requirements.yaml`.
    ///
    /// # Errors
    ///
    /// What Go's decoder says of a wrong type.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), String> {
        let value = go_yaml::decode_exact(text).map_err(|e| e.0)?;
        let map = match value {
            Value::Null => return Ok(()),
            Value::Object(map) => map,
            other => return Err(go_yaml::wrong_type(&other, "chart.Metadata")),
        };
        let r = Reader { map: &map, path: "" };
        let has = |key: &str| map.contains_key(key);
        let text_fields: [(&str, &mut String); 11] = [
            ("name", &mut self.name),
            ("home", &mut self.home),
            ("version", &mut self.version),
            ("description", &mut self.description),
            ("icon", &mut self.icon),
            ("apiVersion", &mut self.api_version),
            ("condition", &mut self.condition),
            ("tags", &mut self.tags),
            ("appVersion", &mut self.app_version),
            ("kubeVersion", &mut self.kube_version),
            ("type", &mut self.kind),
        ];
        for (key, slot) in text_fields {
            if has(key) {
                *slot = r.text(key)?;
            }
        }
        if has("sources") {
            self.sources = r.texts("sources")?;
        }
        if has("keywords") {
            self.keywords = r.texts("keywords")?;
        }
        if has("deprecated") {
            self.deprecated = r.flag("deprecated")?;
        }
        if has("maintainers") {
            let items = r.list("maintainers", "[]*chart.Maintainer")?;
            self.maintainers = items.iter().map(maintainer).collect::<Result<_, _>>()?;
        }
        if let Some(Value::Object(annotations)) = map.get("annotations") {
            let r = Reader { map: annotations, path: ".annotations" };
            let pairs = annotations.keys().map(|key| Ok((key.clone(), r.text(key)?)));
            self.annotations = Some(pairs.collect::<Result<_, String>>()?);
        } else if let Some(other) = map.get("annotations").filter(|v| !v.is_null()) {
            return Err(r.wrong("annotations", other, "map[string]string"));
        }
        if has("dependencies") {
            let items = r.list("dependencies", "[]*chart.Dependency")?;
            let read = items.iter().map(dependency).collect::<Result<_, _>>()?;
            self.dependencies = map.get("dependencies").is_some_and(|v| !v.is_null()).then_some(read);
        }
        Ok(())
    }

    /// The declared dependencies.
    pub fn declared(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().flatten().flatten()
    }

    /// Cleans strings and checks the rules of Helm's `Metadata.Validate`.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] with Helm's message.
    pub(crate) fn validate(&mut self) -> Result<(), Error> {
        let fail = |text: String| Err(Error::Load(format!("validation: {text}")));
        self.sanitize();
        if self.maintainers.iter().any(Option::is_none) {
            return fail("maintainers must not contain empty or null nodes".into());
        }
        if self.api_version.is_empty() {
            return fail("chart.metadata.apiVersion is required".into());
        }
        if self.name.is_empty() {
            return fail("chart.metadata.name is required".into());
        }
        if self.name == "." || self.name == ".." {
            return fail(format!(
                "chart.metadata.name {} is not allowed",
                ferrite_gotemplate::quote(self.name.as_bytes())
            ));
        }
        if self.name.contains(['/', '\\']) {
            return fail(format!(
                "chart.metadata.name {} is invalid",
                ferrite_gotemplate::quote(self.name.as_bytes())
            ));
        }
        if self.version.is_empty() {
            return fail("chart.metadata.version is required".into());
        }
        if Version::parse(&self.version).is_err() {
            let version = ferrite_gotemplate::quote(self.version.as_bytes());
            return fail(format!("chart.metadata.version {version} is invalid"));
        }
        if !matches!(self.kind.as_str(), "" | "application" | "library") {
            return fail("chart.metadata.type must be application or library".into());
        }
        self.validate_dependencies()
    }

    fn validate_dependencies(&self) -> Result<(), Error> {
        let fail = |text: String| Err(Error::Load(format!("validation: {text}")));
        let mut seen: Vec<&str> = Vec::new();
        for dependency in self.dependencies.iter().flatten() {
            let Some(dependency) = dependency else {
                return fail("dependencies must not contain empty or null nodes".into());
            };
            let alias = &dependency.alias;
            if !alias.is_empty() && !alias.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
            {
                let name = &dependency.name;
                return fail(format!("dependency \"{name}\" has disallowed characters in the alias"));
            }
            let key = if alias.is_empty() { &dependency.name } else { alias };
            if seen.contains(&key.as_str()) {
                return fail(format!("more than one dependency with name or alias \"{key}\""));
            }
            seen.push(key);
        }
        Ok(())
    }

    fn sanitize(&mut self) {
        let strings = [
            &mut self.name,
            &mut self.home,
            &mut self.version,
            &mut self.description,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
            &mut self.kind,
        ];
        let lists = self.sources.iter_mut().chain(&mut self.keywords);
        let maintainers =
            self.maintainers.iter_mut().flatten().flat_map(|m| [&mut m.name, &mut m.email, &mut m.url]);
        let dependencies = self.dependencies.iter_mut().flatten().flatten().flat_map(|d| {
            [&mut d.name, &mut d.version, &mut d.repository, &mut d.condition].into_iter().chain(&mut d.tags)
        });
        for text in strings.into_iter().chain(lists).chain(maintainers).chain(dependencies) {
            if text.contains(|c: char| c.is_control() || c.is_whitespace() && c != ' ') {
                *text = text
                    .chars()
                    .filter_map(
                        |c| if c.is_whitespace() { Some(' ') } else { (!c.is_control()).then_some(c) },
                    )
                    .collect();
            }
        }
    }

    /// The metadata as stored in a release: Helm's field order, empty fields left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        let mut text = |key: &str, value: &str| {
            if !value.is_empty() {
                out.insert(key.to_owned(), value.into());
            }
        };
        text("name", &self.name);
        text("home", &self.home);
        put_list(&mut out, "sources", self.sources.iter().map(|s| json!(s)).collect());
        put_text(&mut out, "version", &self.version);
        put_text(&mut out, "description", &self.description);
        put_list(&mut out, "keywords", self.keywords.iter().map(|s| json!(s)).collect());
        put_list(
            &mut out,
            "maintainers",
            self.maintainers.iter().flatten().map(Maintainer::to_json).collect(),
        );
        put_text(&mut out, "icon", &self.icon);
        put_text(&mut out, "apiVersion", &self.api_version);
        put_text(&mut out, "condition", &self.condition);
        put_text(&mut out, "tags", &self.tags);
        put_text(&mut out, "appVersion", &self.app_version);
        if self.deprecated {
            out.insert("deprecated".into(), true.into());
        }
        if let Some(annotations) = self.annotations.as_ref().filter(|a| !a.is_empty()) {
            out.insert("annotations".into(), json!(annotations));
        }
        put_text(&mut out, "kubeVersion", &self.kube_version);
        put_list(&mut out, "dependencies", self.declared().map(Dependency::to_json).collect());
        put_text(&mut out, "type", &self.kind);
        Value::Object(out)
    }
}

fn put_text(out: &mut Map<String, Value>, key: &str, value: &str) {
    if !value.is_empty() {
        out.insert(key.to_owned(), value.into());
    }
}

fn put_list(out: &mut Map<String, Value>, key: &str, items: Vec<Value>) {
    if !items.is_empty() {
        out.insert(key.to_owned(), Value::Array(items));
    }
}

impl Maintainer {
    fn to_json(&self) -> Value {
        let mut out = Map::new();
        put_text(&mut out, "name", &self.name);
        put_text(&mut out, "email", &self.email);
        put_text(&mut out, "url", &self.url);
        Value::Object(out)
    }
}

impl Dependency {
    /// The declaration as stored in a release.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("name".into(), self.name.as_str().into());
        put_text(&mut out, "version", &self.version);
        out.insert("repository".into(), self.repository.as_str().into());
        put_text(&mut out, "condition", &self.condition);
        put_list(&mut out, "tags", self.tags.iter().map(|t| json!(t)).collect());
        if self.enabled {
            out.insert("enabled".into(), true.into());
        }
        put_list(&mut out, "import-values", self.import_values.clone());
        put_text(&mut out, "alias", &self.alias);
        Value::Object(out)
    }
}

fn maintainer(value: &Value) -> Result<Option<Maintainer>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Object(map) => {
            let r = Reader { map, path: ".maintainers" };
            Ok(Some(Maintainer { name: r.text("name")?, email: r.text("email")?, url: r.text("url")? }))
        }
        other => {
            let kind = go_yaml::json_kind(other);
            Err(format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go struct field .maintainers of type chart.Maintainer"
            ))
        }
    }
}

/// Reads one declared dependency.
pub(crate) fn dependency(value: &Value) -> Result<Option<Dependency>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Object(map) => {
            let r = Reader { map, path: ".dependencies" };
            let mut import_values = r.list("import-values", "[]interface {}")?.to_vec();
            import_values.iter_mut().for_each(go_yaml::floats);
            Ok(Some(Dependency {
                name: r.text("name")?,
                version: r.text("version")?,
                repository: r.text("repository")?,
                condition: r.text("condition")?,
                tags: r.texts("tags")?,
                enabled: false,
                import_values,
                alias: r.text("alias")?,
            }))
        }
        other => {
            let kind = go_yaml::json_kind(other);
            Err(format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go struct field .dependencies of type chart.Dependency"
            ))
        }
    }
}
