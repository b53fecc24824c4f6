//! The command line.

use std::{env, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use crate::{
    bench::Bench,
    figure::{FIGURES, Figure, REVISIONS},
};

/// Measures how fast distjob is, beside floors, peers, and what a person would use instead.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// What to measure; everything but the long ones when nothing is named
    #[arg(value_name = "FIGURE")]
    figures: Vec<String>,
    /// List the figures
    #[arg(long)]
    pub(crate) list: bool,
    /// Everything once, with few tasks: whether it works, not how fast
    #[arg(long)]
    quick: bool,
    /// How often each pair is measured by turns; the middle one of the ratios counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Tasks of the large job, and of a job that runs a process for each, in place of their own counts
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    tasks: Option<u64>,
    /// Where submitter, executor-d and watcher-d are; beside this program if it is not given
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Where peers are installed
    #[arg(long, value_name = "DIR", default_value = "target/peers")]
    peers: PathBuf,
    /// Where other programs are: only these two are compared, in what matters most
    #[arg(long, value_name = "DIR", conflicts_with = "figures")]
    against: Option<PathBuf>,
    /// Where each run gets a directory of its own
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub(crate) out: PathBuf,
}

impl Cli {
    /// What figures are given.
    pub(crate) fn bench(&self) -> Result<Bench> {
        let programs = match &self.programs {
            Some(programs) => programs.clone(),
            None => {
                let this = env::current_exe().context("find this program")?;
                this.parent()
                    .context("this program is in no directory")?
                    .to_owned()
            }
        };
        let rounds = if self.quick {
            1
        } else {
            usize::try_from(self.rounds)?
        };
        let bench = Bench::new(&programs, &self.peers, rounds, self.quick, self.tasks)?;
        match &self.against {
            Some(other) => bench.against(other),
            None => Ok(bench),
        }
    }

    /// The figures that were asked for, in the order of the report.
    pub(crate) fn figures(&self) -> Result<Vec<&'static Figure>> {
        if let Some(unknown) = self
            .figures
            .iter()
            .find(|name| FIGURES.iter().all(|figure| figure.name != **name))
        {
            let names: Vec<_> = FIGURES.iter().map(|figure| figure.name).collect();
            bail!("no figure is called {unknown}; there are {}", names.join(", "));
        }
        let is_chosen = |figure: &&Figure| match &self.figures[..] {
            [] if self.against.is_some() => figure.name == REVISIONS,
            [] => self.quick || !figure.is_long,
            names => names.iter().any(|name| name == figure.name),
        };
        Ok(FIGURES.iter().filter(is_chosen).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &str) -> Result<Vec<&'static str>> {
        let cli = Cli::try_parse_from(line.split(' '))?;
        Ok(cli.figures()?.iter().map(|figure| figure.name).collect())
    }

    #[test]
    fn the_command_line_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn long_figures_are_measured_when_named_and_quickly_with_all() {
        assert!(!names("distjob-bench").unwrap().contains(&"large"));
        assert!(names("distjob-bench --quick").unwrap().contains(&"large"));
        assert_eq!(names("distjob-bench large").unwrap(), ["large"]);
    }

    #[test]
    fn other_programs_are_compared_in_nothing_but_what_matters_most() {
        assert_eq!(names("distjob-bench --against elsewhere").unwrap(), ["revisions"]);
        assert!(!names("distjob-bench").unwrap().contains(&"revisions"));
        assert!(names("distjob-bench --against elsewhere small").is_err());
    }

    #[test]
    fn a_wrong_name_is_told() {
        let error = names("distjob-bench thruput").unwrap_err().to_string();
        assert!(error.contains("thruput; there are throughput"), "{error}");
    }
}
