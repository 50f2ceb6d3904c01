//! The table as programs for the kernel: one that lets the rows through and kills for the rest, one for each
//! errno that some rows return, and one for each call of which some rows are let through and the rest returns an
//! errno. The kernel takes the strictest answer of all programs, so the calls of the latter pass the first.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use super::calls::{Arg, CALLS, Call, Need, When};
use super::{Grants, Role, SandboxError};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The programs for `role`, in the order in which they are to be installed.
pub(super) fn programs(role: Role, grants: &Grants, violation: SeccompAction) -> Result<Vec<BpfProgram>, SandboxError> {
    let Sorted { allowed, refused, gates } = rules(role, grants)?;
    let mut programs = Vec::new();
    for (errno, rules) in refused {
        let errno = errno.cast_unsigned();
        programs.push(program(rules, SeccompAction::Allow, SeccompAction::Errno(errno))?);
    }
    for (number, (errno, rules)) in gates {
        programs.push(gate(number, rules, errno)?);
    }
    programs.push(program(allowed, violation, SeccompAction::Allow)?);
    Ok(programs)
}

/// A program that looks at one call: what meets a rule goes through, what does not returns the errno.
fn gate(number: i64, rules: Vec<SeccompRule>, errno: i32) -> Result<BpfProgram, SandboxError> {
    let refused = SeccompAction::Errno(errno.cast_unsigned());
    let looked_at = program(Rules::from([(number, rules)]), refused, SeccompAction::Allow)?;
    let number = u32::try_from(number).map_err(filter)?;
    let instruction = |code: u32, jt, k| sock_filter { code: code as u16, jt, jf: 0, k };
    // Every other call is none of its business. The number is the first field of `seccomp_data`.
    let mut program = vec![
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, number),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    program.extend(looked_at);
    Ok(program)
}

fn program(rules: Rules, other: SeccompAction, matched: SeccompAction) -> Result<BpfProgram, SandboxError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(filter)?;
    let program = SeccompFilter::new(rules, other, matched, architecture).map_err(filter)?;
    program.try_into().map_err(filter)
}

/// The rows that count, by what is to become of their calls.
#[derive(Default)]
struct Sorted {
    allowed: Rules,
    /// By errno.
    refused: BTreeMap<i32, Rules>,
    /// By call: the errno, and what does not return it.
    gates: BTreeMap<i64, (i32, Vec<SeccompRule>)>,
}

fn rules(role: Role, grants: &Grants) -> Result<Sorted, SandboxError> {
    let mut sorted = Sorted::default();
    let mut always = Vec::new();
    let mut otherwise = BTreeMap::new();
    for call in CALLS.iter().filter(|call| call.roles.contains(role) && granted(call, grants)) {
        // On 64-bit targets a c_long is an i64 already.
        let number = call.number;
        match call.when {
            When::Always => always.push(number),
            When::All(conditions) => sorted.allowed.entry(number).or_default().push(rule(conditions)?),
            When::Denied(errno, conditions) => {
                let rules = sorted.refused.entry(errno).or_default();
                rules.entry(number).or_default().push(rule(conditions)?);
            }
            When::Refused(errno) => {
                otherwise.insert(number, errno);
            }
        }
    }
    for (number, errno) in otherwise {
        if always.contains(&number) {
            continue;
        }
        always.push(number);
        match sorted.allowed.remove(&number) {
            Some(rules) => {
                sorted.gates.insert(number, (errno, rules));
            }
            None => {
                sorted.refused.entry(errno).or_default().insert(number, Vec::new());
            }
        }
    }
    // No conditions means that any arguments will do.
    for number in always {
        sorted.allowed.insert(number, Vec::new());
    }
    Ok(sorted)
}

fn rule(conditions: &[Arg]) -> Result<SeccompRule, SandboxError> {
    let conditions = conditions.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
    SeccompRule::new(conditions).map_err(filter)
}

fn granted(call: &Call, grants: &Grants) -> bool {
    match call.need {
        Need::Nothing => true,
        Need::Read => !(grants.read.is_empty() && grants.write.is_empty() && grants.execute_map.is_empty()),
        Need::Write => !grants.write.is_empty(),
        Need::Held => grants.write_held || !grants.write.is_empty(),
        Need::Map => !grants.execute_map.is_empty(),
        Need::Tcp => !grants.tcp_connect.is_empty(),
        Need::Unix => !grants.unix_connect.is_empty(),
        Need::Net => !(grants.tcp_connect.is_empty() && grants.unix_connect.is_empty()),
        Need::Device => !grants.devices.is_empty(),
    }
}

fn condition(argument: &Arg) -> Result<SeccompCondition, SandboxError> {
    use SeccompCmpArgLen::{Dword, Qword};
    let (index, length, operator, value) = match *argument {
        Arg::Is(index, value) => (index, Dword, SeccompCmpOp::Eq, value),
        Arg::Not(index, value) => (index, Dword, SeccompCmpOp::Ne, value),
        Arg::Bits(index, mask, value) => (index, Dword, SeccompCmpOp::MaskedEq(mask), value),
        Arg::Null(index) => (index, Qword, SeccompCmpOp::Eq, 0),
        Arg::Own(index) => (index, Dword, SeccompCmpOp::Eq, std::process::id().into()),
    };
    SeccompCondition::new(index, length, operator, value).map_err(filter)
}

fn filter(error: impl std::fmt::Display) -> SandboxError {
    SandboxError::Filter(error.to_string())
}
