//! The ways by which one small job comes to the stores.

use anyhow::{Context as _, Result, ensure};
use harness::{Port, Process, within};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use zookeeper_client::{Acls, CreateMode, CreateOptions};

use crate::{
    figures::small::QUEUE,
    stage::{LIMIT, Stage},
};

const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
const TASK: &str = "17";

/// Who submits.
pub(super) enum Client {
    /// A program of any kind that has connections to both stores: the task to a list, then the znode.
    Plain {
        redis: MultiplexedConnection,
        zk: zookeeper_client::Client,
        submitted: usize,
    },
    /// A program that has a connection to a `submitter run`, over which it sends requests.
    Http(Http),
    /// A `submitter once` for each job.
    Once,
}

/// A service, and a connection to it.
pub(super) struct Http {
    stream: BufReader<TcpStream>,
    // After the connection: fields are dropped in this order.
    _service: Process,
    _port: Port,
}

impl Client {
    /// A plain one, connected.
    pub(super) async fn plain(stage: &Stage) -> Result<Self> {
        Ok(Self::Plain {
            redis: stage.world().redis().await?,
            zk: stage.world().zk().await?,
            submitted: 0,
        })
    }

    /// A service that is ready, and a connection to it.
    pub(super) async fn http(stage: &Stage) -> Result<Self> {
        let port = Port::reserve()?;
        // The connection says nothing while other ways are measured, which takes long on a slow disk.
        let config = format!("[run.http]\nlisten = \"{}\"\ntimeout = \"1h\"\n", port.addr());
        let program = stage.daemon("submitter", &config);
        let service = stage.world().start(program.arg("run"), "service")?;
        within(LIMIT, async || {
            let answer = service.admin_get("/readyz").await?;
            ensure!(answer.status == 200, "{}", answer.body);
            Ok(())
        })
        .await
        .context("wait for the service")?;
        let stream = TcpStream::connect(port.addr())
            .await
            .context("connect to the service")?;
        stream.set_nodelay(true)?;
        Ok(Self::Http(Http {
            stream: BufReader::new(stream),
            _service: service,
            _port: port,
        }))
    }

    /// Submits a job of one task, and returns when it is safe: when its znode is there, or when the submitter says so.
    pub(super) async fn submit(&mut self, stage: &Stage) -> Result<()> {
        match self {
            Self::Plain { redis, zk, submitted } => {
                *submitted += 1;
                let id = format!("alone-{submitted:026}");
                let _: u64 = redis.rpush(&id, TASK).await?;
                let path = stage.world().path(&format!("jobs/{id}"));
                let data = format!("subm=1;queue={QUEUE}");
                let created = zk.create(&path, data.as_bytes(), &PERSISTENT).await;
                created.map(drop).context("create a job")
            }
            Self::Http(http) => http.post().await.context("post a job"),
            Self::Once => {
                let file = stage.tasks("alone", [TASK.to_owned()])?;
                stage.submit(QUEUE, &file, 1).await.map(drop)
            }
        }
    }
}

impl Http {
    async fn post(&mut self) -> Result<()> {
        let request = format!(
            "POST /submit/{QUEUE} HTTP/1.1\r\nHost: here\r\nContent-Length: {}\r\n\r\n{TASK}",
            TASK.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let (mut status, mut line, mut length) = (String::new(), String::new(), 0);
        self.stream.read_line(&mut status).await?;
        loop {
            line.clear();
            ensure!(
                self.stream.read_line(&mut line).await? > 0,
                "the service has closed the connection"
            );
            let head = line.trim().to_ascii_lowercase();
            if head.is_empty() {
                break;
            }
            if let Some(value) = head.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        ensure!(
            status.contains(" 200 "),
            "{status}{}",
            String::from_utf8_lossy(&body)
        );
        Ok(())
    }
}
