//! From the spec and its Secrets to a bucket that can be asked.
//!
//! Keys and messages are those of Flux (`internal/bucket/{minio,gcp,azure}`).

use std::{sync::Arc, time::Duration};

use ferrite_api::source::{Bucket, BucketSts, CloudProvider, StsProvider};
use ferrite_bucket::{AccessKeys, Azure, AzureLogin, Gcs, LdapIdentity, S3, Secret as Hidden};
use ferrite_cloud::{Caller, Cloud, Identity, Kind, Proxy, Redacted, Scope as CloudScope};
use ferrite_runtime::{ObjectKey, workload_identity::WorkloadIdentityError};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt as _;
use reqwest::{Client, Url, redirect::Policy};

use super::{
    Error,
    identity::{CloudKeys, CloudTokens},
};
use crate::{context::Context, credentials, download::Access};

/// To read objects of Google Cloud Storage.
const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";
/// To use Azure's storage.
const AZURE_SCOPE: &str = "https://storage.azure.com/.default";

/// The Secrets that a spec names.
struct Secrets {
    own: Option<Secret>,
    sts: Option<Secret>,
}

pub(super) async fn connect(context: &Context, bucket: &Bucket) -> Result<ferrite_bucket::Bucket, Error> {
    let spec = &bucket.spec;
    let identity = identity(context, bucket).await?;
    let sts = spec.sts.as_ref();
    let secrets = Secrets {
        own: secret(context, bucket, "secret", spec.secret_ref.as_ref().map(|r| &r.name)).await?,
        sts: secret(
            context,
            bucket,
            "STS secret",
            sts.and_then(|sts| sts.secret_ref.as_ref()).map(|r| &r.name),
        )
        .await?,
    };
    let timeout = bucket.timeout().to_std();
    let mut access = Access::anonymous(timeout);
    if let Some(name) = spec.proxy_secret_ref.as_ref().map(|r| &r.name) {
        let found = secret(context, bucket, "proxy URL: secret", Some(name)).await?.unwrap_or_default();
        let wrong = |source| Error::Credentials { what: "proxy URL", source };
        credentials::proxy(&mut access, &found).map_err(wrong)?;
    }
    let mut sts_access = access.clone();
    if let Some(name) = spec.cert_secret_ref.as_ref().map(|r| &r.name) {
        certificates(context, bucket, &mut access, "TLS config", name).await?;
    }
    if let Some(name) = sts.and_then(|sts| sts.cert_secret_ref.as_ref()).map(|r| &r.name) {
        certificates(context, bucket, &mut sts_access, "STS TLS config", name).await?;
    }
    let client = client(&access, timeout)?;
    let cloud = AsWhom { cloud: context.identity.cloud().clone(), identity, proxy: proxy_of(&access) };
    match spec.provider {
        CloudProvider::Generic | CloudProvider::Aws => s3(bucket, client, &sts_access, &secrets, &cloud),
        CloudProvider::Gcp => gcs(context, bucket, client, &secrets, &cloud),
        CloudProvider::Azure => azure(bucket, client, &secrets, &cloud),
    }
}

/// Who asks a cloud for keys and tokens when the Secret holds none.
struct AsWhom {
    cloud: Cloud,
    identity: Identity,
    proxy: Option<Proxy>,
}

impl AsWhom {
    fn caller(&self, identity: Identity) -> Caller {
        Caller { identity, proxy: self.proxy.clone() }
    }

    fn tokens(&self, kind: Kind, identity: Identity, oauth: &str) -> CloudTokens {
        CloudTokens {
            cloud: self.cloud.clone(),
            kind,
            caller: self.caller(identity),
            scope: CloudScope::oauth(oauth),
        }
    }
}

/// The ServiceAccount of the spec, or the controller.
async fn identity(context: &Context, bucket: &Bucket) -> Result<Identity, Error> {
    let spec = &bucket.spec;
    if spec.provider == CloudProvider::Generic || spec.secret_ref.is_some() {
        return Ok(Identity::Controller);
    }
    let account = spec.service_account_name.as_deref();
    let namespace = bucket.namespace().unwrap_or_default();
    let found = context.identity.identity(&namespace, account, "spec.serviceAccountName").await;
    found.map_err(|error| match error {
        WorkloadIdentityError::Disabled { .. } => Error::GateOff,
        other => Error::Login(ferrite_runtime::chain(&other)),
    })
}

fn proxy_of(access: &Access) -> Option<Proxy> {
    let (address, username, password) = access.proxy.clone()?;
    let password = password.map(|password| Redacted::new(password.expose_secret().clone()));
    Some(Proxy { address, username, password })
}

/// No redirects: signatures are for one host, and session tokens are no header that a redirect would drop.
fn client(access: &Access, timeout: Duration) -> Result<Client, Error> {
    let builder = access.builder().map_err(Error::Setting)?;
    let built = builder.redirect(Policy::none()).read_timeout(timeout).build();
    built.map_err(|_| Error::Setting(crate::download::DownloadError::Setting { what: "TLS settings" }))
}

async fn secret(
    context: &Context,
    bucket: &Bucket,
    what: &'static str,
    name: Option<&String>,
) -> Result<Option<Secret>, Error> {
    let Some(name) = name else { return Ok(None) };
    let key = ObjectKey::new(bucket.namespace().unwrap_or_default(), name);
    match context.secret(&key).await {
        Ok(secret) => Ok(Some(secret)),
        Err(problem) => Err(Error::Secret { what, secret: key, problem }),
    }
}

async fn certificates(
    context: &Context,
    bucket: &Bucket,
    access: &mut Access,
    what: &'static str,
    name: &String,
) -> Result<(), Error> {
    let of_what = if what == "TLS config" { "TLS config: secret" } else { "STS TLS config: secret" };
    let found = secret(context, bucket, of_what, Some(name)).await?.unwrap_or_default();
    credentials::certificates(access, &found).map_err(|source| Error::Credentials { what, source })
}

/// A value of a Secret as text; `None` when the key is not there.
fn text(secret: &Secret, key: &str) -> Result<Option<String>, Error> {
    let Some(ByteString(bytes)) = secret.data.as_ref().and_then(|data| data.get(key)) else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes.clone());
    let not_text =
        |_| Error::SecretData(format!("invalid '{}' secret data: '{key}' is not UTF-8", secret.name_any()));
    text.map(Some).map_err(not_text)
}

fn s3(
    bucket: &Bucket,
    client: Client,
    sts_access: &Access,
    secrets: &Secrets,
    cloud: &AsWhom,
) -> Result<ferrite_bucket::Bucket, Error> {
    let spec = &bucket.spec;
    let mut s3 = S3::new(client, &spec.endpoint, spec.insecure, &spec.bucket_name)
        .map_err(|error| Error::Client(Box::new(error)))?;
    if let Some(region) = spec.region.as_deref().filter(|region| !region.is_empty()) {
        s3 = s3.in_region(region);
    }
    let keys = secrets.own.as_ref().map(access_keys).transpose()?;
    if let Some(sts) = &spec.sts {
        check_sts(spec.provider, sts)?;
    }
    let endpoint = spec.sts.as_ref().map(|sts| {
        Url::parse(&sts.endpoint).map_err(|_| Error::StsEndpoint(sts.endpoint.chars().take(256).collect()))
    });
    let endpoint = endpoint.transpose()?;
    let user = secrets.sts.as_ref().map(directory_user).transpose()?;
    Ok(ferrite_bucket::Bucket::S3(match (keys, spec.provider, endpoint) {
        (Some(Some(keys)), ..) => s3.with_keys(keys),
        // Keys of which one is empty are none, as in Flux.
        (Some(None), ..) => s3,
        (None, CloudProvider::Aws, endpoint) => {
            let region = spec.region.clone().filter(|region| !region.is_empty());
            let sts_endpoint = endpoint.map(|endpoint| endpoint.to_string());
            let scope = CloudScope { region, sts_endpoint, oauth: None };
            let caller = cloud.caller(cloud.identity.clone());
            s3.with_keys(CloudKeys { cloud: cloud.cloud.clone(), caller, scope })
        }
        (None, _, Some(endpoint)) => {
            let (username, password) = user.unwrap_or_default();
            let timeout = bucket.timeout().to_std();
            s3.with_keys(LdapIdentity::new(self::client(sts_access, timeout)?, endpoint, username, password))
        }
        (None, _, None) => s3,
    }))
}

/// What [`check_sts`] has to say is said by the CRD's rules already, unless somebody runs with older ones.
fn check_sts(provider: CloudProvider, sts: &BucketSts) -> Result<(), Error> {
    let refuse = |problem: String| Err(Error::Sts(problem));
    let not_required = |field: &str| format!("spec.sts.{field} is not required for the 'aws' STS provider");
    match (provider, sts.provider) {
        (CloudProvider::Aws, StsProvider::Aws) if sts.secret_ref.is_some() => {
            refuse(not_required("secretRef"))
        }
        (CloudProvider::Aws, StsProvider::Aws) if sts.cert_secret_ref.is_some() => {
            refuse(not_required("certSecretRef"))
        }
        (CloudProvider::Aws, StsProvider::Aws) | (CloudProvider::Generic, StsProvider::Ldap) => Ok(()),
        (provider @ (CloudProvider::Aws | CloudProvider::Generic), sts) => refuse(format!(
            "STS provider '{}' is not supported for '{}' bucket provider",
            sts.as_str(),
            provider.as_str()
        )),
        (provider @ (CloudProvider::Gcp | CloudProvider::Azure), _) => {
            refuse(format!("STS configuration is not supported for '{}' bucket provider", provider.as_str()))
        }
    }
}

fn access_keys(secret: &Secret) -> Result<Option<AccessKeys>, Error> {
    match (text(secret, "accesskey")?, text(secret, "secretkey")?) {
        (Some(id), Some(key)) if id.is_empty() || key.is_empty() => Ok(None),
        (Some(id), Some(key)) => Ok(Some(AccessKeys::new(id, key))),
        _ => Err(Error::SecretData(format!(
            "invalid '{}' secret data: required fields 'accesskey' and 'secretkey'",
            secret.name_any()
        ))),
    }
}

fn directory_user(secret: &Secret) -> Result<(String, String), Error> {
    let set = |value: Option<String>| value.filter(|text| !text.is_empty());
    match (set(text(secret, "username")?), set(text(secret, "password")?)) {
        (Some(username), Some(password)) => Ok((username, password)),
        _ => Err(Error::SecretData(format!(
            "invalid '{}' secret data for 'ldap' STS provider: required fields username, password",
            secret.name_any()
        ))),
    }
}

fn gcs(
    context: &Context,
    bucket: &Bucket,
    client: Client,
    secrets: &Secrets,
    cloud: &AsWhom,
) -> Result<ferrite_bucket::Bucket, Error> {
    // As with Google's own clients, the endpoint of the spec is not asked: whoever may write it could otherwise have
    // tokens of this controller sent to himself.
    let emulator = context.storage_emulator.as_deref();
    let gcs = Gcs::new(client, emulator, &bucket.spec.bucket_name)
        .map_err(|error| Error::Client(Box::new(error)))?;
    let identity = match &secrets.own {
        Some(secret) => Identity::GoogleCredentials(Redacted::new(service_account_key(secret)?.into_bytes())),
        None => cloud.identity.clone(),
    };
    Ok(ferrite_bucket::Bucket::Gcs(match emulator {
        Some(_) => gcs,
        None => gcs.with_tokens(cloud.tokens(Kind::Gcp, identity, GOOGLE_SCOPE)),
    }))
}

fn service_account_key(secret: &Secret) -> Result<String, Error> {
    let wrong =
        |problem: &str| Error::SecretData(format!("invalid '{}' secret data: {problem}", secret.name_any()));
    let key = text(secret, "serviceaccount")?.ok_or_else(|| wrong("required fields 'serviceaccount'"))?;
    let json: serde_json::Value =
        serde_json::from_str(&key).map_err(|_| wrong("failed to parse 'serviceaccount' as JSON"))?;
    if json["type"] != "service_account" {
        return Err(wrong(
            "'serviceaccount' must contain a service account key with 'type' set to 'service_account'",
        ));
    }
    Ok(key)
}

fn azure(
    bucket: &Bucket,
    client: Client,
    secrets: &Secrets,
    cloud: &AsWhom,
) -> Result<ferrite_bucket::Bucket, Error> {
    let spec = &bucket.spec;
    let login = match &secrets.own {
        Some(secret) => azure_login(secret, cloud)?,
        // Tokens go over TLS only; an emulator has none.
        None if spec.endpoint.starts_with("http://") => AzureLogin::Anonymous,
        None => bearer(cloud, cloud.identity.clone()),
    };
    let azure = Azure::new(client, &spec.endpoint, &spec.bucket_name, login)
        .map_err(|error| Error::Client(Box::new(error)))?;
    Ok(ferrite_bucket::Bucket::Azure(azure))
}

fn bearer(cloud: &AsWhom, identity: Identity) -> AzureLogin {
    AzureLogin::Bearer(Arc::new(cloud.tokens(Kind::Azure, identity, AZURE_SCOPE)))
}

/// The first login that the Secret has the keys of, in Flux's order.
fn azure_login(secret: &Secret, cloud: &AsWhom) -> Result<AzureLogin, Error> {
    let name = secret.name_any();
    let get = |key| text(secret, key);
    let set = |key| Ok::<_, Error>(get(key)?.filter(|text| !text.is_empty()));
    let authority = set("authorityHost")?;
    if let Some(client) = get("clientId")? {
        let identity = match (get("tenantId")?, set("clientSecret")?, set("clientCertificate")?) {
            (Some(tenant), Some(secret), _) => {
                Identity::AzureClientSecret { tenant, client, secret: Redacted::new(secret), authority }
            }
            (Some(tenant), None, Some(pem)) => {
                let send_chain = get("clientCertificateSendChain")?;
                let send_chain =
                    send_chain.is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"));
                let pem = Redacted::new(pem.into_bytes());
                Identity::AzureClientCertificate { tenant, client, pem, send_chain, authority }
            }
            _ => Identity::AzureManaged { client },
        };
        return Ok(bearer(cloud, identity));
    }
    if let Some(key) = get("accountKey")? {
        return Ok(AzureLogin::SharedKey(Hidden::new(key)));
    }
    if let Some(signature) = get("sasKey")? {
        return Ok(AzureLogin::SharedAccess(Hidden::new(signature)));
    }
    if authority.is_some() {
        return Ok(bearer(cloud, cloud.identity.clone()));
    }
    Err(Error::SecretData(format!(
        "invalid '{name}' secret data: requires a 'clientId' or 'accountKey' field, a combination of 'tenantId', \
         'clientId' and 'clientSecret', or 'tenantId', 'clientId' and 'clientCertificate'"
    )))
}
