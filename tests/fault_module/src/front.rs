//! One function in front of each function of the other module: count, misbehave, pass on.

use std::ffi::c_void;
use std::time::Duration;

use cryptoki_sys::*;

use crate::{control, counts, handles, module, reach};

macro_rules! stand_in_front {
    (by_hand($($special:ident),*); $($name:ident($($arg:ident: $type:ty),*) in($($in:ident),*) out($($out:ident),*);)* ) => {
        #[derive(Clone, Copy)]
        #[expect(clippy::enum_variant_names, reason = "the names are those of PKCS#11")]
        enum Function { $($name,)* $($special,)* SizeQuery, Inside }

        /// Names in the file of counters. `C_Sign?` counts calls that only ask for the size; `inside` is no function:
        /// nanoseconds of processor time that the other module used in calls that were passed on.
        pub(crate) const NAMES: [&str; Function::Inside as usize + 1] =
            [$(stringify!($name),)* $(stringify!($special),)* "C_Sign?", "inside"];

        $(
            unsafe extern "C" fn $name($($arg: $type),*) -> CK_RV {
                if let Some(rv) = misbehave(Function::$name) {
                    return rv;
                }
                $(let Some($in) = handles::inward($in) else { return CKR_OBJECT_HANDLE_INVALID };)*
                let Some(inner) = module().and_then(|module| module.inner.$name) else {
                    return CKR_FUNCTION_NOT_SUPPORTED;
                };
                // SAFETY: the caller's arguments, passed on as they are.
                let rv = metered(|| unsafe { inner($($arg),*) });
                $(
                    if rv == CKR_OK && !$out.is_null() {
                        // SAFETY: the other module just wrote it.
                        unsafe { *$out = handles::outward(*$out) };
                    }
                )*
                rv
            }
        )*

        /// Puts our functions where the other module has one.
        pub(crate) fn dress(list: &mut CK_FUNCTION_LIST) {
            list.version = CK_VERSION { major: 2, minor: 40 };
            $(if list.$name.is_some() { list.$name = Some($name); })*
            $(list.$special = Some($special);)*
            list.C_GetFunctionList = Some(crate::C_GetFunctionList);
        }
    };
}

stand_in_front! {
    by_hand(C_Initialize, C_GetSlotList, C_GetTokenInfo, C_FindObjects, C_Sign);
    C_Finalize(a1: *mut c_void) in() out();
    C_GetInfo(a1: *mut CK_INFO) in() out();
    C_GetSlotInfo(a1: CK_SLOT_ID, a2: *mut CK_SLOT_INFO) in() out();
    C_GetMechanismList(a1: CK_SLOT_ID, a2: *mut CK_MECHANISM_TYPE, a3: *mut CK_ULONG) in() out();
    C_GetMechanismInfo(a1: CK_SLOT_ID, a2: CK_MECHANISM_TYPE, a3: *mut CK_MECHANISM_INFO) in() out();
    C_InitToken(a1: CK_SLOT_ID, a2: *mut CK_UTF8CHAR, a3: CK_ULONG, a4: *mut CK_UTF8CHAR) in() out();
    C_InitPIN(a1: CK_SESSION_HANDLE, a2: *mut CK_UTF8CHAR, a3: CK_ULONG) in() out();
    C_SetPIN(a1: CK_SESSION_HANDLE, a2: *mut CK_UTF8CHAR, a3: CK_ULONG, a4: *mut CK_UTF8CHAR, a5: CK_ULONG) in() out();
    C_OpenSession(a1: CK_SLOT_ID, a2: CK_FLAGS, a3: *mut c_void, a4: CK_NOTIFY, a5: *mut CK_SESSION_HANDLE) in() out();
    C_CloseSession(a1: CK_SESSION_HANDLE) in() out();
    C_CloseAllSessions(a1: CK_SLOT_ID) in() out();
    C_GetSessionInfo(a1: CK_SESSION_HANDLE, a2: *mut CK_SESSION_INFO) in() out();
    C_GetOperationState(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: *mut CK_ULONG) in() out();
    C_SetOperationState(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: CK_OBJECT_HANDLE, a5: CK_OBJECT_HANDLE) in() out();
    C_Login(a1: CK_SESSION_HANDLE, a2: CK_USER_TYPE, a3: *mut CK_UTF8CHAR, a4: CK_ULONG) in() out();
    C_Logout(a1: CK_SESSION_HANDLE) in() out();
    C_CreateObject(a1: CK_SESSION_HANDLE, a2: *mut CK_ATTRIBUTE, a3: CK_ULONG, a4: *mut CK_OBJECT_HANDLE) in() out(a4);
    C_CopyObject(a1: CK_SESSION_HANDLE, a2: CK_OBJECT_HANDLE, a3: *mut CK_ATTRIBUTE, a4: CK_ULONG, a5: *mut CK_OBJECT_HANDLE) in(a2) out(a5);
    C_DestroyObject(a1: CK_SESSION_HANDLE, a2: CK_OBJECT_HANDLE) in(a2) out();
    C_GetObjectSize(a1: CK_SESSION_HANDLE, a2: CK_OBJECT_HANDLE, a3: *mut CK_ULONG) in(a2) out();
    C_GetAttributeValue(a1: CK_SESSION_HANDLE, a2: CK_OBJECT_HANDLE, a3: *mut CK_ATTRIBUTE, a4: CK_ULONG) in(a2) out();
    C_SetAttributeValue(a1: CK_SESSION_HANDLE, a2: CK_OBJECT_HANDLE, a3: *mut CK_ATTRIBUTE, a4: CK_ULONG) in(a2) out();
    C_FindObjectsInit(a1: CK_SESSION_HANDLE, a2: *mut CK_ATTRIBUTE, a3: CK_ULONG) in() out();
    C_FindObjectsFinal(a1: CK_SESSION_HANDLE) in() out();
    C_EncryptInit(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM, a3: CK_OBJECT_HANDLE) in(a3) out();
    C_Encrypt(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: *mut CK_ULONG) in() out();
    C_EncryptUpdate(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: *mut CK_ULONG) in() out();
    C_EncryptFinal(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: *mut CK_ULONG) in() out();
    C_DecryptInit(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM, a3: CK_OBJECT_HANDLE) in(a3) out();
    C_Decrypt(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: *mut CK_ULONG) in() out();
    C_DecryptUpdate(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: *mut CK_ULONG) in() out();
    C_DecryptFinal(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: *mut CK_ULONG) in() out();
    C_DigestInit(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM) in() out();
    C_Digest(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: *mut CK_ULONG) in() out();
    C_DigestUpdate(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG) in() out();
    C_DigestKey(a1: CK_SESSION_HANDLE, a2: CK_OBJECT_HANDLE) in(a2) out();
    C_DigestFinal(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: *mut CK_ULONG) in() out();
    C_SignInit(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM, a3: CK_OBJECT_HANDLE) in(a3) out();
    C_SignUpdate(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG) in() out();
    C_SignFinal(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: *mut CK_ULONG) in() out();
    C_SignRecoverInit(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM, a3: CK_OBJECT_HANDLE) in(a3) out();
    C_SignRecover(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: *mut CK_ULONG) in() out();
    C_VerifyInit(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM, a3: CK_OBJECT_HANDLE) in(a3) out();
    C_Verify(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: CK_ULONG) in() out();
    C_VerifyUpdate(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG) in() out();
    C_VerifyFinal(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG) in() out();
    C_VerifyRecoverInit(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM, a3: CK_OBJECT_HANDLE) in(a3) out();
    C_VerifyRecover(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: *mut CK_ULONG) in() out();
    C_DigestEncryptUpdate(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: *mut CK_ULONG) in() out();
    C_DecryptDigestUpdate(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: *mut CK_ULONG) in() out();
    C_SignEncryptUpdate(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: *mut CK_ULONG) in() out();
    C_DecryptVerifyUpdate(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG, a4: *mut CK_BYTE, a5: *mut CK_ULONG) in() out();
    C_GenerateKey(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM, a3: *mut CK_ATTRIBUTE, a4: CK_ULONG, a5: *mut CK_OBJECT_HANDLE) in() out(a5);
    C_GenerateKeyPair(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM, a3: *mut CK_ATTRIBUTE, a4: CK_ULONG, a5: *mut CK_ATTRIBUTE, a6: CK_ULONG, a7: *mut CK_OBJECT_HANDLE, a8: *mut CK_OBJECT_HANDLE) in() out(a7, a8);
    C_WrapKey(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM, a3: CK_OBJECT_HANDLE, a4: CK_OBJECT_HANDLE, a5: *mut CK_BYTE, a6: *mut CK_ULONG) in(a3, a4) out();
    C_UnwrapKey(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM, a3: CK_OBJECT_HANDLE, a4: *mut CK_BYTE, a5: CK_ULONG, a6: *mut CK_ATTRIBUTE, a7: CK_ULONG, a8: *mut CK_OBJECT_HANDLE) in(a3) out(a8);
    C_DeriveKey(a1: CK_SESSION_HANDLE, a2: *mut CK_MECHANISM, a3: CK_OBJECT_HANDLE, a4: *mut CK_ATTRIBUTE, a5: CK_ULONG, a6: *mut CK_OBJECT_HANDLE) in(a3) out(a6);
    C_SeedRandom(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG) in() out();
    C_GenerateRandom(a1: CK_SESSION_HANDLE, a2: *mut CK_BYTE, a3: CK_ULONG) in() out();
    C_GetFunctionStatus(a1: CK_SESSION_HANDLE) in() out();
    C_CancelFunction(a1: CK_SESSION_HANDLE) in() out();
    C_WaitForSlotEvent(a1: CK_FLAGS, a2: *mut CK_SLOT_ID, a3: *mut c_void) in() out();
}

/// Is the HSM out of reach, where it is elsewhere?
fn unreached() -> bool {
    control::now().reach.as_ref().is_some_and(|(how, place)| !reach::reached(how, place))
}

/// Calls the other module, and adds what it used of the processor. Threads of its own are not seen.
fn metered(call: impl FnOnce() -> CK_RV) -> CK_RV {
    let before = counts::processor_ns();
    let rv = call();
    counts::add(Function::Inside as usize, counts::processor_ns().saturating_sub(before));
    rv
}

/// Counts the call; what to answer instead of passing it on, if anything.
fn misbehave(function: Function) -> Option<CK_RV> {
    let index = function as usize;
    let before = counts::called(index);
    let control = control::now();
    let name = NAMES[index];
    if control.hang.iter().any(|hung| hung == name) {
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
    for (_, delay) in control.slow.iter().filter(|(slow, _)| slow == name) {
        std::thread::sleep(Duration::from_millis(*delay));
    }
    for (failing, rv, limit) in &control.fail {
        if failing == name && counts::take_error(index, *limit) {
            return Some(*rv);
        }
    }
    for (failing, rv, calls) in &control.fail_after {
        if failing == name && before >= *calls {
            return Some(*rv);
        }
    }
    if control.removed {
        return match function {
            // A module without its token can still be closed and opened.
            Function::C_Initialize
            | Function::C_Finalize
            | Function::C_GetInfo
            | Function::C_GetSlotList
            | Function::C_GetSlotInfo
            | Function::C_CloseSession
            | Function::C_CloseAllSessions
            | Function::SizeQuery => None,
            Function::C_GetTokenInfo | Function::C_OpenSession => Some(CKR_TOKEN_NOT_PRESENT),
            _ => Some(CKR_DEVICE_REMOVED),
        };
    }
    None
}

/// As a vendor's library may that waits at exit for a lock, or for its HSM.
extern "C" fn wait_for_ever() {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

unsafe extern "C" fn C_Initialize(arguments: *mut c_void) -> CK_RV {
    if let Some(rv) = misbehave(Function::C_Initialize) {
        return rv;
    }
    if control::now().hang.iter().any(|hung| hung == "exit") {
        // SAFETY: takes a function, which is there for as long as this is loaded.
        let _no_room = unsafe { libc::atexit(wait_for_ever) };
    }
    if unreached() {
        return CKR_DEVICE_ERROR;
    }
    let Some(inner) = module().and_then(|module| module.inner.C_Initialize) else {
        return CKR_FUNCTION_NOT_SUPPORTED;
    };
    // SAFETY: the caller's argument, passed on as it is.
    let rv = unsafe { inner(arguments) };
    if rv == CKR_OK {
        handles::initialised(control::now().move_handles);
    }
    rv
}

unsafe extern "C" fn C_GetSlotList(present: CK_BBOOL, slots: *mut CK_SLOT_ID, count: *mut CK_ULONG) -> CK_RV {
    if let Some(rv) = misbehave(Function::C_GetSlotList) {
        return rv;
    }
    if control::now().removed && present != CK_FALSE && !count.is_null() {
        // SAFETY: not null, and the caller vouches for the rest.
        unsafe { *count = 0 };
        return CKR_OK;
    }
    match module().and_then(|module| module.inner.C_GetSlotList) {
        // SAFETY: the caller's arguments, passed on as they are.
        Some(inner) => unsafe { inner(present, slots, count) },
        None => CKR_FUNCTION_NOT_SUPPORTED,
    }
}

unsafe extern "C" fn C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) -> CK_RV {
    if let Some(rv) = misbehave(Function::C_GetTokenInfo) {
        return rv;
    }
    let Some(inner) = module().and_then(|module| module.inner.C_GetTokenInfo) else {
        return CKR_FUNCTION_NOT_SUPPORTED;
    };
    // SAFETY: the caller's arguments, passed on as they are.
    let rv = unsafe { inner(slot, info) };
    if rv == CKR_OK && control::now().no_pin {
        // SAFETY: the other module just wrote it.
        unsafe { (*info).flags &= !CKF_USER_PIN_INITIALIZED };
    }
    rv
}

unsafe extern "C" fn C_FindObjects(
    session: CK_SESSION_HANDLE,
    objects: *mut CK_OBJECT_HANDLE,
    room: CK_ULONG,
    count: *mut CK_ULONG,
) -> CK_RV {
    if let Some(rv) = misbehave(Function::C_FindObjects) {
        return rv;
    }
    let Some(inner) = module().and_then(|module| module.inner.C_FindObjects) else {
        return CKR_FUNCTION_NOT_SUPPORTED;
    };
    // SAFETY: the caller's arguments, passed on as they are.
    let rv = unsafe { inner(session, objects, room, count) };
    if rv == CKR_OK && !objects.is_null() && !count.is_null() {
        if control::now().no_objects {
            // SAFETY: not null, and the caller vouches for the rest.
            unsafe { *count = 0 };
        }
        // SAFETY: the other module wrote at least that many handles there.
        let found = unsafe { std::slice::from_raw_parts_mut(objects, usize::try_from(*count).unwrap_or(0)) };
        for handle in found {
            *handle = handles::outward(*handle);
        }
    }
    rv
}

unsafe extern "C" fn C_Sign(
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_length: CK_ULONG,
    signature: *mut CK_BYTE,
    length: *mut CK_ULONG,
) -> CK_RV {
    let size_query = signature.is_null();
    if let Some(rv) = misbehave(if size_query { Function::SizeQuery } else { Function::C_Sign }) {
        return rv;
    }
    let Some(inner) = module().and_then(|module| module.inner.C_Sign) else { return CKR_FUNCTION_NOT_SUPPORTED };
    let control = control::now();
    if !size_query && unreached() {
        return CKR_DEVICE_ERROR;
    }
    if !size_query && control.sign_delay_us > 0 {
        std::thread::sleep(Duration::from_micros(control.sign_delay_us));
    }
    // SAFETY: the caller's arguments, passed on as they are.
    let rv = metered(|| unsafe { inner(session, data, data_length, signature, length) });
    if rv == CKR_OK && !size_query && control.flip_signature {
        // SAFETY: the other module wrote at least one octet of signature there.
        unsafe { *signature ^= 0x10 };
    }
    rv
}
