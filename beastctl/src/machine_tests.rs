use super::*;

#[test]
fn linux_tells_what_it_is() {
    let cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC 9B14: x\nmodel name\t: other\n";
    assert_eq!(cpu_of(cpuinfo).as_deref(), Some("AMD EPYC 9B14: x"));
    assert_eq!(cpu_of("processor\t: 0\nBogoMIPS\t: 50\n"), None);
    let text = "MemTotal:       8000000 kB\nMemFree:  1 kB\nMemAvailable:    4000000 kB\n";
    assert_eq!(Memory::parse(text), Some(Memory { total: 8_192_000_000, available: Some(4_096_000_000) }));
    assert_eq!(Memory::parse("MemFree: 1 kB\n"), None);
    assert_eq!(Memory::parse("MemTotal: many\n"), None);
}

#[test]
fn a_machine_has_a_line() {
    let machine = Machine { cpu: "AMD EPYC".into(), n_cores: 2, n_bytes: Some(8_200_000_000) };
    assert_eq!(machine.text(), "AMD EPYC, 2 cores, 8.2 GB memory");
    assert_eq!(Machine { n_cores: 1, n_bytes: None, ..machine }.text(), "AMD EPYC, 1 core");
}

#[test]
fn this_machine_has_something_to_tell() {
    let machine = Machine::look();
    assert!(machine.n_cores > 0 && !machine.cpu.is_empty());
}
