//! Packed outcomes.

use distjob_core::{Outcome, Packed, outcome::unpack};

/// Unpacking ends, with at most one error, as the last item; what it yields packs into what yields the same. And the
/// bytes themselves, cut into outcomes, come back from the packed form.
pub fn outcomes(bytes: &[u8]) {
    let unpacked: Vec<_> = unpack(bytes).collect();
    assert!(unpacked.len() <= bytes.len(), "an outcome has a header");
    let good: Vec<Outcome<'_>> = unpacked.iter().map_while(|item| item.clone().ok()).collect();
    assert!(unpacked.len() - good.len() <= 1, "it goes on after an error");
    survive_packing(&good);

    let pieces = bytes.split(|byte| *byte == b'|');
    let cut = pieces.map(|piece| match piece.split_first() {
        Some((first, rest)) if first % 2 == 1 => Outcome::Err(rest),
        _ => Outcome::Ok(piece),
    });
    survive_packing(&cut.collect::<Vec<_>>());
}

fn survive_packing(outcomes: &[Outcome<'_>]) {
    let mut packed = Packed::default();
    outcomes.iter().for_each(|outcome| packed.push(*outcome));
    let failed = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Outcome::Err(_)));
    assert_eq!(packed.count(), outcomes.len() as u64);
    assert_eq!(packed.failed(), failed.count() as u64);
    assert_eq!(packed.is_empty(), outcomes.is_empty());
    let back: Result<Vec<_>, _> = unpack(packed.bytes()).collect();
    assert_eq!(back.as_deref(), Ok(outcomes));
    // Every cut is noticed, or falls between two outcomes.
    if let Some(cut) = packed.bytes().len().checked_sub(1) {
        let cut: Vec<_> = unpack(&packed.bytes()[..cut]).collect();
        let last_is_empty = outcomes.last().is_some_and(|outcome| outcome.bytes().is_empty());
        assert!(cut.last().is_some_and(Result::is_err) || last_is_empty);
    }
}
