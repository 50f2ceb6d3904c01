//! Object handles that move. Each `C_Initialize` after `move_handles` was set begins a generation; a handle
//! of another generation is refused with `CKR_OBJECT_HANDLE_INVALID`, as SoftHSM refuses a stale one.

use std::sync::atomic::{AtomicU64, Ordering};

use cryptoki_sys::CK_OBJECT_HANDLE;

const SHIFT: u32 = 32;

static GENERATION: AtomicU64 = AtomicU64::new(0);
static MOVING: AtomicU64 = AtomicU64::new(0);

/// `C_Initialize` was called.
pub(crate) fn initialised(moving: bool) {
    if moving {
        let generation = GENERATION.fetch_add(1, Ordering::SeqCst) + 1;
        MOVING.store(generation, Ordering::SeqCst);
    } else {
        MOVING.store(0, Ordering::SeqCst);
    }
}

/// The other module's handle for one of ours; none when it is of another generation.
pub(crate) fn inward(handle: CK_OBJECT_HANDLE) -> Option<CK_OBJECT_HANDLE> {
    (handle >> SHIFT == MOVING.load(Ordering::SeqCst)).then_some(handle & ((1 << SHIFT) - 1))
}

/// Our handle for one of the other module's.
pub(crate) fn outward(handle: CK_OBJECT_HANDLE) -> CK_OBJECT_HANDLE {
    handle | (MOVING.load(Ordering::SeqCst) << SHIFT)
}
