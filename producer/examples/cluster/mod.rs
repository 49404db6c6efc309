//! A cluster for the examples: the one that `--namesrv` names, or mocks in this process, so that
//! each example runs without any set-up.

use std::error::Error;

use clap::Parser;
use rmq_mock_broker::Broker;
use rmq_mock_namesrv::NameServer;

/// Sends to a mock cluster in this process, or to a real one.
#[derive(Debug, Parser)]
struct Arguments {
    /// The name servers of a real cluster, host:port separated by ';'.
    #[arg(long, value_name = "ADDRESSES")]
    namesrv: Option<String>,
}

/// A name server and two brokers in this process, or nothing if a real cluster is used.
pub(crate) struct Cluster {
    /// What a producer's `name_servers` takes.
    pub(crate) name_servers: String,
    mocks: Option<(NameServer, Vec<Broker>)>,
}

impl Cluster {
    /// The cluster that the command line names.
    pub(crate) async fn from_arguments() -> Result<Self, Box<dyn Error>> {
        match Arguments::parse().namesrv {
            Some(name_servers) => Ok(Self {
                name_servers,
                mocks: None,
            }),
            None => Self::in_this_process().await,
        }
    }

    async fn in_this_process() -> Result<Self, Box<dyn Error>> {
        let name_server = NameServer::on_loopback().await?;
        let address = name_server.local_addr();
        let mut brokers = Vec::new();
        for name in ["broker-a", "broker-b"] {
            brokers.push(Broker::on_loopback(name, address).await?);
        }
        println!("a mock name server at {address} and two mock brokers run in this process");
        Ok(Self {
            name_servers: address.to_string(),
            mocks: Some((name_server, brokers)),
        })
    }

    /// Ends the mocks, if there are any.
    pub(crate) async fn stop(self) {
        let Some((name_server, brokers)) = self.mocks else {
            return;
        };
        for broker in brokers {
            broker.stop().await;
        }
        name_server.stop().await;
    }
}
