//! Which addresses an outgoing request may reach. A name is resolved once, its addresses are filtered, and the connection goes to
//! one of those: there is no second look-up between the check and the use (DNS rebinding).

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// How far a request may reach. By default: `https` to public addresses only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Loopback and private networks too: only for peers for which the operator's configuration says so.
    pub private: bool,
    /// `http` too, under the same condition.
    pub http: bool,
}

/// The rule that an address breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Not `https`.
    #[error("only https addresses are contacted, unless this peer's configuration allows others (allow_http)")]
    NotHttps,
    /// No host, or credentials in the URL.
    #[error("the address needs a host and no credentials")]
    BadAuthority,
    /// A loopback, private, link-local or otherwise special address.
    #[error(
        "the address is on a private or special network, which this peer's configuration does not allow (allow_private)"
    )]
    PrivateAddress,
}

/// Checks what can be known without resolving a name.
pub fn check(url: &Url, reach: Reach) -> Result<(), Violation> {
    if url.scheme() != "https" && !(reach.http && url.scheme() == "http") {
        return Err(Violation::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Violation::BadAuthority);
    }
    let literal = match url.host() {
        Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        Some(Host::Domain(name)) if name.eq_ignore_ascii_case("localhost") => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Some(Host::Domain(_)) => None,
        None => return Err(Violation::BadAuthority),
    };
    match literal {
        Some(ip) if !reach.private && !is_public(ip) => Err(Violation::PrivateAddress),
        _ => Ok(()),
    }
}

/// Whether an address belongs to the public internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_unspecified()
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // RFC 6598, carrier-grade NAT
        || (a == 192 && b == 0 && c == 0) // RFC 6890
        || (a == 198 && (b == 18 || b == 19)); // RFC 2544
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let [first, second, ..] = segments;
    // An IPv4 address in IPv6 clothes: mapped, compatible, NAT64 (RFC 6052), 6to4 (RFC 3056).
    let [.., a, b] = segments;
    let tail = Ipv4Addr::from((u32::from(a) << 16) | u32::from(b));
    if ip.to_ipv4_mapped().is_some() || segments.iter().take(6).all(|s| *s == 0) || (first == 0x64 && second == 0xff9b)
    {
        return is_public_v4(tail) && !ip.is_loopback() && !ip.is_unspecified();
    }
    if first == 0x2002 {
        let [_, high, low, ..] = segments;
        return is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    }
    let special = ip.is_multicast()
        || (first & 0xfe00) == 0xfc00 // unique local
        || (first & 0xffc0) == 0xfe80 // link local
        || (first & 0xffc0) == 0xfec0 // site local, deprecated
        || (first == 0x2001 && second == 0xdb8) // documentation
        || (first == 0x2001 && second < 0x200); // IETF special purpose, Teredo among them
    !special
}

/// A resolver that hands out only the addresses that is allowed.
pub(super) struct Resolver {
    pub(super) private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|addr| private || is_public(addr.ip()))
                .collect();
            if allowed.is_empty() {
                return Err(Box::new(Violation::PrivateAddress) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public_in_any_spelling() {
        for text in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "fec0::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    const PUBLIC: Reach = Reach {
        private: false,
        http: false,
    };
    const PRIVATE: Reach = Reach {
        private: true,
        ..PUBLIC
    };

    fn checked(text: &str, reach: Reach) -> Result<(), Violation> {
        check(&Url::parse(text).unwrap(), reach)
    }

    #[test]
    fn urls_are_checked_before_any_lookup() {
        assert_eq!(checked("https://u:p@a.example/", PRIVATE), Err(Violation::BadAuthority));
        for text in [
            "https://127.0.0.1/",
            "https://localhost:1/",
            "https://LOCALHOST/",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
        ] {
            assert_eq!(checked(text, PUBLIC), Err(Violation::PrivateAddress), "{text}");
            assert_eq!(checked(text, PRIVATE), Ok(()), "{text}");
        }
        assert_eq!(checked("https://a.example/", PUBLIC), Ok(()));
    }

    #[test]
    fn http_is_spoken_only_where_it_is_allowed_and_nothing_else_ever() {
        let http = Reach { http: true, ..PUBLIC };
        assert_eq!(checked("http://a.example/", PRIVATE), Err(Violation::NotHttps));
        assert_eq!(checked("http://a.example/", http), Ok(()));
        assert_eq!(checked("http://localhost/", http), Err(Violation::PrivateAddress));
        for text in ["ftp://a.example/", "file:///etc/passwd", "gopher://a.example/"] {
            assert_eq!(checked(text, http), Err(Violation::NotHttps), "{text}");
        }
    }
}
