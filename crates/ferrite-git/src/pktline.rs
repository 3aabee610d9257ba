//! The pkt-line framing (gitprotocol-common): four hexadecimal digits of length, then the payload.

/// Longest payload of one packet.
pub(crate) const MAX_PAYLOAD: usize = 65_516;

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    Data(&'a [u8]),
    Flush,
    Delimiter,
    ResponseEnd,
}

impl<'a> Packet<'a> {
    /// The payload as a line, without its newline.
    pub(crate) fn line(self) -> Option<&'a [u8]> {
        match self {
            Self::Data(bytes) => Some(bytes.strip_suffix(b"\n").unwrap_or(bytes)),
            Self::Flush | Self::Delimiter | Self::ResponseEnd => None,
        }
    }
}

/// The framing is broken at this point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Splits one packet off the front; `None` when more bytes are needed. Returns the bytes used with it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Packet<'_>, usize)>, Malformed> {
    let Some(digits) = bytes.get(..4) else { return Ok(None) };
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Malformed);
    }
    let length =
        std::str::from_utf8(digits).ok().and_then(|d| usize::from_str_radix(d, 16).ok()).ok_or(Malformed)?;
    match length {
        0 => Ok(Some((Packet::Flush, 4))),
        1 => Ok(Some((Packet::Delimiter, 4))),
        2 => Ok(Some((Packet::ResponseEnd, 4))),
        3 => Err(Malformed),
        _ if length > MAX_PAYLOAD + 4 => Err(Malformed),
        _ => Ok(bytes.get(4..length).map(|payload| (Packet::Data(payload), length))),
    }
}

/// Every packet of a complete message.
pub(crate) fn decode_all(mut bytes: &[u8]) -> Result<Vec<Packet<'_>>, Malformed> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let (packet, used) = decode(bytes)?.ok_or(Malformed)?;
        packets.push(packet);
        bytes = bytes.get(used..).unwrap_or_default();
    }
    Ok(packets)
}

/// Appends a data packet; the payload must fit [`MAX_PAYLOAD`].
pub(crate) fn data(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend_from_slice(format!("{:04x}", payload.len() + 4).as_bytes());
    out.extend_from_slice(payload);
}

/// Appends a line of text, adding the newline.
pub(crate) fn line(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(format!("{:04x}{text}\n", text.len() + 5).as_bytes());
}

/// Appends a flush packet.
pub(crate) fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Appends a delimiter packet.
pub(crate) fn delimiter(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0001");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_split_and_nonsense_is_refused() {
        let packets = decode_all(b"0009hello000100000002").unwrap();
        assert_eq!(packets, [Packet::Data(b"hello"), Packet::Delimiter, Packet::Flush, Packet::ResponseEnd]);
        assert_eq!(decode(b"00"), Ok(None));
        assert_eq!(decode(b"0009hel"), Ok(None));
        for bytes in [&b"0003"[..], b"zzzz", b"+009", b"fff1", b"ffff"] {
            assert_eq!(decode(bytes), Err(Malformed));
        }
    }
}
