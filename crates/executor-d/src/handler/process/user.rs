//! Who a child runs as.

use std::{ffi::CString, io};

use distjob_runtime::environment::Variables;
use nix::unistd::{Gid, User, getgrouplist};

use crate::launcher::Identity;

/// A user whom a child is to run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// In the kernel's terms.
    pub(super) identity: Identity,
    /// What a login would set.
    pub(super) variables: Variables,
}

/// Looks a user up by name, wherever the system keeps its users.
///
/// # Errors
/// When there is none, or nobody can tell.
pub(super) fn account(name: &str) -> io::Result<Account> {
    let user = User::from_name(name)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no user {name}")))?;
    let groups = getgrouplist(&CString::new(name)?, user.gid)?;
    Ok(Account {
        identity: Identity {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
        },
        variables: vec![
            ("HOME".into(), user.dir.into()),
            ("LOGNAME".into(), name.into()),
            ("USER".into(), name.into()),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_known_by_name() {
        let root = account("root").unwrap();
        assert_eq!((root.identity.uid, root.identity.gid), (0, 0));
        assert!(root.variables.contains(&("USER".into(), "root".into())));
        let error = account("nobody-of-that-name").unwrap_err();
        assert_eq!(error.to_string(), "there is no user nobody-of-that-name");
    }
}
