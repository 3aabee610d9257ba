//! From a request to its answer: who, what, may they, do it.

pub(crate) mod body;
pub(crate) mod list;
pub(crate) mod options;
pub(crate) mod patch;
pub(crate) mod paths;
pub(crate) mod perform;
pub(crate) mod read;
pub(crate) mod remove;
pub(crate) mod subresources;
pub(crate) mod watch;
pub(crate) mod write;

use std::sync::Arc;

use http::{Method, Response};

use crate::auth;
use crate::http::request::{Call, Target};
use crate::http::{Body, page_not_found, respond};
use crate::rbac::Ask;
use crate::resources::Resource;
use crate::server::Server;
use crate::status::{ApiError, Subject};

/// A resource call that passed authorisation.
pub(crate) struct Scope<'a> {
    pub(crate) server: &'a Arc<Server>,
    pub(crate) call: &'a Call,
    pub(crate) resource: Arc<Resource>,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

/// Answers one request.
pub(crate) async fn handle(server: &Arc<Server>, mut call: Call) -> Response<Body> {
    let result = match identify(server, &mut call) {
        Ok(()) => dispatch(server, &call).await,
        Err(error) => Err(error),
    };
    let mut response = result.unwrap_or_else(|error| {
        let only_protobuf =
            call.header("accept").is_some_and(|a| a.trim() == "application/vnd.kubernetes.protobuf");
        respond::error(&error, only_protobuf && error.code() == 406)
    });
    respond::warn(&mut response, &call.take_warnings());
    response
}

fn identify(server: &Server, call: &mut Call) -> Result<(), ApiError> {
    let sender = auth::authenticate(server, call)?;
    let impersonated = auth::impersonate(server, call, &sender)?;
    call.user = impersonated.unwrap_or(sender);
    Ok(())
}

async fn dispatch(server: &Arc<Server>, call: &Call) -> Result<Response<Body>, ApiError> {
    let target = Target::of(&call.method, &call.path, &call.query);
    authorize(server, call, &target)?;
    server.faults.apply(call, &target).await?;
    if !target.resource_path {
        return paths::answer(server, call).await;
    }
    let served = server.registry.served();
    let Some(resource) = served.find(&target.group, &target.version, &target.resource).cloned() else {
        // Groups of definitions answer as if no server were behind the path.
        let known = target.group.is_empty() || server.registry.is_builtin_group(&target.group);
        return if known { Err(ApiError::no_resource()) } else { Ok(page_not_found()) };
    };
    let is_namespace = resource.is("", "namespaces");
    let namespace = if is_namespace { "" } else { target.namespace.as_deref().unwrap_or_default() };
    if !resource.namespaced && !namespace.is_empty() {
        return if resource.custom.is_some() { Ok(page_not_found()) } else { Err(ApiError::no_resource()) };
    }
    let name = target.name.as_deref().unwrap_or_default();
    if resource.namespaced && namespace.is_empty() && !name.is_empty() {
        return Err(ApiError::no_resource());
    }
    let scope = Scope { server, call, resource, namespace, name };
    scope.warn_deprecated();
    match target.sub.as_deref() {
        Some(sub) => subresources::answer(&scope, sub).await,
        None => plain(&scope, &target).await,
    }
}

async fn plain(scope: &Scope<'_>, target: &Target) -> Result<Response<Body>, ApiError> {
    if scope.call.method == Method::HEAD || !scope.resource.allows(&target.verb) {
        return Err(scope.unsupported(&target.verb));
    }
    if scope.resource.namespaced
        && scope.namespace.is_empty()
        && matches!(target.verb.as_str(), "create" | "deletecollection")
    {
        return Err(scope.unsupported(&target.verb));
    }
    if crate::rbac::reviews::is_review(&scope.resource) {
        return crate::rbac::reviews::answer(scope);
    }
    let one = !scope.name.is_empty();
    match (target.verb.as_str(), one) {
        ("get", true) => read::get(scope).await,
        ("list", false) => list::list(scope).await,
        ("watch", _) => watch::watch(scope).await,
        ("create", false) => write::create(scope).await,
        ("update", true) => write::update(scope, None).await,
        ("patch", true) => patch::patch(scope, None).await,
        ("delete", true) => remove::one(scope).await,
        ("deletecollection", false) => remove::collection(scope).await,
        _ => Err(scope.unsupported(&target.verb)),
    }
}

impl Scope<'_> {
    pub(crate) fn subject(&self) -> Subject<'_> {
        self.resource.subject(self.name)
    }

    /// The refusal of a verb that the resource does not have.
    pub(crate) fn unsupported(&self, verb: &str) -> ApiError {
        if self.resource.custom.is_some() && !verb.is_empty() {
            ApiError::method_not_supported(&self.resource.group, &self.resource.plural, verb)
        } else {
            ApiError::method_not_allowed()
        }
    }

    fn warn_deprecated(&self) {
        if let Some(warning) = self.resource.custom.as_ref().and_then(|c| c.deprecation.as_deref()) {
            self.call.warn(warning);
        }
    }

    /// The namespace that lists and watches are limited to.
    pub(crate) fn within(&self) -> Option<&str> {
        Some(self.namespace).filter(|n| !n.is_empty())
    }
}

fn authorize(server: &Server, call: &Call, target: &Target) -> Result<(), ApiError> {
    let path = (!target.resource_path).then_some(call.path.as_str());
    let ask = Ask {
        verb: &target.verb,
        group: &target.group,
        resource: &target.resource,
        sub: target.sub.as_deref(),
        namespace: target.namespace.as_deref(),
        name: target.name.as_deref(),
        path,
    };
    if server.rbac.allows(&server.store, &call.user, &ask) {
        return Ok(());
    }
    Err(refusal(&call.user, &ask))
}

/// The 403 for a question that was answered with no.
pub(crate) fn refusal(user: &crate::auth::User, ask: &Ask<'_>) -> ApiError {
    let denial = ask.denial(user);
    if ask.path.is_some() {
        return ApiError::new(403, "Forbidden", format!("forbidden: {denial}"), Some(serde_json::json!({})));
    }
    ApiError::forbidden(
        Subject { group: ask.group, resource: ask.resource, name: ask.name.unwrap_or_default() },
        &denial,
    )
}

/// Asks whether the sender may also use another verb on the same object.
pub(crate) fn authorize_as(scope: &Scope<'_>, verb: &str) -> Result<(), ApiError> {
    let resource = &scope.resource;
    let ask = Ask {
        verb,
        group: &resource.group,
        resource: &resource.plural,
        sub: None,
        namespace: scope.within(),
        name: Some(scope.name).filter(|n| !n.is_empty()),
        path: None,
    };
    if scope.server.rbac.allows(&scope.server.store, &scope.call.user, &ask) {
        return Ok(());
    }
    Err(refusal(&scope.call.user, &ask))
}
