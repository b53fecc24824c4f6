//! Tasks cut out of bytes that come in pieces, as a connection brings them.
//!
//! As in a file (see [`crate::lines`]) a task is what stands between two newlines, byte for byte, and a last line without
//! its newline counts.

use serde::de::IgnoredAny;

/// How tasks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Whatever stands in a line.
    Lines,
    /// Each line is a JSON value, in UTF-8. Lines of nothing but spaces are none.
    Json,
}

/// Why a line is no task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It is longer than a task may be.
    #[error("line {line} has more than {limit} bytes, the most that a task may have")]
    TooLong {
        /// Counted from 1.
        line: u64,
        /// The most bytes.
        limit: u64,
    },
    /// It is not what it was said to be.
    #[error("line {line} is not JSON: {why}")]
    NotJson {
        /// Counted from 1.
        line: u64,
        /// What is wrong, without what it says: it is somebody's payload.
        why: String,
    },
}

/// Cuts one input. After a refusal it is of no use any more.
#[derive(Debug)]
pub(crate) struct Cutter {
    form: Form,
    limit: u64,
    /// Lines that were begun.
    line: u64,
    /// The beginning of the line that has not ended.
    begun: Vec<u8>,
}

impl Cutter {
    /// For tasks of at most `limit` bytes each.
    pub(crate) const fn new(form: Form, limit: u64) -> Self {
        Self {
            form,
            limit,
            line: 1,
            begun: Vec::new(),
        }
    }

    /// Appends the tasks that end in `bytes` to `tasks`. Between two calls at most a task is kept.
    ///
    /// # Errors
    /// At the first line that is no task; those before it were appended.
    pub(crate) fn cut(&mut self, bytes: &[u8], tasks: &mut Vec<Vec<u8>>) -> Result<(), Refused> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (part, is_end) = part
                .strip_suffix(b"\n")
                .map_or((part, false), |whole| (whole, true));
            if (self.begun.len() + part.len()) as u64 > self.limit {
                return Err(Refused::TooLong {
                    line: self.line,
                    limit: self.limit,
                });
            }
            self.begun.extend_from_slice(part);
            if is_end {
                tasks.extend(self.end_of_line()?);
                self.line += 1;
            }
        }
        Ok(())
    }

    /// The last task, when the input ends without a newline.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn end(mut self) -> Result<Option<Vec<u8>>, Refused> {
        if self.begun.is_empty() {
            return Ok(None);
        }
        self.end_of_line()
    }

    fn end_of_line(&mut self) -> Result<Option<Vec<u8>>, Refused> {
        let line = std::mem::take(&mut self.begun);
        if self.form == Form::Lines {
            return Ok(Some(line));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        match json_problem(&line) {
            None => Ok(Some(line)),
            Some(why) => Err(Refused::NotJson { line: self.line, why }),
        }
    }
}

/// What keeps `text` from being one JSON value.
fn json_problem(text: &[u8]) -> Option<String> {
    // What is not looked into is not checked for UTF-8 by the parser.
    let Ok(text) = std::str::from_utf8(text) else {
        return Some("it is not UTF-8".to_owned());
    };
    let error = serde_json::from_str::<IgnoredAny>(text).err()?;
    let what = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        _ => "a character is out of place",
    };
    Some(format!("{what}, at column {}", error.column()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts an input that comes in pieces of `size` bytes.
    fn cut(form: Form, input: &[u8], size: usize) -> Result<Vec<String>, String> {
        let mut cutter = Cutter::new(form, 8);
        let mut tasks = Vec::new();
        let refused = |refused: Refused| refused.to_string();
        for piece in input.chunks(size) {
            cutter.cut(piece, &mut tasks).map_err(refused)?;
        }
        tasks.extend(cutter.end().map_err(refused)?);
        let text = |task: Vec<u8>| String::from_utf8_lossy(&task).into_owned();
        Ok(tasks.into_iter().map(text).collect())
    }

    #[test]
    fn however_the_bytes_come_a_line_is_a_task() {
        for size in 1..12 {
            let lines = |input: &[u8]| cut(Form::Lines, input, size).unwrap();
            assert_eq!(lines(b"17\n18\n"), ["17", "18"]);
            assert_eq!(lines(b"17\n\n18"), ["17", "", "18"]);
            assert_eq!(lines(b"\r\n"), ["\r"]);
            assert_eq!(lines(b""), [""; 0]);
            assert_eq!(lines(b"\xff\n"), ["\u{fffd}"]);
        }
    }

    #[test]
    fn a_line_of_the_limit_passes_and_a_longer_one_is_named_before_it_ends() {
        for size in 1..12 {
            assert_eq!(cut(Form::Lines, b"12345678\n", size).unwrap(), ["12345678"]);
            for input in [&b"1\n123456789\n2"[..], b"1\n123456789"] {
                let error = cut(Form::Lines, input, size).unwrap_err();
                assert_eq!(
                    error,
                    "line 2 has more than 8 bytes, the most that a task may have"
                );
            }
        }
    }

    #[test]
    fn json_is_checked_and_not_changed() {
        let lines = cut(Form::Json, b"{\"a\":1}\n \n[ 1 ]\r\n\"x\"\n7", 3).unwrap();
        assert_eq!(lines, ["{\"a\":1}", "[ 1 ]\r", "\"x\"", "7"]);
    }

    #[test]
    fn what_is_not_json_is_told_by_its_line_and_without_what_it_says() {
        for (input, why) in [
            (
                &b"1\n{]\n"[..],
                "line 2 is not JSON: a character is out of place, at column 2",
            ),
            (b"{\"a\":", "line 1 is not JSON: it ends too early, at column 5"),
            (
                b"1 2\n",
                "line 1 is not JSON: a character is out of place, at column 3",
            ),
            (b"\"\xff\"\n", "line 1 is not JSON: it is not UTF-8"),
            (
                b"7\nab\n",
                "line 2 is not JSON: a character is out of place, at column 1",
            ),
        ] {
            assert_eq!(cut(Form::Json, input, 2).unwrap_err(), why);
        }
    }

    #[test]
    fn deep_json_overflows_no_stack() {
        let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
        let mut cutter = Cutter::new(Form::Json, 1 << 20);
        let mut tasks = Vec::new();
        // Whether it is taken is the parser's business.
        let _ = cutter.cut(&deep, &mut tasks).and_then(|()| cutter.end());
    }
}
