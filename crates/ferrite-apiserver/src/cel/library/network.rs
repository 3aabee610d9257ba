//! URLs, addresses and networks.

use std::net::IpAddr;
use std::rc::Rc;

use super::super::eval::{Failure, Outcome, error};
use super::super::value::Value;
use super::text_of;

/// The parts of a URL.
struct Parts<'u> {
    scheme: &'u str,
    host: &'u str,
    path: &'u str,
    query: &'u str,
}

fn parts(url: &str) -> Option<Parts<'_>> {
    if url.is_empty() || url.contains(|c: char| c.is_control() || c == ' ') {
        return None;
    }
    let (scheme, rest) = match url.split_once(':') {
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (scheme, rest)
        }
        _ if url.starts_with('/') => ("", url),
        _ => return None,
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, "")),
        None => ("", rest),
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    Some(Parts { scheme, host, path, query })
}

fn host_and_port(host: &str) -> (&str, &str) {
    if let Some((inner, rest)) = host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        return (inner, rest.strip_prefix(':').unwrap_or(""));
    }
    host.rsplit_once(':').unwrap_or((host, ""))
}

fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
    (bits <= width(address)).then_some((address, bits))
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn no_address<T>(text: &str) -> Result<T, Failure> {
    let why = match text.chars().find(|c| matches!(c, '.' | ':')) {
        Some('.') => match text.split('.').collect::<Vec<_>>() {
            parts if parts.iter().any(|p| p.parse::<u32>().is_ok_and(|n| n > 255)) => {
                "IPv4 field has value >255"
            }
            parts if parts.len() < 4 => "IPv4 address too short",
            parts if parts.len() > 4 => "IPv4 address too long",
            _ => "unexpected character",
        },
        Some(_) => "unexpected character",
        None => "unable to parse IP",
    };
    let shown = "parse error during conversion from string: ParseAddr";
    error(format!("IP Address {text:?} {shown}({text:?}): {why}"))
}

fn no_network<T>(text: &str) -> Result<T, Failure> {
    let why = if text.contains('/') { "invalid network" } else { "no '/'" };
    let shown = "network address parse error during conversion from string";
    error(format!("{shown}: {shown}: netip.ParsePrefix({text:?}): {why}"))
}

/// Makes a URL, an address or a network of a text, or says whether it is one.
pub(super) fn make<'j>(name: &str, text: &str) -> Outcome<'j> {
    let ip = text.parse::<IpAddr>();
    Ok(match name {
        "isURL" => Value::Bool(parts(text).is_some()),
        "url" if parts(text).is_some() => Value::Url(text.into()),
        "url" => {
            return error(format!(
                "URL parse error during conversion from string: parse {text:?}: invalid URI for request"
            ));
        }
        "isIP" => Value::Bool(ip.is_ok()),
        "ip.isCanonical" => match ip {
            Ok(ip) => Value::Bool(ip.to_string() == text),
            Err(_) => return no_address(text),
        },
        "ip" => match ip {
            Ok(ip) => Value::Ip(ip),
            Err(_) => return no_address(text),
        },
        "isCIDR" => Value::Bool(cidr(text).is_some()),
        _ => match cidr(text) {
            Some((ip, bits)) => Value::Cidr(ip, bits),
            None => {
                return no_network(text);
            }
        },
    })
}

pub(super) fn method<'j>(name: &str, target: &Value<'j>, arguments: &[Value<'j>]) -> Outcome<'j> {
    match target {
        Value::Url(url) if arguments.is_empty() => url_method(name, url),
        Value::Ip(ip) if arguments.is_empty() => ip_method(name, *ip),
        Value::Cidr(ip, bits) => cidr_method(name, *ip, *bits, arguments),
        _ => Err(Failure::NoOverload),
    }
}

fn url_method<'j>(name: &str, url: &str) -> Outcome<'j> {
    let parts = parts(url).ok_or(Failure::NoOverload)?;
    let (host, port) = host_and_port(parts.host);
    let text = match name {
        "getScheme" => parts.scheme,
        "getHost" => parts.host,
        "getHostname" => host,
        "getPort" => port,
        "getEscapedPath" => parts.path,
        "getQuery" => return Ok(query(parts.query)),
        _ => return Err(Failure::NoOverload),
    };
    Ok(Value::Text(text.into()))
}

fn query<'j>(query: &str) -> Value<'j> {
    let mut out: Vec<(String, Vec<Value<'j>>)> = Vec::new();
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| {
            percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
        };
        let (key, value) = (decode(key), Value::Text(decode(value).into()));
        match out.iter_mut().find(|(k, _)| *k == key) {
            Some((_, values)) => values.push(value),
            None => out.push((key, vec![value])),
        }
    }
    let entries = out.into_iter().map(|(k, v)| (Value::Text(k.into()), Value::List(Rc::new(v))));
    Value::Map(Rc::new(entries.collect()))
}

fn ip_method<'j>(name: &str, ip: IpAddr) -> Outcome<'j> {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    Ok(match name {
        "family" => Value::Int(if ip.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Value::Bool(ip.is_unspecified()),
        "isLoopback" => Value::Bool(ip.is_loopback()),
        "isLinkLocalMulticast" => Value::Bool(match ip {
            IpAddr::V4(v4) => matches!(v4.octets(), [224, 0, 0, _]),
            IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
        }),
        "isLinkLocalUnicast" => Value::Bool(link_local),
        "isGlobalUnicast" => Value::Bool(
            !ip.is_unspecified()
                && !ip.is_loopback()
                && !ip.is_multicast()
                && !link_local
                && ip != IpAddr::V4(std::net::Ipv4Addr::BROADCAST),
        ),
        _ => return Err(Failure::NoOverload),
    })
}

fn bits_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => u128::from(v6),
    }
}

fn mask(bits: u8) -> u128 {
    if bits == 0 { 0 } else { u128::MAX << (128 - u32::from(bits.min(128))) }
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    let value = bits_of(ip) & mask(bits);
    match ip {
        IpAddr::V4(_) => IpAddr::V4(((value >> 96) as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(value.into()),
    }
}

fn cidr_method<'j>(name: &str, ip: IpAddr, bits: u8, arguments: &[Value<'j>]) -> Outcome<'j> {
    let holds = |other: IpAddr, wide: u8| {
        ip.is_ipv4() == other.is_ipv4()
            && wide >= bits
            && bits_of(ip) & mask(bits) == bits_of(other) & mask(bits)
    };
    Ok(match (name, arguments) {
        ("containsIP", [Value::Ip(other)]) => Value::Bool(holds(*other, width(*other))),
        ("containsIP", [other]) => match text_of(other)?.parse::<IpAddr>() {
            Ok(other) => Value::Bool(holds(other, width(other))),
            Err(_) => return Err(Failure::NoOverload),
        },
        ("containsCIDR", [Value::Cidr(other, wide)]) => Value::Bool(holds(*other, *wide)),
        ("containsCIDR", [other]) => match cidr(text_of(other)?) {
            Some((other, wide)) => Value::Bool(holds(other, wide)),
            None => return no_network(text_of(other)?),
        },
        ("ip", []) => Value::Ip(ip),
        ("masked", []) => Value::Cidr(masked(ip, bits), bits),
        ("prefixLength", []) => Value::Int(i64::from(bits)),
        _ => return Err(Failure::NoOverload),
    })
}
