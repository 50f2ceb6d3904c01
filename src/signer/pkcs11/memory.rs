//! Keeping the PIN out of swap. It has to stay in memory, because a token that lost its login asks for it
//! again; core files and debuggers are kept out by lock-down.

use std::ptr::NonNull;

use cryptoki::types::AuthPin;
use secrecy::ExposeSecret;

/// Locks the pages the PIN lies in. A kernel that has no room for it is said so in the log and no more: the
/// PIN lies in a file on the same machine anyway.
pub(crate) fn keep_in_memory(pin: &AuthPin) {
    let text = pin.expose_secret();
    let start = NonNull::from(text.as_bytes()).cast();
    #[expect(unsafe_code, reason = "mlock takes an address")]
    // SAFETY: the octets are ours and live as long as the secret, which is never moved to other memory;
    // locking changes neither them nor who may touch them.
    let locked = unsafe { nix::sys::mman::mlock(start, text.len()) };
    if let Err(errno) = locked {
        tracing::warn!(event = "pin-not-locked", why = %errno);
    }
}
