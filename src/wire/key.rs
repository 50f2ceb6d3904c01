//! A public key that stands alone, as a message or an assertion writes it: numbers, of which nobody has said yet that
//! they are a key. auth makes one of them, or refuses them.

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::Octets;

/// Octets of a modulus, at most: more than any that is taken, so that it can be said how long it is.
pub const MOST_MODULUS: usize = 2048;
/// Octets of an exponent, likewise.
pub const MOST_EXPONENT: usize = 8;
/// Octets of a point: one, and two coordinates of P-521.
pub const MOST_POINT: usize = 133;

/// The numbers of a public key.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum PublicKey {
    /// RSA. Both are big-endian.
    Rsa {
        /// The modulus.
        modulus: Octets<MOST_MODULUS>,
        /// The public exponent.
        exponent: Octets<MOST_EXPONENT>,
    },
    /// A point on a curve.
    Point {
        /// The curve, by its name.
        curve: Curve,
        /// As X9.62 writes it.
        octets: Octets<MOST_POINT>,
    },
}

/// The curves that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Curve {
    /// P-256, `secp256r1`.
    P256,
    /// P-384, `secp384r1`.
    P384,
    /// P-521, `secp521r1`.
    P521,
}

impl Curve {
    /// Octets of a coordinate.
    #[must_use]
    pub const fn coordinate(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}
