//! What may stand where a program names an address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::access::enter;
use crate::process::{Process, here, over};

/// An address, a list of them, or a text or pair with the name of a node: what
/// `tokio::net::ToSocketAddrs` stands for. It cannot be implemented elsewhere.
pub trait ToSocketAddrs: sealed::Resolve {}

impl<A: sealed::Resolve + ?Sized> ToSocketAddrs for A {}

/// Looks the addresses up that a name means. The order of Tokio's iterator is kept: that of the list.
///
/// # Errors
///
/// No node has that name, the text is not of the form `host:port`, or the task that calls belongs to
/// no node.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let mut engine = dst_engine::Engine::new(7);
/// engine.process("shop", [10, 0, 0, 1], |_host| async {});
/// engine.client("visitor", [10, 0, 0, 2], |_host| async {
///     let mut found = dst_engine::net::lookup_host("shop:8080").await.expect("a node");
///     assert_eq!(found.next(), Some(([10, 0, 0, 1], 8080).into()));
///     assert!(dst_engine::net::lookup_host("shed:8080").await.is_err());
/// });
/// assert!(engine.run()?.value.is_some());
/// # Ok(())
/// # }
/// ```
pub async fn lookup_host<A: ToSocketAddrs>(
    name: A,
) -> io::Result<impl Iterator<Item = SocketAddr>> {
    Ok(resolve(here()?, &name)?.into_iter())
}

/// The addresses that a process means. Loop-back addresses are those of its own machine.
pub(super) fn resolve<A: ToSocketAddrs>(from: Process, to: &A) -> io::Result<Vec<SocketAddr>> {
    let own = enter(from.run, |core| core.address(from.node)).flatten();
    let own = own.ok_or_else(over)?;
    let found = to.resolve(from)?;
    let local = |mut at: SocketAddr| {
        if at.ip().is_loopback() {
            at.set_ip(own);
        }
        at
    };
    Ok(found.into_iter().map(local).collect())
}

/// A host that is a text, at a port.
fn named(from: Process, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = enter(from.run, |core| core.resolve_host(from.node, host, port));
    Ok(vec![found.ok_or_else(over)??])
}

mod sealed {
    use super::{
        IpAddr, Ipv4Addr, Ipv6Addr, Process, SocketAddr, SocketAddrV4, SocketAddrV6, enter, io,
        named, over,
    };

    /// What [`ToSocketAddrs`](super::ToSocketAddrs) is made of.
    pub trait Resolve {
        #[expect(private_interfaces, reason = "called in this crate only")]
        fn resolve(&self, from: Process) -> io::Result<Vec<SocketAddr>>;
    }

    macro_rules! addresses {
        ($($Type:ty),* $(,)?) => {
            $(impl Resolve for $Type {
                #[expect(private_interfaces, reason = "called in this crate only")]
                fn resolve(&self, _from: Process) -> io::Result<Vec<SocketAddr>> {
                    Ok(vec![SocketAddr::from(*self)])
                }
            })*
        };
    }

    addresses!(
        SocketAddr,
        SocketAddrV4,
        SocketAddrV6,
        (IpAddr, u16),
        (Ipv4Addr, u16),
        (Ipv6Addr, u16),
    );

    impl Resolve for [SocketAddr] {
        #[expect(private_interfaces, reason = "called in this crate only")]
        fn resolve(&self, _from: Process) -> io::Result<Vec<SocketAddr>> {
            Ok(self.to_vec())
        }
    }

    impl Resolve for str {
        #[expect(private_interfaces, reason = "called in this crate only")]
        fn resolve(&self, from: Process) -> io::Result<Vec<SocketAddr>> {
            let found = enter(from.run, |core| core.resolve(from.node, self));
            Ok(vec![found.ok_or_else(over)??])
        }
    }

    impl Resolve for String {
        #[expect(private_interfaces, reason = "called in this crate only")]
        fn resolve(&self, from: Process) -> io::Result<Vec<SocketAddr>> {
            self.as_str().resolve(from)
        }
    }

    impl Resolve for (&str, u16) {
        #[expect(private_interfaces, reason = "called in this crate only")]
        fn resolve(&self, from: Process) -> io::Result<Vec<SocketAddr>> {
            named(from, self.0, self.1)
        }
    }

    impl Resolve for (String, u16) {
        #[expect(private_interfaces, reason = "called in this crate only")]
        fn resolve(&self, from: Process) -> io::Result<Vec<SocketAddr>> {
            named(from, &self.0, self.1)
        }
    }

    impl<A: Resolve + ?Sized> Resolve for &A {
        #[expect(private_interfaces, reason = "called in this crate only")]
        fn resolve(&self, from: Process) -> io::Result<Vec<SocketAddr>> {
            (**self).resolve(from)
        }
    }
}
