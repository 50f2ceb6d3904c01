//! The ports as a WSDL: one operation a binding, and each binding with its policy.

use super::Port;
use super::policy::policy;
use super::version::{V13, V2005, Version};
use crate::xml::{Writer, names};

const XSD: &str = "http://www.w3.org/2001/XMLSchema";
const WSAW: &str = "http://www.w3.org/2006/05/addressing/wsdl";

/// The document with these ports, for this namespace.
pub(super) fn wsdl(ports: &[Port], target: &'static str) -> String {
    let versions: Vec<Version> =
        [V2005, V13].into_iter().filter(|version| ports.iter().any(|port| port.version == *version)).collect();
    let mut writer = Writer::for_envelope();
    writer.open("wsdl:definitions").attribute("name", "SecurityTokenService").attribute("targetNamespace", target);
    for (prefix, uri) in [
        ("wsdl", names::WSDL),
        ("xsd", XSD),
        ("tns", target),
        ("soap12", names::WSDL_SOAP12),
        ("wsa10", names::WSA),
        ("wsaw", WSAW),
        ("wsp", names::WSP04),
        ("wsu", names::WSU),
        ("t", names::WST05),
        ("trust", names::WST13),
    ] {
        writer.namespace(prefix, uri);
    }
    ports.iter().for_each(|port| policy(&mut writer, port));
    types(&mut writer, &versions);
    for version in &versions {
        for (suffix, part, element) in [
            ("Input", "request".to_owned(), "RequestSecurityToken"),
            ("Output", format!("{}Result", version.operation), version.answer),
        ] {
            let name = format!("{}_{}_{suffix}Message", version.port_type, version.operation);
            writer.open("wsdl:message").attribute("name", &name);
            writer.open("wsdl:part").attribute("name", &part);
            writer.attribute("element", &format!("{}:{element}", version.prefix)).close().close();
        }
    }
    versions.iter().for_each(|version| port_type(&mut writer, version));
    ports.iter().for_each(|port| binding(&mut writer, port));
    writer.open("wsdl:service").attribute("name", "SecurityTokenService");
    for port in ports {
        writer.open("wsdl:port").attribute("name", &port.name).attribute("binding", &format!("tns:{}", port.name));
        writer.open("soap12:address").attribute("location", &port.address).close();
        writer.open("wsa10:EndpointReference").leaf("wsa10:Address", &port.address).close().close();
    }
    writer.close().close();
    writer.finish()
}

/// The elements the messages name. Their content is the standards' schema's matter, not this document's.
fn types(writer: &mut Writer, versions: &[Version]) {
    writer.open("wsdl:types");
    for version in versions {
        writer.open("xsd:schema").attribute("targetNamespace", version.trust);
        for element in ["RequestSecurityToken", version.answer] {
            writer.open("xsd:element").attribute("name", element).open("xsd:complexType").open("xsd:sequence");
            writer.open("xsd:any").attribute("minOccurs", "0").attribute("maxOccurs", "unbounded");
            writer.attribute("namespace", "##any").attribute("processContents", "lax").close().close();
            writer.open("xsd:anyAttribute").attribute("namespace", "##any").attribute("processContents", "lax");
            writer.close().close().close();
        }
        writer.close();
    }
    writer.close();
}

fn port_type(writer: &mut Writer, version: &Version) {
    writer.open("wsdl:portType").attribute("name", version.port_type);
    writer.open("wsdl:operation").attribute("name", version.operation);
    for (element, suffix, action) in
        [("wsdl:input", "Input", "/RST/Issue"), ("wsdl:output", "Output", version.answer_action)]
    {
        let message = format!("tns:{}_{}_{suffix}Message", version.port_type, version.operation);
        writer.open(element).attribute("message", &message);
        writer.attribute("wsaw:Action", &format!("{}{action}", version.trust)).close();
    }
    writer.close().close();
}

fn binding(writer: &mut Writer, port: &Port) {
    let version = &port.version;
    writer.open("wsdl:binding").attribute("name", &port.name);
    writer.attribute("type", &format!("tns:{}", version.port_type));
    writer.open("wsp:PolicyReference").attribute("URI", &format!("#{}_policy", port.name)).close();
    writer.open("soap12:binding").attribute("transport", "http://schemas.xmlsoap.org/soap/http").close();
    writer.open("wsdl:operation").attribute("name", version.operation);
    writer.open("soap12:operation").attribute("soapAction", &format!("{}/RST/Issue", version.trust));
    writer.attribute("style", "document").close();
    for element in ["wsdl:input", "wsdl:output"] {
        writer.open(element).open("soap12:body").attribute("use", "literal").close().close();
    }
    writer.close().close();
}
