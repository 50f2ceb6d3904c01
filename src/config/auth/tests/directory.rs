//! Directories: which names are theirs, what they are asked, what of them is refused.

use super::Tree;
use crate::config::auth::directory::{Disabled, Form, GroupForm, GroupsFrom, Tls};
use crate::config::auth::password::{Password, password};

pub(super) const DIRECTORY: &str = r#"[[directory]]
name = "corp"
names = ["@corp.example", "CORP\\"]
servers = [
    { host = "dc1.corp.example", address = "192.0.2.21:636", tls = "ldaps" },
    { host = "dc2.corp.example", address = "[2001:db8::22]:389", tls = "starttls" },
]
anchors = ["corp.pem"]
bind_dn = "cn=chancery,dc=corp,dc=example"
bind_password_file = "corp.password"
base_dn = "dc=corp,dc=example"
filter = "(&(objectClass=user)(sAMAccountName={user}))"
decoy_dn = "cn=decoy,dc=corp,dc=example"
account = "{sAMAccountName}@corp.example"
deadline_ms = 5500
[[directory.disabled]]
attribute = "userAccountControl"
mask = 2
[[directory.attribute]]
name = "upn"
from = "userPrincipalName"
[[directory.attribute]]
name = "guid"
from = "objectGUID"
form = "guid"
[directory.groups]
base_dn = "ou=groups,dc=corp,dc=example"
filter = "(member:1.2.840.113556.1.4.1941:={dn})"
name = "rdn"
"#;

fn authority() -> String {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

fn tree(toml: &str) -> Tree {
    files(Tree::new().with("auth.toml", toml))
}

/// The files that a directory names.
pub(super) fn files(tree: Tree) -> Tree {
    let leaf = rcgen::generate_simple_self_signed(["dc1.corp.example".to_owned()]).unwrap().cert.pem();
    let tree = tree.with("corp.pem", &authority()).with("leaf.pem", &leaf);
    tree.with("corp.password", "search and find\n").with("empty.password", "\n").with("two.password", "a\nb\n")
}

#[test]
fn a_directory_says_which_names_are_its_own_and_what_it_is_asked() {
    let auth = tree(DIRECTORY).good();
    let corp = &auth.directories[0];
    assert_eq!((corp.bare("alice@CORP.example"), corp.bare("corp\\alice")), (Some("alice"), Some("alice")));
    assert_eq!((corp.bare("alice"), corp.bare("alice@example")), (None, None));
    assert_eq!(corp.key("ALice"), "alice@corp.example");
    assert_eq!((corp.servers[0].tls, corp.servers[1].tls), (Tls::Ldaps, Tls::Starttls));
    assert!(matches!(&corp.bind_password, Password::Read(password) if password.expose() == b"search and find"));
    assert_eq!(corp.disabled, [Disabled::Mask("useraccountcontrol".to_owned(), 2)]);
    assert_eq!((corp.attributes[1].from.as_str(), corp.attributes[1].form), ("objectguid", Form::Guid));
    let groups = corp.groups.as_ref().unwrap();
    assert!(matches!(groups.from, GroupsFrom::Search { page: 500, .. }) && groups.form == GroupForm::Rdn);
    // Policies and claims may speak of what it says.
    assert!(auth.users.vocabulary.knows("guid") && !auth.users.vocabulary.knows("objectGUID"));
    assert!(!format!("{auth:?}").contains("search and find"));
    let credential = DIRECTORY.replace("bind_password_file = \"corp.password\"", "bind_password_credential = \"corp\"");
    assert!(matches!(&tree(&credential).good().directories[0].bind_password, Password::Credential(_)));
}

#[test]
fn what_is_wrong_with_a_directory_is_refused_where_it_stands() {
    for (from, to, place, word) in [
        ("\"corp\"", "\"c o\"", "2:8", "1 to 64 ASCII letters"),
        ("[\"@corp.example\", \"CORP\\\\\"]", "[]", "3:9", "from 1 to 16"),
        ("@corp.example\", ", "corp.example\", ", "3:10", "@corp.example or CORP\\"),
        ("\"CORP\\\\\"", "\"@CORP.example\"", "3:27", "twice"),
        ("dc1.corp.example", "dc 1", "5:14", "neither a DNS name"),
        ("192.0.2.21:636", "dc1.corp.example:636", "5:44", "asks no resolver"),
        ("192.0.2.21:636", "192.0.2.21", "5:44", "asks no resolver"),
        ("192.0.2.21:636", "0.0.0.0:636", "5:44", "nobody's"),
        ("192.0.2.21:636", "192.0.2.21:0", "5:44", "nobody's"),
        ("\"ldaps\"", "\"none\"", "5:68", "unknown variant"),
        ("\"corp.pem\"", "\"none.pem\"", "8:12", "none.pem"),
        ("\"corp.pem\"", "\"leaf.pem\"", "8:12", "not that of an authority"),
        ("\"corp.pem\"", "\"corp.password\"", "8:12", "holds no certificate"),
        ("[\"corp.pem\"]", "[]", "8:11", "from 1 to 16"),
        ("cn=chancery,dc=corp,dc=example", "", "9:11", "not a distinguished name"),
        ("corp.password", "none.password", "10:22", "none.password"),
        ("corp.password", "../corp.password", "10:22", "../corp.password"),
        ("corp.password", "empty.password", "10:22", "is empty"),
        ("corp.password", "two.password", "10:22", "not one line"),
        ("bind_password_file = \"corp.password\"\n", "", "9:11", "nobody searches unnamed"),
        ("base_dn = \"dc", "bind_password_credential = \"c\"\nbase_dn = \"dc", "11:28", "exclude each other"),
        ("base_dn = \"dc=corp,dc=example\"", "base_dn = \"\"", "11:11", "not a distinguished name"),
        ("={user}", "=alice", "12:10", "without {user}"),
        ("(sAMAccountName", "sAMAccountName", "12:10", "filter: "),
        ("cn=decoy,", "", "13:12", ""),
        ("decoy_dn = \"cn=decoy,dc=corp,dc=example\"\n", "", "1:1", "missing field `decoy_dn`"),
        ("{sAMAccountName}@corp.example", "{sAMAccountName}@other.example", "14:11", "not be one of the names"),
        ("{sAMAccountName}@corp.example", "alice@corp.example", "14:11", "names no {attribute}"),
        ("5500", "99", "15:15", "from 100 to 30000"),
        ("5500", "1500", "15:15", "shorter than"),
        ("deadline_ms = 5500", "connect_timeout_ms = 5000", "15:22", "shorter than"),
        ("deadline_ms = 5500", "operation_timeout_ms = 3000", "15:24", "shorter than"),
        ("mask = 2", "mask = 0", "18:8", "no bit"),
        ("mask = 2", "mask = 2\nvalue = \"x\"", "18:8", "exclude each other"),
        ("\"userAccountControl\"", "\"user control\"", "17:13", "not the name of an attribute"),
        ("\"upn\"", "\"groups\"", "20:8", "every account has \"groups\""),
        ("\"upn\"", "\"guid\"", "23:8", "twice"),
        ("\"objectGUID\"", "\"object(GUID\"", "24:8", "not the name of an attribute"),
        ("form = \"guid\"", "form = \"hex\"", "25:8", "unknown variant"),
        ("filter = \"(member", "from = \"memberOf\"\nfilter = \"(member", "26:1", "either by from or by base_dn"),
        ("={dn}", "={user}", "28:10", "\\7b"),
        ("name = \"rdn\"", "name = \"rdn\"\nmost = 0", "30:8", "groups.most must be"),
        ("name = \"rdn\"", "name = \"rdn\"\nnested = true", "30:1", "unknown field"),
    ] {
        assert!(DIRECTORY.contains(from), "{from}");
        let changed = DIRECTORY.replacen(from, to, 1);
        if word.is_empty() {
            // A decoy may stand anywhere.
            tree(&changed).good();
            continue;
        }
        tree(&changed).refused(&[&format!("auth.toml:{place}: "), word]);
    }
}

#[test]
fn a_name_has_one_source() {
    let account = |name: &str| format!("[users.'{name}']\npassword = '{}'\n", super::hash());
    for name in ["alice@corp.example", "root@CORP.EXAMPLE", "Corp\\alice"] {
        let tree = tree(DIRECTORY).with("users.toml", &account(name));
        tree.refused(&["users.toml:1:8: ", "belong to [[directory]] corp"]);
    }
    tree(DIRECTORY).with("users.toml", &account("alice@other.example")).good();

    let second = DIRECTORY.replace("\"corp\"", "\"other\"");
    tree(&format!("{DIRECTORY}{second}")).refused(&["auth.toml:32:10: ", "@corp.example belongs to corp"]);
    let apart = second.replace("@corp.example\", \"CORP", "@other.example\", \"OTHER").replace("}@corp", "}@other");
    let again = apart.replace("\"other\"", "\"corp\"");
    tree(&format!("{DIRECTORY}{again}")).refused(&["auth.toml:31:8: ", "stands here twice"]);
    assert_eq!(tree(&format!("{DIRECTORY}{apart}")).good().directories.len(), 2);
}

#[test]
fn a_password_is_one_line_and_not_empty() {
    for (octets, word) in
        [(&b""[..], "empty"), (b"\r\n", "empty"), (b"a\nb", "one line"), (b"a\0", "one line"), (b"\xff", "UTF-8")]
    {
        assert!(password(octets).expect_err("is refused").contains(word), "{octets:?}");
    }
    assert_eq!(password(b" two words \r\n").unwrap().expose(), b" two words ");
    assert!(password(&[b'a'; 1025]).is_err());
}
