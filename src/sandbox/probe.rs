//! The probe table: what a hijacked process of each role would try, what must come of it, and what must
//! still work. `chancery check-sandbox` makes each attempt in a process of its own that locked itself down
//! as the daemons do, because the filter kills.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;

use super::scene::{self, Scene};
use super::{Role, lock_down};
use crate::sys::attempts;

/// Exit codes of a probe that are no errno.
const NO_SCENE: u8 = 250;
const NO_LOCK_DOWN: u8 = 251;
const NO_SUCH_PROBE: u8 = 252;

/// What must come of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The filter kills the process.
    Killed,
    /// The filter makes the call fail with this errno, because a library knows what to do then.
    Fails(Errno),
    /// The filter must let the call through; Landlock refuses it from this ABI on. Below, it is left open:
    /// the reason says what still stands in the way.
    Landlock(u8, &'static str),
    /// It works.
    Works,
}

/// What came of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// SIGSYS.
    Killed,
    /// It got through.
    Through,
    /// The kernel said no.
    Failed(Errno),
    /// The probe itself did not get as far.
    Broken(&'static str),
}

impl Outcome {
    /// Reads how a probe's process ended: its exit code, or the signal.
    #[must_use]
    pub fn of(code: Option<i32>, signal: Option<i32>) -> Self {
        match (code.map(u8::try_from), signal) {
            (Some(Ok(0)), _) => Self::Through,
            (Some(Ok(NO_SCENE)), _) => Self::Broken("the scene could not be set"),
            (Some(Ok(NO_LOCK_DOWN)), _) => Self::Broken("the process could not lock itself down"),
            (Some(Ok(NO_SUCH_PROBE)), _) => Self::Broken("no such probe"),
            // A connection under way.
            (Some(Ok(errno)), _) if i32::from(errno) == libc::EINPROGRESS => Self::Through,
            (Some(Ok(errno)), _) => Self::Failed(Errno::from_raw(errno.into())),
            (_, Some(libc::SIGSYS)) => Self::Killed,
            // Where the kernel has no 32-bit entry, int 0x80 is a bad instruction.
            (_, Some(libc::SIGSEGV)) => Self::Failed(Errno::ENOSYS),
            _ => Self::Broken("ended by another signal"),
        }
    }

    /// Is this what `verdict` asks for under that Landlock ABI?
    #[must_use]
    pub fn meets(self, verdict: Verdict, landlock: u8) -> bool {
        match verdict {
            Verdict::Killed => self == Self::Killed,
            Verdict::Fails(errno) => self == Self::Failed(errno),
            Verdict::Landlock(from, _) if landlock >= from => {
                matches!(self, Self::Failed(Errno::EACCES | Errno::EPERM))
            }
            Verdict::Landlock(..) => !matches!(self, Self::Broken(_)),
            Verdict::Works => self == Self::Through,
        }
    }
}

type Attempt = fn(&Scene) -> Result<(), Errno>;
type Expected = fn(Role) -> Option<Verdict>;

/// As the program makes sockets itself.
const OPENED: i32 = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
const STREAM: i32 = libc::SOCK_STREAM | OPENED;

/// Everything there is to try: the name, what is tried, what must come of it (`None`: not for that role).
const PROBES: &[(&str, Attempt, Expected)] = &[
    // Files.
    ("open-passwd", Scene::open_passwd, |role| reader(role, "file permissions; uid and ProtectSystem= of the unit")),
    ("create-file", Scene::create_file, |role| writer(role, "file permissions; uid and ProtectSystem= of the unit")),
    ("write-readable", Scene::write_readable, |role| writer(role, "file permissions; configuration is root's")),
    ("change-file", Scene::change_file, |role| changer(role, "file permissions; uid and ProtectSystem= of the unit")),
    ("write-readable-unseen", Scene::write_readable_unseen, |_| killed()),
    ("exec", Scene::exec, |_| killed()),
    ("memfd", |_| attempts::memory_file(), |_| killed()),
    // Sockets.
    ("socket-unix-stream", |_| attempts::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0), socketless),
    ("socket-unix-datagram", |_| attempts::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0), socketless),
    ("socket-netlink", |_| attempts::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0), socketless),
    ("socket-tcp", |_| attempts::socket(libc::AF_INET, libc::SOCK_STREAM, 0), socketless),
    ("socket-tcp6", |_| attempts::socket(libc::AF_INET6, libc::SOCK_STREAM, 0), socketless),
    ("socket-udp", |_| attempts::socket(libc::AF_INET, libc::SOCK_DGRAM, 0), socketless),
    ("socket-packet", |_| attempts::socket(libc::AF_PACKET, libc::SOCK_RAW, 0), socketless),
    ("socket-vsock", |_| attempts::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0), socketless),
    ("socket-alg", |_| attempts::socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0), socketless),
    ("connect-tcp", |s| attempts::connect(s.fresh.as_fd(), s.elsewhere), undialling),
    ("connect-accepted-again", |s| attempts::connect_again(s.accepted.as_fd(), s.elsewhere), undialling),
    ("connect-listener-again", |s| attempts::connect_again(s.listener.as_fd(), s.elsewhere), undialling),
    ("directory-socket", |_| attempts::socket(libc::AF_INET, STREAM, 0), |role| asking(role, works())),
    ("directory-dial", |s| attempts::connect(s.fresh.as_fd(), s.directory_at), |role| asking(role, works())),
    (
        "directory-dial-elsewhere",
        |s| attempts::connect(s.fresh.as_fd(), s.elsewhere),
        |role| asking(role, Some(Verdict::Landlock(4, "reaches what IPAddressAllow= of its unit names, at any port"))),
    ),
    (
        "directory-socket-mptcp",
        |_| attempts::socket(libc::AF_INET, STREAM, libc::IPPROTO_MPTCP),
        |role| asking(role, killed()),
    ),
    (
        "directory-socket-udp",
        |_| attempts::socket(libc::AF_INET, libc::SOCK_DGRAM | OPENED, 0),
        |role| asking(role, killed()),
    ),
    (
        "directory-socket-raw",
        |_| attempts::socket(libc::AF_INET, libc::SOCK_RAW | OPENED, libc::IPPROTO_TCP),
        |role| asking(role, killed()),
    ),
    // What an HSM behind TCP is granted to a signer, one port; and that nothing comes with it.
    ("hsm-tcp-socket", |_| attempts::socket(libc::AF_INET, STREAM, 0), |role| custody(role, works())),
    (
        "hsm-tcp-socket-6",
        |_| attempts::socket(libc::AF_INET6, STREAM, libc::IPPROTO_TCP),
        |role| custody(role, works()),
    ),
    ("hsm-tcp-dial", |s| attempts::connect(s.fresh.as_fd(), s.directory_at), |role| custody(role, works())),
    (
        "hsm-tcp-dial-elsewhere",
        |s| attempts::connect(s.fresh.as_fd(), s.elsewhere),
        |role| custody(role, Some(Verdict::Landlock(4, "reaches what IPAddressAllow= of its unit names, at any port"))),
    ),
    (
        "hsm-tcp-keep-alive",
        |s| attempts::option(s.fresh.as_fd(), libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1),
        |role| custody(role, works()),
    ),
    (
        "hsm-tcp-repair",
        |s| attempts::option(s.fresh.as_fd(), libc::IPPROTO_TCP, libc::TCP_REPAIR, 1),
        |role| custody(role, fails(Errno::ENOPROTOOPT)),
    ),
    (
        "hsm-tcp-socket-mptcp",
        |_| attempts::socket(libc::AF_INET, STREAM, libc::IPPROTO_MPTCP),
        |role| custody(role, unsocketed()),
    ),
    (
        "hsm-tcp-socket-udp",
        |_| attempts::socket(libc::AF_INET, libc::SOCK_DGRAM | OPENED, 0),
        |role| custody(role, unsocketed()),
    ),
    (
        "hsm-tcp-socket-raw",
        |_| attempts::socket(libc::AF_INET, libc::SOCK_RAW | OPENED, libc::IPPROTO_TCP),
        |role| custody(role, unsocketed()),
    ),
    (
        "hsm-tcp-socket-netlink",
        |_| attempts::socket(libc::AF_NETLINK, libc::SOCK_RAW | OPENED, 0),
        |role| custody(role, unsocketed()),
    ),
    ("hsm-tcp-socket-unix", |_| attempts::socket(libc::AF_UNIX, STREAM, 0), |role| custody(role, unsocketed())),
    ("hsm-tcp-bind", |s| attempts::bind(s.fresh.as_fd()), |role| custody(role, killed())),
    (
        "hsm-tcp-listen",
        |s| nix::sys::socket::listen(&s.fresh, nix::sys::socket::Backlog::MAXCONN),
        |role| custody(role, killed()),
    ),
    ("hsm-tcp-dial-by-sending", |s| attempts::fast_open(s.fresh.as_fd(), s.elsewhere), |role| custody(role, killed())),
    // What a vendor's daemon on this machine is granted.
    ("hsm-unix-socket", |_| attempts::socket(libc::AF_UNIX, STREAM, 0), |role| custody(role, works())),
    ("hsm-unix-dial", |s| s.dial_daemon("daemon.sock"), |role| custody(role, works())),
    (
        "hsm-unix-dial-elsewhere",
        |s| s.dial_daemon("other.sock"),
        |role| custody(role, Some(Verdict::Landlock(9, "file permissions of the sockets; namespaces of the unit"))),
    ),
    ("hsm-unix-dial-abstract", Scene::dial_abstract, |role| {
        custody(role, Some(Verdict::Landlock(6, "PrivateNetwork= of its unit")))
    }),
    // The channels between the processes are of another type.
    ("hsm-unix-dial-channel", |s| s.dial_daemon("listener.sock"), |role| custody(role, fails(Errno::EPROTOTYPE))),
    (
        "hsm-unix-socket-channel",
        |_| attempts::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | OPENED, 0),
        |role| custody(role, unsocketed()),
    ),
    (
        "hsm-unix-socket-datagram",
        |_| attempts::socket(libc::AF_UNIX, libc::SOCK_DGRAM | OPENED, 0),
        |role| custody(role, unsocketed()),
    ),
    ("hsm-unix-socket-tcp", |_| attempts::socket(libc::AF_INET, STREAM, 0), |role| custody(role, unsocketed())),
    (
        "hsm-unix-dial-tcp",
        |s| attempts::connect(s.fresh.as_fd(), s.elsewhere),
        |role| custody(role, Some(Verdict::Landlock(4, "holds no TCP socket and can make none"))),
    ),
    // What a device is granted.
    ("hsm-device-command", |_| Scene::command_device("/dev/urandom"), |role| custody(role, works())),
    (
        "hsm-device-elsewhere",
        |_| Scene::command_device("/dev/random"),
        |role| custody(role, landlocked("file permissions; DeviceAllow= of its unit")),
    ),
    ("hsm-device-terminal", |_| attempts::type_in(), |role| custody(role, fails(Errno::EPERM))),
    ("hsm-device-socket", |_| attempts::socket(libc::AF_INET, STREAM, 0), |role| custody(role, unsocketed())),
    ("unlisten", |s| attempts::unlisten(s.listener.as_fd()), |_| killed()),
    ("unlisten-and-dial", |s| attempts::unlisten_and_dial(s.listener.as_fd(), s.elsewhere), |_| killed()),
    ("dial-by-sending", |s| attempts::fast_open(s.fresh.as_fd(), s.elsewhere), |_| killed()),
    ("bind-tcp", |s| attempts::bind(s.fresh.as_fd()), |_| killed()),
    ("listen", |s| nix::sys::socket::listen(&s.fresh, nix::sys::socket::Backlog::MAXCONN), |_| killed()),
    ("send-elsewhere", |s| attempts::send_elsewhere(s.datagrams.as_fd()), |_| killed()),
    ("send-descriptor", send_descriptor, |role| if role == Role::Dialer { works() } else { killed() }),
    // Memory.
    ("map-write-execute", |_| attempts::map(7).map(drop), |_| killed()),
    ("map-execute", map_execute, |role| if role == Role::Signer { works() } else { killed() }),
    ("write-then-run", |_| attempts::write_then_run(), |_| killed()),
    // Processes.
    ("fork", |_| attempts::fork(), |_| killed()),
    ("clone3", |_| attempts::clone3(), |_| Some(Verdict::Fails(Errno::ENOSYS))),
    ("kill-parent", |s| attempts::signal(s.parent), |_| killed()),
    ("kill-parent-thread", |s| attempts::signal_thread(s.parent), |_| killed()),
    #[cfg(target_arch = "x86_64")]
    ("compat-call", |_| attempts::compat_call(), |_| killed()),
    // What must still work.
    ("thread", |_| scene::thread(), |role| unless(alone(role))),
    ("memory-given-back", |_| scene::memory_given_back(), |role| unless(alone(role))),
    ("random", |_| scene::random(), |_| works()),
    (
        "library-random",
        |_| scene::library_random(),
        |role| unless(alone(role) || matches!(role, Role::Exporter | Role::Kerberos)),
    ),
    ("clock-and-log", |_| scene::clock_and_log(), |_| works()),
    ("channel", Scene::talk, |role| unless(alone(role) || role == Role::Signer)),
    ("serve", Scene::serve, |role| unless(!matches!(role, Role::Worker | Role::Exporter))),
    ("runtime", |_| scene::runtime(), |role| unless(!matches!(role, Role::Worker | Role::Auth | Role::Exporter))),
    ("read-granted", Scene::read_granted, |role| unless(!reads(role))),
    ("write-granted", Scene::write_granted, |role| unless(!matches!(role, Role::Signer | Role::Audit))),
    ("change-granted", Scene::change_granted, |role| unless(role != Role::Kerberos)),
    ("write-held", Scene::write_held, |role| {
        if matches!(role, Role::Auth | Role::Signer | Role::Audit) { works() } else { killed() }
    }),
    ("reconnect", Scene::reconnect, |role| match role {
        Role::Auth | Role::Issuer | Role::Dialer => works(),
        role => socketless(role),
    }),
];

/// Every name, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    PROBES.iter().map(|(name, ..)| *name).chain(attempts::BARE.iter().map(|(name, ..)| *name))
}

/// What must come of that probe in that role; `None` where it is not tried.
#[must_use]
pub fn expected(name: &str, role: Role) -> Option<Verdict> {
    match PROBES.iter().find(|(known, ..)| *known == name) {
        Some((.., expected)) => expected(role),
        None => killed(),
    }
}

/// Is this one of the calls that do nothing where nothing stops them, or of those that must work? The
/// others need rights or a kernel option, and can fail without any sandbox.
#[must_use]
pub fn gets_through_unconfined(name: &str) -> bool {
    const NEED_MORE: [&str; 14] = [
        "clone3",
        "socket-packet",
        "socket-vsock",
        "socket-alg",
        "directory-socket-mptcp",
        "directory-socket-raw",
        "hsm-tcp-repair",
        "hsm-tcp-socket-mptcp",
        "hsm-tcp-socket-raw",
        "hsm-unix-dial-channel",
        "hsm-device-terminal",
        "send-elsewhere",
        "compat-call",
        "unlisten-and-dial",
    ];
    PROBES.iter().any(|(known, ..)| *known == name) && !NEED_MORE.contains(&name)
}

/// Becomes the probe: sets the scene below `directory`, locks down as `role` (`None`: does not), tries, and
/// tells by the exit code what came of it.
#[must_use]
pub fn run(name: &str, role: Option<Role>, directory: &Path) -> ExitCode {
    let probe = PROBES.iter().find(|(known, ..)| *known == name);
    let bare = attempts::BARE.iter().find(|(known, ..)| *known == name);
    let scene = match Scene::set(directory) {
        Ok(scene) => scene,
        Err(error) => return broken(NO_SCENE, &error),
    };
    if let Some(role) = role {
        let mut grants = scene.grants(role);
        if name.starts_with("directory-") {
            grants.tcp_connect.push(scene.directory_at.port());
        }
        if role == Role::Signer {
            scene.grant_hsm(name, &mut grants);
        }
        match lock_down(role, &grants) {
            Ok(report) => eprintln!("{report}"),
            Err(error) => return broken(NO_LOCK_DOWN, &error),
        }
    }
    let outcome = match (probe, bare) {
        (Some((_, attempt, _)), _) => attempt(&scene),
        (None, Some((_, number, arguments))) => attempts::bare(*number, *arguments),
        (None, None) => return ExitCode::from(NO_SUCH_PROBE),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(errno) => ExitCode::from(u8::try_from(errno as i32).unwrap_or(1)),
    }
}

fn broken(code: u8, why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(code)
}

fn send_descriptor(scene: &Scene) -> Result<(), Errno> {
    let given: &OwnedFd = &scene.fresh;
    attempts::send_descriptor(scene.channel.as_fd(), given)
}

fn map_execute(scene: &Scene) -> Result<(), Errno> {
    attempts::map_to_run(scene.object.as_ref().ok_or(Errno::ENOENT)?.as_fd())
}

/// Roles of one thread that do one thing.
fn alone(role: Role) -> bool {
    matches!(role, Role::Dialer | Role::Reader)
}

fn killed() -> Option<Verdict> {
    Some(Verdict::Killed)
}

fn works() -> Option<Verdict> {
    Some(Verdict::Works)
}

fn unless(not: bool) -> Option<Verdict> {
    if not { None } else { works() }
}

fn landlocked(left: &'static str) -> Option<Verdict> {
    Some(Verdict::Landlock(1, left))
}

fn reads(role: Role) -> bool {
    matches!(role, Role::Auth | Role::Signer | Role::Audit | Role::Kerberos)
}

/// Roles that open files again need openat; Landlock says which.
fn reader(role: Role, left: &'static str) -> Option<Verdict> {
    if reads(role) { landlocked(left) } else { killed() }
}

fn writer(role: Role, left: &'static str) -> Option<Verdict> {
    let writes = matches!(role, Role::Signer | Role::Audit);
    if writes { landlocked(left) } else { killed() }
}

/// kerberos opens files to change them and in no other way.
fn changer(role: Role, left: &'static str) -> Option<Verdict> {
    if role == Role::Kerberos { landlocked(left) } else { writer(role, left) }
}

fn socketless(role: Role) -> Option<Verdict> {
    Some(if role == Role::Signer { Verdict::Fails(Errno::EACCES) } else { Verdict::Killed })
}

/// Where there is a directory to ask, auth may connect to it.
fn asking(role: Role, verdict: Option<Verdict>) -> Option<Verdict> {
    if role == Role::Auth { verdict } else { None }
}

/// Where the profile of an HSM grants it, a signer may.
fn custody(role: Role, verdict: Option<Verdict>) -> Option<Verdict> {
    if role == Role::Signer { verdict } else { None }
}

fn fails(errno: Errno) -> Option<Verdict> {
    Some(Verdict::Fails(errno))
}

fn unsocketed() -> Option<Verdict> {
    fails(Errno::EACCES)
}

/// connect(2) hides its address from the filter.
fn undialling(role: Role) -> Option<Verdict> {
    Some(match role {
        Role::Auth | Role::Issuer | Role::Dialer => {
            Verdict::Landlock(4, "holds no TCP socket, can make none, and none can be sent to it by the worker")
        }
        _ => Verdict::Killed,
    })
}
