//! Every way a request can end, and what of it a client may learn. The word goes to the record and the log;
//! the client is told the [`Refusal`], the same one for everything that would tell it who exists.

use crate::wire::Text;
use crate::wire::evidence::Refusal;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal => $refusal:expr,)*) => {
        /// Why there is no voucher.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every word, for metrics.
            pub(super) const WORDS: &'static [&'static str] = &[$($word,)*];

            /// The short word for the record and the log.
            #[must_use]
            pub(super) fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What the client is told.
            #[must_use]
            pub(super) fn refusal(self) -> Refusal {
                match self { $(Self::$name => $refusal,)* }
            }
        }
    };
}

const BUSY: Refusal = Refusal::Busy { retry_after_s: 2 };

reasons! {
    /// `auth.toml` does not name this endpoint.
    Endpoint = "endpoint" => Refusal::RequestFailed,
    /// `timestamp.required`, and there is none.
    NoTimestamp = "no-timestamp" => Refusal::InvalidSecurity,
    /// `Expires` is not after `Created`, or the instant of a digest is none (R-W010).
    MalformedTimestamp = "malformed-timestamp" => Refusal::InvalidSecurity,
    /// R-W011.
    StaleTimestamp = "stale-timestamp" => Refusal::MessageExpired,
    /// No such account.
    UnknownUser = "unknown-user" => Refusal::FailedAuthentication,
    /// The password does not fit, or is empty.
    WrongPassword = "wrong-password" => Refusal::FailedAuthentication,
    /// The account is disabled, whatever the password.
    Disabled = "disabled" => Refusal::FailedAuthentication,
    /// The directory has two entries for this name.
    AmbiguousUser = "ambiguous-user" => Refusal::FailedAuthentication,
    /// The directory's entry gives no account: its name is missing, there twice or not the directory's to give, or one
    /// of its values is not what the configuration says.
    UnfitEntry = "unfit-entry" => Refusal::FailedAuthentication,
    /// No server of the directory answered in time: no word about the password.
    DirectoryDown = "directory-down" => BUSY,
    /// Too many wrong passwords and digests for this user or from this address; this one was not tried.
    Throttled = "throttled" => Refusal::FailedAuthentication,
    /// The right password, but the account asks more than it may.
    Excess = "excess" => BUSY,
    /// The digest is not of the account's secret, or the account has none.
    WrongPasswordDigest = "wrong-password-digest" => Refusal::FailedAuthentication,
    /// This endpoint does not take such a credential.
    Credential = "credential" => Refusal::UnsupportedSecurityToken,
    /// The certificate is not registered, or the reference to it means none or two, and it is none that an
    /// authority is asked about.
    UnknownCertificate = "unknown-certificate" => Refusal::FailedAuthentication,
    /// The certificate does not hold now.
    CertificateDates = "certificate-dates" => Refusal::FailedAuthentication,
    /// No path leads from an authority to the certificate, or not for this use.
    UntrustedIssuer = "untrusted-issuer" => Refusal::FailedAuthentication,
    /// Its authority took it back, or the certificate of one in between.
    Revoked = "revoked" => Refusal::FailedAuthentication,
    /// No list that holds now says that it was not taken back.
    RevocationUnknown = "revocation-unknown" => Refusal::FailedAuthentication,
    /// The certificate or assertion means no account, or one that is not for its authority or partner.
    NoAccount = "no-account" => Refusal::FailedAuthentication,
    /// No partner calls itself what the assertion says, or another one than its key is for.
    UnknownPartner = "unknown-partner" => Refusal::FailedAuthentication,
    /// What the partner signed is no assertion that we read.
    UnreadableAssertion = "unreadable-assertion" => Refusal::FailedAuthentication,
    /// The assertion, or the session it speaks of, is past or of the future (R-S032).
    AssertionDates = "assertion-dates" => Refusal::FailedAuthentication,
    /// The assertion is not for us (R-S033).
    Audience = "audience" => Refusal::FailedAuthentication,
    /// Whoever presents the assertion may not (R-S034).
    Confirmation = "confirmation" => Refusal::FailedAuthentication,
    /// Not an algorithm for this key.
    SignatureAlgorithm = "signature-algorithm" => Refusal::FailedAuthentication,
    /// The signature does not verify.
    WrongSignature = "wrong-signature" => Refusal::FailedAuthentication,
    /// A part is not what was signed.
    WrongDigest = "wrong-digest" => Refusal::FailedAuthentication,
    /// A reference names a transform that this endpoint does not take.
    Transform = "transform" => Refusal::InvalidSecurity,
    /// The handshake is none in which a client proves a certificate.
    UnreadableHandshake = "unreadable-handshake" => Refusal::FailedAuthentication,
    /// The handshake is not one of a server of ours: its certificate is another, or it did not sign.
    ForeignHandshake = "foreign-handshake" => Refusal::FailedAuthentication,
    /// Issuer did not sign this handshake for this worker, or too long ago, or was restarted since.
    UnconfirmedHandshake = "unconfirmed-handshake" => Refusal::Reconnect,
    /// Issuer did not say in time whether it did.
    NotConfirmed = "not-confirmed" => BUSY,
    /// What was signed is not of the grammar we read.
    UnreadableSignature = "unreadable-signature" => Refusal::InvalidSecurity,
    /// The body that was signed is no request we read.
    UnreadableRequest = "unreadable-request" => Refusal::InvalidRequest,
    /// A signature that does not cover the timestamp (R-W012).
    UnsignedTimestamp = "unsigned-timestamp" => Refusal::InvalidSecurity,
    /// A signature that does not cover `wsa:To`, or covers somebody else's (R-W043).
    Misaddressed = "misaddressed" => Refusal::InvalidSecurity,
    /// The message or the nonce was here before (R-W013, R-W022).
    Replayed = "replayed" => Refusal::InvalidSecurity,
    /// The store did not say in time whether it was.
    NoStore = "no-store" => BUSY,
    /// The message is sealed and does not open: by no key of ours, or changed since (R-W051).
    Unopened = "unopened" => Refusal::FailedCheck,
    /// Its session key was here before.
    ReplayedKey = "replayed-key" => Refusal::FailedCheck,
    /// More session keys from this address than may be opened, or than this worker may have opened.
    TooManyKeys = "too-many-keys" => BUSY,
    /// No signer opened the session key in time.
    NotUnwrapped = "not-unwrapped" => BUSY,
    /// More passwords wait to be verified than may.
    QueueFull = "queue-full" => BUSY,
    /// Nobody is at this address, or there is none and no default (R-T020, R-T021).
    Scope = "scope" => Refusal::InvalidScope,
    /// A kind of token this party does not take (R-T023).
    TokenType = "token-type" => Refusal::BadRequest,
    /// A key type that no token for this party is bound by: understood, and refused (R-T024).
    KeyType = "key-type" => Refusal::RequestFailed,
    /// A key to bind a token to that nothing in the message proves (R-T031, R-T032).
    UnprovenKey = "unproven-key" => Refusal::InvalidRequest,
    /// A key size where there is no key (R-T025).
    KeySize = "key-size" => Refusal::InvalidRequest,
    /// A lifetime that cannot be (R-T026).
    Lifetime = "lifetime" => Refusal::InvalidTimeRange,
    /// A claim the client cannot do without and cannot have (R-T027).
    ClaimWithheld = "claim-withheld" => Refusal::RequestFailed,
    /// The policies do not permit it.
    Policy = "policy" => Refusal::RequestFailed,
    /// A policy could not be evaluated; none is passed over.
    PolicyError = "policy-error" => Refusal::RequestFailed,
    /// The account has no value for the subject's name.
    NoSubject = "no-subject" => Refusal::RequestFailed,
    /// More or longer claim values than an order holds.
    TooMuch = "too-much" => Refusal::RequestFailed,
    /// The record did not confirm in time.
    NotRecorded = "not-recorded" => BUSY,
    /// Issuer did not take the voucher in time.
    NotLodged = "not-lodged" => BUSY,
    /// Issuer holds as many vouchers as it may.
    IssuerBusy = "issuer-busy" => BUSY,
    /// Issuer refused the order.
    Declined = "declined" => Refusal::RequestFailed,
}

/// The word of a request that was allowed.
pub(super) const ALLOWED: &str = "allowed";

/// A word as the record holds it.
///
/// # Panics
/// Never: every word is a short literal.
#[must_use]
pub(super) fn recorded(word: &'static str) -> Text<64> {
    Text::new(word).expect("words of this file are short")
}
