//! What stands ready before a probe locks itself down: the descriptors and files a process of that role
//! would have, and some that it would not but a hijacker might get at. Also what must still work.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::{Grants, Role};
use crate::sys::channel::Channel;

/// The stage of one probe.
pub(super) struct Scene {
    /// A process that is not this one.
    pub(super) parent: i32,
    /// As inherited from the service manager.
    pub(super) listener: TcpListener,
    /// Another listener, on the outside.
    pub(super) elsewhere: SocketAddrV4,
    /// Where the directory is that auth may ask: the first listener.
    pub(super) directory_at: SocketAddrV4,
    /// Accepted from a client.
    pub(super) accepted: TcpStream,
    /// A TCP socket that was never connected.
    pub(super) fresh: OwnedFd,
    /// The way to the metrics and the service manager.
    pub(super) datagrams: UnixDatagram,
    /// A channel, and its other end.
    pub(super) channel: Channel,
    other: Channel,
    /// A file that was open for writing before.
    held: File,
    /// A shared object, opened.
    pub(super) object: Option<File>,
    waiting: TcpStream,
    /// Never read, but the other ends must stay open.
    _outside: (TcpStream, TcpListener),
    directory: PathBuf,
}

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

impl Scene {
    /// Sets the stage below `directory`, which has `readable`, `writable` and `forbidden` and in `readable`
    /// the file `known`, and `listener.sock`, `daemon.sock` and `other.sock`, on which somebody listens.
    pub(super) fn set(directory: &Path) -> std::io::Result<Self> {
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
        let local = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let listener = TcpListener::bind(local)?;
        let outside = TcpListener::bind(local)?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (accepted, _) = listener.accept()?;
        let waiting = TcpStream::connect(listener.local_addr()?)?;
        let (SocketAddr::V4(elsewhere), SocketAddr::V4(directory_at)) = (outside.local_addr()?, listener.local_addr()?)
        else {
            return Err(Errno::EAFNOSUPPORT.into());
        };
        let (channel, other) = Channel::pair()?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        Ok(Self {
            parent: nix::unistd::getppid().as_raw(),
            elsewhere,
            directory_at,
            accepted,
            fresh: socket(AddressFamily::Inet, SockType::Stream, flags, None)?,
            datagrams: UnixDatagram::unbound()?,
            channel,
            other,
            held: File::options().read(true).write(true).create(true).truncate(false).open(directory.join("held"))?,
            object: shared_object().and_then(|path| File::open(path).ok()),
            listener,
            waiting,
            _outside: (client, outside),
            directory: directory.to_owned(),
        })
    }

    /// What a process of that role is granted.
    pub(super) fn grants(&self, role: Role) -> Grants {
        let mut grants = Grants::default();
        // Issuer may be granted files to read and asks for none.
        if role.may_read() && role != Role::Issuer {
            grants.read.push(self.directory.join("readable"));
        }
        if matches!(role, Role::Signer | Role::Audit) {
            grants.write.push(self.directory.join("writable"));
        }
        if role == Role::Kerberos {
            grants.write.push(self.directory.join("held"));
        }
        grants.write_held = role == Role::Auth;
        if role == Role::Signer {
            grants.execute_map.extend(shared_object().and_then(|path| Some(path.parent()?.to_owned())));
        }
        grants
    }

    /// What a profile grants to the signer that makes that attempt.
    pub(super) fn grant_hsm(&self, name: &str, grants: &mut Grants) {
        if name.starts_with("hsm-tcp-") {
            grants.tcp_connect.push(self.directory_at.port());
        } else if name.starts_with("hsm-unix-") {
            grants.unix_connect.push(self.directory.join("daemon.sock"));
        } else if name.starts_with("hsm-device-") {
            grants.devices.push(PathBuf::from("/dev/urandom"));
        }
    }

    /// Reads a file nobody was granted.
    pub(super) fn open_passwd(&self) -> Result<(), Errno> {
        File::open("/etc/passwd").map(drop).map_err(|error| errno(&error))
    }

    /// Makes a file where nothing was granted.
    pub(super) fn create_file(&self) -> Result<(), Errno> {
        File::create(self.directory.join("forbidden/new")).map(drop).map_err(|error| errno(&error))
    }

    /// Makes a file where nothing was granted, or changes it.
    pub(super) fn change_file(&self) -> Result<(), Errno> {
        let file = self.directory.join("forbidden/changed");
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options.open(file).map(drop).map_err(|error| errno(&error))
    }

    /// Opens what was granted for writing, locks it, and writes into it.
    pub(super) fn change_granted(&self) -> Result<(), Errno> {
        use nix::fcntl::{FcntlArg, fcntl};
        use std::io::{Seek, SeekFrom};
        let change = || {
            let mut options = File::options();
            let mut file =
                options.read(true).write(true).create(true).truncate(false).open(self.directory.join("held"))?;
            let mut lock = libc::flock { l_type: libc::F_WRLCK as i16, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
            fcntl(&file, FcntlArg::F_OFD_SETLKW(&lock))?;
            file.seek(SeekFrom::Start(16))?;
            file.write_all(b"one")?;
            lock.l_type = libc::F_UNLCK as i16;
            fcntl(&file, FcntlArg::F_OFD_SETLKW(&lock))?;
            Ok(true)
        };
        truth(change())
    }

    /// Opens what was granted for reading to write it.
    pub(super) fn write_readable(&self) -> Result<(), Errno> {
        let file = self.directory.join("readable/known");
        File::options().write(true).open(file).map(drop).map_err(|error| errno(&error))
    }

    /// The same by openat2, whose flags the filter cannot see.
    pub(super) fn write_readable_unseen(&self) -> Result<(), Errno> {
        use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, openat2};
        let how = OpenHow::new().flags(OFlag::O_WRONLY | OFlag::O_CLOEXEC);
        openat2(AT_FDCWD, &self.directory.join("readable/known"), how).map(drop)
    }

    /// Starts another program.
    pub(super) fn exec(&self) -> Result<(), Errno> {
        nix::unistd::execv(c"/bin/true", &[c"true"]).map(drop)
    }

    /// Reads the directory and the file that were granted.
    pub(super) fn read_granted(&self) -> Result<(), Errno> {
        let directory = self.directory.join("readable");
        let read = || {
            let names = std::fs::read_dir(&directory)?.count();
            let text = std::fs::read_to_string(directory.join("known"))?;
            std::fs::metadata(directory.join("known"))?;
            Ok(names == 1 && text == "known")
        };
        truth(read())
    }

    /// Makes, writes, syncs, cuts, renames and deletes a file where that was granted.
    pub(super) fn write_granted(&self) -> Result<(), Errno> {
        use std::os::unix::fs::FileExt;
        let directory = self.directory.join("writable");
        let name = std::process::id().to_string();
        let (old, new) = (directory.join(&name), directory.join(format!("{name}.new")));
        let write = || {
            let mut file = File::options().read(true).append(true).create(true).open(&old)?;
            file.write_all(b"one two")?;
            file.sync_data()?;
            file.set_len(3)?;
            let mut start = [0; 3];
            file.read_exact_at(&mut start, 0)?;
            std::fs::rename(&old, &new)?;
            File::open(&directory)?.sync_all()?;
            std::fs::remove_file(&new)?;
            std::fs::create_dir_all(directory.join("deeper"))?;
            Ok(start == *b"one")
        };
        truth(write())
    }

    /// Goes on writing, as a database does, a file that has been open since before.
    pub(super) fn write_held(&self) -> Result<(), Errno> {
        use nix::fcntl::{FcntlArg, fcntl};
        use std::os::unix::fs::FileExt;
        let write = || {
            self.held.write_all_at(b"one two", 0)?;
            self.held.sync_data()?;
            self.held.set_len(3)?;
            let mut start = [0; 3];
            self.held.read_exact_at(&mut start, 0)?;
            let unlock = libc::flock { l_type: libc::F_UNLCK as i16, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
            fcntl(&self.held, FcntlArg::F_SETLK(&unlock))?;
            Ok(start == *b"one")
        };
        truth(write())
    }

    /// Connects to a peer that was restarted.
    pub(super) fn reconnect(&self) -> Result<(), Errno> {
        let path = self.directory.join("listener.sock");
        Channel::connect(&path).map(drop).map_err(|error| errno(&error))
    }

    /// Connects to a daemon of this machine by its path.
    pub(super) fn dial_daemon(&self, file: &str) -> Result<(), Errno> {
        let path = self.directory.join(file);
        std::os::unix::net::UnixStream::connect(path).map(drop).map_err(|error| errno(&error))
    }

    /// Connects to one that has no path.
    pub(super) fn dial_abstract(&self) -> Result<(), Errno> {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::net::{SocketAddr, UnixStream};
        let connect =
            || UnixStream::connect_addr(&SocketAddr::from_abstract_name(self.directory.as_os_str().as_bytes())?);
        connect().map(drop).map_err(|error| errno(&error))
    }

    /// Opens a device to write to it, and gives it a command.
    pub(super) fn command_device(device: &str) -> Result<(), Errno> {
        use std::os::fd::AsFd;
        let file = File::options().read(true).write(true).open(device).map_err(|error| errno(&error))?;
        crate::sys::attempts::device_command(file.as_fd())
    }

    /// Takes a connection that waits and talks over it.
    pub(super) fn serve(&self) -> Result<(), Errno> {
        let serve = || {
            self.listener.set_nonblocking(true)?;
            let (mut accepted, _) = self.listener.accept()?;
            accepted.set_nonblocking(false)?;
            accepted.set_nodelay(true)?;
            accepted.write_all(b"hello")?;
            accepted.shutdown(std::net::Shutdown::Write)?;
            let mut text = String::new();
            (&self.waiting).read_to_string(&mut text)?;
            Ok(text == "hello")
        };
        truth(serve())
    }

    /// Sends over a channel and receives, and looks who is at the other end of a new one.
    pub(super) fn talk(&self) -> Result<(), Errno> {
        use nix::sys::socket::{MsgFlags, recv, send};
        use std::os::fd::{AsFd, AsRawFd};
        send(self.channel.as_raw_fd(), b"x", MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)?;
        let length = recv(self.other.as_raw_fd(), &mut [0; 2], MsgFlags::MSG_DONTWAIT)?;
        let duplicate = self.channel.as_fd().try_clone_to_owned().map_err(|error| errno(&error))?;
        let adopted = Channel::from_fd(duplicate).map_err(|error| errno(&error))?;
        truth(Ok(length == 1 && adopted.peer() == self.channel.peer()))
    }
}

/// A thread starts, sleeps, is named, ends.
pub(super) fn thread() -> Result<(), Errno> {
    let work = || std::thread::sleep(std::time::Duration::from_millis(2));
    let thread = std::thread::Builder::new().name("probe".to_owned()).spawn(work);
    thread.map_err(|error| errno(&error))?.join().map_err(|_| Errno::EIO)
}

/// A thread frees more than the C library keeps.
pub(super) fn memory_given_back() -> Result<(), Errno> {
    let thread = std::thread::Builder::new().spawn(super::give_memory_back);
    thread.map_err(|error| errno(&error))?.join().map_err(|_| Errno::EIO)
}

/// Random octets from the kernel.
pub(super) fn random() -> Result<(), Errno> {
    getrandom::fill(&mut [0; 32]).map_err(|_| Errno::EIO)
}

/// Random octets as TLS takes them.
pub(super) fn library_random() -> Result<(), Errno> {
    aws_lc_rs::rand::fill(&mut [0; 32]).map_err(|_| Errno::EIO)
}

/// The clocks, a log line, a nap, a poll.
pub(super) fn clock_and_log() -> Result<(), Errno> {
    let before = std::time::Instant::now();
    std::thread::sleep(std::time::Duration::from_millis(1));
    eprintln!("{:?} {:?}", std::time::SystemTime::now(), before.elapsed());
    nix::poll::poll(&mut [], 1_u8).map(drop)
}

/// A runtime of tokio with signals and timers, on threads.
pub(super) fn runtime() -> Result<(), Errno> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| errno(&error))?;
    truth(runtime.block_on(async {
        let hup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
        let task = tokio::spawn(tokio::time::sleep(std::time::Duration::from_millis(2)));
        let blocking = tokio::task::spawn_blocking(|| 1);
        let ended = task.await.is_ok() && blocking.await.is_ok();
        drop(hup);
        Ok(ended)
    }))
}

fn truth(outcome: std::io::Result<bool>) -> Result<(), Errno> {
    match outcome {
        Ok(true) => Ok(()),
        Ok(false) => Err(Errno::EPROTO),
        Err(error) => Err(errno(&error)),
    }
}

/// A shared object of this system: one that this program is linked to.
fn shared_object() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.contains("/libc.so") || line.contains("/libgcc_s.so"))?;
    line.split_whitespace().last().map(PathBuf::from)
}
