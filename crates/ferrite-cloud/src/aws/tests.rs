use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ferrite_testkit::{Delivery, answer};
use http::Response;

use crate::{
    Caller, ClusterRequest, Error, GitLogin, Identity, Kind, Scope,
    fixture::{CANARY, Fixture, account, chain},
    sigv4,
};

const ROLE: &str = "arn:aws:iam::012345678901:role/puller";
const REGISTRY: &str = "012345678901.dkr.ecr.eu-west-1.amazonaws.com/apps/web";

/// STS, ECR, EKS and the two metadata services.
fn script(request: &Delivery) -> Response<Vec<u8>> {
    let target = request.headers.get("x-amz-target").map_or("", |target| target.to_str().unwrap());
    let path = request.path.split('?').next().unwrap();
    let keys = r#"{"AccessKeyId":"ASIANODE","SecretAccessKey":"canary-7f3a","Token":"canary-7f3a","Expiration":"2026-01-02T09:04:05Z"}"#;
    match (request.method.as_str(), path, target) {
        ("POST", "/", "") => answer(
            200,
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <AccessKeyId>ASIASTS</AccessKeyId><SecretAccessKey>canary-7f3a</SecretAccessKey>\
             <SessionToken>canary-7f3a+/=</SessionToken><Expiration>2026-01-02T04:04:05Z</Expiration>\
             </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        ),
        (_, _, "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken") => {
            let token = STANDARD.encode(format!("AWS:{CANARY}"));
            answer(
                200,
                format!(
                    r#"{{"authorizationData":[{{"authorizationToken":"{token}","expiresAt":1.767366245E9}}]}}"#
                ),
            )
        }
        (_, _, "SpencerFrontendService.GetAuthorizationToken") => {
            let token = STANDARD.encode(format!("AWS:{CANARY}"));
            answer(
                200,
                format!(
                    r#"{{"authorizationData":{{"authorizationToken":"{token}","expiresAt":1767366245}}}}"#
                ),
            )
        }
        ("GET", "/clusters/prod", _) => answer(
            200,
            r#"{"cluster":{"endpoint":"https://eks.example","certificateAuthority":{"data":"Q0E="}}}"#,
        ),
        ("PUT", "/latest/api/token", _) => answer(200, "session"),
        ("GET", "/latest/meta-data/iam/security-credentials/", _) => answer(200, "node-role\n"),
        ("GET", "/latest/meta-data/iam/security-credentials/node-role", _) => answer(200, keys),
        ("GET", "/v1/credentials", _) => answer(200, keys),
        _ => answer(404, ""),
    }
}

/// Whether the request is signed by `keys`, by signing it again.
fn assert_signed(request: &Delivery, url: &str, region: &str, service: &str, token: &str) {
    let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
    let target = header("x-amz-target");
    let keys = crate::AwsCredentials {
        access_key_id: "ASIASTS".to_owned(),
        secret_access_key: CANARY.into(),
        session_token: Some(token.into()),
        expires: None,
    };
    let signing = sigv4::Signing {
        method: request.method.as_str(),
        url: &format!("{url}{}", request.path).parse().unwrap(),
        headers: &[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &target)],
        payload: sigv4::Payload::Bytes(&request.body),
        region,
        service,
        path: sigv4::Path::Normal,
    };
    let at = jiff::fmt::strtime::parse("%Y%m%dT%H%M%SZ", header("x-amz-date")).unwrap();
    let at = at.to_datetime().unwrap().to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    let again = sigv4::sign(&keys, &signing, at);
    let expect = &again.iter().find(|(name, _)| *name == "authorization").unwrap().1;
    assert_eq!(header("authorization"), *expect.expose_secret());
    assert_eq!(header("x-amz-security-token"), token);
}

#[tokio::test]
async fn a_service_account_logs_in_to_a_registry_once() {
    let fixture = Fixture::new(&[], script).await;
    let (caller, minted) = account(&[("eks.amazonaws.com/role-arn", ROLE)]);
    let login = fixture.cloud.registry(Kind::Aws, &caller, REGISTRY).await.unwrap();
    assert_eq!((login.username.as_str(), login.password.expose_secret().as_str()), ("AWS", CANARY));
    assert_eq!(login.expires.to_string(), "2026-01-02T15:04:05Z");
    let form = fixture.form(0);
    let expect = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", ROLE),
        ("RoleSessionName", "puller.apps.eu-west-1.fluxcd.io"),
        ("WebIdentityToken", "canary-7f3a 0 for sts.amazonaws.com"),
    ];
    assert_eq!(form, expect.map(|(k, v)| (k.to_owned(), v.to_owned())));
    let request = &fixture.server.received()[1];
    assert_signed(request, &fixture.server.url(), "eu-west-1", "ecr", "canary-7f3a+/=");

    fixture.cloud.registry(Kind::Aws, &caller, REGISTRY).await.unwrap();
    let other = REGISTRY.replace("012345678901", "999999999999");
    fixture.cloud.registry(Kind::Aws, &caller, &other).await.unwrap();
    assert_eq!(fixture.server.lines(), ["POST /"; 3], "the other registry shares the keys");
    assert_eq!(minted.0.load(Ordering::SeqCst), 1);
    // The cache keeps nothing longer than an hour, and the keys 80 % of theirs.
    fixture.pass(49 * 60);
    fixture.cloud.registry(Kind::Aws, &caller, REGISTRY).await.unwrap();
    assert_eq!(fixture.server.lines().len(), 3);
    fixture.pass(12 * 60);
    fixture.cloud.registry(Kind::Aws, &caller, REGISTRY).await.unwrap();
    assert_eq!((fixture.server.lines().len(), minted.0.load(Ordering::SeqCst)), (5, 2));
    assert_eq!(fixture.cloud.cache_counts().hits, 3);
}

#[tokio::test]
async fn the_public_registry_has_its_own_service_and_region() {
    let fixture = Fixture::new(&[], script).await;
    let (caller, _) = account(&[("eks.amazonaws.com/role-arn", ROLE)]);
    fixture.cloud.registry(Kind::Aws, &caller, "public.ecr.aws/x/app").await.unwrap();
    let request = &fixture.server.received()[1];
    assert_signed(request, &fixture.server.url(), "us-east-1", "ecr-public", "canary-7f3a+/=");
}

#[tokio::test]
async fn the_controller_is_found_in_the_sdks_order() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs_err::write(&file, "canary-7f3a\n").unwrap();
    let file = file.to_str().unwrap();
    let region = ("AWS_REGION", "eu-west-1");
    let me = Caller::default();
    let ask = async |variables: &[(&str, &str)]| {
        let fixture = Fixture::new(variables, script).await;
        let keys = fixture.cloud.aws(&me, &Scope::default()).await.unwrap();
        assert!(!format!("{keys:?} {:?}", fixture.cloud).contains("canary"));
        (keys.access_key_id, fixture.server.lines(), fixture)
    };
    let keys = [region, ("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", CANARY)];
    let (id, lines, _) = ask(&keys).await;
    assert_eq!((id.as_str(), lines.len()), ("AKIAENV", 0));

    let irsa = [region, ("AWS_WEB_IDENTITY_TOKEN_FILE", file), ("AWS_ROLE_ARN", ROLE)];
    let (id, _, fixture) = ask(&irsa).await;
    assert_eq!(id, "ASIASTS");
    assert_eq!(fixture.form(0)[4], ("WebIdentityToken".to_owned(), CANARY.to_owned()));

    let pod_identity = [
        region,
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "SERVER/v1/credentials"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file),
    ];
    let (id, _, fixture) = ask(&pod_identity).await;
    assert_eq!(id, "ASIANODE");
    assert_eq!(fixture.server.received()[0].headers["authorization"], CANARY);

    let (id, lines, fixture) = ask(&[region]).await;
    assert_eq!((id.as_str(), lines.len()), ("ASIANODE", 3));
    assert_eq!(fixture.server.received()[2].headers["x-aws-ec2-metadata-token"], "session");

    let fixture = Fixture::new(&[], script).await;
    let error = fixture.cloud.aws(&me, &Scope::default()).await.unwrap_err();
    assert!(chain(&error).contains("AWS_REGION is not set"), "{}", chain(&error));
    let remote = [region, ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/x")];
    let fixture = Fixture::new(&remote, script).await;
    let error = fixture.cloud.aws(&me, &Scope::default()).await.unwrap_err();
    assert!(error.is_permanent() && chain(&error).contains("must be an https URL"));
}

#[tokio::test]
async fn a_cluster_is_described_and_its_token_is_a_signed_question() {
    let fixture = Fixture::new(&[], script).await;
    let (caller, _) = account(&[("eks.amazonaws.com/role-arn", ROLE)]);
    let mut request = ClusterRequest {
        cluster: "arn:aws:eks:eu-west-1:012345678901:cluster/prod".to_owned(),
        ..ClusterRequest::default()
    };
    let access = fixture.cloud.cluster(Kind::Aws, &caller, &request).await.unwrap();
    assert_eq!((access.server.as_str(), access.ca.as_slice()), ("https://eks.example", b"CA".as_slice()));
    assert_eq!(access.expires.to_string(), "2026-01-02T03:19:05Z");
    let token = access.token.expose_secret().strip_prefix("k8s-aws-v1.").unwrap();
    let url = String::from_utf8(URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
    let rest = url.strip_prefix(&fixture.server.url()).unwrap();
    let expect = "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256\
                  &X-Amz-Credential=ASIASTS%2F20260102%2Feu-west-1%2Fsts%2Faws4_request&X-Amz-Date=20260102T030405Z\
                  &X-Amz-Expires=900&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id\
                  &X-Amz-Security-Token=canary-7f3a%2B%2F%3D&X-Amz-Signature=";
    assert!(rest.starts_with(expect), "{rest}");

    request.address = Some("https://other.example".to_owned());
    request.ca = Some(b"mine".to_vec());
    let access = fixture.cloud.cluster(Kind::Aws, &caller, &request).await.unwrap();
    assert_eq!((access.server.as_str(), access.ca.as_slice()), ("https://other.example", b"mine".as_slice()));
    assert_eq!(fixture.server.lines(), ["POST /", "GET /clusters/prod"], "nothing is left to ask");
}

#[tokio::test]
async fn codecommit_takes_a_signature_as_password() {
    let fixture = Fixture::new(&[], script).await;
    let keys = crate::AwsCredentials {
        access_key_id: "AKIA".to_owned(),
        secret_access_key: CANARY.into(),
        session_token: Some("session".into()),
        expires: None,
    };
    let url = "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/app".parse().unwrap();
    let login = fixture.cloud.git(Kind::Aws, &Identity::AwsKeys(keys).into(), &url).await.unwrap();
    let GitLogin::Basic { username, password, expires } = login else { panic!("not basic") };
    assert_eq!(username.expose_secret(), "AKIA%session");
    let signature = password.expose_secret().strip_prefix("20260102T030405Z").unwrap();
    assert_eq!(signature.len(), 64);
    assert_eq!(expires.to_string(), "2026-01-02T03:19:05Z");
    let other = "https://git-codecommit.example.org/x".parse().unwrap();
    let error = fixture.cloud.git(Kind::Aws, &Caller::default(), &other).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid AWS CodeCommit Git URL: git-codecommit.example.org");
}

#[tokio::test]
async fn what_is_wrong_is_named_and_no_secret_is() {
    let fixture = Fixture::new(&[], |request| {
        let token = String::from_utf8_lossy(&request.body).into_owned();
        let said = url::form_urlencoded::parse(token.as_bytes()).last().unwrap().1.into_owned();
        let body = format!("<Error><Code>InvalidIdentityToken</Code><Message>bad {said}</Message></Error>");
        answer(400, body)
    })
    .await;
    let (good, _) = account(&[("eks.amazonaws.com/role-arn", ROLE)]);
    let error = fixture.cloud.registry(Kind::Aws, &good, REGISTRY).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "failed to get access token for artifact registry: failed to create provider access token for service account \
         'apps/puller': AWS STS at 127.0.0.1 answered 400: InvalidIdentityToken: bad ***"
    );
    let (bad, minted) = account(&[("eks.amazonaws.com/role-arn", "role")]);
    let error = fixture.cloud.registry(Kind::Aws, &bad, REGISTRY).await.unwrap_err();
    assert!(error.is_permanent() && minted.0.load(Ordering::SeqCst) == 0);
    assert!(chain(&error).contains("invalid eks.amazonaws.com/role-arn annotation: 'role'. must match ^arn"));
    let error = fixture.cloud.registry(Kind::Aws, &good, "ghcr.io/x").await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
    let scope =
        Scope { sts_endpoint: Some("https://sts.evil.example".to_owned()), ..Scope::region("eu-west-1") };
    let error = fixture.cloud.aws(&good, &scope).await.unwrap_err();
    assert!(chain(&error).contains("invalid STS endpoint: 'https://sts.evil.example'"), "{}", chain(&error));
}
