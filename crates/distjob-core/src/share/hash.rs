//! A small 64-bit hash that is the same in every process, on every platform and in every release.
//!
//! The hasher of the standard library promises none of that. Whoever changes a number here makes members of
//! the old and of the new release disagree about shares for as long as both run: a test pins the values.

const FNV_OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The hash of one name: FNV-1a over its bytes, finished by [`mix`].
pub(super) fn of_name(name: &str) -> u64 {
    mix(name.bytes().fold(FNV_OFFSET_BASIS, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
    }))
}

/// The score of a member for a job, from the hashes of their names.
///
/// The rotation keeps a job and a member of one name from cancelling out.
pub(super) fn of_pair(job: u64, member: u64) -> u64 {
    mix(job ^ member.rotate_left(32))
}

/// The finaliser of SplitMix64 (Stafford's variant 13): every bit in changes every bit out about half the time.
const fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::{mix, of_name};

    #[test]
    fn hashes_are_those_that_their_authors_published() {
        assert_eq!(of_name(""), mix(0xcbf2_9ce4_8422_2325));
        assert_eq!(of_name("a"), mix(0xaf63_dc4c_8601_ec8c));
        assert_eq!(of_name("foobar"), mix(0x8594_4171_f739_67e8));
        // What SplitMix64 answers first from seed 0: its state has grown by one increment.
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
    }
}
