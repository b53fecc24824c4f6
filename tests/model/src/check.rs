//! Checking one configuration, and telling what was found.

use std::{
    fmt,
    time::{Duration, Instant},
};

use stateright::{Checker, HasDiscoveries, Model as _};

use crate::{bounds::Bounds, mutant::Mutant, protocol::Protocol};

/// What a check found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The configuration.
    pub bounds: Bounds,
    /// The bug that was seeded.
    pub mutant: Option<Mutant>,
    /// How many states there are: all of them, unless an invariant was violated.
    pub unique_states: usize,
    /// How many transitions led to them.
    pub transitions: usize,
    /// How many steps lead to the farthest state.
    pub depth: usize,
    /// How long it took.
    pub elapsed: Duration,
    /// What does not hold.
    pub counterexample: Option<Counterexample>,
}

/// A shortest way, or nearly, to a violation.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// The name of the invariant.
    pub invariant: &'static str,
    /// In what it is violated.
    pub why: String,
    /// The steps that lead there, and for "every job ends" the calm run after them, too.
    pub steps: Vec<String>,
}

/// Explores all states within `bounds`, breadth first, until an invariant is violated.
#[must_use]
pub fn check(bounds: &Bounds, mutant: Option<Mutant>, threads: usize) -> Verdict {
    let began = Instant::now();
    let checker = Protocol::new(bounds.clone(), mutant)
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let discoveries = checker.discoveries();
    let shortest = discoveries
        .into_iter()
        .min_by_key(|(_, path)| path.clone().into_actions().len());
    let counterexample = shortest.map(|(invariant, path)| {
        let last = path.last_state().clone();
        let mut steps: Vec<String> = path.into_actions().iter().map(ToString::to_string).collect();
        let why = match &last.broken {
            Some(broken) => broken.why.clone(),
            None => {
                let protocol = Protocol::new(bounds.clone(), mutant);
                let calm = protocol.calm_run(&last).err().unwrap_or_default();
                steps.push("from here on nothing goes wrong any more".to_owned());
                steps.extend(calm);
                "a job does not end, or leaves something behind".to_owned()
            }
        };
        Counterexample {
            invariant,
            why,
            steps,
        }
    });
    Verdict {
        bounds: bounds.clone(),
        mutant,
        unique_states: checker.unique_state_count(),
        transitions: checker.state_count(),
        depth: checker.max_depth(),
        elapsed: began.elapsed(),
        counterexample,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<16} {:>10} states {:>11} transitions  depth {:>3}  {:>7.1} s  ",
            self.bounds.name,
            self.unique_states,
            self.transitions,
            self.depth,
            self.elapsed.as_secs_f64()
        )?;
        match &self.counterexample {
            None => f.write_str("holds"),
            Some(found) => write!(f, "VIOLATED: {}", found.invariant),
        }
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.invariant, self.why)?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>4}. {step}", number + 1)?;
        }
        Ok(())
    }
}
