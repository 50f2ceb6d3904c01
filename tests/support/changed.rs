//! Third-party documents that are not what was signed.

/// Documents with a reference whose digest is not that of what stands there: formatted or edited after they
/// were signed, or spoilt on purpose. libxml2 finds no more right digests in them than we do.
pub(crate) const CHANGED: &[&str] = &[
    "clients/adal-node/RSTR.xml",
    "clients/adal-node/RSTR2005.xml",
    "clients/adal-python/RSTR.xml",
    "clients/cxf/fediz-RSTRC.formatted.xml",
    "clients/msal-python/rst_response.xml",
    "clients/picketlink/wst-response-assertion-hok-simmetric.xml",
    "clients/picketlink/wst-response-assertion.xml",
    "clients/picketlink/wst-response-unnatachedreference.xml",
    "vectors/saml-python3/responses/adfs_response.xml.base64",
    "vectors/saml-python3/responses/invalids/bad_reference.xml.base64",
    "vectors/saml-python3/responses/invalids/encrypted_nameID_without_EncMethod.xml.base64",
    "vectors/saml-python3/responses/invalids/encrypted_nameID_without_keyinfo.xml.base64",
    "vectors/saml-python3/responses/invalids/multiple_assertions.xml.base64",
    "vectors/saml-python3/responses/invalids/no_key.xml.base64",
    "vectors/saml-python3/responses/invalids/signed_assertion_response.xml.base64",
    "vectors/saml-python3/responses/open_saml_response.xml",
    "vectors/saml-python3/responses/pretty_signed_message_response.xml",
    "vectors/saml-python3/responses/response1.xml.base64",
    "vectors/saml-python3/responses/response1_with_duplicate_attributes.xml.base64",
    "vectors/saml-python3/responses/response2.xml.base64",
    "vectors/saml-python3/responses/response3.xml.base64",
    "vectors/saml-python3/responses/response5.xml.base64",
    "vectors/saml-python3/responses/response_node_text_attack.xml.base64",
    "vectors/saml-python3/responses/response_with_nested_nameid_values.xml.base64",
    "vectors/saml-python3/responses/simple_saml_php.xml",
    "vectors/saml-python3/responses/wrapped_response_2.xml.base64",
    "vectors/xmlsec/phaos-xmldsig-three/signature-rsa-enveloped-bad-digest-val.xml",
];
