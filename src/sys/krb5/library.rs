//! What of `krb5.h` and `profile.h` is called, as MIT Kerberos 1.18 and later declare it. The layouts are part of the
//! library's ABI and have been since its file has been called `libkrb5.so.3`; of larger structures only the part is
//! here that is looked at, and none is made here but those that are here whole.

use std::ffi::{c_char, c_int, c_long, c_uint};

/// `krb5_error_code`.
pub(super) type Code = i32;

/// What the library keeps to itself.
#[repr(C)]
pub(super) struct Opaque {
    _private: [u8; 0],
}

/// `krb5_data`.
#[repr(C)]
pub(super) struct Data {
    pub(super) magic: i32,
    pub(super) length: c_uint,
    pub(super) data: *mut c_char,
}

/// `krb5_keyblock`.
#[repr(C)]
pub(super) struct Keyblock {
    pub(super) magic: i32,
    pub(super) kind: i32,
    pub(super) length: c_uint,
    pub(super) contents: *mut u8,
}

/// `krb5_checksum`.
#[repr(C)]
pub(super) struct Checksum {
    pub(super) magic: i32,
    pub(super) kind: i32,
    pub(super) length: c_uint,
    pub(super) contents: *mut u8,
}

/// `krb5_principal_data`.
#[repr(C)]
pub(super) struct Principal {
    pub(super) magic: i32,
    pub(super) realm: Data,
    pub(super) components: *mut Data,
    pub(super) length: i32,
    pub(super) kind: i32,
}

/// `krb5_keytab_entry`.
#[repr(C)]
pub(super) struct KeytabEntry {
    pub(super) magic: i32,
    pub(super) principal: *mut Principal,
    pub(super) timestamp: i32,
    pub(super) version: c_uint,
    pub(super) key: Keyblock,
}

/// `krb5_authenticator`, its beginning.
#[repr(C)]
pub(super) struct Authenticator {
    pub(super) magic: i32,
    pub(super) client: *mut Principal,
    pub(super) checksum: *mut Checksum,
}

/// `krb5_ticket`.
#[repr(C)]
pub(super) struct Ticket {
    pub(super) magic: i32,
    pub(super) server: *mut Principal,
    pub(super) encrypted: Encrypted,
    pub(super) part: *mut TicketPart,
}

/// `krb5_enc_data`.
#[repr(C)]
pub(super) struct Encrypted {
    pub(super) magic: i32,
    pub(super) kind: i32,
    pub(super) version: c_uint,
    pub(super) cipher: Data,
}

/// `krb5_enc_tkt_part`, its beginning.
#[repr(C)]
pub(super) struct TicketPart {
    pub(super) magic: i32,
    pub(super) flags: i32,
    pub(super) session: *mut Keyblock,
    pub(super) client: *mut Principal,
    pub(super) transited: Transited,
    pub(super) times: Times,
}

/// `krb5_transited`.
#[repr(C)]
pub(super) struct Transited {
    pub(super) magic: i32,
    pub(super) kind: u8,
    pub(super) contents: Data,
}

/// `krb5_ticket_times`, seconds.
#[repr(C)]
pub(super) struct Times {
    pub(super) authenticated: i32,
    pub(super) begins: i32,
    pub(super) ends: i32,
    pub(super) renewable_until: i32,
}

#[link(name = "k5crypto")]
#[expect(unsafe_code, reason = "the library is C")]
unsafe extern "C" {
    pub(super) fn krb5_c_make_checksum(
        context: *mut Opaque,
        kind: i32,
        key: *const Keyblock,
        usage: i32,
        input: *const Data,
        checksum: *mut Checksum,
    ) -> Code;
}

#[link(name = "krb5")]
#[expect(unsafe_code, reason = "the library is C")]
unsafe extern "C" {
    pub(super) fn profile_init_path(path: *const c_char, profile: *mut *mut Opaque) -> c_long;
    pub(super) fn profile_release(profile: *mut Opaque);
    pub(super) fn krb5_init_context_profile(profile: *mut Opaque, flags: c_int, context: *mut *mut Opaque) -> Code;
    pub(super) fn krb5_free_context(context: *mut Opaque);
    pub(super) fn krb5_get_error_message(context: *mut Opaque, code: Code) -> *const c_char;
    pub(super) fn krb5_free_error_message(context: *mut Opaque, message: *const c_char);
    pub(super) fn krb5_parse_name(context: *mut Opaque, name: *const c_char, principal: *mut *mut Principal) -> Code;
    pub(super) fn krb5_free_principal(context: *mut Opaque, principal: *mut Principal);
    pub(super) fn krb5_kt_resolve(context: *mut Opaque, name: *const c_char, keytab: *mut *mut Opaque) -> Code;
    pub(super) fn krb5_kt_add_entry(context: *mut Opaque, keytab: *mut Opaque, entry: *mut KeytabEntry) -> Code;
    pub(super) fn krb5_kt_close(context: *mut Opaque, keytab: *mut Opaque) -> Code;
    pub(super) fn krb5_auth_con_init(context: *mut Opaque, conversation: *mut *mut Opaque) -> Code;
    pub(super) fn krb5_auth_con_free(context: *mut Opaque, conversation: *mut Opaque) -> Code;
    pub(super) fn krb5_auth_con_setflags(context: *mut Opaque, conversation: *mut Opaque, flags: i32) -> Code;
    pub(super) fn krb5_auth_con_setrcache(context: *mut Opaque, conversation: *mut Opaque, cache: *mut Opaque) -> Code;
    pub(super) fn krb5_auth_con_getauthenticator(
        context: *mut Opaque,
        conversation: *mut Opaque,
        authenticator: *mut *mut Authenticator,
    ) -> Code;
    pub(super) fn krb5_auth_con_getrecvsubkey(
        context: *mut Opaque,
        conversation: *mut Opaque,
        key: *mut *mut Keyblock,
    ) -> Code;
    pub(super) fn krb5_free_keyblock(context: *mut Opaque, key: *mut Keyblock);
    pub(super) fn krb5_free_authenticator(context: *mut Opaque, authenticator: *mut Authenticator);
    pub(super) fn krb5_get_server_rcache(context: *mut Opaque, piece: *const Data, cache: *mut *mut Opaque) -> Code;
    pub(super) fn krb5_rd_req(
        context: *mut Opaque,
        conversation: *mut *mut Opaque,
        request: *const Data,
        server: *const Principal,
        keytab: *mut Opaque,
        options: *mut i32,
        ticket: *mut *mut Ticket,
    ) -> Code;
    pub(super) fn krb5_free_ticket(context: *mut Opaque, ticket: *mut Ticket);
    pub(super) fn krb5_mk_rep(context: *mut Opaque, conversation: *mut Opaque, reply: *mut Data) -> Code;
    pub(super) fn krb5_free_data_contents(context: *mut Opaque, data: *mut Data);
    pub(super) fn krb5_free_checksum_contents(context: *mut Opaque, checksum: *mut Checksum);
}
