//! How near to this machine an address is, so that no server can send us where only we can go.
//!
//! A server on the internet may lead to others on the internet. It may not lead into the private network we stand in, to
//! this machine, or to the metadata service that clouds offer on the link and that hands out our own rights.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

/// How near an address is; the nearer, the less a foreign server may lead there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Anywhere.
    World,
    /// Private networks, such as 10.0.0.0/8 and fc00::/7.
    Site,
    /// Loopback.
    Machine,
    /// The network link and the metadata services on it, and addresses that name no machine.
    Link,
}

impl Reach {
    /// Of one address.
    pub(crate) fn of(address: IpAddr) -> Reach {
        match address.to_canonical() {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }

    /// Of the nearest address that a host's name stands for, or of the host if it is an address itself.
    pub(crate) fn of_host(url: &Url) -> io::Result<Reach> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or(443);
        let addresses = (host, port).to_socket_addrs()?;
        Ok(addresses.map(|address| Reach::of(address.ip())).max().unwrap_or(Reach::World))
    }

    /// Of a host that is an address itself.
    pub(crate) fn of_literal(url: &Url) -> Option<Reach> {
        let host = url.host_str()?.trim_matches(['[', ']']);
        host.parse().ok().map(Reach::of)
    }

    /// What it is called in messages.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Reach::World => "it leads to the internet",
            Reach::Site => "it leads into a private network",
            Reach::Machine => "it leads to this machine",
            Reach::Link => "it leads to this machine's own network link, where cloud metadata is",
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    const CARRIER: u32 = 0x6440_0000;
    // Metadata services that do not stand on the link: Alibaba, Oracle.
    const METADATA: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
    let is_nowhere = address.octets()[0] == 0 || address.is_broadcast() || address.is_multicast();
    if address.is_link_local() || is_nowhere || METADATA.contains(&address) {
        Reach::Link
    } else if address.is_loopback() {
        Reach::Machine
    } else if address.is_private() || u32::from(address) & 0xFFC0_0000 == CARRIER {
        Reach::Site
    } else {
        Reach::World
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    // Amazon's and Google's metadata services; the first stands in a private range.
    const METADATA: [Ipv6Addr; 2] =
        [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];
    let is_nowhere = address.is_unspecified() || address.is_multicast();
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() {
        // Translated to version 4 on its way.
        return of_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    }
    if address.is_unicast_link_local() || is_nowhere || METADATA.contains(&address) {
        Reach::Link
    } else if address.is_loopback() {
        Reach::Machine
    } else if address.is_unique_local() {
        Reach::Site
    } else {
        Reach::World
    }
}

/// A name that leads nearer than allowed.
#[derive(Debug, thiserror::Error)]
#[error("{host}: {}", reach.words())]
pub(crate) struct Forbidden {
    pub(crate) host: String,
    pub(crate) reach: Reach,
}

impl Forbidden {
    /// The refusal that an error of a client comes from.
    pub(crate) fn within<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Forbidden> {
        std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
    }
}

/// Looks names up, and refuses those of which any address is nearer than allowed: what was checked is what is connected
/// to.
pub(crate) struct Guard(pub(crate) Reach);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (host, allowed) = (name.as_str().to_owned(), self.0);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let nearest = addresses.iter().map(|address| Reach::of(address.ip())).max().unwrap_or(Reach::World);
            if nearest > allowed {
                return Err(Forbidden { host, reach: nearest }.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_near_as_they_are() {
        for (reach, addresses) in [
            (Reach::World, "1.1.1.1 192.0.2.1 100.128.0.1 2606:4700::1111 64:ff9b::101:101 ::ffff:1.1.1.1"),
            (Reach::Site, "10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 fd12::1 64:ff9b::a00:1 ::ffff:10.0.0.1"),
            (Reach::Machine, "127.0.0.1 127.9.9.9 ::1 ::ffff:127.0.0.1 64:ff9b::7f00:1"),
            (
                Reach::Link,
                "169.254.169.254 0.0.0.0 0.1.2.3 255.255.255.255 224.0.0.1 100.100.100.200 fe80::1 :: ff02::1 \
                 fd00:ec2::254 fd20:ce::254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe",
            ),
        ] {
            for address in addresses.split_whitespace() {
                assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
            }
        }
    }

    #[test]
    fn hosts_that_are_addresses_are_known_in_every_writing() {
        let of = |url: &str| Reach::of_literal(&Url::parse(url).unwrap());
        assert_eq!(of("http://localhost/"), None);
        assert_eq!(of("http://[fe80::1]:80/"), Some(Reach::Link));
        assert_eq!(of("http://0xA9FEA9FE/"), Some(Reach::Link));
        assert_eq!(Reach::of_host(&Url::parse("http://localhost/").unwrap()).unwrap(), Reach::Machine);
    }
}
