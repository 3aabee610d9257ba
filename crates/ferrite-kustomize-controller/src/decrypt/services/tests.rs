use std::collections::BTreeMap;

use ferrite_cloud::{
    AwsCredentials, CacheLimits, Cloud,
    sigv4::{Path, Payload, Signing, sign},
};
use ferrite_testkit::{Delivery, ScriptedServer, answer};
use kube::client::Body;

use super::*;

const KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

fn keys() -> AwsCredentials {
    AwsCredentials {
        access_key_id: "AKID".to_owned(),
        secret_access_key: Redacted::new("aws-secret".to_owned()),
        session_token: None,
        expires: None,
    }
}

/// Every service at one address, each with its own path.
fn script(request: &Delivery) -> http::Response<Vec<u8>> {
    let plain = STANDARD.encode(KEY);
    let header =
        |name: &str| request.headers.get(name).map_or("", |value| value.to_str().unwrap_or_default());
    let reply = |granted: bool, body: Value| {
        if granted {
            answer(200, body.to_string())
        } else {
            answer(403, json!({"message": "not granted"}).to_string())
        }
    };
    match request.path.as_str() {
        "/" if header("x-amz-target") == "TrentService.Decrypt" => reply(true, json!({"Plaintext": plain})),
        "/sts" => answer(
            200,
            "<AssumeRoleResponse><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
             <SessionToken>t</SessionToken></Credentials></AssumeRoleResponse>",
        ),
        "/v1/projects/p/locations/l/keyRings/r/cryptoKeys/k:decrypt" => {
            reply(header("authorization") == "Bearer gcp-token", json!({"plaintext": plain}))
        }
        "/keys/name/version/decrypt?api-version=7.4" => reply(
            header("authorization") == "Bearer azure-token",
            json!({"value": URL_SAFE_NO_PAD.encode(KEY)}),
        ),
        "/v1/team/transit/decrypt/key" => {
            reply(header("x-vault-token") == "vault-token", json!({"data": {"plaintext": plain}}))
        }
        path if path.starts_with("/computeMetadata/v1/instance/service-accounts/default/token") => {
            reply(true, json!({"access_token": "gcp-token", "expires_in": 3600, "token_type": "Bearer"}))
        }
        "/tenant/oauth2/v2.0/token" => {
            reply(true, json!({"access_token": "azure-token", "expires_in": 3600, "token_type": "Bearer"}))
        }
        _ => answer(404, "{}"),
    }
}

fn services(server: &str, stored: Stored) -> Services {
    let mut variables = BTreeMap::new();
    for (name, value) in [
        ("AWS_ENDPOINT_URL_KMS", format!("{server}/")),
        ("AWS_ENDPOINT_URL_STS", format!("{server}/sts")),
        ("GCE_METADATA_HOST", server.to_owned()),
        ("AZURE_AUTHORITY_HOST", server.to_owned()),
    ] {
        variables.insert(name.to_owned(), value);
    }
    let environment = Environment::new(variables);
    let cloud = Cloud::new(environment.clone(), CacheLimits::default());
    let nobody = tower::service_fn(|_: http::Request<Body>| async {
        Err::<http::Response<Body>, _>(std::io::Error::other("there is no cluster"))
    });
    let identity = WorkloadIdentity::new(kube::Client::new(nobody, "default"), cloud, false, None);
    let shared = Shared::new(identity, environment, None).unwrap().at(server);
    Services { shared, stored, namespace: "shop".to_owned(), account: None }
}

fn stored() -> Stored {
    Stored {
        vault_token: Some(Redacted::new("vault-token".to_owned())),
        aws: Some(Identity::AwsKeys(keys())),
        azure: Some(Identity::AzureClientSecret {
            tenant: "tenant".to_owned(),
            client: "client".to_owned(),
            secret: Redacted::new("azure-secret".to_owned()),
            authority: None,
        }),
        gcp: None,
    }
}

fn key(kind: MasterKeyKind) -> MasterKey {
    MasterKey { kind, encrypted: STANDARD.encode("sealed") }
}

fn aws_key(arn: &str, role: &str) -> MasterKeyKind {
    let context = std::iter::once(("env".to_owned(), "prod".to_owned())).collect();
    MasterKeyKind::AwsKms { arn: arn.to_owned(), role: role.to_owned(), context }
}

fn gcp_key(id: &str) -> MasterKeyKind {
    MasterKeyKind::GcpKms { resource_id: id.to_owned() }
}

fn azure_key(vault: &str) -> MasterKeyKind {
    MasterKeyKind::AzureKeyVault {
        vault_url: vault.to_owned(),
        name: "name".to_owned(),
        version: "version".to_owned(),
    }
}

fn vault_key(address: &str) -> MasterKeyKind {
    MasterKeyKind::Vault {
        address: address.to_owned(),
        engine_path: "team/transit".to_owned(),
        key_name: "key".to_owned(),
    }
}

const ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/abc";
const GCP: &str = "projects/p/locations/l/keyRings/r/cryptoKeys/k";

#[tokio::test]
async fn every_service_opens_its_key() {
    let server = ScriptedServer::start(script).await.unwrap();
    let services = services(&server.url(), stored());
    for kind in
        [aws_key(ARN, ""), gcp_key(GCP), azure_key("https://v.vault.azure.net"), vault_key(&server.url())]
    {
        let opened =
            services.open(&key(kind.clone())).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(opened.as_slice(), KEY, "{kind}");
    }
}

#[tokio::test]
async fn requests_to_aws_are_signed_and_hold_the_context() {
    let server = ScriptedServer::start(script).await.unwrap();
    let services = services(&server.url(), stored());
    services.open(&key(aws_key(ARN, ""))).await.unwrap();
    let request = server.received().pop().unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        json!({"KeyId": ARN, "CiphertextBlob": STANDARD.encode("sealed"), "EncryptionContext": {"env": "prod"}})
    );
    let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
    let signed = Signing {
        method: "POST",
        url: &Url::parse(&format!("{}/", server.url())).unwrap(),
        headers: &[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "TrentService.Decrypt")],
        payload: Payload::Bytes(&request.body),
        region: "eu-west-1",
        service: "kms",
        path: Path::Normal,
    };
    let date = header("x-amz-date");
    let at = jiff::fmt::strtime::parse("%Y%m%dT%H%M%S%z", date.replace('Z', "+0000"))
        .unwrap()
        .to_timestamp()
        .unwrap();
    let expected = sign(&keys(), &signed, at);
    let (_, authorization) = expected.iter().find(|(name, _)| *name == "authorization").unwrap();
    assert_eq!(&header("authorization"), authorization.expose_secret());
}

#[tokio::test]
async fn a_role_is_assumed_first() {
    let server = ScriptedServer::start(script).await.unwrap();
    let services = services(&server.url(), stored());
    services.open(&key(aws_key(ARN, "arn:aws:iam::111122223333:role/sops"))).await.unwrap();
    let requests = server.received();
    let body = String::from_utf8(requests[0].body.to_vec()).unwrap();
    assert!(body.starts_with("Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam"), "{body}");
    let header = |name: &str| requests[1].headers[name].to_str().unwrap();
    assert_eq!(header("x-amz-security-token"), "t");
    assert!(header("authorization").starts_with("AWS4-HMAC-SHA256 Credential=ASIA/"));
}

#[tokio::test]
async fn tokens_of_a_cloud_go_to_that_cloud_only() {
    let server = ScriptedServer::start(script).await.unwrap();
    let services = services(&server.url(), stored());
    for (kind, expect) in [
        (azure_key("https://evil.example.com"), "its address is none of Azure Key Vault"),
        (azure_key("https://vault.azure.net.evil.com"), "its address is none of Azure Key Vault"),
        (azure_key("https://evilvault.azure.net"), "its address is none of Azure Key Vault"),
        (azure_key("http://v.vault.azure.net"), "its address is none of Azure Key Vault"),
        (azure_key("https://u:p@v.vault.azure.net"), "its address is no URL"),
        (gcp_key("projects/p/../../x"), "its resource id is none of Google Cloud KMS"),
        (
            gcp_key("projects/p/locations/l/keyRings/r/cryptoKeys/k?x=y"),
            "its resource id is none of Google Cloud KMS",
        ),
        (aws_key("arn:aws:kms:evil.com/#:1:key/x", ""), "its ARN is none of AWS KMS"),
        (aws_key("arn:aws:s3:eu-west-1:1:key/x", ""), "its ARN is none of AWS KMS"),
        (aws_key(ARN, "role"), "its role is no ARN of an IAM role"),
        (vault_key("file:///etc/passwd"), "its address is no URL"),
    ] {
        let error = services.open(&key(kind.clone())).await.unwrap_err();
        assert_eq!(error.to_string(), expect, "{kind}");
    }
    assert_eq!(server.lines(), Vec::<String>::new(), "nobody was asked");
}

#[tokio::test]
async fn refusals_are_told_without_secrets() {
    let server = ScriptedServer::start(|_| answer(400, r#"{"message": "no such key"}"#)).await.unwrap();
    let with_keys = services(&server.url(), stored());
    let error = with_keys.open(&key(aws_key(ARN, ""))).await.unwrap_err().to_string();
    assert_eq!(error, "AWS KMS answered 400: no such key");
    let error = with_keys.open(&key(vault_key(&server.url()))).await.unwrap_err().to_string();
    assert_eq!(error, "Vault answered 400: no such key");
    let error = with_keys.open(&key(azure_key("https://v.vault.azure.net"))).await.unwrap_err().to_string();
    assert!(!error.contains("azure-secret"), "{error}");
    let without = services(&server.url(), Stored::default());
    let error = without.open(&key(vault_key(&server.url()))).await.unwrap_err().to_string();
    assert_eq!(error, "no Vault token is configured (sops.vault-token)");
}
