//! Landlock: which files a process can still reach, that it can neither bind nor connect TCP but to the ports it was
//! granted, nor signal or meet others outside. The second layer: where the kernel has none, the system-call filter
//! stands alone.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
};

use super::{Grants, SandboxError};

/// The newest ABI whose every right was tried here; a newer kernel changes nothing until it was.
const NEWEST: u8 = 7;

/// Restricts this thread and those it starts. Gives the ABI that was reached, at most `most`; 0 is none.
pub(super) fn restrict(grants: &Grants, most: u8) -> Result<u8, SandboxError> {
    let wanted = most.min(NEWEST);
    if wanted == 0 {
        return Ok(0);
    }
    let abi = ABI::from(i32::from(wanted));
    let files = AccessFs::from_all(abi);
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(files)?;
    // What an older ABI does not know is an empty set here, which the crate takes for a mistake.
    let network = AccessNet::from_all(abi);
    if !network.is_empty() {
        ruleset = ruleset.handle_access(network)?;
    }
    let scopes = Scope::from_all(abi);
    if !scopes.is_empty() {
        ruleset = ruleset.scope(scopes)?;
    }
    let mut created = ruleset.create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // Device nodes, pipes and sockets are nobody's to make, and no program is started from here.
    let write = AccessFs::from_write(abi)
        & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeFifo | AccessFs::MakeSock | AccessFs::IoctlDev);
    let device = (read | AccessFs::WriteFile | AccessFs::IoctlDev) & AccessFs::from_all(abi);
    let sets: [(&[_], BitFlags<AccessFs>); 4] =
        [(&grants.read, read), (&grants.execute_map, read), (&grants.write, read | write), (&grants.devices, device)];
    for (paths, access) in sets {
        for path in paths {
            created = created.add_rule(beneath(path, access, abi)?)?;
        }
    }
    // An ABI that does not know networks knows no ports either.
    for port in grants.tcp_connect.iter().filter(|_| !network.is_empty()) {
        created = created.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    let status = created.restrict_self()?;
    Ok(match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => wanted.min(number(effective_abi)),
        _ => 0,
    })
}

fn beneath(path: &Path, access: BitFlags<AccessFs>, abi: ABI) -> Result<PathBeneath<PathFd>, SandboxError> {
    let missing = |error: &dyn std::fmt::Display| SandboxError::Path(path.to_owned(), error.to_string());
    let file = PathFd::new(path).map_err(|error| missing(&error))?;
    // A rule on a file may not speak of directories.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
    Ok(PathBeneath::new(file, access))
}

fn number(abi: ABI) -> u8 {
    (1..=NEWEST).rev().find(|n| ABI::from(i32::from(*n)) <= abi).unwrap_or(0)
}

impl From<landlock::RulesetError> for SandboxError {
    fn from(error: landlock::RulesetError) -> Self {
        Self::Landlock(error.to_string())
    }
}
