//! What a hijacked process would try, for `chancery check-sandbox`: system calls made on purpose that a
//! locked-down process must not get through. Their arguments do no harm where they do get through.

use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use libc::{c_int, c_long};
use nix::errno::Errno;

/// Calls that need no pointer but null: name, number, arguments. None has a row for any role.
#[rustfmt::skip]
pub const BARE: &[(&str, c_long, [c_long; 6])] = &[
    ("ptrace-traceme", libc::SYS_ptrace, [0; 6]),
    ("unshare-newuser", libc::SYS_unshare, [libc::CLONE_NEWUSER as c_long, 0, 0, 0, 0, 0]),
    ("unshare-files", libc::SYS_unshare, [libc::CLONE_FILES as c_long, 0, 0, 0, 0, 0]),
    ("setns", libc::SYS_setns, [-1, 0, 0, 0, 0, 0]),
    ("io-uring-setup", libc::SYS_io_uring_setup, [1, 0, 0, 0, 0, 0]),
    ("process-vm-readv", libc::SYS_process_vm_readv, [1, 0, 0, 0, 0, 0]),
    ("process-vm-writev", libc::SYS_process_vm_writev, [1, 0, 0, 0, 0, 0]),
    ("process-madvise", libc::SYS_process_madvise, [-1, 0, 0, 0, 0, 0]),
    ("pidfd-open", libc::SYS_pidfd_open, [1, 0, 0, 0, 0, 0]),
    ("pidfd-getfd", libc::SYS_pidfd_getfd, [-1, 0, 0, 0, 0, 0]),
    ("pidfd-send-signal", libc::SYS_pidfd_send_signal, [-1, 0, 0, 0, 0, 0]),
    ("kcmp", libc::SYS_kcmp, [1, 1, 0, 0, 0, 0]),
    ("setuid", libc::SYS_setuid, [65534, 0, 0, 0, 0, 0]),
    ("setgid", libc::SYS_setgid, [65534, 0, 0, 0, 0, 0]),
    ("setgroups", libc::SYS_setgroups, [0; 6]),
    ("capset", libc::SYS_capset, [0; 6]),
    ("prlimit", libc::SYS_prlimit64, [0; 6]),
    ("dumpable-again", libc::SYS_prctl, [libc::PR_SET_DUMPABLE as c_long, 1, 0, 0, 0, 0]),
    ("personality", libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0, 0]),
    ("mount", libc::SYS_mount, [0; 6]),
    ("umount", libc::SYS_umount2, [0; 6]),
    ("move-mount", libc::SYS_move_mount, [-1, 0, -1, 0, 0, 0]),
    ("open-tree", libc::SYS_open_tree, [-1, 0, 0, 0, 0, 0]),
    ("pivot-root", libc::SYS_pivot_root, [0; 6]),
    ("chroot", libc::SYS_chroot, [0; 6]),
    ("chdir", libc::SYS_chdir, [0; 6]),
    ("bpf", libc::SYS_bpf, [0; 6]),
    ("keyctl", libc::SYS_keyctl, [0, -3, 0, 0, 0, 0]),
    ("add-key", libc::SYS_add_key, [0; 6]),
    ("userfaultfd", libc::SYS_userfaultfd, [1, 0, 0, 0, 0, 0]),
    ("perf-event-open", libc::SYS_perf_event_open, [0; 6]),
    ("open-by-handle-at", libc::SYS_open_by_handle_at, [-1, 0, 0, 0, 0, 0]),
    ("name-to-handle-at", libc::SYS_name_to_handle_at, [-1, 0, 0, 0, 0, 0]),
    ("memfd-secret", libc::SYS_memfd_secret, [0; 6]),
    ("init-module", libc::SYS_init_module, [0; 6]),
    ("finit-module", libc::SYS_finit_module, [-1, 0, 0, 0, 0, 0]),
    ("kexec-load", libc::SYS_kexec_load, [0, 0x10_0000, 0, 0, 0, 0]),
    ("reboot", libc::SYS_reboot, [0; 6]),
    ("swapon", libc::SYS_swapon, [0; 6]),
    ("acct", libc::SYS_acct, [1, 0, 0, 0, 0, 0]),
    ("quotactl", libc::SYS_quotactl, [-1, 0, 0, 0, 0, 0]),
    ("syslog", libc::SYS_syslog, [10, 0, 0, 0, 0, 0]),
    ("clock-settime", libc::SYS_clock_settime, [0; 6]),
    ("settimeofday", libc::SYS_settimeofday, [0; 6]),
    ("adjtimex", libc::SYS_adjtimex, [0; 6]),
    ("sethostname", libc::SYS_sethostname, [0, -1, 0, 0, 0, 0]),
    ("seccomp", libc::SYS_seccomp, [2, 0, 0, 0, 0, 0]),
    ("fanotify-init", libc::SYS_fanotify_init, [-1, -1, 0, 0, 0, 0]),
    ("inotify-init", libc::SYS_inotify_init1, [0; 6]),
    ("shmget", libc::SYS_shmget, [0, 4096, 0o600, 0, 0, 0]),
    ("mq-open", libc::SYS_mq_open, [0; 6]),
    ("symlink", libc::SYS_symlinkat, [0, -1, 0, 0, 0, 0]),
    ("link", libc::SYS_linkat, [-1, 0, -1, 0, 0, 0]),
    ("mknod", libc::SYS_mknodat, [-1, 0, 0, 0, 0, 0]),
    ("chown", libc::SYS_fchownat, [-1, 0, 0, 0, 0, 0]),
    ("xattr", libc::SYS_setxattr, [0; 6]),
    ("vmsplice", libc::SYS_vmsplice, [-1, 0, 0, 0, 0, 0]),
    ("splice", libc::SYS_splice, [-1, 0, -1, 0, 0, 0]),
    ("tiocsti", libc::SYS_ioctl, [0, libc::TIOCSTI as c_long, 0, 0, 0, 0]),
    ("signal-group", libc::SYS_kill, [0; 6]),
    ("sendmmsg", libc::SYS_sendmmsg, [-1, 0, 0, 0, 0, 0]),
    #[cfg(target_arch = "x86_64")]
    ("modify-ldt", libc::SYS_modify_ldt, [0; 6]),
    #[cfg(target_arch = "x86_64")]
    ("iopl", libc::SYS_iopl, [0; 6]),
    // getpid, but through the x32 table.
    #[cfg(target_arch = "x86_64")]
    ("x32-call", 0x4000_0000 + libc::SYS_getpid, [0; 6]),
];

/// Makes one of [`BARE`].
///
/// # Errors
/// What the kernel answers, where it does not kill.
pub fn bare(number: c_long, arguments: [c_long; 6]) -> Result<(), Errno> {
    call(number, arguments).map(drop)
}

/// Private to this file: callers pass numbers, null, or pointers into memory that outlives the call.
fn call(number: c_long, arguments: [c_long; 6]) -> Result<c_long, Errno> {
    let [a, b, c, d, e, f] = arguments;
    #[expect(unsafe_code, reason = "calls that a library would not make")]
    // SAFETY: see above; none of the calls writes but into memory handed to it here.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    Errno::result(result)
}

/// A socket of any kind.
///
/// # Errors
/// As [`bare`].
pub fn socket(domain: c_int, kind: c_int, protocol: c_int) -> Result<(), Errno> {
    bare(libc::SYS_socket, [domain.into(), kind.into(), protocol.into(), 0, 0, 0])
}

/// An anonymous page with these rights.
///
/// # Errors
/// As [`bare`].
pub fn map(rights: c_int) -> Result<c_long, Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    call(libc::SYS_mmap, [0, 4096, rights.into(), flags.into(), -1, 0])
}

/// A page that was written and is then to be run.
///
/// # Errors
/// As [`bare`].
pub fn write_then_run() -> Result<(), Errno> {
    let page = map(libc::PROT_READ | libc::PROT_WRITE)?;
    let rights = libc::PROT_READ | libc::PROT_EXEC;
    bare(libc::SYS_mprotect, [page, 4096, rights.into(), 0, 0, 0])
}

/// A file's first page, to be run: what loading a shared object comes to.
///
/// # Errors
/// As [`bare`].
pub fn map_to_run(file: BorrowedFd<'_>) -> Result<(), Errno> {
    let rights = libc::PROT_READ | libc::PROT_EXEC;
    let file = file.as_raw_fd();
    bare(libc::SYS_mmap, [0, 4096, rights.into(), libc::MAP_PRIVATE.into(), file.into(), 0])
}

/// A process instead of a thread.
///
/// # Errors
/// As [`bare`].
pub fn fork() -> Result<(), Errno> {
    if call(libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0, 0, 0, 0])? == 0 {
        #[expect(unsafe_code, reason = "the child of a bare clone must run nothing else")]
        // SAFETY: ends the child at once.
        unsafe {
            libc::_exit(0);
        }
    }
    Ok(())
}

/// clone3 with nothing in its argument.
///
/// # Errors
/// As [`bare`]; `ENOSYS` is what the C library waits for.
pub fn clone3() -> Result<(), Errno> {
    bare(libc::SYS_clone3, [0; 6])
}

/// A file in memory, to be run.
///
/// # Errors
/// As [`bare`].
pub fn memory_file() -> Result<(), Errno> {
    let name = c"probe";
    bare(libc::SYS_memfd_create, [name.as_ptr() as c_long, 0, 0, 0, 0, 0])
}

/// Signal 0 to another process.
///
/// # Errors
/// As [`bare`].
pub fn signal(process: i32) -> Result<(), Errno> {
    bare(libc::SYS_kill, [process.into(), 0, 0, 0, 0, 0])
}

/// Signal 0 to a thread of another process.
///
/// # Errors
/// As [`bare`].
pub fn signal_thread(process: i32) -> Result<(), Errno> {
    bare(libc::SYS_tgkill, [process.into(), process.into(), 0, 0, 0, 0])
}

/// Takes a connection apart with AF_UNSPEC and connects it elsewhere.
///
/// # Errors
/// As [`bare`].
pub fn connect_again(socket: BorrowedFd<'_>, elsewhere: SocketAddrV4) -> Result<(), Errno> {
    let fd = socket.as_raw_fd().into();
    let unspecified = [0_u8; 16];
    bare(libc::SYS_connect, [fd, unspecified.as_ptr() as c_long, 16, 0, 0, 0])?;
    connect(socket, elsewhere)
}

/// Connects a TCP socket.
///
/// # Errors
/// As [`bare`].
pub fn connect(socket: BorrowedFd<'_>, address: SocketAddrV4) -> Result<(), Errno> {
    let address = inet(address);
    let fd = socket.as_raw_fd().into();
    bare(libc::SYS_connect, [fd, address.as_ptr() as c_long, 16, 0, 0, 0])
}

/// Sets an option of a socket to a number.
///
/// # Errors
/// As [`bare`].
pub fn option(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> Result<(), Errno> {
    let fd = socket.as_raw_fd().into();
    bare(libc::SYS_setsockopt, [fd, level.into(), name.into(), (&raw const value) as c_long, 4, 0])
}

/// Asks the kernel's generator how much it has, by a command to its device.
///
/// # Errors
/// As [`bare`].
pub fn device_command(device: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut count: c_int = 0;
    // RNDGETENTCNT of linux/random.h.
    bare(libc::SYS_ioctl, [device.as_raw_fd().into(), 0x8004_5200, (&raw mut count) as c_long, 0, 0, 0])
}

/// Types a character into the terminal that standard input may be.
///
/// # Errors
/// As [`bare`].
pub fn type_in() -> Result<(), Errno> {
    let character = [b'x'];
    bare(libc::SYS_ioctl, [0, libc::TIOCSTI as c_long, character.as_ptr() as c_long, 0, 0, 0])
}

/// Binds a TCP socket to any port.
///
/// # Errors
/// As [`bare`].
pub fn bind(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let address = inet(SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0));
    let fd = socket.as_raw_fd().into();
    bare(libc::SYS_bind, [fd, address.as_ptr() as c_long, 16, 0, 0, 0])
}

/// Makes a listener an ordinary socket again, and sends with MSG_FASTOPEN, which connects it.
///
/// # Errors
/// As [`bare`].
pub fn unlisten_and_dial(listener: BorrowedFd<'_>, elsewhere: SocketAddrV4) -> Result<(), Errno> {
    unlisten(listener)?;
    fast_open(listener, elsewhere)
}

/// Makes a listener an ordinary socket again.
///
/// # Errors
/// As [`bare`].
pub fn unlisten(listener: BorrowedFd<'_>) -> Result<(), Errno> {
    bare(libc::SYS_shutdown, [listener.as_raw_fd().into(), libc::SHUT_RD.into(), 0, 0, 0, 0])
}

/// Connects by sending.
///
/// # Errors
/// As [`bare`].
pub fn fast_open(socket: BorrowedFd<'_>, address: SocketAddrV4) -> Result<(), Errno> {
    let fd = socket.as_raw_fd().into();
    let address = inet(address);
    let octet = [0_u8];
    let flags = libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL;
    bare(libc::SYS_sendto, [fd, octet.as_ptr() as c_long, 1, flags.into(), address.as_ptr() as c_long, 16])
}

/// Sends to an address instead of to the peer.
///
/// # Errors
/// As [`bare`].
pub fn send_elsewhere(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let fd = socket.as_raw_fd().into();
    let mut address = [0_u8; 8];
    let [low, high] = u16::try_from(libc::AF_UNIX).unwrap_or_default().to_ne_bytes();
    address[..4].copy_from_slice(&[low, high, 0, b'x']);
    bare(libc::SYS_sendto, [fd, address.as_ptr() as c_long, 0, 0, address.as_ptr() as c_long, 4])
}

/// Hands a descriptor to whoever is at the other end.
///
/// # Errors
/// As [`bare`].
pub fn send_descriptor(socket: BorrowedFd<'_>, given: &OwnedFd) -> Result<(), Errno> {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    let fds = [given.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    let octets = [std::io::IoSlice::new(&[0])];
    sendmsg::<()>(socket.as_raw_fd(), &octets, &rights, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// A call by the 32-bit entry, whose numbers mean other calls.
///
/// # Errors
/// As [`bare`]; the process is killed by SIGSEGV where the kernel has no such entry.
#[cfg(target_arch = "x86_64")]
pub fn compat_call() -> Result<(), Errno> {
    let result: i64;
    #[expect(unsafe_code, reason = "the only way to the 32-bit entry")]
    // SAFETY: number 20 is getpid there, which takes nothing and changes eax alone.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => result, options(nostack));
    }
    if result < 0 { Err(Errno::ENOSYS) } else { Ok(()) }
}

/// sockaddr_in as octets.
fn inet(address: SocketAddrV4) -> [u8; 16] {
    let mut octets = [0; 16];
    octets[..2].copy_from_slice(&u16::try_from(libc::AF_INET).unwrap_or_default().to_ne_bytes());
    octets[2..4].copy_from_slice(&address.port().to_be_bytes());
    octets[4..8].copy_from_slice(&address.ip().octets());
    octets
}
