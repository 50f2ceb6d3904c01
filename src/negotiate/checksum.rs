//! The checksum field of an authenticator that is meant for GSS-API (RFC 4121 4.1.1): to what the client has bound it
//! and whether he wants to know who we are. What he delegates behind that is not read.

/// Its type.
pub const TYPE: i32 = 0x8003;
/// `GSS_C_MUTUAL_FLAG`.
const MUTUAL: u32 = 2;

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum {
    /// The hash of the channel bindings (4.1.1.2); none where it is zero.
    pub bindings: Option<[u8; 16]>,
    /// Is an answer asked for?
    pub mutual: bool,
}

impl Checksum {
    /// Reads it.
    #[must_use]
    pub fn read(octets: &[u8]) -> Option<Self> {
        let (length, rest) = octets.split_first_chunk()?;
        let (bindings, rest) = rest.split_first_chunk::<16>()?;
        let (flags, _) = rest.split_first_chunk()?;
        (u32::from_le_bytes(*length) == 16).then_some(())?;
        let bindings = Some(*bindings).filter(|bindings| *bindings != [0; 16]);
        Some(Self { bindings, mutual: u32::from_le_bytes(*flags) & MUTUAL != 0 })
    }
}

/// What the hash is made of: no addresses, and this application data (RFC 4121 4.1.1.2, RFC 2744 3.11).
#[must_use]
pub fn hashed(application_data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(application_data.len()).expect("bindings are short");
    [&[0; 16], &length.to_le_bytes()[..], application_data].concat()
}
