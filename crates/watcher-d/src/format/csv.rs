//! One task as one row of comma-separated values, as RFC 4180 has them: below a header, each row ends with CR LF, and a
//! field with a comma, a quote or an end of line in it stands in quotes.
//!
//! ```text
//! index,task,outcome,value,error,attempts,duration_ms,stderr,base64
//! 0,17,ok,true,,,,,
//! 1,"x,y",err,,"not a ""number""",3,12.300,"no such thing
//! ",
//! 2,/w==,ok,false,,,,,task
//! ```
//!
//! Of `value` and `error` one is empty, as `outcome` says. `attempts` and `duration_ms` (of the last attempt) stand there
//! where the handler kept count, `stderr` (its end) where a failed task wrote to it.
//!
//! Bytes that are UTF-8 stand there as they are; others are base64 (standard alphabet, padded), and the last field,
//! `base64`, names the fields of its row that are, with a space between them. So every payload comes back byte for byte.

use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use distjob_core::{Account, Outcome, watcher::Row};

/// Appends the names of the fields.
pub(crate) fn push_header(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(b"index,task,outcome,value,error,attempts,duration_ms,stderr,base64\r\n");
}

/// Appends the row of `row`.
pub(crate) fn push_row(buffer: &mut Vec<u8>, row: &Row<'_>) {
    let (outcome, value, error): (_, &[u8], &[u8]) = match row.outcome {
        Outcome::Ok(value) => ("ok", value, &[]),
        Outcome::Err(error) => ("err", &[], error),
    };
    // Writing to memory cannot fail.
    let _ = write!(buffer, "{},", row.index);
    push_field(buffer, row.task);
    let _ = write!(buffer, ",{outcome},");
    push_field(buffer, value);
    buffer.push(b',');
    push_field(buffer, error);
    match row.account {
        Some(Account { attempts, elapsed }) => {
            let ms = elapsed.as_secs_f64() * 1e3;
            let _ = write!(buffer, ",{attempts},{ms:.3},");
        }
        None => buffer.extend_from_slice(b",,,"),
    }
    push_field(buffer, row.stderr);
    buffer.push(b',');
    let fields = [
        ("task", row.task),
        ("value", value),
        ("error", error),
        ("stderr", row.stderr),
    ];
    let encoded = fields
        .iter()
        .filter(|(_, bytes)| std::str::from_utf8(bytes).is_err());
    for (at, (name, _)) in encoded.enumerate() {
        if at > 0 {
            buffer.push(b' ');
        }
        buffer.extend_from_slice(name.as_bytes());
    }
    buffer.extend_from_slice(b"\r\n");
}

fn push_field(buffer: &mut Vec<u8>, bytes: &[u8]) {
    if std::str::from_utf8(bytes).is_err() {
        buffer.extend_from_slice(STANDARD.encode(bytes).as_bytes());
        return;
    }
    if !bytes
        .iter()
        .any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'))
    {
        buffer.extend_from_slice(bytes);
        return;
    }
    buffer.push(b'"');
    for run in bytes.split_inclusive(|byte| *byte == b'"') {
        buffer.extend_from_slice(run);
        if run.ends_with(b"\"") {
            buffer.push(b'"');
        }
    }
    buffer.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// The fields of rows, without the header, as another program reads them.
    fn read(text: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text);
        let rows = reader.byte_records().map(|row| row.unwrap());
        rows.map(|row| row.iter().map(<[u8]>::to_vec).collect()).collect()
    }

    fn written(rows: &[Row<'_>]) -> Vec<u8> {
        let mut buffer = Vec::new();
        push_header(&mut buffer);
        for row in rows {
            push_row(&mut buffer, row);
        }
        buffer
    }

    /// The bytes of a field.
    fn field(row: &[Vec<u8>], name: &str, at: usize) -> Vec<u8> {
        let encoded = String::from_utf8(row[8].clone()).unwrap();
        match encoded.split(' ').any(|encoded| encoded == name) {
            true => STANDARD.decode(&row[at]).unwrap(),
            false => row[at].clone(),
        }
    }

    #[test]
    fn rows_look_as_documented() {
        let rows = [
            Row {
                index: 0,
                task: b"17",
                outcome: Outcome::Ok(b"true"),
                account: None,
                stderr: &[],
            },
            Row {
                index: 1,
                task: b"x,y",
                outcome: Outcome::Err(b"not a \"number\""),
                account: Some(Account {
                    attempts: 3,
                    elapsed: Duration::from_micros(12_300),
                }),
                stderr: b"no such thing\n",
            },
            Row {
                index: 2,
                task: b"\xff",
                outcome: Outcome::Ok(b"false"),
                account: None,
                stderr: &[],
            },
        ];
        assert_eq!(
            String::from_utf8(written(&rows)).unwrap(),
            "index,task,outcome,value,error,attempts,duration_ms,stderr,base64\r\n\
             0,17,ok,true,,,,,\r\n\
             1,\"x,y\",err,,\"not a \"\"number\"\"\",3,12.300,\"no such thing\n\",\r\n\
             2,/w==,ok,false,,,,,task\r\n"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_through_another_reader(
            rows in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>(), any::<Vec<u8>>(), any::<bool>()), 0..8)
        ) {
            let given: Vec<_> = rows.iter().zip(0..).map(|((task, text, stderr, is_ok), index)| Row {
                index,
                task,
                outcome: if *is_ok { Outcome::Ok(text) } else { Outcome::Err(text) },
                account: None,
                stderr,
            }).collect();
            let read = read(&written(&given));
            prop_assert_eq!(read.len(), rows.len() + 1);
            for ((row, (task, text, stderr, is_ok)), index) in read[1..].iter().zip(&rows).zip(0_u64..) {
                prop_assert_eq!(row.len(), 9);
                prop_assert_eq!(&row[0], &index.to_string().into_bytes());
                prop_assert_eq!(&field(row, "task", 1), task);
                let (value, error) = (field(row, "value", 3), field(row, "error", 4));
                let (there, empty) = if *is_ok { (value, error) } else { (error, value) };
                prop_assert_eq!((&there, empty), (text, Vec::new()));
                prop_assert_eq!(&row[2][..], if *is_ok { &b"ok"[..] } else { b"err" });
                prop_assert_eq!(&field(row, "stderr", 7), stderr);
            }
        }

        #[test]
        fn any_text_comes_back_as_text(text in "[\u{0}-\u{7f}é\"\n\r,]*") {
            let row = Row { index: 7, task: text.as_bytes(), outcome: Outcome::Ok(b""), account: None, stderr: &[] };
            let read = read(&written(&[row]));
            prop_assert_eq!((&read[1][1][..], &read[1][8][..]), (text.as_bytes(), &b""[..]));
        }
    }
}
