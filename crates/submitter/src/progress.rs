//! What a person at a terminal sees of a long submission.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::feed::Extent;

/// A submission that ends sooner needs no bar.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// A bar on stderr, when that is a terminal and the input is long. Clones are one bar.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    extent: Extent,
    began: Instant,
    is_shown: bool,
}

impl Progress {
    pub(crate) fn new(extent: Extent) -> Self {
        Self {
            bar: ProgressBar::hidden(),
            extent,
            began: Instant::now(),
            is_shown: false,
        }
    }

    /// So many tasks, with so many bytes of payload, are staged in addition.
    pub(crate) fn staged(&mut self, tasks: u64, bytes: u64) {
        if !self.is_shown && self.began.elapsed() > SHOWN_AFTER {
            self.is_shown = true;
            self.show();
        }
        self.bar.inc(match self.extent {
            Extent::Bytes(_) => bytes + tasks,
            Extent::Tasks(_) | Extent::Unknown => tasks,
        });
    }

    fn show(&self) {
        if let Ok(style) = ProgressStyle::with_template(template(self.extent)) {
            self.bar.set_style(style);
        }
        if let Extent::Bytes(total) | Extent::Tasks(total) = self.extent {
            self.bar.set_length(total);
        }
        // Draws nothing where stderr is no terminal.
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
    }

    /// Writes to the terminal past the bar.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

const fn template(extent: Extent) -> &'static str {
    match extent {
        Extent::Bytes(_) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
        Extent::Tasks(_) => "{bar:30} {human_pos}/{human_len} tasks {per_sec}, {eta} left",
        Extent::Unknown => "{spinner} {human_pos} tasks {per_sec}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_one() {
        for extent in [Extent::Bytes(1), Extent::Tasks(1), Extent::Unknown] {
            assert!(ProgressStyle::with_template(template(extent)).is_ok());
        }
    }
}
