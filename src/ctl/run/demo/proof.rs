//! The demo's proof that it works: a token asked for at the front door as any client would, and its
//! signature judged by a tool none of ours.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Layout, configuration};
use crate::ctl::request;

/// Runs when every process is ready; gives lines for people.
pub(in crate::ctl::run) type Proof = Box<dyn FnOnce() -> Vec<String> + Send>;

/// The proof for a service at `url`.
pub(super) fn proof(url: &str, layout: &Layout) -> Proof {
    let url = format!("{url}{}", configuration::PATH_13);
    let layout = layout.clone();
    Box::new(move || {
        let token = match request::token(&url, "alice", &layout.password(), configuration::MICROSOFT, &layout.ca()) {
            Ok(token) => token,
            Err(why) => return vec![format!("  FIRST TOKEN      not issued: {why}")],
        };
        let mut lines =
            vec![format!("  first token      SAML 1.1 for {}, {} octets", configuration::MICROSOFT, token.len())];
        lines.push(match judged(&token, layout.assertion(), &layout.root.join("first-token.xml")) {
            Ok(line) => format!("  verified by      {line}"),
            Err(why) => format!("  NOT VERIFIED     {why}"),
        });
        lines
    })
}

/// What xmlsec1 says about the signature.
fn judged(token: &str, certificate: PathBuf, file: &PathBuf) -> Result<String, String> {
    super::write_whole(file, token.as_bytes(), 0o600).map_err(|error| error.to_string())?;
    let judge = Command::new("xmlsec1")
        .args(["--verify", "--enabled-reference-uris", "same-doc"])
        .args(["--id-attr:AssertionID", "urn:oasis:names:tc:SAML:1.0:assertion:Assertion"])
        .arg("--pubkey-cert-pem")
        .arg(certificate)
        .arg(file)
        .stdin(Stdio::null())
        .output();
    match judge {
        Ok(output) if output.status.success() => Ok("xmlsec1: signature OK".to_owned()),
        Ok(output) => Err(format!("xmlsec1: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok("nobody: xmlsec1 is not installed".to_owned()),
        Err(error) => Err(format!("xmlsec1: {error}")),
    }
}
