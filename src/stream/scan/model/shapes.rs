//! Keyspaces of many shapes, the same in every run.

use std::iter;

pub(super) struct Shape {
    pub(super) name: &'static str,
    /// Ascending, without duplicates.
    pub(super) keys: Vec<Vec<u8>>,
}

/// What keys look like where people or programs name them.
pub(super) fn natural(count: usize) -> Vec<Shape> {
    let mut any = Random(1);
    vec![
        shape("Kubernetes, uneven", kubernetes(count, &mut any)),
        shape("three even levels", three_levels(count)),
        shape("padded decimals", texts((0..count).map(|n| format!("key-{n:010}")))),
        shape("bare decimals", texts((0..count).map(|n| format!("key-{n}")))),
        shape("hexadecimals", texts((0..count).map(|n| format!("h{n:08x}")))),
        shape("UUIDs", repeated(count, || uuid(&mut any))),
        shape("16 random bytes", repeated(count, || any.bytes(16))),
        shape("big-endian counter", counter(count, |n| (n * 7).to_be_bytes())),
        shape("little-endian counter", counter(count, u64::to_le_bytes)),
        shape("prefixes of each other", prefixes_of_each_other(count)),
        shape("500-byte common prefix", texts((0..count).map(|n| format!("{}{n:x}", "p/".repeat(250))))),
        shape("tenants, uneven", tenants(count, &mut any)),
        shape("one huge among tiny", one_huge(count, &mut any)),
        shape("timestamps", texts((0..count).map(|n| timestamp(n, &mut any)))),
        shape("folders by hash", repeated(count, || hashed(&mut any))),
        shape("tiny and huge by turns", tiny_and_huge(count)),
        shape("bytes 00 and ff", repeated_with(count, |n| (0..20).map(|bit| bit_byte(n + 1, bit)).collect())),
        // Those above are what the design asks for, those below are ours.
        shape("base64", repeated(count, || base64(&mut any))),
        shape("carts of users", carts(count)),
        shape("logs of tenants", texts((0..count).map(|n| log_line(n, &mut any)))),
        shape("instances by region", instances(count, &mut any)),
        shape("ten by ten by ten", ten_by_ten(count)),
        shape("e-mail addresses", repeated(count, || email(&mut any))),
        shape("IPv4 addresses", texts((0..count).map(|n| format!("/ipam/v2/assignment/{}", ipv4(n))))),
        shape("cilium's state", cilium(count, &mut any)),
        shape("words", repeated(count, || [b"/service/", &*any.word_of(5, 15)].concat())),
        shape("versions of packages", texts((0..count).map(|n| package(n, &mut any)))),
    ]
}

/// What has no near ends, or hides them.
pub(super) fn adverse(count: usize) -> Vec<Shape> {
    let each = count.div_ceil(100);
    let nested = |depth: &dyn Fn(usize) -> String, levels: usize, each: usize| {
        texts(
            (0..levels)
                .flat_map(|level| (0..each).map(move |n| (level, n)))
                .map(|(l, n)| depth(l) + &format!("{n:05}")),
        )
    };
    vec![
        shape("comb", nested(&|level| "x/".repeat(level) + "k", 100, each)),
        shape("comb, backwards", texts((0..count).map(|n| format!("{}a{n:06}", "b".repeat(n % 300))))),
        shape("64 levels", nested(&|level| "n".repeat(level), 64, count.div_ceil(64))),
        shape("twelve depths", nested(&|level| "deep/".repeat(level), 12, count.div_ceil(12))),
        shape(
            "runs of ff",
            repeated_with(count, |n| [vec![0xff; 1 + n % 50], n.to_be_bytes().to_vec()].concat()),
        ),
    ]
}

pub(super) fn shape(name: &'static str, mut keys: Vec<Vec<u8>>) -> Shape {
    keys.sort();
    keys.dedup();
    Shape { name, keys }
}

fn texts(names: impl Iterator<Item = String>) -> Vec<Vec<u8>> {
    names.map(String::into_bytes).collect()
}

fn repeated(count: usize, key: impl FnMut() -> Vec<u8>) -> Vec<Vec<u8>> {
    iter::repeat_with(key).take(count).collect()
}

fn repeated_with(count: usize, key: impl Fn(usize) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..count).map(key).collect()
}

/// Parts whose sizes fall off as those of cities do.
fn uneven(total: usize, parts: usize) -> impl Iterator<Item = usize> {
    let weight = |part: usize| 1.0 / ((part + 1) as f64).powf(1.1);
    let weights: f64 = (0..parts).map(weight).sum();
    (0..parts).map(move |part| rounded(total as f64 * weight(part) / weights).max(1))
}

#[allow(clippy::cast_possible_truncation, reason = "sizes of parts are small")]
fn rounded(number: f64) -> usize {
    number as usize
}

pub(super) fn kubernetes(count: usize, any: &mut Random) -> Vec<Vec<u8>> {
    let kinds = ["apps.deployments", "configmaps", "endpointslices", "events", "leases", "minions", "pods"];
    let kinds = kinds.iter().chain(&["replicasets", "secrets", "services"]);
    let mut keys = Vec::new();
    for (kind, in_kind) in kinds.zip(uneven(count, 10)) {
        for in_namespace in uneven(in_kind, 200) {
            let namespace = any.text_of(4, 14);
            let name = |any: &mut Random| format!("{}-{}", any.text_of(8, 8), any.text_of(5, 5));
            let key = || format!("/registry/{kind}/{namespace}/{}", name(any));
            keys.extend(texts(iter::repeat_with(key).take(in_namespace)));
        }
    }
    keys
}

fn three_levels(count: usize) -> Vec<Vec<u8>> {
    let kinds = ["pods", "configmaps", "secrets", "events", "leases"];
    texts((0..count).map(|n| format!("/registry/{}/ns-{:03}/obj-{n:08}", kinds[n % 5], n / 5 % 200)))
}

fn uuid(any: &mut Random) -> Vec<u8> {
    let hex = format!("{:016x}{:016x}", any.number(), any.number());
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-").into_bytes()
}

fn counter(count: usize, bytes: impl Fn(u64) -> [u8; 8]) -> Vec<Vec<u8>> {
    (0..count as u64).map(|n| [b"\0tbl", &bytes(n)[..]].concat()).collect()
}

fn prefixes_of_each_other(count: usize) -> Vec<Vec<u8>> {
    texts((0..count).map(|n| format!("{:05}{}", n / 500, "a".repeat(n % 500))))
}

fn tenants(count: usize, any: &mut Random) -> Vec<Vec<u8>> {
    let tenant = |keys| {
        let name = any.text_of(3, 20);
        (0..keys).map(move |n| format!("/tenants/{name}/{n:x}"))
    };
    texts(uneven(count, 5000.min(count)).flat_map(tenant).take(count))
}

fn one_huge(count: usize, any: &mut Random) -> Vec<Vec<u8>> {
    let huge = texts((0..count / 2).map(|n| format!("/b/huge/{n:09}")));
    let small = repeated(count / 4, || format!("/a/{}", any.text_of(9, 9)).into_bytes());
    let tiny = repeated(count / 4, || format!("/{}/x", any.text_of(12, 12)).into_bytes());
    [huge, small, tiny].concat()
}

fn timestamp(n: usize, any: &mut Random) -> String {
    let (day, hour, minute) = (1 + n * 60 / 86_400 % 28, n / 60 % 24, n % 60);
    format!(
        "/ev/2026-01-{day:02}T{hour:02}:{minute:02}:{:02}.{:09}Z",
        any.below(60),
        any.below(1_000_000_000)
    )
}

fn hashed(any: &mut Random) -> Vec<u8> {
    let hex = format!("{:016x}{:016x}", any.number(), any.number());
    format!("/o/{}/{}/{}", &hex[..2], &hex[2..4], &hex[4..]).into_bytes()
}

pub(super) fn tiny_and_huge(count: usize) -> Vec<Vec<u8>> {
    let pair = |n| (0..count / 100).map(move |m| format!("/t{n:03}b/{m:07}"));
    let tiny = (0..100).map(|n| format!("/t{n:03}a/only"));
    texts((0..100).flat_map(pair).chain(tiny))
}

fn bit_byte(number: usize, bit: u32) -> u8 {
    if number >> bit & 1 == 1 { 0xff } else { 0 }
}

fn base64(any: &mut Random) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..22).map(|_| letters[any.below(64)]).collect()
}

fn carts(count: usize) -> Vec<Vec<u8>> {
    let users = uneven(count, 300).enumerate();
    texts(
        users.flat_map(|(user, items)| {
            (0..items).map(move |n| format!("user:{}:cart:{n:05}", 1000 + user * 37))
        }),
    )
}

fn log_line(n: usize, any: &mut Random) -> String {
    let (tenant, month, day) =
        (["alpha", "beta", "gamma"][any.below(3)], 1 + any.below(12), 1 + any.below(28));
    let (hour, minute, second) = (any.below(24), any.below(60), any.below(60));
    format!("logs/{tenant}/2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z/{n}")
}

fn instances(count: usize, any: &mut Random) -> Vec<Vec<u8>> {
    texts((0..count / 2).flat_map(|n| {
        let id = format!("/regions/eu-west-{}/instances/i-0{:016x}", n % 40, any.number());
        [format!("{id}/meta"), format!("{id}/state")]
    }))
}

fn ten_by_ten(count: usize) -> Vec<Vec<u8>> {
    texts((0..count).map(|n| format!("/a{}/b{}/c{}/leaf{:04}", n % 10, n / 10 % 10, n / 100 % 10, n / 1000)))
}

fn email(any: &mut Random) -> Vec<u8> {
    let domain = ["com", "org", "net"][any.below(3)];
    format!("{}@{}.{domain}", any.text_of(3, 9), any.text_of(4, 8)).into_bytes()
}

fn ipv4(n: usize) -> String {
    format!("10.{}.{}.{}", n / 65_536, n / 256 % 256, n % 256)
}

fn cilium(count: usize, any: &mut Random) -> Vec<Vec<u8>> {
    let namespaces = ["default", "kube-system", "prod"];
    texts((0..count / 3).flat_map(|n| {
        let labels = format!("k8s:app={};k8s:ns={}", any.text_of(6, 6), namespaces[n % 3]);
        [
            format!("cilium/state/identities/v1/id/{}", 1000 + n),
            format!("cilium/state/identities/v1/value/{labels};/{}", ipv4(n)),
            format!("cilium/state/ip/v1/default/{}", ipv4(n)),
        ]
    }))
}

fn package(n: usize, any: &mut Random) -> String {
    let name = format!("{}{}", ["lib", "node-", "py3-", "go-"][n % 4], n / 40);
    format!("packages/{name}/{}.{}.{}", any.below(4), any.below(20), any.below(50))
}

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % bound as u64).expect("below a usize")
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number().to_le_bytes()[0]).collect()
    }

    /// Small letters, between so many and so many.
    fn word_of(&mut self, least: usize, most: usize) -> Vec<u8> {
        let len = least + self.below(most - least + 1);
        (0..len).map(|_| b"abcdefghijklmnopqrstuvwxyz"[self.below(26)]).collect()
    }

    fn text_of(&mut self, least: usize, most: usize) -> String {
        String::from_utf8(self.word_of(least, most)).expect("letters")
    }
}
