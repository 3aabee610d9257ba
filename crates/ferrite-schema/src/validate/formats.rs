//! String formats that Kubernetes checks; others are accepted as they are.

use regex::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;

/// Whether `text` is of the format. Unknown formats take anything.
pub(super) fn fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => matches(
            &DATE_TIME,
            r"^\d{4}-(0\d|1[0-2])-([0-2]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$",
            text,
        ),
        "date" => matches(&DATE, r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => cidr(text),
        "byte" => matches(
            &BASE64,
            r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$",
            text,
        ),
        "uuid" => {
            matches(&UUID, "(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$", text)
        }
        "mac" => matches(&MAC, "^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$", text),
        "hostname" => matches(
            &HOSTNAME,
            r"^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$",
            text,
        ),
        "email" => matches(&EMAIL, r"^[^@\s]+@[^@\s]+$", text),
        "uri" => text.starts_with('/') || matches(&URI, r"^[a-zA-Z][a-zA-Z0-9+.-]*:[^\s]+$", text),
        "duration" => matches(
            &DURATION,
            r"^[+-]?(\d+(\.\d*)?|\.\d+)\s*(ns|us|µs|μs|ms|s|m|h|d|w|[a-z]+)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w))*$|^0$",
            text,
        ),
        _ => true,
    }
}

type Cell = OnceLock<Option<Regex>>;

static DATE_TIME: Cell = OnceLock::new();
static DATE: Cell = OnceLock::new();
static BASE64: Cell = OnceLock::new();
static UUID: Cell = OnceLock::new();
static MAC: Cell = OnceLock::new();
static HOSTNAME: Cell = OnceLock::new();
static EMAIL: Cell = OnceLock::new();
static URI: Cell = OnceLock::new();
static DURATION: Cell = OnceLock::new();

/// The patterns are ours and tested; one that did not compile would accept nothing, and its test would say so.
fn matches(cell: &Cell, pattern: &str, text: &str) -> bool {
    cell.get_or_init(|| Regex::new(pattern).ok()).as_ref().is_some_and(|r| r.is_match(text))
}

fn cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let Ok(bits) = bits.parse::<u8>() else { return false };
    address.parse::<Ipv4Addr>().is_ok() && bits <= 32 || address.parse::<Ipv6Addr>().is_ok() && bits <= 128
}
