//! The example of docs/format.md, made anew.

use std::fmt::Write as _;

use super::*;

const PAGE: &str = include_str!("../../docs/format.md");

/// Two records and a lease, stored as they are.
fn example() -> Vec<u8> {
    let header = Header {
        cluster_id: ClusterId(0xc1),
        member_id: MemberId(0x3e),
        revision: Revision(9),
        created_unix_ms: 1_700_000_000_000,
        server_version: "3.5.1".into(),
        writer: "example".into(),
        range: KeyRange::all(),
    };
    let (mut encoder, start) = Encoder::new(&header).unwrap();
    let one = KeyValue { lease: None, version: 1, ..kv("a", "1") };
    let other = KeyValue { lease: Some(LeaseId(7)), ..kv("b", "two") };
    let blocks = cut(&[one, other]).into_iter().map(|block| block.seal(Compression::None));
    let blocks: Vec<_> = blocks.map(|block| encoder.append(block).unwrap()).collect();
    let leases = encoder.leases(&[Lease { remaining_ttl: Duration::ZERO, ..lease(7) }]).unwrap();
    [start, blocks.concat().into(), leases, encoder.finish().unwrap().0].concat()
}

/// Bytes with what they mean, a line for every sixteen.
struct Dump {
    at: usize,
    text: String,
}

impl Dump {
    fn put(&mut self, bytes: &[u8], meaning: &str) {
        for (number, line) in bytes.chunks(16).enumerate() {
            let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let meaning = if number == 0 { meaning } else { "" };
            let line = format!("{:04x}  {:47}  {meaning}", self.at, hex.join(" "));
            writeln!(self.text, "{}", line.trim_end()).unwrap();
            self.at += bytes.chunks(16).nth(number).unwrap().len();
        }
    }

    /// Fields of these sizes and names.
    fn layout(&mut self, mut bytes: &[u8], fields: &[(usize, String)]) {
        for (size, name) in fields {
            let (field, rest) = bytes.split_at(*size);
            self.put(field, name);
            bytes = rest;
        }
    }

    /// The fields of a message, those of the messages in it too.
    fn message(&mut self, mut bytes: &[u8], heading: &str, indent: &str) {
        let names = rows(heading);
        while !bytes.is_empty() {
            let (number, start, len) = field(bytes);
            let row = names.iter().find(|row| row[0] == number.to_string()).unwrap();
            let label = format!("{indent}{number} {}", row[2]);
            let (head, body) = bytes[..start + len].split_at(start);
            match row[1].strip_prefix("repeated ").filter(|inner| !["string", "bytes"].contains(inner)) {
                Some(inner) => {
                    self.put(head, &label);
                    self.message(body, inner, &format!("{indent}  "));
                }
                None => self.put(&bytes[..start + len], &label),
            }
            bytes = &bytes[start + len..];
        }
    }
}

/// Number of the first field, where its value's bytes begin, and how many they are. Numbers here are short.
fn field(bytes: &[u8]) -> (u8, usize, usize) {
    let varint = |from: &[u8]| from.iter().position(|byte| *byte < 0x80).unwrap() + 1;
    match bytes[0] & 7 {
        0 => (bytes[0] >> 3, 1, varint(&bytes[1..])),
        2 => {
            let size = varint(&bytes[1..]);
            let len = bytes[1..=size].iter().rev().fold(0, |len, byte| len << 7 | usize::from(byte & 0x7f));
            (bytes[0] >> 3, 1 + size, len)
        }
        other => panic!("wire type {other}"),
    }
}

/// The cells of the table under a heading of the page.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let section = PAGE
        .lines()
        .skip_while(|line| line.trim_start_matches('#').trim() != heading || !line.starts_with('#'));
    let lines =
        section.skip(1).take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with("| "));
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The fields of a fixed layout: offset, size and name are the columns.
fn layout(heading: &str) -> Vec<(usize, String)> {
    let sized =
        rows(heading).into_iter().filter_map(|row| Some((row.get(1)?.parse().ok()?, row[2].to_owned())));
    sized.collect()
}

fn records(dump: &mut Dump, mut raw: &[u8]) {
    while let Some((len, rest)) = raw.split_first() {
        dump.put(&[*len], "record length");
        let (record, behind) = rest.split_at(usize::from(*len));
        dump.message(record, "Record", "  ");
        raw = behind;
    }
}

fn dump(archive: &[u8]) -> String {
    let mut dump = Dump { at: 0, text: String::new() };
    dump.layout(&archive[..PREAMBLE_LEN], &layout("Preamble"));
    for frame in split(archive) {
        let row = rows("Frame").into_iter().find(|row| row[0] == format!("{:02x}", frame[4])).unwrap();
        writeln!(dump.text, "\n{}", row[1]).unwrap();
        dump.layout(&frame[..12], &layout("Frame"));
        let payload = payload(&frame);
        match (row[1], row[4].strip_prefix("message ")) {
            ("BLOCK", _) => {
                dump.layout(payload, &layout("Block"));
                records(&mut dump, &payload[BLOCK_HEADER_LEN..]);
            }
            (_, Some(message)) => dump.message(payload, message, ""),
            _ => dump.layout(payload, &layout("Footer")),
        }
        dump.put(&frame[frame.len() - 32..], "check");
    }
    dump.text
}

#[test]
fn the_example_on_the_page_is_what_the_code_writes() {
    let archive = example();
    assert!(decode(&archive).1.is_ok());
    let made = dump(&archive);
    let section = PAGE.split("## Example").nth(1).expect("the page has an example");
    let shown = section.split("```").nth(1).unwrap().trim_start_matches('\n');
    assert!(shown == made, "docs/format.md should show:\n{made}");
}

/// By the hand of another program: the example's hex digits alone.
#[test]
fn the_example_can_be_read_from_the_page() {
    let section = PAGE.split("## Example").nth(1).unwrap().split("```").nth(1).unwrap();
    let lines = section.lines().filter(|line| line.get(4..6) == Some("  "));
    let digits = lines.flat_map(|line| line.get(6..53).unwrap_or(&line[6..]).split_whitespace());
    let bytes: Vec<_> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    let (content, end) = decode(&bytes);
    assert_eq!(end.unwrap().records, 2);
    assert_eq!(content.records[1].value, "two");
}
