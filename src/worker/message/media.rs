//! `Content-Type`: which SOAP it promises, and that it is UTF-8. Packages of several parts are
//! refused whatever an endpoint tolerates.

use super::Leniency;
use super::rejection::Problem;
use super::shape::{Shape, Soap};
use crate::config::worker::Endpoint;

/// What the header promised.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Media {
    soap: Option<Soap>,
    action: Option<String>,
}

impl Media {
    /// The `action` parameter of SOAP 1.2.
    pub(super) fn action(&self) -> Option<&str> {
        self.action.as_deref()
    }

    /// Does the envelope's version fit? Some clients send a form's media type, or none at all.
    pub(super) fn agrees_with(&self, endpoint: &Endpoint, shape: &mut Shape) -> Result<(), Problem> {
        if self.soap == Some(shape.soap) {
            return Ok(());
        }
        shape.tolerate(endpoint, Leniency::MediaType, Problem::media("media type of another soap version, or of none"))
    }
}

/// Reads the header. Parameters other than `charset` and `action` are left alone.
pub(super) fn read(content_type: Option<&str>) -> Result<Media, Problem> {
    let Some(content_type) = content_type else { return Ok(Media::default()) };
    let mut parts = split(content_type).into_iter();
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    if essence.starts_with("multipart/") {
        return Err(Problem::media("multipart message"));
    }
    let soap = match essence.as_str() {
        "text/xml" => Some(Soap::V11),
        "application/soap+xml" => Some(Soap::V12),
        _ => None,
    };
    let mut media = Media { soap, action: None };
    for parameter in parts {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let value = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("charset") && !value.eq_ignore_ascii_case("utf-8") {
            return Err(Problem::media("charset other than utf-8"));
        }
        if name.trim().eq_ignore_ascii_case("action") && soap == Some(Soap::V12) {
            media.action = Some(value.to_owned());
        }
    }
    Ok(media)
}

/// The parts between semicolons that are not within quotation marks.
fn split(content_type: &str) -> Vec<&str> {
    let mut quoted = false;
    content_type
        .split(|c| {
            quoted ^= c == '"';
            c == ';' && !quoted
        })
        .map(str::trim)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_parameter_may_hold_anything_in_quotation_marks() {
        let media = read(Some("application/soap+xml; charset=\"UTF-8\"; action=\"urn:a;b\"")).unwrap();
        assert_eq!(media, Media { soap: Some(Soap::V12), action: Some("urn:a;b".to_owned()) });
    }

    #[test]
    fn another_charset_or_several_parts_are_refused() {
        for bad in ["text/xml; charset=iso-8859-1", "text/xml;charset=utf-16", "multipart/related; type=\"text/xml\""] {
            assert_eq!(read(Some(bad)).unwrap_err().status, Some(415), "{bad}");
        }
    }
}
