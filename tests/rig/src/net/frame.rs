//! As much of Ethernet and ARP as a switch needs that knows all its hosts.

use std::net::Ipv4Addr;

/// An Ethernet address. The last four bytes of a host's are its IP address, so nobody has to learn anything.
pub(super) type Mac = [u8; 6];

const BROADCAST: Mac = [0xff; 6];
/// 02: locally administered.
const PREFIX: [u8; 2] = [0x02, 0x00];
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
/// Ethernet, IPv4, and the lengths of their addresses.
const ARP_FIXED: [u8; 6] = [0x00, 0x01, 0x08, 0x00, 6, 4];
const REQUEST: [u8; 2] = [0, 1];
const REPLY: [u8; 2] = [0, 2];

pub(super) fn mac_of(ip: Ipv4Addr) -> Mac {
    let [a, b, c, d] = ip.octets();
    [PREFIX[0], PREFIX[1], a, b, c, d]
}

/// The host that a frame is for; none when it is for all, or no frame.
pub(super) fn destination(frame: &[u8]) -> Option<Ipv4Addr> {
    let [a, b, rest @ ..] = frame.first_chunk::<6>()?;
    ([*a, *b] == PREFIX).then(|| Ipv4Addr::from(*rest))
}

/// The address that a frame asks for by ARP, if it does.
pub(super) fn asked_for(frame: &[u8]) -> Option<Ipv4Addr> {
    let arp = frame.get(14..42).filter(|_| frame[12..14] == ETHERTYPE_ARP)?;
    let asks = arp[..6] == ARP_FIXED && arp[6..8] == REQUEST;
    let target = *arp.last_chunk::<4>()?;
    asks.then(|| target.into())
}

/// Tells `asker` that `ip` is at `mac`.
pub(super) fn arp_reply(asker: Ipv4Addr, ip: Ipv4Addr, mac: Mac) -> Vec<u8> {
    arp(mac_of(asker), mac, REPLY, ip, (mac_of(asker), asker))
}

/// Tells everyone who knows `ip` that it is at `mac` now. Asked as a question about itself, which receivers believe at
/// once; unasked replies they ignore for a second after they last heard something else.
pub(super) fn arp_announcement(ip: Ipv4Addr, mac: Mac) -> Vec<u8> {
    arp(BROADCAST, mac, REQUEST, ip, ([0; 6], ip))
}

fn arp(to: Mac, from: Mac, operation: [u8; 2], sender: Ipv4Addr, target: (Mac, Ipv4Addr)) -> Vec<u8> {
    [
        &to[..],
        &from,
        &ETHERTYPE_ARP,
        &ARP_FIXED,
        &operation,
        &from,
        &sender.octets(),
        &target.0,
        &target.1.octets(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    const TWO: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

    #[test]
    fn an_address_in_a_frame_names_its_host() {
        assert_eq!(destination(&mac_of(ONE)), Some(ONE));
        assert_eq!(destination(&BROADCAST), None);
        assert_eq!(destination(&[0x33, 0x33, 0, 0, 0, 1]), None, "IPv6 multicast");
        assert_eq!(destination(&[2, 0, 10]), None, "cut short");
    }

    #[test]
    fn a_question_is_told_from_its_answer() {
        assert_eq!(asked_for(&arp_announcement(TWO, mac_of(ONE))), Some(TWO));
        assert_eq!(asked_for(&arp_reply(ONE, TWO, mac_of(TWO))), None);
        assert_eq!(asked_for(&[0; 60]), None);
        assert_eq!(asked_for(&[]), None);
    }
}
