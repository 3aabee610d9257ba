//! Access to GKE clusters.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use serde::Deserialize;

use crate::{
    Caller, ClusterAccess, ClusterRequest, Error, cloud::Inner, environment::Service, provider::Access,
    wire::Request,
};

/// Flux's `clusterPattern`.
const PATTERN: &str = r"^projects/[^/]{1,200}/locations/[^/]{1,200}/clusters/[^/]{1,200}$";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    endpoint: String,
    master_auth: Authority,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authority {
    cluster_ca_certificate: String,
}

pub(super) async fn access(
    cloud: &Inner,
    caller: &Caller,
    request: &ClusterRequest,
    access: &[Access],
) -> Result<ClusterAccess, Error> {
    let token = access.first().ok_or_else(|| Error::invalid("no token"))?.bearer()?;
    let (mut server, mut ca) = (request.address.clone(), request.ca.clone());
    if server.is_none() || ca.is_none() {
        let cluster = &request.cluster;
        if !crate::matches(PATTERN, cluster) {
            return Err(Error::invalid(format!("invalid GKE cluster ID: '{cluster}'. must match {PATTERN}")));
        }
        let failed = |error: Error| error.context(format!("failed to describe GKE cluster '{cluster}'"));
        let base = cloud.environment.endpoint(Service::GcpContainer, "https://container.googleapis.com")?;
        let url = base.join(&format!("/v1/{cluster}"));
        let url = url.map_err(|_| Error::invalid(format!("'{cluster}' cannot be in a URL")))?;
        let ask =
            Request::new("Google Kubernetes Engine", Method::GET, url).bearer(token.token.expose_secret());
        let answer = cloud.send(caller, ask).await.map_err(failed)?;
        let described: Cluster = answer.json().map_err(failed)?;
        server = server.or(Some(described.endpoint));
        if ca.is_none() {
            let decoded = STANDARD.decode(described.master_auth.cluster_ca_certificate.as_bytes());
            ca = Some(decoded.map_err(|_| {
                Error::answer(&answer.service, "the certificate authority of the cluster is not base64")
            })?);
        }
    }
    // GKE answers a bare address.
    let server = server.unwrap_or_default();
    let server = if server.contains("://") { server } else { format!("https://{server}") };
    Ok(ClusterAccess {
        server,
        ca: ca.unwrap_or_default(),
        token: token.token.clone(),
        expires: token.expires,
    })
}
