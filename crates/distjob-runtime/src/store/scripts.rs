//! The Lua, ready to be sent.

use std::sync::LazyLock;

use distjob_core::{
    job::{TASKS_MAX, TEXT_BYTES_MAX},
    rate::PARTS_MAX,
    store::{FREED_LISTED_MAX, FREED_SCANNED_MAX, GRANT_TASKS_MAX, STAGED_BYTES_MAX},
};
use futures::future::try_join_all;
use redis::{Cmd, RedisResult, aio::MultiplexedConnection};

pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(Scripts::new);

/// One of them all, under the name of its file.
pub(super) struct Scripts {
    pub(super) push: Script,
    /// The same for a push of nothing, which stores nothing: whoever keeps a list alive to the end of a job, or lets one go,
    /// makes memory free.
    pub(super) touch: Script,
    pub(super) open: Script,
    pub(super) claim: Script,
    pub(super) commit: Script,
    pub(super) release: Script,
    pub(super) free: Script,
    pub(super) read: Script,
    pub(super) status: Script,
    pub(super) drop: Script,
    pub(super) inspect: Script,
    pub(super) staged: Script,
    pub(super) take: Script,
}

pub(super) struct Script(redis::Script);

/// What stands before a script: see the header of the module `store` for why these flags and no others.
const GROWS: &str = "#!lua";
const GOES_ON_WITHOUT_MEMORY: &str = "#!lua flags=allow-oom";

impl Scripts {
    fn new() -> Self {
        let careful = |body| Script::new(GROWS, body);
        let vital = |body| Script::new(GOES_ON_WITHOUT_MEMORY, body);
        Self {
            push: careful(include_str!("lua/push.lua")),
            touch: vital(include_str!("lua/push.lua")),
            open: vital(include_str!("lua/open.lua")),
            claim: vital(include_str!("lua/claim.lua")),
            commit: vital(include_str!("lua/commit.lua")),
            release: vital(include_str!("lua/release.lua")),
            free: vital(include_str!("lua/free.lua")),
            read: vital(include_str!("lua/read.lua")),
            status: vital(include_str!("lua/status.lua")),
            drop: vital(include_str!("lua/drop.lua")),
            inspect: vital(include_str!("lua/inspect.lua")),
            staged: vital(include_str!("lua/staged.lua")),
            take: vital(include_str!("lua/take.lua")),
        }
    }
}

impl Scripts {
    fn all(&self) -> [(&'static str, &Script); 13] {
        [
            ("push", &self.push),
            ("touch", &self.touch),
            ("open", &self.open),
            ("claim", &self.claim),
            ("commit", &self.commit),
            ("release", &self.release),
            ("free", &self.free),
            ("read", &self.read),
            ("status", &self.status),
            ("drop", &self.drop),
            ("inspect", &self.inspect),
            ("staged", &self.staged),
            ("take", &self.take),
        ]
    }
}

/// The scripts by name, for tests and tools that speak to the store by themselves.
pub fn scripts() -> impl Iterator<Item = (&'static str, &'static redis::Script)> {
    SCRIPTS.all().into_iter().map(|(name, script)| (name, &script.0))
}

/// Gives all scripts to the server, so that the first calls need not.
pub(super) async fn load_all(connection: &MultiplexedConnection) -> RedisResult<()> {
    let load = |script: &'static Script| {
        let mut connection = connection.clone();
        async move { script.load(&mut connection).await }
    };
    try_join_all(SCRIPTS.all().map(|(_, script)| load(script))).await?;
    Ok(())
}

impl Script {
    fn new(flags: &str, body: &str) -> Self {
        let prelude = include_str!("lua/prelude.lua");
        let limits = format!(
            "local TASKS_MAX, GRANT_TASKS_MAX, STAGED_BYTES_MAX = {TASKS_MAX}, {GRANT_TASKS_MAX}, {STAGED_BYTES_MAX}\n\
             local TEXT_BYTES_MAX = {TEXT_BYTES_MAX}\n\
             local FREED_LISTED_MAX, FREED_SCANNED_MAX = {FREED_LISTED_MAX}, {FREED_SCANNED_MAX}\n\
             local PARTS_MAX = {PARTS_MAX}"
        );
        Self(redis::Script::new(&format!(
            "{flags}\n{limits}\n{prelude}\n{body}"
        )))
    }

    /// The command that runs it on `keys`, with room for the arguments that the caller appends.
    pub(super) fn on<const N: usize>(&self, keys: [&str; N], args: usize, bytes: usize) -> Cmd {
        let keys_bytes: usize = keys.iter().map(|key| key.len()).sum();
        let mut cmd = Cmd::with_capacity(3 + N + args, 56 + keys_bytes + bytes);
        cmd.arg("EVALSHA").arg(self.0.get_hash()).arg(N);
        for key in keys {
            cmd.arg(key);
        }
        cmd
    }

    /// Gives the script to a server that does not know it.
    pub(super) async fn load(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        self.0.load_async(connection).await.map(drop)
    }
}
