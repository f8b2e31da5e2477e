//! What comes of the rounds, as a table.

use std::fmt::Write as _;

use super::load::Measured;
use super::server::Server;

#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<String>,
    memory: Vec<String>,
}

const HEAD: &str = "\
| what | callgate a second | CPU, µs | p50, µs | p99, µs | p99.9, µs | rate / floor | CPU / floor | p99 / floor |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |";

// === impl Table ===

impl Table {
    /// A line: the medians of callgate's rounds, and of the ratios of each round to the floor's,
    /// with the least and the greatest.
    pub(crate) fn add(&mut self, name: &str, rounds: &[[Measured; 2]]) {
        let own = |of: fn(&Measured) -> f64| median(rounds.iter().map(|[_, own]| of(own)));
        let ratio = |of: fn(&Measured) -> f64| {
            let ratios = || rounds.iter().map(|[floor, own]| of(own) / of(floor));
            let least = ratios().fold(f64::INFINITY, f64::min);
            let most = ratios().fold(0.0, f64::max);
            format!("{:.2} ({least:.2} to {most:.2})", median(ratios()))
        };
        let line = format!(
            "| {name} | {:.0} | {:.2} | {:.0} | {:.0} | {:.0} | {} | {} | {} |",
            own(|of| of.rate),
            own(|of| of.cpu * 1e6),
            own(|of| of.latencies[0] * 1e6),
            own(|of| of.latencies[1] * 1e6),
            own(|of| of.latencies[2] * 1e6),
            ratio(|of| of.rate),
            ratio(|of| of.cpu),
            ratio(|of| of.latencies[1]),
        );
        if self.lines.is_empty() {
            println!("{HEAD}");
        }
        println!("{line}");
        self.lines.push(line);
    }

    pub(crate) fn memory(&mut self, name: &str, server: &Server) {
        let [most, now] = server
            .memory()
            .map(|bytes| bytes as f64 / f64::from(1 << 20));
        let line = format!("| {name} | {most:.1} | {now:.1} |");
        println!("{line}");
        self.memory.push(line);
    }

    /// Writes it all down.
    pub(crate) fn finish(self) {
        let mut text = format!("{HEAD}\n{}\n", self.lines.join("\n"));
        let memory = self.memory.join("\n");
        let head = "| process | most memory, MiB | at the end, MiB |\n| --- | --- | --- |";
        let _ = writeln!(text, "\n{head}\n{memory}");
        std::fs::create_dir_all(super::results()).unwrap();
        std::fs::write(super::results().join("http.md"), text).unwrap();
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
