//! A PKCS#11 2.40 module for tests and benches. It loads the module named by `CHANCERY_FAULT_MODULE`, stands
//! in front of every function of it, counts calls in a file several processes share
//! (`CHANCERY_FAULT_COUNTS`), and misbehaves as the file `CHANCERY_FAULT_CONTROL` says, which may be
//! replaced at any time. It exports `C_GetFunctionList` and nothing else, so it is always used as 2.40.

#![expect(non_snake_case, reason = "the names are those of PKCS#11")]
#![expect(non_camel_case_types, reason = "the names are those of PKCS#11")]

mod control;
mod counts;
mod front;
mod handles;
mod reach;

use std::sync::OnceLock;

use cryptoki_sys::{CK_FUNCTION_LIST, CK_RV, CKR_ARGUMENTS_BAD, CKR_GENERAL_ERROR, CKR_OK};

/// The module behind, its list, and the list that is given out.
struct Module {
    inner: CK_FUNCTION_LIST,
    outer: CK_FUNCTION_LIST,
    // The functions above are valid as long as this is loaded, which is for ever.
    _library: libloading::Library,
}

// SAFETY: the lists hold a version and function pointers, and are only read after they were made.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

static MODULE: OnceLock<Option<Module>> = OnceLock::new();

fn module() -> Option<&'static Module> {
    MODULE.get_or_init(load).as_ref()
}

fn load() -> Option<Module> {
    let path = std::env::var_os("CHANCERY_FAULT_MODULE")?;
    type GetFunctionList = unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV;
    // SAFETY: whoever sets the variable vouches for the module's initialisers.
    let library = unsafe { libloading::Library::new(path) }.ok()?;
    let mut list: *mut CK_FUNCTION_LIST = std::ptr::null_mut();
    {
        // SAFETY: PKCS#11 fixes the type of this symbol.
        let get = unsafe { library.get::<GetFunctionList>(b"C_GetFunctionList\0") }.ok()?;
        // SAFETY: the pointer is valid for the call.
        if unsafe { get(&raw mut list) } != CKR_OK || list.is_null() {
            return None;
        }
    }
    // SAFETY: the module just gave this pointer, to a list that lives as long as it is loaded.
    let inner = unsafe { *list };
    let mut outer = inner;
    front::dress(&mut outer);
    counts::start(&front::NAMES);
    Some(Module { inner, outer, _library: library })
}

/// The list of functions, each standing in front of the other module's.
///
/// # Safety
/// `list` must be null or valid for writing one pointer, as PKCS#11 asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    let Some(module) = module() else { return CKR_GENERAL_ERROR };
    if list.is_null() {
        return CKR_ARGUMENTS_BAD;
    }
    // SAFETY: not null, and the caller vouches for the rest. Callers only read the list.
    unsafe { *list = (&raw const module.outer).cast_mut() };
    CKR_OK
}
