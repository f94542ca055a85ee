//! Which server of a cluster has which keys, pure.

use std::collections::BTreeSet;

use redis::{Arg, Cmd, Value};

use super::dial::Address;

/// How many slots a cluster has.
pub(super) const SLOTS: u16 = 16384;

/// Where a command goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// To whoever has this slot.
    Slot(u16),
    /// To any, but best always to the same one, so that the order stays: first to whoever has
    /// this slot.
    Any(u16),
}

impl Target {
    /// By its first key: all keys of a command of ours are in one slot.
    pub(super) fn of(command: &Cmd) -> Self {
        let mut arguments = command.args_iter().map(|argument| match argument {
            Arg::Simple(bytes) => bytes,
            _ => b"",
        });
        let name = arguments.next().unwrap_or_default().to_ascii_uppercase();
        let key = match name.as_slice() {
            b"PUBLISH" => return Self::Any(arguments.next().map_or(0, slot_of)),
            b"PING" | b"INFO" | b"CLUSTER" | b"SCRIPT" | b"TIME" | b"CLIENT" | b"COMMAND" | b"CONFIG" => None,
            b"EVAL" | b"EVALSHA" => {
                let count = arguments.nth(1).unwrap_or_default();
                arguments.next().filter(|_| count != b"0")
            }
            b"XREAD" | b"XREADGROUP" => {
                arguments.find(|argument| argument.eq_ignore_ascii_case(b"STREAMS")).and_then(|_| arguments.next())
            }
            b"XGROUP" | b"XINFO" | b"OBJECT" | b"MEMORY" => arguments.nth(1),
            _ => arguments.next(),
        };
        key.map_or(Self::Any(0), |key| Self::Slot(slot_of(key)))
    }
}

/// The slot of a key: by what is between its first braces, if anything is.
pub(crate) fn slot_of(key: &[u8]) -> u16 {
    let place = |from: &[u8], sought: u8| from.iter().position(|byte| *byte == sought);
    let tag = place(key, b'{').and_then(|open| {
        let rest = &key[open + 1..];
        place(rest, b'}').map(|close| &rest[..close]).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM, by which the specification of the cluster places keys.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    })
}

/// Who has which slots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Map {
    /// In order, and apart from each other.
    ranges: Vec<Range>,
    replicas: BTreeSet<Address>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    last: u16,
    first: u16,
    master: Address,
}

impl Map {
    /// Reads an answer to `CLUSTER SLOTS` of the server at `asked`; `None` if it is none, or no
    /// server has any slot yet.
    pub(super) fn read(answer: &Value, asked: &Address) -> Option<Self> {
        let mut map = Self::default();
        for row in list(answer)? {
            let [first, last, nodes @ ..] = list(row)? else { return None };
            let mut nodes = nodes.iter().map(|node| read_node(node, asked));
            let (first, last) = (number(first)?, number(last)?);
            if first > last || last >= SLOTS {
                return None;
            }
            // A server whose name is not known yet is as none.
            if let Some(master) = nodes.next().flatten() {
                map.ranges.push(Range { last, first, master });
            }
            map.replicas.extend(nodes.flatten());
        }
        map.ranges.sort();
        (!map.ranges.is_empty()).then_some(map)
    }

    /// Who has a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Address> {
        let place = self.ranges.partition_point(|range| range.last < slot);
        self.ranges.get(place).filter(|range| range.first <= slot).map(|range| &range.master)
    }

    /// All who have slots.
    pub(super) fn masters(&self) -> BTreeSet<&Address> {
        self.ranges.iter().map(|range| &range.master).collect()
    }

    /// All servers.
    pub(super) fn servers(&self) -> BTreeSet<&Address> {
        self.masters().into_iter().chain(&self.replicas).collect()
    }

    /// How many slots nobody has.
    pub(super) fn uncovered(&self) -> usize {
        let covered: usize = self.ranges.iter().map(|range| usize::from(range.last - range.first) + 1).sum();
        usize::from(SLOTS).saturating_sub(covered)
    }
}

fn read_node(node: &Value, asked: &Address) -> Option<Address> {
    let [host, port, ..] = list(node)? else { return None };
    let port = number(port)?;
    match (text(host), asked) {
        // It knows no name for itself: then the one by which we have reached it.
        (None | Some(""), Address::Tcp(host, _)) => Some(Address::Tcp(host.clone(), port)),
        (None | Some("" | "?"), _) => None,
        (Some(host), _) => Some(Address::Tcp(host.to_owned(), port)),
    }
}

/// Where an answer sends us; `asked` is who gave it.
pub(super) fn read_redirect(place: &str, asked: &Address) -> Option<Address> {
    let (host, port) = place.rsplit_once(':')?;
    let port = port.parse().ok()?;
    match (host, asked) {
        ("", Address::Tcp(host, _)) => Some(Address::Tcp(host.clone(), port)),
        ("" | "?", _) => None,
        (host, _) => Some(Address::Tcp(host.to_owned(), port)),
    }
}

fn list(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use redis::cmd;

    use super::*;

    fn at(port: u16) -> Address {
        Address::Tcp("10.0.0.1".to_owned(), port)
    }

    fn node(host: Option<&str>, port: u16) -> Value {
        let host = host.map_or(Value::Nil, |host| Value::BulkString(host.as_bytes().to_vec()));
        Value::Array(vec![host, Value::Int(port.into()), Value::BulkString(b"id".to_vec())])
    }

    fn row(first: u16, last: u16, nodes: Vec<Value>) -> Value {
        let mut row = vec![Value::Int(first.into()), Value::Int(last.into())];
        row.extend(nodes);
        Value::Array(row)
    }

    #[test]
    fn keys_lie_where_the_specification_says() {
        // The check value of this CRC.
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"foo"), 12182);
        assert_eq!(slot_of(b"{foo}bar"), slot_of(b"foo"));
        assert_eq!(slot_of(b"a{foo}{bar}"), slot_of(b"foo"));
        assert_ne!(slot_of(b"{}foo"), slot_of(b"foo"));
        assert_eq!(slot_of(b"foo{"), crc16(b"foo{") % SLOTS);
    }

    #[test]
    fn a_command_goes_where_its_first_key_lies() {
        let slot = Target::Slot(slot_of(b"key"));
        for (command, target) in [
            (cmd("GET").arg("key"), slot),
            (cmd("set").arg("key").arg("value"), slot),
            (cmd("XADD").arg("key").arg("*").arg("field").arg("value"), slot),
            (cmd("XREADGROUP").arg("GROUP").arg("g").arg("c").arg("STREAMS").arg("key").arg(">"), slot),
            (cmd("XGROUP").arg("CREATE").arg("key").arg("g").arg("$"), slot),
            (cmd("EVALSHA").arg("hash").arg(2).arg("key").arg("{key}2").arg("x"), slot),
            (cmd("EVAL").arg("return 1").arg(0), Target::Any(0)),
            (cmd("PUBLISH").arg("key").arg("message"), Target::Any(slot_of(b"key"))),
            (cmd("PING").arg("key"), Target::Any(0)),
        ] {
            assert_eq!(Target::of(command), target);
        }
    }

    #[test]
    fn the_map_tells_who_has_a_slot() {
        let answer = Value::Array(vec![
            row(8000, 16383, vec![node(Some("10.0.0.1"), 2)]),
            row(0, 99, vec![node(None, 1), node(Some("10.0.0.1"), 3), node(Some("?"), 4)]),
            row(200, 200, vec![node(Some(""), 1)]),
        ]);

        let map = Map::read(&answer, &at(9)).unwrap();

        let owners = [0, 99, 100, 200, 201, 8000, 16383].map(|slot| map.owner(slot).cloned());
        let (one, two) = (Some(at(1)), Some(at(2)));
        assert_eq!(owners, [one.clone(), one.clone(), None, one, None, two.clone(), two]);
        assert_eq!(map.masters(), [&at(1), &at(2)].into());
        assert_eq!(map.servers(), [&at(1), &at(2), &at(3)].into());
        assert_eq!(map.uncovered(), 8000 - 100 - 1);
    }

    #[test]
    fn what_is_no_map_is_none() {
        for answer in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![row(5, 4, vec![node(None, 1)])]),
            Value::Array(vec![row(0, SLOTS, vec![node(None, 1)])]),
        ] {
            assert_eq!(Map::read(&answer, &at(1)), None);
        }
    }

    #[test]
    fn a_redirect_without_a_host_leads_to_the_same_one() {
        assert_eq!(read_redirect("10.0.0.2:7", &at(1)), Some(Address::Tcp("10.0.0.2".to_owned(), 7)));
        assert_eq!(read_redirect("fd00::2:7", &at(1)), Some(Address::Tcp("fd00::2".to_owned(), 7)));
        assert_eq!(read_redirect(":7", &at(1)), Some(at(7)));
        assert_eq!(read_redirect("?:7", &at(1)), None);
    }
}
