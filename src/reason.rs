//! Every way a request can end, and what of it a client may learn. The word goes to the record and the log;
//! the client is told the [`Refusal`], the same one for everything that would tell it who exists. What the
//! documentation of a reason says is what `chancery explain` says of it.

use crate::wire::Text;
use crate::wire::evidence::Refusal;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal => $refusal:expr, $look:literal;)*) => {
        /// Why there is no voucher.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Reason { $($(#[doc = $doc])* $name,)* }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// Every word, for metrics.
            pub const WORDS: &'static [&'static str] = &[$($word,)*];

            /// The short word for the record and the log.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What the client is told.
            #[must_use]
            pub fn refusal(self) -> Refusal {
                match self { $(Self::$name => $refusal,)* }
            }

            /// What it means, as it is documented here.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*),)* }.trim_start()
            }

            /// Where an operator looks next.
            #[must_use]
            pub fn look(self) -> &'static str {
                match self { $(Self::$name => $look,)* }
            }
        }
    };
}

const BUSY: Refusal = Refusal::Busy { retry_after_s: 2 };

reasons! {
    /// `auth.toml` does not name this endpoint.
    Endpoint = "endpoint" => Refusal::RequestFailed,
        "the paths of worker.toml, each of which auth.toml must name in an [[endpoint]]";
    /// `timestamp.required`, and there is none.
    NoTimestamp = "no-timestamp" => Refusal::InvalidSecurity,
        "timestamp.required of auth.toml, and whether the client sends a wsu:Timestamp";
    /// `Expires` is not after `Created`, or the instant of a digest is none (R-W010).
    MalformedTimestamp = "malformed-timestamp" => Refusal::InvalidSecurity,
        "the wsu:Timestamp or the wsu:Created of the client";
    /// R-W011.
    StaleTimestamp = "stale-timestamp" => Refusal::MessageExpired,
        "age_s and left_s in the line of the log, the clocks of both, and [timestamp] of auth.toml";
    /// No such account.
    UnknownUser = "unknown-user" => Refusal::FailedAuthentication,
        "users.toml, and the names of each [[directory]]";
    /// The password does not fit, or is empty.
    WrongPassword = "wrong-password" => Refusal::FailedAuthentication,
        "the password of the client; `chancery hash-password` makes a new hash";
    /// The account is disabled, whatever the password.
    Disabled = "disabled" => Refusal::FailedAuthentication,
        "users.toml, or [[directory.disabled]] of auth.toml";
    /// The directory has two entries for this name.
    AmbiguousUser = "ambiguous-user" => Refusal::FailedAuthentication,
        "filter and base_dn of the [[directory]]";
    /// The directory's entry gives no account: its name is missing, there twice or not the directory's to give, or one
    /// of its values is not what the configuration says.
    UnfitEntry = "unfit-entry" => Refusal::FailedAuthentication,
        "directory-entry-unfit in the log, and account, groups and attributes of the [[directory]]";
    /// No server of the directory answered in time: no word about the password.
    DirectoryDown = "directory-down" => BUSY,
        "directory-down and directory-no-answer in the log";
    /// Too many wrong passwords and digests for this user or from this address; this one was not tried.
    Throttled = "throttled" => Refusal::FailedAuthentication,
        "user_burst and address_burst of [throttle] in auth.toml, and who guesses";
    /// The right password, but the account asks more than it may.
    Excess = "excess" => BUSY,
        "account_burst and account_per_minute of [throttle] in auth.toml";
    /// The digest is not of the account's secret, or the account has none.
    WrongPasswordDigest = "wrong-password-digest" => Refusal::FailedAuthentication,
        "digest_secret of the account in users.toml";
    /// This endpoint does not take such a credential.
    Credential = "credential" => Refusal::UnsupportedSecurityToken,
        "credentials of the [[endpoint]] in auth.toml";
    /// The certificate is not registered, or the reference to it means none or two, and it is none that an
    /// authority is asked about.
    UnknownCertificate = "unknown-certificate" => Refusal::FailedAuthentication,
        "certificates of the account in users.toml, and the [[certificate_authority]] tables";
    /// The certificate does not hold now.
    CertificateDates = "certificate-dates" => Refusal::FailedAuthentication,
        "the dates of the certificate";
    /// No path leads from an authority to the certificate, or not for this use.
    UntrustedIssuer = "untrusted-issuer" => Refusal::FailedAuthentication,
        "certificate-refused in the log, and the [[certificate_authority]] tables";
    /// Its authority took it back, or the certificate of one in between.
    Revoked = "revoked" => Refusal::FailedAuthentication,
        "the crls and responders of the [[certificate_authority]]";
    /// No list that holds now says that it was not taken back, or its responder does not know it.
    RevocationUnknown = "revocation-unknown" => Refusal::FailedAuthentication,
        "certificate-refused in the log, and the crls and ocsp of the [[certificate_authority]]";
    /// No responder answered in time, or none whose answer counts, whether it was taken back.
    NoResponder = "no-responder" => BUSY,
        "ocsp-not-answered and certificate-refused in the log, and ocsp of the [[certificate_authority]]";
    /// The certificate, assertion, JWT or ticket means no account, or one that is not for its authority, partner,
    /// issuer or realm.
    NoAccount = "no-account" => Refusal::FailedAuthentication,
        "certificate-refused, assertion-refused, jwt-refused or ticket-refused in the log, and the subject rules there";
    /// No partner calls itself what the assertion says, or another one than its key is for.
    UnknownPartner = "unknown-partner" => Refusal::FailedAuthentication,
        "issuer and certificates of the [[saml_partner]] tables";
    /// What the partner signed is no assertion that we read.
    UnreadableAssertion = "unreadable-assertion" => Refusal::FailedAuthentication,
        "assertion-refused in the log";
    /// The assertion, or the session it speaks of, is past or of the future (R-S032).
    AssertionDates = "assertion-dates" => Refusal::FailedAuthentication,
        "assertion-refused in the log, the clocks, and max_age_min, max_session_min and skew_s of the partner";
    /// The assertion or JWT is not for us (R-S033, R-J001).
    Audience = "audience" => Refusal::FailedAuthentication,
        "audiences of the [[saml_partner]] or [[jwt_issuer]]";
    /// Whoever presents the assertion or JWT may not (R-S034, R-J041).
    Confirmation = "confirmation" => Refusal::FailedAuthentication,
        "assertion-refused or jwt-refused in the log, and addresses of the [[endpoint]]";
    /// Whoever vouches for an assertion's subject is not trusted to (R-W061).
    Intermediary = "intermediary" => Refusal::FailedAuthentication,
        "assertion-refused in the log, which has both accounts, and [[saml_partner.intermediary]] in auth.toml";
    /// No issuer of JWTs calls itself what the JWT says, or another one than its key is for.
    UnknownIssuer = "unknown-issuer" => Refusal::FailedAuthentication,
        "jwt-refused in the log, and issuer of the [[jwt_issuer]] tables";
    /// What the issuer signed is no JWT that we read (R-J020, R-J021, R-J023).
    UnreadableJwt = "unreadable-jwt" => Refusal::FailedAuthentication,
        "jwt-refused in the log, which says what is not read";
    /// The JWT is of another kind than is taken from its issuer (R-J022).
    JwtType = "jwt-type" => Refusal::FailedAuthentication,
        "typ of the [[jwt_issuer]]";
    /// The JWT, or the session it speaks of, is past or of the future (R-J023).
    JwtDates = "jwt-dates" => Refusal::FailedAuthentication,
        "jwt-refused in the log, the clocks, and max_age_min, max_session_min and skew_s of the issuer";
    /// The JWT asks whoever presents it for a proof that is not known here.
    UnknownConfirmation = "unknown-confirmation" => Refusal::FailedAuthentication,
        "cnf of the JWT: x5t#S256, jkt and jwk are known";
    /// NTLM, which is refused wherever it comes.
    Ntlm = "ntlm" => Refusal::FailedAuthentication,
        "why the client has no ticket: the name of this server, its principal in the directory, and whether it reaches a KDC";
    /// What came with Negotiate is not one token of Kerberos that is all there is, or SPNEGO came in a message.
    Mechanism = "negotiate-mechanism" => Refusal::FailedAuthentication,
        "the client: Kerberos must come first, in one round, and without SPNEGO where it stands in the message";
    /// What came with Negotiate, or as a binary token, is nothing that we read.
    UnreadableTicket = "unreadable-ticket" => Refusal::FailedAuthentication,
        "ticket-refused in the log, which says what is not read, and ValueType of the binary token";
    /// The ticket is encrypted by what proves nothing: RC4, DES (R-W070).
    WeakTicket = "weak-ticket" => Refusal::FailedAuthentication,
        "the encryption types of the service's account in the KDC: AES is taken";
    /// The certificate that the client was shown is none of our servers'.
    ForeignServer = "foreign-server" => Refusal::FailedAuthentication,
        "whether the worker has a certificate that server_certificates of auth.toml names";
    /// The ticket is for another service, or encrypted with a key that is not ours.
    OtherService = "other-service" => Refusal::FailedAuthentication,
        "ticket-refused in the log, services and keytab of kerberos.toml, and the versions of the keys";
    /// The ticket, or what was made with it, is past or of the future.
    TicketDates = "ticket-dates" => Refusal::FailedAuthentication,
        "the clocks of client, KDC and server, and clock_skew_s of kerberos.toml";
    /// The ticket was here before, by the library's replay cache or by our store (R-W070).
    ReplayedTicket = "replayed-ticket" => Refusal::FailedAuthentication,
        "whether the client sends a token twice, and who else has it";
    /// The client has bound the ticket to another server than this.
    ChannelBinding = "channel-binding" => Refusal::FailedAuthentication,
        "who stands between client and server with a certificate of his own: a proxy, or an attacker";
    /// The client has bound the ticket to nothing.
    UnboundTicket = "unbound-ticket" => Refusal::FailedAuthentication,
        "whether the client can bind tickets or sign wsa:To by their key, else unbound-ticket among the leniencies of the [[endpoint]]";
    /// The MAC beside a ticket or an assertion is not one by its key (R-W060, R-W071), or no key of ours opened that.
    WrongEndorsement = "wrong-endorsement" => Refusal::FailedAuthentication,
        "the key that the client uses: of a ticket its sub-session key or else the session key, of an assertion the one that its \
         partner has sealed, and for which certificate and by which algorithm; and what changed the message";
    /// The ticket is not accepted for another reason.
    RefusedTicket = "refused-ticket" => Refusal::FailedAuthentication,
        "ticket-refused in the log, which has what the library says";
    /// No realm of the ticket's client is known here.
    UnknownRealm = "unknown-realm" => Refusal::FailedAuthentication,
        "ticket-refused in the log, and realm of the [[kerberos_realm]] tables";
    /// kerberos did not say in time whose ticket it is.
    KerberosDown = "kerberos-down" => BUSY,
        "whether chancery-kerberos runs";
    /// Not an algorithm for this key, or not one of this partner or issuer.
    SignatureAlgorithm = "signature-algorithm" => Refusal::FailedAuthentication,
        "algorithms of the [[saml_partner]] or [[jwt_issuer]], the key of the client, and assertion-refused in the log: by SHA-1 it \
         takes leniencies of the [[saml_partner]]";
    /// The message is signed by RSA with SHA-1, or digests a part by SHA-1, and this endpoint takes neither unless it
    /// is told to.
    Sha1 = "sha1" => Refusal::UnsupportedAlgorithm,
        "the algorithm suite of the client, which should sign and digest by SHA-256; else rsa-sha1 and reference-sha1 among the \
         leniencies of the [[endpoint]], and SECURITY.md for what they give up";
    /// The signature does not verify.
    WrongSignature = "wrong-signature" => Refusal::FailedAuthentication,
        "whether something between client and here changed the message";
    /// A part is not what was signed.
    WrongDigest = "wrong-digest" => Refusal::FailedAuthentication,
        "signature-refused or assertion-refused in the log, which name the reference, and what changed that part on its way";
    /// A reference names a transform that this endpoint does not take.
    Transform = "transform" => Refusal::InvalidSecurity,
        "signature-refused or assertion-refused in the log, which name the reference, and leniencies of the [[endpoint]]";
    /// The handshake is none in which a client proves a certificate.
    UnreadableHandshake = "unreadable-handshake" => Refusal::FailedAuthentication,
        "the TLS library of the client";
    /// The handshake is not one of a server of ours: its certificate is another, or it did not sign.
    ForeignHandshake = "foreign-handshake" => Refusal::FailedAuthentication,
        "whether the worker has the certificate that auth.toml names";
    /// Issuer did not sign this handshake for this worker, or too long ago, or was restarted since.
    UnconfirmedHandshake = "unconfirmed-handshake" => Refusal::Reconnect,
        "nothing, once: the client connects again";
    /// Issuer did not say in time whether it did.
    NotConfirmed = "not-confirmed" => BUSY,
        "whether issuer runs, and how busy it is";
    /// What was signed is not of the grammar we read.
    UnreadableSignature = "unreadable-signature" => Refusal::InvalidSecurity,
        "the signature of the client: what is signed is one of a few plain forms";
    /// The body that was signed is no request we read.
    UnreadableRequest = "unreadable-request" => Refusal::InvalidRequest,
        "the RequestSecurityToken of the client";
    /// A signature that does not cover the timestamp (R-W012).
    UnsignedTimestamp = "unsigned-timestamp" => Refusal::InvalidSecurity,
        "the policy of the client: a signature covers the timestamp";
    /// A signature that does not cover `wsa:To`, or covers somebody else's (R-W043).
    Misaddressed = "misaddressed" => Refusal::InvalidSecurity,
        "signature-refused in the log, which has the wsa:To, and addresses and leniencies of the [[endpoint]]";
    /// A header of WS-Addressing that is not covered where the body is, or one beside another of its name that is
    /// (R-W042).
    UnsignedAddressing = "unsigned-addressing" => Refusal::InvalidSecurity,
        "signature-refused in the log, which names the header, the policy of the client, whose SignedParts have To, From, \
         FaultTo, ReplyTo, MessageID, RelatesTo and Action, and leniencies of the [[endpoint]]";
    /// The message or the nonce was here before (R-W013, R-W022).
    Replayed = "replayed" => Refusal::InvalidSecurity,
        "whether the client sends a message twice; two of one second with one key and no nonce are one message";
    /// The store did not say in time whether it was.
    NoStore = "no-store" => BUSY,
        "store-full, store-not-writable and store-lost in the log, and [store] of auth.toml";
    /// The message is sealed and does not open: by no key of ours, or changed since (R-W051).
    Unopened = "unopened" => Refusal::FailedCheck,
        "which certificate the client seals for, and by which algorithms";
    /// The message is sealed in a way that this endpoint does not take, or by a key of the part's own and then
    /// signed.
    Cipher = "cipher" => Refusal::FailedCheck,
        "the algorithm suite of the client, and leniencies of the [[endpoint]]; none takes what a key of its own has \
         sealed before it was signed";
    /// The MAC is not of this message by its session key, or that key did not open.
    WrongMac = "wrong-mac" => Refusal::FailedCheck,
        "which certificate the client seals for, by which algorithms, and whether something changed the message";
    /// The MAC is of an algorithm that this endpoint does not take, or by a key of less than 128 bits.
    MacAlgorithm = "mac-algorithm" => Refusal::FailedCheck,
        "the algorithm suite of the client, and leniencies of the [[endpoint]]";
    /// The MAC does not cover the user name token or the body (R-W042), or the signature covers another assertion than
    /// the one that is presented, or, by whoever vouches for it, not both it and the body (R-W061).
    Uncovered = "uncovered" => Refusal::InvalidSecurity,
        "signature-refused in the log, and the policy of the client: all of it covers body, timestamp and wsa:To, a MAC \
         the user name token, and the signature of an intermediary the assertion";
    /// The worker says something else than what its client has signed or put under a MAC. It is hung up on: its client
    /// is told to come back.
    Contradicted = "contradicted" => Refusal::InvalidSecurity,
        "violation in the log: a worker that does this is not the program that was installed";
    /// No session key is kept for this request: auth was restarted since, or it took too long.
    NoSession = "no-session" => BUSY,
        "nothing, once: the client asks again";
    /// The answer could not be put under a MAC or sealed.
    NotSealed = "not-sealed" => BUSY,
        "not-sealed in the log, and whether the token is larger than an answer may be";
    /// No answer can be sealed for the certificate that signed the request, or the key that did has none.
    Unsealable = "unsealable" => Refusal::UnsupportedSecurityToken,
        "the certificate, which is RSA and has keyEncipherment where it has key usages; or replies of the endpoint";
    /// Its session key was here before.
    ReplayedKey = "replayed-key" => Refusal::FailedCheck,
        "whether the client uses a session key twice";
    /// More session keys from this address, or of this account, than may be opened, or than this worker may have opened.
    TooManyKeys = "too-many-keys" => BUSY,
        "unwrap_burst and unwrap_per_minute of [throttle] in auth.toml, and unwraps_per_second of issuer.toml";
    /// No signer opened the session key in time.
    NotUnwrapped = "not-unwrapped" => BUSY,
        "whether a signer has the key, and how busy it is";
    /// More passwords wait to be verified than may.
    QueueFull = "queue-full" => BUSY,
        "queue and argon2_threads of [password] in auth.toml, or queue of the [[directory]]";
    /// Nobody is at this address, or there is none and no default (R-T020, R-T021).
    Scope = "scope" => Refusal::InvalidScope,
        "applies_to of the relying parties";
    /// A kind of token this party does not take (R-T023).
    TokenType = "token-type" => Refusal::BadRequest,
        "token_types of the relying party";
    /// A key type that no token for this party is bound by: understood, and refused (R-T024).
    KeyType = "key-type" => Refusal::RequestFailed,
        "confirmations of the relying party";
    /// A key to bind a token to that nothing in the message proves (R-T031, R-T032).
    UnprovenKey = "unproven-key" => Refusal::InvalidRequest,
        "whether the client signs the message with the key that it asks a token for";
    /// A key to bind a token to that is proven and has no certificate, by which tokens name it.
    UncertifiedKey = "uncertified-key" => Refusal::InvalidRequest,
        "the assertion, which confirms a KeyValue: its partner may confirm a certificate, or the client ask for a bearer token";
    /// A key size where there is no key (R-T025).
    KeySize = "key-size" => Refusal::InvalidRequest,
        "the RequestSecurityToken of the client";
    /// A lifetime that cannot be (R-T026).
    Lifetime = "lifetime" => Refusal::InvalidTimeRange,
        "the wst:Lifetime of the client, and the clocks";
    /// A claim the client cannot do without and cannot have (R-T027).
    ClaimWithheld = "claim-withheld" => Refusal::RequestFailed,
        "the [[claim]] tables of the relying party, and the attributes of the account";
    /// The policies do not permit it.
    Policy = "policy" => Refusal::RequestFailed,
        "policy of the relying party, with what the decision in the record says of the request";
    /// A policy could not be evaluated; none is passed over.
    PolicyError = "policy-error" => Refusal::RequestFailed,
        "policy of the relying party: it asks for an attribute that is not there";
    /// The account has no value for the subject's name.
    NoSubject = "no-subject" => Refusal::RequestFailed,
        "subject of the relying party, and the attributes of the account";
    /// More or longer claim values than an order holds.
    TooMuch = "too-much" => Refusal::RequestFailed,
        "the attributes of the account";
    /// The record did not confirm in time.
    NotRecorded = "not-recorded" => BUSY,
        "whether audit runs and its disk has room; not-recorded in the log";
    /// Issuer did not take the voucher in time.
    NotLodged = "not-lodged" => BUSY,
        "whether issuer runs";
    /// Issuer holds as many vouchers as it may.
    IssuerBusy = "issuer-busy" => BUSY,
        "whether workers redeem their vouchers, and how busy the signers are";
    /// Issuer refused the order.
    Declined = "declined" => Refusal::RequestFailed,
        "declined in the log: issuer and auth may have read different ceilings, or its voucher was gone";
}

/// The word of a request that was allowed.
pub const ALLOWED: &str = "allowed";

/// A word as the record holds it.
///
/// # Panics
/// Never: every word is a short literal.
#[must_use]
pub fn recorded(word: &'static str) -> Text<64> {
    Text::new(word).expect("words of this file are short")
}
