//! MIT Kerberos, as far as somebody needs it who accepts tickets: `libkrb5` itself, and not GSS-API over it, which
//! would read more of what a stranger sends (SPNEGO, delegated credentials) and load what the system has in its
//! directories of mechanisms. The keys are in memory. The library reads no configuration but the file it is given,
//! takes nothing from the environment of a process that has cleared it, and remembers what was used in its own replay
//! cache each time, or accepts nothing. Whatever it gives is copied here, and freed.

mod library;

use std::ffi::{CStr, CString, c_uint};
use std::fmt;
use std::path::Path;
use std::ptr::{null, null_mut};

use zeroize::Zeroizing;

use self::library::{Authenticator, Checksum, Code, Data, Keyblock, KeytabEntry, Opaque, Principal};

/// `KRB5_INIT_CONTEXT_SECURE`: the environment is not asked.
const SECURE: i32 = 1;
/// `KRB5_AUTH_CONTEXT_DO_TIME | KRB5_AUTH_CONTEXT_DO_SEQUENCE`, as GSS-API has them.
const FLAGS: i32 = 1 | 4;
/// `CKSUMTYPE_RSA_MD5`.
const MD5: i32 = 7;
/// Octets that are taken of the library at once, at most.
const LONGEST: usize = 64 * 1024;

/// What the library says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Its number of it.
    pub code: i32,
    /// Its words.
    pub said: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Error {}

impl Error {
    fn of(said: &str) -> Self {
        Self { code: 0, said: said.to_owned() }
    }
}

/// A ticket that was accepted, and the authenticator beside it.
#[derive(Debug)]
pub struct Accepted {
    /// The client's name, in components.
    pub name: Vec<Vec<u8>>,
    /// Its realm.
    pub realm: Vec<u8>,
    /// When the client proved himself to the KDC, seconds.
    pub authenticated_s: i64,
    /// When the ticket ends, seconds.
    pub ends_s: i64,
    /// The type of the session key's encryption.
    pub session: i32,
    /// The key that the client shares with us: the one he has chosen for this, else the session key.
    pub key: Key,
    /// The checksum of the authenticator, where there is one: its type and its content.
    pub checksum: Option<(i32, Vec<u8>)>,
    /// Proves to the client that we have the key, DER.
    pub reply: Vec<u8>,
}

/// A key, and the type of its encryption.
pub struct Key {
    /// As the library numbers it.
    pub kind: i32,
    /// The key.
    pub octets: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The library with the keys of our services. It stays on the thread that made it.
#[derive(Debug)]
pub struct Acceptor {
    context: *mut Opaque,
    keytab: *mut Opaque,
}

#[expect(unsafe_code, reason = "the library is C")]
impl Acceptor {
    /// Starts the library with a configuration file. There are no keys yet.
    ///
    /// # Errors
    /// What the library says.
    pub fn start(configuration: &Path) -> Result<Self, Error> {
        let path = text(configuration.as_os_str().as_encoded_bytes())?;
        let (mut profile, mut context) = (null_mut(), null_mut());
        // SAFETY: the path ends with a zero and outlives the call, which writes one pointer.
        let code = unsafe { library::profile_init_path(path.as_ptr(), &raw mut profile) };
        if code != 0 {
            return Err(Error::of("the configuration of the library cannot be read"));
        }
        // SAFETY: the profile was just made. The context takes a copy of it, so that this one is released in any case.
        let code = unsafe {
            let code = library::krb5_init_context_profile(profile, SECURE, &raw mut context);
            library::profile_release(profile);
            code
        };
        if code != 0 {
            return Err(Error { code, ..Error::of("the library cannot be started") });
        }
        let mut acceptor = Self { context, keytab: null_mut() };
        // SAFETY: the context lives as long as `acceptor`; the name ends with a zero; one pointer is written.
        let code = unsafe { library::krb5_kt_resolve(context, c"MEMORY:services".as_ptr(), &raw mut acceptor.keytab) };
        acceptor.went(code)?;
        Ok(acceptor)
    }

    /// Adds a key of a service.
    ///
    /// # Errors
    /// What the library says.
    pub fn add(&mut self, principal: &str, version: u32, kind: u16, key: &[u8]) -> Result<(), Error> {
        let name = text(principal.as_bytes())?;
        let mut parsed = null_mut();
        // SAFETY: the name ends with a zero; one pointer is written.
        self.went(unsafe { library::krb5_parse_name(self.context, name.as_ptr(), &raw mut parsed) })?;
        let length = c_uint::try_from(key.len()).map_err(|_| Error::of("a key is too long"))?;
        // The library copies the key and does not write to it.
        let key = Keyblock { magic: 0, kind: kind.into(), length, contents: key.as_ptr().cast_mut() };
        let mut entry = KeytabEntry { magic: 0, principal: parsed, timestamp: 0, version, key };
        // SAFETY: all of the entry is valid during the call, which copies what it keeps; then the name is freed, once.
        let code = unsafe {
            let code = library::krb5_kt_add_entry(self.context, self.keytab, &raw mut entry);
            library::krb5_free_principal(self.context, parsed);
            code
        };
        self.went(code)
    }

    /// Whose is this `AP-REQ`? It is used up: the replay cache knows it from now on.
    ///
    /// # Errors
    /// What the library says.
    pub fn accept(&self, request: &[u8]) -> Result<Accepted, Error> {
        let conversation = Conversation::with_replay_cache(self)?;
        let length = c_uint::try_from(request.len()).map_err(|_| Error::of("a request is too long"))?;
        let request = Data { magic: 0, length, data: request.as_ptr().cast_mut().cast() };
        let (mut ticket, mut options, mut same) = (null_mut(), 0, conversation.pointer);
        // SAFETY: the conversation is there already, so that none is made in its place; the octets of the request are
        // read during the call and not written; without a name of a server the keytab decides which are ours. One
        // pointer and one number are written.
        let code = unsafe {
            library::krb5_rd_req(
                self.context,
                &raw mut same,
                &raw const request,
                null(),
                self.keytab,
                &raw mut options,
                &raw mut ticket,
            )
        };
        self.went(code)?;
        let ticket = Owned { acceptor: self, pointer: ticket, free: library::krb5_free_ticket };
        // SAFETY: a ticket that was accepted has been decrypted, and the library gave all of it; it lives until
        // `ticket` is dropped, and everything is copied before.
        let (client, times, session) = unsafe {
            let part = ticket.pointer.as_ref().and_then(|ticket| ticket.part.as_ref());
            let part = part.ok_or_else(|| Error::of("no ticket"))?;
            let session = key(part.session)?.ok_or_else(|| Error::of("no session key"))?;
            (name(part.client)?, &part.times, session)
        };
        let (realm, name) = client;
        Ok(Accepted {
            name,
            realm,
            // The library's seconds are 32 bits, and go on without a sign after 2038.
            authenticated_s: times.authenticated.cast_unsigned().into(),
            ends_s: times.ends.cast_unsigned().into(),
            session: session.kind,
            key: conversation.chosen()?.unwrap_or(session),
            checksum: conversation.checksum()?,
            reply: conversation.reply()?,
        })
    }

    /// MD5, by which channel bindings are said (RFC 4121 4.1.1.2): the secrecy of nothing rests on it, and what it says
    /// is encrypted with the session key.
    ///
    /// # Errors
    /// What the library says.
    pub fn md5(&self, octets: &[u8]) -> Result<Vec<u8>, Error> {
        let length = c_uint::try_from(octets.len()).map_err(|_| Error::of("too long"))?;
        let input = Data { magic: 0, length, data: octets.as_ptr().cast_mut().cast() };
        let mut checksum = Checksum { magic: 0, kind: 0, length: 0, contents: null_mut() };
        // SAFETY: no key is needed; the octets are read during the call; the checksum is filled with memory of the
        // library's, which is copied and freed, once.
        unsafe {
            let (given, made) = (&raw const input, &raw mut checksum);
            self.went(library::krb5_c_make_checksum(self.context, MD5, null(), 0, given, made))?;
            let octets = copied(checksum.contents, checksum.length);
            library::krb5_free_checksum_contents(self.context, made);
            octets
        }
    }

    fn went(&self, code: Code) -> Result<(), Error> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: the library gives text that ends with a zero, for any code; it is copied and given back, once.
        let said = unsafe {
            let message = library::krb5_get_error_message(self.context, code);
            let said = message.as_ref().map(|message| CStr::from_ptr(message).to_string_lossy().into_owned());
            if !message.is_null() {
                library::krb5_free_error_message(self.context, message);
            }
            said
        };
        Err(Error { code, said: said.unwrap_or_default() })
    }
}

#[expect(unsafe_code, reason = "the library is C")]
impl Drop for Acceptor {
    fn drop(&mut self) {
        // SAFETY: both were made by `start`, are freed here and nowhere else, and nothing that was made of them is
        // left.
        unsafe {
            if !self.keytab.is_null() {
                library::krb5_kt_close(self.context, self.keytab);
            }
            library::krb5_free_context(self.context);
        }
    }
}

/// What the library keeps of one request, and its replay cache with it.
struct Conversation<'a> {
    acceptor: &'a Acceptor,
    pointer: *mut Opaque,
}

#[expect(unsafe_code, reason = "the library is C")]
impl<'a> Conversation<'a> {
    /// Left to itself the library would look for the cache, too; where it is put in place nothing can be accepted
    /// without it.
    fn with_replay_cache(acceptor: &'a Acceptor) -> Result<Self, Error> {
        let mut conversation = Self { acceptor, pointer: null_mut() };
        let context = acceptor.context;
        let service = Data { magic: 0, length: 0, data: null_mut() };
        let mut cache = null_mut();
        // SAFETY: the context lives longer than the conversation; each call writes one pointer; the cache belongs to
        // the conversation from `setrcache` on, which frees it.
        unsafe {
            acceptor.went(library::krb5_auth_con_init(context, &raw mut conversation.pointer))?;
            acceptor.went(library::krb5_auth_con_setflags(context, conversation.pointer, FLAGS))?;
            acceptor.went(library::krb5_get_server_rcache(context, &raw const service, &raw mut cache))?;
            acceptor.went(library::krb5_auth_con_setrcache(context, conversation.pointer, cache))?;
        }
        Ok(conversation)
    }

    /// The checksum in the authenticator.
    fn checksum(&self) -> Result<Option<(i32, Vec<u8>)>, Error> {
        let mut authenticator: *mut Authenticator = null_mut();
        // SAFETY: one pointer is written, to a copy of the authenticator that is ours to free.
        self.acceptor.went(unsafe {
            library::krb5_auth_con_getauthenticator(self.acceptor.context, self.pointer, &raw mut authenticator)
        })?;
        let owned = Owned { acceptor: self.acceptor, pointer: authenticator, free: library::krb5_free_authenticator };
        // SAFETY: it lives until `owned` is dropped; what it points to is there or null.
        let checksum = unsafe { owned.pointer.as_ref().and_then(|one| one.checksum.as_ref()) };
        let Some(checksum) = checksum else { return Ok(None) };
        // SAFETY: as above, and the library says how long it is.
        let content = unsafe { copied(checksum.contents, checksum.length) }?;
        Ok(Some((checksum.kind, content)))
    }

    /// The key that the client has chosen for this conversation, if he has.
    fn chosen(&self) -> Result<Option<Key>, Error> {
        let mut chosen: *mut Keyblock = null_mut();
        // SAFETY: one pointer is written, to a copy of the key that is ours to free, or to nothing.
        self.acceptor.went(unsafe {
            library::krb5_auth_con_getrecvsubkey(self.acceptor.context, self.pointer, &raw mut chosen)
        })?;
        // The library wipes it.
        let owned = Owned { acceptor: self.acceptor, pointer: chosen, free: library::krb5_free_keyblock };
        // SAFETY: it lives until `owned` is dropped.
        unsafe { key(owned.pointer) }
    }

    /// The `AP-REP`.
    fn reply(&self) -> Result<Vec<u8>, Error> {
        let mut reply = Data { magic: 0, length: 0, data: null_mut() };
        // SAFETY: the reply is filled with memory of the library's, which is copied and freed, once.
        unsafe {
            let code = library::krb5_mk_rep(self.acceptor.context, self.pointer, &raw mut reply);
            self.acceptor.went(code)?;
            let octets = copied(reply.data.cast(), reply.length);
            library::krb5_free_data_contents(self.acceptor.context, &raw mut reply);
            octets
        }
    }
}

#[expect(unsafe_code, reason = "the library is C")]
impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        if !self.pointer.is_null() {
            // SAFETY: made by `with_replay_cache` and freed here, once.
            unsafe { library::krb5_auth_con_free(self.acceptor.context, self.pointer) };
        }
    }
}

/// Something that the library gave and takes back.
struct Owned<'a, T> {
    acceptor: &'a Acceptor,
    pointer: *mut T,
    free: unsafe extern "C" fn(*mut Opaque, *mut T),
}

#[expect(unsafe_code, reason = "the library is C")]
impl<T> Drop for Owned<'_, T> {
    fn drop(&mut self) {
        if !self.pointer.is_null() {
            // SAFETY: the library made it, this is the function that frees its kind, and it is freed here, once.
            unsafe { (self.free)(self.acceptor.context, self.pointer) };
        }
    }
}

/// Realm and components.
///
/// # Safety
/// A principal of the library's, or null.
#[expect(unsafe_code, reason = "the library is C")]
unsafe fn name(principal: *const Principal) -> Result<(Vec<u8>, Vec<Vec<u8>>), Error> {
    // SAFETY: the caller's; the library says how many components there are, and how long each is.
    unsafe {
        let principal = principal.as_ref().ok_or_else(|| Error::of("no name"))?;
        let count = usize::try_from(principal.length).unwrap_or(0);
        if count == 0 || count > 16 || principal.components.is_null() {
            return Err(Error::of("a name of no or too many components"));
        }
        let components = std::slice::from_raw_parts(principal.components, count);
        let components = components.iter().map(|one| copied(one.data.cast(), one.length)).collect::<Result<_, _>>()?;
        Ok((copied(principal.realm.data.cast(), principal.realm.length)?, components))
    }
}

/// A copy of a key, if there is one.
///
/// # Safety
/// A key of the library's, or null.
#[expect(unsafe_code, reason = "the library is C")]
unsafe fn key(block: *const Keyblock) -> Result<Option<Key>, Error> {
    // SAFETY: the caller's; the library says how long it is.
    unsafe {
        let Some(block) = block.as_ref() else { return Ok(None) };
        let octets = Zeroizing::new(copied(block.contents, block.length)?);
        Ok(Some(Key { kind: block.kind, octets }))
    }
}

/// A copy.
///
/// # Safety
/// So many octets, or null and none.
#[expect(unsafe_code, reason = "the library is C")]
unsafe fn copied(octets: *const u8, length: c_uint) -> Result<Vec<u8>, Error> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(Error::of("more than is taken of the library"));
    }
    if length == 0 || octets.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the caller's.
    Ok(unsafe { std::slice::from_raw_parts(octets, length) }.to_vec())
}

fn text(octets: &[u8]) -> Result<CString, Error> {
    CString::new(octets).map_err(|_| Error::of("a text with a zero in it"))
}
