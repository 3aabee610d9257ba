//! ValidatingAdmissionPolicies: rules in CEL about requests.

use ferrite_schema::Type;
use serde_json::{Value, json};

use crate::cel::{Answer, Named, ask};
use crate::handlers::perform::Writer;
use crate::json::{is_empty, items, text};
use crate::selectors::LabelSelector;
use crate::status::ApiError;

const POLICIES: &str = "admissionregistration.k8s.io/validatingadmissionpolicies";
const BINDINGS: &str = "admissionregistration.k8s.io/validatingadmissionpolicybindings";

/// One request as policies see it.
struct Asked<'a> {
    writer: &'a Writer<'a>,
    operation: &'a str,
    object: &'a Value,
    old: &'a Value,
    request: Value,
    namespace: Value,
}

/// Asks every policy that is bound to the request. The server's own writes are not asked about.
pub(crate) fn check(
    writer: &Writer<'_>,
    operation: &str,
    old: Option<&Value>,
    object: Option<&Value>,
) -> Result<(), ApiError> {
    if writer.call.is_none() || writer.resource.group == "admissionregistration.k8s.io" {
        return Ok(());
    }
    let store = &writer.server.store;
    let bindings = store.list(BINDINGS, None).objects;
    if bindings.is_empty() {
        return Ok(());
    }
    let (object, old) = (object.unwrap_or(&Value::Null), old.unwrap_or(&Value::Null));
    let namespace = store.get("/namespaces", "", writer.namespace).map_or(Value::Null, |n| n.value());
    let asked =
        Asked { writer, operation, object, old, request: request(writer, operation, object), namespace };
    for binding in bindings {
        let value = binding.value();
        let Some(policy) = store.get(POLICIES, "", text(&value["spec"], "policyName")) else { continue };
        asked.policy(&policy.name, &policy.value()["spec"], &binding.name, &value["spec"])?;
    }
    Ok(())
}

fn request(writer: &Writer<'_>, operation: &str, object: &Value) -> Value {
    let resource = writer.resource;
    let name = if writer.name.is_empty() { text(&object["metadata"], "name") } else { writer.name };
    json!({"operation": operation, "name": name, "namespace": writer.namespace, "dryRun": writer.options.dry_run,
        "subResource": writer.sub.unwrap_or_default(),
        "kind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "resource": {"group": resource.group, "version": resource.version, "resource": resource.plural},
        "userInfo": writer.user.info()})
}

fn has(list: &Value, item: &str) -> bool {
    items(list).iter().any(|x| x == "*" || x == item)
}

impl Asked<'_> {
    fn policy(&self, name: &str, policy: &Value, binding: &str, bound: &Value) -> Result<(), ApiError> {
        if !self.matches(&policy["matchConstraints"], true) || !self.matches(&bound["matchResources"], false)
        {
            return Ok(());
        }
        let fails = policy["failurePolicy"] != "Ignore";
        let variables: Vec<(&str, &str)> =
            items(&policy["variables"]).iter().map(|v| (text(v, "name"), text(v, "expression"))).collect();
        let parameters = self.parameters(policy, bound);
        for params in &parameters {
            let run = |expression: &str| self.ask(expression, params, &variables);
            let mut applies = true;
            for condition in items(&policy["matchConditions"]) {
                applies &= match run(text(condition, "expression")) {
                    Ok(answer) => answer == Answer::Bool(true),
                    Err(_) => fails,
                };
            }
            if !applies {
                continue;
            }
            for rule in items(&policy["validations"]) {
                let expression = text(rule, "expression");
                let why = match run(expression) {
                    Ok(Answer::Bool(true)) => continue,
                    Ok(_) => explain(rule, expression, &run),
                    Err(_) if !fails => continue,
                    Err(error) => format!("expression '{expression}' resulted in error: {error}"),
                };
                self.act(name, binding, bound, text(rule, "reason"), &why)?;
            }
        }
        Ok(())
    }

    /// Denies, warns, or lets it pass with a trace in the audit log that this server does not keep.
    fn act(
        &self,
        policy: &str,
        binding: &str,
        bound: &Value,
        reason: &str,
        why: &str,
    ) -> Result<(), ApiError> {
        let actions = &bound["validationActions"];
        if has(actions, "Warn") {
            let warning = format!(
                "Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding}': {why}"
            );
            self.writer.warn(&warning);
        }
        if !has(actions, "Deny") {
            return Ok(());
        }
        let message =
            format!("ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {why}");
        let (code, reason) = match reason {
            "Unauthorized" => (401, "Unauthorized"),
            "Forbidden" => (403, "Forbidden"),
            "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
            _ => (422, "Invalid"),
        };
        let name = self.request["name"].as_str().unwrap_or_default();
        let refusal = ApiError::forbidden(self.writer.resource.subject(name), &message);
        let mut details = refusal.body()["details"].clone();
        details["causes"] = json!([{"message": message}]);
        Err(ApiError::new(code, reason, refusal.message(), Some(details)))
    }

    fn ask(&self, expression: &str, params: &Value, variables: &[(&str, &str)]) -> Result<Answer, String> {
        let ty = crate::schema::of(self.writer.resource);
        let named: [Named<'_>; 5] = [
            ("object", self.object, ty),
            ("oldObject", self.old, ty),
            ("request", &self.request, Type::any()),
            ("namespaceObject", &self.namespace, Type::any()),
            ("params", params, Type::any()),
        ];
        ask(expression, &named, variables)
    }

    /// The objects that a binding names as parameters; one null when the policy takes none or names nothing.
    fn parameters(&self, policy: &Value, bound: &Value) -> Vec<Value> {
        let (kind, reference) = (&policy["paramKind"], &bound["paramRef"]);
        if !kind.is_object() || !reference.is_object() {
            return vec![Value::Null];
        }
        let server = self.writer.server;
        let (group, version) = crate::resources::split_group_version(text(kind, "apiVersion"));
        let served = server.registry.served();
        let Some(resource) = served.by_kind(group, version, text(kind, "kind")) else { return Vec::new() };
        let namespace = match text(reference, "namespace") {
            _ if !resource.namespaced => "",
            "" => self.writer.namespace,
            own => own,
        };
        let name = text(reference, "name");
        let selector = LabelSelector::of(&reference["selector"]);
        let all = server.store.list(&resource.key, Some(namespace)).objects;
        let chosen = all
            .iter()
            .filter(|o| if name.is_empty() { selector.matches(|k| o.label(k)) } else { *o.name == *name });
        chosen.map(|o| crate::handlers::read::value_in_version(resource, o)).collect()
    }

    fn matches(&self, constraints: &Value, required: bool) -> bool {
        if !constraints.is_object() {
            return !required;
        }
        let any = |list: &str| items(&constraints[list]).iter().any(|rule| self.rule(rule));
        let listed = if is_empty(&constraints["resourceRules"]) { !required } else { any("resourceRules") };
        listed && !any("excludeResourceRules") && self.selected(constraints)
    }

    fn selected(&self, constraints: &Value) -> bool {
        let labels = |object: &Value, selector: &Value| {
            LabelSelector::of(selector)
                .matches(|key| object["metadata"]["labels"].get(key).and_then(Value::as_str))
        };
        // A namespace is selected by its own labels; other cluster-wide objects by none.
        let namespace = if self.writer.resource.is("", "namespaces") { self.object } else { &self.namespace };
        let here = is_empty(&constraints["namespaceSelector"])
            || namespace.is_null()
            || labels(namespace, &constraints["namespaceSelector"]);
        let selector = &constraints["objectSelector"];
        here && (is_empty(selector)
            || [self.object, self.old].iter().any(|o| !o.is_null() && labels(o, selector)))
    }

    fn rule(&self, rule: &Value) -> bool {
        let resource = self.writer.resource;
        let full = self
            .writer
            .sub
            .map_or_else(|| resource.plural.clone(), |sub| format!("{}/{sub}", resource.plural));
        let listed = items(&rule["resources"]).iter().filter_map(Value::as_str).any(|wanted| match wanted {
            "*/*" => true,
            "*" => self.writer.sub.is_none(),
            _ => match wanted.split_once('/') {
                Some((plural, "*")) => plural == resource.plural,
                Some(("*", sub)) => self.writer.sub == Some(sub),
                _ => wanted == full,
            },
        });
        let scope = match text(rule, "scope") {
            "Namespaced" => resource.namespaced,
            "Cluster" => !resource.namespaced,
            _ => true,
        };
        let named = is_empty(&rule["resourceNames"])
            || has(&rule["resourceNames"], self.request["name"].as_str().unwrap_or_default());
        listed
            && scope
            && named
            && has(&rule["operations"], self.operation)
            && has(&rule["apiGroups"], &resource.group)
            && has(&rule["apiVersions"], &resource.version)
    }
}

/// The message of a rule that was broken: made, written, or the rule itself.
fn explain(rule: &Value, expression: &str, run: &impl Fn(&str) -> Result<Answer, String>) -> String {
    let made = text(rule, "messageExpression");
    if !made.is_empty()
        && let Ok(Answer::Text(message)) = run(made)
        && !message.trim().is_empty()
    {
        return message;
    }
    match text(rule, "message") {
        "" => format!("failed expression: {expression}"),
        message => message.to_owned(),
    }
}
