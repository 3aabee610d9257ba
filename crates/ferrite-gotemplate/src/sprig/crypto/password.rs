//! `derivePassword`: the Master Password algorithm.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::value::Value;

const SCOPE: &[u8] = b"com.lyndir.masterpassword";

fn templates(kind: &[u8]) -> Option<&'static [&'static str]> {
    Some(match kind {
        b"maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        b"long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        b"medium" => &["CvcnoCvc", "CvcCvcno"],
        b"short" => &["Cvcn"],
        b"basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        b"pin" => &["nnnn"],
        _ => return None,
    })
}

fn characters(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// Arguments: counter, kind of password, master password, user, site.
pub(super) fn derive(args: &[Value]) -> String {
    let counter = match args.first() {
        Some(Value::Uint64(counter)) => *counter as u32,
        _ => 1,
    };
    let (kind, master, user, site) =
        (super::text(args, 1), super::text(args, 2), super::text(args, 3), super::text(args, 4));
    let Some(templates) = templates(kind) else {
        return format!("cannot find password template {}", String::from_utf8_lossy(kind));
    };
    let named = |name: &[u8]| [SCOPE, &(name.len() as u32).to_be_bytes(), name].concat();
    let mut key = [0u8; 64];
    let derived = scrypt::Params::new(15, 8, 2, key.len()).map_err(|e| e.to_string()).and_then(|params| {
        scrypt::scrypt(master, &named(user), &params, &mut key).map_err(|e| e.to_string())
    });
    if let Err(error) = derived {
        return format!("failed to derive password: {error}");
    }
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else {
        return "failed to derive password".into();
    };
    mac.update(&named(site));
    mac.update(&counter.to_be_bytes());
    let seed = mac.finalize().into_bytes();
    let template = templates[usize::from(seed[0]) % templates.len()];
    template
        .bytes()
        .zip(seed.iter().skip(1))
        .map(|(class, byte)| {
            let set = characters(class);
            char::from(set[usize::from(*byte) % set.len()])
        })
        .collect()
}
