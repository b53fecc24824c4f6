//! What a member's znode says.

use distjob_core::{MemberInfo, MemberName, QueueName, Roster, Zxid};

/// Whatever is read is written again, and can be counted on a list of members.
pub fn member(data: &[u8]) {
    let Ok(info) = serde_json::from_slice::<MemberInfo>(data) else {
        return;
    };
    let written = serde_json::to_vec(&info).unwrap();
    assert_eq!(serde_json::from_slice::<MemberInfo>(&written).unwrap(), info);
    let queue = QueueName::default_queue();
    let serves = info.serves(&queue);
    assert_eq!(serves, info.queues.is_empty() || info.queues.contains(&queue));
    let slots = u64::from(info.slots.max(1));
    let names = ["a", "b"].map(|name| MemberName::new(name).unwrap());
    let roster = Roster {
        as_of: Zxid::new(1),
        members: names
            .iter()
            .map(|name| (name.clone(), Some(info.clone())))
            .collect(),
        ..Roster::default()
    };
    assert_eq!(roster.slots_for(&queue), if serves { 2 * slots } else { 0 });
}
