//! What the kernel says about a process: processor time and memory.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use crate::Outcome;

/// Processor time of a process so far, user and system, threads that ended included. In steps of 10 ms.
pub(crate) fn cpu(pid: u32) -> Outcome<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path)?;
    // The second field is the program's name, in parentheses, and may hold anything.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).ok_or(format!("{path}: no name"))?;
    let ticks: Vec<u64> = fields.skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    // USER_HZ is 100 on every architecture this runs on.
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}

/// Processor time of this process so far.
pub(crate) fn own_cpu() -> Outcome<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs()) + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}

/// Proportional set size, KiB; none when we may not know: the processes are not dumpable, so that only root
/// sees their memory.
pub(crate) fn pss_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}
