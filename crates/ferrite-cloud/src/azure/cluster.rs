//! Access to AKS clusters with Entra integration.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use serde::Deserialize;
use url::Url;

use super::registry::CloudFile;
use crate::{
    Caller, ClusterAccess, ClusterRequest, Error, Scope, cloud::Inner, environment::Service,
    provider::Access, wire::Request,
};

/// Flux's `clusterPattern`.
const PATTERN: &str = r"(?i)^/subscriptions/([^/]{36})/resourceGroups/([^/]{1,200})/providers/Microsoft\.ContainerService/managedClusters/([^/]{1,200})$";
/// The scope of all AKS API servers.
const AKS: &str = "6dae42f8-4368-4678-94ff-3960e28e3630/.default";
/// The version of the resource manager's API.
const VERSION: &str = "2024-09-01";

/// The public cloud or one of its sisters: the resource manager's endpoint and audience.
fn manager(cloud: &Inner) -> Result<(String, String), Error> {
    if let Some(file) = CloudFile::read(cloud)? {
        return Ok((file.resource_manager_endpoint, file.token_audience));
    }
    let authority = cloud.environment.get("AZURE_AUTHORITY_HOST").unwrap_or_default();
    let (endpoint, audience) = if authority.contains("chinacloudapi.cn") {
        ("https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn")
    } else if authority.contains("microsoftonline.us") {
        ("https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net")
    } else {
        ("https://management.azure.com", "https://management.core.windows.net/")
    };
    Ok((endpoint.to_owned(), audience.to_owned()))
}

/// One token for the cluster and, unless all is known, one for the resource manager.
pub(super) fn scopes(cloud: &Inner, request: &ClusterRequest) -> Result<Vec<Scope>, Error> {
    let mut scopes = vec![Scope::oauth(AKS)];
    if request.address.is_none() || request.ca.is_none() {
        scopes.push(Scope::oauth(format!("{}/.default", manager(cloud)?.1)));
    }
    Ok(scopes)
}

#[derive(Deserialize)]
struct Described {
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    aad_profile: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    kubeconfigs: Vec<Encoded>,
}

#[derive(Deserialize)]
struct Encoded {
    value: String,
}

/// As much of a kubeconfig as tells where the cluster is.
#[derive(Deserialize)]
struct Kubeconfig {
    clusters: Vec<NamedCluster>,
}

#[derive(Deserialize)]
struct NamedCluster {
    cluster: KubeconfigCluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct KubeconfigCluster {
    server: String,
    certificate_authority_data: Option<String>,
}

pub(super) async fn access(
    cloud: &Inner,
    caller: &Caller,
    request: &ClusterRequest,
    access: &[Access],
) -> Result<ClusterAccess, Error> {
    let token = access.first().ok_or_else(|| Error::invalid("no token"))?.bearer()?;
    let (server, ca) = match (&request.address, &request.ca) {
        (Some(server), Some(ca)) => (server.clone(), ca.clone()),
        _ => {
            let manager = access.get(1).ok_or_else(|| Error::invalid("no token for the resource manager"))?;
            let found = find(cloud, caller, request, manager).await?;
            (request.address.clone().unwrap_or(found.0), request.ca.clone().unwrap_or(found.1))
        }
    };
    Ok(ClusterAccess { server, ca, token: token.token.clone(), expires: token.expires })
}

/// Server and authority of the cluster, as the resource manager tells.
async fn find(
    cloud: &Inner,
    caller: &Caller,
    request: &ClusterRequest,
    access: &Access,
) -> Result<(String, Vec<u8>), Error> {
    let cluster = &request.cluster;
    if !crate::matches(PATTERN, cluster) {
        return Err(Error::invalid(format!("invalid AKS cluster ID: '{cluster}'. must match {PATTERN}")));
    }
    let token = access.bearer()?.token.expose_secret();
    let base = cloud.environment.endpoint(Service::AzureManagement, &manager(cloud)?.0)?;
    let ask = |method: Method, path: &str| {
        let mut url =
            base.join(path).map_err(|_| Error::invalid(format!("'{cluster}' cannot be in a URL")))?;
        url.query_pairs_mut().append_pair("api-version", VERSION);
        Ok::<_, Error>(Request::new("Azure Resource Manager", method, url).bearer(token))
    };
    let failed = |error: Error| error.context("failed to describe AKS cluster");
    let described = cloud.send(caller, ask(Method::GET, cluster)?).await.map_err(failed)?;
    if described.json::<Described>().map_err(failed)?.properties.aad_profile.is_none() {
        return Err(Error::invalid(format!(
            "AKS cluster {cluster} does not have Microsoft Entra ID integration enabled; enable it, see \
             https://learn.microsoft.com/en-us/azure/aks/enable-authentication-microsoft-entra-id"
        )));
    }
    let list = ask(Method::POST, &format!("{cluster}/listClusterUserCredential"))?;
    let answer = cloud.send(caller, list.header("content-length", "0")).await?;
    let listed: Listed = answer.json()?;
    let mut addresses = Vec::new();
    for (index, kubeconfig) in listed.kubeconfigs.iter().enumerate() {
        let (server, ca) = read(&kubeconfig.value)
            .ok_or_else(|| Error::answer(&answer.service, format!("failed to parse kubeconfig[{index}]")))?;
        match &request.address {
            Some(wanted) if canonical(wanted)? != canonical(&server)? => {
                addresses.push(format!("'{server}'"))
            }
            _ => return Ok((server, ca)),
        }
    }
    Err(Error::invalid(match &request.address {
        None => format!("no kubeconfig found for AKS cluster {cluster}"),
        Some(wanted) => format!(
            "no kubeconfig found for AKS cluster {cluster} matching the specified address '{wanted}'. cluster \
             addresses: [{}]",
            addresses.join(", ")
        ),
    }))
}

/// Server and authority in a kubeconfig in base64.
fn read(encoded: &str) -> Option<(String, Vec<u8>)> {
    let yaml = String::from_utf8(STANDARD.decode(encoded.as_bytes()).ok()?).ok()?;
    let kubeconfig: Kubeconfig = serde_saphyr::from_str(&yaml).ok()?;
    let cluster = kubeconfig.clusters.into_iter().next()?.cluster;
    let ca = cluster.certificate_authority_data.unwrap_or_default();
    Some((cluster.server, STANDARD.decode(ca.as_bytes()).ok()?))
}

/// `https://host:port` of an address, in lower case.
fn canonical(address: &str) -> Result<String, Error> {
    let text = if address.starts_with("http") { address.to_owned() } else { format!("https://{address}") };
    let url = Url::parse(&text).ok().filter(|url| url.scheme() == "https");
    let url = url.ok_or_else(|| {
        Error::invalid(format!("the Kubernetes API server address '{address}' must use https scheme"))
    })?;
    let port = url.port().unwrap_or(443);
    Ok(format!("https://{}:{port}", url.host_str().unwrap_or_default().to_lowercase()))
}
