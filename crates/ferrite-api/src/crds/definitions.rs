//! Which types make which definition.

use kube::{CustomResourceExt, Resource};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::former::{Former, Ignored, Shape};
use super::{GenerateError, former, structural};
use crate::helm::{HelmRelease, HelmReleaseSpec, HelmReleaseStatus};
use crate::image::{
    ImagePolicy, ImagePolicySpec, ImagePolicyStatus, ImageRepository, ImageRepositorySpec,
    ImageRepositoryStatus, ImageUpdateAutomation, ImageUpdateAutomationSpec, ImageUpdateAutomationStatus,
};
use crate::kustomize::{Kustomization, KustomizationSpec, KustomizationStatus};
use crate::notification::{Alert, AlertSpec, Provider, ProviderSpec, Receiver, ReceiverSpec, ReceiverStatus};
use crate::source::{
    ArtifactGenerator, ArtifactGeneratorSpec, ArtifactGeneratorStatus, Bucket, BucketSpec, BucketStatus,
    ExternalArtifact, ExternalArtifactSpec, ExternalArtifactStatus, GitRepository, GitRepositorySpec,
    GitRepositoryStatus, HelmChart, HelmChartSpec, HelmChartStatus, HelmRepository, HelmRepositorySpec,
    HelmRepositoryStatus, OciRepository, OciRepositorySpec, OciRepositoryStatus,
};

/// Keeps kustomize-controller's variable substitution from CRDs: their descriptions may hold `${...}`.
const NO_SUBSTITUTION: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// Keywords that an unchecked field of a former version lacks.
const CHECKS: &[&str] =
    &["enum", "maxItems", "maxLength", "minLength", "pattern", "x-kubernetes-validations"];

type SchemaResult = Result<Value, (String, String)>;

/// One kind with all its versions.
pub(super) struct Definition {
    /// What kube's derive knows: names, scope, printer columns, the stored version.
    base: Value,
    description: String,
    spec: SchemaResult,
    status: Option<SchemaResult>,
    pub(super) former: &'static Former,
}

/// Every definition.
pub(super) fn all() -> Vec<Definition> {
    let mut all = sources();
    all.extend([
        define::<Kustomization, KustomizationSpec>(
            "Manifests of a source that are built, applied and kept as they are.",
        )
        .with_status::<KustomizationStatus>()
        .since(&former::KUSTOMIZATION),
        define::<HelmRelease, HelmReleaseSpec>("A release of a Helm chart that is kept as it is.")
            .with_status::<HelmReleaseStatus>()
            .since(&former::HELM_RELEASE),
        define::<Alert, AlertSpec>("Events of some objects that are told to a provider.")
            .since(&former::ALERT),
        define::<Provider, ProviderSpec>("A service that is told of events.").since(&former::PROVIDER),
        define::<Receiver, ReceiverSpec>("A webhook that asks for reconciles.")
            .with_status::<ReceiverStatus>()
            .since(&former::RECEIVER),
        define::<ImageRepository, ImageRepositorySpec>("An image whose tags are read.")
            .with_status::<ImageRepositoryStatus>()
            .since(&former::IMAGE_REPOSITORY),
        define::<ImagePolicy, ImagePolicySpec>("A choice of the latest tag of an image.")
            .with_status::<ImagePolicyStatus>()
            .since(&former::IMAGE_POLICY),
        define::<ImageUpdateAutomation, ImageUpdateAutomationSpec>(
            "Commits that put chosen tags into a Git repository.",
        )
        .with_status::<ImageUpdateAutomationStatus>()
        .since(&former::IMAGE_UPDATE_AUTOMATION),
    ]);
    all
}

fn sources() -> Vec<Definition> {
    vec![
        define::<GitRepository, GitRepositorySpec>("A Git repository whose revisions become artifacts.")
            .with_status::<GitRepositoryStatus>()
            .since(&former::GIT_REPOSITORY),
        define::<OciRepository, OciRepositorySpec>("An OCI repository whose tags become artifacts.")
            .with_status::<OciRepositoryStatus>()
            .since(&former::OCI_REPOSITORY),
        define::<HelmRepository, HelmRepositorySpec>(
            "A Helm repository whose index becomes an artifact, or an OCI registry with charts.",
        )
        .with_status::<HelmRepositoryStatus>()
        .since(&former::HELM_REPOSITORY),
        define::<HelmChart, HelmChartSpec>("A Helm chart that becomes an artifact.")
            .with_status::<HelmChartStatus>()
            .since(&former::HELM_CHART),
        define::<Bucket, BucketSpec>("A bucket of an object store whose files become artifacts.")
            .with_status::<BucketStatus>()
            .since(&former::BUCKET),
        define::<ExternalArtifact, ExternalArtifactSpec>(
            "An artifact that another controller stores and serves.",
        )
        .with_status::<ExternalArtifactStatus>(),
        define::<ArtifactGenerator, ArtifactGeneratorSpec>("Artifacts put together from several sources.")
            .with_status::<ArtifactGeneratorStatus>(),
    ]
}

/// The status of versions whose successor has none: accepted, never written.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
struct FormerStatus {
    /// Not written.
    observed_generation: Option<i64>,
    /// Not written.
    #[serde(default)]
    #[schemars(schema_with = "crate::schema::conditions")]
    conditions: Vec<crate::Condition>,
    /// Not written.
    last_handled_reconcile_at: Option<String>,
}

fn define<K: CustomResourceExt + Resource<DynamicType = ()>, S: JsonSchema>(description: &str) -> Definition {
    Definition {
        base: serde_json::to_value(K::crd()).unwrap_or_default(),
        description: description.to_owned(),
        spec: structural::schema_of::<S>(),
        status: None,
        former: &former::NONE,
    }
}

impl Definition {
    fn with_status<S: JsonSchema>(mut self) -> Self {
        self.status = Some(structural::schema_of::<S>());
        self
    }

    const fn since(mut self, former: &'static Former) -> Self {
        self.former = former;
        self
    }

    fn text(&self, pointer: &str) -> &str {
        self.base.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn group(&self) -> &str {
        self.text("/spec/group")
    }

    pub(super) fn plural(&self) -> &str {
        self.text("/spec/names/plural")
    }

    pub(super) fn kind(&self) -> &str {
        self.text("/spec/names/kind")
    }

    pub(super) fn stored(&self) -> &str {
        self.text("/spec/versions/0/name")
    }

    fn error(&self, path: &str, problem: &str) -> GenerateError {
        GenerateError {
            definition: self.kind().to_owned(),
            path: path.to_owned(),
            problem: problem.to_owned(),
        }
    }

    /// The whole CustomResourceDefinition.
    pub(super) fn crd(&self) -> Result<Value, GenerateError> {
        let schema = self.schema()?;
        let columns = self.base.pointer("/spec/versions/0/additionalPrinterColumns").cloned();
        let version = |name: &str, schema: Value| {
            json!({
                "name": name,
                "served": true,
                "storage": name == self.stored(),
                "additionalPrinterColumns": columns,
                "subresources": if self.status.is_some() { json!({"status": {}}) } else { json!({}) },
                "schema": {"openAPIV3Schema": schema},
            })
        };
        let mut versions = vec![version(self.stored(), schema.clone())];
        let mut loosened = self.loosened(&schema)?;
        if self.former.had_status {
            let status = structural::schema_of::<FormerStatus>();
            loosened["properties"]["status"] =
                status.map_err(|(path, problem)| self.error(&path, &problem))?;
        }
        for name in self.former.versions {
            let mut old = version(name, loosened.clone());
            if self.former.had_status {
                old["subresources"] = json!({"status": {}});
            }
            old["deprecated"] = true.into();
            old["deprecationWarning"] = self.warning(name).into();
            versions.push(old);
        }
        Ok(json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": format!("{}.{}", self.plural(), self.group()),
                "annotations": {NO_SUBSTITUTION: "disabled"},
            },
            "spec": {
                "group": self.group(),
                "names": self.names(),
                "scope": "Namespaced",
                "versions": versions,
            },
        }))
    }

    pub(super) fn names(&self) -> Map<String, Value> {
        let mut names =
            self.base.pointer("/spec/names").and_then(Value::as_object).cloned().unwrap_or_default();
        names.insert("listKind".to_owned(), format!("{}List", self.kind()).into());
        names.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
        names
    }

    fn warning(&self, version: &str) -> String {
        let (group, kind) = (self.group(), self.kind());
        format!("{group}/{version} {kind} is deprecated, use {group}/{}", self.stored())
    }

    /// The schema of the stored version.
    pub(super) fn schema(&self) -> Result<Value, GenerateError> {
        let part = |name: &str, schema: &SchemaResult| {
            schema.clone().map_err(|(path, problem)| self.error(&format!(".{name}{path}"), &problem))
        };
        let mut properties = json!({
            "apiVersion": {"type": "string", "description": "Group and version of the object's notation."},
            "kind": {"type": "string", "description": "Kind of the object."},
            "metadata": {"type": "object"},
            "spec": part("spec", &self.spec)?,
        });
        if let Some(status) = &self.status {
            properties["status"] = part("status", status)?;
        }
        let mut schema = json!({"type": "object", "description": self.description, "properties": properties});
        for ignored in self.former.ignored {
            self.add(&mut schema, ignored)?;
        }
        Ok(schema)
    }

    fn add(&self, schema: &mut Value, ignored: &Ignored) -> Result<(), GenerateError> {
        let versions = ignored.versions.join(" and ");
        let description =
            format!("{}{versions}: accepted and ignored. {}", structural::FORMER_MARK, ignored.why);
        let field = match ignored.shape {
            Shape::Words(words) => json!({"type": "string", "enum": words, "description": description}),
            Shape::Text => json!({"type": "string", "description": description}),
            Shape::Object => json!({
                "type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": description,
            }),
        };
        let parent = ignored.path.rsplit_once('.').and_then(|(parent, name)| {
            let properties = structural::at(schema, parent)?.get_mut("properties")?.as_object_mut()?;
            properties.insert(name.to_owned(), field).is_none().then_some(())
        });
        parent.ok_or_else(|| self.error(ignored.path, "the field has no parent, or exists already"))
    }

    /// The schema of the former versions.
    fn loosened(&self, schema: &Value) -> Result<Value, GenerateError> {
        let mut schema = schema.clone();
        for path in self.former.optional {
            let removed = path.rsplit_once('.').and_then(|(parent, name)| {
                let parent = structural::at(&mut schema, parent)?.as_object_mut()?;
                let required = parent.get_mut("required")?.as_array_mut()?;
                let before = required.len();
                required.retain(|field| field != name);
                let found = required.len() < before;
                if required.is_empty() {
                    parent.remove("required");
                }
                found.then_some(())
            });
            removed.ok_or_else(|| self.error(path, "the field is not required anyway, or does not exist"))?;
        }
        for path in self.former.unchecked {
            let removed =
                structural::at(&mut schema, path).and_then(Value::as_object_mut).is_some_and(|map| {
                    let before = map.len();
                    map.retain(|key, _| !CHECKS.contains(&key.as_str()));
                    map.len() < before
                });
            if !removed {
                return Err(self.error(path, "the field has no checks, or does not exist"));
            }
        }
        Ok(schema)
    }
}
