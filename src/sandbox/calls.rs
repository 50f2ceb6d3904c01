//! The system calls each process may make once it is locked down, one row a call with the reason it is
//! there. What has no row is refused: the kernel kills the process. A row is added because something was
//! seen to need it, never because it looks harmless.

use libc::c_long;

use super::Role;

/// Which roles a row is for: a set of [`Role`] bits.
#[derive(Clone, Copy)]
pub(super) struct Roles(u16);

impl Roles {
    const fn of(roles: &[Role]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < roles.len() {
            bits |= 1 << roles[index] as u8;
            index += 1;
        }
        Self(bits)
    }

    pub(super) const fn contains(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }
}

/// A condition on one argument. Arguments the kernel takes as 32 bits are compared as 32 bits.
#[derive(Clone, Copy)]
pub(super) enum Arg {
    /// Argument `.0` is `.1`.
    Is(u8, u64),
    /// Argument `.0` is anything else.
    Not(u8, u64),
    /// Of argument `.0`, the bits `.1` are `.2`.
    Bits(u8, u64, u64),
    /// Argument `.0` is a null pointer.
    Null(u8),
    /// Argument `.0` is this process's id.
    Own(u8),
}

/// When the call is let through.
#[derive(Clone, Copy)]
pub(super) enum When {
    /// With any arguments.
    Always,
    /// When all of these hold. Several rows of one call are alternatives.
    All(&'static [Arg]),
    /// Where no other row of the call lets it through it returns this errno instead of killing, for callers that
    /// know another way.
    Refused(i32),
    /// When all of these hold it returns this errno, whatever the other rows of the call say.
    Denied(i32, &'static [Arg]),
}

/// What the process must have been granted for the row to count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    /// Files to read.
    Read,
    /// Files to write.
    Write,
    /// Files to write, if only those that are open already.
    Held,
    /// Directories to map shared objects from.
    Map,
    /// TCP connections to the outside.
    Tcp,
    /// Connections to stream sockets of this machine.
    Unix,
    /// One of these two.
    Net,
    /// Devices.
    Device,
}

/// One row.
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) number: c_long,
    pub(super) roles: Roles,
    pub(super) need: Need,
    pub(super) when: When,
    #[cfg_attr(not(test), expect(dead_code, reason = "the reason is for the reader and for the tests"))]
    pub(super) why: &'static str,
}

const fn row(name: &'static str, number: c_long, roles: Roles, need: Need, when: When, why: &'static str) -> Call {
    Call { name, number, roles, need, when, why }
}

use Need::{Device, Held, Map, Net, Nothing, Read, Tcp, Unix, Write};
use Role::{Audit, Auth, Dialer, Exporter, Issuer, Kerberos, Reader, Signer, Worker};
use When::{All, Always, Denied, Refused};

/// Every process, the dialer and the reader too.
const ALL: Roles = Roles::of(&[Worker, Auth, Issuer, Signer, Audit, Exporter, Kerberos, Dialer, Reader]);
/// Every process but these two, which have one thread and one task.
const DAEMONS: Roles = Roles::of(&[Worker, Auth, Issuer, Signer, Audit, Exporter, Kerberos]);
/// Those that run on tokio.
const TOKIO: Roles = Roles::of(&[Worker, Auth, Exporter]);
/// Those that poll in plain threads.
const POLLING: Roles = Roles::of(&[Issuer, Signer, Audit, Kerberos]);
/// Those with an inherited listener.
const LISTENING: Roles = Roles::of(&[Worker, Auth, Issuer, Audit, Exporter, Kerberos]);
/// Those that connect again to a peer that was restarted.
const RECONNECTING: Roles = Roles::of(&[Auth, Issuer, Dialer]);
/// Those that may be granted files.
const FILES: Roles = Roles::of(&[Auth, Issuer, Signer, Audit, Kerberos]);
/// Those that may be granted files to write.
const WRITING: Roles = Roles::of(&[Signer, Audit]);
/// Those, and the one that may go on writing what it has open.
const HOLDING: Roles = Roles::of(&[Auth, Signer, Audit]);
const KERBEROS: Roles = Roles::of(&[Kerberos]);
const SIGNER: Roles = Roles::of(&[Signer]);
const WEB: Roles = Roles::of(&[Worker, Exporter]);
const AUTH: Roles = Roles::of(&[Auth]);
const DIALER: Roles = Roles::of(&[Dialer]);

/// A signed constant of the C library as the kernel compares it.
const fn bits(value: i32) -> u64 {
    value.cast_unsigned() as u64
}

/// pthread_create's flags, but for CLONE_DETACHED, which musl adds and the kernel ignores. Without
/// CLONE_THREAD this call is fork.
const THREAD: u64 = bits(
    libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_SETTLS
        | libc::CLONE_PARENT_SETTID
        | libc::CLONE_CHILD_CLEARTID,
);
const ANY_CLONE_FLAG: u64 = 0xffff_ffff & !bits(libc::CLONE_DETACHED);

/// An open to change what is there already or is made new, neither cut nor appended to.
const OPEN_TO_CHANGE: u64 = bits(libc::O_RDWR | libc::O_CREAT);

/// An open that cannot change anything.
const OPEN_TO_READ: u64 = bits(libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND);

const SEQPACKET: u64 = bits(libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
const STREAM: u64 = bits(libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
/// A stream however it is opened: a vendor's module does not ask as this program does.
const A_STREAM: Arg =
    Arg::Bits(1, 0xffff_ffff & !bits(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK), bits(libc::SOCK_STREAM));
const UNIX: u64 = bits(libc::AF_UNIX);

const EXEC: u64 = bits(libc::PROT_EXEC);
const WRITABLE: u64 = bits(libc::PROT_WRITE);
const FASTOPEN: u64 = bits(libc::MSG_FASTOPEN);
const SOCKET_LEVEL: u64 = bits(libc::SOL_SOCKET);
const TCP_LEVEL: u64 = bits(libc::IPPROTO_TCP);
const INET: u64 = bits(libc::AF_INET);
const INET6: u64 = bits(libc::AF_INET6);

/// The table.
#[rustfmt::skip]
pub(super) const CALLS: &[Call] = &[
    // Octets in and out of what is open already.
    row("read", libc::SYS_read, ALL, Nothing, Always, "every descriptor that is open"),
    row("write", libc::SYS_write, ALL, Nothing, Always, "sockets, logs"),
    row("readv", libc::SYS_readv, DAEMONS, Nothing, Always, "std and tokio read into several buffers"),
    row("writev", libc::SYS_writev, DAEMONS, Nothing, Always, "hyper and rustls write several buffers"),
    row("close", libc::SYS_close, ALL, Nothing, Always, "connections end"),
    row("recvfrom", libc::SYS_recvfrom, ALL, Nothing, Always, "recv on sockets"),
    row("recvmsg", libc::SYS_recvmsg, ALL, Nothing, Always, "channels; the dialer's descriptors reach the worker so"),
    // With an address sendto reaches any datagram socket; with MSG_FASTOPEN it is connect by another name:
    // shutdown(2) turns an inherited listener into a socket that may dial.
    row("sendto", libc::SYS_sendto, DAEMONS, Nothing, All(&[Arg::Bits(3, FASTOPEN, 0), Arg::Null(4)]), "send on connected sockets"),
    row("sendmsg", libc::SYS_sendmsg, DIALER, Nothing, All(&[Arg::Bits(2, FASTOPEN, 0)]), "passes the connected descriptor to the worker"),
    row("shutdown", libc::SYS_shutdown, TOKIO, Nothing, All(&[Arg::Is(1, bits(libc::SHUT_WR))]), "ends TLS and HTTP connections; SHUT_RD would unlisten a listener"),
    row("accept4", libc::SYS_accept4, LISTENING, Nothing, Always, "the inherited listeners"),
    row("getsockname", libc::SYS_getsockname, LISTENING, Nothing, Always, "std names the local address"),
    row("getpeername", libc::SYS_getpeername, LISTENING, Nothing, Always, "std names the peer's address"),
    row("getsockopt", libc::SYS_getsockopt, ALL, Nothing, All(&[Arg::Is(1, SOCKET_LEVEL)]), "SO_ERROR; SO_PEERCRED names the peer of a channel"),
    row("setsockopt", libc::SYS_setsockopt, WEB, Nothing, All(&[Arg::Is(1, TCP_LEVEL), Arg::Is(2, bits(libc::TCP_NODELAY))]), "answers leave at once"),
    row("setsockopt", libc::SYS_setsockopt, WEB, Nothing, All(&[Arg::Is(1, TCP_LEVEL), Arg::Is(2, bits(libc::TCP_USER_TIMEOUT))]), "a client that stops reading is given up"),
    row("setsockopt", libc::SYS_setsockopt, WEB, Nothing, All(&[Arg::Is(1, SOCKET_LEVEL), Arg::Is(2, bits(libc::SO_KEEPALIVE))]), "dead clients are noticed"),
    row("setsockopt", libc::SYS_setsockopt, WEB, Nothing, All(&[Arg::Is(1, SOCKET_LEVEL), Arg::Is(2, bits(libc::SO_LINGER))]), "a connection of garbage is reset"),
    row("setsockopt", libc::SYS_setsockopt, AUTH, Tcp, All(&[Arg::Is(1, TCP_LEVEL), Arg::Is(2, bits(libc::TCP_NODELAY))]), "questions to the directory and the store leave at once"),
    row("socket", libc::SYS_socket, RECONNECTING, Nothing, All(&[Arg::Is(0, UNIX), Arg::Is(1, SEQPACKET), Arg::Is(2, 0)]), "a channel to a peer that was restarted"),
    row("socket", libc::SYS_socket, AUTH, Tcp, All(&[Arg::Is(0, bits(libc::AF_INET)), Arg::Is(1, STREAM), Arg::Is(2, 0)]), "the directory, PostgreSQL"),
    row("socket", libc::SYS_socket, AUTH, Tcp, All(&[Arg::Is(0, bits(libc::AF_INET6)), Arg::Is(1, STREAM), Arg::Is(2, 0)]), "the directory, PostgreSQL"),
    // What a profile of an HSM grants: TCP to its ports, stream sockets of daemons on this machine. Their addresses
    // are in memory, where no filter can look.
    row("socket", libc::SYS_socket, SIGNER, Tcp, All(&[Arg::Is(0, INET), A_STREAM, Arg::Is(2, 0)]), "an HSM behind TCP"),
    row("socket", libc::SYS_socket, SIGNER, Tcp, All(&[Arg::Is(0, INET), A_STREAM, Arg::Is(2, TCP_LEVEL)]), "an HSM behind TCP, as getaddrinfo says it"),
    row("socket", libc::SYS_socket, SIGNER, Tcp, All(&[Arg::Is(0, INET6), A_STREAM, Arg::Is(2, 0)]), "an HSM behind TCP"),
    row("socket", libc::SYS_socket, SIGNER, Tcp, All(&[Arg::Is(0, INET6), A_STREAM, Arg::Is(2, TCP_LEVEL)]), "an HSM behind TCP, as getaddrinfo says it"),
    row("socket", libc::SYS_socket, SIGNER, Unix, All(&[Arg::Is(0, UNIX), A_STREAM, Arg::Is(2, 0)]), "a vendor's daemon; the channels here are of another type and cannot be met so"),
    row("socket", libc::SYS_socket, SIGNER, Nothing, Refused(libc::EACCES), "the C library's name service asks nscd before it reads files, and the kernel for addresses"),
    row("connect", libc::SYS_connect, RECONNECTING, Nothing, Always, "a channel to a peer that was restarted"),
    row("connect", libc::SYS_connect, SIGNER, Net, Always, "the HSM or its daemon"),
    row("setsockopt", libc::SYS_setsockopt, SIGNER, Net, All(&[Arg::Is(1, SOCKET_LEVEL), Arg::Is(2, bits(libc::SO_KEEPALIVE))]), "links that idle are kept"),
    row("setsockopt", libc::SYS_setsockopt, SIGNER, Net, All(&[Arg::Is(1, SOCKET_LEVEL), Arg::Is(2, bits(libc::SO_RCVTIMEO))]), "an HSM that does not answer"),
    row("setsockopt", libc::SYS_setsockopt, SIGNER, Net, All(&[Arg::Is(1, SOCKET_LEVEL), Arg::Is(2, bits(libc::SO_SNDTIMEO))]), "an HSM that does not listen"),
    row("setsockopt", libc::SYS_setsockopt, SIGNER, Net, All(&[Arg::Is(1, SOCKET_LEVEL), Arg::Is(2, bits(libc::SO_LINGER))]), "links are reset at once"),
    row("setsockopt", libc::SYS_setsockopt, SIGNER, Tcp, All(&[Arg::Is(1, TCP_LEVEL), Arg::Is(2, bits(libc::TCP_NODELAY))]), "questions leave at once"),
    row("setsockopt", libc::SYS_setsockopt, SIGNER, Tcp, All(&[Arg::Is(1, TCP_LEVEL), Arg::Is(2, bits(libc::TCP_KEEPIDLE))]), "libcurl sets its pace of keep-alive"),
    row("setsockopt", libc::SYS_setsockopt, SIGNER, Tcp, All(&[Arg::Is(1, TCP_LEVEL), Arg::Is(2, bits(libc::TCP_KEEPINTVL))]), "libcurl sets its pace of keep-alive"),
    row("setsockopt", libc::SYS_setsockopt, SIGNER, Tcp, All(&[Arg::Is(1, TCP_LEVEL), Arg::Is(2, bits(libc::TCP_KEEPCNT))]), "libcurl sets its pace of keep-alive"),
    row("setsockopt", libc::SYS_setsockopt, SIGNER, Tcp, All(&[Arg::Is(1, TCP_LEVEL), Arg::Is(2, bits(libc::TCP_USER_TIMEOUT))]), "a dead link is given up"),
    row("setsockopt", libc::SYS_setsockopt, SIGNER, Net, Refused(libc::ENOPROTOOPT), "clients try options that a kernel may not have"),
    row("getsockopt", libc::SYS_getsockopt, SIGNER, Net, Refused(libc::ENOPROTOOPT), "as setsockopt"),
    row("getsockname", libc::SYS_getsockname, SIGNER, Net, Always, "libcurl names both ends"),
    row("getpeername", libc::SYS_getpeername, SIGNER, Net, Always, "libcurl names both ends"),
    row("shutdown", libc::SYS_shutdown, SIGNER, Net, Always, "links end; a signer has no listener that this could turn"),
    row("socketpair", libc::SYS_socketpair, SIGNER, Net, All(&[Arg::Is(0, UNIX), A_STREAM, Arg::Is(2, 0)]), "libcurl and tokio wake themselves so"),
    row("pipe2", libc::SYS_pipe2, SIGNER, Net, Always, "as socketpair"),
    #[cfg(target_arch = "x86_64")]
    row("pipe", libc::SYS_pipe, SIGNER, Net, Always, "as socketpair"),
    #[cfg(target_arch = "x86_64")]
    row("select", libc::SYS_select, SIGNER, Net, Always, "older clients wait so"),
    row("pselect6", libc::SYS_pselect6, SIGNER, Net, Always, "older clients wait so"),
    #[cfg(target_arch = "x86_64")]
    row("epoll_wait", libc::SYS_epoll_wait, SIGNER, Net, Always, "tokio in a vendor's client"),
    row("epoll_pwait", libc::SYS_epoll_pwait, SIGNER, Net, Always, "tokio in a vendor's client"),
    row("epoll_ctl", libc::SYS_epoll_ctl, SIGNER, Net, Always, "tokio in a vendor's client"),
    row("epoll_create1", libc::SYS_epoll_create1, SIGNER, Net, Always, "tokio in a vendor's client"),
    row("socketpair", libc::SYS_socketpair, TOKIO, Nothing, All(&[Arg::Is(0, UNIX), Arg::Is(1, STREAM)]), "tokio's own wake-up for signals"),
    row("ioctl", libc::SYS_ioctl, ALL, Nothing, All(&[Arg::Is(1, libc::FIONBIO)]), "std makes sockets non-blocking so"),
    row("ioctl", libc::SYS_ioctl, SIGNER, Device, Always, "a driver's own commands; Landlock says on which devices"),
    // A terminal that was inherited takes what is typed into it by TIOCSTI for its owner's.
    row("ioctl", libc::SYS_ioctl, SIGNER, Device, Denied(libc::EPERM, &[Arg::Bits(1, 0xff00, 0x5400), Arg::Not(1, libc::FIONBIO)]), "commands of terminals"),
    row("fcntl", libc::SYS_fcntl, ALL, Nothing, All(&[Arg::Is(1, bits(libc::F_GETFL))]), "std, nix"),
    row("fcntl", libc::SYS_fcntl, ALL, Nothing, All(&[Arg::Is(1, bits(libc::F_SETFL))]), "O_NONBLOCK"),
    row("fcntl", libc::SYS_fcntl, ALL, Nothing, All(&[Arg::Is(1, bits(libc::F_GETFD))]), "std checks descriptors in debug builds"),
    row("fcntl", libc::SYS_fcntl, ALL, Nothing, All(&[Arg::Is(1, bits(libc::F_SETFD))]), "close-on-exec"),
    row("fcntl", libc::SYS_fcntl, DAEMONS, Nothing, All(&[Arg::Is(1, bits(libc::F_DUPFD_CLOEXEC))]), "try_clone; tokio's signal driver"),
    row("fcntl", libc::SYS_fcntl, HOLDING, Held, All(&[Arg::Is(1, bits(libc::F_SETLK))]), "SoftHSM locks its files; SQLite lets go of its lock as it closes"),
    row("fcntl", libc::SYS_fcntl, WRITING, Write, All(&[Arg::Is(1, bits(libc::F_SETLKW))]), "SoftHSM locks its files"),
    row("fcntl", libc::SYS_fcntl, KERBEROS, Write, All(&[Arg::Is(1, bits(libc::F_OFD_SETLKW))]), "the library locks its replay cache"),
    row("fcntl", libc::SYS_fcntl, WRITING, Write, All(&[Arg::Is(1, bits(libc::F_GETLK))]), "modules that keep their objects in SQLite look at locks"),

    // Waiting.
    #[cfg(target_arch = "x86_64")]
    row("poll", libc::SYS_poll, ALL, Nothing, Always, "the poll loops"),
    row("ppoll", libc::SYS_ppoll, ALL, Nothing, Always, "the poll loops"),
    #[cfg(target_arch = "x86_64")]
    row("epoll_wait", libc::SYS_epoll_wait, TOKIO, Nothing, Always, "tokio"),
    row("epoll_pwait", libc::SYS_epoll_pwait, TOKIO, Nothing, Always, "tokio"),
    row("epoll_ctl", libc::SYS_epoll_ctl, TOKIO, Nothing, Always, "tokio"),
    row("epoll_create1", libc::SYS_epoll_create1, TOKIO, Nothing, Always, "tokio's runtime starts after lock-down"),
    row("eventfd2", libc::SYS_eventfd2, DAEMONS, Nothing, Always, "tokio's waker; a poll loop's waker"),
    row("signalfd4", libc::SYS_signalfd4, POLLING, Nothing, Always, "a poll loop reads its signals"),
    row("timerfd_create", libc::SYS_timerfd_create, POLLING, Nothing, Always, "a poll loop's deadlines"),
    row("timerfd_settime", libc::SYS_timerfd_settime, POLLING, Nothing, Always, "a poll loop's deadlines"),
    row("futex", libc::SYS_futex, ALL, Nothing, Always, "locks"),
    row("clock_nanosleep", libc::SYS_clock_nanosleep, ALL, Nothing, Always, "sleep"),
    row("nanosleep", libc::SYS_nanosleep, DAEMONS, Nothing, Always, "sleep in older C libraries"),
    row("restart_syscall", libc::SYS_restart_syscall, ALL, Nothing, Always, "the kernel goes on with a call that SIGSTOP interrupted"),

    // Time and chance.
    row("clock_gettime", libc::SYS_clock_gettime, ALL, Nothing, Always, "where the vDSO has no clock"),
    row("clock_getres", libc::SYS_clock_getres, DAEMONS, Nothing, Always, "where the vDSO has no clock"),
    row("gettimeofday", libc::SYS_gettimeofday, DAEMONS, Nothing, Always, "where the vDSO has no clock"),
    row("getrandom", libc::SYS_getrandom, ALL, Nothing, Always, "identifiers, TLS, hash maps"),

    // Memory. Executable memory is for the signer's module alone, and never writable.
    row("mmap", libc::SYS_mmap, ALL, Nothing, All(&[Arg::Bits(2, EXEC, 0)]), "the allocator, thread stacks"),
    row("mprotect", libc::SYS_mprotect, ALL, Nothing, All(&[Arg::Bits(2, EXEC, 0)]), "the allocator, guard pages, RELRO"),
    row("mmap", libc::SYS_mmap, SIGNER, Map, All(&[Arg::Bits(2, EXEC | WRITABLE, EXEC)]), "the vendor's module and its libraries"),
    row("munmap", libc::SYS_munmap, ALL, Nothing, Always, "the allocator, thread stacks"),
    row("mremap", libc::SYS_mremap, ALL, Nothing, Always, "the allocator"),
    row("brk", libc::SYS_brk, ALL, Nothing, Always, "the allocator"),
    row("madvise", libc::SYS_madvise, ALL, Nothing, Always, "the allocator, thread stacks, WIPEONFORK of aws-lc"),
    row("mlock", libc::SYS_mlock, SIGNER, Nothing, Always, "SoftHSM keeps PINs out of swap"),
    row("munlock", libc::SYS_munlock, SIGNER, Nothing, Always, "SoftHSM, as above"),
    #[cfg(target_arch = "x86_64")]
    row("arch_prctl", libc::SYS_arch_prctl, SIGNER, Map, All(&[Arg::Is(0, 0x3001)]), "the loader asks for shadow stacks (ARCH_CET_STATUS)"),

    // Threads. clone is let through for threads alone; clone3 keeps its flags in memory, where no filter
    // can look, so the C library is told that there is none and takes clone.
    row("clone3", libc::SYS_clone3, ALL, Nothing, Refused(libc::ENOSYS), "the C library falls back to clone"),
    row("clone", libc::SYS_clone, DAEMONS, Nothing, All(&[Arg::Bits(0, ANY_CLONE_FLAG, THREAD)]), "threads, never processes"),
    row("set_robust_list", libc::SYS_set_robust_list, DAEMONS, Nothing, Always, "a thread starts"),
    row("rseq", libc::SYS_rseq, DAEMONS, Nothing, Always, "a thread starts"),
    row("sigaltstack", libc::SYS_sigaltstack, ALL, Nothing, Always, "std's guard against stack overflow, as a thread starts and ends"),
    row("prctl", libc::SYS_prctl, DAEMONS, Nothing, All(&[Arg::Is(0, bits(libc::PR_SET_NAME))]), "a thread is named"),
    row("sched_getaffinity", libc::SYS_sched_getaffinity, DAEMONS, Nothing, Always, "how many threads; std looks at the stack's bounds"),
    row("sched_yield", libc::SYS_sched_yield, DAEMONS, Nothing, Always, "spinning locks give way"),
    row("getpid", libc::SYS_getpid, ALL, Nothing, Always, "logs; abort"),
    row("gettid", libc::SYS_gettid, ALL, Nothing, Always, "abort"),
    row("exit", libc::SYS_exit, ALL, Nothing, Always, "a thread ends"),
    row("exit_group", libc::SYS_exit_group, ALL, Nothing, Always, "the process ends"),

    // Signals, to this process alone.
    row("rt_sigaction", libc::SYS_rt_sigaction, ALL, Nothing, Always, "tokio's signals; abort"),
    row("rt_sigprocmask", libc::SYS_rt_sigprocmask, ALL, Nothing, Always, "thread start; abort"),
    row("rt_sigreturn", libc::SYS_rt_sigreturn, ALL, Nothing, Always, "a signal handler ends"),
    row("tgkill", libc::SYS_tgkill, ALL, Nothing, All(&[Arg::Own(0)]), "abort"),
    row("kill", libc::SYS_kill, DAEMONS, Nothing, All(&[Arg::Own(0)]), "the places where the crash tests kill a process"),

    // Files, for those that were granted some.
    row("openat", libc::SYS_openat, FILES, Read, All(&[Arg::Bits(2, OPEN_TO_READ, 0)]), "auth reads its configuration again; the signer's module reads its own"),
    row("openat", libc::SYS_openat, WRITING, Write, Always, "audit rotates the record; SoftHSM keeps objects in files"),
    row("openat", libc::SYS_openat, KERBEROS, Write, All(&[Arg::Bits(2, OPEN_TO_READ, OPEN_TO_CHANGE)]), "the library opens its replay cache for each ticket"),
    row("fstat", libc::SYS_fstat, FILES, Read, Always, "sizes of files"),
    row("newfstatat", libc::SYS_newfstatat, FILES, Read, Always, "sizes of files"),
    row("statx", libc::SYS_statx, FILES, Read, Always, "std asks for sizes of files so"),
    row("getdents64", libc::SYS_getdents64, FILES, Read, Always, "a directory of TOML files; SoftHSM's tokens"),
    row("lseek", libc::SYS_lseek, FILES, Read, Always, "std reads files; stdio in SoftHSM"),
    row("pread64", libc::SYS_pread64, FILES, Read, Always, "audit reads back; the loader reads headers"),
    row("readlinkat", libc::SYS_readlinkat, FILES, Read, Always, "paths are resolved"),
    #[cfg(target_arch = "x86_64")]
    row("readlink", libc::SYS_readlink, FILES, Read, Always, "paths are resolved"),
    #[cfg(target_arch = "x86_64")]
    row("access", libc::SYS_access, SIGNER, Read, Always, "the loader looks for ld.so.preload; OpenSSL for its configuration"),
    row("faccessat", libc::SYS_faccessat, SIGNER, Read, Always, "as access"),
    row("faccessat2", libc::SYS_faccessat2, SIGNER, Read, Always, "as access"),
    row("getuid", libc::SYS_getuid, SIGNER, Nothing, Always, "OpenSSL asks whether it may trust the environment"),
    row("geteuid", libc::SYS_geteuid, SIGNER, Nothing, Always, "as getuid"),
    row("getgid", libc::SYS_getgid, SIGNER, Nothing, Always, "as getuid"),
    row("getegid", libc::SYS_getegid, SIGNER, Nothing, Always, "as getuid"),
    row("uname", libc::SYS_uname, SIGNER, Nothing, Always, "OpenSSL seeds its generator"),
    row("sysinfo", libc::SYS_sysinfo, SIGNER, Nothing, Always, "qsort in the C library asks for the memory's size"),
    row("umask", libc::SYS_umask, SIGNER, Write, Always, "SoftHSM makes its files private"),
    row("pwrite64", libc::SYS_pwrite64, HOLDING, Held, Always, "the record; SQLite"),
    row("pwritev", libc::SYS_pwritev, WRITING, Write, Always, "the record"),
    row("ftruncate", libc::SYS_ftruncate, HOLDING, Held, Always, "a torn tail of the record is cut; SoftHSM; SQLite cuts its log back"),
    row("fallocate", libc::SYS_fallocate, WRITING, Write, Always, "the record asks for room before it needs it"),
    row("fsync", libc::SYS_fsync, WRITING, Write, Always, "durable"),
    row("fdatasync", libc::SYS_fdatasync, HOLDING, Held, Always, "durable"),
    row("fchown", libc::SYS_fchown, SIGNER, Nothing, Refused(libc::EPERM), "SQLite of a module, in a ceremony that root holds: it goes on without"),
    row("fchmod", libc::SYS_fchmod, WRITING, Write, Always, "files that only their owner reads"),
    row("flock", libc::SYS_flock, WRITING, Write, Always, "one writer"),
    row("fstatfs", libc::SYS_fstatfs, WRITING, Write, Always, "how much room is left"),
    row("statfs", libc::SYS_statfs, WRITING, Write, Always, "how much room is left"),
    row("renameat", libc::SYS_renameat, WRITING, Write, Always, "a file takes its name when it is whole"),
    row("renameat2", libc::SYS_renameat2, WRITING, Write, Always, "as renameat"),
    row("unlinkat", libc::SYS_unlinkat, WRITING, Write, Always, "SoftHSM deletes objects"),
    row("mkdirat", libc::SYS_mkdirat, WRITING, Write, Always, "a directory a token"),
    row("fchmodat", libc::SYS_fchmodat, WRITING, Write, Always, "as fchmod"),
    #[cfg(target_arch = "x86_64")]
    row("rename", libc::SYS_rename, WRITING, Write, Always, "as renameat"),
    #[cfg(target_arch = "x86_64")]
    row("unlink", libc::SYS_unlink, WRITING, Write, Always, "as unlinkat"),
    #[cfg(target_arch = "x86_64")]
    row("mkdir", libc::SYS_mkdir, WRITING, Write, Always, "as mkdirat"),
    #[cfg(target_arch = "x86_64")]
    row("rmdir", libc::SYS_rmdir, SIGNER, Write, Always, "SoftHSM deletes a token"),
    #[cfg(target_arch = "x86_64")]
    row("chmod", libc::SYS_chmod, WRITING, Write, Always, "as fchmod"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_reason_and_somebody_it_is_for() {
        for call in CALLS {
            assert!(call.why.len() > 3 && call.roles.0 != 0, "{}", call.name);
        }
    }

    #[test]
    fn no_row_is_made_useless_by_one_that_lets_everything_through() {
        for (index, call) in CALLS.iter().enumerate() {
            let other = |other: &Call| {
                other.number == call.number && other.need == call.need && other.roles.0 & call.roles.0 != 0
            };
            let always =
                CALLS.iter().enumerate().any(|(at, row)| at != index && other(row) && matches!(row.when, When::Always));
            let denied = matches!(call.when, When::Denied(..));
            assert!(!always || denied, "{}", call.name);
        }
    }
}
