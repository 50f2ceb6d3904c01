//! Password hashes: argon2id in PHC form, and what a guess is held to where there is no hash.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};

/// An argon2id hash, taken apart.
#[derive(Clone)]
pub struct Hash {
    argon2: Argon2<'static>,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "argon2id {:?}", self.cost())
    }
}

impl Hash {
    /// Takes a PHC string apart. Only version 19 of argon2id, within costs that cannot stop the service.
    ///
    /// # Errors
    /// A clause for the operator; the hash is not in it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let phc =
            PasswordHash::new(text).map_err(|_| "not a hash in PHC form ($argon2id$v=19$m=…,t=…,p=…$salt$hash)")?;
        if phc.algorithm.as_str() != "argon2id" {
            return Err("not an argon2id hash");
        }
        if phc.version != Some(19) {
            return Err("not version 19 of argon2");
        }
        let params = Params::try_from(&phc).map_err(|_| "argon2 does not know these parameters")?;
        if params.m_cost() > 256 * 1024 || params.t_cost() > 64 || params.p_cost() > 16 {
            return Err("costs more than m=262144, t=64 or p=16 allow");
        }
        let (Some(salt), Some(output)) = (phc.salt, phc.hash) else { return Err("without salt or hash") };
        if salt.len() < argon2::MIN_SALT_LEN || output.len() < 16 {
            return Err("salt shorter than 8 or hash shorter than 16 octets");
        }
        let params = Params::new(params.m_cost(), params.t_cost(), params.p_cost(), Some(output.len()))
            .map_err(|_| "argon2 does not know these parameters")?;
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            salt: salt.to_vec(),
            output: output.as_bytes().to_vec(),
        })
    }

    /// Memory (KiB), passes, lanes, octets of output.
    #[must_use]
    pub fn cost(&self) -> (u32, u32, u32, usize) {
        let params = self.argon2.params();
        (params.m_cost(), params.t_cost(), params.p_cost(), self.output.len())
    }

    /// Octets that differ whenever the hash does.
    #[must_use]
    pub fn version(&self) -> (&[u8], &[u8]) {
        (&self.salt, &self.output)
    }

    /// Does this password fit? Costs the same whether it does or not.
    #[must_use]
    pub fn fits(&self, password: &[u8]) -> bool {
        let mut output = vec![0; self.output.len()];
        let done = self.argon2.hash_password_into(password, &self.salt, &mut output).is_ok();
        done & aws_lc_rs::constant_time::verify_slices_are_equal(&output, &self.output).is_ok()
    }

    /// A hash of that cost that no password fits, but by a chance of 2^-256.
    pub(super) fn dummy((memory, passes, lanes, length): (u32, u32, u32, usize)) -> Self {
        let params = Params::new(memory, passes, lanes, Some(length)).expect("these parameters were in use");
        let mut salt = vec![0; 16];
        let mut output = vec![0; length];
        getrandom::fill(&mut salt).expect("the kernel's random number generator answers");
        getrandom::fill(&mut output).expect("the kernel's random number generator answers");
        Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), salt, output }
    }
}
