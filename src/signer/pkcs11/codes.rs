//! What a return code asks for. One row a code, with its name for the log and the reason it climbs to that
//! rung; a code without a row counts as a failed token. A profile may move a code to another rung.

use cryptoki::error::RvError;

use crate::config::profile::Errors;

/// The rungs of the recovery ladder, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// The request was at fault: no retry will help.
    Request,
    /// The token is busy: no retry here, perhaps elsewhere.
    Busy,
    /// Close the session, open another, try again.
    Session,
    /// Log in again, find the keys again, try again.
    Login,
    /// Finalise and initialise the module, then as above.
    Reinitialise,
    /// The PIN is at fault: never try again.
    Pin,
}

impl Class {
    /// Every class, for metrics.
    pub(crate) const NAMES: [&str; 6] = ["request", "busy", "session", "login", "reinitialise", "pin"];

    /// The name in logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

use Class::{Busy, Login, Pin, Reinitialise, Request, Session};

struct Row(RvError, u64, &'static str, Class, #[expect(dead_code, reason = "for the reader")] &'static str);

const ROWS: &[Row] = &[
    Row(RvError::HostMemory, 0x02, "CKR_HOST_MEMORY", Reinitialise, "what leaked is freed by starting over"),
    Row(RvError::SlotIdInvalid, 0x03, "CKR_SLOT_ID_INVALID", Reinitialise, "slot numbers move; find it by serial"),
    Row(RvError::GeneralError, 0x05, "CKR_GENERAL_ERROR", Login, "stale key on kryoptic, lost link on a TPM"),
    Row(RvError::FunctionFailed, 0x06, "CKR_FUNCTION_FAILED", Reinitialise, "what a YubiHSM says of a lost link"),
    Row(RvError::ArgumentsBad, 0x07, "CKR_ARGUMENTS_BAD", Request, "the same arguments fail the same way"),
    Row(RvError::CantLock, 0x0a, "CKR_CANT_LOCK", Request, "the module cannot be used from threads at all"),
    Row(RvError::AttributeTypeInvalid, 0x12, "CKR_ATTRIBUTE_TYPE_INVALID", Request, "says nothing of the token"),
    Row(RvError::AttributeValueInvalid, 0x13, "CKR_ATTRIBUTE_VALUE_INVALID", Request, "says nothing of the token"),
    Row(RvError::DataInvalid, 0x20, "CKR_DATA_INVALID", Request, "the digest, not the token"),
    Row(RvError::DataLenRange, 0x21, "CKR_DATA_LEN_RANGE", Request, "the digest, not the token"),
    Row(RvError::DeviceError, 0x30, "CKR_DEVICE_ERROR", Reinitialise, "only a new C_Initialize sees it come back"),
    Row(RvError::DeviceMemory, 0x31, "CKR_DEVICE_MEMORY", Busy, "the token is full, as is a YubiHSM's audit log"),
    Row(RvError::DeviceRemoved, 0x32, "CKR_DEVICE_REMOVED", Reinitialise, "only a new C_Initialize sees it again"),
    Row(RvError::FunctionCanceled, 0x50, "CKR_FUNCTION_CANCELED", Session, "somebody cancelled; nothing is lost"),
    Row(RvError::FunctionNotSupported, 0x54, "CKR_FUNCTION_NOT_SUPPORTED", Request, "it never will be"),
    Row(RvError::KeyHandleInvalid, 0x60, "CKR_KEY_HANDLE_INVALID", Login, "handles moved, or the login is gone"),
    Row(RvError::KeySizeRange, 0x62, "CKR_KEY_SIZE_RANGE", Request, "the key will not change"),
    Row(RvError::KeyTypeInconsistent, 0x63, "CKR_KEY_TYPE_INCONSISTENT", Login, "a stale handle may be another key"),
    Row(RvError::KeyFunctionNotPermitted, 0x68, "CKR_KEY_FUNCTION_NOT_PERMITTED", Request, "the key may not sign"),
    Row(RvError::MechanismInvalid, 0x70, "CKR_MECHANISM_INVALID", Request, "the token does not have it"),
    Row(RvError::MechanismParamInvalid, 0x71, "CKR_MECHANISM_PARAM_INVALID", Request, "the token does not have it"),
    Row(RvError::ObjectHandleInvalid, 0x82, "CKR_OBJECT_HANDLE_INVALID", Login, "SoftHSM's word for a stale key"),
    Row(RvError::OperationActive, 0x90, "CKR_OPERATION_ACTIVE", Session, "only closing the session drops it"),
    Row(RvError::OperationNotInitialized, 0x91, "CKR_OPERATION_NOT_INITIALIZED", Session, "the session lost it"),
    Row(RvError::PinIncorrect, 0xa0, "CKR_PIN_INCORRECT", Pin, "a second try brings the lock nearer"),
    Row(RvError::PinInvalid, 0xa1, "CKR_PIN_INVALID", Pin, "not a PIN of this token"),
    Row(RvError::PinLenRange, 0xa2, "CKR_PIN_LEN_RANGE", Pin, "not a PIN of this token"),
    Row(RvError::PinExpired, 0xa3, "CKR_PIN_EXPIRED", Pin, "a person must change it"),
    Row(RvError::PinLocked, 0xa4, "CKR_PIN_LOCKED", Pin, "a person must unlock it"),
    Row(RvError::SessionClosed, 0xb0, "CKR_SESSION_CLOSED", Session, "open another"),
    Row(RvError::SessionCount, 0xb1, "CKR_SESSION_COUNT", Busy, "others hold them all"),
    Row(RvError::SessionHandleInvalid, 0xb3, "CKR_SESSION_HANDLE_INVALID", Session, "open another"),
    Row(RvError::SessionReadOnly, 0xb5, "CKR_SESSION_READ_ONLY", Request, "a ceremony asked in a serving session"),
    Row(RvError::TokenNotPresent, 0xe0, "CKR_TOKEN_NOT_PRESENT", Reinitialise, "it may have come back meanwhile"),
    Row(RvError::TokenNotRecognized, 0xe1, "CKR_TOKEN_NOT_RECOGNIZED", Reinitialise, "seen while a card is seated"),
    Row(RvError::TokenWriteProtected, 0xe2, "CKR_TOKEN_WRITE_PROTECTED", Request, "a person must change that"),
    Row(RvError::UserAlreadyLoggedIn, 0x100, "CKR_USER_ALREADY_LOGGED_IN", Session, "another thread was faster"),
    Row(RvError::UserNotLoggedIn, 0x101, "CKR_USER_NOT_LOGGED_IN", Login, "the login is gone"),
    Row(RvError::UserPinNotInitialized, 0x102, "CKR_USER_PIN_NOT_INITIALIZED", Pin, "a person must set it"),
    Row(RvError::UserTypeInvalid, 0x103, "CKR_USER_TYPE_INVALID", Pin, "this login can never succeed"),
    Row(RvError::RandomNoRng, 0x121, "CKR_RANDOM_NO_RNG", Request, "the token has no generator"),
    Row(RvError::BufferTooSmall, 0x150, "CKR_BUFFER_TOO_SMALL", Session, "the operation stays active: drop it"),
    Row(RvError::CryptokiNotInitialized, 0x190, "CKR_CRYPTOKI_NOT_INITIALIZED", Reinitialise, "an idle Luna too"),
    Row(
        RvError::CryptokiAlreadyInitialized,
        0x191,
        "CKR_CRYPTOKI_ALREADY_INITIALIZED",
        Session,
        "what was wanted is so",
    ),
    Row(RvError::FunctionRejected, 0x200, "CKR_FUNCTION_REJECTED", Request, "no right to do it"),
];

/// A failed call, in words and numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code {
    /// `CK_RV`; 0 when the wrapper refused before the module was asked.
    pub(crate) rv: u64,
    /// Its name, or `CKR_?`.
    pub(crate) name: &'static str,
    /// What it asks for.
    pub(crate) class: Class,
}

impl Code {
    /// Does it say, of a login, that the PIN was not looked at? The token was not there, or the session, or it was
    /// busy. Whatever else it is may be some vendor's word for a wrong one.
    pub(crate) fn leaves_pin_alone(self) -> bool {
        const BEFORE: [u64; 9] = [0x02, 0x03, 0x32, 0x50, 0xb0, 0xb3, 0xe0, 0xe1, 0x190];
        self.class == Busy || self.class != Pin && BEFORE.contains(&self.rv)
    }
}

/// Looks a code up; `login` when it is what `C_Login` answered.
pub(crate) fn classify(error: RvError, login: bool, profile: &Errors) -> Code {
    let (rv, name, class) = match error {
        RvError::VendorDefined(rv) => (rv, "CKR_VENDOR_DEFINED", Reinitialise),
        RvError::UnknownErrorCode(rv) => (rv, "CKR_?", Reinitialise),
        known => match ROWS.iter().find(|row| row.0 == known) {
            Some(Row(_, rv, name, class, _)) => (*rv, *name, *class),
            None => (0, "CKR_?", Reinitialise),
        },
    };
    // A profile cannot soften the rule of one try.
    if class == Pin || login && profile.pin.contains(&rv) {
        return Code { rv, name, class: Pin };
    }
    let moved = [
        (&profile.request, Request),
        (&profile.busy, Busy),
        (&profile.session, Session),
        (&profile.login, Login),
        (&profile.reinitialise, Reinitialise),
    ];
    let class = moved.iter().find(|(codes, _)| codes.contains(&rv)).map_or(class, |(_, class)| *class);
    Code { rv, name, class }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_has_two_rows() {
        for (index, row) in ROWS.iter().enumerate() {
            assert!(!ROWS[index + 1..].iter().any(|other| other.1 == row.1 || other.0 == row.0), "{}", row.2);
        }
    }

    #[test]
    fn a_profile_moves_a_code_but_never_one_of_the_pin() {
        let profile = Errors { session: vec![0x05, 0xa0], ..Errors::default() };
        assert_eq!(classify(RvError::GeneralError, true, &profile).class, Session);
        assert_eq!(classify(RvError::PinIncorrect, true, &profile).class, Pin);
        assert_eq!(classify(RvError::GeneralError, true, &Errors::default()).class, Login);
    }

    #[test]
    fn what_a_profile_says_of_a_login_is_said_of_no_other_call() {
        let profile = Errors { pin: vec![0x05, 0x8000_0001], busy: vec![0x05], ..Errors::default() };
        for code in [RvError::GeneralError, RvError::VendorDefined(0x8000_0001)] {
            assert_eq!(classify(code, true, &profile).class, Pin);
        }
        assert_eq!(classify(RvError::GeneralError, false, &profile).class, Busy);
        assert_eq!(classify(RvError::VendorDefined(0x8000_0001), false, &profile).class, Reinitialise);
    }

    #[test]
    fn only_a_code_that_cannot_mean_a_wrong_pin_leaves_it_alone() {
        let says = |code, profile: &Errors| classify(code, true, profile).leaves_pin_alone();
        for row in ROWS {
            let alone = matches!(row.2, "CKR_HOST_MEMORY" | "CKR_SLOT_ID_INVALID" | "CKR_CRYPTOKI_NOT_INITIALIZED")
                || row.2.starts_with("CKR_TOKEN_NOT_")
                || matches!(row.2, "CKR_DEVICE_REMOVED" | "CKR_DEVICE_MEMORY" | "CKR_FUNCTION_CANCELED")
                || matches!(row.2, "CKR_SESSION_CLOSED" | "CKR_SESSION_COUNT" | "CKR_SESSION_HANDLE_INVALID");
            assert_eq!(says(row.0, &Errors::default()), alone, "{}", row.2);
        }
        assert!(!says(RvError::VendorDefined(0x8000_0001), &Errors::default()));
        assert!(!says(RvError::TokenNotPresent, &Errors { pin: vec![0xe0], ..Errors::default() }));
        assert!(says(RvError::GeneralError, &Errors { busy: vec![0x05], ..Errors::default() }));
    }

    #[test]
    fn a_vendors_own_code_means_starting_over() {
        let code = classify(RvError::VendorDefined(0x8000_0001), false, &Errors::default());
        assert_eq!((code.rv, code.class), (0x8000_0001, Reinitialise));
    }
}
