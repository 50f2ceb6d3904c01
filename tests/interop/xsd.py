"""Answers and tokens against the published schemas. The schemas are not ours to ship: CHANCERY_XSD names
their directory, else one named shared/data/xsd beside or above the repository is used."""

import os
import pathlib

import lxml.etree

from service import DS, SAML11, SAML20, SOAP, TRUST, WSA, WSSE, WSU, ok, service, skipped, token_of

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
}


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

    def resolve(self, url, identifier, context):
        path = self.known.get(url.rsplit("/", 1)[-1])
        if path:
            return self.resolve_filename(str(path), context)
        # Document types of the schemas' own schema.
        return self.resolve_string("", context)


def schema(root):
    imports = "".join(
        f'<xs:import namespace="{space}" schemaLocation="{(root / name).as_uri()}"/>' for space, name in FILES.items()
    )
    text = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    parser = lxml.etree.XMLParser(no_network=True, load_dtd=False)
    parser.resolvers.add(Beside(root))
    return lxml.etree.XMLSchema(lxml.etree.fromstring(text, parser))


def main():
    root = directory()
    if root is None:
        skipped("xsd", "the schemas are not here; CHANCERY_XSD names them")
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
    # A check that cannot fail is a bug.
    broken = lxml.etree.fromstring(token_of(answers[0][1]))
    broken.append(lxml.etree.Element(f"{{{SAML11}}}Subject"))
    assert not rules.validate(broken)
    ok("a broken token is not")


if __name__ == "__main__":
    main()
