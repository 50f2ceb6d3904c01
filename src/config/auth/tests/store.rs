//! Where the store is: in a file or in a database, and what of that is refused.

use super::Tree;
use super::directory::files;
use crate::config::auth::StorePlace;
use crate::config::auth::password::Password;

const DATABASE: &str = r#"[store]
most_rows = 5000
[store.postgresql]
servers = [
    { host = "db1.corp.example", address = "192.0.2.31:5432" },
    { host = "db2.corp.example", address = "[2001:db8::32]:5432" },
]
anchors = ["corp.pem"]
database = "chancery"
user = "sts"
password_file = "corp.password"
connect_timeout_ms = 700
[throttle]
account_burst = 1
account_per_minute = 1
"#;

fn tree(toml: &str) -> Tree {
    files(Tree::new().with("auth.toml", toml))
}

#[test]
fn a_store_in_a_database_says_where_it_is_and_who_we_are_there() {
    let auth = tree(DATABASE).good();
    let store = auth.store.as_ref().unwrap();
    let StorePlace::PostgreSql(database) = &store.place else { panic!("{store:?}") };
    assert_eq!((store.most_rows, database.database.as_str(), database.user.as_str()), (5000, "chancery", "sts"));
    assert_eq!(database.servers[1].address.to_string(), "[2001:db8::32]:5432");
    assert_eq!((database.connect.as_millis(), database.operation.as_millis()), (700, 1000));
    assert!(matches!(&database.password, Password::Read(password) if password.expose() == b"search and find"));
    assert!(!format!("{auth:?}").contains("search and find"));
    // A server that may take over has what the first one answered, unless somebody can do without.
    assert!(database.standbys);
    let standbys = |from: &str, to: &str| {
        let auth = tree(&DATABASE.replace(from, to)).good();
        auth.store.unwrap().postgresql().unwrap().standbys
    };
    assert!(!standbys("user = ", "standbys = \"asynchronous\"\nuser = "));
    assert!(standbys("user = ", "standbys = \"synchronous\"\nuser = "));
    // Behind one address several may stand, where somebody says so.
    let alone = DATABASE.replace("    { host = \"db2.corp.example\", address = \"[2001:db8::32]:5432\" },\n", "");
    let auth = tree(&alone.replace("user = ", "standbys = \"synchronous\"\nuser = ")).good();
    assert!(auth.store.unwrap().postgresql().unwrap().standbys);
    assert!(!standbys("    { host = \"db2.corp.example\", address = \"[2001:db8::32]:5432\" },\n", ""));
    let credential = DATABASE.replace("password_file = \"corp.password\"", "password_credential = \"store\"");
    let auth = tree(&credential).good();
    assert_eq!(auth.store.unwrap().postgresql().unwrap().password, Password::Credential("store".to_owned()));
}

#[test]
fn a_store_is_another_one_when_anything_of_it_is() {
    let store = |text: &str| tree(text).good().store.unwrap();
    let one = |from: &str, to: &str| {
        let tree = tree(DATABASE);
        let before = tree.good().store.unwrap();
        let tree = tree.with("auth.toml", &DATABASE.replace(from, to)).with("other.password", "another one");
        (before, tree.good().store.unwrap())
    };
    let (before, same) = one("", "");
    assert_eq!(before, same);
    for (from, to) in [
        ("\"sts\"", "\"other\""),
        ("corp.password", "other.password"),
        ("192.0.2.31", "192.0.2.33"),
        ("700", "701"),
        ("5000", "5001"),
    ] {
        let (before, after) = one(from, to);
        assert_ne!(before, after, "{to}");
    }
    assert_ne!(store("[store]\ndirectory = \"a\""), store("[store]\ndirectory = \"b\""));
}

#[test]
fn what_is_wrong_with_a_store_is_refused_where_it_stands() {
    tree("[store]\n").refused(&["auth.toml:1:1", "neither directory nor [store.postgresql]"]);
    tree("[store]\nmost_rows = 5000\n").refused(&["auth.toml:1:1", "neither directory nor"]);
    for (from, to, place, word) in [
        ("most_rows", "directory = \"x\"\nmost_rows", "2:13", "exclude each other"),
        ("most_rows = 5000", "most_rows = 5", "2:13", "from 1000 to 50000000"),
        ("most_rows", "most_row", "2:1", "unknown field"),
        ("user = ", "password = \"x\"\nuser = ", "10:1", "unknown field"),
        ("user = ", "sslmode = \"prefer\"\nuser = ", "10:1", "unknown field"),
        ("user = ", "standbys = \"none\"\nuser = ", "10:12", "unknown variant"),
        ("{ host = \"db1.corp.example\", ", "{ port = 1, host = \"db1.corp.example\", ", "5:7", "unknown field"),
        ("db1.corp.example", "db 1", "5:14", "neither a DNS name"),
        ("192.0.2.31:5432", "db1.corp.example:5432", "5:44", "asks no resolver"),
        ("192.0.2.31:5432", "/run/postgresql", "5:44", "asks no resolver"),
        ("192.0.2.31:5432", "192.0.2.31:0", "5:44", "nobody's"),
        ("[2001:db8::32]:5432", "192.0.2.31:5432", "6:44", "stands here twice"),
        ("\"corp.pem\"", "\"leaf.pem\"", "8:12", "not that of an authority"),
        ("[\"corp.pem\"]", "[]", "8:11", "from 1 to 8"),
        ("\"chancery\"", "\"\"", "9:12", "database: not a name"),
        ("\"sts\"", "\"s\\u0000ts\"", "10:8", "user: not a name"),
        ("corp.password", "none.password", "11:17", "none.password"),
        ("corp.password", "empty.password", "11:17", "is empty"),
        ("password_file = \"corp.password\"\n", "", "10:8", "nobody is let in for his name alone"),
        ("connect_timeout", "password_credential = \"c\"\nconnect_timeout", "12:23", "exclude each other"),
        ("700", "20", "12:22", "from 50 to 10000"),
    ] {
        assert!(DATABASE.contains(from), "{from}");
        tree(&DATABASE.replacen(from, to, 1)).refused(&[&format!("auth.toml:{place}"), word]);
    }
    let none = DATABASE.replace("    { host = \"db1.corp.example\", address = \"192.0.2.31:5432\" },\n", "");
    let none = none.replace("    { host = \"db2.corp.example\", address = \"[2001:db8::32]:5432\" },\n", "");
    tree(&none).refused(&["auth.toml:4:11", "from 1 to 8"]);
}
