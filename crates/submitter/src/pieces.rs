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
    /// Tasks in a job. `None`: the whole input is one job, and an empty input a job without tasks; with a number an
    /// empty input is no job at all.
    pub(crate) job_tasks: Option<u64>,
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
            state: State::Open,
        }
    }

    /// The next batch; empty when the input has ended or the current job is full.
    fn batch(&mut self) -> Result<Vec<Vec<u8>>, InputError> {
        let room = self.cut.job_tasks.map_or(u64::MAX, |tasks| tasks - self.given);
        let most = room.min(self.cut.batch_tasks.max(1));
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while (batch.len() as u64) < most {
            let Some(task) = self.next.take().map(Ok).or_else(|| self.tasks.next()) else {
                self.state = State::Drained;
                break;
            };
            let task = task?;
            bytes += task.len() as u64;
            if bytes > self.cut.batch_bytes && !batch.is_empty() {
                self.next = Some(task);
                break;
            }
            batch.push(task);
        }
        self.given += batch.len() as u64;
        Ok(batch)
    }

    /// Whether the current job is one although the input has ended.
    const fn is_job(&self) -> bool {
        self.given > 0 || self.cut.job_tasks.is_none()
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
                self.given = 0;
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
        job_tasks: None,
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
            job_tasks: Some(tasks),
            ..WHOLE
        };
        assert_eq!(cut(&["a", "b", "c"], jobs_of(2)), "ab|/c|/");
        assert_eq!(cut(&["a", "b", "c", "d"], jobs_of(2)), "ab|/cd|/");
        assert_eq!(cut(&["a", "b"], jobs_of(1)), "a|/b|/");
        assert_eq!(cut(&[], jobs_of(2)), "");
    }

    #[test]
    fn batches_are_bounded_in_tasks_and_in_bytes_but_hold_one_task_at_least() {
        let cut_at = |batch_tasks, batch_bytes, job_tasks| Cut {
            batch_bytes,
            batch_tasks,
            job_tasks,
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
