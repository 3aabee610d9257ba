use super::*;

#[test]
fn the_signature_of_a_commit_is_a_folded_header() {
    let head = "tree 1\nparent 2\nauthor a\n";
    let object = format!("{head}gpgsig {PGP}\n \n line\n -----END\nencoding x\n\nmessage\ngpgsig no\n");
    let signed = of_commit(object.as_bytes());
    assert_eq!(signed.signature, format!("{PGP}\n\nline\n-----END\n"));
    assert_eq!(signed.payload, format!("{head}encoding x\n\nmessage\ngpgsig no\n").as_bytes());

    let twice = of_commit(format!("{head}gpgsig {PGP}\ngpgsig {SSH}\n\nm\n").as_bytes());
    assert_eq!(twice.signature, "");
    let plain = of_commit(format!("{head}\nm\n").as_bytes());
    assert_eq!((plain.signature.as_str(), plain.payload), ("", format!("{head}\nm\n").into_bytes()));
}

#[test]
fn the_signature_of_a_tag_is_its_end() {
    let head = format!("object 1\ntype commit\n\nabout {PGP}\n");
    let signed = of_tag(format!("{head}{SSH}\nx\n").as_bytes());
    assert_eq!((signed.payload, signed.signature), (head.clone().into_bytes(), format!("{SSH}\nx\n")));
    assert_eq!(of_tag(head.as_bytes()).signature, "");
}

#[track_caller]
fn check(signature: &str, names: &[(&str, &str)], expect: &str) {
    let mut keys = PublicKeys::default();
    for (name, text) in names {
        keys.add(name, *text);
    }
    let signed = SignedObject { signature: signature.to_owned(), payload: b"tree".to_vec() };
    assert_eq!(verify(Signee::Commit, &signed, &keys, 0).unwrap_err().to_string(), expect);
}

#[test]
fn what_does_not_count_is_told_in_the_words_of_flux() {
    check("", &[], "unsupported signature type: empty");
    check("  \n", &[("a.asc", "")], "unsupported signature type: empty");
    check(X509, &[("a.asc", "")], "unsupported signature type: x509");
    check("nonsense", &[("a.asc", "")], "unsupported signature type: unknown");
    check(
        PGP,
        &[("a.sshpub", "")],
        "PGP signature detected but no PGP public keys found in secret (keys with .asc suffix)",
    );
    check(
        SSH,
        &[("a.asc", "")],
        "SSH signature detected but no SSH public keys found in secret (keys with .sshpub suffix)",
    );
    check(
        PGP,
        &[("any", "")],
        "unable to verify Git commit: unable to verify payload with any of the given key rings: no matching key",
    );
}

/// Made with GnuPG 2.2 and ssh-keygen 9.2 by `git commit -S` and `git tag -s`; the secret keys are gone.
macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name)).as_slice()
    };
}

/// Seconds of a day in 2026, after all fixtures were made; `old` expired in June 2024.
const NOW: i64 = 1_795_700_000;
const SPRING_2024: i64 = 1_709_000_000;

fn all_keys() -> PublicKeys {
    let mut keys = PublicKeys::default();
    for (name, text) in [
        ("ed.asc", fixture!("ed.asc")),
        ("rsa.asc", fixture!("rsa.asc")),
        ("old.asc", fixture!("old.asc")),
        ("ed.sshpub", fixture!("ssh_ed.sshpub")),
        ("rsa.sshpub", fixture!("ssh_rsa.sshpub")),
        ("ec.sshpub", fixture!("ssh_ec.sshpub")),
    ] {
        keys.add(name, String::from_utf8(text.to_vec()).unwrap());
    }
    keys
}

#[test]
fn signatures_of_gnupg_and_ssh_keygen_are_verified() {
    let keys = all_keys();
    for (signee, object, expect) in [
        (Signee::Commit, fixture!("ed.commit"), "3531F68FD556E499"),
        // By a subkey; the primary key's name is told.
        (Signee::Commit, fixture!("rsa.commit"), "F9197A21464FCDA5"),
        (Signee::Tag, fixture!("ed.tag"), "3531F68FD556E499"),
        (Signee::Commit, fixture!("ssh_ed.commit"), "SHA256:uGbcRTTxyWUbHa9R6BtE2mo4ldOaaLHo/lIJcLAZDhk"),
        (Signee::Commit, fixture!("ssh_rsa.commit"), "SHA256:Akye4L4vAz42mr3OCIeJ2AHwtHWp5QcJznqCtfXR0+E"),
        (Signee::Tag, fixture!("ssh_ed.tag"), "SHA256:uGbcRTTxyWUbHa9R6BtE2mo4ldOaaLHo/lIJcLAZDhk"),
    ] {
        let signed = match signee {
            Signee::Commit => of_commit(object),
            Signee::Tag => of_tag(object),
        };
        assert_eq!(verify(signee, &signed, &keys, NOW).as_deref(), Ok(expect));
        let mut other = signed.clone();
        other.payload.extend_from_slice(b"more");
        assert!(matches!(verify(signee, &other, &keys, NOW), Err(SignatureError::Mismatch { .. })));
    }
    assert!(verify(Signee::Commit, &of_commit(fixture!("ssh_ec.commit")), &keys, NOW).is_ok());
}

#[test]
fn an_expired_key_does_not_count() {
    let signed = of_commit(fixture!("old.commit"));
    assert_eq!(verify(Signee::Commit, &signed, &all_keys(), SPRING_2024).as_deref(), Ok("FD484F4E249E2BBB"));
    let expired = verify(Signee::Commit, &signed, &all_keys(), NOW).unwrap_err().to_string();
    let message = "unable to verify Git commit: unable to verify payload with any of the given key rings: no matching key";
    assert_eq!(expired, message);
}

#[test]
fn keys_that_did_not_sign_do_not_count_and_broken_texts_are_told() {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let with = |names: &[(&str, &str)], object: &[u8]| {
        let mut keys = PublicKeys::default();
        for (name, text) in names {
            keys.add(name, *text);
        }
        verify(Signee::Commit, &of_commit(object), &keys, NOW).map_err(|error| error.to_string())
    };
    let (ed, rsa) = (text(fixture!("ed.asc")), text(fixture!("rsa.asc")));
    let pgp = "unable to verify Git commit: ";
    let none = format!("{pgp}unable to verify payload with any of the given key rings: no matching key");
    assert_eq!(with(&[("a.asc", &rsa)], fixture!("ed.commit")), Err(none.clone()));
    assert_eq!(with(&[("a.asc", "x"), ("b.asc", &rsa)], fixture!("ed.commit")), Err(none));
    assert!(with(&[("a.asc", "x"), ("any", &ed)], fixture!("ed.commit")).is_ok());
    assert!(with(&[("a.asc", &format!("{rsa}\n{ed}"))], fixture!("ed.commit")).is_ok());
    let broken = with(&[("a.asc", "x")], fixture!("ed.commit"));
    assert_eq!(broken, Err(format!("{pgp}unable to read armored key ring: it holds no public key block")));

    let (ed, rsa) = (text(fixture!("ssh_ed.sshpub")), text(fixture!("ssh_rsa.sshpub")));
    let ssh = "unable to verify Git commit SSH signature: ";
    let none =
        format!("{ssh}unable to verify payload with any of the given authorized keys: no matching key");
    assert_eq!(with(&[("a.sshpub", &rsa)], fixture!("ssh_ed.commit")), Err(none));
    let options = format!("# keys\n\nme@example.com namespaces=\"git\" {ed}");
    assert!(with(&[("a.sshpub", &options)], fixture!("ssh_ed.commit")).is_ok());
    let broken = with(&[("a.sshpub", "ssh-ed25519 AAAA")], fixture!("ssh_ed.commit"));
    let problem = "unable to parse authorized keys: unable to parse authorized key: line 1 holds none";
    assert_eq!(broken, Err(format!("{ssh}{problem}")));
}
