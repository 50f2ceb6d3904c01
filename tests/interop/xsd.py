"""Answers, tokens and the metadata against the published schemas. The schemas are not ours to ship:
CHANCERY_XSD names their directory, else one named shared/data/xsd beside or above the repository is used.
Of WS-Trust 2005/02 none was published; what there is stands in the metadata of WCF, and is open."""

import copy
import os
import pathlib

import lxml.etree

from service import DS, SAML11, SAML20, SOAP, TRUST, WSA, WSSE, WSU, ok, service, skipped, token_of

XS = "http://www.w3.org/2001/XMLSchema"
SP_2005 = "http://schemas.xmlsoap.org/ws/2005/07/securitypolicy"
FILES = {
    SOAP["1.1"]: "wss4j/soap-1.1.xsd",
    SOAP["1.2"]: "wss4j/soap-1.2.xsd",
    TRUST["1.3"]: "cxf/ws-trust-1.3.xsd",
    WSA: "cxf/ws-addr.xsd",
    WSSE: "cxf/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    WSU: "cxf/oasis-200401-wss-wssecurity-utility-1.0.xsd",
    DS: "cxf/xmldsig-core-schema.xsd",
    SAML11: "debian-opensaml-schemas/cs-sstc-schema-assertion-1.1.xsd",
    SAML20: "debian-opensaml-schemas/saml-schema-assertion-2.0.xsd",
    "http://schemas.xmlsoap.org/wsdl/": "cxf/wsdl.xsd",
    "http://schemas.xmlsoap.org/wsdl/soap12/": "cxf/soap12-binding.xsd",
    "http://www.w3.org/2006/05/addressing/wsdl": "cxf/ws-addr-wsdl.xsd",
    "http://schemas.xmlsoap.org/ws/2004/09/policy": "cxf/ws-policy.xsd",
    "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702": "cxf/ws-securitypolicy-1.2.xsd",
    SP_2005: "wss4j/ws-securitypolicy-200507.xsd",
}
WCF = "../clients/cxf/wcf-mex-response.xml"


def directory():
    named = os.environ.get("CHANCERY_XSD")
    if named:
        return pathlib.Path(named)
    for above in pathlib.Path(__file__).resolve().parents:
        if (above / "shared/data/xsd").is_dir():
            return above / "shared/data/xsd"
    return None


class Beside(lxml.etree.Resolver):
    """Finds every schema by the last part of its name among those we have; nothing from the network."""

    def __init__(self, root):
        self.known = {}
        for path in sorted(root.rglob("*.xsd"), reverse=True):
            self.known[path.name] = path
        self.known["xenc-schema.xsd"] = root / "wss4j/xenc-schema.xsd"
        self.known["ws-addr.xsd"] = root / "cxf/ws-addr.xsd"
        # http://schemas.xmlsoap.org/ws/2004/08/addressing
        self.known["addressing"] = root / "wss4j/ws-addr200408.xsd"
        self.trust_2005 = of_wcf(root)

    def resolve(self, url, identifier, context):
        if url == TRUST["2005"]:
            return self.resolve_string(self.trust_2005, context)
        path = self.known.get(url.rsplit("/", 1)[-1])
        if path:
            return self.resolve_filename(str(path), context)
        # Document types of the schemas' own schema.
        return self.resolve_string("", context)


def of_wcf(root):
    """The schema of 2005/02 in WCF's metadata, where that is here."""
    if not (root / WCF).is_file():
        return None
    (found,) = lxml.etree.parse(root / WCF).iterfind(f".//{{{XS}}}schema[@targetNamespace='{TRUST['2005']}']")
    return lxml.etree.tostring(found)


def schema(root):
    places = {space: (root / name).as_uri() for space, name in FILES.items()}
    if of_wcf(root):
        places[TRUST["2005"]] = TRUST["2005"]
    imports = "".join(f'<xs:import namespace="{space}" schemaLocation="{place}"/>' for space, place in places.items())
    text = f'<xs:schema xmlns:xs="{XS}">{imports}</xs:schema>'
    parser = lxml.etree.XMLParser(no_network=True, load_dtd=False)
    parser.resolvers.add(Beside(root))
    return lxml.etree.XMLSchema(lxml.etree.fromstring(text, parser))


def refused(rules, document, breaking):
    """A copy of the document, broken, must not be valid."""
    broken = copy.deepcopy(document)
    breaking(broken)
    assert not rules.validate(broken), lxml.etree.tostring(broken)


def main():
    root = directory()
    if root is None:
        skipped("interop-xsd", "the schemas are not here; CHANCERY_XSD names them")
        return
    rules = schema(root)
    there = service()
    answers = list(there.kinds())
    answers.append(("fault, SOAP 1.2", there.issue("1.3", password="wrong")))
    answers.append(("fault, SOAP 1.1", there.issue("generic", soap="1.1", password="wrong")))
    for name, answer in answers:
        envelope = lxml.etree.fromstring(answer.content)
        rules.assertValid(envelope)
        if not name.startswith("fault"):
            rules.assertValid(lxml.etree.fromstring(token_of(answer)))
        ok(f"{name} is valid by its schemas")
    metadata = lxml.etree.fromstring(there.session.get(there.at("mex")).content)
    rules.assertValid(metadata)
    ok("the metadata is valid by its schemas")
    if of_wcf(root):
        # A Body takes what it does not know; by itself an element must be known.
        (response,) = lxml.etree.fromstring(dict(answers)["SAML 1.1 by 2005"].content)[1]
        rules.assertValid(response)
        refused(rules, response, lambda one: setattr(one, "tag", f"{{{TRUST['2005']}}}Response"))
        ok("the response of 2005 is valid by the schema of WCF")
    else:
        skipped("xsd-trust-2005", "no schema of WS-Trust 2005/02 is here")
    # A check that cannot fail is a bug.
    token = lxml.etree.fromstring(token_of(answers[0][1]))
    refused(rules, token, lambda one: one.append(lxml.etree.Element(f"{{{SAML11}}}Subject")))
    # 200702 leaves its policies open; 2005/07 does not.
    refused(rules, metadata, lambda one: one.find(f".//{{{SP_2005}}}TransportBinding").clear())
    refused(rules, metadata, lambda one: one.find(".//{*}binding").attrib.pop("type"))
    ok("a broken token and broken metadata are not")


if __name__ == "__main__":
    main()
