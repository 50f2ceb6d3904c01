//! `audit.d/audit.toml`: where the record lies and when a new file of it is begun.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::load::{self, ConfigError};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    directory: PathBuf,
    #[serde(default = "rotate_mib")]
    rotate_mib: toml::Spanned<u32>,
}

fn rotate_mib() -> toml::Spanned<u32> {
    toml::Spanned::new(0..0, 64)
}

/// What audit needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The directory of the record, absolute or relative to the working directory like the root itself.
    pub directory: PathBuf,
    /// A new file is begun when one has this many octets.
    pub rotate_octets: u64,
}

impl Audit {
    /// Reads `audit.d/audit.toml` below a configuration root.
    ///
    /// # Errors
    /// [`ConfigError`] when it cannot be read, holds an unknown key, or `rotate_mib` is not 1 to 4096.
    pub fn load(root: &Path) -> Result<Self, ConfigError> {
        let path = root.join("audit.d/audit.toml");
        let loaded = load::file::<File>(&path)?;
        let mib = &loaded.value.rotate_mib;
        if !(1..=4096).contains(mib.get_ref()) {
            return Err(loaded.error(mib.span(), "rotate_mib is 1 to 4096"));
        }
        let beside = path.parent().unwrap_or(root);
        Ok(Self {
            directory: beside.join(&loaded.value.directory),
            rotate_octets: u64::from(*mib.get_ref()) * 1024 * 1024,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Audit, String> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("audit.d")).unwrap();
        std::fs::write(root.path().join("audit.d/audit.toml"), text).unwrap();
        Audit::load(root.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_relative_directory_lies_beside_the_file_and_an_absolute_one_where_it_says() {
        let audit = load("directory = \"../record\"").unwrap();
        assert!(audit.directory.ends_with("audit.d/../record"));
        assert_eq!(audit.rotate_octets, 64 * 1024 * 1024);
        assert_eq!(load("directory = \"/var/x\"\nrotate_mib = 1").unwrap().directory, Path::new("/var/x"));
    }

    #[test]
    fn unknown_keys_and_impossible_sizes_name_their_line() {
        assert!(load("directory = \"/x\"\nrotate = 3").unwrap_err().contains("audit.toml:2:"));
        assert!(load("directory = \"/x\"\nrotate_mib = 0").unwrap_err().contains("audit.toml:2:14: rotate_mib is 1"));
        assert!(load("rotate_mib = 1").unwrap_err().contains("directory"));
    }
}
