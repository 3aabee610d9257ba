use super::*;

fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
    entries
        .iter()
        .map(|(name, value)| (http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap()))
        .collect()
}

fn mac<M: hmac::Mac + hmac::digest::KeyInit>(token: &str, body: &[u8]) -> String {
    let mut mac = <M as hmac::digest::KeyInit>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn events(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn hmac_signatures_are_checked_whole() {
    let body = b"{}";
    let good = mac::<Hmac<Sha256>>("token", body);
    let check = |value: &str, token: &str| {
        check("generic-hmac", token, &[], &headers(&[("x-signature", value)]), body)
    };
    assert!(check(&format!("sha256={good}"), "token").is_ok());
    assert!(check(&format!("sha1={}", mac::<Hmac<Sha1>>("token", body)), "token").is_ok());
    assert!(check(&format!("sha512={}", mac::<Hmac<Sha512>>("token", body)), "token").is_ok());
    assert_eq!(check(&format!("sha256={good}"), "other"), Err(Refusal::Mismatch("X-Signature")));
    assert_eq!(
        check(&format!("sha256={}", good.split_at(32).0), "token"),
        Err(Refusal::Mismatch("X-Signature"))
    );
    assert_eq!(check("sha256=", "token"), Err(Refusal::Mismatch("X-Signature")));
    assert_eq!(check(&format!("md5={good}"), "token"), Err(Refusal::SignatureForm("X-Signature")));
    assert_eq!(check(&good, "token"), Err(Refusal::SignatureForm("X-Signature")));
    assert_eq!(check(&format!("sha256={good}"), ""), Err(Refusal::EmptyToken));
    assert_eq!(
        super::check("generic-hmac", "t", &[], &HeaderMap::new(), body),
        Err(Refusal::NoHeader("X-Signature"))
    );
}

#[test]
fn github_signs_json_and_forms() {
    let body = br#"{"ref":"refs/heads/main"}"#;
    let signature = format!("sha256={}", mac::<Hmac<Sha256>>("token", body));
    let given = headers(&[
        ("x-hub-signature-256", &signature),
        ("x-github-event", "Push"),
        ("content-type", "application/json; charset=utf-8"),
    ]);
    assert!(check("github", "token", &events(&["ping", "push"]), &given, body).is_ok());
    assert_eq!(
        check("github", "token", &events(&["ping"]), &given, body),
        Err(Refusal::Event("Push".into()))
    );

    let form = b"payload=%7B%22a%22%3A1%7D";
    let signature = format!("sha1={}", mac::<Hmac<Sha1>>("token", form));
    let given =
        headers(&[("x-hub-signature", &signature), ("content-type", "application/x-www-form-urlencoded")]);
    assert_eq!(check("github", "token", &[], &given, form).unwrap().request.unwrap()["a"], 1);
    let text = headers(&[("x-hub-signature", &signature), ("content-type", "text/plain")]);
    assert_eq!(check("github", "token", &[], &text, form), Err(Refusal::ContentType("text/plain".into())));
}

#[test]
fn gitlab_and_harbor_compare_tokens() {
    let given = headers(&[("x-gitlab-token", "token"), ("x-gitlab-event", "Push Hook")]);
    assert!(check("gitlab", "token", &events(&["push hook"]), &given, b"").is_ok());
    assert_eq!(check("gitlab", "tokem", &[], &given, b""), Err(Refusal::Mismatch("X-Gitlab-Token")));
    assert_eq!(check("gitlab", "", &[], &headers(&[("x-gitlab-token", "")]), b""), Err(Refusal::EmptyToken));
    assert!(check("harbor", "token", &[], &headers(&[("authorization", "token")]), b"").is_ok());
    assert_eq!(
        check("harbor", "token", &[], &HeaderMap::new(), b""),
        Err(Refusal::NoHeader("Authorization"))
    );
}

#[test]
fn registries_send_their_own_shapes() {
    let none = HeaderMap::new();
    assert!(
        check("dockerhub", "", &[], &none, br#"{"push_data":{"tag":"1"},"repository":{"repo_url":"u"}}"#)
            .is_ok()
    );
    assert!(check("dockerhub", "", &[], &none, b"{}").is_ok());
    assert!(check("dockerhub", "", &[], &none, br#"{"push_data":{"tag":1}}"#).is_err());
    assert!(check("quay", "", &[], &none, br#"{"docker_url":"quay.io/a/b","updated_tags":["1"]} "#).is_ok());
    assert!(check("quay", "", &[], &none, b"nonsense").is_err());
    assert!(
        check("acr", "", &[], &none, br#"{"action":"push","target":{"repository":"r","tag":"t"}}"#).is_ok()
    );
    let body = br#"{"action":"UPDATED","repositoryName":"docker"}"#;
    let signed = mac::<Hmac<Sha1>>("token", body);
    assert!(check("nexus", "token", &[], &headers(&[("x-nexus-webhook-signature", &signed)]), body).is_ok());
    let loud = signed.to_uppercase();
    assert!(check("nexus", "token", &[], &headers(&[("x-nexus-webhook-signature", &loud)]), body).is_err());
    assert!(check("nexus", "other", &[], &headers(&[("x-nexus-webhook-signature", &signed)]), body).is_err());
}

#[test]
fn cdevents_are_chosen_by_their_header() {
    let body = br#"{"context":{"version":"0.4.1","id":"1","source":"/ci","type":"dev.cdevents.artifact.published.0.2.0",
        "timestamp":"2026-01-02T03:04:05Z"},"subject":{"id":"pkg:oci/app","type":"artifact","content":{}}}"#;
    let given = headers(&[("ce-type", "Dev.cdevents.artifact.published.0.2.0")]);
    assert!(check("cdevents", "", &[], &given, body).is_ok());
    assert!(check("cdevents", "", &events(&["dev.cdevents.artifact.published.0.2.0"]), &given, body).is_ok());
    assert!(check("cdevents", "", &events(&["dev.cdevents.build.finished.0.2.0"]), &given, body).is_err());
    assert!(check("cdevents", "", &[], &given, b"{\"context\":{}}").is_err());
}

/// Each answer is what notification-controller v1.9.3 says to the same body.
#[test]
fn registries_are_judged_as_go_decodes_them() {
    for (kind, body, expect) in [
        ("dockerhub", r#"null"#, true),
        ("dockerhub", r#"[]"#, false),
        ("dockerhub", r#""#, false),
        ("dockerhub", r#"{"a":1} trail"#, true),
        ("dockerhub", r#"{"PUSH_DATA":{"TAG":1}}"#, false),
        ("dockerhub", r#"{"push_data":null,"repository":[]}"#, false),
        ("quay", r#"{"updated_tags":"x"}"#, false),
        ("quay", r#"{"updated_tags":[1]}"#, false),
        ("quay", r#"{"updated_tags":null,"docker_url":null}"#, true),
        ("acr", r#"null"#, true),
        ("acr", r#"{"ACTION":1}"#, false),
        ("acr", r#"{"target":"x"}"#, false),
    ] {
        let accepted = check(kind, "", &[], &HeaderMap::new(), body.as_bytes()).is_ok();
        assert_eq!(accepted, expect, "{kind} {body}");
    }
}

#[test]
fn an_empty_newer_signature_leaves_the_older_one() {
    let body = b"no json";
    let older = format!("sha1={}", mac::<Hmac<Sha1>>("token", body));
    let with = |newer: &str| {
        let given = headers(&[
            ("x-hub-signature-256", newer),
            ("x-hub-signature", &older),
            ("content-type", "application/json"),
        ]);
        check("github", "token", &[], &given, body)
    };
    assert_eq!(with(""), Ok(Accepted::default()));
    assert!(with("sha256=00").is_err());
}

#[test]
fn pushes_of_googles_registry_show_three_fields() {
    use base64::engine::general_purpose::STANDARD;
    let data = STANDARD.encode(br#"{"action":"INSERT","digest":"d","tag":"t","secret":"x"}"#);
    let body = format!(r#"{{"message":{{"data":"{data}"}}}}"#);
    assert_eq!(
        gcr_payload(body.as_bytes()).unwrap(),
        serde_json::json!({"action": "INSERT", "digest": "d", "tag": "t"})
    );
    assert!(gcr_payload(b"{}").is_err());
}

#[test]
fn deep_json_is_refused_without_a_crash() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(check("dockerhub", "", &[], &HeaderMap::new(), deep.as_bytes()).is_err());
}
