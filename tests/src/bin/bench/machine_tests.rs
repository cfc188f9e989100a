use super::*;

#[test]
fn idle_time_includes_waiting_for_disks() {
    let stat =
        "cpu  100 20 30 400 50 6 7 8 9 0\ncpu0 50 10 15 200 25 3 4 4 9 0\ncpu1 50 10 15 200 25 3 3 4 0 0\nintr 1\n";
    let times = parse_cpu_times(stat).unwrap();
    assert_eq!((times.n_total, times.n_idle, times.n_cores), (621, 450, 2));
}

#[test]
fn a_process_may_be_called_anything() {
    let stat = "17 (a) R (b) S 1 17 17 0 -1 4194304 100 0 0 0 21 4 0 0 20 0 1 0 5 1000 200 184467";
    assert_eq!(parse_process(stat), Some(("a) R (b".into(), 25)));
}

#[test]
fn sizes_and_counts_are_found_by_their_whole_names() {
    let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nvoluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t4\n";
    assert_eq!(number_of(status, "VmRSS"), Some(1024));
    assert_eq!(number_of(status, "voluntary_ctxt_switches"), Some(3));
    assert_eq!(number_of(status, "Vm"), None);
}
