use proptest::prelude::*;

use super::*;
use crate::engine::LayerSizes;

fn need() -> impl Strategy<Value = Need> {
    let layers = proptest::collection::vec(0..1u64 << 40, 0..64);
    (0..1u64 << 40, 0..1u64 << 40, layers).prop_map(|(base, output, layers)| Need { base, output, layers })
}

proptest! {
    #[test]
    fn what_is_planned_fits_and_one_layer_more_would_not(need in need(), n_free in 0..1u64 << 46, n_most in 0..70u32) {
        let Plan { n_layers, n_bytes } = need.plan(n_free, n_most);
        let n_all = u32::try_from(need.layers.len() + 1).unwrap();
        prop_assert!(n_layers <= n_most.min(n_all));
        prop_assert!(n_bytes <= n_free);
        let in_order: Vec<u64> = std::iter::once(need.output).chain(need.layers.iter().rev().copied()).collect();
        let taken: u64 = in_order[..n_layers as usize].iter().sum();
        prop_assert_eq!(n_bytes, if n_layers == 0 { 0 } else { need.base + taken });
        if n_layers < n_most.min(n_all) {
            prop_assert!(need.base + taken + in_order[n_layers as usize] > n_free);
        }
    }

    #[test]
    fn more_memory_never_means_fewer_layers(need in need(), a in 0..1u64 << 46, b in 0..1u64 << 46) {
        let plan = |n_free| need.plan(n_free, u32::MAX).n_layers;
        prop_assert!(plan(a.min(b)) <= plan(a.max(b)));
    }

    #[test]
    fn all_layers_fit_exactly_when_the_total_does(need in need(), n_free in 0..1u64 << 46) {
        let n_all = u32::try_from(need.layers.len() + 1).unwrap();
        prop_assert_eq!(need.plan(n_free, u32::MAX).n_layers == n_all, need.total() <= n_free);
    }

    #[test]
    fn a_larger_context_never_needs_less(
        n_cells in 1..1usize << 20,
        more in 0..1usize << 20,
        n_ubatch in 1..4096usize,
    ) {
        let layer = LayerSizes { weights: 50 << 20, cell: 2048, state: 16384 };
        let layers = vec![layer; 30];
        let sizes = ModelSizes { layers, output: 140 << 20, n_embd: 2048, n_hidden: 10752, n_vocab: 65536 };
        let fixed = ContextOptions { n_cells, is_divided: false, kv_type: crate::engine::KvType::F16, n_places: 12, n_batch: 1024, n_ubatch, n_threads: 1, n_draft: 15 };
        let context = |n_cells| ContextOptions { n_cells, ..fixed };
        let total = |n_cells| Need::new(&sizes, &context(n_cells)).total();
        prop_assert!(total(n_cells) <= total(n_cells + more));
        let divided = ContextOptions { is_divided: true, ..context(n_cells) };
        prop_assert!(Need::new(&sizes, &divided).total() <= total(n_cells), "each row masks the cells of one place");
    }
}

#[test]
fn any_numbers_of_a_file_are_added_without_overflow() {
    let layer = LayerSizes { weights: u64::MAX, cell: u64::MAX, state: u64::MAX };
    let sizes =
        ModelSizes { layers: vec![layer; 3], output: u64::MAX, n_embd: 1 << 32, n_hidden: 1 << 32, n_vocab: 1 << 32 };
    let context = ContextOptions {
        n_cells: 1 << 30,
        is_divided: false,
        kv_type: crate::engine::KvType::F16,
        n_places: 256,
        n_batch: 1024,
        n_ubatch: 1 << 20,
        n_threads: 1,
        n_draft: 63,
    };
    let need = Need::new(&sizes, &context);
    assert_eq!((need.total(), need.plan(80 << 30, u32::MAX).n_layers), (u64::MAX, 0));
}

#[test]
fn something_is_left_for_the_driver_and_a_silent_one_is_believed() {
    let device =
        |n_total, n_free| Device { index: 0, name: String::new(), description: String::new(), n_total, n_free };
    assert_eq!(usable(&device(8 << 30, 4 << 30)), (4 << 30) - (256 << 20));
    assert_eq!(usable(&device(80 << 30, 80 << 30)), (80 << 30) - (80 << 30) / 50);
    assert_eq!(usable(&device(8 << 30, 100 << 20)), 0);
    assert_eq!(usable(&device(0, 0)), u64::MAX);
}
