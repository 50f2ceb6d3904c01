//! The service under measurement: `chancery run --demo`, the real supervisor and the real processes, with the
//! few keys of its configuration that a plan sets. It is stopped when dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::Outcome;
use crate::credential::{self, Credential};
use crate::outside::Outside;
use crate::plan::Plan;
use crate::support::fault::counter;

/// How long a first start may take, keys and all, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// `CKA_ID` of the demo's key that signs tokens.
pub(crate) const KEY: &str = "a501";

/// Where everything is.
pub(crate) struct Stage {
    pub(crate) directory: PathBuf,
    pub(crate) programs: PathBuf,
    pub(crate) softhsm: PathBuf,
    pub(crate) fault_module: PathBuf,
    pub(crate) outside: Outside,
}

impl Stage {
    /// The demo with a plan's key.
    pub(crate) fn demo(&self, plan: &Plan) -> PathBuf {
        self.directory.join(plan.credential.map_or(plan.algorithm, Credential::demo))
    }

    /// The module whose rate is the ceiling.
    pub(crate) fn module(&self, plan: &Plan) -> PathBuf {
        if plan.latency_ms > 0 { self.fault_module.clone() } else { self.softhsm.clone() }
    }

    /// What the fault module must know, for any process that loads it. Where it only counts it looks for no instructions.
    pub(crate) fn environment(&self, plan: &Plan, command: &mut Command) {
        let fault = self.demo(plan).join("fault");
        command
            .env("SOFTHSM2_CONF", self.demo(plan).join("softhsm2.conf"))
            .env("CHANCERY_FAULT_MODULE", &self.softhsm)
            .env("CHANCERY_FAULT_COUNTS", fault.join("counts"));
        if plan.latency_ms > 0 {
            command.env("CHANCERY_FAULT_CONTROL", fault.join("control"));
        }
    }

    /// Processor time that the module has used within the processes of this plan so far.
    pub(crate) fn inside(&self, plan: &Plan) -> Duration {
        Duration::from_nanos(counter(&self.demo(plan).join("fault/counts"), "inside", 0))
    }

    /// What starts the demo.
    fn made(&self, plan: &Plan) -> Command {
        let mut command = Command::new(self.programs.join("chancery"));
        command.args(["run", "--demo", "--demo-algorithm", plan.algorithm]).arg("--directory").arg(self.demo(plan));
        command.arg("--module").arg(&self.softhsm);
        command
    }

    /// What starts it as its operator has configured it since.
    fn configured(&self, plan: &Plan) -> Command {
        let demo = self.demo(plan);
        let mut command = Command::new(self.programs.join("chancery"));
        command.args(["run", "--metrics-port", "0", "--listener", &format!("{}=0", credential::LISTENER)]);
        command.arg("--config").arg(demo.join("etc")).arg("--credentials").arg(demo.join("credentials"));
        command
    }

    /// Makes the demo with a plan's key, unless it is there, and lifts the quotas of its relying party and the pace
    /// of its user: the module is to be the limit.
    pub(crate) fn make(&self, plan: &Plan) -> Outcome<()> {
        let demo = self.demo(plan);
        if demo.exists() {
            return Ok(());
        }
        fs::create_dir_all(demo.join("fault"))?;
        let service = Service::run(self, plan, &mut self.made(plan))?;
        fs::write(demo.join("facts.json"), service.ready.to_string())?;
        drop(service);
        for party in ["microsoft", "generic"] {
            let file = demo.join(format!("etc/issuer.d/relying-parties/{party}.toml"));
            let quotas = "quota_per_minute = 60000000\nquota_per_account_per_minute = 60000000\n";
            edit(&file, |line| if line.starts_with("quota") { String::new() } else { format!("{line}\n") }, quotas)?;
        }
        let pace: String = ["user", "address", "account"]
            .map(|whose| format!("{whose}_burst = 1000000\n{whose}_per_minute = 1000000\n"))
            .concat();
        let pace = &format!("[throttle]\n{pace}");
        if let Some(credential) = plan.credential {
            return credential::configure(&demo, credential, pace, &self.outside);
        }
        fs::write(demo.join("etc/auth.d/auth.toml"), pace)?;
        Ok(())
    }

    /// Sets the module, its latency and the sessions. The signers always have the fault module, which says what the
    /// module behind it used of the processor.
    pub(crate) fn configure(&self, plan: &Plan) -> Outcome<()> {
        let demo = self.demo(plan);
        fs::write(demo.join("fault/control"), format!("sign_delay_us {}\n", plan.latency_ms * 1000))?;
        let settings = format!(
            "module = {:?}\nsessions = {}\nread = [\"../../softhsm2.conf\", \"../../fault\"]\n",
            self.fault_module.display().to_string(),
            plan.sessions
        );
        let kept = |line: &str| {
            let ours = ["module =", "sessions =", "read ="].iter().any(|key| line.starts_with(key));
            if ours { String::new() } else { format!("{line}\n") }
        };
        edit(&demo.join("etc/signer.d/signer.toml"), kept, &settings)
    }
}

fn edit(file: &Path, kept: impl Fn(&str) -> String, first: &str) -> Outcome<()> {
    let text: String = fs::read_to_string(file)?.lines().map(kept).collect();
    Ok(fs::write(file, format!("{first}{text}"))?)
}

/// A running service.
pub(crate) struct Service {
    supervisor: Child,
    ready: Value,
    /// From start to ready.
    pub(crate) took: Duration,
}

impl Service {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(stage: &Stage, plan: &Plan) -> Outcome<Self> {
        let mut command = if plan.credential.is_some() { stage.configured(plan) } else { stage.made(plan) };
        let mut service = Self::run(stage, plan, &mut command)?;
        // What only a demo tells.
        let facts: Value = serde_json::from_slice(&fs::read(stage.demo(plan).join("facts.json"))?)?;
        for (name, fact) in facts.as_object().into_iter().flatten() {
            if service.ready[name].is_null() {
                service.ready[name] = fact.clone();
            }
        }
        Ok(service)
    }

    fn run(stage: &Stage, plan: &Plan, command: &mut Command) -> Outcome<Self> {
        let demo = stage.demo(plan);
        let (ready_file, log) = (demo.join("ready.json"), demo.join("log"));
        command.args(["--die-with-parent", "--port", "0", "--signers", &plan.signers.to_string()]);
        command.arg("--ready-file").arg(&ready_file);
        stage.environment(plan, command);
        let begun = Instant::now();
        let supervisor = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log)?).spawn()?;
        let mut service = Self { supervisor, ready: Value::Null, took: Duration::ZERO };
        loop {
            if let Ok(text) = fs::read(&ready_file) {
                service.took = begun.elapsed();
                service.ready = serde_json::from_slice(&text)?;
                return Ok(service);
            }
            if service.supervisor.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                return Err(format!("the service was not ready:\n{}", fs::read_to_string(&log)?).into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// A fact of the ready file.
    pub(crate) fn fact(&self, name: &str) -> Outcome<&str> {
        self.ready[name].as_str().ok_or_else(|| format!("the ready file has no {name}").into())
    }

    /// The port it serves on those who prove themselves so.
    pub(crate) fn port(&self, credential: Option<Credential>) -> Outcome<&str> {
        let asking = self.ready["listeners"][credential::LISTENER].as_str();
        let address = match credential {
            Some(Credential::TlsCertificate) => asking.ok_or("no listener asks for certificates")?,
            _ => self.fact("address").or_else(|_| self.fact("url"))?,
        };
        address.rsplit(':').next().ok_or_else(|| "no port".into())
    }

    /// Every process by name (`signer@2`), the supervisor too.
    pub(crate) fn processes(&self) -> Vec<(String, u32)> {
        let pids = self.ready["pids"].as_object().into_iter().flatten();
        pids.filter_map(|(name, pid)| Some((name.clone(), u32::try_from(pid.as_u64()?).ok()?)))
            .chain([("supervisor".to_owned(), self.supervisor.id())])
            .collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.supervisor.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let _ = self.supervisor.wait();
    }
}
