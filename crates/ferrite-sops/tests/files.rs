//! Files that the real sops encrypted, and what becomes of files that somebody changed.

#![expect(clippy::unwrap_used, reason = "this is a test, its helpers included")]

use ferrite_sops::{
    Encrypted, Error, Format, Integrity, KeyError, KeyService, Keyring, MacError, MasterKey, ValueError,
};
use proptest::prelude::*;

macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("data/", $name))
    };
}

fn keyring() -> Keyring {
    let mut keyring = Keyring::default();
    keyring.import_age(data!("age.key")).unwrap();
    keyring.import_pgp(data!("pgp.asc").as_bytes()).unwrap();
    keyring
}

fn decrypt(name: &str, text: &str, service: &dyn KeyService) -> Result<String, Error> {
    let format = Format::of_path(name);
    let plain = Encrypted::load(text.as_bytes(), format)?.decrypt(service, Integrity::Verify)?;
    Ok(String::from_utf8(plain.emit(format)?.to_vec()).unwrap())
}

#[test]
fn files_are_decrypted_as_sops_does() {
    for (name, text, expect) in [
        ("secret.yaml", data!("secret.yaml"), data!("secret.plain.yaml")),
        ("partial.yaml", data!("partial.yaml"), data!("partial.plain.yaml")),
        ("config.json", data!("config.json"), data!("config.plain.json")),
        ("app.env", data!("app.env"), data!("app.plain.env")),
        ("conf.ini", data!("conf.ini"), data!("conf.plain.ini")),
        ("blob.bin", data!("blob.bin"), data!("blob.plain.bin")),
        ("pgp.yaml", data!("pgp.yaml"), data!("pgp.plain.yaml")),
        ("shamir.yaml", data!("shamir.yaml"), data!("shamir.plain.yaml")),
    ] {
        assert_eq!(decrypt(name, text, &keyring()).unwrap(), expect, "{name}");
        let format = Format::of_path(name);
        assert!(format.is_encrypted(text.as_bytes()), "{name} carries the mark of its format");
        assert!(!format.is_encrypted(expect.as_bytes()), "{name}");
    }
}

#[test]
fn formats_are_told_by_their_marks() {
    assert_eq!(Format::detect(data!("secret.yaml").as_bytes()), Some(Format::Yaml));
    assert_eq!(Format::detect(data!("blob.bin").as_bytes()), Some(Format::Json));
    assert_eq!(Format::detect(data!("app.env").as_bytes()), Some(Format::Dotenv));
    assert_eq!(Format::detect(data!("conf.ini").as_bytes()), Some(Format::Ini));
    assert_eq!(Format::detect(b"plain"), None);
}

#[test]
fn one_format_becomes_another() {
    let json = Encrypted::load(data!("config.json").as_bytes(), Format::Json).unwrap();
    let plain = json.decrypt(&keyring(), Integrity::Verify).unwrap();
    let yaml = String::from_utf8(plain.emit(Format::Yaml).unwrap().to_vec()).unwrap();
    assert_eq!(
        yaml,
        "b: 1\na:\n    - x\n    - 2.5\n    - true\n    - null\n    - {}\n    - <k>: |\n        é\nbig: 1.23456789012345e+14\n"
    );
    let refused = plain.emit(Format::Dotenv).unwrap_err().to_string();
    assert_eq!(
        refused,
        "failed to emit encrypted JSON file as decrypted dotenv: a dotenv file cannot hold lists and mappings"
    );
}

#[test]
fn objects_keep_their_types() {
    let object: serde_json::Value = serde_json::from_str(data!("config.json")).unwrap();
    let plain =
        Encrypted::of_object(&object).unwrap().unwrap().decrypt(&keyring(), Integrity::ValuesOnly).unwrap();
    assert_eq!(
        plain.into_object(),
        serde_json::json!({"b": 1, "a": ["x", 2.5, true, null, {}, {"<k>": "é\n"}], "big": 123_456_789_012_345_i64})
    );
    assert!(Encrypted::of_object(&serde_json::json!({"sops": {"mac": ""}})).unwrap().is_none());
    assert!(Encrypted::of_object(&serde_json::json!({"a": 1})).unwrap().is_none());
}

/// Changes one line of the encrypted dotenv file.
fn changed(from: &str, edit: impl Fn(&str) -> Option<String>) -> String {
    let lines = data!("app.env").lines();
    let kept =
        lines.filter_map(|line| if line.starts_with(from) { edit(line) } else { Some(line.to_owned()) });
    kept.map(|line| line + "\n").collect()
}

#[test]
fn changed_files_are_refused() {
    let swap = |text: &str| text.replacen("USER=", "X=", 1).replacen("PASSWORD=", "USER=", 1);
    let cases = [
        (changed("USER", |_| None), "MAC mismatch"),
        (
            changed("EMPTY", |line| Some(format!("{line}\nadded=1"))),
            "added: Input string <redacted> does not match",
        ),
        (changed("USER", |_| Some("USER=plain".to_owned())), "USER: Input string <redacted> does not match"),
        (changed("sops_mac", |_| Some("sops_mac=".to_owned())), "no MAC"),
        (changed("sops_mac", |_| None), "no MAC"),
        (changed("sops_mac", |_| Some("sops_mac=ENC[x]".to_owned())), "the MAC cannot be decrypted"),
        (
            changed("sops_lastmodified", |_| Some("sops_lastmodified=2020-01-01T00:00:00Z".to_owned())),
            "the MAC cannot",
        ),
        (changed("sops_lastmodified", |_| None), "lastmodified is no RFC 3339 time"),
        (changed("sops_age__list_0__map_enc", |_| None), "it is no age file"),
        (swap(data!("app.env")), "X: could not decrypt with AES_GCM: message authentication failed"),
        ("A=1\n".to_owned(), "sops metadata not found"),
        ("A\n".to_owned(), "line 1: expected name=value"),
    ];
    for (text, expect) in cases {
        let error = decrypt("app.env", &text, &keyring()).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}\nexpected: {expect}");
        assert!(!error.contains("ferrite") && !error.contains("ENC["), "{error}");
    }
}

#[test]
fn a_build_may_have_changed_what_is_not_encrypted() {
    let text = data!("secret.yaml").replacen("note_unencrypted: public", "note_unencrypted: other", 1);
    let load = || Encrypted::load(text.as_bytes(), Format::Yaml).unwrap();
    assert!(load().decrypt(&keyring(), Integrity::ValuesOnly).is_ok());
    let refused = load().decrypt(&keyring(), Integrity::Verify).unwrap_err();
    assert!(matches!(refused, Error::Mac(MacError::Mismatch)), "{refused}");
}

#[test]
fn a_plain_value_among_encrypted_ones_is_refused() {
    let mut object: serde_json::Value = serde_json::from_str(data!("config.json")).unwrap();
    object["b"] = 7.into();
    let refused = Encrypted::of_object(&object).unwrap().unwrap().decrypt(&keyring(), Integrity::ValuesOnly);
    assert!(matches!(refused.unwrap_err(), Error::Value { path, error: ValueError::Plain } if path == "b"));
}

#[test]
fn keys_that_do_not_fit_are_named() {
    let error = decrypt("secret.yaml", data!("secret.yaml"), &Keyring::default()).unwrap_err().to_string();
    let start = "cannot get sops data key: 1 key group required, got 0: age key 'age1";
    assert!(error.starts_with(start) && error.ends_with("': no age identity is configured"), "{error}");
    let mut only_age = Keyring::default();
    only_age.import_age(data!("age.key")).unwrap();
    let error = decrypt("pgp.yaml", data!("pgp.yaml"), &only_age).unwrap_err().to_string();
    assert!(error.contains("PGP key '") && error.ends_with("no OpenPGP key is configured"), "{error}");
    let error = decrypt("shamir.yaml", data!("shamir.yaml"), &only_age).unwrap_err().to_string();
    assert!(error.starts_with("cannot get sops data key: 2 key groups required, got 1: "), "{error}");
}

#[test]
fn what_is_no_key_is_not_taken_in() {
    let mut keyring = Keyring::default();
    let refused = keyring.import_age("# ok\n\nAGE-SECRET-KEY-1QQQ\n").unwrap_err().to_string();
    assert_eq!(refused, "line 3 is no age identity: expected AGE-SECRET-KEY-1…, a comment or nothing");
    for text in [
        "",
        "not a key",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----\n",
    ] {
        assert_eq!(
            keyring.import_pgp(text.as_bytes()).unwrap_err().to_string(),
            "it is no secret OpenPGP key in armor"
        );
    }
    assert!(keyring.is_empty());
}

/// Counts how often it is asked.
struct Counting(std::cell::Cell<usize>);

impl KeyService for Counting {
    fn open(&self, _: &MasterKey) -> Result<zeroize::Zeroizing<Vec<u8>>, KeyError> {
        self.0.set(self.0.get() + 1);
        Err(KeyError::NotHere("not here".to_owned()))
    }
}

#[test]
fn thousands_of_recipients_are_not_all_tried() {
    let recipients: Vec<_> = (0..10_000)
        .map(|index| serde_json::json!({"recipient": format!("age1{index}"), "enc": "x"}))
        .collect();
    let object = serde_json::json!({"a": "b", "sops": {
        "mac": "ENC[x]", "lastmodified": "2020-01-01T00:00:00Z", "age": recipients,
    }});
    let counting = Counting(std::cell::Cell::new(0));
    let error =
        Encrypted::of_object(&object).unwrap().unwrap().decrypt(&counting, Integrity::Verify).unwrap_err();
    assert_eq!(counting.0.get(), 100);
    assert!(error.to_string().len() < 2000, "{error}");
    assert!(error.to_string().ends_with("; and 90 more"), "{error}");
}

#[test]
fn nothing_secret_is_shown() {
    let shown = format!("{:?}", keyring());
    assert_eq!(shown, "Keyring { age: 1, pgp: 1, .. }");
    let encrypted = Encrypted::load(data!("secret.yaml").as_bytes(), Format::Yaml).unwrap();
    let plain = encrypted.decrypt(&keyring(), Integrity::Verify).unwrap();
    assert_eq!(format!("{plain:?}"), "Plain { format: Yaml, .. }");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[ -~\n]{0,200}", format in 0..5_usize) {
        let formats = [Format::Yaml, Format::Json, Format::Dotenv, Format::Ini, Format::Binary];
        if let Ok(encrypted) = Encrypted::load(text.as_bytes(), formats[format]) {
            let _refused = encrypted.decrypt(&keyring(), Integrity::Verify);
        }
    }

    #[test]
    fn no_change_of_a_file_makes_it_panic(at in 0..4000_usize, with in "[ -~\n]{0,3}", which in 0..4_usize) {
        let (text, format) = [
            (data!("secret.yaml"), Format::Yaml),
            (data!("config.json"), Format::Json),
            (data!("app.env"), Format::Dotenv),
            (data!("conf.ini"), Format::Ini),
        ][which];
        let mut bytes = text.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes.splice(at..(at + with.len()).min(text.len()), with.bytes());
        if let Ok(encrypted) = Encrypted::load(&bytes, format)
            && let Ok(plain) = encrypted.decrypt(&keyring(), Integrity::ValuesOnly)
        {
            prop_assert!(plain.emit(format).is_ok());
        }
    }
}
