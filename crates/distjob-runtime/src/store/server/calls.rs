//! One method a script: arguments in, the reply parsed.

use distjob_core::{
    Holder, JobData, JobId, QueueName, Source, Token, Zxid,
    rate::{Limit, Tokens},
    store::{
        Claim, ClaimRequest, Commit, CommitRequest, DropReply, Inspection, Isolated, Open, Push, PushRequest,
        Read, ReadRequest, ReleaseRequest, Status, parse_freed, parse_staged, parse_tokens,
    },
    trouble::SinkTrouble,
};
use futures::{FutureExt as _, future::join};
use redis::Cmd;

use super::{RedisLine, shape};
use crate::store::{
    Freeing, Line, Memory, MetaPage, Reply,
    scripts::{SCRIPTS, Script},
};

impl Line for RedisLine {
    fn push<'a>(&'a self, id: &'a JobId, request: &'a PushRequest<'a>) -> Reply<'a, Push> {
        let list = self.keys.source(id, &Source::Staged(request.source.clone()));
        let bytes = request.tasks.iter().map(Vec::len).sum::<usize>() + 128;
        let script = match request.tasks.is_empty() {
            true => &SCRIPTS.touch,
            false => &SCRIPTS.push,
        };
        let mut cmd = script.on([&list, &self.keys.job(id).meta], request.tasks.len() + 3, bytes);
        cmd.arg(request.source.as_str())
            .arg(request.offset)
            .arg(request.ttl_s);
        for task in request.tasks {
            cmd.arg(task.as_slice());
        }
        self.run(script, cmd, Push::parse)
    }

    fn open<'a>(&'a self, id: &'a JobId, life: Zxid, count: u64, source: &'a Source) -> Reply<'a, Open> {
        let script = &SCRIPTS.open;
        let mut cmd = self.on_all(script, id, source);
        cmd.arg(life.to_string()).arg(count).arg(source.as_str());
        self.run(script, cmd, Open::parse)
    }

    fn claim<'a>(&'a self, id: &'a JobId, request: &'a ClaimRequest<'a>) -> Reply<'a, Claim> {
        let script = &SCRIPTS.claim;
        let keys = self.keys.job(id);
        let args = 6 + request.held.len();
        let mut cmd = script.on(
            [&keys.meta, &keys.tasks, &keys.leases, &keys.freed],
            args,
            160 + 32 * args,
        );
        cmd.arg(request.life.to_string())
            .arg(request.holder.to_string())
            .arg(request.want)
            .arg(request.bytes_max)
            .arg(request.isolate)
            .arg(u8::from(request.isolated == Isolated::Take));
        for range in request.held {
            cmd.arg(format!("{}:{}", range.lo(), range.hi()));
        }
        self.run(script, cmd, Claim::parse)
    }

    fn commit<'a>(&'a self, id: &'a JobId, request: &'a CommitRequest<'a>) -> Reply<'a, Commit> {
        let script = &SCRIPTS.commit;
        let keys = self.keys.job(id);
        let packed = request.outcomes.bytes();
        let mut cmd = script.on([&keys.meta, &keys.leases, &keys.results], 6, 192 + packed.len());
        cmd.arg(request.life.to_string())
            .arg(request.holder.to_string())
            .arg(request.lo)
            .arg(request.upto())
            .arg(request.outcomes.failed())
            .arg(packed);
        self.run(script, cmd, Commit::parse)
    }

    fn release<'a>(&'a self, id: &'a JobId, request: &'a ReleaseRequest<'a>) -> Reply<'a, Commit> {
        let script = &SCRIPTS.release;
        let keys = self.keys.job(id);
        let mut cmd = script.on([&keys.meta, &keys.leases, &keys.freed], 4, 192);
        cmd.arg(request.life.to_string())
            .arg(request.holder.to_string())
            .arg(request.range.lo())
            .arg(request.range.hi());
        self.run(script, cmd, Commit::parse)
    }

    fn free<'a>(&'a self, id: &'a JobId, life: Zxid, holder: &'a Holder, why: Freeing) -> Reply<'a, u64> {
        let script = &SCRIPTS.free;
        let keys = self.keys.job(id);
        let mut cmd = script.on([&keys.meta, &keys.leases, &keys.freed], 3, 128);
        cmd.arg(life.to_string())
            .arg(holder.to_string())
            .arg(why.deaths());
        self.run(script, cmd, parse_freed)
    }

    fn read<'a>(&'a self, id: &'a JobId, request: ReadRequest) -> Reply<'a, Read> {
        let script = &SCRIPTS.read;
        let keys = self.keys.job(id);
        let mut cmd = script.on([&keys.meta, &keys.tasks, &keys.results], 4, 128);
        cmd.arg(request.life.to_string())
            .arg(request.from)
            .arg(request.tasks_max)
            .arg(request.bytes_max);
        self.run(script, cmd, move |reply| Read::parse(reply, request.from))
    }

    fn status<'a>(&'a self, id: &'a JobId, life: Zxid, count: u64, source: &'a Source) -> Reply<'a, Status> {
        let script = &SCRIPTS.status;
        let (keys, list) = (self.keys.job(id), self.keys.source(id, source));
        let mut cmd = script.on([&keys.meta, &keys.tasks, &keys.leases, &keys.freed, &list], 2, 64);
        cmd.arg(life.to_string()).arg(count);
        self.run(script, cmd, Status::parse)
    }

    fn drop_job<'a>(
        &'a self,
        id: &'a JobId,
        life: Zxid,
        source: &'a Source,
        ttl_s: u64,
        last: Option<&'a JobData>,
    ) -> Reply<'a, DropReply> {
        let script = &SCRIPTS.drop;
        let mut cmd = self.on_all(script, id, source);
        cmd.arg(life.to_string()).arg(source.as_str()).arg(ttl_s);
        if let Some((last, ending)) = last.and_then(|last| Some((last, last.ending()?))) {
            cmd.arg(ending.count)
                .arg(ending.failed)
                .arg(ending.conclusion.as_str())
                .arg(last.to_string());
        }
        let dropped = self.run(script, cmd, DropReply::parse);
        // Nobody waits for a sink any more. Sent along, and never worth a failure: the note expires by itself.
        async move { join(dropped, self.clear_trouble(id)).await.0 }.boxed()
    }

    fn staged<'a>(
        &'a self,
        id: &'a JobId,
        token: &'a Token,
        from: u64,
        most: u64,
    ) -> Reply<'a, Vec<Vec<u8>>> {
        let list = self.keys.source(id, &Source::Staged(token.clone()));
        let script = &SCRIPTS.staged;
        let mut cmd = script.on([&list], 2, 32);
        cmd.arg(from).arg(most);
        self.run(script, cmd, parse_staged)
    }

    fn inspect<'a>(&'a self, id: &'a JobId, source: &'a Source) -> Reply<'a, Inspection> {
        let script = &SCRIPTS.inspect;
        let cmd = self.on_all(script, id, source);
        self.run(script, cmd, Inspection::parse)
    }

    fn set_trouble<'a>(&'a self, id: &'a JobId, trouble: &'a SinkTrouble, ttl_s: u64) -> Reply<'a, ()> {
        let mut set = redis::cmd("SET");
        set.arg(self.keys.trouble(id))
            .arg(trouble.to_json())
            .arg("EX")
            .arg(ttl_s.max(1));
        async move { self.plain(&set).await.map(drop) }.boxed()
    }

    fn clear_trouble<'a>(&'a self, id: &'a JobId) -> Reply<'a, ()> {
        let mut del = redis::cmd("DEL");
        del.arg(self.keys.trouble(id));
        async move { self.plain(&del).await.map(drop) }.boxed()
    }

    fn trouble<'a>(&'a self, id: &'a JobId) -> Reply<'a, Option<SinkTrouble>> {
        let mut get = redis::cmd("GET");
        get.arg(self.keys.trouble(id));
        async move {
            let text = self.plain(&get).await?;
            let text: Option<Vec<u8>> = redis::from_redis_value(text).map_err(shape)?;
            Ok(text.as_deref().and_then(SinkTrouble::parse))
        }
        .boxed()
    }

    fn take_tokens<'a>(&'a self, queue: &'a QueueName, limit: Limit, want: u32) -> Reply<'a, Tokens> {
        let script = &SCRIPTS.take;
        let mut cmd = script.on([&self.keys.rate(queue)], 4, 48);
        cmd.arg(limit.tasks())
            .arg(limit.per_us())
            .arg(limit.burst())
            .arg(want);
        self.run(script, cmd, parse_tokens)
    }

    fn ledger_mark(&self) -> Reply<'_, Option<Zxid>> {
        self.read_mark().boxed()
    }

    fn mark_ledger(&self, ledger: Zxid) -> Reply<'_, Zxid> {
        self.write_mark_once(ledger).boxed()
    }

    fn accept_ledger(&self, ledger: Zxid) -> Reply<'_, ()> {
        self.overwrite_mark(ledger).boxed()
    }

    fn scan(&self, cursor: u64) -> Reply<'_, MetaPage> {
        self.scan_page(cursor).boxed()
    }

    fn ping(&self) -> Reply<'_, ()> {
        async { self.plain(&redis::cmd("PING")).await.map(drop) }.boxed()
    }

    fn memory(&self) -> Reply<'_, Memory> {
        async {
            let info = self.plain(redis::cmd("INFO").arg("memory")).await?;
            let text: String = redis::from_redis_value(info).map_err(shape)?;
            let field = |name: &str| {
                text.lines()
                    .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            };
            Ok(Memory {
                used: field("used_memory:").unwrap_or(0),
                max: field("maxmemory:").filter(|max| *max > 0),
            })
        }
        .boxed()
    }
}

impl RedisLine {
    fn on_all(&self, script: &Script, id: &JobId, source: &Source) -> Cmd {
        let (keys, list) = (self.keys.job(id), self.keys.source(id, source));
        script.on(
            [
                &keys.meta,
                &keys.tasks,
                &keys.leases,
                &keys.freed,
                &keys.results,
                &list,
            ],
            3,
            128,
        )
    }
}
