//! Packed outcomes.

use std::time::Duration;

use distjob_core::{Account, Outcome, Packed, Record, outcome::unpack};

/// Unpacking ends, with at most one error, as the last item; what it yields packs into what yields the same. And the
/// bytes themselves, cut into records, come back from the packed form.
pub fn outcomes(bytes: &[u8]) {
    let unpacked: Vec<_> = unpack(bytes).collect();
    assert!(unpacked.len() <= bytes.len(), "an outcome has a header");
    let good: Vec<Record<'_>> = unpacked.iter().map_while(|item| item.clone().ok()).collect();
    assert!(unpacked.len() - good.len() <= 1, "it goes on after an error");
    survive_packing(&good);

    let pieces = bytes.split(|byte| *byte == b'|');
    survive_packing(&pieces.map(cut).collect::<Vec<_>>());
}

/// A record from bytes: two bits of the first say what it is, the others how often and how long it was tried.
fn cut(piece: &[u8]) -> Record<'_> {
    let Some((first, rest)) = piece.split_first() else {
        return Outcome::Ok(piece).into();
    };
    let account = (first & 2 > 0).then(|| Account {
        attempts: u32::from(*first) << (first >> 3),
        elapsed: Duration::from_micros(u64::from(*first) << (first >> 2)) / 8,
    });
    let account = account
        .filter(|account| account.attempts > 0)
        .map(|account| Account {
            elapsed: Duration::from_micros(account.elapsed.as_micros() as u64),
            ..account
        });
    let (message, stderr) = rest.split_at(rest.len() / 2);
    let is_err = first & 1 > 0;
    Record {
        outcome: if is_err {
            Outcome::Err(message)
        } else {
            Outcome::Ok(rest)
        },
        account,
        stderr: if is_err { stderr } else { &[] },
    }
}

fn survive_packing(records: &[Record<'_>]) {
    let (mut packed, mut halves) = (Packed::default(), [Packed::default(), Packed::default()]);
    for (index, record) in records.iter().enumerate() {
        packed.push_record(*record);
        halves[usize::from(index * 2 >= records.len())].push_record(*record);
    }
    let failed = records.iter().filter(|record| record.outcome.is_err());
    assert_eq!(packed.count(), records.len() as u64);
    assert_eq!(packed.failed(), failed.count() as u64);
    assert_eq!(packed.is_empty(), records.is_empty());
    let back: Result<Vec<_>, _> = unpack(packed.bytes()).collect();
    assert_eq!(back.as_deref(), Ok(records));
    let [mut left, right] = halves;
    left.append(&right);
    assert_eq!(left, packed);
    // Every cut is noticed, or falls between two outcomes.
    if let Some(cut) = packed.bytes().len().checked_sub(1) {
        let cut: Vec<_> = unpack(&packed.bytes()[..cut]).collect();
        let is_only_a_header = |record: &Record<'_>| {
            *record == Record::from(record.outcome) && record.outcome.bytes().is_empty()
        };
        assert!(cut.last().is_some_and(Result::is_err) || records.last().is_some_and(is_only_a_header));
    }
}
