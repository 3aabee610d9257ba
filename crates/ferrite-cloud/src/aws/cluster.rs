//! Access to EKS clusters: the address by DescribeCluster, the token a signed question to STS.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::Method;
use jiff::SignedDuration;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{Call, call, credentials::regional, sigv4, sts};
use crate::{
    Caller, ClusterAccess, ClusterRequest, Error, Scope, cloud::Inner, environment::Service, provider::Access,
};

/// Flux's `clusterPattern`.
const PATTERN: &str = r"^arn:aws[\w-]*:eks:([^:]{1,100}):[0-9]{1,30}:cluster/(.{1,200})$";
/// What the authenticator of EKS takes before the signed URL.
const PREFIX: &str = "k8s-aws-v1.";
/// How long EKS takes a token.
const LIFE: SignedDuration = SignedDuration::from_mins(15);

/// Region and name of the cluster with this ARN.
pub(super) fn parse(arn: &str) -> Result<(String, String), Error> {
    let parts = crate::captures(PATTERN, arn);
    match parts.as_deref() {
        Some([_, region, name]) => Ok((region.clone(), name.clone())),
        _ => Err(Error::invalid(format!("invalid EKS cluster ARN: '{arn}'. must match {PATTERN}"))),
    }
}

#[derive(Deserialize)]
struct Described {
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    endpoint: String,
    certificate_authority: Authority,
}

#[derive(Deserialize)]
struct Authority {
    data: String,
}

pub(super) async fn access(
    cloud: &Inner,
    caller: &Caller,
    request: &ClusterRequest,
    access: &[Access],
) -> Result<ClusterAccess, Error> {
    let expires = cloud.now().saturating_add(LIFE).unwrap_or_else(|_| cloud.now());
    let keys = access.first().ok_or_else(|| Error::invalid("no credentials"))?.aws()?;
    let (region, name) = parse(&request.cluster)?;
    let (mut server, mut ca) = (request.address.clone(), request.ca.clone());
    if server.is_none() || ca.is_none() {
        let mut url = regional(cloud, Service::AwsEks, "eks", &region)?;
        url.set_path(&format!("/clusters/{}", utf8_percent_encode(&name, NON_ALPHANUMERIC)));
        let ask = Call {
            service: "AWS EKS",
            signing_name: "eks",
            method: Method::GET,
            url,
            region: &region,
            target: None,
            body: None,
        };
        let failed =
            |error: Error| error.context(format!("failed to describe EKS cluster '{}'", request.cluster));
        let answer = call(cloud, caller, keys, ask).await.map_err(failed)?;
        let described: Described = answer.json().map_err(failed)?;
        server = server.or(Some(described.cluster.endpoint));
        if ca.is_none() {
            let decoded = STANDARD.decode(described.cluster.certificate_authority.data.as_bytes());
            ca = Some(decoded.map_err(|_| {
                Error::answer(&answer.service, "the certificate authority of the cluster is not base64")
            })?);
        }
    }
    let scope = Scope { sts_endpoint: request.sts_endpoint.clone(), ..Scope::default() };
    let mut url = sts(cloud, &scope, &region)?;
    url.set_path("/");
    url.query_pairs_mut().append_pair("Action", "GetCallerIdentity").append_pair("Version", "2011-06-15");
    let signing = sigv4::Signing {
        method: "GET",
        url: &url,
        headers: &[("x-k8s-aws-id", &name)],
        payload: sigv4::Payload::Bytes(b""),
        region: &region,
        service: "sts",
        path: sigv4::Path::Normal,
    };
    // The signature is good as long as EKS takes it.
    let url = sigv4::presign(keys, &signing, 900, cloud.now());
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url.expose_secret()));
    Ok(ClusterAccess {
        server: server.unwrap_or_default(),
        ca: ca.unwrap_or_default(),
        token: token.into(),
        expires,
    })
}
