//! Tasks cut into jobs, and jobs into batches to push.

use crate::lines::InputError;

/// What comes out of an input, in order. `Tasks* JobEnd` is one job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The next tasks of the current job, at least one.
    Tasks(Vec<Vec<u8>>),
    /// The current job is complete.
    JobEnd,
}

/// How to cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Most bytes in one [`Piece::Tasks`], unless a single task has more.
    pub(crate) batch_bytes: u64,
    /// Most tasks in one [`Piece::Tasks`].
    pub(crate) batch_tasks: u64,
    /// When a job is full.
    pub(crate) job: JobCut,
}

/// When a job is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JobCut {
    /// Most tasks in a job.
    pub(crate) tasks: u64,
    /// Most bytes in a job, unless a single task has more.
    pub(crate) bytes: u64,
    /// What an input without tasks is.
    pub(crate) empty: Empty,
}

impl JobCut {
    /// Never: the whole input is one job, even when it is empty.
    pub(crate) const WHOLE: Self = Self {
        tasks: u64::MAX,
        bytes: u64::MAX,
        empty: Empty::IsAJob,
    };

    /// With so many tasks; an empty input is no job at all.
    pub(crate) const fn of_tasks(tasks: u64) -> Self {
        Self {
            tasks,
            bytes: u64::MAX,
            empty: Empty::IsNothing,
        }
    }
}

/// What an input without tasks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Empty {
    /// A job without tasks.
    IsAJob,
    /// No job.
    IsNothing,
}

/// `tasks` in runs of so many tasks and bytes at most, each of one task at least.
pub(crate) fn runs(tasks: &[Vec<u8>], tasks_max: u64, bytes_max: u64) -> impl Iterator<Item = &[Vec<u8>]> {
    let mut rest = tasks;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest.iter().enumerate().take_while(|(index, task)| {
            bytes += task.len() as u64;
            *index == 0 || ((*index as u64) < tasks_max && bytes <= bytes_max)
        });
        let (run, behind) = rest.split_at(fitting.count());
        rest = behind;
        (!run.is_empty()).then_some(run)
    })
}

/// The pieces of a stream of tasks. After an error nothing follows: no job ends that is not complete.
#[derive(Debug)]
pub(crate) struct Pieces<I> {
    tasks: I,
    cut: Cut,
    /// The task that did not fit into the last batch.
    next: Option<Vec<u8>>,
    /// Tasks of the current job that were given out.
    given: u64,
    /// Their bytes.
    given_bytes: u64,
    /// Jobs that were ended.
    jobs: u64,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// There may be more tasks.
    Open,
    /// The last task was taken; the current job may have to be ended.
    Drained,
    /// Nothing follows.
    Ended,
}

impl<I> Pieces<I>
where
    I: Iterator<Item = Result<Vec<u8>, InputError>>,
{
    pub(crate) const fn new(tasks: I, cut: Cut) -> Self {
        Self {
            tasks,
            cut,
            next: None,
            given: 0,
            given_bytes: 0,
            jobs: 0,
            state: State::Open,
        }
    }

    /// The next batch; empty when the input has ended or the current job is full.
    fn batch(&mut self) -> Result<Vec<Vec<u8>>, InputError> {
        let room = self.cut.job.tasks.max(1) - self.given;
        let most = room.min(self.cut.batch_tasks.max(1));
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while (batch.len() as u64) < most {
            let Some(task) = self.next.take().map(Ok).or_else(|| self.tasks.next()) else {
                self.state = State::Drained;
                break;
            };
            let task = task?;
            let longer = bytes + task.len() as u64;
            let is_full = longer > self.cut.batch_bytes && !batch.is_empty();
            let of_job = self.given_bytes.saturating_add(longer);
            let is_last = of_job > self.cut.job.bytes && self.given + batch.len() as u64 > 0;
            if is_full || is_last {
                self.next = Some(task);
                break;
            }
            bytes = longer;
            batch.push(task);
        }
        self.given += batch.len() as u64;
        self.given_bytes = self.given_bytes.saturating_add(bytes);
        Ok(batch)
    }

    /// Whether the current job is one although the input has ended.
    const fn is_job(&self) -> bool {
        self.given > 0 || (self.jobs == 0 && matches!(self.cut.job.empty, Empty::IsAJob))
    }
}

impl<I> Iterator for Pieces<I>
where
    I: Iterator<Item = Result<Vec<u8>, InputError>>,
{
    type Item = Result<Piece, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Open {
            match self.batch() {
                Ok(batch) if !batch.is_empty() => return Some(Ok(Piece::Tasks(batch))),
                Ok(_) => {}
                Err(error) => {
                    self.state = State::Ended;
                    return Some(Err(error));
                }
            }
        }
        match self.state {
            // No batch although there may be more: the job is full.
            State::Open => {
                (self.given, self.given_bytes) = (0, 0);
                self.jobs += 1;
                Some(Ok(Piece::JobEnd))
            }
            State::Drained => {
                self.state = State::Ended;
                self.is_job().then_some(Ok(Piece::JobEnd))
            }
            State::Ended => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Cut = Cut {
        batch_bytes: 1000,
        batch_tasks: 1000,
        job: JobCut::WHOLE,
    };

    /// `"ab|c/"`: two batches, then the end of a job.
    fn cut(tasks: &[&str], cut: Cut) -> String {
        let tasks = tasks.iter().map(|task| Ok(task.as_bytes().to_vec()));
        Pieces::new(tasks, cut)
            .map(|piece| match piece.unwrap() {
                Piece::Tasks(tasks) => String::from_utf8(tasks.concat()).unwrap() + "|",
                Piece::JobEnd => "/".to_owned(),
            })
            .collect()
    }

    #[test]
    fn without_a_size_the_input_is_one_job_even_when_it_is_empty() {
        assert_eq!(cut(&["a", "b", "c"], WHOLE), "abc|/");
        assert_eq!(cut(&[], WHOLE), "/");
    }

    #[test]
    fn with_a_size_each_so_many_tasks_are_a_job_and_an_empty_input_is_none() {
        let jobs_of = |tasks| Cut {
            job: JobCut::of_tasks(tasks),
            ..WHOLE
        };
        assert_eq!(cut(&["a", "b", "c"], jobs_of(2)), "ab|/c|/");
        assert_eq!(cut(&["a", "b", "c", "d"], jobs_of(2)), "ab|/cd|/");
        assert_eq!(cut(&["a", "b"], jobs_of(1)), "a|/b|/");
        assert_eq!(cut(&[], jobs_of(2)), "");
    }

    #[test]
    fn batches_are_bounded_in_tasks_and_in_bytes_but_hold_one_task_at_least() {
        let cut_at = |batch_tasks, batch_bytes, job_tasks: Option<u64>| Cut {
            batch_bytes,
            batch_tasks,
            job: job_tasks.map_or(JobCut::WHOLE, JobCut::of_tasks),
        };
        assert_eq!(cut(&["a", "b", "c"], cut_at(2, 100, None)), "ab|c|/");
        assert_eq!(
            cut(&["aa", "bb", "c", "dddddd", "e"], cut_at(9, 4, None)),
            "aabb|c|dddddd|e|/"
        );
        assert_eq!(cut(&["aa", "bb", "cc"], cut_at(9, 4, Some(3))), "aabb|cc|/");
        assert_eq!(cut(&["aa", "bb", "cc"], cut_at(9, 3, Some(2))), "aa|bb|/cc|/");
    }

    #[test]
    fn a_job_is_bounded_in_bytes_and_holds_one_task_at_least() {
        let of_bytes = |bytes, empty| Cut {
            job: JobCut {
                tasks: 3,
                bytes,
                empty,
            },
            ..WHOLE
        };
        let cut_at = |tasks: &[&str], bytes| cut(tasks, of_bytes(bytes, Empty::IsNothing));
        assert_eq!(
            cut_at(&["aa", "bb", "c", "dddddd", "e"], 4),
            "aabb|/c|/dddddd|/e|/"
        );
        assert_eq!(cut_at(&["a", "b", "c", "d"], 100), "abc|/d|/");
        assert_eq!(cut(&[], of_bytes(4, Empty::IsAJob)), "/");
        assert_eq!(cut(&["a", "b", "c"], of_bytes(4, Empty::IsAJob)), "abc|/");
    }

    #[test]
    fn runs_hold_all_tasks_in_their_order() {
        let tasks = ["aa", "bb", "c", "dddddd", "e"].map(|task| task.as_bytes().to_vec());
        let lengths = |tasks_max, bytes_max| -> Vec<usize> {
            runs(&tasks, tasks_max, bytes_max).map(<[Vec<u8>]>::len).collect()
        };
        assert_eq!(lengths(10, 100), [5]);
        assert_eq!(lengths(2, 100), [2, 2, 1]);
        assert_eq!(lengths(10, 4), [2, 1, 1, 1]);
        assert_eq!(runs(&[], 1, 1).count(), 0);
    }

    #[test]
    fn after_an_error_no_job_ends() {
        let tasks = [
            Ok(b"a".to_vec()),
            Err(InputError::TooLong { line: 2, limit: 1 }),
            Ok(b"b".to_vec()),
        ];
        let pieces: Vec<_> = Pieces::new(tasks.into_iter(), WHOLE).collect();
        assert!(matches!(
            pieces[..],
            [Err(InputError::TooLong { line: 2, limit: 1 })]
        ));
    }
}
