//! Does the state directory outlive whoever supervises the signers? A mark that is gone after the next start has
//! stopped nobody: a container that is made anew with a wrong PIN tries it again each time. It is judged by the file
//! system, so what a volume hides is not seen.

use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statfs::{FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, statfs};

use super::Signer;
use crate::config::load::{self, ConfigError};

/// Not in nix: `linux/magic.h`, and aufs, of which older containers have their layers.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);
const AUFS_MAGIC: FsType = FsType(0x6175_6673);

impl Signer {
    /// What is wrong with the place of the marks, unless the file accepts it. One that cannot be looked at is not
    /// judged: no PIN is tried without marks.
    #[must_use]
    pub fn volatile_state(&self) -> Option<ConfigError> {
        if self.accept_volatile_state_directory {
            return None;
        }
        let kind = volatile(file_system(&self.state_directory).ok()?)?;
        let why = format!(
            "state_directory is on {kind}, which a container, or a machine, may lose when it starts anew, and with it the \
             mark that keeps a refused PIN from being tried again: put it on a disk or a volume, or say \
             accept_volatile_state_directory = true where it is known to stay, or the token may be locked"
        );
        Some(match std::fs::read_to_string(&self.path) {
            Ok(text) => ConfigError::at(&self.path, &text, load::place(&text, &["state_directory"]), why),
            Err(_) => ConfigError::file(&self.path, why),
        })
    }
}

/// The file system a directory is on, or will be where it is not there yet.
fn file_system(directory: &Path) -> io::Result<FsType> {
    for place in directory.ancestors() {
        match statfs(place) {
            Ok(found) => return Ok(found.filesystem_type()),
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::ENOENT.into())
}

/// Its name, where it is one that keeps nothing, or that containers have their own layers on.
fn volatile(kind: FsType) -> Option<&'static str> {
    let kinds =
        [(TMPFS_MAGIC, "tmpfs"), (RAMFS_MAGIC, "ramfs"), (OVERLAYFS_SUPER_MAGIC, "overlayfs"), (AUFS_MAGIC, "aufs")];
    kinds.into_iter().find(|(volatile, _)| *volatile == kind).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use nix::sys::statfs::{
        BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FUSE_SUPER_MAGIC, NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, XFS_SUPER_MAGIC,
    };

    use super::*;

    #[test]
    fn what_keeps_nothing_is_told_from_what_a_volume_is_on() {
        // As `stat -f -c %t` prints them.
        for (number, name) in
            [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs"), (0x794c_7630, "overlayfs"), (0x6175_6673, "aufs")]
        {
            assert_eq!(volatile(FsType(number)), Some(name));
        }
        // 9p and ZFS are not in nix; virtiofs is FUSE.
        for kind in
            [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, FUSE_SUPER_MAGIC]
                .into_iter()
                .chain([FsType(0x0102_1997), FsType(0x2fc1_2fc1)])
        {
            assert_eq!(volatile(kind), None, "{kind:?}");
        }
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_where_it_will_be() {
        let Ok(directory) = tempfile::tempdir_in("/dev/shm") else {
            println!("SKIPPED volatile-state: no /dev/shm");
            return;
        };
        let missing = directory.path().join("signer.d/../not/yet");
        std::fs::create_dir(directory.path().join("signer.d")).unwrap();
        assert_eq!(volatile(file_system(&missing).unwrap()), Some("tmpfs"));
        assert_eq!(file_system(Path::new("/proc/self/not/yet")).unwrap(), file_system(Path::new("/proc")).unwrap());
    }
}
