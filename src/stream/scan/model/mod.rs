//! Scans of keyspaces of many shapes, against a server that counts the index entries it visits.
//!
//! `cargo test --release --lib scan::model -- --nocapture` prints the figures of each shape;
//! `ETCD_ARK_MODEL_KEYS` says how many keys it has.

mod server;
mod shapes;

use std::{env, thread};

use bytes::Bytes;
use proptest::prelude::*;

use self::server::{Figures, Server, far_end};
use self::shapes::{Random, Shape, adverse, kubernetes, natural, shape, tiny_and_huge};

/// What pages aim at, in keys, where values are of one size.
const PAGE: usize = 1000;
const VALUE: usize = 100;
/// How many keys the first pages have at most: as few as is safe, then up to eight times as many as the one before.
const GROWING: [usize; 3] = [32, 256, 1024];

fn keys_of_a_shape() -> usize {
    env::var("ETCD_ARK_MODEL_KEYS").map_or(100_000, |keys| keys.parse().expect("a number of keys"))
}

/// A shape, what scanning it costs, and how many visits paging towards the far end would cost.
struct Row {
    name: &'static str,
    figures: Figures,
    far_end: u64,
}

fn scanned(shape: Shape, workers: usize) -> Row {
    let bytes: usize = shape.keys.iter().map(|key| key.len() + VALUE).sum();
    let page_bytes = bytes * PAGE / shape.keys.len();
    let server = Server::new(shape.keys.into_iter().map(|key| (Bytes::from(key), VALUE)));
    let mut any = Random(3);
    let figures = server.scan_by(page_bytes, workers, |under_way| any.below(under_way));
    Row { name: shape.name, figures, far_end: far_end(&server, page_bytes).visited }
}

fn all_scanned(shapes: Vec<Shape>, workers: usize) -> Vec<Row> {
    let rows = thread::scope(|scope| {
        let started: Vec<_> =
            shapes.into_iter().map(|shape| scope.spawn(move || scanned(shape, workers))).collect();
        started.into_iter().map(|row| row.join().expect("a scan")).collect::<Vec<_>>()
    });
    println!("| shape | keys | visited per key | towards the far end | requests : least | time : ideal |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    rows.iter().for_each(Row::print);
    rows
}

impl Row {
    fn print(&self) {
        let Figures { keys, visited, .. } = self.figures;
        let per_key = |visited| visited as f64 / keys as f64;
        let (requests, time) = (self.requests_to_least(), self.figures.time_to_ideal(PAGE));
        println!(
            "| {} | {keys} | {:.2} | {:.0} | {requests:.2} | {time:.2} |",
            self.name,
            per_key(visited),
            per_key(self.far_end)
        );
    }

    fn visited_per_key(&self) -> f64 {
        self.figures.visited as f64 / self.figures.keys as f64
    }

    fn requests_to_least(&self) -> f64 {
        self.figures.requests as f64 / least_requests(self.figures.keys) as f64
    }
}

/// Pages of the largest size that is ever asked for, behind the first ones: how large values are nobody knows at first.
fn least_requests(keys: u64) -> u64 {
    let grown = GROWING.map(|page| page as u64);
    let needed = |at: usize| grown[..at].iter().sum::<u64>() < keys;
    let small = (0..grown.len()).filter(|&at| needed(at)).count() as u64;
    small + keys.saturating_sub(grown.iter().sum()).div_ceil(2 * PAGE as u64)
}

fn mean(rows: &[Row], figure: impl Fn(&Row) -> f64) -> f64 {
    rows.iter().map(figure).sum::<f64>() / rows.len() as f64
}

/// One after the other, and as many at once as is the default.
const WORKERS: [usize; 2] = [1, 4];

#[test]
fn natural_shapes_cost_a_few_visits_a_key() {
    for workers in WORKERS {
        println!("{workers} at once:\n");
        let rows = all_scanned(natural(keys_of_a_shape()), workers);
        let (visited, requests) = (mean(&rows, Row::visited_per_key), mean(&rows, Row::requests_to_least));
        let time = mean(&rows, |row| row.figures.time_to_ideal(PAGE));
        println!("| mean | | {visited:.2} | | {requests:.2} | {time:.2} |\n");
        // What is asked ahead rests on less.
        let most = if workers == 1 { 4.0 } else { 4.5 };
        for row in &rows {
            assert!(row.visited_per_key() <= most, "{}: {:.2}", row.name, row.visited_per_key());
        }
        assert!(visited <= 3.0, "{visited:.2} visits a key");
        assert!(requests <= 2.0, "{requests:.2} times the requests");
    }
}

/// By depths alone, what follows namespaces of different lengths seems to be different things.
#[test]
fn names_of_different_lengths_cost_few_requests_in_vain() {
    let row = scanned(shape("Kubernetes, uneven", kubernetes(100_000, &mut Random(1))), 1);
    assert!(row.requests_to_least() <= 3.5, "{:.2}", row.requests_to_least());
}

/// Only at so many keys is a huge one of them many pages.
#[test]
fn a_step_in_vain_into_a_node_forgets_no_size() {
    let row = scanned(shape("tiny and huge by turns", tiny_and_huge(1_000_000)), 1);
    assert!(row.visited_per_key() <= 3.5, "{:.2}", row.visited_per_key());
}

#[test]
fn no_shape_costs_more_than_pages_towards_the_far_end() {
    let count = keys_of_a_shape();
    for workers in WORKERS {
        let shapes = [adverse(count), natural(count / 20), adverse(count / 20)];
        for row in all_scanned(shapes.into_iter().flatten().collect(), workers) {
            let (visited, far_end) = (row.figures.visited, row.far_end);
            assert!(visited <= far_end, "{}, {workers} at once: {visited} > {far_end}", row.name);
        }
    }
}

#[test]
fn values_of_ten_bytes_and_of_a_megabyte_and_a_half_mix() {
    let mut any = Random(7);
    let keys = (0..keys_of_a_shape()).map(|n| format!("/mixed/{n:08}").into());
    let server = Server::new(keys.map(|key| (key, if any.below(100) == 0 { 1_500_000 } else { 10 })));
    let figures = server.scan(2 << 20);
    println!("{figures:?}");
    assert!(figures.visited <= 4 * figures.keys && figures.largest_answer <= 64 << 20, "{figures:?}");
}

/// Keys of few bytes, which meet and nest in all ways.
fn keys() -> impl Strategy<Value = Vec<Bytes>> {
    let byte = prop::sample::select(b"\x00\x01/09azb\xfe\xff".to_vec());
    let key = prop::collection::vec(byte, 1..12).prop_map(Bytes::from);
    prop::collection::btree_set(key, 1..3000).prop_map(Vec::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_keys_can_be_made_that_cost_more(keys in keys(), page in prop_oneof![1usize..60, 60usize..1000]) {
        let server = Server::new(keys.into_iter().map(|key| (key, VALUE)));
        let figures = server.scan(page * VALUE);
        let far_end = far_end(&server, page * VALUE);
        prop_assert!(figures.visited <= far_end.allows(&figures), "{figures:?}, {far_end:?}");
    }

    #[test]
    fn no_order_of_answers_costs_more_or_loses_keys(
        keys in keys(),
        page in prop_oneof![1usize..60, 60usize..1000],
        workers in 2usize..12,
        seed: u64,
    ) {
        let server = Server::new(keys.into_iter().map(|key| (key, VALUE)));
        let mut any = Random(seed);
        let figures = server.scan_by(page * VALUE, workers, |under_way| any.below(under_way));
        let far_end = far_end(&server, page * VALUE);
        prop_assert!(figures.visited <= far_end.allows(&figures), "{figures:?}, {far_end:?}");
    }
}
