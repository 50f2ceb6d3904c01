//! One round of one plan: raw `C_Sign` in each mix, then the service, one right after the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

use crate::Outcome;
use crate::credential::{self, Credential, PARTY};
use crate::errand::{Done, Errand};
use crate::load::Seen;
use crate::outside::user;
use crate::plan::Plan;
use crate::process::{cpu, pss_kib};
use crate::service::{KEY, Service, Stage};

/// What one round found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    /// The mix with the highest rate.
    pub(crate) best_mix: (u32, u32),
    /// Its signatures a second.
    pub(crate) raw_rate: f64,
    /// Processor time of one of its signatures, µs.
    pub(crate) raw_cpu_us: f64,
    /// Tokens a second.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Answers that were no token.
    pub(crate) failed: u64,
    /// Processor time a token, µs, by role.
    pub(crate) cpu_us: BTreeMap<String, f64>,
    /// What the module used of it, in the signers, µs a token.
    pub(crate) inside_us: f64,
    /// That of the clients, µs.
    pub(crate) load_cpu_us: f64,
    /// KiB by process, where we may know.
    pub(crate) pss_kib: Option<BTreeMap<String, u64>>,
    pub(crate) ready_ms: f64,
}

impl Figures {
    /// For whoever watches.
    pub(crate) fn line(&self) -> String {
        let (raw, (processes, threads)) = (self.raw_rate, self.best_mix);
        format!("raw {raw:.0}/s ({processes}x{threads}), issued {:.0}/s, ready {:.0} ms", self.rate, self.ready_ms)
    }
}

/// Measures.
pub(crate) fn measure(stage: &Stage, plan: &Plan, seconds: f64) -> Outcome<Figures> {
    stage.configure(plan)?;
    let mut best: Option<((u32, u32), f64, f64)> = None;
    for &mix in &plan.mixes {
        let (rate, cpu_us) = raw(stage, plan, mix, seconds / 2.0)?;
        if best.is_none_or(|(_, highest, _)| rate > highest) {
            best = Some((mix, rate, cpu_us));
        }
    }
    let (best_mix, raw_rate, raw_cpu_us) = best.ok_or("no mix")?;

    let service = Service::start(stage, plan)?;
    let demo = stage.demo(plan);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["load", "--port", service.port(plan.credential)?, "--ca", service.fact("ca")?]);
    match plan.credential {
        Some(Credential::Directory) => {
            command.args(["--user", &user(0)]).arg("--password-file").arg(credential::keys(&demo).join("password"));
        }
        _ => {
            command.args(["--user", service.fact("user")?, "--password-file", service.fact("password_file")?]);
        }
    }
    match plan.credential {
        Some(credential) => {
            command.args(["--applies-to", PARTY, "--credential", credential.name()]);
            command.arg("--keys").arg(credential::keys(&demo));
            if credential == Credential::Kerberos {
                // More than are asked for in that time.
                let count = (seconds * 2000.0) as usize + 64 * plan.connections as usize;
                command.arg("--tickets").arg(stage.outside.tickets(&demo, count)?);
            }
        }
        None => {
            command.args(["--applies-to", service.fact("applies_to")?]);
        }
    }
    command.args(["--connections", &plan.connections.to_string(), "--seconds", &seconds.to_string()]);
    let mut load = Errand::prepare(&mut command)?;
    let processes = service.processes();
    let now = || processes.iter().map(|(_, pid)| cpu(*pid)).collect::<Outcome<Vec<Duration>>>();
    let (before, inside) = (now()?, stage.inside(plan));
    load.begin()?;
    let seen: Seen = load.end()?;
    let (after, inside) = (now()?, stage.inside(plan).saturating_sub(inside));

    let tokens = seen.done.count as f64;
    let mut cpu_us = BTreeMap::new();
    for ((name, _), (before, after)) in processes.iter().zip(before.iter().zip(&after)) {
        let role = name.split('@').next().unwrap_or(name).to_owned();
        *cpu_us.entry(role).or_insert(0.0) += (*after - *before).as_secs_f64() * 1e6 / tokens;
    }
    Ok(Figures {
        best_mix,
        raw_rate,
        raw_cpu_us,
        rate: tokens / seen.done.elapsed_s,
        p50_ms: seen.p50_ms,
        p99_ms: seen.p99_ms,
        failed: seen.failed,
        cpu_us,
        inside_us: inside.as_secs_f64() * 1e6 / tokens,
        load_cpu_us: seen.done.cpu_us / tokens,
        pss_kib: processes.iter().map(|(name, pid)| Some((name.clone(), pss_kib(*pid)?))).collect(),
        ready_ms: service.took.as_secs_f64() * 1e3,
    })
}

/// Signatures a second, and processor time of one, µs, with so many processes and threads in each.
fn raw(stage: &Stage, plan: &Plan, (processes, threads): (u32, u32), seconds: f64) -> Outcome<(f64, f64)> {
    let pin = stage.demo(plan).join("credentials/pin");
    let errand = |module: &Path| {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["raw", "--id", KEY, "--algorithm", plan.algorithm]).arg("--module").arg(module);
        command.args(["--threads", &threads.to_string(), "--seconds", &seconds.to_string()]);
        stage.environment(plan, command.arg("--pin-file").arg(&pin));
        Errand::prepare(&mut command)
    };
    let module = stage.module(plan);
    let mut errands = (0..processes).map(|_| errand(&module)).collect::<Outcome<Vec<Errand>>>()?;
    errands.iter_mut().try_for_each(Errand::begin)?;
    let done = errands.into_iter().map(Errand::end).collect::<Outcome<Vec<Done>>>()?;
    let count: u64 = done.iter().map(|done| done.count).sum();
    let cpu_us: f64 = done.iter().map(|done| done.cpu_us).sum();
    Ok((done.iter().map(|done| done.count as f64 / done.elapsed_s).sum(), cpu_us / count as f64))
}
