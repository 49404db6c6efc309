//! The laboratory step by step, for whoever has never used it.
//!
#![doc = include_str!("tutorial.md")]

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rmq_producer::Message;

    use crate::simulation::{Cluster, Simulation, crash, delay_replies, drop_requests};

    /// Where the failure's text stands.
    const BLOCK: &str = "```text\n";

    #[test]
    fn no_order_is_lost() {
        let failure = Simulation::new(Cluster::new().brokers(2).topic("orders", 4))
            .fault(
                crash("broker-a")
                    .at(Duration::from_millis(2_500))
                    .down_for_secs(10),
            )
            .fault(drop_requests("broker-b").per_mille(100))
            .fault(delay_replies("broker-b", Duration::from_millis(20)))
            .shrinking(Duration::from_secs(600))
            .try_check(async |sim| {
                let producer = sim.producer("shop").retries(0).start().await?;
                for id in 0..10 {
                    let order = Message::new("orders", format!("order {id}"));
                    let _forgotten = producer.send(order).await;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                producer.stop().await;
                sim.ledger().assert_each_key_stored();
                Ok(())
            });
        let failure = failure.unwrap_err();
        // A reader's test is in a file of the reader's.
        let told = failure.to_string();
        let place = told
            .lines()
            .next()
            .and_then(|line| line.rsplit_once(" (sim"));
        let (_, place) = place.unwrap();
        let told = told.replace(
            &format!("sim{}", place.trim_end_matches(')')),
            "tests/orders.rs:24:18",
        );
        let page = include_str!("tutorial.md");
        let (before, rest) = page.split_once(BLOCK).unwrap();
        let (shown, after) = rest.split_once("```\n").unwrap();
        if shown.trim_end() == told {
            return;
        }
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tutorial.md");
        assert!(
            std::env::var_os("UPDATE_README").is_some(),
            "{file} shows another failure than:\n{told}\nUPDATE_README=1 makes it anew"
        );
        std::fs::write(file, format!("{before}{BLOCK}{told}\n```\n{after}")).unwrap();
    }
}
