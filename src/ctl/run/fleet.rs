//! Which processes make up a service, in which order they start and stop, and what each finds in its
//! environment. Only signers get the PIN and the vendor module's variables.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One process of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// `auth`, `signer`, …: the binary is `chancery-ROLE`.
    pub(super) role: &'static str,
    /// 1.. among those of its role.
    pub(super) ordinal: u32,
    /// Is it one of several?
    many: bool,
}

impl Member {
    /// `issuer`, `worker@1`.
    pub(super) fn name(&self) -> String {
        if self.many { format!("{}@{}", self.role, self.ordinal) } else { self.role.to_owned() }
    }

    /// May it start, given which members are ready? `signer@2` and later follow `signer@1`, so that a PIN
    /// the token refuses is shown to it once and not by every signer.
    pub(super) fn may_start(&self, ready: &dyn Fn(&str) -> bool) -> bool {
        match self.role {
            "issuer" => ready("audit"),
            "signer" => self.ordinal == 1 || ready("signer@1"),
            "auth" => ready("audit") && ready("issuer"),
            "worker" => ready("auth") && ready("issuer") && ready("signer@1"),
            _ => true,
        }
    }

    /// When it stops: all of one stage before the next. Workers finish what they have while the others
    /// still serve them; signers go when nobody can ask them anything any more.
    pub(super) fn stage(&self) -> usize {
        match self.role {
            "worker" => 0,
            "auth" => 1,
            "issuer" | "kerberos" => 2,
            "audit" | "exporter" => 3,
            _ => 4,
        }
    }

    /// How many stages there are.
    pub(super) const STAGES: usize = 5;
}

/// Which processes there are how many of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strength {
    pub(super) workers: u32,
    pub(super) signers: u32,
    /// Is there a `kerberos.d/kerberos.toml`?
    pub(super) kerberos: bool,
}

/// All members of a service.
pub(super) fn members(Strength { workers, signers, kerberos }: Strength) -> Vec<Member> {
    let one = |role| Member { role, ordinal: 1, many: false };
    let some = |role, count| (1..=count).map(move |ordinal| Member { role, ordinal, many: true });
    let mut all = vec![one("exporter"), one("audit"), one("issuer")];
    all.extend(some("signer", signers));
    all.extend(kerberos.then(|| one("kerberos")));
    all.push(one("auth"));
    all.extend(some("worker", workers));
    all
}

/// What the processes are started with.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// Where the `chancery-ROLE` programs are.
    pub(super) programs: PathBuf,
    /// Root of the configuration.
    pub(super) config: PathBuf,
    /// The runtime directory with the sockets.
    pub(super) runtime: PathBuf,
    /// Directory with the file `pin`.
    pub(super) credentials: Option<PathBuf>,
    /// What the vendor's module wants in its environment (`SOFTHSM2_CONF=…`).
    pub(super) vendor: Vec<(OsString, OsString)>,
}

impl Surroundings {
    /// The command that starts `member`, with a clean environment.
    pub(super) fn command(&self, member: &Member, notify: &Path) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(self.programs.join(format!("chancery-{}", member.role)));
        command.arg(&self.config).env_clear().envs(own(member.role));
        command
            .env("CHANCERY_RUN", &self.runtime)
            .env("CHANCERY_ORDINAL", member.ordinal.to_string())
            .env("NOTIFY_SOCKET", notify)
            .stdin(std::process::Stdio::null());
        if member.role == "signer" {
            command.envs(self.vendor.iter().cloned());
            if let Some(credentials) = &self.credentials {
                command.env("CREDENTIALS_DIRECTORY", credentials);
            }
        }
        // A group of its own: Ctrl-C at the terminal must reach the supervisor alone, which then stops
        // the processes in order.
        command.process_group(0);
        command
    }
}

/// The variables of our own that pass from our environment to a child's: `CHANCERY_*`, and
/// `CHANCERY_FAILPOINT_ROLE`, which sets the failpoint of that role only.
fn own(role: &str) -> Vec<(String, String)> {
    let mut passed = Vec::new();
    let here = format!("CHANCERY_FAILPOINT_{}", role.to_uppercase());
    for (name, value) in std::env::vars() {
        if name == here {
            passed.push(("CHANCERY_FAILPOINT".to_owned(), value));
        } else if name.starts_with("CHANCERY_") && !name.starts_with("CHANCERY_FAILPOINT") {
            passed.push((name, value));
        }
    }
    passed
}

/// Where the programs of the processes are: beside this one, else where the packages put them.
pub(super) fn programs() -> std::io::Result<PathBuf> {
    let me = std::env::current_exe()?;
    let packaged = Path::new("/usr/libexec/chancery");
    let places = me.parent().into_iter().chain([packaged]);
    let mut missing = None;
    for place in places {
        match ["audit", "issuer", "signer", "auth", "worker", "exporter"]
            .iter()
            .map(|role| place.join(format!("chancery-{role}")))
            .find(|program| !program.is_file())
        {
            None => return Ok(place.to_owned()),
            Some(program) => missing = missing.or(Some(program)),
        }
    }
    let missing = missing.unwrap_or_else(|| packaged.to_owned());
    Err(std::io::Error::new(
        std::io::ErrorKind::NotFound,
        format!("{} is missing, and {} does not have all programs either", missing.display(), packaged.display()),
    ))
}

/// Is the program of a process there that not every service has? Those that all have are looked for by [`programs`].
pub(super) fn present(programs: &Path, role: &str) -> std::io::Result<()> {
    let program = programs.join(format!("chancery-{role}"));
    if program.is_file() {
        return Ok(());
    }
    let why = format!("{} is missing, and the configuration has {role}.d/{role}.toml", program.display());
    Err(std::io::Error::new(std::io::ErrorKind::NotFound, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_signer_waits_for_the_first() {
        let strength = |kerberos| Strength { workers: 2, signers: 2, kerberos };
        let all = members(strength(false));
        let names: Vec<String> = all.iter().map(Member::name).collect();
        assert_eq!(names, ["exporter", "audit", "issuer", "signer@1", "signer@2", "auth", "worker@1", "worker@2"]);
        assert_eq!(members(strength(true)).iter().filter(|member| member.name() == "kerberos").count(), 1);
        let second = &all[4];
        assert!(!second.may_start(&|_| false));
        assert!(second.may_start(&|name| name == "signer@1"));
    }

    #[test]
    fn only_a_signer_learns_where_the_pin_is() {
        let around = Surroundings {
            programs: "/p".into(),
            config: "/c".into(),
            runtime: "/r".into(),
            credentials: Some("/secret".into()),
            vendor: vec![("SOFTHSM2_CONF".into(), "/soft".into())],
        };
        for member in members(Strength { workers: 1, signers: 1, kerberos: true }) {
            let command = around.command(&member, Path::new("/n"));
            let knows = |wanted: &str| command.get_envs().any(|(name, value)| name == wanted && value.is_some());
            assert_eq!(knows("CREDENTIALS_DIRECTORY"), member.role == "signer");
            assert_eq!(knows("SOFTHSM2_CONF"), member.role == "signer");
            assert!(knows("CHANCERY_RUN") && !knows("HOME") && !knows("PATH"));
        }
    }

    #[test]
    fn a_program_that_the_configuration_asks_for_is_looked_for_before_anything_starts() {
        let directory = tempfile::tempdir().unwrap();
        let refused = present(directory.path(), "kerberos").unwrap_err().to_string();
        assert!(refused.contains("chancery-kerberos is missing") && refused.contains("kerberos.d/kerberos.toml"));
        std::fs::create_dir(directory.path().join("chancery-kerberos")).unwrap();
        assert!(present(directory.path(), "kerberos").is_err(), "a directory is no program");
        std::fs::remove_dir(directory.path().join("chancery-kerberos")).unwrap();
        std::fs::write(directory.path().join("chancery-kerberos"), "").unwrap();
        present(directory.path(), "kerberos").unwrap();
    }
}
