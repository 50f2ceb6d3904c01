//! What a signer measures.

use crate::metrics::{Histogram, IntCounter, IntCounterVec, IntGauge, Metrics};

use super::pkcs11::codes::Class;

/// The metrics of this process.
#[derive(Debug, Clone)]
pub(crate) struct Meters {
    /// `C_SignInit` and `C_Sign` of one signature, as the caller feels them.
    pub(crate) sign: Histogram,
    /// `C_DecryptInit` and `C_Decrypt` of one session key, opened or not.
    pub(crate) unwrap: Histogram,
    /// Failed calls by what they asked for.
    pub(crate) faults: IntCounterVec,
    /// Can the token sign now?
    pub(crate) usable: IntGauge,
    /// Times the module was finalised and initialised again.
    pub(crate) reinitialised: IntCounter,
    /// Requests turned away because every session was taken.
    pub(crate) busy: IntCounter,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            sign: metrics.seconds("chancery_signer_sign_seconds", "Time of one signature inside the PKCS#11 module."),
            unwrap: metrics.seconds(
                "chancery_signer_unwrap_seconds",
                "Time of opening one session key inside the PKCS#11 module, whether it opened or not.",
            ),
            faults: metrics.counters(
                "chancery_signer_faults_total",
                "Failed PKCS#11 calls by the rung of the recovery ladder they ask for.",
                "class",
                &Class::NAMES,
            ),
            usable: metrics.gauge("chancery_signer_usable", "1 while the token can sign."),
            reinitialised: metrics.counter(
                "chancery_signer_reinitialised_total",
                "Times the PKCS#11 module was finalised and initialised again.",
            ),
            busy: metrics
                .counter("chancery_signer_busy_total", "Requests turned away because every session was taken."),
        }
    }
}
