//! Every listening socket of a service, made before the first process starts: so no process needs the right
//! to bind, connections wait while their process restarts, and who accepts decides what the peer may say.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};

use crate::sys::places::Place;

/// Listeners with the process that inherits each, and its name there.
#[derive(Debug, Default)]
pub(super) struct Listeners(Vec<(&'static str, String, OwnedFd)>);

impl Listeners {
    /// Makes every [`Place`] in `runtime`, which must be private to this user.
    pub(super) fn make(runtime: &Path) -> io::Result<Self> {
        Place::ALL
            .into_iter()
            .map(|place| {
                let (process, name) = place.listener();
                Ok((process, name.to_owned(), unix(&runtime.join(place.file()), place)?))
            })
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// Adds a listener made elsewhere.
    pub(super) fn add(&mut self, process: &'static str, name: &str, listener: TcpListener) {
        self.0.push((process, name.to_owned(), listener.into()));
    }

    /// What `process` inherits.
    pub(super) fn of(&self, process: &str) -> Vec<(&str, &OwnedFd)> {
        self.0.iter().filter(|(owner, ..)| *owner == process).map(|(_, name, fd)| (name.as_str(), fd)).collect()
    }
}

fn unix(path: &Path, place: Place) -> io::Result<OwnedFd> {
    let kind = if place == Place::Metrics { SockType::Datagram } else { SockType::SeqPacket };
    let fd = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
    bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600))?;
    if kind == SockType::SeqPacket {
        listen(&fd, Backlog::MAXCONN)?;
    }
    Ok(fd)
}

/// A TCP listener; port 0 takes a free one. The backlog is as long as the kernel allows, because
/// connections wait in it while a worker restarts.
///
/// # Errors
/// What the kernel says, with the address.
pub(super) fn tcp(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {address}:{port}: {error}"));
    let listener = TcpListener::bind(SocketAddr::new(address, port)).map_err(named)?;
    listen(&listener, Backlog::MAXALLOWABLE)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::channel::Channel;

    #[test]
    fn every_place_can_be_connected_to_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let listeners = Listeners::make(directory.path()).unwrap();
        assert_eq!(listeners.of("issuer").len(), 3);
        assert_eq!(listeners.of("worker").len(), 0);
        for place in Place::ALL {
            let path = directory.path().join(place.file());
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            if place != Place::Metrics {
                Channel::connect(&path).unwrap();
            }
        }
    }
}
