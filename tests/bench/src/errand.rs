//! A process of ours that does one thing for a while: it says `ready`, waits for a line, works, and prints
//! what it did as JSON. So several begin together, and their own preparation is not measured.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::process::own_cpu;
use crate::{Outcome, process};

/// What every errand tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Done {
    /// How often the thing was done.
    pub(crate) count: u64,
    /// How long it took.
    pub(crate) elapsed_s: f64,
    /// Processor time of the whole process.
    pub(crate) cpu_us: f64,
}

/// An errand that is ready and waits.
pub(crate) struct Errand {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Errand {
    /// Starts it and waits until it is ready.
    pub(crate) fn prepare(command: &mut Command) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        if line.trim_end() != "ready" {
            let status = child.wait()?;
            return Err(format!("{command:?} was not ready: {status}").into());
        }
        Ok(Self { child, input, output })
    }

    /// Lets it begin.
    pub(crate) fn begin(&mut self) -> Outcome<()> {
        Ok(self.input.write_all(b"go\n")?)
    }

    /// Waits for what it did.
    pub(crate) fn end<T: DeserializeOwned>(mut self) -> Outcome<T> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let status = self.child.wait()?;
        serde_json::from_str(&line).map_err(|error| format!("an errand ended with {status}: {error}").into())
    }
}

/// The errand's side: says that it is ready, and waits for the word.
pub(crate) fn wait_for_the_word() -> Outcome<Start> {
    println!("ready");
    std::io::stdin().lock().read_line(&mut String::new())?;
    Ok(Start { at: Instant::now(), cpu: process::own_cpu()? })
}

/// When an errand began.
pub(crate) struct Start {
    pub(crate) at: Instant,
    cpu: std::time::Duration,
}

impl Start {
    /// What was done since.
    pub(crate) fn done(&self, count: u64) -> Outcome<Done> {
        let (elapsed_s, cpu) = (self.at.elapsed().as_secs_f64(), own_cpu()? - self.cpu);
        Ok(Done { count, elapsed_s, cpu_us: cpu.as_secs_f64() * 1e6 })
    }
}
