//! What a process tells the service manager (sd_notify(3)): ready, stopping, alive. `chancery run` listens
//! to the same words. The socket is opened before lock-down, which is why sd-notify gives the words and
//! not the sending.

use sd_notify::NotifyState;

/// Opens the way to the service manager and lets it be used after lock-down. Call before it.
#[derive(Debug)]
pub struct Notifier(Option<std::os::unix::net::UnixDatagram>);

impl Notifier {
    /// Connects to `NOTIFY_SOCKET`, when there is one.
    #[must_use]
    pub fn open() -> Self {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        let connect = || {
            let name = std::env::var("NOTIFY_SOCKET").ok()?;
            let address = match name.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name).ok()?,
                None => SocketAddr::from_pathname(&name).ok()?,
            };
            let socket = UnixDatagram::unbound().ok()?;
            socket.connect_addr(&address).ok()?;
            Some(socket)
        };
        Self(connect())
    }

    fn say(&self, state: &NotifyState<'_>) {
        if let Some(socket) = &self.0 {
            // The manager may be gone; then there is nobody to tell.
            let _ = socket.send(format!("{state}\n").as_bytes());
        }
    }

    /// `READY=1`.
    pub fn ready(&self) {
        self.say(&NotifyState::Ready);
    }

    /// `STOPPING=1`.
    pub fn stopping(&self) {
        self.say(&NotifyState::Stopping);
    }

    /// `WATCHDOG=1`.
    pub fn alive(&self) {
        self.say(&NotifyState::Watchdog);
    }

    /// `STATUS=…`, one line for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.say(&NotifyState::Status(status));
    }
}
