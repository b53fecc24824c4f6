//! Cuts what a process writes into lines, and bounds them.

use std::mem;

/// Room for at least so many bytes is made before each read.
const READ_BYTES: usize = 16 * 1024;

/// A buffer between reads of any size and whole lines.
#[derive(Debug)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// Where the first line that was not taken begins.
    begun: usize,
    /// No newline is between there and here.
    searched: usize,
    /// Most bytes of a line, without its newline.
    line_max: usize,
}

/// A line is longer than it may be. There is nothing to be had from this buffer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineTooLong;

impl Lines {
    /// For lines of at most so many bytes, their newline not counted.
    pub(crate) const fn new(line_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            begun: 0,
            searched: 0,
            line_max,
        }
    }

    /// Where to append what is read next. Holds at most what follows the last newline, and has spare room.
    pub(crate) fn space(&mut self) -> &mut Vec<u8> {
        if self.begun > 0 {
            self.searched -= self.begun;
            self.buffer.drain(..mem::take(&mut self.begun));
        }
        self.buffer.reserve(READ_BYTES);
        &mut self.buffer
    }

    /// The next whole line, without its newline; `None`: read on first.
    ///
    /// # Errors
    /// When it is too long, whether its end was seen or not.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, LineTooLong> {
        let newline = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|at| self.searched + at);
        let end = newline.unwrap_or(self.buffer.len());
        if end - self.begun > self.line_max {
            return Err(LineTooLong);
        }
        self.searched = newline.map_or(end, |at| at + 1);
        Ok(newline.map(|_| {
            let line = mem::replace(&mut self.begun, self.searched)..end;
            &self.buffer[line]
        }))
    }

    /// What follows the last newline.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer[self.begun..]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes all lines that are there.
    fn take(lines: &mut Lines) -> Result<Vec<Vec<u8>>, LineTooLong> {
        let mut taken = Vec::new();
        while let Some(line) = lines.next()? {
            taken.push(line.to_vec());
        }
        Ok(taken)
    }

    #[test]
    fn a_line_is_there_when_its_newline_is() {
        let mut lines = Lines::new(10);
        assert_eq!(take(&mut lines), Ok(vec![]));
        lines.space().extend(b"on");
        assert_eq!(take(&mut lines), Ok(vec![]));
        assert_eq!(lines.rest(), b"on");
        lines.space().extend(b"e\n\ntwo\nth");
        assert_eq!(
            take(&mut lines),
            Ok(vec![b"one".to_vec(), vec![], b"two".to_vec()])
        );
        assert_eq!(lines.rest(), b"th");
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_before_its_end_and_after_it() {
        for text in ["12345678", "12345678\n"] {
            let mut lines = Lines::new(7);
            lines.space().extend(text.bytes());
            assert_eq!(take(&mut lines), Err(LineTooLong));
        }
        let mut lines = Lines::new(7);
        lines.space().extend(b"1234567\n1234567");
        assert_eq!(take(&mut lines), Ok(vec![b"1234567".to_vec()]));
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_were_read(
            text in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
            reads in prop::collection::vec(1_usize..40, 1..40),
        ) {
            let mut lines = Lines::new(200);
            let mut taken = Vec::new();
            let mut left = text.as_slice();
            for read in reads.iter().cycle() {
                if left.is_empty() {
                    break;
                }
                let (now, later) = left.split_at((*read).min(left.len()));
                lines.space().extend(now);
                taken.extend(take(&mut lines).unwrap());
                left = later;
            }
            let mut expected: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
            prop_assert_eq!(expected.pop().unwrap(), lines.rest());
            prop_assert_eq!(taken, expected);
        }
    }
}
