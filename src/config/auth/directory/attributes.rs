//! Attributes of an entry: those that say that it may not be used, and those that claims and policies may speak of.

use std::collections::HashSet;

use serde::Deserialize;
use toml::Spanned;

use super::checked::Reading;
use super::written::{AttributeFile, DisabledFile};
use crate::config::auth::users::attribute_name;
use crate::config::load::ConfigError;

/// An attribute that says that an entry may not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disabled {
    /// It has a value.
    Present(String),
    /// It has this value, letters of ASCII compared without case.
    Value(String, String),
    /// Its number has one of these bits. Without a number it may not be used either.
    Mask(String, u32),
}

/// An attribute of an account.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// What claims and policies call it.
    pub name: String,
    /// What the directory calls it, in small letters.
    pub from: String,
    /// What its values are.
    pub form: Form,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// UTF-8.
    Text,
    /// The sixteen octets of `objectGUID`; `f81d4fae-7dec-11d0-a765-00a0c91e6bf6` as text.
    Guid,
    /// The octets of `objectSid`; `S-1-5-21-…` as text.
    Sid,
}

impl<T> Reading<'_, T> {
    pub(super) fn attribute(&self, key: &str, written: &Spanned<String>) -> Result<String, ConfigError> {
        attribute(written.get_ref()).map_err(|why| self.refused(written.span(), format!("{key}: {why}")))?;
        Ok(written.get_ref().to_ascii_lowercase())
    }

    pub(super) fn disabled(&self, written: &DisabledFile) -> Result<Disabled, ConfigError> {
        let attribute = self.attribute("attribute", &written.attribute)?;
        match (&written.mask, &written.value) {
            (None, None) => Ok(Disabled::Present(attribute)),
            (None, Some(value)) => Ok(Disabled::Value(attribute, value.get_ref().clone())),
            (Some(mask), None) if *mask.get_ref() != 0 => Ok(Disabled::Mask(attribute, *mask.get_ref())),
            (Some(mask), None) => Err(self.refused(mask.span(), "mask: no bit would ever disable anybody")),
            (Some(mask), Some(_)) => Err(self.refused(mask.span(), "mask and value exclude each other")),
        }
    }

    pub(super) fn attributes(&self, written: &[AttributeFile]) -> Result<Vec<Attribute>, ConfigError> {
        let mut names = HashSet::new();
        let mut attributes = Vec::new();
        for one in written {
            if !names.insert(one.name.get_ref()) {
                let why = format!("attribute {:?} stands here twice", one.name.get_ref());
                return Err(self.refused(one.name.span(), why));
            }
            attribute_name(one.name.get_ref()).map_err(|why| self.refused(one.name.span(), why))?;
            let from = self.attribute("from", &one.from)?;
            let form = one.form.unwrap_or(Form::Text);
            attributes.push(Attribute { name: one.name.get_ref().clone(), from, form });
        }
        Ok(attributes)
    }
}

/// Is this the name of an attribute of a directory (RFC 4512, 1.4), without options?
pub(super) fn attribute(name: &str) -> Result<(), &'static str> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-.".contains(&c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let good = begins && name.len() <= 128 && name.bytes().all(plain);
    if good { Ok(()) } else { Err("not the name of an attribute of a directory") }
}
