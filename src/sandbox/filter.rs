//! The table as programs for the kernel: one that lets the rows through and kills for the rest, and one
//! for each errno that some rows return. The kernel takes the strictest answer of all programs, so the
//! calls of the latter pass the former.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::calls::{Arg, CALLS, Call, Need, When};
use super::{Grants, Role, SandboxError};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The programs for `role`, in the order in which they are to be installed.
pub(super) fn programs(role: Role, grants: &Grants, violation: SeccompAction) -> Result<Vec<BpfProgram>, SandboxError> {
    let (allowed, refused) = rules(role, grants)?;
    let mut programs = Vec::new();
    for (errno, rules) in refused {
        let errno = errno.cast_unsigned();
        programs.push(program(rules, SeccompAction::Allow, SeccompAction::Errno(errno))?);
    }
    programs.push(program(allowed, violation, SeccompAction::Allow)?);
    Ok(programs)
}

fn program(rules: Rules, other: SeccompAction, matched: SeccompAction) -> Result<BpfProgram, SandboxError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(filter)?;
    let program = SeccompFilter::new(rules, other, matched, architecture).map_err(filter)?;
    program.try_into().map_err(filter)
}

fn rules(role: Role, grants: &Grants) -> Result<(Rules, BTreeMap<i32, Rules>), SandboxError> {
    let mut allowed = Rules::new();
    let mut always = Vec::new();
    let mut refused: BTreeMap<i32, Rules> = BTreeMap::new();
    for call in CALLS.iter().filter(|call| call.roles.contains(role) && granted(call, grants)) {
        // On 64-bit targets a c_long is an i64 already.
        let number = call.number;
        match call.when {
            When::Always => always.push(number),
            When::All(conditions) => {
                let conditions = conditions.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
                allowed.entry(number).or_default().push(SeccompRule::new(conditions).map_err(filter)?);
            }
            When::Refused(errno) => {
                always.push(number);
                refused.entry(errno).or_default().insert(number, Vec::new());
            }
        }
    }
    // No conditions means that any arguments will do.
    for number in always {
        allowed.insert(number, Vec::new());
    }
    Ok((allowed, refused))
}

fn granted(call: &Call, grants: &Grants) -> bool {
    match call.need {
        Need::Nothing => true,
        Need::Read => !(grants.read.is_empty() && grants.write.is_empty() && grants.execute_map.is_empty()),
        Need::Write => !grants.write.is_empty(),
        Need::Held => grants.write_held || !grants.write.is_empty(),
        Need::Map => !grants.execute_map.is_empty(),
        Need::Tcp => !grants.tcp_connect.is_empty(),
    }
}

fn condition(argument: &Arg) -> Result<SeccompCondition, SandboxError> {
    use SeccompCmpArgLen::{Dword, Qword};
    let (index, length, operator, value) = match *argument {
        Arg::Is(index, value) => (index, Dword, SeccompCmpOp::Eq, value),
        Arg::Bits(index, mask, value) => (index, Dword, SeccompCmpOp::MaskedEq(mask), value),
        Arg::Null(index) => (index, Qword, SeccompCmpOp::Eq, 0),
        Arg::Own(index) => (index, Dword, SeccompCmpOp::Eq, std::process::id().into()),
    };
    SeccompCondition::new(index, length, operator, value).map_err(filter)
}

fn filter(error: impl std::fmt::Display) -> SandboxError {
    SandboxError::Filter(error.to_string())
}
