//! `chancery check-sandbox`: proves what a locked-down process of each role is refused, by trying it there,
//! with the kernel's Landlock and pretending older ones. Each attempt is a process of its own: this program
//! again, which sets the scene, locks itself down, tries, and as a rule is killed.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::sandbox::Role;
use crate::sandbox::probe::{self, Outcome, Verdict};

/// The Landlock ABIs it pretends where none is asked for, besides the kernel's own: Debian 12's, and none.
const PRETENDED: [u8; 2] = [2, 0];

/// Arguments of `chancery check-sandbox`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Landlock ABI to pretend at most; may repeat. Without it: the kernel's own, 2 and 0
    #[arg(long, value_name = "N")]
    abi: Vec<u8>,
    /// Only this role; may repeat
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Vec<Role>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Inside one attempt: its name
    #[arg(long, hide = true, requires = "scene")]
    probe: Option<String>,
    /// Inside one attempt: where the scene is
    #[arg(long, hide = true)]
    scene: Option<PathBuf>,
}

fn role(name: &str) -> Result<Role, String> {
    Role::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| "no such role".to_owned())
}

/// One attempt and what came of it.
#[derive(Debug)]
pub struct Finding {
    /// The attempt.
    pub probe: &'static str,
    /// Inside which role; `None` without any lock-down.
    pub role: Option<Role>,
    /// Landlock ABI in force.
    pub landlock: u8,
    /// What must come of it.
    pub expected: Option<Verdict>,
    /// What came of it.
    pub outcome: Outcome,
}

impl Finding {
    /// Did what had to come of it?
    #[must_use]
    pub fn good(&self) -> bool {
        self.expected.is_none_or(|expected| self.outcome.meets(expected, self.landlock))
    }

    fn word(&self) -> String {
        let word = match (self.outcome, self.expected) {
            (Outcome::Through, Some(Verdict::Landlock(_, why))) => format!("left open: {why}"),
            (Outcome::Through, _) => "works".to_owned(),
            (Outcome::Killed, _) => "killed".to_owned(),
            (Outcome::Failed(errno), _) => format!("{errno:?}"),
            (Outcome::Broken(why), _) => format!("BROKEN: {why}"),
        };
        if self.good() { word } else { format!("WRONG: {word}") }
    }
}

/// Runs the command. Fails when one attempt did not end as the table says.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    if let (Some(probe), Some(scene)) = (&args.probe, &args.scene) {
        return probe::run(probe, args.role.first().copied(), scene);
    }
    let roles = if args.role.is_empty() { Role::ALL.to_vec() } else { args.role.clone() };
    let abis = if args.abi.is_empty() {
        std::iter::once(None).chain(PRETENDED.map(Some)).collect()
    } else {
        args.abi.iter().copied().map(Some).collect::<Vec<_>>()
    };
    let mut wrong = 0;
    for role in roles {
        let mut rows: BTreeMap<usize, Vec<Finding>> = BTreeMap::new();
        for abi in &abis {
            let findings = match attempt_all(Some(role), *abi) {
                Ok(findings) => findings,
                Err(error) => {
                    eprintln!("chancery check-sandbox: {error}");
                    return ExitCode::FAILURE;
                }
            };
            for (row, finding) in findings.into_iter().enumerate() {
                rows.entry(row).or_default().push(finding);
            }
        }
        wrong += rows.values().flatten().filter(|finding| !finding.good()).count();
        if args.json {
            rows.values().flatten().for_each(print_json);
        } else {
            print_table(role, &rows);
        }
    }
    if wrong == 0 {
        return ExitCode::SUCCESS;
    }
    eprintln!("chancery check-sandbox: {wrong} attempts did not end as they must");
    ExitCode::FAILURE
}

/// Makes every attempt there is for `role` (`None`: each, without lock-down), Landlock at most `abi`.
///
/// # Errors
/// When the scene cannot be set or this program cannot be started again.
pub fn attempt_all(role: Option<Role>, abi: Option<u8>) -> io::Result<Vec<Finding>> {
    let scene = Directory::new()?;
    let mut findings = Vec::new();
    for name in probe::names() {
        let expected = role.and_then(|role| probe::expected(name, role));
        if role.is_some() && expected.is_none() {
            continue;
        }
        let mut command = Command::new("/proc/self/exe");
        command.args(["check-sandbox", "--probe", name, "--scene"]).arg(&scene.0);
        if let Some(role) = role {
            command.args(["--role", role.name()]);
        }
        command.env_remove("LISTEN_FDS").env_remove("CHANCERY_SANDBOX");
        if let Some(abi) = abi {
            command.env("CHANCERY_SANDBOX_ABI", abi.to_string());
        }
        let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
        let outcome = Outcome::of(output.status.code(), output.status.signal());
        let landlock = landlock_of(&output.stderr);
        if let (Outcome::Broken(why), Some(_)) = (outcome, role) {
            let said = String::from_utf8_lossy(&output.stderr);
            eprintln!("{name}: {why} ({:?}): {}", output.status, said.trim_end());
        }
        findings.push(Finding { probe: name, role, landlock, expected, outcome });
    }
    Ok(findings)
}

/// The ABI that the attempt's own report names.
fn landlock_of(report: &[u8]) -> u8 {
    let report = String::from_utf8_lossy(report);
    let after = report.split_once(", landlock ").map_or("", |(_, after)| after);
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn print_table(role: Role, rows: &BTreeMap<usize, Vec<Finding>>) {
    let first = rows.values().next().map_or(&[][..], Vec::as_slice);
    let heads: Vec<String> = first.iter().map(|finding| format!("landlock {}", finding.landlock)).collect();
    println!("{:<27} {}", role.name(), heads.join("   "));
    for findings in rows.values() {
        let Some(first) = findings.first() else { continue };
        let mut words: Vec<String> = findings.iter().map(Finding::word).collect();
        words.dedup();
        println!("  {:<25} {}", first.probe, words.join(" / "));
    }
}

fn print_json(finding: &Finding) {
    let line = serde_json::json!({
        "role": finding.role.map_or("none", Role::name),
        "landlock": finding.landlock,
        "probe": finding.probe,
        "expected": format!("{:?}", finding.expected),
        "outcome": format!("{:?}", finding.outcome),
        "good": finding.good(),
    });
    println!("{line}");
}

/// The directory of the scene, gone when dropped, with the listeners in it.
struct Directory(PathBuf, Option<std::os::fd::OwnedFd>, Vec<std::os::unix::net::UnixListener>);

impl Directory {
    fn new() -> io::Result<Self> {
        use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
        use std::os::fd::AsRawFd;
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::net::{SocketAddr, UnixListener};
        let path = nix::unistd::mkdtemp(&std::env::temp_dir().join("chancery-sandbox-XXXXXX"))?;
        let mut directory = Self(path, None, Vec::new());
        for name in ["readable", "writable", "forbidden"] {
            std::fs::create_dir(directory.0.join(name))?;
        }
        std::fs::write(directory.0.join("readable/known"), "known")?;
        let flags = SockFlag::SOCK_CLOEXEC;
        let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        bind(listener.as_raw_fd(), &UnixAddr::new(&directory.0.join("listener.sock"))?)?;
        // Nobody accepts: as many attempts as there are wait in the queue.
        listen(&listener, Backlog::MAXCONN)?;
        directory.1 = Some(listener);
        for name in ["daemon.sock", "other.sock"] {
            directory.2.push(UnixListener::bind(directory.0.join(name))?);
        }
        let unseen = SocketAddr::from_abstract_name(directory.0.as_os_str().as_bytes())?;
        directory.2.push(UnixListener::bind_addr(&unseen)?);
        Ok(directory)
    }

    fn remove(path: &Path) {
        // Left behind at worst: a directory of empty files below /tmp.
        let _ = std::fs::remove_dir_all(path);
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        Self::remove(&self.0);
    }
}
