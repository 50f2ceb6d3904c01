//! OpenLDAP for one test: servers with a directory of their own each, on free ports, certified by an authority of
//! the test. They are children of the test, and are ended by pid.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::authority::{Authority, free_port};
use super::processes::eventually;

/// The password of everybody in the directory.
pub(crate) const PASSWORD: &str = "right horse";
/// The one that auth searches with.
pub(crate) const SEARCH_PASSWORD: &str = "search and find";
/// `f81d4fae-7dec-11d0-a765-00a0c91e6bf6`.
const GUID: [u8; 16] = [0xae, 0x4f, 0x1d, 0xf8, 0xec, 0x7d, 0xd0, 0x11, 0xa7, 0x65, 0, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6];
/// `S-1-5-21-1-2-3-500`.
const SID: [u8; 28] = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0xf4, 1, 0, 0];
/// Groups of `many`: more than a search finds that does not ask for pages.
pub(crate) const GROUPS: usize = 45;

const PROGRAM: &str = "/usr/sbin/slapd";

/// Is there an OpenLDAP? Where there is none the test says so, by its name, and proves nothing.
pub(crate) fn installed(test: &str) -> bool {
    let there = Path::new(PROGRAM).exists();
    if !there {
        println!("SKIPPED directory-{test}: slapd is not installed");
    }
    there
}

/// A server.
pub(crate) struct Slapd {
    directory: tempfile::TempDir,
    pub(crate) host: &'static str,
    /// With StartTLS.
    pub(crate) plain: u16,
    /// With TLS from the beginning.
    pub(crate) secure: u16,
    child: Option<Child>,
}

impl Slapd {
    /// Starts one that is called `host`.
    pub(crate) fn start(host: &'static str, authority: &Authority) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("db")).expect("made");
        let (certificate, key) = authority.certify(host);
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("written");
        write("server.pem", &certificate);
        write("server.key", &key);
        write("ca.pem", &authority.pem);
        write("slapd.conf", &configuration(directory.path()));
        write("people.ldif", &people());
        let mut added = Command::new(PROGRAM);
        added.args(["-T", "add", "-q", "-f"]).arg(directory.path().join("slapd.conf"));
        let output = added.arg("-l").arg(directory.path().join("people.ldif")).output().expect("slapadd runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut slapd = Self { directory, host, plain: free_port(), secure: free_port(), child: None };
        slapd.again();
        slapd
    }

    /// Starts it again where it was.
    pub(crate) fn again(&mut self) {
        let urls = format!("ldap://127.0.0.1:{}/ ldaps://127.0.0.1:{}/", self.plain, self.secure);
        let log = std::fs::File::create(self.directory.path().join("log")).expect("a log");
        let mut command = Command::new(PROGRAM);
        // Asked for its debug output, even for none of it, it stays our child.
        command.arg("-f").arg(self.directory.path().join("slapd.conf")).args(["-h", &urls, "-d", "0"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("slapd starts");
        self.child = Some(child);
        for port in [self.plain, self.secure] {
            eventually("slapd listens", || {
                let child = self.child.as_mut().expect("started");
                assert!(child.try_wait().expect("can be waited for").is_none(), "slapd ended: {}", self.log());
                TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("can be waited for");
        }
    }

    /// It takes connections and says nothing, until it is let go.
    pub(crate) fn hang(&self, hang: bool) {
        let child = self.child.as_ref().expect("it runs");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        kill(pid, if hang { Signal::SIGSTOP } else { Signal::SIGCONT }).expect("it runs");
    }

    /// Changes something in the directory, as its administrator.
    pub(crate) fn modify(&self, change: &str) {
        let mut child = Command::new("ldapmodify")
            .args(["-x", "-H", &format!("ldaps://127.0.0.1:{}", self.secure)])
            .args(["-D", "cn=admin,dc=corp,dc=test", "-w", "admin"])
            .env("LDAPTLS_REQCERT", "never")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("ldapmodify runs");
        child.stdin.take().expect("piped").write_all(change.as_bytes()).expect("written");
        assert!(child.wait().expect("can be waited for").success());
    }

    /// How `auth.toml` names it.
    pub(crate) fn entry(&self, tls: &str) -> String {
        let port = if tls == "ldaps" { self.secure } else { self.plain };
        format!("{{ host = '{}', address = '127.0.0.1:{port}', tls = '{tls}' }}", self.host)
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn configuration(directory: &Path) -> String {
    let at = directory.display();
    format!(
        r#"include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.146 NAME 'objectSid' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.32473.1 NAME 'corpUser' AUXILIARY MAY ( userAccountControl $ objectGUID $ objectSid ) )
TLSCACertificateFile {at}/ca.pem
TLSCertificateFile {at}/server.pem
TLSCertificateKeyFile {at}/server.key
# Whoever shows a password in clear is refused, so that a client that did could not go unnoticed.
security simple_bind=128
access to attrs=userPassword by anonymous auth by * none
# Nobody but auth's own search can read: one made with a user's rights would find nothing.
access to * by dn.exact="cn=chancery,ou=services,dc=corp,dc=test" read by dn.exact="cn=limited,ou=services,dc=corp,dc=test" read by * none
database mdb
suffix dc=corp,dc=test
rootdn cn=admin,dc=corp,dc=test
rootpw admin
directory {at}/db
maxsize 16777216
index uid eq
index member eq
limits dn.exact="cn=chancery,ou=services,dc=corp,dc=test" size.soft=20 size.hard=20 size.prtotal=unlimited
limits dn.exact="cn=limited,ou=services,dc=corp,dc=test" size.soft=20 size.hard=20 size.prtotal=30
overlay memberof
"#
    )
}

/// Everybody, and what is to be tried with each.
fn people() -> String {
    // Dear enough that a server that skips it is noticed.
    let hash = hashed(PASSWORD);
    let mut text = format!(
        "dn: dc=corp,dc=test\nobjectClass: dcObject\nobjectClass: organization\no: corp\ndc: corp\n\n\
         dn: ou=people,dc=corp,dc=test\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=more,dc=corp,dc=test\nobjectClass: organizationalUnit\nou: more\n\n\
         dn: ou=groups,dc=corp,dc=test\nobjectClass: organizationalUnit\nou: groups\n\n\
         dn: ou=services,dc=corp,dc=test\nobjectClass: organizationalUnit\nou: services\n\n\
         dn: cn=chancery,ou=services,dc=corp,dc=test\nobjectClass: organizationalRole\n\
         objectClass: simpleSecurityObject\ncn: chancery\nuserPassword: {SEARCH_PASSWORD}\n\n\
         dn: cn=decoy,ou=services,dc=corp,dc=test\nobjectClass: organizationalRole\n\
         objectClass: simpleSecurityObject\ncn: decoy\nuserPassword: {hash}\n\n\
         dn: cn=limited,ou=services,dc=corp,dc=test\nobjectClass: organizationalRole\n\
         objectClass: simpleSecurityObject\ncn: limited\nuserPassword: {SEARCH_PASSWORD}\n\n"
    );
    let mut person = |place: &str, uids: &[&str], more: &str| {
        let uid = uids[0];
        // As LDIF has what is not plain.
        let encoded = |value: &str| Base64::encode_string(value.as_bytes());
        let dn = encoded(&format!("uid={},ou={place},dc=corp,dc=test", uid.replace('(', "\\28").replace('*', "\\2a")));
        text.push_str(&format!("dn:: {dn}\nobjectClass: inetOrgPerson\nobjectClass: corpUser\nsn: x\ncn: x\n"));
        uids.iter().for_each(|uid| text.push_str(&format!("uid:: {}\n", encoded(uid))));
        text.push_str(&format!("userPassword: {hash}\n{more}\n"));
    };
    let good = "userAccountControl: 512\n";
    let (guid, sid) = (Base64::encode_string(&GUID), Base64::encode_string(&SID));
    let alice = format!(
        "{good}mail: alice@corp.test\nmail: a@corp.test\nobjectGUID:: {guid}\nobjectSid:: {sid}\n\
         memberOf: cn=staff,ou=groups,dc=corp,dc=test\n"
    );
    person("people", &["alice"], &alice);
    person("people", &["bob"], good);
    person("people", &["carol"], good);
    person("people", &["disabled"], "userAccountControl: 514\n");
    person("people", &["bare"], "");
    person("people", &["twin"], good);
    person("more", &["twin"], good);
    person("people", &["two", "deux"], good);
    person("people", &["many"], good);
    person("people", &["m\u{FC}ller"], good);
    person("people", &["we*ird(o)"], good);
    for number in 0..50 {
        person("people", &[&format!("user{number}")], &format!("{good}mail: user{number}@corp.test\n"));
    }
    let mut group = |name: &str, members: &[&str]| {
        text.push_str(&format!("dn: cn={name},ou=groups,dc=corp,dc=test\nobjectClass: groupOfNames\ncn: {name}\n"));
        members.iter().for_each(|uid| text.push_str(&format!("member: uid={uid},ou=people,dc=corp,dc=test\n")));
        text.push('\n');
    };
    group("staff", &["alice", "bob", "many"]);
    (1..GROUPS).for_each(|number| group(&format!("g{number}"), &["many"]));
    text
}

fn hashed(password: &str) -> String {
    let mut command = Command::new(PROGRAM);
    let output = command.args(["-T", "passwd", "-n", "-h", "{CRYPT}", "-c", "$6$rounds=3000$%.16s", "-s", password]);
    let output = output.output().expect("slappasswd runs");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text")
}

/// How long a server that is tried again was left alone, and a little more.
pub(crate) const BACK: Duration = Duration::from_millis(1200);
