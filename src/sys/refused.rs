//! The debug mode of the system-call filter: instead of killing the process the kernel raises SIGSYS, and
//! the handler here says which call was refused and makes it return EPERM. Still refused, only not fatal.

use std::io;
use std::sync::OnceLock;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static NAMES: OnceLock<fn(i64) -> Option<&'static str>> = OnceLock::new();

/// Installs the handler. `name` gives the name of a call by its number; it must not allocate or lock.
///
/// # Errors
/// What the kernel says.
pub fn name_refused_calls(name: fn(i64) -> Option<&'static str>) -> io::Result<()> {
    // Set before a signal can come, so that the handler never initialises anything.
    let _ = NAMES.set(name);
    let action = SigAction::new(SigHandler::SigAction(refused), SaFlags::SA_SIGINFO, SigSet::empty());
    #[expect(unsafe_code, reason = "installing a signal handler")]
    // SAFETY: the handler only reads its arguments, writes to a descriptor from a buffer on its stack and
    // sets the interrupted call's return value: all async-signal-safe.
    unsafe {
        sigaction(Signal::SIGSYS, &action)?;
    }
    Ok(())
}

/// What the kernel puts behind `si_code` for SIGSYS (sigaction(2)); libc has no accessor for it.
#[repr(C)]
struct Sigsys {
    signo: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    call_address: *const libc::c_void,
    syscall: libc::c_int,
    architecture: libc::c_uint,
}

extern "C" fn refused(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    #[expect(unsafe_code, reason = "the kernel's SIGSYS record")]
    // SAFETY: the kernel hands a siginfo_t whose layout for SIGSYS is `Sigsys`, valid for this handler.
    let number = unsafe { (*info.cast::<Sigsys>()).syscall };
    let mut line = [0; 96];
    let mut used = 0;
    let mut push = |text: &[u8]| {
        for octet in text {
            if let Some(slot) = line.get_mut(used) {
                *slot = *octet;
                used += 1;
            }
        }
    };
    push(b"sandbox: refused system call ");
    let mut digits = [0; 10];
    let mut rest = number.unsigned_abs();
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 || at == 0 {
            break;
        }
    }
    push(&digits[at..]);
    if let Some(name) = NAMES.get().and_then(|names| names(number.into())) {
        push(b" ");
        push(name.as_bytes());
    }
    push(b"\n");
    #[expect(unsafe_code, reason = "writing from a signal handler")]
    // SAFETY: the buffer is `used` octets long at least.
    unsafe {
        libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), used);
    }
    give_back(context, -i64::from(libc::EPERM));
}

/// The refused call returns `value`.
fn give_back(context: *mut libc::c_void, value: i64) {
    #[expect(unsafe_code, reason = "the return value of the interrupted call lives in the saved registers")]
    // SAFETY: with SA_SIGINFO the third argument is the interrupted thread's ucontext_t, ours to change.
    unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        #[cfg(target_arch = "x86_64")]
        if let Some(register) = context.uc_mcontext.gregs.get_mut(libc::REG_RAX as usize) {
            *register = value;
        }
        #[cfg(target_arch = "aarch64")]
        if let Some(register) = context.uc_mcontext.regs.first_mut() {
            *register = value.cast_unsigned();
        }
    }
}
