//! AWS KMS: `Decrypt`, signed, in the region of the key, as a role where the file says so.

use std::{collections::BTreeMap, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ferrite_cloud::{
    AwsCredentials, Caller, Redacted, Scope,
    sigv4::{Path, Payload, Signing, sign},
};
use ferrite_runtime::chain;
use ferrite_sops::KeyError;
use jiff::Timestamp;
use regex::Regex;
use serde_json::json;

use super::services::{Services, decoded, exchange, send, url};

static ARN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^arn:(aws[\w-]*):kms:([a-z0-9-]+):[0-9]+:(?:key|alias)/.+$").ok());
static ROLE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^arn:aws[\w-]*:iam::[0-9]+:role/[\w+=,.@/-]+$").ok());

pub(super) async fn decrypt(
    services: &Services,
    caller: &Caller,
    arn: &str,
    role: &str,
    context: &BTreeMap<String, String>,
    encrypted: &str,
) -> Result<Vec<u8>, KeyError> {
    let parts = ARN.as_ref().and_then(|pattern| pattern.captures(arn));
    let group = |index: usize| parts.as_ref().and_then(|parts| parts.get(index)).map(|part| part.as_str());
    let (Some(partition), Some(region)) = (group(1), group(2)) else {
        return Err(KeyError::Malformed("its ARN is none of AWS KMS".to_owned()));
    };
    STANDARD
        .decode(encrypted)
        .map_err(|_| KeyError::Malformed("the encrypted data key is no base64".to_owned()))?;
    let keys = services.shared.identity.cloud().aws(caller, &Scope::region(region)).await;
    let mut keys = keys.map_err(|error| KeyError::Service(chain(&error)))?;
    if !role.is_empty() {
        keys = assume(services, &keys, role, region, partition).await?;
    }
    let body = json!({"CiphertextBlob": encrypted, "EncryptionContext": context, "KeyId": arn}).to_string();
    let address = url(&endpoint(services, "kms", "AWS_ENDPOINT_URL_KMS", region, partition))?;
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "TrentService.Decrypt")];
    let signing = Signing {
        method: "POST",
        url: &address,
        headers: &headers,
        payload: Payload::Bytes(body.as_bytes()),
        region,
        service: "kms",
        path: Path::Normal,
    };
    let mut request = services.shared.http.post(address.clone());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    for (name, value) in sign(&keys, &signing, Timestamp::now()) {
        request = request.header(name, value.expose_secret());
    }
    let answer = send(request.body(body), "AWS KMS").await?;
    decoded(answer.pointer("/Plaintext"), "AWS KMS")
}

fn endpoint(services: &Services, service: &str, variable: &str, region: &str, partition: &str) -> String {
    let given = services.shared.environment.get(variable);
    let given = given.or_else(|| services.shared.environment.get("AWS_ENDPOINT_URL"));
    let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    given.map_or_else(|| format!("https://{service}.{region}.{domain}/"), str::to_owned)
}

/// Keys of a role, by `AssumeRole`.
async fn assume(
    services: &Services,
    keys: &AwsCredentials,
    role: &str,
    region: &str,
    partition: &str,
) -> Result<AwsCredentials, KeyError> {
    if !ROLE.as_ref().is_some_and(|pattern| pattern.is_match(role)) {
        return Err(KeyError::Malformed("its role is no ARN of an IAM role".to_owned()));
    }
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("Action", "AssumeRole")
        .append_pair("Version", "2011-06-15")
        .append_pair("RoleArn", role)
        .append_pair("RoleSessionName", "sops@kustomize-controller")
        .finish();
    let address = url(&endpoint(services, "sts", "AWS_ENDPOINT_URL_STS", region, partition))?;
    let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let signing = Signing {
        method: "POST",
        url: &address,
        headers: &headers,
        payload: Payload::Bytes(body.as_bytes()),
        region,
        service: "sts",
        path: Path::Normal,
    };
    let mut request = services.shared.http.post(address.clone());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    for (name, value) in sign(keys, &signing, Timestamp::now()) {
        request = request.header(name, value.expose_secret());
    }
    let (status, answer) = exchange(request.body(body), "AWS STS").await?;
    if status != 200 {
        return Err(KeyError::Service(format!("AWS STS answered {status} to AssumeRole")));
    }
    let text = String::from_utf8_lossy(&answer);
    let part = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(value, _)| value.trim().to_owned())
    };
    match (part("AccessKeyId"), part("SecretAccessKey"), part("SessionToken")) {
        (Some(id), Some(secret), Some(token)) => Ok(AwsCredentials {
            access_key_id: id,
            secret_access_key: Redacted::new(secret),
            session_token: Some(Redacted::new(token)),
            expires: None,
        }),
        _ => Err(KeyError::Service("AWS STS answered no keys to AssumeRole".to_owned())),
    }
}
