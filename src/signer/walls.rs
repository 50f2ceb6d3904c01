//! What a signer keeps when it locks itself down: the files of its module, and the way to its HSM that profile and
//! configuration grant. A ceremony keeps the same, so that a module which needs more fails before there are keys.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::pkcs11::Fault;
use crate::config::signer::Signer;
use crate::sandbox::{self, Grants, Report, Role, SandboxError};

/// Where the system keeps shared objects.
const SHARED_OBJECTS: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
/// What the C library and OpenSSL read wherever they run.
const READ: [&str; 4] = ["/etc/ld.so.cache", "/etc/ssl", "/etc/localtime", "/usr/share/zoneinfo"];

/// Keeps what the module needs, by profile and configuration, and the directory of the marks where there is one.
pub(crate) fn lock_down(config: &Signer) -> Result<Report, SandboxError> {
    let grants = grants(config);
    let devices = grants.devices.iter().filter_map(|path| Some((path.clone(), node(path)?))).collect();
    let _once = GRANTED.set(devices);
    sandbox::lock_down(Role::Signer, &grants)
}

/// What was granted of a device is the node that was there then: file system, number there, and driver's number.
type Node = (u64, u64, u64);
static GRANTED: OnceLock<Vec<(PathBuf, Node)>> = OnceLock::new();

fn node(path: &Path) -> Option<Node> {
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino(), found.rdev()))
}

/// Has a driver made a device anew since? Then only a new process reaches it.
pub(crate) fn device_is_another() -> bool {
    let mut granted = GRANTED.get().into_iter().flatten();
    granted.any(|(path, was)| node(path).is_some_and(|is| is != *was))
}

fn grants(config: &Signer) -> Grants {
    let profile = &config.profile.sandbox;
    // A profile names every place a vendor's package may use; not all are there.
    let existing = |usual: &[PathBuf], own: &[PathBuf]| -> Vec<PathBuf> {
        usual.iter().filter(|path| path.exists()).chain(own).cloned().collect()
    };
    let mut grants = Grants {
        read: existing(&profile.read, &config.read),
        write: existing(&profile.write, &config.write),
        tcp_connect: config.tcp_connect.clone(),
        unix_connect: config.unix_connect.clone(),
        devices: existing(&profile.devices, &config.devices),
        ..Grants::default()
    };
    // A token is made before any signer has run.
    grants.write.extend(existing(std::slice::from_ref(&config.state_directory), &[]));
    // Modules load what they need at their first use (OpenSSL its providers) and look where the loader does.
    grants.execute_map = existing(&SHARED_OBJECTS.map(PathBuf::from), &[]);
    grants.execute_map.extend(config.module.parent().map(Path::to_owned));
    grants.read.extend(existing(&READ.map(PathBuf::from), &[]));
    if !grants.tcp_connect.is_empty() {
        grants.read.extend(existing(&sandbox::NAMES.map(PathBuf::from), &[]));
    }
    grants
}

/// Why an HSM may be out of reach, for one that was never reached: the module sees EACCES and says what it likes, so
/// the operator is told what this process may do beyond files, and which keys of `signer.toml` say more.
pub(crate) struct Way(String);

impl Way {
    /// The way that this configuration grants.
    pub(crate) fn of(config: &Signer) -> Self {
        let grants = grants(config);
        let ports = grants.tcp_connect.iter().map(|port| format!("tcp_connect {port}"));
        let sockets = grants.unix_connect.iter().map(|path| format!("unix_connect {}", path.display()));
        let devices = grants.devices.iter().map(|path| format!("devices {}", path.display()));
        let granted: Vec<String> = ports.chain(sockets).chain(devices).collect();
        let granted = if granted.is_empty() { "nothing".to_owned() } else { granted.join(", ") };
        Self(format!(
            "beyond files the module is granted {granted}; if it reaches its HSM in another way, signer.toml or the \
             profile must say so: tcp_connect for a port, unix_connect for a daemon's socket, devices for a device"
        ))
    }

    /// The fault, and what may be behind it.
    pub(crate) fn explain(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Call { .. } | Fault::Module(_) | Fault::Absent(_) => Fault::Absent(format!("{fault}; {}", self.0)),
            fault => fault,
        }
    }
}
