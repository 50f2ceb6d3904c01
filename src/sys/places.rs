//! Where the processes meet: the names of the sockets, one place for both ends.

use std::path::{Path, PathBuf};

/// Sockets of Chancery, in the runtime directory (`CHANCERY_RUN`, else `/run/chancery`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// auth listens, workers connect. Inherited by auth as `worker`.
    AuthWorker,
    /// issuer listens, workers connect. Inherited by issuer as `worker`.
    IssuerWorker,
    /// issuer listens, auth connects. Inherited by issuer as `auth`.
    IssuerAuth,
    /// issuer listens, signers connect. Inherited by issuer as `signer`.
    IssuerSigner,
    /// audit listens, issuer connects. Inherited by audit as `issuer`.
    AuditIssuer,
    /// audit listens, auth connects. Inherited by audit as `auth`.
    AuditAuth,
    /// kerberos listens, auth connects. Inherited by kerberos as `auth`.
    KerberosAuth,
    /// exporter receives datagrams from everybody. Inherited by exporter as `metrics`.
    Metrics,
}

impl Place {
    /// Every socket.
    pub const ALL: [Self; 8] = [
        Self::AuthWorker,
        Self::IssuerWorker,
        Self::IssuerAuth,
        Self::IssuerSigner,
        Self::AuditIssuer,
        Self::AuditAuth,
        Self::KerberosAuth,
        Self::Metrics,
    ];

    /// File name of the socket.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::AuthWorker => "auth-worker.sock",
            Self::IssuerWorker => "issuer-worker.sock",
            Self::IssuerAuth => "issuer-auth.sock",
            Self::IssuerSigner => "issuer-signer.sock",
            Self::AuditIssuer => "audit-issuer.sock",
            Self::AuditAuth => "audit-auth.sock",
            Self::KerberosAuth => "kerberos-auth.sock",
            Self::Metrics => "metrics.sock",
        }
    }

    /// The process that listens, and the name its listener is inherited under.
    #[must_use]
    pub fn listener(self) -> (&'static str, &'static str) {
        match self {
            Self::AuthWorker => ("auth", "worker"),
            Self::IssuerWorker => ("issuer", "worker"),
            Self::IssuerAuth => ("issuer", "auth"),
            Self::IssuerSigner => ("issuer", "signer"),
            Self::AuditIssuer => ("audit", "issuer"),
            Self::AuditAuth => ("audit", "auth"),
            Self::KerberosAuth => ("kerberos", "auth"),
            Self::Metrics => ("exporter", "metrics"),
        }
    }

    /// Path in the runtime directory of this process.
    #[must_use]
    pub fn path(self) -> PathBuf {
        runtime_directory().join(self.file())
    }
}

/// `CHANCERY_RUN`, else `/run/chancery`.
#[must_use]
pub fn runtime_directory() -> PathBuf {
    std::env::var_os("CHANCERY_RUN").map_or_else(|| Path::new("/run/chancery").to_owned(), PathBuf::from)
}

/// The configuration root: the process's one argument, else `/etc/chancery`.
#[must_use]
pub fn configuration_root() -> PathBuf {
    std::env::args_os().nth(1).map_or_else(|| Path::new("/etc/chancery").to_owned(), PathBuf::from)
}
