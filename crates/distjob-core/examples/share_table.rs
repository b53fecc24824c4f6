//! Prints the table of the `share` module: how even both rules are, and how many jobs they move.
//!
//! `cargo run --release -p distjob-core --example share_table`
//!
//! The names are made up from numbers, so the table is the same in every run and on every machine; only the
//! time at the end differs. Every move is the mean of [`TRIALS`] comings or goings.

use std::{collections::HashMap, time::Instant};

use distjob_core::share::{Sharing, assign};

const TRIALS: usize = 10;

fn main() {
    println!(
        "| rule | jobs J | members N | jobs a member | join (ideal) | death (ideal) | job comes | job goes |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for rule in Sharing::ALL {
        for jobs in [1_000, 100_000] {
            for members in [2, 10, 50] {
                print_row(rule, &World::new(jobs, members));
            }
        }
    }
    let world = World::new(100_000, 50);
    let start = Instant::now();
    assign(Sharing::default(), &world.jobs, &world.members);
    eprintln!(
        "sharing out 100,000 jobs among 50 members took {} ms",
        start.elapsed().as_millis()
    );
}

fn print_row(rule: Sharing, world: &World) {
    let before = world.owners(rule);
    let (jobs, members) = (world.jobs.len(), world.members.len());
    let mut loads = vec![0_usize; members];
    assign(rule, &world.jobs, &world.members)
        .into_iter()
        .for_each(|owner| loads[owner] += 1);
    let mean = |change: &dyn Fn(&mut World, usize)| -> f64 {
        let moves = (0..TRIALS).map(|trial| {
            let mut changed = world.clone();
            change(&mut changed, trial);
            moved(&before, &changed.owners(rule))
        });
        moves.sum::<usize>() as f64 / TRIALS as f64
    };
    println!(
        "| {rule} | {jobs} | {members} | {}–{} | {:.0} ({:.0}) | {:.0} ({:.0}) | {:.1} | {:.1} |",
        loads.iter().min().unwrap_or(&0),
        loads.iter().max().unwrap_or(&0),
        mean(&|world, trial| world.members.push(name(members + trial))),
        jobs as f64 / (members + 1) as f64,
        mean(&|world, trial| drop(world.members.remove(trial * members / TRIALS))),
        jobs as f64 / members as f64,
        mean(&|world, trial| world.jobs.push(name(jobs + trial))),
        mean(&|world, trial| drop(world.jobs.remove(trial * jobs / TRIALS))),
    );
}

/// The lists that members see.
#[derive(Clone)]
struct World {
    jobs: Vec<String>,
    members: Vec<String>,
}

impl World {
    fn new(jobs: usize, members: usize) -> Self {
        Self {
            jobs: (0..jobs).map(name).collect(),
            members: (0..members).map(name).collect(),
        }
    }

    /// Each job with its owner.
    fn owners(&self, rule: Sharing) -> HashMap<&str, &str> {
        let owners = assign(rule, &self.jobs, &self.members);
        self.jobs
            .iter()
            .zip(owners)
            .map(|(job, owner)| (job.as_str(), self.members[owner].as_str()))
            .collect()
    }
}

/// How many jobs that are there before and after have another owner after.
fn moved(before: &HashMap<&str, &str>, after: &HashMap<&str, &str>) -> usize {
    before
        .iter()
        .filter(|&(job, owner)| after.get(job).is_some_and(|now| now != owner))
        .count()
}

/// 16 hex digits that look as random as an id does, hence sort in no order of time.
fn name(number: usize) -> String {
    format!("{:016x}", (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
