//! The document that AD FS clients fetch before anything else: a WSDL with a policy for each endpoint, written
//! from the endpoints' own configuration (R-P020, R-P030), so that it never promises what is not served.
//!
//! Its readers are not WSDL tools. They want one operation a binding, bindings for issuing only, the literal
//! attribute `wsu:Id`, `sp` declared on `sp:TransportBinding` itself, and AD FS's own names (clients.md 2.0).
//!
//! What clients of the standards read, Apache CXF's among them, is the same for endpoints of the generic profile.

mod policy;
mod proof;
#[cfg(test)]
mod tests;
mod version;
mod wsdl;

use proof::Proof;
use version::{V13, V2005, Version};
use wsdl::wsdl;

use super::message::Description;
use crate::config::worker::{Endpoint, Metadata, MetadataKind, Profile, Replies, Trust, Worker};

const TARGET: &str = "http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice";
/// The name that clients of WS-Trust look for the service by.
const STANDARD: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/";

/// One endpoint in one version.
struct Port {
    version: Version,
    proof: Proof,
    /// `UserNameWSTrustBinding_IWSTrust13Async`: one client picks the port by this very name.
    name: String,
    address: String,
}

/// The document, XML without a declaration. It changes only with the configuration.
#[must_use]
pub fn document(config: &Worker, metadata: &Metadata) -> Description {
    let (profile, identifier) = match metadata.kind {
        MetadataKind::Mex => (Profile::Adfs, TARGET),
        MetadataKind::Wsdl => (Profile::Generic, STANDARD),
    };
    Description { wsdl: wsdl(&ports(config, profile), identifier), identifier }
}

/// The ports, the older version first.
fn ports(config: &Worker, profile: Profile) -> Vec<Port> {
    let asking = config.asking().and_then(|listener| listener.public_url.as_deref()).unwrap_or(&config.public_url);
    let mut ports: Vec<Port> = Vec::new();
    for (trust, version) in [(Trust::V2005, V2005), (Trust::V13, V13)] {
        // A policy has one word for both directions: where only the answer is sealed there is none that is true.
        let one_way = |endpoint: &Endpoint| endpoint.replies == Replies::Sealed && !endpoint.encryption;
        let speaks = |endpoint: &&Endpoint| {
            let trust = endpoint.trust == trust || endpoint.trust == Trust::Any;
            endpoint.profile == profile && trust && !one_way(endpoint)
        };
        let mut offered: Vec<(Proof, &Endpoint)> =
            config.endpoints.iter().filter(speaks).map(|endpoint| (Proof::of(endpoint), endpoint)).collect();
        // Passwords first: what clients look for, and what they found first always.
        offered.sort_by_key(|(proof, _)| match proof {
            Proof::UserName => 0,
            Proof::Certificate => 1,
            Proof::Ticket => 2,
            Proof::TicketToken => 3,
            Proof::Signature => 4,
            Proof::Issued(_) => 5,
            Proof::Symmetric { .. } => 6,
            Proof::Asymmetric { .. } => 7,
        });
        for (proof, endpoint) in offered {
            let (name, mut numbers) = proof.named(&version);
            let name = format!("{name}Binding_{}", version.port_type);
            let taken = |name: &String| ports.iter().any(|port| port.name == *name);
            let numbered = |index| if index == 0 { name.clone() } else { format!("{name}{index}") };
            let name =
                numbers.find_map(|number| Some(numbered(number)).filter(|name| !taken(name))).unwrap_or_default();
            let url = if proof == Proof::Certificate { asking } else { config.public_url.as_str() };
            ports.push(Port { version, proof, name, address: format!("{url}{}", endpoint.path) });
        }
    }
    ports
}
