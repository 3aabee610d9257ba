//! Repositories over SSH, and the conditions of those that cannot be had.

use ferrite_testkit::{SshKey, new_ssh_key};
use serde_json::json;

use super::failures::{failed, retried};
use super::world::World;
use crate::world::base64;

#[tokio::test]
async fn a_commit_fetched_over_ssh_becomes_an_artifact() {
    let world = World::ssh().await;
    let git = world.git.repository("app", &[("a.yaml", "v: 1")]).unwrap();
    let key = world.git.ssh_key(SshKey::Ed25519, Some("canary")).unwrap();
    let known_hosts = world.git.known_hosts().unwrap();
    world.secret(&[("identity", &key), ("known_hosts", known_hosts), ("password", "canary")]);
    let object = world.repository("app", &json!({"secretRef": {"name": "git"}}));

    let after = world.reconcile(&object).await;

    assert_eq!(after.revision(), format!("main@sha1:{}", git.head().unwrap()));
    assert_eq!(world.files(after.artifact()), ["a.yaml"]);
    let head = git.commit("second", &[("a.yaml", "v: 2")]).unwrap();
    let next = world.reconcile(&world.asked(&after.object)).await;
    assert_eq!(next.revision(), format!("main@sha1:{head}"));
}

/// A Secret, and the reason and the beginning of the message it leads to.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, String);

/// The words before the last colon are those of Flux; what follows says what to do.
#[tokio::test]
async fn what_is_wrong_with_key_or_host_is_a_condition() {
    let world = World::ssh().await;
    world.git.repository("app", &[("a.yaml", "v: 1")]).unwrap();
    let object = world.repository("app", &json!({"secretRef": {"name": "git"}}));
    let key = world.git.ssh_key(SshKey::Ed25519, None).unwrap();
    let locked = world.git.ssh_key(SshKey::Ed25519, Some("canary-right")).unwrap();
    let (stranger, public) = new_ssh_key(SshKey::Ed25519, None).unwrap();
    let hosts = world.git.known_hosts().unwrap().to_owned();
    let another = format!("{} {public}", hosts.split_once(' ').unwrap().0);
    let (auth, git) = ("AuthenticationFailed", "GitOperationFailed");
    let options = "failed to configure authentication options: invalid 'ssh' auth option: ";
    let checkout = "failed to checkout and determine revision: ";
    let cases: [Case<'_>; 9] = [
        (&[], auth, format!("{options}'identity' is required")),
        (&[("known_hosts", &hosts)], auth, format!("{options}'identity' is required")),
        (&[("identity", &key)], auth, format!("{options}'known_hosts' is required")),
        (
            &[("identity", &locked), ("known_hosts", &hosts)],
            auth,
            "SSH identity key is encrypted but no 'password' field was provided in the secret 'default/git'"
                .into(),
        ),
        (
            &[("identity", &locked), ("known_hosts", &hosts), ("password", "canary-wrong")],
            git,
            format!("{checkout}unable to use the SSH private key 'identity': decryption password incorrect"),
        ),
        (
            &[("identity", "canary"), ("known_hosts", &hosts)],
            git,
            format!("{checkout}unable to use the SSH private key 'identity': expected "),
        ),
        (
            &[("identity", &key), ("known_hosts", &hosts.replace("127.0.0.1", "git.example"))],
            git,
            format!("{checkout}ssh: handshake failed: knownhosts: key is unknown: "),
        ),
        (
            &[("identity", &key), ("known_hosts", &another)],
            git,
            format!("{checkout}ssh: handshake failed: knownhosts: key mismatch: "),
        ),
        (
            &[("identity", &stranger), ("known_hosts", &hosts)],
            git,
            format!("{checkout}ssh: handshake failed: ssh: unable to authenticate as 'git' to "),
        ),
    ];
    for (secret, reason, message) in cases {
        world.secret(secret);
        let after = world.reconcile(&object).await;
        failed(&after, "FetchFailed", reason, &message);
        retried(&after);
        let all = format!("{:?} {:?}", after.status, after.events());
        assert!(
            !all.contains("canary") && !all.contains(&base64("canary-wrong")) && !all.contains("PRIVATE"),
            "{all}"
        );
    }
    let anonymous = world.reconcile(&world.repository("app", &json!({}))).await;
    failed(&anonymous, "FetchFailed", auth, &format!("{options}'identity' is required"));
}
