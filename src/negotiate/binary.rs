//! What a `wsse:BinarySecurityToken` with a ticket holds (WSS Kerberos Token Profile 1.1): an `AP-REQ`, alone or in the
//! frame of GSS-API. Which of the two is said beside it, and neither is taken for the other. There is nothing to
//! negotiate in a message, so SPNEGO is not read here, whatever mechanism it prefers.

use super::Unusable;
use super::ap_req::Request;
use super::spnego::First;

/// The `AP-REQ` in the frame of GSS-API (`#GSS_Kerberosv5_AP_REQ`).
///
/// # Errors
/// [`Unusable`].
pub fn framed(octets: &[u8]) -> Result<Request<'_>, Unusable> {
    let first = First::read(octets)?;
    if first.is_negotiated() { Err(Unusable::Mechanism) } else { Ok(first.request) }
}

/// The `AP-REQ` that is all there is (`#Kerberosv5_AP_REQ`).
///
/// # Errors
/// [`Unusable`].
pub fn bare(octets: &[u8]) -> Result<Request<'_>, Unusable> {
    Request::read(octets).map_err(|why| match First::read(octets) {
        Err(Unusable::Ntlm) => Unusable::Ntlm,
        _ => why,
    })
}
