use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use expect_test::{Expect, expect};

use super::*;
use crate::HttpPlaces;

fn service() -> Service {
    Service {
        program: "/opt/homebrew/bin/beastd".into(),
        arguments: Vec::new(),
        socket: "/Users/ada/Library/Application Support/beast/beastd.sock".into(),
        http: HttpPlaces::default(),
        log: "/Users/ada/Library/Logs/beast/launchd.log".into(),
        stop_limit: Duration::from_secs(60),
    }
}

fn check_refusal(service: &Service, expect: Expect) {
    expect.assert_eq(&plist(service).unwrap_err().to_string());
}

#[test]
fn the_whole_text() {
    expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
        <!-- Written by `beastctl service install`; `beastctl service uninstall` takes it away. -->
        <plist version="1.0">
        <dict>
        	<key>Label</key>
        	<string>io.beast.beastd</string>
        	<key>Program</key>
        	<string>/opt/homebrew/bin/beastd</string>
        	<key>ProgramArguments</key>
        	<array>
        		<string>/opt/homebrew/bin/beastd</string>
        	</array>
        	<key>KeepAlive</key>
        	<dict>
        		<key>Crashed</key>
        		<true/>
        	</dict>
        	<key>RunAtLoad</key>
        	<false/>
        	<key>ExitTimeOut</key>
        	<integer>60</integer>
        	<key>StandardOutPath</key>
        	<string>/Users/ada/Library/Logs/beast/launchd.log</string>
        	<key>StandardErrorPath</key>
        	<string>/Users/ada/Library/Logs/beast/launchd.log</string>
        	<key>ProcessType</key>
        	<string>Interactive</string>
        	<key>Sockets</key>
        	<dict>
        		<key>Listener</key>
        		<dict>
        			<key>SockType</key>
        			<string>stream</string>
        			<key>SockFamily</key>
        			<string>Unix</string>
        			<key>SockPathMode</key>
        			<integer>384</integer>
        			<key>SockPathName</key>
        			<string>/Users/ada/Library/Application Support/beast/beastd.sock</string>
        		</dict>
        	</dict>
        </dict>
        </plist>"#]]
    .assert_eq(&plist(&service()).unwrap());
}

#[test]
fn arguments_follow_the_program() {
    let arguments = vec!["--config".to_owned(), "/Users/ada/my config.toml".to_owned()];
    let text = plist(&Service { arguments, ..service() }).unwrap();
    let (_, from) = text.split_once("<key>ProgramArguments</key>").unwrap();
    let (array, _) = from.split_once("</array>").unwrap();
    expect![[r#"
        <array>
        		<string>/opt/homebrew/bin/beastd</string>
        		<string>--config</string>
        		<string>/Users/ada/my config.toml</string>"#]]
    .assert_eq(array.trim());
}

#[test]
fn the_crate_still_cannot_write_the_mode_of_the_socket() {
    // When this fails, the crate can write the mode, and `complete` can shrink.
    let options = SocketOptions::new().with_path_mode(0o600);
    let list = Launchd::new(LABEL, "/beastd").unwrap().with_socket(Socket::new(SOCKET_NAME, options).into());
    assert!(list.to_writer_xml(Vec::new()).is_err());
}

#[test]
fn xml_in_a_path_stays_text() {
    let text = plist(&Service { log: "/tmp/<key>RunAtLoad</key>&\"".into(), ..service() }).unwrap();
    assert!(text.contains("<string>/tmp/&lt;key&gt;RunAtLoad&lt;/key&gt;&amp;&quot;</string>"), "{text}");
}

#[test]
fn what_no_list_can_hold_is_refused() {
    check_refusal(
        &Service { program: "bin/beastd".into(), ..service() },
        expect!["launchd needs an absolute path, not bin/beastd; try: give the full path"],
    );
    check_refusal(
        &Service { log: OsStr::from_bytes(b"/tmp/\xff.log").into(), ..service() },
        expect![[
            r#"a property list cannot contain this path, which is not plain text: "/tmp/\xFF.log"; try: use another path"#
        ]],
    );
    check_refusal(
        &Service { log: "/tmp/a\u{1}b".into(), ..service() },
        expect![[
            r#"a property list cannot contain this path, which is not plain text: "/tmp/a\u{1}b"; try: use another path"#
        ]],
    );
    check_refusal(
        &Service { arguments: vec!["a\nb".to_owned()], ..service() },
        expect![[
            r#"a property list cannot contain this argument, which has control characters: "a\nb"; try: leave it out"#
        ]],
    );
    check_refusal(
        &Service { socket: format!("/{}", "s".repeat(103)).into(), ..service() },
        expect![
            "the socket path is 104 bytes long, over the limit of 103: /sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss; try: use a shorter --socket"
        ],
    );
}

#[test]
fn a_list_of_ours_tells_where_it_listens() {
    let odd = Service { socket: "/Users/o'neill & <sons>/\"beast\".sock".into(), ..service() };
    let list = plist(&odd).unwrap();
    assert_eq!(socket_of(&list), Some(odd.socket), "{list}");
    assert_eq!(socket_of(&list.replace("beastctl", "somebody")), None);
}

#[test]
fn the_program_is_found_again() {
    let odd = Service { program: "/Users/a & b/<beastd>".into(), arguments: vec!["--set".into()], ..service() };
    assert_eq!(program_of(&plist(&odd).unwrap()), Some(odd.program));
    assert_eq!(program_of("<dict/>"), None);
}

#[test]
fn launchd_waits_as_long_as_the_daemon_may_take() {
    let exit_timeout = |limit| {
        let text = plist(&Service { stop_limit: limit, ..service() }).unwrap();
        let (_, rest) = text.split_once("<key>ExitTimeOut</key>").unwrap();
        rest.split(['<', '>']).nth(2).unwrap().to_owned()
    };
    assert_eq!(exit_timeout(Duration::from_secs(330)), "330");
    // Zero would mean no limit.
    assert_eq!(exit_timeout(Duration::ZERO), "1");
}

#[test]
fn the_sockets_of_the_endpoint_follow_the_one_of_beastctl() {
    let http = HttpPlaces {
        listen: vec!["127.0.0.1:8484".parse().unwrap()],
        socket: Some("/Users/ada/a & b/http.sock".into()),
        ollama: Some("[::1]:11434".parse().unwrap()),
    };
    let with = plist(&Service { http, ..service() }).unwrap();
    let without = plist(&service()).unwrap();
    assert_eq!(socket_of(&with), socket_of(&without));
    let (head, tail) = without.split_at(without.rfind("\t</dict>\n</dict>").unwrap());
    let added = with.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)).unwrap();
    expect![[r#"
        <key>http</key>
        		<array>
        			<dict>
        				<key>SockType</key>
        				<string>stream</string>
        				<key>SockFamily</key>
        				<string>IPv4</string>
        				<key>SockNodeName</key>
        				<string>127.0.0.1</string>
        				<key>SockServiceName</key>
        				<string>8484</string>
        			</dict>
        			<dict>
        				<key>SockType</key>
        				<string>stream</string>
        				<key>SockFamily</key>
        				<string>Unix</string>
        				<key>SockPathMode</key>
        				<integer>384</integer>
        				<key>SockPathName</key>
        				<string>/Users/ada/a &amp; b/http.sock</string>
        			</dict>
        		</array>
        		<key>ollama</key>
        		<array>
        			<dict>
        				<key>SockType</key>
        				<string>stream</string>
        				<key>SockFamily</key>
        				<string>IPv6</string>
        				<key>SockNodeName</key>
        				<string>::1</string>
        				<key>SockServiceName</key>
        				<string>11434</string>
        			</dict>
        		</array>"#]]
    .assert_eq(added.trim());
}
