//! Tests that need network namespaces.

use std::thread;

use distjob_rig::net::private;

/// Whether the test that runs is inside namespaces of its own. Outside it is run again inside, by this; where that cannot
/// be, it is left out with a word.
pub(crate) fn inside() -> bool {
    if private::inside() {
        return true;
    }
    if let Err(why) = private::possible() {
        eprintln!("left out: {why:#}");
        return false;
    }
    let name = thread::current().name().expect("a test has a name").to_owned();
    let status = private::again(["--exact", &name, "--nocapture"])
        .and_then(|mut again| Ok(again.status()?))
        .expect("this test starts again");
    assert!(status.success(), "{name} failed inside its namespaces");
    false
}
