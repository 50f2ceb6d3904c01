//! Snapshots in the Prometheus text format, version 0.0.4: each family once, with its HELP and TYPE, and the
//! samples of every process below it, told apart by the label `process`.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::board::Board;
use crate::wire::snapshot::{Family, FamilyKind, Sample};

/// `Content-Type` of what [`exposition`] writes.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything the board holds.
pub(super) fn exposition(board: &Board) -> String {
    let mut families: BTreeMap<&str, Vec<(&str, &Family)>> = BTreeMap::new();
    for snapshot in board.snapshots() {
        for family in snapshot.families.iter() {
            families.entry(&family.name).or_default().push((&snapshot.process, family));
        }
    }
    let mut out = String::new();
    let text = "# HELP chancery_ready Says the process that it is ready?\n# TYPE chancery_ready gauge\n";
    out.push_str(text);
    for snapshot in board.snapshots() {
        out.push_str("chancery_ready{process=\"");
        escape(&mut out, &snapshot.process, true);
        out.push_str(if snapshot.ready { "\"} 1\n" } else { "\"} 0\n" });
    }
    for (name, of_processes) in families {
        let Some((_, first)) = of_processes.first().filter(|_| name != "chancery_ready") else { continue };
        out.push_str("# HELP ");
        out.push_str(name);
        out.push(' ');
        escape(&mut out, &first.help, false);
        let kind = match first.kind {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
            FamilyKind::Histogram => "histogram",
        };
        let _ = writeln!(out, "\n# TYPE {name} {kind}");
        // Two processes of different versions may disagree; one TYPE line cannot be right for both.
        for (process, family) in of_processes.iter().filter(|(_, family)| family.kind == first.kind) {
            family.samples.iter().for_each(|sample| line(&mut out, name, process, sample));
        }
    }
    out
}

fn line(out: &mut String, name: &str, process: &str, sample: &Sample) {
    out.push_str(name);
    out.push_str(&sample.suffix);
    out.push_str("{process=\"");
    escape(out, process, true);
    for label in sample.labels.iter() {
        out.push_str("\",");
        out.push_str(&label.name);
        out.push_str("=\"");
        escape(out, &label.value, true);
    }
    out.push_str("\"} ");
    let value = sample.value;
    let _ = match (value.is_infinite(), value > 0.0) {
        (true, true) => writeln!(out, "+Inf"),
        (true, false) => writeln!(out, "-Inf"),
        (false, _) => writeln!(out, "{value}"),
    };
}

fn escape(out: &mut String, text: &str, quoted: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quoted => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::board::Fate;
    use super::super::board::tests::{ONE, snapshot};
    use super::*;
    use std::time::Instant;

    #[test]
    fn families_stand_once_with_the_samples_of_every_process_escaped() {
        let mut board = Board::default();
        for process in ["auth", "worker@1"] {
            let datagram = snapshot(process, process == "auth", &[("why", "a \"b\\\nc")]);
            assert_eq!(board.take(&datagram, ONE, Instant::now()), Fate::Taken);
        }
        let wanted = "# HELP chancery_ready Says the process that it is ready?\n\
            # TYPE chancery_ready gauge\n\
            chancery_ready{process=\"auth\"} 1\n\
            chancery_ready{process=\"worker@1\"} 0\n\
            # HELP chancery_x Back\\\\slash\\nand line.\n\
            # TYPE chancery_x gauge\n\
            chancery_x{process=\"auth\",why=\"a \\\"b\\\\\\nc\"} 1.5\n\
            chancery_x{process=\"worker@1\",why=\"a \\\"b\\\\\\nc\"} 1.5\n";
        assert_eq!(exposition(&board), wanted);
    }
}
