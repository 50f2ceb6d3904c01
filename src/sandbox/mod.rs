//! What a process gives up before it reads a stranger's octets: descriptors nobody knows, core files, new
//! privileges, files (Landlock) and system calls (seccomp). A process calls [`begin`] first of all and
//! [`lock_down`] once it has opened what it needs and before it starts a thread. Neither can be taken back.

use std::fmt;
use std::io;
use std::path::PathBuf;

use nix::sys::resource::Resource;
use seccompiler::SeccompAction;

use crate::sys::{limits, refused};

mod calls;
mod files;
mod filter;
#[cfg(feature = "ctl")]
pub mod probe;
#[cfg(feature = "ctl")]
mod scene;

/// What the C library reads to find a host by its name in `/etc/hosts`. A resolver beyond that is asked by UDP, which
/// nobody may.
pub const NAMES: [&str; 4] = ["/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf"];

/// Whose table of system calls applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// `chancery-worker`: its listener and its channels, no file, no new socket. See `sys::dial`.
    Worker,
    /// `chancery-auth`: reads its configuration again, connects again to issuer and audit, writes the store it
    /// holds open.
    Auth,
    /// `chancery-issuer`: connects again to audit; its configuration was read at the start, so it has no file.
    Issuer,
    /// `chancery-signer`: the module's files and shared objects, and what its profile grants to reach the HSM; no new
    /// socket otherwise.
    Signer,
    /// `chancery-audit`: the directory of the record.
    Audit,
    /// `chancery-exporter`: its listeners alone.
    Exporter,
    /// `chancery-kerberos`: its listener, the library's configuration and its replay cache.
    Kerberos,
    /// The worker's dialer (`sys::dial`): connects to the two places a worker talks to.
    Dialer,
    /// The child of `chancery partner import` that reads a partner's metadata: octets in, values out.
    Reader,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 9] = [
        Self::Worker,
        Self::Auth,
        Self::Issuer,
        Self::Signer,
        Self::Audit,
        Self::Kerberos,
        Self::Exporter,
        Self::Dialer,
        Self::Reader,
    ];

    /// The name, as in `chancery-NAME`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Auth => "auth",
            Self::Issuer => "issuer",
            Self::Signer => "signer",
            Self::Audit => "audit",
            Self::Exporter => "exporter",
            Self::Kerberos => "kerberos",
            Self::Dialer => "dialer",
            Self::Reader => "reader",
        }
    }

    /// Roles that may be granted files to read, or shared objects to map (the signer alone).
    fn may_read(self) -> bool {
        matches!(self, Self::Auth | Self::Issuer | Self::Signer | Self::Audit | Self::Kerberos)
    }

    /// Roles that may be granted files to write.
    fn may_write(self) -> bool {
        matches!(self, Self::Signer | Self::Audit | Self::Kerberos)
    }

    /// The largest file the role may write, octets. Nothing without a grant: where there is no Landlock this
    /// is what keeps a call whose flags no filter can see from writing.
    fn largest_file(self, grants: &Grants) -> u64 {
        if grants.write.is_empty() && !grants.write_held {
            return 0;
        }
        match self {
            Self::Auth | Self::Audit => 64 << 30,
            Self::Signer | Self::Kerberos => 64 << 20,
            Self::Worker | Self::Issuer | Self::Exporter | Self::Dialer | Self::Reader => 0,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a process keeps beyond the descriptors it has open. The paths must exist. Without any path the
/// calls that open files are refused as well.
#[derive(Debug, Clone, Default)]
pub struct Grants {
    /// Files, or directories with all below them, to read.
    pub read: Vec<PathBuf>,
    /// Files, or directories with all below them, to read, write, make, rename and delete.
    pub write: Vec<PathBuf>,
    /// Files that are open for writing stay so. None is opened: auth's store.
    pub write_held: bool,
    /// Directories (or files) from which shared objects may be mapped: the signer's module and what it
    /// links. They can be read, too.
    pub execute_map: Vec<PathBuf>,
    /// Ports outside that TCP connections may be made to: those of auth's directories and of its store, of a signer's
    /// HSM. Without any no socket of TCP can be made.
    pub tcp_connect: Vec<u16>,
    /// Stream sockets of daemons on this machine. Without any no such socket can be made; with one, every stream
    /// socket can be connected to that file permissions and namespaces leave in reach, for no Landlock up to ABI 8
    /// knows their paths. They need not exist.
    pub unix_connect: Vec<PathBuf>,
    /// Devices, or directories of them, to read, write and give commands to (ioctl).
    pub devices: Vec<PathBuf>,
    /// The signer's profile says that its module loads under PR_SET_MDWE. The other roles always have it.
    pub deny_write_execute: bool,
}

/// What was reached. For the log: [`fmt::Display`] is one line.
#[derive(Debug, Clone)]
#[must_use = "say in the log what was left open"]
pub struct Report {
    /// Whose table was installed.
    pub role: Role,
    /// Landlock ABI that is in force; 0 is none.
    pub landlock: u8,
    /// What is weaker than it should be or was left open, and why.
    pub left_open: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "locked down as {}, landlock {}", self.role, self.landlock)?;
        for left in &self.left_open {
            write!(f, "; {left}")?;
        }
        Ok(())
    }
}

/// Why a process could not lock itself down. It must not go on.
#[derive(Debug)]
pub enum SandboxError {
    /// A limit or a switch of prctl(2) was refused.
    Limit(&'static str, io::Error),
    /// This many threads run already; Landlock would not bind the others.
    Threads(usize),
    /// The role may not be granted this.
    Grant(Role, &'static str),
    /// A granted path cannot be opened.
    Path(PathBuf, String),
    /// Landlock refused.
    Landlock(String),
    /// The system-call filter cannot be made or installed.
    Filter(String),
    /// An environment variable says something unknown.
    Setting(&'static str),
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(what, error) => write!(f, "{what}: {error}"),
            Self::Threads(count) => write!(f, "{count} threads run already, lock-down comes before the first"),
            Self::Grant(role, what) => write!(f, "the {role} may not be granted {what}"),
            Self::Path(path, why) => write!(f, "granted path {}: {why}", path.display()),
            Self::Landlock(why) => write!(f, "landlock: {why}"),
            Self::Filter(why) => write!(f, "system-call filter: {why}"),
            Self::Setting(name) => write!(f, "{name} is neither unset nor one of its values"),
        }
    }
}

impl std::error::Error for SandboxError {}

/// No core file, and no look into this process by others of its user. A process that comes to hold a secret before it
/// is locked down, and the command line, have it from the first.
///
/// # Errors
/// [`SandboxError::Limit`].
pub fn keep_to_itself() -> Result<(), SandboxError> {
    limits::cap(Resource::RLIMIT_CORE, 0).map_err(|error| SandboxError::Limit("RLIMIT_CORE", error))?;
    limits::not_dumpable().map_err(|error| SandboxError::Limit("PR_SET_DUMPABLE", error))
}

/// Keeps to itself, closes every descriptor but the standard three and those LISTEN_FDS tells of, and raises the limit
/// of descriptors. Call it first in `main`, before anything is opened.
///
/// # Errors
/// [`SandboxError::Limit`].
pub fn begin() -> Result<(), SandboxError> {
    keep_to_itself()?;
    limits::few_arenas();
    let inherited = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<u8>().ok()).unwrap_or(0);
    limits::close_from(3 + i32::from(inherited)).map_err(|error| SandboxError::Limit("close_range", error))?;
    limits::all_descriptors().map_err(|error| SandboxError::Limit("RLIMIT_NOFILE", error))
}

/// Locks the process down. After it a call that the role's table does not have kills the process.
/// `CHANCERY_SANDBOX=debug` names the call on standard error and makes it fail instead;
/// `CHANCERY_SANDBOX_ABI=0|2|…` pretends an older Landlock.
///
/// # Errors
/// [`SandboxError`]; the process must end.
pub fn lock_down(role: Role, grants: &Grants) -> Result<Report, SandboxError> {
    let debug = match std::env::var("CHANCERY_SANDBOX").as_deref() {
        Err(_) | Ok("") => false,
        Ok("debug") => true,
        Ok(_) => return Err(SandboxError::Setting("CHANCERY_SANDBOX")),
    };
    let most = match std::env::var("CHANCERY_SANDBOX_ABI") {
        Err(_) => u8::MAX,
        Ok(abi) => abi.parse().map_err(|_| SandboxError::Setting("CHANCERY_SANDBOX_ABI"))?,
    };
    grantable(role, grants)?;
    let mut left_open = Vec::new();
    one_thread(&mut left_open)?;
    crate::sys::failpoint::arm();
    first_use(role, grants);
    crate::sys::failpoint::arm();
    // Built before Landlock, which would keep nothing from it, but after which a failure is harder to tell.
    let violation = if debug { SeccompAction::Trap } else { SeccompAction::KillProcess };
    let programs = filter::programs(role, grants, violation)?;
    if debug {
        refused::name_refused_calls(name).map_err(|error| SandboxError::Limit("SIGSYS", error))?;
        left_open.push("CHANCERY_SANDBOX=debug: refused calls fail and are named instead of killing".to_owned());
    }

    limit(role, grants, &mut left_open)?;
    limits::not_dumpable().map_err(|error| SandboxError::Limit("PR_SET_DUMPABLE", error))?;
    limits::no_new_privileges().map_err(|error| SandboxError::Limit("PR_SET_NO_NEW_PRIVS", error))?;
    if role != Role::Signer || grants.deny_write_execute {
        if let Err(error) = limits::deny_write_execute() {
            left_open.push(format!("PR_SET_MDWE: {error}; seccomp alone keeps memory from being W and X"));
        }
    } else {
        left_open.push("PR_SET_MDWE is off for the module; seccomp keeps memory from being W and X".to_owned());
    }
    let landlock = files::restrict(grants, most)?;
    if landlock < 4 {
        left_open.push(format!("landlock {landlock}: seccomp alone refuses TCP and signals"));
        if !grants.tcp_connect.is_empty() {
            left_open.push("TCP to the outside is not held to the granted ports".to_owned());
        }
    }
    if !grants.unix_connect.is_empty() {
        left_open.push("unix_connect: stream sockets are held by file permissions, not by their paths".to_owned());
    }
    if landlock < 5 && !grants.devices.is_empty() {
        left_open.push(format!("landlock {landlock}: commands go to any device that is open"));
    }
    for program in &programs {
        seccompiler::apply_filter_all_threads(program).map_err(|error| SandboxError::Filter(error.to_string()))?;
    }
    Ok(Report { role, landlock, left_open })
}

/// The name of a call by number, where a row of any role has it.
fn name(number: i64) -> Option<&'static str> {
    calls::CALLS.iter().find(|call| call.number == number).map(|call| call.name)
}

fn grantable(role: Role, grants: &Grants) -> Result<(), SandboxError> {
    if !role.may_read() && !grants.read.is_empty() {
        return Err(SandboxError::Grant(role, "files to read"));
    }
    if !role.may_write() && !grants.write.is_empty() {
        return Err(SandboxError::Grant(role, "files to write"));
    }
    if role != Role::Auth && grants.write_held {
        return Err(SandboxError::Grant(role, "files held open for writing"));
    }
    if role != Role::Signer && !grants.execute_map.is_empty() {
        return Err(SandboxError::Grant(role, "shared objects to map"));
    }
    if !matches!(role, Role::Auth | Role::Signer) && !grants.tcp_connect.is_empty() {
        return Err(SandboxError::Grant(role, "TCP connections"));
    }
    if role != Role::Signer && !grants.unix_connect.is_empty() {
        return Err(SandboxError::Grant(role, "stream sockets to connect to"));
    }
    if role != Role::Signer && !grants.devices.is_empty() {
        return Err(SandboxError::Grant(role, "devices"));
    }
    Ok(())
}

/// Landlock binds the calling thread and those it starts later.
fn one_thread(left_open: &mut Vec<String>) -> Result<(), SandboxError> {
    match std::fs::read_dir("/proc/self/task").map(Iterator::count) {
        Ok(1) => Ok(()),
        Ok(count) => Err(SandboxError::Threads(count)),
        Err(error) => {
            left_open.push(format!("/proc/self/task: {error}; threads were not counted"));
            Ok(())
        }
    }
}

/// What a library opens a file for at its first use, which a process that opens no files can do only now.
///
/// aws-lc looks for /dev/sysgenid before its first random octet. It also gathers entropy for some 70 ms of
/// processor time, so nobody else does it for nothing. The C library reads /proc/sys/vm/overcommit_memory
/// before it first gives a thread's memory back to the kernel, and remembers the answer; a stranger who opened
/// many connections and closed them would have had the filter kill the process.
fn first_use(role: Role, grants: &Grants) {
    let looks_later = !grants.read.is_empty() || !grants.write.is_empty();
    if matches!(role, Role::Dialer | Role::Reader) || looks_later {
        return;
    }
    if role != Role::Exporter {
        first_random_octet();
    }
    // Where there is no thread to be had, the runtime says so.
    let _ = std::thread::Builder::new().spawn(give_memory_back).map(std::thread::JoinHandle::join);
}

/// Takes so much memory, in pieces so small, that the C library returns it when it is freed.
fn give_memory_back() {
    let taken: Vec<Vec<u8>> = (0..64).map(|_| vec![1; 64 * 1024]).collect();
    drop(std::hint::black_box(taken));
}

#[cfg(any(
    feature = "worker",
    feature = "auth",
    feature = "issuer",
    feature = "signer",
    feature = "audit",
    feature = "ctl"
))]
fn first_random_octet() {
    // Without randomness nothing later works either, and says so.
    let _ = aws_lc_rs::rand::fill(&mut [0; 1]);
}

/// A build without aws-lc draws from the kernel alone.
#[cfg(not(any(
    feature = "worker",
    feature = "auth",
    feature = "issuer",
    feature = "signer",
    feature = "audit",
    feature = "ctl"
)))]
fn first_random_octet() {}

/// Octets the reader may have, many times its largest document.
const READERS_MEMORY: u64 = 512 << 20;
/// Seconds of a processor.
const READERS_SECONDS: u64 = 20;

fn limit(role: Role, grants: &Grants, left_open: &mut Vec<String>) -> Result<(), SandboxError> {
    let cap = |resource, name, most| limits::cap(resource, most).map_err(|error| SandboxError::Limit(name, error));
    cap(Resource::RLIMIT_CORE, "RLIMIT_CORE", 0)?;
    // A log that goes to a file is written by this process; SIGXFSZ would kill it at its first line.
    let logs_to_file = [1, 2].iter().any(|fd| is_file(*fd));
    let most = role.largest_file(grants);
    let largest = if logs_to_file { most.max(16 << 30) } else { most };
    cap(Resource::RLIMIT_FSIZE, "RLIMIT_FSIZE", largest)?;
    // The limit counts all processes and threads of the user. Where roles share a user (`chancery run`) it
    // would refuse threads for others' sake, so only the roles without threads have it; units have TasksMax=.
    if matches!(role, Role::Dialer | Role::Reader) {
        cap(Resource::RLIMIT_NPROC, "RLIMIT_NPROC", 0)?;
    } else if logs_to_file {
        left_open.push("logs go to a file: RLIMIT_FSIZE is not 0".to_owned());
    }
    // No unit and no watchdog stand around it: whoever waits for it gives up before this.
    if role == Role::Reader {
        cap(Resource::RLIMIT_DATA, "RLIMIT_DATA", READERS_MEMORY)?;
        cap(Resource::RLIMIT_CPU, "RLIMIT_CPU", READERS_SECONDS)?;
    }
    Ok(())
}

fn is_file(fd: i32) -> bool {
    std::fs::metadata(format!("/proc/self/fd/{fd}")).is_ok_and(|metadata| metadata.is_file())
}
