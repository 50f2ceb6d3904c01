//! What a token of HTTP Negotiate says (RFC 4559, RFC 4178), or one in the header of a message: that a client proves
//! himself by Kerberos in one round, and with which `AP-REQ`. These are octets of strangers, so that everything is
//! bounded, read in one way only and refused where it could be read in two; the C library is shown an `AP-REQ` that was
//! read here, and never what was around it. Nothing here verifies anything.

pub mod ap_req;
pub mod binary;
pub mod checksum;
mod der;
pub mod spnego;
#[cfg(test)]
mod tests;

/// Why nobody is asked whose ticket it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Not what the standards write: which of it, for the operator.
    Shape(&'static str),
    /// NTLM, which is refused.
    Ntlm,
    /// Neither Kerberos nor NTLM comes first, or this is not the first token of a negotiation, and one is all there is.
    Mechanism,
    /// Encrypted so that it proves nothing: DES, triple DES, RC4, or something nobody knows (R-W070).
    Weak,
}
