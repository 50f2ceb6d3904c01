//! PostgreSQL for one test: a server with a directory of its own, on a free port, certified by an authority of the
//! test. It will not run as root, so there it runs as somebody who has nothing. It is a child of the test, and is ended
//! by pid.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User, geteuid};

use super::authority::{Authority, free_port};
use super::processes::eventually;

/// Of the role that auth logs in as.
pub(crate) const PASSWORD: &str = "keep and tell";

/// Where the programs of the newest version are.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.flatten().map(|entry| entry.path()).max_by_key(number)?;
    let programs = newest.join("bin");
    programs.join("postgres").exists().then_some(programs)
}

/// Who it runs as, where that is not who we are.
fn nobody() -> Option<(Uid, Gid)> {
    let user = |name| User::from_name(name).ok().flatten();
    let user = user("postgres").or_else(|| user("nobody")).expect("there is somebody who has nothing");
    geteuid().is_root().then_some((user.uid, user.gid))
}

/// Is there a PostgreSQL? Where there is none the test says so, by its name, and proves nothing.
pub(crate) fn installed(test: &str) -> bool {
    let there = programs().is_some();
    if !there {
        println!("SKIPPED store-{test}: postgresql is not installed");
    }
    there
}

/// A server.
pub(crate) struct Postgres {
    directory: tempfile::TempDir,
    pub(crate) host: &'static str,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Postgres {
    /// Starts one that is called `host`, with a database of ours in it.
    pub(crate) fn start(host: &'static str, authority: &Authority) -> Self {
        let mut server = Self::bare(host, authority);
        let data = server.data();
        server.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"]);
        server.configure("local all,replication postgres trust\nhostssl all chancery 127.0.0.1/32 scram-sha-256\n");
        server.again();
        server.sql("postgres", &format!("CREATE ROLE chancery LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 16"));
        server.sql("postgres", "CREATE ROLE chancery_owner NOLOGIN");
        server.sql("postgres", "CREATE DATABASE chancery OWNER chancery_owner");
        server.sql("postgres", "REVOKE ALL ON DATABASE chancery FROM PUBLIC");
        server.sql("postgres", "GRANT CONNECT ON DATABASE chancery TO chancery");
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/postgresql/store.sql");
        server.psql("chancery", &["-1", "-f", schema]);
        server
    }

    /// Starts a standby of another server.
    pub(crate) fn standby(host: &'static str, authority: &Authority, primary: &Self) -> Self {
        let mut server = Self::bare(host, authority);
        let (data, socket) = (server.data(), primary.directory.path().to_str().expect("text"));
        let port = primary.port.to_string();
        let copy = ["-D", &data, "-h", socket, "-p", &port, "-U", "postgres", "-R", "-c", "fast", "--no-sync"];
        server.run("pg_basebackup", &copy);
        server.configure("local all postgres trust\nhostssl all chancery 127.0.0.1/32 scram-sha-256\n");
        server.again();
        server
    }

    fn bare(host: &'static str, authority: &Authority) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (certificate, key) = authority.certify(host);
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("set");
            own(&path);
        };
        write("server.pem", &certificate);
        write("server.key", &key);
        own(directory.path());
        Self { directory, host, port: free_port(), child: None }
    }

    fn data(&self) -> String {
        self.directory.path().join("data").to_str().expect("text").to_owned()
    }

    /// Who may log in from where; it holds when the server starts or reads it again.
    pub(crate) fn admit(&self, rules: &str) {
        fs::write(self.directory.path().join("data/pg_hba.conf"), rules).expect("written");
    }

    fn configure(&self, rules: &str) {
        self.admit(rules);
        let (at, port) = (self.directory.path().display(), self.port);
        let more = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{at}'\n\
             ssl = on\nssl_cert_file = '{at}/server.pem'\nssl_key_file = '{at}/server.key'\n\
             shared_buffers = 16MB\nmax_connections = 40\nlog_min_messages = fatal\n"
        );
        let path = self.directory.path().join("data/postgresql.conf");
        let text = fs::read_to_string(&path).expect("readable");
        fs::write(path, text + &more).expect("written");
    }

    /// Runs one of its programs as whoever the server runs as.
    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).output().expect("runs");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(programs().expect("installed").join(program));
        if let Some((uid, gid)) = nobody() {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    /// Starts it again where it was.
    pub(crate) fn again(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.directory.path().join("log"));
        eventually("PostgreSQL runs", || {
            if self.child.as_mut().is_none_or(|child| child.try_wait().expect("can be waited for").is_some()) {
                let log = log.as_ref().expect("a log").try_clone().expect("a log");
                let data = self.data();
                let mut command = self.command("postgres");
                self.child =
                    Some(command.args(["-D", &data]).stdout(Stdio::null()).stderr(log).spawn().expect("starts"));
            }
            self.psql_command("postgres")
                .args(["-c", "SELECT 1"])
                .output()
                .expect("runs")
                .status
                .success()
                .then_some(())
        });
    }

    fn psql_command(&self, database: &str) -> Command {
        let mut command = Command::new(programs().expect("installed").join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]);
        command.arg("-h").arg(self.directory.path()).args(["-p", &self.port.to_string()]);
        command
    }

    fn psql(&self, database: &str, arguments: &[&str]) -> String {
        let output = self.psql_command(database).args(arguments).output().expect("psql runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Does that as its administrator.
    pub(crate) fn sql(&self, database: &str, text: &str) -> String {
        self.psql(database, &["-c", text])
    }

    /// Does it as the role of auth, and says what came of it.
    pub(crate) fn as_auth(&self, text: &str) -> Result<String, String> {
        let text = format!("SET SESSION AUTHORIZATION chancery; {text}");
        let output = self.psql_command("chancery").args(["-c", &text]).output().expect("psql runs");
        let said = |octets: Vec<u8>| String::from_utf8(octets).expect("text").trim().to_owned();
        if output.status.success() { Ok(said(output.stdout)) } else { Err(said(output.stderr)) }
    }

    /// Sets something of the server, without a restart.
    pub(crate) fn set(&self, what: &str) {
        self.sql("postgres", &format!("ALTER SYSTEM SET {what}"));
        self.sql("postgres", "SELECT pg_reload_conf()");
    }

    /// Has it read anew who may log in, and ends whoever did.
    pub(crate) fn hang_up(&self) {
        self.sql("postgres", "SELECT pg_reload_conf()");
        self.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'chancery'");
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.as_ref().expect("it runs").id()).expect("a pid"))
    }

    /// It and its children, which are ours as well.
    fn pids(&self) -> Vec<Pid> {
        let own = self.pid();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        let children = children.split_whitespace().map(|pid| Pid::from_raw(pid.parse().expect("a pid")));
        [own].into_iter().chain(children).collect()
    }

    /// Kills it, as a power failure does: all of it at once.
    pub(crate) fn kill(&mut self) {
        if self.child.is_none() {
            return;
        }
        // Stopped first, so that it makes no new ones and tidies up nothing.
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            self.pids().into_iter().for_each(|pid| {
                let _gone = kill(pid, signal);
            });
        }
        let _ended = self.child.take().map(|mut child| child.wait());
    }

    /// It takes connections and says nothing, until it is let go.
    pub(crate) fn freeze(&self, freeze: bool) {
        let signal = if freeze { Signal::SIGSTOP } else { Signal::SIGCONT };
        self.pids().into_iter().for_each(|pid| {
            let _gone = kill(pid, signal);
        });
    }

    /// A standby takes over.
    pub(crate) fn promote(&self) {
        self.run("pg_ctl", &["promote", "-w", "-D", &self.data()]);
    }

    /// A directory that it may use.
    pub(crate) fn lend(path: &Path) {
        own(path);
    }

    /// How `auth.toml` names it.
    pub(crate) fn entry(&self) -> String {
        format!("{{ host = '{}', address = '127.0.0.1:{}' }}", self.host, self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

fn own(path: &Path) {
    if let Some((uid, gid)) = nobody() {
        chown(path, Some(uid.as_raw()), Some(gid.as_raw())).expect("ours to give");
    }
}
