//! `make bench`: what a token costs, and where. Raw `C_Sign` and the whole service behind its front door are
//! measured in the same run, in rounds that alternate between them, because a figure of one minute on a
//! shared machine says nothing about another. Nothing here is shipped, and no figure fails the run.

use std::path::PathBuf;
use std::process::ExitCode;

mod credential;
mod envelope;
mod errand;
mod load;
mod outside;
mod plan;
mod process;
mod raw;
mod report;
mod round;
mod service;
#[path = "../../support"]
mod support {
    pub(crate) mod authority;
    #[expect(dead_code, reason = "shared with tests, which build the module")]
    pub(crate) mod fault;
    #[expect(dead_code, reason = "shared with tests/kerberos, which uses more of it")]
    pub(crate) mod kdc;
    #[expect(dead_code, reason = "shared with tests of daemons, which start them")]
    pub(crate) mod processes;
    #[expect(dead_code, reason = "shared with tests/directory.rs, which uses all of it")]
    pub(crate) mod slapd;
}
mod xml;

/// Whatever went wrong, for the person who started it.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Debug, clap::Parser)]
#[command(about = "What a token costs, and where")]
enum Words {
    /// Measure everything and print a table
    Run(RunArgs),
    /// One process that calls C_Sign; started by `run`
    #[command(hide = true)]
    Raw(raw::Args),
    /// One process that asks for tokens; started by `run`
    #[command(hide = true)]
    Load(load::Args),
}

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Rounds; medians are over these
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Length of each measurement, seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Write the figures here too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only the configurations whose name holds this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Where tokens, keys and records of the run are made: on a disk, for the record's sake
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
    /// Where the programs are [default: beside this one]
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// The fault module [default: beside the programs]
    #[arg(long, value_name = "FILE")]
    fault_module: Option<PathBuf>,
    /// SoftHSM's module
    #[arg(long, value_name = "FILE", default_value = "/usr/lib/softhsm/libsofthsm2.so")]
    module: PathBuf,
}

fn main() -> ExitCode {
    let done = match <Words as clap::Parser>::parse() {
        Words::Run(args) => run(&args),
        Words::Raw(args) => raw::run(&args),
        Words::Load(args) => load::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chancery-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &RunArgs) -> Outcome<()> {
    let beside = std::env::current_exe()?.parent().map(PathBuf::from).unwrap_or_default();
    let plans = plan::all().into_iter().filter(|plan| plan.name.contains(&args.only)).collect();
    let (outside, plans) = outside::Outside::start(plans);
    let programs = args.programs.clone().unwrap_or(beside);
    let stage = service::Stage {
        directory: args.directory.clone(),
        // Named in a configuration, from which a path would be another one.
        fault_module: std::path::absolute(
            args.fault_module.clone().unwrap_or_else(|| programs.join("libchancery_fault_module.so")),
        )?,
        programs,
        softhsm: args.module.clone(),
        outside,
    };
    for plan in &plans {
        stage.make(plan)?;
    }
    let mut rounds: Vec<Vec<round::Figures>> = plans.iter().map(|_| Vec::new()).collect();
    for number in 1..=args.rounds {
        for (plan, figures) in plans.iter().zip(&mut rounds) {
            let one = round::measure(&stage, plan, args.seconds)?;
            eprintln!("round {number}/{}  {:<22} {}", args.rounds, plan.name, one.line());
            figures.push(one);
        }
    }
    let measured: Vec<report::Measured> =
        plans.into_iter().zip(&rounds).map(|(plan, figures)| report::Measured::new(plan, figures)).collect();
    report::print(&measured);
    let reading = xml::measure()?;
    if let Some(path) = &args.json {
        let figures = serde_json::json!({ "tokens": measured, "reading": reading });
        std::fs::write(path, format!("{figures:#}\n"))?;
    }
    Ok(())
}
