//! Decrypts a file as `sops --decrypt` does: `decrypt FILE KEYFILE [OUTPUT-FORMAT-AS-FILE-NAME]`, where a key file that
//! ends in `.asc` holds OpenPGP keys, and any other one age identities.

use std::io::Write as _;

use ferrite_sops::{Encrypted, Format, Integrity, Keyring};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, key, output @ ..] = arguments.as_slice() else {
        return Err("usage: decrypt FILE KEYFILE [OUTPUT-FORMAT-AS-FILE-NAME]".into());
    };
    let mut keyring = Keyring::default();
    let secret = fs_err::read(key)?;
    if key.ends_with(".asc") {
        keyring.import_pgp(&secret)?;
    } else {
        keyring.import_age(&String::from_utf8(secret)?)?;
    }
    let format = Format::of_path(file);
    let plain = Encrypted::load(&fs_err::read(file)?, format)?.decrypt(&keyring, Integrity::Verify)?;
    let output = output.first().map_or(format, |name| Format::of_path(name));
    std::io::stdout().write_all(&plain.emit(output)?)?;
    Ok(())
}
