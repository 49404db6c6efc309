//! How the short trace calls nodes.
//!
//! Brokers are mostly called the same but for their end. Where the part after the last common `-`
//! tells them apart it is enough: `a/0` for queue 0 of `broker-a`. Otherwise the whole name stays.

use crate::trace::record::{NodeId, NodeKind, TraceHeader};

/// Short names of brokers, and names of nodes by address.
#[derive(Debug)]
pub(super) struct Names<'t> {
    header: &'t TraceHeader,
    /// The length of the part that all brokers' names share.
    shared: usize,
    /// Whether lines name their producer.
    many: bool,
}

impl<'t> Names<'t> {
    pub(super) fn of(header: &'t TraceHeader) -> Self {
        let brokers: Vec<&str> = header
            .of_kind(NodeKind::Broker)
            .map(|it| header.name(it))
            .collect();
        let many = header.of_kind(NodeKind::Producer).count() > 1;
        Names {
            header,
            shared: shared(&brokers),
            many,
        }
    }

    /// A broker's short name.
    pub(super) fn broker<'a>(&self, name: &'a str) -> &'a str {
        match name.get(self.shared..) {
            Some(short) if self.header.node(name).is_some() => short,
            _ => name,
        }
    }

    /// A name server's short name: `n1` for `ns-1`.
    pub(super) fn name_server(&self, name: &str) -> String {
        match name.strip_prefix("ns-") {
            Some(number) if !number.is_empty() => format!("n{number}"),
            _ => name.to_owned(),
        }
    }

    /// The short name of a server: what its column is called.
    pub(super) fn short(&self, node: NodeId) -> String {
        let name = self.header.name(node);
        match self.header.nodes[node.index()].kind {
            NodeKind::NameServer => self.name_server(name),
            _ => self.broker(name).to_owned(),
        }
    }

    /// `n1: ns-1 …  a: broker-a …`: what short names stand for, by the first of each sort.
    pub(super) fn legend(&self) -> Option<String> {
        let sorts = [NodeKind::NameServer, NodeKind::Broker].into_iter();
        let parts = sorts.filter_map(|kind| {
            let mut nodes = self.header.of_kind(kind);
            let first = nodes.next()?;
            let (name, short) = (self.header.name(first), self.short(first));
            let more = if nodes.next().is_some() { " …" } else { "" };
            (short != name).then(|| format!("{short}: {name}{more}"))
        });
        let parts: Vec<String> = parts.collect();
        (!parts.is_empty()).then(|| parts.join("  "))
    }

    /// A producer's name before a line of its own, where there are several.
    pub(super) fn who(&self, node: NodeId) -> String {
        if self.many {
            format!("{} ", self.header.name(node))
        } else {
            String::new()
        }
    }

    /// The node that listened at an address when the run began; the address itself if none did.
    pub(super) fn at<'a>(&'a self, address: &'a str) -> (&'a str, Option<NodeId>) {
        let known = |info: &crate::trace::NodeInfo| info.address.as_deref() == Some(address);
        match (0..).zip(&self.header.nodes).find(|(_, info)| known(info)) {
            Some((index, info)) => (&info.name, Some(NodeId(index))),
            None => (address, None),
        }
    }

    /// `a4 b4`: brokers with their numbers of queues.
    pub(super) fn widths(&self, counts: &[(&str, usize)]) -> String {
        let mut parts = Vec::with_capacity(counts.len());
        for (broker, count) in counts {
            let short = self.broker(broker);
            let digit = short.ends_with(|end: char| end.is_ascii_digit());
            parts.push(format!("{short}{}{count}", if digit { ":" } else { "" }));
        }
        if parts.is_empty() {
            "no queue".to_owned()
        } else {
            parts.join(" ")
        }
    }
}

/// How long the common part is that can be left out: it ends with `-`, and something is left.
fn shared(names: &[&str]) -> usize {
    let [first, rest @ ..] = names else { return 0 };
    if rest.is_empty() {
        return first
            .rfind('-')
            .filter(|at| at + 1 < first.len())
            .map_or(0, |at| at + 1);
    }
    let ends = first.match_indices('-').map(|(at, _)| at + 1).rev();
    let mut common = ends.filter(|end| {
        names
            .iter()
            .all(|name| name.starts_with(&first[..*end]) && name.len() > *end)
    });
    common.next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::shared;

    #[test]
    fn only_a_part_that_all_brokers_share_is_left_out() {
        assert_eq!(shared(&["broker-a", "broker-b"]), "broker-".len());
        assert_eq!(shared(&["eu-1-x", "eu-2-x"]), "eu-".len());
        assert_eq!(shared(&["alpha", "beta"]), 0);
        assert_eq!(shared(&["broker-", "broker-b"]), 0);
        assert_eq!(shared(&["broker-a"]), "broker-".len());
        assert_eq!(shared(&[]), 0);
    }
}
