//! Credentials of the process, in the order in which the AWS SDKs look for them, and by STS.

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use url::{Host, Url};

use super::{dns_suffix, sts, validate_region};
use crate::{
    AwsCredentials, Caller, Error, Kind, Redacted, Scope,
    cloud::Inner,
    environment::{self, Service},
    wire::{Request, element},
};

/// What STS is shown.
pub(super) struct WebIdentity<'a> {
    pub(super) role: &'a str,
    pub(super) session: &'a str,
    pub(super) token: &'a Redacted<String>,
}

/// Keys as the metadata services give them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    access_key_id: Redacted<String>,
    secret_access_key: Redacted<String>,
    token: Option<Redacted<String>>,
    expiration: Option<Timestamp>,
}

impl<'de> Deserialize<'de> for Redacted<String> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl From<Document> for AwsCredentials {
    fn from(document: Document) -> Self {
        Self {
            access_key_id: document.access_key_id.expose_secret().clone(),
            secret_access_key: document.secret_access_key,
            session_token: document.token,
            expires: document.expiration,
        }
    }
}

/// The controller's own: keys of the environment, web identity (IRSA), a container's endpoint (EKS Pod Identity and
/// ECS), the instance's role (IMDSv2).
pub(super) async fn of_environment(
    cloud: &Inner,
    caller: &Caller,
    scope: &Scope,
) -> Result<AwsCredentials, Error> {
    let env = &cloud.environment;
    let region = scope.region.as_deref().or_else(|| env.get("AWS_REGION"));
    let region = region.ok_or_else(|| Error::NoIdentity {
        kind: Kind::Aws,
        problem:
            "AWS_REGION is not set; with IAM Roles for Service Accounts or EKS Pod Identity it is set in \
                  new pods, so delete the controller's pod, or set it by hand"
                .to_owned(),
    })?;
    if let (Some(id), Some(secret)) = (env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")) {
        return Ok(AwsCredentials {
            access_key_id: id.to_owned(),
            secret_access_key: secret.into(),
            session_token: env.get("AWS_SESSION_TOKEN").map(Into::into),
            expires: None,
        });
    }
    if let (Some(file), Some(role)) = (env.get("AWS_WEB_IDENTITY_TOKEN_FILE"), env.get("AWS_ROLE_ARN")) {
        let token = environment::read_text(file, "web identity token (AWS_WEB_IDENTITY_TOKEN_FILE)").await?;
        let token = Redacted::new(token);
        let session = env.get("AWS_ROLE_SESSION_NAME").unwrap_or("source-controller");
        return assume(cloud, caller, scope, region, &WebIdentity { role, session, token: &token }).await;
    }
    if let Some(found) = of_container(cloud).await? {
        return Ok(found);
    }
    if env.get("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(Error::NoIdentity {
            kind: Kind::Aws,
            problem: "no keys, web identity or container credentials in the environment, and the instance's \
                      metadata are disabled"
                .to_owned(),
        });
    }
    of_instance(cloud).await
}

/// `AssumeRoleWithWebIdentity`, which is not signed.
pub(super) async fn assume(
    cloud: &Inner,
    caller: &Caller,
    scope: &Scope,
    region: &str,
    who: &WebIdentity<'_>,
) -> Result<AwsCredentials, Error> {
    validate_region(region)?;
    let url = sts(cloud, scope, region)?;
    let token = who.token.expose_secret();
    let request = Request::new("AWS STS", Method::POST, url).secret(token).form(&[
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", who.role),
        ("RoleSessionName", &session_name(who.session)),
        ("WebIdentityToken", token),
    ]);
    let service = request.shown();
    let xml = cloud.send(caller, request).await?.text()?;
    let part =
        |name: &str| element(&xml, name).ok_or_else(|| Error::answer(&service, format!("it has no {name}")));
    let expires: Timestamp =
        part("Expiration")?.parse().map_err(|_| Error::answer(&service, "its Expiration is not a time"))?;
    Ok(AwsCredentials {
        access_key_id: part("AccessKeyId")?,
        secret_access_key: part("SecretAccessKey")?.into(),
        session_token: Some(part("SessionToken")?.into()),
        expires: Some(expires),
    })
}

/// Session names have at most 64 characters.
fn session_name(name: &str) -> String {
    name.chars().take(64).collect()
}

/// Credentials of the endpoint that EKS Pod Identity or ECS name.
async fn of_container(cloud: &Inner) -> Result<Option<AwsCredentials>, Error> {
    let env = &cloud.environment;
    let address = match (
        env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    ) {
        (Some(path), _) => format!("http://169.254.170.2{path}"),
        (None, Some(full)) => full.to_owned(),
        (None, None) => return Ok(None),
    };
    let wrong = || {
        Error::invalid(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI must be an https URL, or an http one of this host or of the \
             node's credential endpoints",
        )
    };
    let url = Url::parse(&address).map_err(|_| wrong())?;
    if !may_ask(&url) {
        return Err(wrong());
    }
    let token = match env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => Some(environment::read_text(file, "container authorization token").await?),
        None => env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(str::to_owned),
    };
    let mut request = Request::new("container credentials", Method::GET, url);
    if let Some(token) = &token {
        request = request.header("authorization", token.clone()).secret(token);
    }
    let document: Document = cloud.send_metadata(request).await?.json()?;
    Ok(Some(document.into()))
}

/// Whether a container's credentials may be asked for there: over TLS, or on this node (SDK reference guide).
fn may_ask(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(ip))) => {
            ip.is_loopback() || ["169.254.170.2", "169.254.170.23"].contains(&ip.to_string().as_str())
        }
        ("http", Some(Host::Ipv6(ip))) => ip.is_loopback() || ip.to_string() == "fd00:ec2::23",
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

/// Credentials of the instance's role, by IMDSv2.
async fn of_instance(cloud: &Inner) -> Result<AwsCredentials, Error> {
    let base = cloud.environment.endpoint(Service::AwsMetadata, "http://169.254.169.254")?;
    let at = |path: &str| base.join(path).map_err(|_| Error::invalid("the metadata endpoint is not a URL"));
    let session = Request::new("EC2 metadata", Method::PUT, at("/latest/api/token")?)
        .header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    let session = cloud.send_metadata(session).await?.text()?;
    let get = |path: String| {
        let session = session.clone();
        async move {
            let request = Request::new("EC2 metadata", Method::GET, at(&path)?)
                .header("x-aws-ec2-metadata-token", session);
            cloud.send_metadata(request).await
        }
    };
    let path = "/latest/meta-data/iam/security-credentials/";
    let roles = get(path.to_owned()).await?.text()?;
    let role = roles.lines().next().map(str::trim).filter(|role| !role.is_empty() && !role.contains('/'));
    let role = role.ok_or_else(|| Error::NoIdentity {
        kind: Kind::Aws,
        problem: "the instance has no role".to_owned(),
    })?;
    let document: Document = get(format!("{path}{role}")).await?.json()?;
    Ok(document.into())
}

/// Where the service `name` of `region` is.
pub(super) fn regional(cloud: &Inner, service: Service, name: &str, region: &str) -> Result<Url, Error> {
    validate_region(region)?;
    cloud.environment.endpoint(service, &format!("https://{name}.{region}.{}", dns_suffix(region)))
}
