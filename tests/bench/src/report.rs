//! Medians over the rounds, beside their goals. A goal that is missed is said, and nothing else: the judge of
//! a figure from a shared machine is whoever reads it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::credential::Credential;
use crate::plan::Plan;
use crate::round::Figures;

/// What a signature may cost more than a password, outside the module, µs a token.
const BY_SIGNATURE_US: f64 = 250.0;
/// Goals: processor time a token outside the module, µs; part of a latent module's ceiling; memory; start.
const OUTSIDE_US: f64 = 300.0;
const OF_CEILING: f64 = 0.97;
const PSS_MB: f64 = 80.0;
const READY_MS: f64 = 500.0;

/// One plan, measured.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    plan: Plan,
    median: Figures,
    /// Processor time a token outside the module, µs: every process, less what the module used within the signers.
    outside_us: f64,
    /// Of it the signers'.
    signers_outside_us: f64,
    /// Tokens a second over raw signatures a second.
    of_ceiling: f64,
    /// raw ÷ (raw + ours), processor time.
    raw_part: f64,
    /// Of all processes, MB.
    pss_mb: Option<f64>,
    rounds: Vec<Figures>,
}

impl Measured {
    pub(crate) fn new(plan: Plan, rounds: &[Figures]) -> Self {
        let of = |figure: &dyn Fn(&Figures) -> f64| median(rounds.iter().map(figure).collect());
        let roles: Vec<String> = rounds.iter().flat_map(|round| round.cpu_us.keys().cloned()).collect();
        let cpu_us: BTreeMap<String, f64> = (roles.into_iter())
            .map(|role| (role.clone(), of(&|round| round.cpu_us.get(&role).copied().unwrap_or(0.0))))
            .collect();
        let outside = |round: &Figures| round.cpu_us.values().sum::<f64>() - round.inside_us;
        let signers = |round: &Figures| round.cpu_us.get("signer").copied().unwrap_or(0.0) - round.inside_us;
        let last = rounds.last().expect("there was a round");
        let pss_mb = (last.pss_kib.as_ref()).map(|all| all.values().sum::<u64>() as f64 * 1024.0 / 1e6);
        let median = Figures {
            raw_rate: of(&|round| round.raw_rate),
            raw_cpu_us: of(&|round| round.raw_cpu_us),
            rate: of(&|round| round.rate),
            p50_ms: of(&|round| round.p50_ms),
            p99_ms: of(&|round| round.p99_ms),
            failed: rounds.iter().map(|round| round.failed).sum(),
            inside_us: of(&|round| round.inside_us),
            load_cpu_us: of(&|round| round.load_cpu_us),
            ready_ms: of(&|round| round.ready_ms),
            cpu_us,
            ..last.clone()
        };
        let outside_us = of(&outside);
        Self {
            outside_us,
            signers_outside_us: of(&signers),
            of_ceiling: median.rate / median.raw_rate,
            raw_part: median.raw_cpu_us / (median.raw_cpu_us + outside_us),
            pss_mb,
            rounds: rounds.to_vec(),
            plan,
            median,
        }
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    let half = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[half] } else { (figures[half - 1] + figures[half]) / 2.0 }
}

/// `figure (goal …, met)`.
fn judged(figure: f64, unit: &str, goal: String, met: bool) -> String {
    format!("{figure:.1} {unit} (goal {goal}: {})", if met { "met" } else { "NOT MET" })
}

/// The tables.
pub(crate) fn print(all: &[Measured]) {
    println!("\nTOKENS, medians. Raw: C_Sign alone, the best mix of processes x threads. Ceiling: that rate.");
    println!(
        "{:<19} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7}",
        "", "clients", "raw/s", "raw us", "issued/s", "p50 ms", "p99 ms", "ceiling", "failed"
    );
    for Measured { plan, median, of_ceiling, .. } in all {
        println!(
            "{:<19} {:>7} {:>8.1} {:>8.0} {:>8.1} {:>8.2} {:>8.2} {:>7.1}% {:>7}",
            plan.name,
            plan.connections,
            median.raw_rate,
            median.raw_cpu_us,
            median.rate,
            median.p50_ms,
            median.p99_ms,
            of_ceiling * 100.0,
            median.failed
        );
    }
    println!("\nPROCESSOR TIME A TOKEN, us. Signer: what the signers used, less what the module did there.");
    let roles = ["worker", "auth", "kerberos", "issuer", "audit"];
    print!("{:<19}", "");
    roles
        .iter()
        .chain(&["signer", "rest", "outside", "goal", "module", "raw part", "clients"])
        .for_each(|role| print!("{role:>9}"));
    println!();
    for Measured { plan, median, outside_us, signers_outside_us, raw_part, .. } in all {
        let of = |role: &str| median.cpu_us.get(role).copied().unwrap_or(0.0);
        print!("{:<19}", plan.name);
        roles.iter().for_each(|role| print!("{:>9.0}", of(role)));
        let met = if *outside_us <= OUTSIDE_US { "met" } else { "NOT MET" };
        print!("{signers_outside_us:>9.0}{:>9.0}{outside_us:>9.0}{met:>9}", of("exporter") + of("supervisor"));
        println!("{:>9.0}{:>8.1}%{:>9.0}", median.inside_us, raw_part * 100.0, median.load_cpu_us);
    }
    println!("goal: at most {OUTSIDE_US:.0} us outside the module\n");
    let by = |credential| all.iter().find(|one| one.plan.credential == Some(credential));
    if let Some(password) = by(Credential::Password) {
        for one in all.iter().filter(|one| one.plan.credential.is_some_and(|other| other != Credential::Password)) {
            let more = one.outside_us - password.outside_us;
            let said = match one.plan.credential {
                Some(Credential::Signature | Credential::Issued) => {
                    judged(more, "us", format!("{BY_SIGNATURE_US:.0} us"), more <= BY_SIGNATURE_US)
                }
                _ => format!("{more:.1} us"),
            };
            println!("{:<19} outside the module, more than by password: {said}", one.plan.name);
        }
    }
    for measured in all {
        if let Some(ceiling) = measured.plan.latency_ceiling() {
            let part = judged(measured.of_ceiling * 100.0, "%", "97 %".to_owned(), measured.of_ceiling >= OF_CEILING);
            println!("{:<19} of ceiling: {part}; latency alone allows {ceiling:.0}/s", measured.plan.name);
        }
    }
    for measured in all {
        let (ready, signers) = (measured.median.ready_ms, measured.plan.signers);
        let ready = judged(ready, "ms", format!("{READY_MS:.0} ms"), ready <= READY_MS);
        println!("{:<19} ready, keys there, {signers} signers: {ready}", measured.plan.name);
    }
    for measured in all {
        let (Some(total), Some(each)) = (measured.pss_mb, &measured.median.pss_kib) else {
            println!(
                "{:<19} memory: not known; the processes are not dumpable, and only root may look",
                measured.plan.name
            );
            continue;
        };
        let total = judged(total, "MB", format!("{PSS_MB:.0} MB"), total <= PSS_MB);
        let each: Vec<String> = each.iter().map(|(name, kib)| format!("{name} {:.1}", *kib as f64 / 976.6)).collect();
        println!("{:<19} PSS after load: {total}: {}", measured.plan.name, each.join(", "));
    }
}
