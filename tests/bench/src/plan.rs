//! What is measured: a key, a module, so many signers with so many sessions, so many clients.

use serde::Serialize;

use crate::credential::Credential;

/// One configuration of the service.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    /// Of the key that signs tokens.
    pub(crate) algorithm: &'static str,
    /// What the fault module adds to each `C_Sign`, milliseconds; 0 is none.
    pub(crate) latency_ms: u64,
    pub(crate) signers: u32,
    /// In each signer.
    pub(crate) sessions: u32,
    /// Keep-alive connections, each with one request open at a time.
    pub(crate) connections: u32,
    /// Raw `C_Sign`: processes and threads in each. The best of them is the ceiling.
    pub(crate) mixes: Vec<(u32, u32)>,
    /// Of the rows that differ in their credential; none where it is the password, as the demo is made.
    pub(crate) credential: Option<Credential>,
}

impl Plan {
    /// What latency alone allows, tokens a second.
    pub(crate) fn latency_ceiling(&self) -> Option<f64> {
        let at_once = f64::from(self.signers * self.sessions);
        (self.latency_ms > 0).then(|| at_once * 1000.0 / self.latency_ms as f64)
    }
}

/// Everything `make bench` measures. A latency of the module's is a session's: raw `C_Sign` through it has
/// as many threads as the service has sessions, where SoftHSM itself has whatever mix suits it best.
pub(crate) fn all() -> Vec<Plan> {
    let plan = |name, algorithm, latency_ms, (signers, sessions), connections| Plan {
        name,
        algorithm,
        latency_ms,
        signers,
        sessions,
        connections,
        credential: None,
        mixes: if latency_ms > 0 { vec![(signers, sessions)] } else { vec![(1, 1), (1, 2), (2, 1), (2, 2)] },
    };
    let proved = |name, credential| Plan {
        credential: Some(credential),
        mixes: vec![(2, 2)],
        ..plan(name, "rsa-2048", 0, (2, 2), 16)
    };
    vec![
        plan("rsa-2048 softhsm", "rsa-2048", 0, (2, 2), 16),
        plan("p-256 softhsm", "p-256", 0, (2, 2), 16),
        // What many clients at once have in common: turns of a process, syncs of the record, wake-ups.
        plan("rsa-2048 at depth", "rsa-2048", 0, (2, 2), 64),
        plan("p-256 at depth", "p-256", 0, (2, 2), 64),
        plan("rsa-2048 +1 ms", "rsa-2048", 1, (2, 1), 16),
        plan("rsa-2048 +10 ms", "rsa-2048", 10, (2, 4), 32),
        // SoftHSM's own arithmetic is our processor's, which a real HSM's is not: here it is next to nothing.
        plan("p-256 +1 ms", "p-256", 1, (2, 1), 16),
        plan("p-256 +10 ms", "p-256", 10, (2, 4), 32),
        // The same token of the same service, by what proves its client.
        proved("by password", Credential::Password),
        proved("by signature", Credential::Signature),
        proved("by issued signature", Credential::Issued),
        proved("by saml", Credential::Saml),
        proved("by jwt", Credential::Jwt),
        proved("by tls-certificate", Credential::TlsCertificate),
        proved("by kerberos", Credential::Kerberos),
        proved("by directory", Credential::Directory),
    ]
}
