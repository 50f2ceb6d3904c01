//! The units: each scores at most 1.5 in `systemd-analyze security` and is one that systemd understands, and
//! what the sockets say is what `sys::places` says.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use chancery::sys::places::Place;

const ANALYZE: &str = "systemd-analyze";
/// Tenths of a point.
const THRESHOLD: &str = "--threshold=15";

fn units(suffix: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let mut units: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(suffix))
        .collect();
    units.sort();
    assert!(!units.is_empty());
    units
}

/// None where there is no systemd-analyze; the test then says so, by its name, and proves nothing.
fn analyze(test: &str) -> Option<Command> {
    let found = Command::new(ANALYZE).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIPPED units-{test}: systemd-analyze is not installed");
    }
    found.then(|| Command::new(ANALYZE))
}

#[test]
fn every_service_scores_at_most_one_and_a_half() {
    if analyze("scores").is_none() {
        return;
    }
    for unit in units(".service") {
        let mut command = Command::new(ANALYZE);
        let output = command.args(["security", "--offline=true", THRESHOLD]).arg(&unit).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let exposed: Vec<&str> = said.lines().filter(|line| line.starts_with('✗') || line.starts_with('→')).collect();
        assert!(output.status.success(), "{}: {exposed:#?}", unit.display());
    }
}

#[test]
fn a_service_without_walls_does_not_pass() {
    let Some(mut command) = analyze("bare") else { return };
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("bare.service");
    std::fs::write(&unit, "[Service]\nExecStart=/bin/true\n").unwrap();
    let output = command.args(["security", "--offline=true", THRESHOLD]).arg(&unit).output().unwrap();
    assert!(!output.status.success());
}

#[test]
fn systemd_understands_every_unit() {
    if analyze("understood").is_none() {
        return;
    }
    // The programs are not installed where tests run; everything else is verified as it is.
    let directory = tempfile::tempdir().unwrap();
    for unit in units("") {
        let text = std::fs::read_to_string(&unit).unwrap();
        let runnable =
            |line: &str| if line.starts_with("ExecStart=") { "ExecStart=/bin/true".into() } else { line.to_owned() };
        let text: Vec<String> = text.lines().map(runnable).collect();
        std::fs::write(directory.path().join(unit.file_name().unwrap()), text.join("\n")).unwrap();
    }
    for unit in units("") {
        let name = unit.file_name().unwrap().to_str().unwrap();
        for instance in ["@1.", "@2."] {
            let mut command = Command::new(ANALYZE);
            command.args(["verify", "--man=no"]).arg(directory.path().join(name.replace("@.", instance)));
            command.env("SYSTEMD_UNIT_PATH", format!("{}:", directory.path().display()));
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            // The template says what all instances wait for, and so the first one for itself.
            let itself = "chancery-signer@1.service: Dependency After=chancery-signer@1.service is dropped.";
            let wrong: Vec<&str> =
                said.lines().filter(|line| line.contains("chancery") && !line.starts_with(itself)).collect();
            assert!(output.status.success() && wrong.is_empty(), "{name}: {wrong:#?}");
        }
    }
}

/// The example drop-ins for signers, by what they open.
fn drop_in(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/etc/systemd").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// What profiles and `signer.toml` grant to the process, its unit has to let through, and nothing else.
#[test]
fn a_signer_has_no_way_to_an_hsm_but_by_the_drop_in_of_its_kind() {
    let unit = std::fs::read_to_string(units("chancery-signer@.service").remove(0)).unwrap();
    for (setting, closed) in [
        ("PrivateNetwork", "yes"),
        ("RestrictAddressFamilies", "AF_UNIX"),
        ("IPAddressDeny", "any"),
        ("PrivateDevices", "yes"),
        ("DevicePolicy", "closed"),
    ] {
        assert_eq!(settings(&unit, setting), [closed]);
    }
    let names = |text: &str| -> Vec<String> {
        let mut names: Vec<String> = text
            .lines()
            .filter(|line| !line.starts_with(['#', '[']))
            .map(|line| line.split('=').next().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    let network = drop_in("network-hsm.conf");
    assert_eq!(names(&network), ["ExecPaths", "IPAddressAllow", "PrivateNetwork", "RestrictAddressFamilies"]);
    assert_eq!(settings(&network, "RestrictAddressFamilies"), ["AF_UNIX AF_INET AF_INET6"]);
    // Of the addresses for documentation, one alone: nobody's HSM, so that it cannot be left as it is.
    assert_eq!(settings(&network, "IPAddressAllow"), ["192.0.2.10/32"]);
    let daemon = drop_in("daemon-hsm.conf");
    assert_eq!(names(&daemon), ["ExecPaths", "InaccessiblePaths"]);
    assert!(settings(&daemon, "InaccessiblePaths")[0].split(' ').any(|path| path == "-/run/dbus"));
    let device = drop_in("device-hsm.conf");
    assert_eq!(names(&device), ["DeviceAllow", "PrivateDevices", "PrivateUsers", "SupplementaryGroups"]);
    // A class of devices is more than a token.
    assert!(settings(&device, "DeviceAllow")[0].starts_with("/dev/"));
}

/// Where code may be mapped from: `NoExecPaths=/` of the unit keeps every other module out, with an error of the
/// loader.
#[test]
fn every_module_that_a_profile_names_can_be_mapped_with_a_drop_in() {
    let unit = std::fs::read_to_string(units("chancery-signer@.service").remove(0)).unwrap();
    assert_eq!(settings(&unit, "NoExecPaths"), ["/"]);
    let drop_ins = ["network-hsm.conf", "daemon-hsm.conf", "device-hsm.conf"].map(drop_in);
    // Each says how it is done, if only as a comment.
    assert!(
        drop_ins.iter().all(|text| text.lines().any(|line| line.trim_start_matches('#').starts_with("ExecPaths=")))
    );
    let texts: Vec<&str> = std::iter::once(unit.as_str()).chain(drop_ins.iter().map(String::as_str)).collect();
    let places: Vec<&str> = texts
        .iter()
        .flat_map(|text| settings(text, "ExecPaths"))
        .flat_map(|paths| paths.split(' '))
        .map(|path| path.trim_start_matches('-'))
        .collect();
    // A way in for the whole of /opt would be one for whatever is put there.
    assert!(!places.contains(&"/opt") && !places.contains(&"/"), "{places:?}");
    let mut beyond = 0;
    for profile in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("hsm-profiles")).unwrap() {
        let profile: toml::Table = std::fs::read_to_string(profile.unwrap().path()).unwrap().parse().unwrap();
        let modules = profile.get("module").and_then(|module| module.get("path")).and_then(toml::Value::as_array);
        for module in modules.into_iter().flatten().filter_map(toml::Value::as_str).filter(|path| path.starts_with('/'))
        {
            assert!(places.iter().any(|place| Path::new(module).starts_with(place)), "{module}: {places:?}");
            beyond += usize::from(!module.starts_with("/usr/"));
        }
    }
    assert!(beyond > 0);
}

/// A thread a session, and those of the process and the module.
#[test]
fn a_signers_unit_has_room_for_the_most_sessions_there_may_be() {
    let unit = std::fs::read_to_string(units("chancery-signer@.service").remove(0)).unwrap();
    let tasks: u32 = settings(&unit, "TasksMax")[0].parse().unwrap();
    assert!(tasks >= 256 + 64, "{tasks}");
}

#[test]
fn systemd_understands_every_drop_in_for_signers() {
    if analyze("drop-ins").is_none() {
        return;
    }
    let unit = std::fs::read_to_string(units("chancery-signer@.service").remove(0)).unwrap();
    let start = "ExecStart=/usr/libexec/chancery/chancery-signer";
    for (name, known) in [("network-hsm.conf", true), ("daemon-hsm.conf", true), ("device-hsm.conf", true), ("", false)]
    {
        let directory = tempfile::tempdir().unwrap();
        let drop_ins = directory.path().join("chancery-signer@.service.d");
        std::fs::create_dir(&drop_ins).unwrap();
        let text = if known { drop_in(name) } else { "[Service]\nIPAddressAllow=hsm.example.com\n".to_owned() };
        std::fs::write(drop_ins.join("hsm.conf"), text).unwrap();
        std::fs::write(directory.path().join("chancery-signer@.service"), unit.replace(start, "ExecStart=/bin/true"))
            .unwrap();
        let mut command = Command::new(ANALYZE);
        command.args(["verify", "--man=no"]).arg(directory.path().join("chancery-signer@1.service"));
        command.env("SYSTEMD_UNIT_PATH", format!("{}:", directory.path().display()));
        let said = String::from_utf8_lossy(&command.output().unwrap().stderr).into_owned();
        assert_eq!(!said.contains("hsm.conf:"), known, "{name}: {said}");
    }
}

#[test]
fn every_place_has_its_socket_unit() {
    let sockets: Vec<String> = units(".socket").iter().map(|unit| std::fs::read_to_string(unit).unwrap()).collect();
    for place in Place::ALL {
        let (listener, name) = place.listener();
        let path = format!("/run/chancery/{}\n", place.file());
        let matching: Vec<&String> = sockets.iter().filter(|text| text.contains(&path)).collect();
        assert_eq!(matching.len(), 1, "{place:?}");
        assert!(matching[0].contains(&format!("FileDescriptorName={name}\n")), "{place:?}");
        assert!(matching[0].contains(&format!("Service=chancery-{listener}.service\n")), "{place:?}");
        assert!(matching[0].contains("SocketMode=0660\n"), "{place:?}");
    }
}

/// The walls that `chancery run` has not: who may connect is a group, and nobody else is in it. Signers answer to
/// issuer alone, and no process but issuer and auth reaches the record.
#[test]
fn a_place_can_be_reached_by_the_process_it_is_for_and_no_other() {
    let sockets: Vec<String> = units(".socket").iter().map(|unit| std::fs::read_to_string(unit).unwrap()).collect();
    for place in Place::ALL {
        let (listener, name) = place.listener();
        let path = format!("/run/chancery/{}\n", place.file());
        let socket = sockets.iter().find(|text| text.contains(&path)).unwrap();
        // The other end's name is that of the listener, but everybody has metrics.
        let group = if place == Place::Metrics { "chancery".to_owned() } else { format!("chancery-{name}") };
        assert_eq!(settings(socket, "SocketUser"), [format!("chancery-{listener}")], "{place:?}");
        assert_eq!(settings(socket, "SocketGroup"), [group], "{place:?}");
        assert_eq!(settings(socket, "SocketMode"), ["0660"], "{place:?}");
    }
    let mut seen = std::collections::BTreeSet::new();
    for unit in units(".service") {
        let text = std::fs::read_to_string(&unit).unwrap();
        let role = unit.file_stem().unwrap().to_str().unwrap().trim_end_matches('@').to_owned();
        assert_eq!(settings(&text, "User"), [role.as_str()]);
        assert_eq!(settings(&text, "Group"), [role.as_str()]);
        assert_eq!(settings(&text, "SupplementaryGroups"), ["chancery"], "{role}");
        // Root's power over modes and owners.
        assert_eq!(settings(&text, "CapabilityBoundingSet"), [""], "{role}");
        assert!(seen.insert(role));
    }
    let users = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/sysusers.d/chancery.conf");
    for line in std::fs::read_to_string(users).unwrap().lines().filter(|line| line.starts_with("m ")) {
        assert_eq!(line.split_whitespace().nth(2), Some("chancery"), "{line}");
    }
}

/// Every value of a setting in a unit.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
}

#[test]
fn signers_are_never_started_by_a_socket_and_never_again_after_78() {
    let signer = units("chancery-signer@.service").remove(0);
    let text = std::fs::read_to_string(signer).unwrap();
    assert!(text.contains("RestartPreventExitStatus=78\n"));
    // Nor by another unit that is: what is wanted is started with whoever is restarted.
    for unit in units("") {
        let text = std::fs::read_to_string(&unit).unwrap();
        for setting in ["Wants", "Requires", "BindsTo", "Upholds", "Requisite", "OnFailure", "OnSuccess"] {
            for wanted in settings(&text, setting) {
                assert!(!wanted.contains("chancery-signer"), "{}: {setting}={wanted}", unit.display());
            }
        }
    }
    // `ProcSubset=pid` hides the boot from it, so it is told.
    assert!(settings(&text, "Environment").concat().contains("CHANCERY_BOOT=%b"));
    assert!(
        !units(".socket")
            .iter()
            .any(|unit| { std::fs::read_to_string(unit).unwrap().contains("Service=chancery-signer") })
    );
}

/// Every process says once a second that it lives; without the setting nobody listens.
#[test]
fn every_daemon_has_a_watchdog() {
    for unit in units(".service") {
        let text = std::fs::read_to_string(&unit).unwrap();
        assert_eq!(settings(&text, "WatchdogSec"), ["30s"], "{}", unit.display());
        // The word is taken from the daemon alone.
        assert_eq!(settings(&text, "Type"), ["notify"], "{}", unit.display());
        assert!(settings(&text, "NotifyAccess").is_empty(), "{}", unit.display());
    }
}

#[test]
fn every_user_of_a_unit_is_made_by_sysusers() {
    let users = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/sysusers.d/chancery.conf");
    let users = std::fs::read_to_string(users).unwrap();
    for unit in units(".service") {
        let text = std::fs::read_to_string(&unit).unwrap();
        let user = text.lines().find_map(|line| line.strip_prefix("User=")).unwrap();
        assert!(users.contains(&format!("u {user} ")), "{user}");
        assert!(users.lines().any(|line| line.split_whitespace().eq(["m", user, "chancery"])), "{user}");
    }
}
