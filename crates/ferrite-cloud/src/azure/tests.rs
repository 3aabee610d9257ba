use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ferrite_testkit::{Delivery, answer};
use http::Response;

use crate::{
    Caller, ClusterRequest, GitLogin, Identity, Kind, Scope,
    fixture::{CANARY, Fixture, account, chain},
};

const SCOPE: &str = "https://vault.azure.net/.default";
const CLUSTER: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/prod";

fn script(request: &Delivery) -> Response<Vec<u8>> {
    let path = request.path.split('?').next().unwrap();
    match path {
        "/tenant-1/oauth2/v2.0/token" => {
            answer(200, r#"{"token_type":"Bearer","expires_in":3599,"access_token":"entra-canary-7f3a"}"#)
        }
        "/metadata/identity/oauth2/token" => {
            assert_eq!(request.headers["metadata"], "true");
            answer(
                200,
                r#"{"access_token":"node-canary-7f3a","expires_in":"86399","expires_on":"1767409444"}"#,
            )
        }
        "/oauth2/exchange" => {
            let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":1767333845}"#);
            answer(200, format!(r#"{{"refresh_token":"h.{claims}.canary-7f3a"}}"#))
        }
        CLUSTER => answer(200, r#"{"properties":{"aadProfile":{}}}"#),
        path if path.ends_with("/listClusterUserCredential") => {
            let yaml = "clusters:\n- name: prod\n  cluster:\n    server: https://aks.example:443\n    certificate-authority-data: Q0E=\n";
            answer(200, format!(r#"{{"kubeconfigs":[{{"name":"u","value":"{}"}}]}}"#, STANDARD.encode(yaml)))
        }
        _ => answer(
            400,
            r#"{"error":"unauthorized_client","error_description":"AADSTS700016: no canary-7f3a"}"#,
        ),
    }
}

fn federated() -> Caller {
    account(&[
        ("azure.workload.identity/tenant-id", "tenant-1"),
        ("azure.workload.identity/client-id", "app-1"),
    ])
    .0
}

#[tokio::test]
async fn a_service_account_logs_in_to_a_registry() {
    let fixture = Fixture::new(&[], script).await;
    let login = fixture.cloud.registry(Kind::Azure, &federated(), "acme.azurecr.io/apps/web").await.unwrap();
    assert_eq!(login.username, "00000000-0000-0000-0000-000000000000");
    assert_eq!(login.expires.to_string(), "2026-01-02T06:04:05Z");
    assert_eq!(fixture.server.lines(), ["POST /tenant-1/oauth2/v2.0/token", "POST /oauth2/exchange"]);
    let text = |fields: Vec<(String, String)>| {
        fields.into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>()
    };
    assert_eq!(
        text(fixture.form(0)),
        [
            "grant_type=client_credentials",
            "client_id=app-1",
            "scope=https://containerregistry.azure.net/.default",
            "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion=canary-7f3a 0 for api://AzureADTokenExchange",
        ]
    );
    assert_eq!(
        text(fixture.form(1)),
        ["grant_type=access_token", "service=acme.azurecr.io", "access_token=entra-canary-7f3a"]
    );
    let error = fixture.cloud.registry(Kind::Azure, &federated(), "azurecr.io.evil/x").await.unwrap_err();
    assert!(error.to_string().starts_with("invalid Azure registry: 'azurecr.io.evil'"), "{error}");
}

#[tokio::test]
async fn the_controller_is_found_in_fluxs_order() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs_err::write(&file, CANARY).unwrap();
    let file = file.to_str().unwrap();
    let ask = async |variables: &[(&str, &str)]| {
        let fixture = Fixture::new(variables, script).await;
        let token = fixture.cloud.token(Kind::Azure, &Caller::default(), &Scope::oauth(SCOPE)).await.unwrap();
        assert!(!format!("{token:?}").contains("canary"));
        fixture
    };
    let application = [("AZURE_TENANT_ID", "tenant-1"), ("AZURE_CLIENT_ID", "app-1")];
    let secret = [application[0], application[1], ("AZURE_CLIENT_SECRET", CANARY)];
    assert_eq!(ask(&secret).await.form(0)[3], ("client_secret".to_owned(), CANARY.to_owned()));
    let workload = [application[0], application[1], ("AZURE_FEDERATED_TOKEN_FILE", file)];
    assert_eq!(ask(&workload).await.form(0)[4], ("client_assertion".to_owned(), CANARY.to_owned()));
    let node = ask(&[("AZURE_CLIENT_ID", "app-1")]).await;
    assert_eq!(
        node.server.lines(),
        [
            "GET /metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net&client_id=app-1"
        ]
    );
}

#[tokio::test]
async fn a_certificate_signs_its_statement() {
    let fixture = Fixture::new(&[], script).await;
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let pem = rsa::pkcs8::EncodePrivateKey::to_pkcs8_pem(&key, rsa::pkcs8::LineEnding::LF).unwrap();
    let certificate = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n";
    let identity = Identity::AzureClientCertificate {
        tenant: "tenant-1".to_owned(),
        client: "app-1".to_owned(),
        pem: format!("{certificate}{}", pem.as_str()).into_bytes().into(),
        send_chain: true,
        authority: None,
    };
    fixture.cloud.token(Kind::Azure, &identity.into(), &Scope::oauth(SCOPE)).await.unwrap();
    let assertion = fixture.form(0)[4].1.clone();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let parts: Vec<&str> = assertion.split('.').collect();
    let header: serde_json::Value = serde_json::from_slice(&decode(parts[0])).unwrap();
    assert_eq!(header["x5c"], serde_json::json!(["QUJD"]));
    // The SHA-1 of "ABC".
    assert_eq!(header["x5t"], "PAG9uybzWLqyfyZ5JKosmgP8_bg");
    let claims: serde_json::Value = serde_json::from_slice(&decode(parts[1])).unwrap();
    assert_eq!((&claims["iss"], &claims["sub"]), (&"app-1".into(), &"app-1".into()));
}

#[tokio::test]
async fn clusters_and_git_servers_have_their_scopes() {
    let fixture = Fixture::new(&[], script).await;
    let mut request = ClusterRequest { cluster: CLUSTER.to_owned(), ..ClusterRequest::default() };
    let access = fixture.cloud.cluster(Kind::Azure, &federated(), &request).await.unwrap();
    assert_eq!((access.server.as_str(), access.ca.as_slice()), ("https://aks.example:443", b"CA".as_slice()));
    let scopes: Vec<String> = (0..2).map(|index| fixture.form(index)[2].1.clone()).collect();
    assert_eq!(
        scopes,
        ["6dae42f8-4368-4678-94ff-3960e28e3630/.default", "https://management.core.windows.net//.default"]
    );
    request.address = Some("AKS.example".to_owned());
    fixture.cloud.cluster(Kind::Azure, &federated(), &request).await.unwrap();
    request.address = Some("https://other.example".to_owned());
    let error = fixture.cloud.cluster(Kind::Azure, &federated(), &request).await.unwrap_err();
    assert!(chain(&error).ends_with(
        "matching the specified address 'https://other.example'. cluster addresses: ['https://aks.example:443']"
    ));
    let url = "https://dev.azure.com/acme/_git/app".parse().unwrap();
    let login = fixture.cloud.git(Kind::Azure, &federated(), &url).await.unwrap();
    assert!(matches!(login, GitLogin::Bearer(token) if token.token.expose_secret() == "entra-canary-7f3a"));
}

#[tokio::test]
async fn refusals_are_told_without_secrets() {
    let fixture = Fixture::new(&[], script).await;
    let identity = Identity::AzureClientSecret {
        tenant: "tenant-2".to_owned(),
        client: "app-1".to_owned(),
        secret: CANARY.into(),
        authority: None,
    };
    let error = fixture.cloud.token(Kind::Azure, &identity.into(), &Scope::oauth(SCOPE)).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "Microsoft Entra at 127.0.0.1 answered 400: unauthorized_client: AADSTS700016: no ***"
    );
    let (nobody, _) = account(&[("azure.workload.identity/tenant-id", "t")]);
    let error = fixture.cloud.token(Kind::Azure, &nobody, &Scope::oauth(SCOPE)).await.unwrap_err();
    assert!(chain(&error).ends_with(
        "azure client ID is not set in the service account annotation azure.workload.identity/client-id"
    ));
    let keys = Identity::GoogleCredentials(b"{}".to_vec().into());
    let error = fixture.cloud.token(Kind::Azure, &keys.into(), &Scope::oauth(SCOPE)).await.unwrap_err();
    assert_eq!(error.to_string(), "a Google credentials file cannot be used with the provider azure");
}
