"""Independent judges of every kind of token: xmlsec (C, libxml2) and signxml (Python, cryptography). Each
must accept the token and refuse it altered; a judge that accepts both has judged nothing. The xmlsec that
python-xmlsec brings along is 1.3 or later, whatever the system's is."""

import re

import lxml.etree
import signxml
import xmlsec

from service import DS, SAML11, SAML20, ok, service

assert xmlsec.get_libxmlsec_version() >= (1, 3), xmlsec.get_libxmlsec_version()

IDS = {f"{{{SAML11}}}Assertion": "AssertionID", f"{{{SAML20}}}Assertion": "ID"}


def parse(token):
    return lxml.etree.fromstring(token, lxml.etree.XMLParser(resolve_entities=False, no_network=True))


def by_xmlsec(token, certificate):
    """Raises unless the one signature of the assertion covers exactly the assertion."""
    root = parse(token)
    identifier = IDS[root.tag]
    xmlsec.tree.add_ids(root, [identifier])
    (signature,) = root.findall(f".//{{{DS}}}Signature")
    assert signature.getparent() is root
    (reference,) = signature.findall(f"{{{DS}}}SignedInfo/{{{DS}}}Reference")
    assert reference.get("URI") == "#" + root.get(identifier)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(certificate, xmlsec.constants.KeyDataFormatCertPem)
    context.verify(signature)
    return root


def by_signxml(token, certificate):
    """Raises unless the signature is good; what it covers must be the assertion itself."""
    root = parse(token)
    expect = signxml.SignatureConfiguration(expect_references=1)
    result = signxml.XMLVerifier().verify(
        root, x509_cert=certificate, id_attribute=IDS[root.tag], expect_config=expect
    )
    assert result.signed_xml.tag == root.tag
    assert result.signed_xml.get(IDS[root.tag]) == root.get(IDS[root.tag])
    return root


def altered(token):
    """The token, each time with one thing changed that a thief would like to change."""
    text = token.decode()
    changes = {
        "subject or claim": (r"(alice|Alice|YWxp)", "mallory"),
        "audience": (r"(<(?:\w+:)?Audience>)[^<]*", r"\1urn:other"),
        "expiry": (r'NotOnOrAfter="\d{4}', 'NotOnOrAfter="2999'),
        "issuer": (r"http://sts\.example\.com", "http://sts.example.org"),
        "signature": (r"(SignatureValue[^>]*>)(\S)", lambda found: found[1] + ("B" if found[2] == "A" else "A")),
    }
    for name, (pattern, replacement) in changes.items():
        changed, count = re.subn(pattern, replacement, text, count=1)
        assert count == 1, f"{name} is not in the token"
        yield name, changed.encode()


def verified(there, token):
    """Both judges accept."""
    by_xmlsec(token, there.token_signing)
    return by_signxml(token, there.token_signing)


def altered_are_refused(there, name, token):
    """Neither judge accepts the token with anything changed."""
    for what, forged in altered(token):
        for judge, errors in (
            (by_xmlsec, (xmlsec.Error,)),
            (by_signxml, (signxml.exceptions.InvalidSignature, signxml.exceptions.InvalidDigest)),
        ):
            try:
                judge(forged, there.token_signing)
            except errors:
                continue
            raise AssertionError(f"{name}: {judge.__name__} accepted another {what}")


def main():
    from service import token_of

    there = service()
    for name, answer in there.kinds():
        token = token_of(answer)
        root = verified(there, token)
        wanted = SAML11 if name.startswith("SAML 1.1") else SAML20
        assert lxml.etree.QName(root).namespace == wanted, root.tag
        # The token stands on its own, and is already in the canonical form its digest was made over.
        assert lxml.etree.tostring(root, method="c14n", exclusive=True, with_comments=False) == token or b"xmlns:saml=" in token
        ok(f"{name}: xmlsec and signxml accept")
        altered_are_refused(there, name, token)
        ok(f"{name}: xmlsec and signxml refuse it altered")


if __name__ == "__main__":
    main()
