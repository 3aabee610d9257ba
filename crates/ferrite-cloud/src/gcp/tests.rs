use ferrite_testkit::{Delivery, answer};
use http::Response;
use rsa::pkcs8::EncodePrivateKey as _;
use serde_json::json;

use crate::{
    Caller, ClusterRequest, Identity, Kind, Scope,
    fixture::{CANARY, Fixture, account, chain},
};

const PROVIDER: &str = "projects/1/locations/global/workloadIdentityPools/pool/providers/flux";

fn script(request: &Delivery) -> Response<Vec<u8>> {
    let path = request.path.split('?').next().unwrap();
    match path {
        "/computeMetadata/v1/project/project-id" => answer(200, "acme"),
        "/computeMetadata/v1/instance/attributes/cluster-location" => answer(200, "europe-west1"),
        "/computeMetadata/v1/instance/attributes/cluster-name" => answer(200, "prod"),
        "/computeMetadata/v1/instance/service-accounts/default/token" => {
            assert_eq!(request.headers["metadata-flavor"], "Google");
            answer(200, r#"{"access_token":"node-canary-7f3a","expires_in":3599,"token_type":"Bearer"}"#)
        }
        // The token service and the exchange.
        "/" | "/token" => answer(200, r#"{"access_token":"federated-canary-7f3a","expires_in":3600}"#),
        "/v1/projects/-/serviceAccounts/puller@acme.iam.gserviceaccount.com:generateAccessToken" => {
            assert_eq!(request.headers["authorization"], "Bearer federated-canary-7f3a");
            answer(200, r#"{"accessToken":"impersonated-canary-7f3a","expireTime":"2026-01-02T04:04:05Z"}"#)
        }
        "/v1/projects/acme/locations/europe-west1/clusters/prod" => {
            answer(200, r#"{"endpoint":"10.1.2.3","masterAuth":{"clusterCaCertificate":"Q0E="}}"#)
        }
        _ => answer(404, r#"{"error":{"code":404,"message":"not here","status":"NOT_FOUND"}}"#),
    }
}

#[tokio::test]
async fn the_node_has_a_token_for_registries() {
    let fixture = Fixture::new(&[], script).await;
    let me = Caller::default();
    let login = fixture.cloud.registry(Kind::Gcp, &me, "europe-docker.pkg.dev/acme/apps").await.unwrap();
    assert_eq!(login.username, "oauth2accesstoken");
    assert_eq!(login.password.expose_secret(), "node-canary-7f3a");
    assert_eq!(
        fixture.server.lines(),
        ["GET /computeMetadata/v1/instance/service-accounts/default/token?scopes=\
          https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform%2Chttps%3A%2F%2Fwww.googleapis.com%2Fauth%2Fuserinfo.email"]
    );
    let error = fixture.cloud.registry(Kind::Gcp, &me, "ghcr.io/acme").await.unwrap_err();
    assert!(error.to_string().starts_with("invalid GCP registry: 'ghcr.io'. must match ^"));
}

#[tokio::test]
async fn a_service_account_is_federated_and_impersonates() {
    let fixture = Fixture::new(&[], script).await;
    let (caller, _) = account(&[
        ("gcp.auth.fluxcd.io/workload-identity-provider", PROVIDER),
        ("iam.gke.io/gcp-service-account", "puller@acme.iam.gserviceaccount.com"),
    ]);
    let token = fixture.cloud.token(Kind::Gcp, &caller, &Scope::default()).await.unwrap();
    assert_eq!(token.token.expose_secret(), "impersonated-canary-7f3a");
    let form = fixture.form(0);
    assert_eq!(form[1].1, format!("//iam.googleapis.com/{PROVIDER}"));
    assert_eq!(form[4].1, format!("{CANARY} 0 for //iam.googleapis.com/{PROVIDER}"));
}

#[tokio::test]
async fn without_a_provider_the_cluster_is_its_own() {
    let fixture = Fixture::new(&[], script).await;
    let (caller, _) = account(&[]);
    let token = fixture.cloud.token(Kind::Gcp, &caller, &Scope::default()).await.unwrap();
    assert_eq!(token.token.expose_secret(), "federated-canary-7f3a");
    let form = fixture.form(fixture.server.lines().len() - 1);
    assert_eq!(
        form[1].1,
        "identitynamespace:acme.svc.id.goog:https://container.googleapis.com/v1/projects/acme/locations/europe-west1/clusters/prod"
    );
    assert_eq!(form[4].1, format!("{CANARY} 0 for acme.svc.id.goog"));
}

#[tokio::test]
async fn credentials_files_of_each_type_are_exchanged() {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let pem = key.to_pkcs8_pem(rsa::pkcs8::LineEnding::LF).unwrap().to_string();
    let fixture = Fixture::new(&[], script).await;
    let url = fixture.server.url();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token.json");
    fs_err::write(&file, format!(r#"{{"jwt":"{CANARY}"}}"#)).unwrap();
    let ask = async |json: serde_json::Value| {
        let identity = Identity::GoogleCredentials(json.to_string().into_bytes().into());
        fixture.cloud.token(Kind::Gcp, &identity.into(), &Scope::oauth("scope-a")).await
    };
    let service = json!({ "type": "service_account", "client_email": "a@b", "private_key": pem,
        "private_key_id": "k1", "token_uri": format!("{url}/token") });
    assert_eq!(ask(service).await.unwrap().token.expose_secret(), "federated-canary-7f3a");
    let assertion = fixture.form(0)[1].1.clone();
    let parts: Vec<&str> = assertion.split('.').collect();
    let decode = |part: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()
    };
    let claims: serde_json::Value = serde_json::from_slice(&decode(parts[1])).unwrap();
    assert_eq!(claims["scope"], "scope-a");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    let verifying = rsa::pkcs1v15::VerifyingKey::<rsa::sha2::Sha256>::new(key.to_public_key());
    let signature = rsa::pkcs1v15::Signature::try_from(decode(parts[2]).as_slice()).unwrap();
    let signed = format!("{}.{}", parts[0], parts[1]);
    rsa::signature::Verifier::verify(&verifying, signed.as_bytes(), &signature).unwrap();

    let external = json!({ "type": "external_account", "audience": "aud", "subject_token_type": "t",
        "token_url": format!("{url}/token"),
        "credential_source": { "file": file, "format": { "type": "json", "subject_token_field_name": "jwt" } } });
    ask(external.clone()).await.unwrap();
    assert_eq!(fixture.form(1)[4], ("subject_token".to_owned(), CANARY.to_owned()));
    let mut plain = external;
    plain["token_url"] = json!("http://sts.example/token");
    assert!(
        chain(&ask(plain).await.unwrap_err())
            .contains("token_url in the Google credentials must be an https URL")
    );
    let user =
        json!({ "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r" });
    ask(user).await.unwrap();
    let wrong = ask(json!({ "type": "service_account", "private_key": CANARY })).await.unwrap_err();
    assert!(wrong.is_permanent() && !chain(&wrong).contains("canary"), "{}", chain(&wrong));
    let key = json!({ "type": "service_account", "client_email": "a@b", "private_key": CANARY });
    assert!(
        chain(&ask(key).await.unwrap_err())
            .contains("cannot use the private key of the Google service account")
    );
}

#[tokio::test]
async fn a_cluster_is_described() {
    let fixture = Fixture::new(&[], script).await;
    let cluster = "projects/acme/locations/europe-west1/clusters/prod".to_owned();
    let mut request = ClusterRequest { cluster, ..ClusterRequest::default() };
    let me = Caller::default();
    let access = fixture.cloud.cluster(Kind::Gcp, &me, &request).await.unwrap();
    assert_eq!((access.server.as_str(), access.ca.as_slice()), ("https://10.1.2.3", b"CA".as_slice()));
    request.cluster = "projects/acme/locations/x/clusters/y".to_owned();
    let error = fixture.cloud.cluster(Kind::Gcp, &me, &request).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "failed to describe GKE cluster 'projects/acme/locations/x/clusters/y': Google Kubernetes Engine at 127.0.0.1 \
         answered 404: NOT_FOUND: not here"
    );
}
