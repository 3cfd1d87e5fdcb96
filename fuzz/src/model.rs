//! Archives of any records, and what they must hold.

use std::collections::BTreeMap;
use std::time::Duration;

use arbitrary::Arbitrary;
use etcd_ark::archive::{Compression, Cutter, Encoder, Header, Lease};
use etcd_ark::{ClusterId, KeyRange, KeyValue, LeaseId, MemberId, Revision};

/// What an archive is made of. Records and leases come in order, as a cluster's do.
#[derive(Arbitrary, Debug)]
pub struct Model {
    ids: [u64; 2],
    numbers: [i64; 2],
    texts: [String; 2],
    range: (Vec<u8>, Vec<u8>),
    records: BTreeMap<Vec<u8>, Record>,
    leases: BTreeMap<i64, (u32, u32)>,
    level: Option<u8>,
    /// What is looked up.
    pub ranges: Vec<(Vec<u8>, Vec<u8>)>,
    /// In pieces of this length it is read.
    pub piece: u8,
}

#[derive(Arbitrary, Debug)]
struct Record {
    numbers: [i64; 4],
    value: Vec<u8>,
    /// The value is repeated this often, so that blocks end.
    times: u8,
}

impl Model {
    #[must_use]
    pub fn header(&self) -> Header {
        let [server_version, writer] = self.texts.clone();
        let (start, end) = self.range.clone();
        let range = if !start.is_empty() && start < end {
            KeyRange::between(start, end)
        } else {
            KeyRange::key(start)
        };
        Header {
            cluster_id: ClusterId(self.ids[0]),
            member_id: MemberId(self.ids[1]),
            revision: Revision(self.numbers[0]),
            created_unix_ms: self.numbers[1],
            server_version,
            writer,
            range,
        }
    }

    #[must_use]
    pub fn records(&self) -> Vec<KeyValue> {
        let records = self.records.iter().filter(|(key, _)| !key.is_empty());
        records.map(|(key, record)| record.of(key)).collect()
    }

    #[must_use]
    pub fn leases(&self) -> Vec<Lease> {
        let ttl = |seconds: u32| Duration::from_secs(seconds.into());
        let lease = |(id, (granted, remaining)): (&i64, &(u32, u32))| Lease {
            id: LeaseId(*id),
            granted_ttl: ttl(*granted),
            remaining_ttl: ttl(*remaining),
        };
        self.leases.iter().filter(|(id, _)| **id != 0).map(lease).collect()
    }

    #[must_use]
    pub fn archive(&self) -> Vec<u8> {
        let level = self.level.map(|level| i32::from(level % 4));
        let compression = level.map_or(Compression::None, Compression::Zstd);
        let (mut encoder, start) = Encoder::new(&self.header()).unwrap();
        let mut archive = start.to_vec();
        let mut cutter = Cutter::new();
        let mut blocks: Vec<_> = self.records().iter().filter_map(|kv| cutter.push(kv).unwrap()).collect();
        blocks.extend(cutter.finish());
        for block in blocks {
            archive.extend_from_slice(&encoder.append(block.seal(compression)).unwrap());
        }
        archive.extend_from_slice(&encoder.leases(&self.leases()).unwrap());
        archive.extend_from_slice(&encoder.finish().unwrap().0);
        archive
    }
}

impl Record {
    fn of(&self, key: &[u8]) -> KeyValue {
        let [create, modified, version, lease] = self.numbers;
        KeyValue {
            key: key.to_vec().into(),
            value: self.value.repeat(self.times.into()).into(),
            create_revision: Revision(create),
            mod_revision: Revision(modified),
            version,
            lease: (lease != 0).then_some(LeaseId(lease)),
        }
    }
}
