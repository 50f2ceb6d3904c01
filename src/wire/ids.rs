//! Names of things that several processes speak of.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

use super::bounded::Octets;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// 128 bits from the kernel.
            ///
            /// # Panics
            /// When the kernel has no randomness to give; nothing may go on then.
            #[must_use]
            pub fn random() -> Self {
                let mut octets = [0; 16];
                getrandom::fill(&mut octets).expect("the kernel's random number generator answers");
                Self(octets)
            }

            /// Reads the form `Display` writes; upper case will do.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                // Asked here because from_str_radix takes a sign as well.
                if text.len() != 32 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                let mut octets = [0; 16];
                for (octet, pair) in octets.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
                }
                Some(Self(octets))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }
    };
}

random_id! {
    /// Names one request in every process, every log line and the fault a client sees.
    #[derive(Debug)]
    Correlation
}

random_id! {
    /// Names one voucher. Whoever knows it may redeem it once, over the channel it was made for.
    VoucherId
}

impl fmt::Debug for VoucherId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<voucher>")
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Millis(pub i64);

impl Millis {
    /// The wall clock, now.
    #[must_use]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).plus(shift())
    }

    /// This many milliseconds later (earlier when negative), saturating.
    #[must_use]
    pub fn plus(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}

/// How far this process's clock is from the machine's: `CHANCERY_CLOCK_SHIFT_MS`, so that a message captured on some
/// day can be shown to the programs of that day. As all failpoints, in no package.
#[cfg(feature = "failpoints")]
fn shift() -> i64 {
    static SHIFT: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    let read = || std::env::var("CHANCERY_CLOCK_SHIFT_MS").ok().and_then(|text| text.parse().ok());
    *SHIFT.get_or_init(|| read().unwrap_or_default())
}

/// Not at all.
#[cfg(not(feature = "failpoints"))]
fn shift() -> i64 {
    0
}

/// The process id the kernel gave for the other end of a channel when it was accepted: of a worker that of its dialer,
/// which makes all of its connections and lives as long. It names a worker's channels alike in auth and in issuer,
/// whatever user namespace they run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Peer(pub i32);

/// `CKA_ID` of a key pair in the token.
pub type KeyId = Octets<32>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_a_sign_is_no_digit() {
        let id = Correlation([0x0f; 16]);
        assert_eq!(Correlation::parse(&id.to_string()), Some(id));
        assert_eq!(Correlation::parse(&"0F".repeat(16)), Some(id));
        for pair in ["+f", "-0", " f", "f ", "0x", "\u{661}"] {
            assert_eq!(Correlation::parse(&pair.repeat(16)), None, "{pair:?}");
            assert_eq!(VoucherId::parse(&format!("{}{pair}", "00".repeat(15))), None, "{pair:?}");
        }
        assert_eq!(Correlation::parse(&"0f".repeat(15)), None);
    }
}
