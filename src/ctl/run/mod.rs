//! `chancery run`: the supervisor where systemd is not — containers, CI, laptops. Same programs, same
//! sockets, one unprivileged user: here seccomp, landlock and non-dumpable memory are the walls between the
//! processes, and not user ids. It handles no request and reads no secret but to pass on where the PIN is.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod announce;
mod child;
mod demo;
mod fleet;
mod listeners;
mod supervise;

use announce::{News, write_whole};
use fleet::{Strength, Surroundings};
use listeners::{Listeners, tcp};
use supervise::{Runtime, Supervisor};

use crate::config::load::ConfigError;
use crate::config::signer::Signer;
use crate::wire::ceremony::Algorithm;

/// Arguments of `chancery run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Root of the configuration (worker.d, auth.d, issuer.d, signer.d, audit.d below it)
    #[arg(long, value_name = "ROOT", default_value = "/etc/chancery", conflicts_with = "demo")]
    config: PathBuf,
    /// Make a throw-away token, keys, configuration, a demo relying party and a demo user, and run those
    #[arg(long)]
    demo: bool,
    /// Where the demo lives; a second run finds everything there and is fast
    #[arg(long, value_name = "DIR", default_value = ".demo", requires = "demo")]
    directory: PathBuf,
    /// Directory with the file `pin`, for the signers [default: $CREDENTIALS_DIRECTORY, else STATE/credentials]
    #[arg(long, value_name = "DIR")]
    credentials: Option<PathBuf>,
    /// Directory of this service's state
    #[arg(long, value_name = "DIR", default_value = "/var/lib/chancery", conflicts_with = "demo")]
    state: PathBuf,
    /// With --demo: the PKCS#11 module to use; it must reach a SoftHSM [default: SoftHSM's own]
    #[arg(long, value_name = "FILE", requires = "demo")]
    module: Option<PathBuf>,
    /// With --demo: algorithm of the key that signs tokens, when it is made
    #[arg(long, value_name = "NAME", requires = "demo", default_value = "rsa-2048",
        value_parser = crate::ctl::key::algorithm)]
    demo_algorithm: Algorithm,
    /// Worker processes; with 0 nobody serves, and the other processes wait at their sockets
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=64))]
    workers: u32,
    /// Signer processes
    #[arg(long, value_name = "M", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    signers: u32,
    /// Address to serve on
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// Port to serve on; with --demo, 0 takes a free one [default: that of public_url]
    #[arg(long, value_name = "P")]
    port: Option<u16>,
    /// Another port to serve on, under the name that a [[listener]] of worker.toml has; 0 takes a free one
    #[arg(long, value_name = "NAME=P", value_parser = named_port)]
    listener: Vec<(String, u16)>,
    /// Port of /metrics on 127.0.0.1; 0 takes a free one [default: 9464, with --demo 0]
    #[arg(long, value_name = "P")]
    metrics_port: Option<u16>,
    /// Write a JSON file here when every process is ready
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Stop in order when the process that started this one ends
    #[arg(long)]
    die_with_parent: bool,
    /// Another variable for the signers' environment, taken from ours (a vendor module's)
    #[arg(long, value_name = "NAME")]
    signer_env: Vec<String>,
}

/// What a service is made of, once arguments and configuration are read.
struct Service {
    config: PathBuf,
    credentials: Option<PathBuf>,
    vendor: Vec<(std::ffi::OsString, std::ffi::OsString)>,
    https: TcpListener,
    news: News,
    /// Lines for people, after the ready line.
    advice: Vec<String>,
    /// Called when all is ready, before the announcement.
    proof: Option<demo::Proof>,
}

/// Runs the supervisor until it is told to stop.
#[must_use]
pub fn run(args: Args) -> ExitCode {
    crate::sys::log::start("chancery");
    if args.die_with_parent
        && let Err(error) = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)
    {
        tracing::warn!(event = "die-with-parent", why = %error);
    }
    match start(args) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(event = "not-started", why = %error);
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args) -> io::Result<ExitCode> {
    let programs = fleet::programs()?;
    // A demo's token is thrown away with its marks.
    if !args.demo
        && let Some(why) = volatile_state(&args.config)
    {
        tracing::error!(event = "not-started", why = %why);
        return Ok(child::hopeless());
    }
    forget(args.ready_file.as_deref())?;
    let metrics = tcp(Ipv4Addr::LOCALHOST.into(), args.metrics_port.unwrap_or(if args.demo { 0 } else { 9464 }))?;
    let service = if args.demo { demo::prepare(&args)? } else { configured(&args)? };
    let mut news = service.news;
    news.metrics = format!("http://{}/metrics", metrics.local_addr()?);
    let runtime = Runtime::make()?;
    news.more.push(("runtime", runtime.path().display().to_string()));
    // With port 0, or behind a proxy, that is not what the URL says.
    news.more.push(("address", service.https.local_addr()?.to_string()));
    let mut listeners = Listeners::make(runtime.path())?;
    listeners.add("worker", "https", service.https);
    for (name, port) in &args.listener {
        let listener = tcp(args.address, *port)?;
        news.listeners.push((name.clone(), listener.local_addr()?.to_string()));
        listeners.add("worker", name, listener);
    }
    listeners.add("exporter", "http", metrics);
    tracing::warn!(
        event = "walls",
        "all processes run as one user: seccomp and landlock stand between them, user ids do not; under systemd both do"
    );
    let around = Surroundings {
        programs,
        config: service.config,
        runtime: runtime.path().to_owned(),
        credentials: service.credentials,
        vendor: service.vendor,
    };
    let kerberos = crate::config::kerberos::place(&around.config).exists();
    if kerberos {
        fleet::present(&around.programs, "kerberos")?;
    }
    let strength = Strength { workers: args.workers, signers: args.signers, kerberos };
    let runner = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ready_file = args.ready_file.clone();
    let code = runner.block_on(async {
        let supervisor = Supervisor::new(around, listeners, strength)?;
        let announce = move |pids: &[(String, u32)]| {
            say(&news.line(pids));
            if let Some(path) = &ready_file {
                write_whole(path, format!("{:#}\n", news.json(pids)).as_bytes(), 0o644)?;
            }
            let advice = service.advice;
            if let Some(proof) = service.proof {
                // The loop goes on meanwhile: a process that dies now must be seen.
                tokio::task::spawn_blocking(move || {
                    proof().iter().chain(&advice).for_each(|line| say(line));
                });
                return Ok(());
            }
            advice.iter().for_each(|line| say(line));
            Ok(())
        };
        Ok::<_, io::Error>(supervisor.run(announce).await)
    });
    // A first token nobody waits for any more.
    runner.shutdown_background();
    forget(args.ready_file.as_deref())?;
    code
}

/// Removes a ready file: there is one while the service is ready, and not before or after.
fn forget(ready_file: Option<&Path>) -> io::Result<()> {
    match ready_file.map(std::fs::remove_file) {
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Why whoever starts this again, in a container made anew, would try a refused PIN again. What else is wrong with that
/// file a signer says.
fn volatile_state(config: &Path) -> Option<ConfigError> {
    Signer::load(config).ok()?.volatile_state()
}

/// A service configured by its operator.
fn configured(args: &Args) -> io::Result<Service> {
    let worker = table(&args.config.join("worker.d/worker.toml"))?;
    let url = worker.get("public_url").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    let port = args.port.map_or_else(|| port_of(&url), Ok)?;
    let inherited = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let credentials = args.credentials.clone().or(inherited).unwrap_or_else(|| args.state.join("credentials"));
    Ok(Service {
        config: args.config.clone(),
        credentials: Some(credentials),
        vendor: vendor(&args.signer_env),
        https: tcp(args.address, port)?,
        news: News {
            url,
            metrics: String::new(),
            ca: None,
            record: record_directory(&args.config).ok(),
            listeners: Vec::new(),
            more: Vec::new(),
        },
        advice: Vec::new(),
        proof: None,
    })
}

/// `SOFTHSM2_CONF` and what was asked for, as far as we have it ourselves.
fn vendor(asked: &[String]) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    std::iter::once("SOFTHSM2_CONF")
        .chain(asked.iter().map(String::as_str))
        .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
        .collect()
}

/// `NAME=PORT`.
fn named_port(text: &str) -> Result<(String, u16), String> {
    let (name, port) = text.split_once('=').ok_or("not NAME=PORT")?;
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err("the name of a listener is ASCII letters, digits, '-', '_' or '.'".to_owned());
    }
    Ok((name.to_owned(), port.parse().map_err(|_| "not a port")?))
}

/// Tells whoever looks. Nobody may, or the disk may be full: what runs goes on.
fn say(line: &str) {
    let _nobody_hears = writeln!(io::stderr(), "{line}");
}

/// The port a URL names, or that of its scheme.
fn port_of(url: &str) -> io::Result<u16> {
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, format!("public_url {url:?} is not an https URL"));
    let rest = url.strip_prefix("https://").ok_or_else(bad)?;
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') => port.parse().map_err(|_| bad()),
        _ => Ok(443),
    }
}

/// Where the record is, from `audit.d/audit.toml`.
fn record_directory(config: &Path) -> io::Result<PathBuf> {
    let file = config.join("audit.d/audit.toml");
    let audit = table(&file)?;
    let directory = audit.get("directory").and_then(toml::Value::as_str).unwrap_or_default();
    Ok(config.join("audit.d").join(directory))
}

/// A configuration file as it stands; its owner checks it against the schema.
fn table(path: &Path) -> io::Result<toml::Table> {
    crate::config::load::file::<toml::Table>(path).map(|loaded| loaded.value).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_the_public_url() {
        assert_eq!(port_of("https://sts.example.com:8443/x").unwrap(), 8443);
        assert_eq!(port_of("https://sts.example.com").unwrap(), 443);
        assert_eq!(port_of("https://[::1]/").unwrap(), 443);
        assert_eq!(port_of("https://[::1]:444/").unwrap(), 444);
        assert!(port_of("http://sts.example.com").is_err());
        assert!(port_of("https://sts.example.com:http").is_err());
    }
}
