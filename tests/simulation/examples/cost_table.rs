//! Prints what small jobs cost each server of an ensemble of three: the table of the page on performance.

use distjob_core::cost::{Load, Members, Prices};

fn main() {
    println!(
        "| jobs/s | members | roots | writes/s | events/s, each server | cores: writes | events | reads |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (jobs_per_s, members, cells) in [
        (10.0, 1000, 1),
        (100.0, 100, 1),
        (100.0, 1000, 1),
        (278.0, 30, 1),
        (278.0, 100, 1),
        (278.0, 300, 1),
        (278.0, 1000, 1),
        (278.0, 1000, 4),
        (278.0, 1000, 8),
        (1000.0, 300, 1),
        (1000.0, 300, 4),
    ] {
        let parties = Members {
            executors: members * 3 / 4,
            watchers: members - members * 3 / 4,
        };
        let load = Load::of(jobs_per_s, parties, 3, cells, Prices::MEASURED);
        println!(
            "| {jobs_per_s} | {members} | {cells} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} |",
            load.writes_per_s, load.events_per_s, load.write_cores, load.event_cores, load.read_cores
        );
    }
}
