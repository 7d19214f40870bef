//! One open connection, whatever the topology.

use std::io;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, PushInfo, RedisError, RedisResult, Value,
    from_redis_value,
};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;

use super::{CONNECT_DEADLINE, Opener, SCAN_DEADLINE};

/// A connection that many commands share. Cheap to clone.
#[derive(Clone)]
pub(super) enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
    #[cfg(feature = "simulation")]
    Simulated(std::sync::Arc<dyn crate::simulation::Connection>),
}

/// How long a server has to say why it closes a connection. It says so at once, unasked.
const REFUSAL_DEADLINE: Duration = Duration::from_millis(100);
/// The longest such answer that is read.
const LONGEST_REFUSAL: u64 = 1024;

/// Why the server closes every new connection, such as too many of them. The client has lost that answer: it came before any
/// question.
async fn refusal(client: &Client, error: &RedisError) -> Option<RedisError> {
    let ConnectionAddr::Tcp(host, port) = client.get_connection_info().addr() else { return None };
    if !error.is_connection_dropped() {
        return None;
    }
    let said = async {
        let connection = TcpStream::connect((host.as_str(), *port)).await?;
        let mut line = Vec::new();
        BufReader::new(connection.take(LONGEST_REFUSAL)).read_until(b'\n', &mut line).await?;
        Ok::<_, io::Error>(line)
    };
    let line = timeout(REFUSAL_DEADLINE, said).await.ok()?.ok()?;
    redis::parse_redis_value(&line).and_then(Value::extract_error).err().filter(|error| error.code().is_some())
}

/// A server to scan: all there is, or one master of a cluster.
pub(super) enum Node {
    Only,
    Master { host: String, port: u16 },
}

/// Where a connection puts what the server sends unasked.
pub(super) type Pushes = UnboundedSender<PushInfo>;

fn configuration() -> AsyncConnectionConfig {
    // The longest deadline of any command here; each call has its own, shorter one around it.
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_DEADLINE))
        .set_response_timeout(Some(SCAN_DEADLINE))
}

impl Link {
    /// Connects.
    pub(super) async fn open(opener: &mut Opener) -> RedisResult<Self> {
        Self::open_with(opener, configuration()).await
    }

    /// Connects; `pushes` receives what the server sends unasked. `opener` must be one for subscriptions.
    pub(super) async fn open_for_pushes(opener: &mut Opener, pushes: Pushes) -> RedisResult<Self> {
        #[cfg(feature = "simulation")]
        if let Opener::Simulated(server) = opener {
            return Ok(Self::Simulated(server.connect(Some(pushes)).await?));
        }
        Self::open_with(opener, configuration().set_push_sender(pushes)).await
    }

    async fn open_with(opener: &mut Opener, config: AsyncConnectionConfig) -> RedisResult<Self> {
        Ok(match opener {
            Opener::Standalone(client) => match client.get_multiplexed_async_connection_with_config(&config).await {
                Ok(connection) => Self::Single(connection),
                Err(error) => return Err(refusal(client, &error).await.unwrap_or(error)),
            },
            Opener::Cluster(client) => Self::Cluster(client.get_async_connection().await?),
            Opener::Sentinel(client) => Self::Single(client.get_async_connection_with_config(&config).await?),
            #[cfg(feature = "simulation")]
            Opener::Simulated(server) => Self::Simulated(server.connect(None).await?),
        })
    }

    /// Sends one command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: Cmd) -> RedisResult<T> {
        match self.clone() {
            Self::Single(mut connection) => command.query_async(&mut connection).await,
            Self::Cluster(mut connection) => command.query_async(&mut connection).await,
            #[cfg(feature = "simulation")]
            Self::Simulated(connection) => Ok(from_redis_value(connection.ask_one(command).await?)?),
        }
    }

    /// Sends many commands in one go, where one server has all keys.
    pub(super) async fn query_all<T: FromRedisValue>(&self, commands: Vec<Cmd>) -> RedisResult<Vec<T>> {
        // An empty pipeline is an error of the client: a page of a scan may be empty.
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Single(connection) => {
                let mut pipeline = redis::Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipeline.add_command(command);
                }
                pipeline.query_async(&mut connection.clone()).await
            }
            // Each goes to the server of its key, in this order as far as they have one in common.
            Self::Cluster(_) => try_join_all(commands.into_iter().map(|command| self.query(command))).await,
            #[cfg(feature = "simulation")]
            Self::Simulated(connection) => {
                let answers = connection.ask(commands).await?.into_iter();
                answers.map(|answer| Ok(from_redis_value(answer?)?)).collect()
            }
        }
    }

    /// What the server's clock shows, in milliseconds since 1970; of a cluster, the clock that is furthest ahead.
    pub(super) async fn time_ms(&self) -> RedisResult<u64> {
        // Without the right to list the servers one of them has to do.
        let nodes = self.nodes().await.unwrap_or_else(|_| vec![Node::Only]);
        let mut latest = 0;
        for node in nodes {
            let (seconds, micros): (u64, u64) = from_redis_value(self.ask_node(&node, redis::cmd("TIME")).await?)?;
            latest = latest.max(seconds * 1000 + micros / 1000);
        }
        Ok(latest)
    }

    /// Sends a command without a key to one server.
    async fn ask_node(&self, node: &Node, command: Cmd) -> RedisResult<Value> {
        let answer = match (self.clone(), node) {
            (Self::Cluster(mut connection), Node::Master { host, port }) => {
                let to = SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port };
                connection.route_command(command, RoutingInfo::SingleNode(to)).await?
            }
            (Self::Single(mut connection), _) => connection.req_packed_command(&command).await?,
            (Self::Cluster(_), Node::Only) => self.query(command).await?,
            #[cfg(feature = "simulation")]
            (Self::Simulated(connection), _) => connection.ask_one(command).await?,
        };
        // At this level of the client a refusal is an answer. Read as a value, it would be taken for another protocol.
        answer.extract_error()
    }

    /// Asks for what is published on `channel`.
    pub(super) async fn subscribe(&self, channel: &str) -> RedisResult<()> {
        match self.clone() {
            Self::Single(mut connection) => connection.subscribe(channel).await,
            Self::Cluster(mut connection) => connection.subscribe(channel).await,
            #[cfg(feature = "simulation")]
            Self::Simulated(connection) => {
                let mut command = redis::cmd("SUBSCRIBE");
                command.arg(channel);
                connection.ask_one(command).await.map(drop)
            }
        }
    }

    /// Whether this client knows the servers of a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// The servers that together hold all keys.
    pub(super) async fn nodes(&self) -> RedisResult<Vec<Node>> {
        if !self.is_cluster() {
            return Ok(vec![Node::Only]);
        }
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        // Each slot range: first slot, last slot, master (host, port, …), replicas.
        let ranges: Vec<Vec<Value>> = self.query(command).await?;
        let mut masters: Vec<(String, u16)> = Vec::new();
        for range in ranges {
            let Some(Value::Array(master)) = range.into_iter().nth(2) else { continue };
            let mut fields = master.into_iter();
            let (Some(host), Some(port)) = (fields.next(), fields.next()) else { continue };
            let address = (from_redis_value(host)?, from_redis_value(port)?);
            if !masters.contains(&address) {
                masters.push(address);
            }
        }
        Ok(masters.into_iter().map(|(host, port)| Node::Master { host, port }).collect())
    }

    /// One step of a scan of `node`: the next cursor and some keys.
    pub(super) async fn scan_step(&self, node: &Node, cursor: u64, pattern: &str) -> RedisResult<(u64, Vec<Vec<u8>>)> {
        let mut command = redis::cmd("SCAN");
        command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(500);
        Ok(from_redis_value(self.ask_node(node, command).await?)?)
    }
}
