//! Bech32 (BIP 173), without its bound of 90 characters, as age uses it.

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

fn checksum(values: impl Iterator<Item = u8>) -> u32 {
    let mut sum: u32 = 1;
    for value in values {
        let top = sum >> 25;
        sum = ((sum & 0x01ff_ffff) << 5) ^ u32::from(value);
        for (bit, part) in
            [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3].into_iter().enumerate()
        {
            if top >> bit & 1 == 1 {
                sum ^= part;
            }
        }
    }
    sum
}

/// The bytes behind a prefix, in lower case, that the text must have; all in one case.
pub(crate) fn decode(prefix: &str, text: &str) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    if text.bytes().any(|b| b.is_ascii_lowercase()) && text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let lower = zeroize::Zeroizing::new(text.to_ascii_lowercase());
    let (found, data) = lower.rsplit_once('1')?;
    if found != prefix {
        return None;
    }
    let index =
        |byte: u8| ALPHABET.iter().position(|known| *known == byte).and_then(|at| u8::try_from(at).ok());
    let values: Vec<u8> = data.bytes().map(index).collect::<Option<_>>()?;
    let expanded = prefix.bytes().map(|b| b >> 5).chain([0]).chain(prefix.bytes().map(|b| b & 31));
    if values.len() < 6 || checksum(expanded.chain(values.iter().copied())) != 1 {
        return None;
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let (mut bits, mut held) = (0_u32, 0);
    for value in values.get(..values.len() - 6)? {
        bits = bits << 5 | u32::from(*value);
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xFF).ok()?);
        }
        bits &= 0xFFF;
    }
    // What is left over must be zero and less than a value.
    (held < 5 && bits & ((1 << held) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_bip_173() {
        assert_eq!(decode("a", "A12UEL5L").map(|bytes| bytes.to_vec()), Some(Vec::new()));
        assert!(decode("an", "a12uel5l").is_none());
        assert!(decode("a", "a12uel5m").is_none());
        assert!(decode("a", "A12uEL5L").is_none());
        assert!(decode("a", "1qzzfhee").is_none());
        assert!(decode("a", "").is_none());
    }
}
