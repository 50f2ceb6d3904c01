//! A store that is open and at work, in a file or in a database.

use std::path::Path;
use std::sync::Arc;

use chancery::auth::store::{Down, Kind, Measures, Store};
use chancery::config::auth::password::{Password, password};
use chancery::config::auth::store::postgresql::{PostgreSql, Server};
use chancery::config::auth::{StorePlace, StoreRules};
use chancery::metrics::Metrics;
use chancery::wire::{Millis, Secret};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::time::Duration;
use tokio::runtime::Runtime;

use crate::support::authority::Authority;
use crate::support::postgres::{PASSWORD, Postgres, installed};
use crate::support::processes::eventually;

pub(crate) const KIND: Kind = Kind::SignedMessage;
const HOUR: i64 = 3_600_000;
/// Of servers in the tests.
pub(crate) const HOST: &str = "db1.corp.test";

pub(crate) struct House {
    pub(crate) store: Arc<Store>,
    pub(crate) measures: Measures,
    pub(crate) runtime: Runtime,
}

impl House {
    pub(crate) fn open(directory: &Path, most_rows: u64) -> Self {
        Self::at_work(&StoreRules { place: StorePlace::Sqlite(directory.to_owned()), most_rows }, None)
    }

    /// One in the database at these servers, once it is there.
    pub(crate) fn shared(servers: &[&Postgres], authority: &Authority, most_rows: u64) -> Self {
        let house = Self::with(rules(servers, authority), most_rows);
        eventually("the store is up", || house.store.up().then_some(()));
        house
    }

    /// One in that database, whether it is there or not.
    pub(crate) fn with(rules: PostgreSql, most_rows: u64) -> Self {
        let Password::Read(secret) = &rules.password else { panic!("no credentials here") };
        let secret = secret.clone();
        Self::at_work(&StoreRules { place: StorePlace::PostgreSql(Arc::new(rules)), most_rows }, Some(secret))
    }

    fn at_work(rules: &StoreRules, secret: Option<Secret<1024>>) -> Self {
        let opened = Store::open(rules, secret).unwrap();
        let measures = Measures::new(&Metrics::new("auth"));
        let store = Arc::new(opened.start(measures.clone()).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        Self { store, measures, runtime }
    }

    pub(crate) fn ask(&self, number: u32, expires: Millis) -> Result<bool, Down> {
        self.runtime.block_on(self.store.first_seen(KIND, &value(number), expires))
    }

    pub(crate) fn outcomes(&self, word: &str) -> u64 {
        self.measures.outcomes.with_label_values(&[word]).get()
    }
}

/// A database at these servers.
pub(crate) fn rules(servers: &[&Postgres], authority: &Authority) -> PostgreSql {
    let server = |server: &&Postgres| Server {
        host: server.host.to_owned(),
        name: ServerName::try_from(server.host).unwrap(),
        address: ([127, 0, 0, 1], server.port).into(),
    };
    let certificate = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
    PostgreSql {
        servers: servers.iter().map(server).collect(),
        anchors: vec![webpki::anchor_from_trusted_cert(&certificate).unwrap().to_owned()],
        database: "chancery".to_owned(),
        user: "chancery".to_owned(),
        password: Password::Read(password(PASSWORD.as_bytes()).unwrap()),
        standbys: servers.len() > 1,
        connect: Duration::from_secs(1),
        operation: Duration::from_secs(1),
    }
}

/// The same of a store in a file and of one in a database.
pub(crate) fn both(test: &str, most_rows: u64, check: impl Fn(&House)) {
    let directory = tempfile::tempdir().unwrap();
    check(&House::open(directory.path(), most_rows));
    if !installed(test) {
        return;
    }
    let authority = Authority::new();
    let server = Postgres::start(HOST, &authority);
    check(&House::shared(&[&server], &authority, most_rows));
}

pub(crate) fn value(number: u32) -> [u8; 32] {
    let mut value = [0; 32];
    value[..4].copy_from_slice(&number.to_be_bytes());
    value
}

pub(crate) fn in_an_hour() -> Millis {
    Millis::now().plus(HOUR)
}
