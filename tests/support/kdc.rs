//! A KDC of MIT Kerberos for one test, with two realms that trust each other, on a free port; users, services, and a
//! client that gets tickets. It is a child of the test, and is ended by pid.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The realm of our services.
pub(crate) const REALM: &str = "EXAMPLE.COM";
/// Another one, which the first trusts.
pub(crate) const ELSEWHERE: &str = "ELSEWHERE.COM";
/// What everybody can call it.
pub(crate) const SERVICE: &str = "HTTP/localhost@EXAMPLE.COM";
const PASSWORD: &str = "right horse";

/// Is all there? Where it is not the test says so, by its name, and proves nothing.
pub(crate) fn installed(test: &str) -> bool {
    let programs = ["/usr/sbin/krb5kdc", "/usr/sbin/kadmin.local", "/usr/bin/kinit", "/usr/include/gssapi/gssapi.h"];
    let missing = programs.iter().find(|program| !Path::new(program).exists());
    if let Some(missing) = missing {
        println!("SKIPPED kerberos-{test}: there is no {missing}");
    }
    missing.is_none()
}

/// A KDC.
pub(crate) struct Kdc {
    directory: tempfile::TempDir,
    child: Option<Child>,
}

impl Kdc {
    /// Starts one. It knows alice, bob and eve, and carol of the other realm; `HTTP/localhost`, and services that are
    /// not ours.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
        let (at, port) = (directory.path().display().to_string(), free.port());
        let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).expect("written");
        let weak = "allow_weak_crypto = true\nallow_rc4 = true\n";
        write(
            "krb5.conf",
            format!(
                "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\ndns_lookup_realm = false\nrdns = false\n\
                 dns_canonicalize_hostname = false\n{weak}[realms]\n{REALM} = {{\n kdc = 127.0.0.1:{port}\n}}\n\
                 {ELSEWHERE} = {{\n kdc = 127.0.0.1:{port}\n}}\n[domain_realm]\nlocalhost = {REALM}\n"
            ),
        );
        let realm = |realm: &str| {
            format!(
                "{realm} = {{\n database_name = {at}/{realm}\n key_stash_file = {at}/{realm}.stash\n acl_file = {at}/acl\n \
                 supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal\n}}\n"
            )
        };
        write(
            "kdc.conf",
            format!(
                "[kdcdefaults]\nkdc_listen = 127.0.0.1:{port}\nkdc_tcp_listen = 127.0.0.1:{port}\n[realms]\n{}{}[logging]\n\
                 kdc = FILE:{at}/kdc.log\n",
                realm(REALM),
                realm(ELSEWHERE)
            ),
        );
        let mut kdc = Self { directory, child: None };
        for realm in [REALM, ELSEWHERE] {
            kdc.ran(Command::new("/usr/sbin/kdb5_util").args(["-r", realm, "create", "-s", "-P", "of the database"]));
            kdc.administer(realm, &format!("addprinc -pw trust krbtgt/{REALM}@{ELSEWHERE}"));
        }
        for user in ["alice", "bob", "eve", "Mixed", "alice/admin"] {
            kdc.administer(REALM, &format!("addprinc -pw \"{PASSWORD}\" {user}"));
        }
        kdc.administer(ELSEWHERE, &format!("addprinc -pw \"{PASSWORD}\" alice"));
        for service in ["HTTP/localhost", "HTTP/other.example.com", "HTTP/locelhost"] {
            kdc.administer(REALM, &format!("addprinc -randkey {service}"));
        }
        kdc.administer(REALM, "addprinc -randkey -e arcfour-hmac:normal HTTP/weak.example.com");
        kdc.keep("HTTP/localhost", "keytab");
        let mut command = kdc.surrounded(&mut Command::new("/usr/sbin/krb5kdc"));
        command.args(["-n", "-r", REALM, "-r", ELSEWHERE, "-P"]).arg(kdc.directory.path().join("pid"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        kdc.child = Some(child.expect("krb5kdc starts"));
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let child = kdc.child.as_mut().expect("started");
            assert!(child.try_wait().expect("can be waited for").is_none(), "the KDC ended");
            std::thread::sleep(Duration::from_millis(10));
        }
        kdc
    }

    /// With its configuration, and nothing else that is of Kerberos in the environment.
    fn surrounded(&self, command: &mut Command) -> Command {
        let mut surrounded = Command::new(command.get_program());
        surrounded.args(command.get_args());
        surrounded.env("KRB5_CONFIG", self.directory.path().join("krb5.conf"));
        surrounded.env("KRB5_KDC_PROFILE", self.directory.path().join("kdc.conf"));
        surrounded.env_remove("KRB5CCNAME").env_remove("KRB5_KTNAME");
        surrounded
    }

    fn ran(&self, command: &mut Command) {
        let output = self.surrounded(command).stdin(Stdio::null()).output().expect("it runs");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn administer(&self, realm: &str, what: &str) {
        self.ran(Command::new("/usr/sbin/kadmin.local").args(["-r", realm, "-q", what]));
    }

    /// Puts new keys of a service into a keytab.
    pub(crate) fn keep(&self, service: &str, file: &str) {
        let keytab = self.directory.path().join(file);
        self.administer(REALM, &format!("ktadd -k {} {service}", keytab.display()));
    }

    /// The keys of `HTTP/localhost`.
    pub(crate) fn keytab(&self) -> PathBuf {
        self.directory.path().join("keytab")
    }

    /// The configuration of its clients.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.path().join("krb5.conf")
    }

    /// A ticket of a user for getting tickets, in a cache.
    pub(crate) fn login(&self, user: &str) -> PathBuf {
        self.login_for(user, "10h")
    }

    /// The same, of so long.
    pub(crate) fn login_for(&self, user: &str, lifetime: &str) -> PathBuf {
        let cache = self.directory.path().join(format!("cache-{}", user.replace('/', "-")));
        let mut command = Command::new("/usr/bin/kinit");
        let mut command = self.surrounded(command.args(["-f", "-l", lifetime, "-c"]).arg(&cache).arg(user));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("kinit runs");
        writeln!(child.stdin.take().expect("piped"), "{PASSWORD}").expect("written");
        assert!(child.wait().expect("can be waited for").success());
        cache
    }

    /// Begins to negotiate as that user.
    pub(crate) fn begin(&self, user: &str, service: &str, options: &[&str]) -> Initiator {
        let cache = self.directory.path().join(format!("cache-{}", user.replace('/', "-")));
        let cache = if cache.exists() { cache } else { self.login(user) };
        let mut command = self.surrounded(Command::new(initiator()).arg(service).args(options));
        command.env("KRB5CCNAME", cache).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the client starts");
        let stdin = child.stdin.take().expect("piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("text");
        Initiator { child, stdin, stdout, token: octets(line.trim_end()) }
    }

    /// The same, and the key that the client then shares with the service.
    pub(crate) fn keyed(&self, user: &str, options: &[&str]) -> (Vec<u8>, Vec<u8>) {
        let mut client = self.begin(user, SERVICE, options);
        let mut line = String::new();
        client.stdout.read_line(&mut line).expect("text");
        (client.token.clone(), octets(line.trim_end()))
    }

    /// So many tokens of that user for our service, bound to this, which no two of are alike.
    pub(crate) fn tokens(&self, user: &str, bound: &str, count: usize) -> Vec<Vec<u8>> {
        let mut command = Command::new(initiator());
        let mut command = self.surrounded(command.args([SERVICE, "bind", bound, "times", &count.to_string()]));
        let output = command.env("KRB5CCNAME", self.login(user)).stdin(Stdio::null()).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").lines().map(octets).collect()
    }

    /// A token of that user for our service, bound to this.
    pub(crate) fn token(&self, user: &str, bound: &str) -> Vec<u8> {
        self.begin(user, SERVICE, &["bind", bound]).token.clone()
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A client that has begun.
pub(crate) struct Initiator {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    /// What it sends.
    pub(crate) token: Vec<u8>,
}

impl Initiator {
    /// Is it content with this answer?
    pub(crate) fn completes(mut self, answer: &[u8]) -> bool {
        writeln!(self.stdin, "{}", hex(answer)).expect("written");
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("text");
        line == "complete\n"
    }
}

impl Drop for Initiator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tls-server-end-point` of a server whose certificate is signed with SHA-256, as the client takes it.
pub(crate) fn bound_to(server: &[u8]) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, server);
    format!("hex:{}{}", hex(b"tls-server-end-point:"), hex(hash.as_ref()))
}

pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

pub(crate) fn octets(hex: &str) -> Vec<u8> {
    assert!(!hex.is_empty(), "the client got no ticket");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("digits")).collect()
}

/// The client, built once for each test program.
fn initiator() -> &'static Path {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, program) = BUILT.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let (program, source) = (directory.path().join("initiator"), directory.path().join("initiator.c"));
        std::fs::write(&source, include_str!("initiator.c")).expect("written");
        let built = Command::new("cc").arg("-o").arg(&program).arg(source).args(["-lgssapi_krb5", "-lkrb5"]).status();
        assert!(built.expect("there is a compiler").success());
        (directory, program)
    });
    program
}
