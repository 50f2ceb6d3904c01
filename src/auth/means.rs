//! What auth needs of the outside and can get before it locks itself down, no later: ports it may connect to, and
//! the credentials the service manager hands it. A configuration that is read anew has to do with them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::directory::Directories;
use crate::config::auth::directory::Directory as Rules;
use crate::config::auth::password::{Password, password};
use crate::config::auth::source::Source;
use crate::config::auth::store::postgresql::PostgreSql;
use crate::config::auth::{Auth, StoreRules};
use crate::config::beneath::Directory;
use crate::config::load::ConfigErrors;
use crate::sandbox::Grants;
use crate::wire::Secret;

/// Ports and credentials. By default there are none.
#[derive(Debug, Default)]
pub(super) struct Means {
    ports: BTreeSet<u16>,
    credentials: Option<Directory>,
}

impl Means {
    /// What this configuration needs.
    pub(super) fn of(config: &Auth) -> Result<Self, ConfigErrors> {
        let database = config.store.as_ref().and_then(StoreRules::postgresql);
        let of_directories = config.directories.iter().flat_map(|rules| ports(rules));
        let of_database = database.into_iter().flat_map(of_database);
        let ports = of_directories.chain(of_database).chain(fetched(config).map(port)).collect();
        let passwords = config.directories.iter().map(|rules| &rules.bind_password);
        let mut passwords = passwords.chain(database.map(|database| &database.password));
        let named = passwords.any(|password| matches!(password, Password::Credential(_)));
        let place = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|_| named);
        let credentials = place.map(|place| Directory::open(&PathBuf::from(place))).transpose()?;
        Ok(Self { ports, credentials })
    }

    /// Adds them to what is granted.
    pub(super) fn grant(&self, grants: &mut Grants) {
        grants.tcp_connect.extend(&self.ports);
        grants.read.extend(self.credentials.iter().map(|place| place.path().to_owned()));
    }

    /// Our password at the database of a store that is in one.
    ///
    /// # Errors
    /// A clause for the operator.
    pub(super) fn store_password(&self, rules: &StoreRules) -> Result<Option<Secret<1024>>, String> {
        let password = rules.postgresql().map(|database| self.password(&database.password)).transpose();
        password.map_err(|why| format!("[store.postgresql]: {why}"))
    }

    /// The directories of a configuration that can do with these.
    ///
    /// # Errors
    /// A clause for the operator.
    pub(super) fn directories(&self, config: &Auth) -> Result<Directories, String> {
        for source in fetched(config) {
            self.has(std::iter::once(port(source))).map_err(|why| format!("{}: {why}", source.url))?;
        }
        if let Some(database) = config.store.as_ref().and_then(StoreRules::postgresql) {
            self.has(of_database(database)).map_err(|why| format!("[store.postgresql]: {why}"))?;
        }
        let mut directories = Vec::new();
        for rules in &config.directories {
            let refused = |why: String| format!("[[directory]] {}: {why}", rules.name.as_str());
            self.has(ports(rules)).map_err(refused)?;
            let password = self.password(&rules.bind_password).map_err(refused)?;
            directories.push((Arc::clone(rules), password));
        }
        Ok(Directories::new(directories))
    }

    fn has(&self, mut ports: impl Iterator<Item = u16>) -> Result<(), String> {
        match ports.find(|port| !self.ports.contains(port)) {
            None => Ok(()),
            Some(port) => Err(without(port)),
        }
    }

    fn password(&self, given: &Password) -> Result<Secret<1024>, String> {
        match given {
            Password::Read(password) => Ok(password.clone()),
            Password::Credential(name) => {
                let refused = |why: &dyn std::fmt::Display| format!("credential {name}: {why}");
                let place = self.credentials.as_ref().ok_or_else(|| refused(&"CREDENTIALS_DIRECTORY was not set"))?;
                let octets = zeroize::Zeroizing::new(place.octets(name).map_err(|error| refused(&error))?);
                password(&octets).map_err(|why| refused(&why))
            }
        }
    }
}

fn without(port: u16) -> String {
    format!("auth was started without port {port}, and gains nothing while it runs: restart it")
}

/// From where documents and answers are fetched.
fn fetched(config: &Auth) -> impl Iterator<Item = &Source> {
    let lists = config.authorities.iter().flat_map(|authority| &authority.lists).flat_map(|lists| &lists.sources);
    let keys = config.issuers.iter().filter_map(|issuer| issuer.keys.source());
    let responders = config.authorities.iter().flat_map(|authority| &authority.responders);
    let documents = lists.map(|list| &list.source).chain(keys.map(|keys| &keys.source));
    documents.chain(responders.map(|responder| &responder.source))
}

fn port(source: &Source) -> u16 {
    source.address.port()
}

fn ports(rules: &Rules) -> impl Iterator<Item = u16> {
    rules.servers.iter().map(|server| server.address.port())
}

fn of_database(rules: &PostgreSql) -> impl Iterator<Item = u16> {
    rules.servers.iter().map(|server| server.address.port())
}
