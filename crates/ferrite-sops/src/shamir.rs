//! Shamir's secret sharing over GF(2⁸) with the field polynomial of AES, a byte at a time, as HashiCorp Vault lays it out:
//! the last byte of a part is its x.

/// Puts the secret together from parts; `None` when they cannot belong together.
pub(crate) fn combine(parts: &[&[u8]]) -> Option<Vec<u8>> {
    let length = parts.first()?.len();
    if parts.len() < 2 || length < 2 || parts.iter().any(|part| part.len() != length) {
        return None;
    }
    let xs: Vec<u8> = parts.iter().filter_map(|part| part.last().copied()).collect();
    let distinct: std::collections::HashSet<u8> = xs.iter().copied().collect();
    if distinct.len() != xs.len() || distinct.contains(&0) {
        return None;
    }
    let secret = (0..length - 1).map(|index| {
        let ys: Vec<u8> = parts.iter().filter_map(|part| part.get(index).copied()).collect();
        at_zero(&xs, &ys)
    });
    Some(secret.collect())
}

/// Lagrange's interpolation at 0.
fn at_zero(xs: &[u8], ys: &[u8]) -> u8 {
    let mut sum = 0;
    for (i, (x, y)) in xs.iter().zip(ys).enumerate() {
        let mut basis = 1;
        for (j, other) in xs.iter().enumerate() {
            if i != j {
                basis = multiply(basis, multiply(*other, inverse(*x ^ *other)));
            }
        }
        sum ^= multiply(*y, basis);
    }
    sum
}

/// Without branches on the values, so that time tells nothing.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0_u8);
    for bit in 0..8 {
        product ^= (b >> bit & 1).wrapping_neg() & a;
        a = (a << 1) ^ ((a >> 7).wrapping_neg() & 0x1B);
    }
    product
}

/// a²⁵⁴, which is 1/a.
fn inverse(a: u8) -> u8 {
    let mut power = a;
    for _ in 0..6 {
        power = multiply(multiply(power, power), a);
    }
    multiply(power, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_the_one_of_aes() {
        assert_eq!(multiply(0x57, 0x83), 0xC1);
        for a in 1..=255 {
            assert_eq!(multiply(a, inverse(a)), 1, "{a}");
        }
    }

    #[test]
    fn any_two_of_three_parts_are_enough() {
        // p(x) = secret + slope·x
        let (secret, slope) = ([0x42, 0x00, 0xFF], [0x17, 0xA0, 0x01]);
        let part = |x: u8| -> Vec<u8> {
            secret.iter().zip(slope).map(|(s, k)| s ^ multiply(k, x)).chain([x]).collect()
        };
        let (one, two, three) = (part(1), part(2), part(3));
        for pair in [[&one, &two], [&two, &three], [&three, &one]] {
            assert_eq!(combine(&pair.map(Vec::as_slice)).unwrap(), secret);
        }
        assert_eq!(combine(&[&one, &two, &three]).unwrap(), secret);
        assert_eq!(combine(&[&one, &one]), None, "twice the same");
        assert_eq!(combine(&[&one]), None);
        assert_eq!(combine(&[&one, &[1, 2]]), None);
    }
}
