//! Lines as tasks.
//!
//! A task is what stands between two newlines, byte for byte: only `\n` is taken off, so a file with `\r\n` has tasks
//! that end in `\r`. An empty line is an empty task: task `i` of an input is always its line `i + 1`, and whoever does
//! not want such tasks filters the input first. A last line without its newline counts.

use std::io::{BufRead, Read as _};

/// Why the input cannot be submitted.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be read.
    #[error("failed to read line {0}")]
    Read(u64, #[source] std::io::Error),
    /// A line is longer than a task may be.
    #[error(
        "line {line} has more than {limit} bytes, the most that a task may have; split that task, or raise \
         [submitter] max_task_bytes"
    )]
    TooLong {
        /// Counted from 1.
        line: u64,
        /// What [`Lines::new`] was told.
        limit: u64,
    },
    /// Who read it is no more.
    #[error("its reader ended before it did")]
    Cut,
}

/// The lines of an input, one after another, none of them longer than a limit. Ends after the first error.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    limit: u64,
    number: u64,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input` with at most `limit` bytes each, the newline not counted.
    #[must_use]
    pub const fn new(input: R, limit: u64) -> Self {
        Self {
            input,
            limit,
            number: 0,
            ended: false,
        }
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, InputError> {
        let mut line = Vec::new();
        // One more for the newline: a longer line is noticed without being read whole.
        (&mut self.input)
            .take(self.limit.saturating_add(1))
            .read_until(b'\n', &mut line)
            .map_err(|error| InputError::Read(self.number, error))?;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.is_empty() {
            return Ok(None);
        } else if line.len() as u64 > self.limit {
            return Err(InputError::TooLong {
                line: self.number,
                limit: self.limit,
            });
        }
        Ok(Some(line))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Vec<u8>, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.number += 1;
        let line = self.read().transpose();
        self.ended = !matches!(line, Some(Ok(_)));
        line
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Error};

    use super::*;

    fn lines(input: &[u8], limit: u64) -> Result<Vec<Vec<u8>>, InputError> {
        // A buffer smaller than a line, so that lines cross its end.
        Lines::new(BufReader::with_capacity(3, input), limit).collect()
    }

    fn texts(input: &str) -> Vec<String> {
        let lines = lines(input.as_bytes(), 100).unwrap();
        lines
            .into_iter()
            .map(|line| String::from_utf8(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_is_a_task_with_or_without_the_last_newline() {
        assert_eq!(texts("17\n18\n"), ["17", "18"]);
        assert_eq!(texts("17\n18"), ["17", "18"]);
        assert_eq!(texts(""), [""; 0]);
    }

    #[test]
    fn an_empty_line_is_an_empty_task() {
        assert_eq!(texts("\n"), [""]);
        assert_eq!(texts("a\n\nb\n\n"), ["a", "", "b", ""]);
    }

    #[test]
    fn a_carriage_return_belongs_to_the_task() {
        assert_eq!(texts("a\r\nb\r\n"), ["a\r", "b\r"]);
    }

    #[test]
    fn every_other_byte_stays_as_it_is() {
        let all: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
        let input = [&all[..], b"\n", &all[..]].concat();
        assert_eq!(lines(&input, 255).unwrap(), [all.clone(), all]);
    }

    #[test]
    fn a_line_of_exactly_the_limit_passes_and_a_longer_one_is_named() {
        assert_eq!(lines(b"1234\n5678", 4).unwrap(), [b"1234", b"5678"]);
        for input in ["1234\n56789\n1", "1234\n56789", "1234\n567890123"] {
            let error = lines(input.as_bytes(), 4).unwrap_err();
            assert_eq!(
                error.to_string(),
                "line 2 has more than 4 bytes, the most that a task may have; split that task, or raise [submitter] \
                 max_task_bytes"
            );
        }
    }

    #[test]
    fn nothing_follows_an_error() {
        let mut lines = Lines::new(&b"12345\n1\n"[..], 4);
        assert!(lines.next().is_some_and(|line| line.is_err()));
        assert!(lines.next().is_none());
    }

    #[test]
    fn an_input_that_fails_says_where() {
        struct Broken;
        impl std::io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> Result<usize, Error> {
                Err(Error::other("the disk is on fire"))
            }
        }
        let input = BufReader::new(std::io::Read::chain(&b"1\n2"[..], Broken));
        let results: Vec<_> = Lines::new(input, 4).collect();
        assert_eq!(results.len(), 2);
        assert_eq!(
            results[1].as_ref().unwrap_err().to_string(),
            "failed to read line 2"
        );
    }
}
