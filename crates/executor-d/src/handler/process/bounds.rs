//! What the processes of a queue are started with, and how much they may use.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use distjob_runtime::{
    chance,
    environment::{Variables, environment},
};
use rustix::fs::{Access, access};

use super::user::account;
use crate::{config::BoundsConfig, launcher::Orders};

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The bounds of the processes of one queue, resolved once.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// From TERM to KILL.
    pub(crate) kill_after: Duration,
    /// Most bytes of a task's value.
    pub(crate) output_max: usize,
    /// So many bytes of the end of what went to standard error are kept.
    pub(crate) stderr_max: usize,
    /// The whole environment.
    pub(crate) variables: Variables,
    /// The working directory; none: the executor's.
    pub(crate) directory: Option<PathBuf>,
    /// What only the process itself can do before it becomes the program.
    pub(crate) orders: Orders,
    /// Whether each process gets a cgroup of its own, where that can be done.
    pub(crate) cgroup: bool,
}

impl Bounds {
    /// As they are configured.
    ///
    /// # Errors
    /// When there is no such user.
    pub(crate) fn new(config: &BoundsConfig, set: &BTreeMap<String, String>) -> io::Result<Self> {
        let user = Some(config.user.as_str()).filter(|name| !name.is_empty());
        let account = user.map(account).transpose()?;
        let (identity, login) = account
            .map(|account| (account.identity, account.variables))
            .unzip();
        let set = set.iter().map(|(name, value)| (name.into(), value.into()));
        let set = login.into_iter().flatten().chain(set);
        let some = |limit: u64| (limit > 0).then_some(limit);
        Ok(Self {
            kill_after: config.kill_after,
            output_max: in_memory(config.output_max),
            stderr_max: in_memory(config.stderr_max),
            variables: environment(&config.environment, env::vars_os(), set),
            directory: Some(config.directory.clone()).filter(|path| !path.as_os_str().is_empty()),
            orders: Orders {
                secret: format!("{}: ", chance::hex(16)),
                memory_max: some(config.memory_max),
                cpu_max_s: some(config.cpu_max.as_secs() + u64::from(config.cpu_max.subsec_nanos() > 0)),
                files_max: some(config.files_max),
                user: identity,
                cgroup: None,
            },
            cgroup: config.cgroup,
        })
    }

    /// The file of a program, as the child would find it: a name without a slash in the directories of its `PATH`, a
    /// relative path in its working directory.
    ///
    /// # Errors
    /// When it is not there, or cannot be executed by this process.
    pub(crate) fn find(&self, program: &OsStr) -> io::Result<PathBuf> {
        if program.as_bytes().contains(&b'/') {
            let path = match &self.directory {
                Some(directory) => directory.join(program),
                None => PathBuf::from(program),
            };
            return executable(&path).map(|()| path);
        }
        let default = OsString::from(DEFAULT_PATH);
        let path = self.variables.iter().find(|(name, _)| name == "PATH");
        let path = path.map_or(&default, |(_, path)| path);
        let mut result = Err(io::Error::from(io::ErrorKind::NotFound));
        for directory in env::split_paths(path) {
            let candidate = directory.join(program);
            match executable(&candidate) {
                Ok(()) => return Ok(candidate),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => result = Err(error),
                Err(_) => {}
            }
        }
        result
    }
}

fn in_memory(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

fn executable(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(access(path, Access::EXEC_OK)?)
}

#[cfg(test)]
impl Bounds {
    /// Generous ones, for tests.
    pub(crate) fn for_tests() -> Self {
        Self {
            kill_after: Duration::from_millis(200),
            output_max: 1 << 20,
            stderr_max: 4096,
            variables: vec![("PATH".into(), DEFAULT_PATH.into())],
            directory: None,
            orders: Orders::default(),
            cgroup: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_up_as_the_child_would() {
        let mut bounds = Bounds::for_tests();
        assert!(bounds.find(OsStr::new("sh")).unwrap().is_absolute());
        assert_eq!(
            bounds.find(OsStr::new("no-such-program")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert_eq!(
            bounds.find(OsStr::new("/etc/passwd")).unwrap_err().kind(),
            io::ErrorKind::PermissionDenied
        );
        assert_eq!(
            bounds.find(OsStr::new("/tmp")).unwrap_err().kind(),
            io::ErrorKind::PermissionDenied
        );

        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/true", directory.path().join("mine")).unwrap();
        bounds.directory = Some(directory.path().to_owned());
        assert_eq!(
            bounds.find(OsStr::new("./mine")).unwrap(),
            directory.path().join("./mine")
        );
        bounds.variables = vec![("PATH".into(), directory.path().into())];
        assert_eq!(
            bounds.find(OsStr::new("mine")).unwrap(),
            directory.path().join("mine")
        );
        assert!(bounds.find(OsStr::new("sh")).is_err());
    }
}
