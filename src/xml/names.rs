//! Namespace names (namespaces.md 1.1). Compared exactly, character by character.

/// SOAP 1.1.
pub const SOAP11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// SOAP 1.2.
pub const SOAP12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// WS-Addressing 1.0.
pub const WSA: &str = "http://www.w3.org/2005/08/addressing";
/// WS-Addressing, the submission of August 2004.
pub const WSA04: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
/// WS-Trust 1.3 and 1.4.
pub const WST13: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
/// What WS-Trust 1.4 adds.
pub const WST14: &str = "http://docs.oasis-open.org/ws-sx/ws-trust/200802";
/// WS-Trust of February 2005.
pub const WST05: &str = "http://schemas.xmlsoap.org/ws/2005/02/trust";
/// WS-Security 1.0.
pub const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
/// The transform that replaces a `SecurityTokenReference` by its token (R-W063).
pub const STR_TRANSFORM: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#STR-Transform";
/// WS-Security 1.1.
pub const WSSE11: &str = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd";
/// WS-SecureConversation 1.3 and 1.4.
pub const WSC13: &str = "http://docs.oasis-open.org/ws-sx/ws-secureconversation/200512";
/// WS-SecureConversation of February 2005.
pub const WSC05: &str = "http://schemas.xmlsoap.org/ws/2005/02/sc";
/// WS-Security utility.
pub const WSU: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
/// WS-Policy 1.2, which nearly every client uses.
pub const WSP04: &str = "http://schemas.xmlsoap.org/ws/2004/09/policy";
/// WS-Policy 1.5.
pub const WSP15: &str = "http://www.w3.org/ns/ws-policy";
/// WS-SecurityPolicy 1.2.
pub const SP12: &str = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702";
/// WS-SecurityPolicy 1.1.
pub const SP11: &str = "http://schemas.xmlsoap.org/ws/2005/07/securitypolicy";
/// XML signatures.
pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// What XML signatures 1.1 add.
pub const DS11: &str = "http://www.w3.org/2009/xmldsig11#";
/// Types of instances, of XML Schema.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// XML encryption.
pub const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";
/// What XML encryption 1.1 adds.
pub const XENC11: &str = "http://www.w3.org/2009/xmlenc11#";
/// SAML 1.0 and 1.1 assertions.
pub const SAML11: &str = "urn:oasis:names:tc:SAML:1.0:assertion";
/// SAML 2.0 assertions.
pub const SAML20: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// SAML 2.0 metadata.
pub const SAML20_METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
/// What WS-Federation adds to it.
pub const FEDERATION: &str = "http://docs.oasis-open.org/wsfed/federation/200706";
/// Identity claims.
pub const IDENTITY: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity";
/// WS-Federation authorisation claims.
pub const AUTH: &str = "http://docs.oasis-open.org/wsfed/authorization/200706";
/// WS-MetadataExchange of 2004/09.
pub const MEX: &str = "http://schemas.xmlsoap.org/ws/2004/09/mex";
/// WSDL 1.1.
pub const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
/// WSDL's binding to SOAP 1.2.
pub const WSDL_SOAP12: &str = "http://schemas.xmlsoap.org/wsdl/soap12/";
/// Bound to the prefix `xml`, always and only.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// Bound to the prefix `xmlns`, always and only.
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
