//! Large random primes for RSA keys.
//!
//! The `rsa` crate's own search takes a second for 2048 bits, which charts that make certificates would pay on every
//! render. This one sieves with small primes and tests with Montgomery arithmetic; nothing secret is computed with it
//! but the choice of the primes.

use rand::{CryptoRng, RngCore};

/// Rounds of Miller-Rabin with random bases. For random candidates of this size four leave an error below 2^-100.
const ROUNDS: usize = 8;

/// Small primes to sieve with lie below this.
const SIEVE: u32 = 1 << 14;

/// Odd numbers looked at from one random start.
const WINDOW: usize = 1 << 13;

/// RSA's usual exponent; `p - 1` must not share a factor with it.
const EXPONENT: u64 = 65_537;

fn small_primes() -> Vec<u32> {
    let mut composite = vec![false; SIEVE as usize];
    let mut primes = Vec::new();
    for n in 3..SIEVE {
        if n % 2 == 1 && !composite[n as usize] {
            primes.push(n);
            for multiple in (n.saturating_mul(n)..SIEVE).step_by(n as usize) {
                composite[multiple as usize] = true;
            }
        }
    }
    primes
}

/// A random prime of exactly `64 * limbs` bits, its two highest bits set so that products have full length; least
/// significant limb first.
pub(super) fn random(limbs: usize, rng: &mut impl CryptoRng) -> Vec<u64> {
    let small = small_primes();
    loop {
        let mut start: Vec<u64> = (0..limbs).map(|_| rng.next_u64()).collect();
        start[0] |= 1;
        start[limbs - 1] |= 3 << 62;
        let mut composite = vec![false; WINDOW];
        for prime in &small {
            let prime = u64::from(*prime);
            // The first k with start + 2k divisible: k = -start / 2 modulo the prime.
            let rest = remainder(&start, prime);
            let half = prime.div_ceil(2);
            let first = (prime - rest) % prime * half % prime;
            for k in (first as usize..WINDOW).step_by(prime as usize) {
                composite[k] = true;
            }
        }
        for (k, _) in composite.iter().enumerate().filter(|(_, composite)| !**composite) {
            let mut candidate = start.clone();
            if !add_small(&mut candidate, 2 * k as u64) {
                break;
            }
            if remainder(&candidate, EXPONENT) != 1 && is_prime(&candidate, rng) {
                return candidate;
            }
        }
    }
}

fn remainder(n: &[u64], divisor: u64) -> u64 {
    let step =
        |rest: u64, limb: &u64| ((u128::from(rest) << 64 | u128::from(*limb)) % u128::from(divisor)) as u64;
    n.iter().rev().fold(0, step)
}

/// False when the number no longer fits.
fn add_small(n: &mut [u64], small: u64) -> bool {
    let mut carry = small;
    for limb in n {
        let (sum, over) = limb.overflowing_add(carry);
        *limb = sum;
        carry = u64::from(over);
        if carry == 0 {
            return true;
        }
    }
    false
}

/// Miller-Rabin: base 2 first, which nearly all composites fail, then random bases. `n` is odd and large.
fn is_prime(n: &[u64], rng: &mut impl RngCore) -> bool {
    let field = Montgomery::new(n);
    let mut two = vec![0; n.len()];
    two[0] = 2;
    if !field.passes(&two) {
        return false;
    }
    (0..ROUNDS).all(|_| {
        let mut base: Vec<u64> = (0..n.len()).map(|_| rng.next_u64()).collect();
        // Below n, whose highest bit is set.
        base[n.len() - 1] >>= 1;
        base[0] |= 2;
        field.passes(&base)
    })
}

/// Arithmetic modulo an odd number whose highest bit is set.
struct Montgomery<'n> {
    n: &'n [u64],
    /// `-1 / n` modulo 2^64.
    inverse: u64,
    /// `R` and `R^2` modulo `n`, where `R = 2^(64 * limbs)`.
    one: Vec<u64>,
    square: Vec<u64>,
}

impl<'n> Montgomery<'n> {
    fn new(n: &'n [u64]) -> Self {
        let mut inverse = 1u64;
        for _ in 0..6 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(n[0].wrapping_mul(inverse)));
        }
        // R - n is R modulo n, because n's highest bit is set.
        let mut one = vec![0; n.len()];
        subtract(&mut one, n);
        let mut square = one.clone();
        for _ in 0..64 * n.len() {
            double(&mut square, n);
        }
        Self { n, inverse: inverse.wrapping_neg(), one, square }
    }

    /// `a * b / R` modulo `n`.
    fn mul(&self, a: &[u64], b: &[u64]) -> Vec<u64> {
        let length = self.n.len();
        let mut t = vec![0u64; length + 2];
        for x in a {
            let mut carry = 0u64;
            for (slot, y) in t.iter_mut().zip(b) {
                let sum = u128::from(*x) * u128::from(*y) + u128::from(*slot) + u128::from(carry);
                *slot = sum as u64;
                carry = (sum >> 64) as u64;
            }
            let (sum, over) = t[length].overflowing_add(carry);
            t[length] = sum;
            t[length + 1] = u64::from(over);
            let factor = t[0].wrapping_mul(self.inverse);
            let mut carry = ((u128::from(factor) * u128::from(self.n[0]) + u128::from(t[0])) >> 64) as u64;
            for j in 1..length {
                let sum = u128::from(factor) * u128::from(self.n[j]) + u128::from(t[j]) + u128::from(carry);
                t[j - 1] = sum as u64;
                carry = (sum >> 64) as u64;
            }
            let (sum, over) = t[length].overflowing_add(carry);
            t[length - 1] = sum;
            t[length] = t[length + 1] + u64::from(over);
        }
        let high = t[length];
        t.truncate(length);
        if high != 0 || !less(&t, self.n) {
            subtract(&mut t, self.n);
        }
        t
    }

    fn pow(&self, base: &[u64], exponent: &[u64]) -> Vec<u64> {
        let mut table = vec![self.one.clone(), self.mul(base, &self.square)];
        for i in 2..16 {
            let next = self.mul(&table[i - 1], &table[1]);
            table.push(next);
        }
        let mut power = self.one.clone();
        for limb in exponent.iter().rev() {
            for nibble in (0..16).rev() {
                for _ in 0..4 {
                    power = self.mul(&power, &power);
                }
                power = self.mul(&power, &table[(limb >> (4 * nibble) & 15) as usize]);
            }
        }
        power
    }

    /// One round of Miller-Rabin.
    fn passes(&self, base: &[u64]) -> bool {
        let mut odd = self.n.to_vec();
        odd[0] -= 1;
        let minus_one = {
            let mut value = self.n.to_vec();
            subtract(&mut value, &self.one);
            value
        };
        let twos = odd.iter().take_while(|limb| **limb == 0).count();
        let zeros = 64 * twos + odd[twos].trailing_zeros() as usize;
        shift_right(&mut odd, zeros);
        let mut power = self.pow(base, &odd);
        if power == self.one || power == minus_one {
            return true;
        }
        for _ in 1..zeros {
            power = self.mul(&power, &power);
            if power == minus_one {
                return true;
            }
        }
        false
    }
}

fn less(a: &[u64], b: &[u64]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// `a - b`, what is borrowed at the end forgotten.
fn subtract(a: &mut [u64], b: &[u64]) {
    let mut borrow = false;
    for (x, y) in a.iter_mut().zip(b) {
        let (difference, first) = x.overflowing_sub(*y);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        *x = difference;
        borrow = first || second;
    }
}

/// `2a` modulo `n`.
fn double(a: &mut [u64], n: &[u64]) {
    let mut carry = 0;
    for limb in a.iter_mut() {
        let next = *limb >> 63;
        *limb = *limb << 1 | carry;
        carry = next;
    }
    if carry != 0 || !less(a, n) {
        subtract(a, n);
    }
}

fn shift_right(a: &mut [u64], bits: usize) {
    let (limbs, bits) = (bits / 64, bits % 64);
    for i in 0..a.len() {
        let low = a.get(i + limbs).copied().unwrap_or(0);
        let high = a.get(i + limbs + 1).copied().unwrap_or(0);
        a[i] = if bits == 0 { low } else { low >> bits | high << (64 - bits) };
    }
}

#[cfg(test)]
mod tests {
    use super::{is_prime, random, remainder, small_primes};

    #[test]
    fn known_primes_and_composites() {
        let mut rng = rand::rng();
        // 2^128 - 159, 2^64 - 59 are primes; their neighbours and a product of two primes are not.
        assert!(is_prime(&[u64::MAX - 158, u64::MAX], &mut rng));
        assert!(is_prime(&[u64::MAX - 58], &mut rng));
        for composite in [&[u64::MAX - 160, u64::MAX][..], &[u64::MAX - 60], &[0xffff_fffe_0000_0001]] {
            assert!(!is_prime(composite, &mut rng), "{composite:x?}");
        }
        // A strong pseudoprime to base 2 with its highest bit set: (2^64 - 59)^2 has no small factor either.
        let square = u128::from(u64::MAX - 58).pow(2);
        assert!(!is_prime(&[square as u64, (square >> 64) as u64], &mut rng));
    }

    #[test]
    fn found_primes_have_full_length_and_no_small_factor() {
        let mut rng = rand::rng();
        let prime = random(8, &mut rng);
        assert_eq!(prime[7] >> 62, 3);
        assert!(small_primes().iter().all(|small| remainder(&prime, u64::from(*small)) != 0));
    }

    #[test]
    fn small_primes_are_those() {
        let primes = small_primes();
        assert_eq!(primes[..6], [3, 5, 7, 11, 13, 17]);
        assert_eq!((primes.len(), primes.last()), (1899, Some(&16381)));
    }
}
