"""Every algorithm the issuer can be told to sign with, by one kind of key: `algorithms.py READY OCTETS
NAME…`, OCTETS being the length of its signatures. The party of each is `urn:interop:NAME`; judges as in
judges.py, and what is named in the signature is what was configured."""

import base64
import sys

import lxml.etree

from judges import altered_are_refused, verified
from service import DS, SAML11, SAML20, ok, service, token_of

MORE = "http://www.w3.org/2001/04/xmldsig-more#"
DIGESTS = {
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha384": MORE + "sha384",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
}

there = service()
octets = int(sys.argv[2])

for algorithm in sys.argv[3:]:
    for kind in (SAML11, SAML20):
        token = token_of(there.issue("1.3", token_type=kind, applies_to=f"urn:interop:{algorithm}"))
        root = verified(there, token)
        assert lxml.etree.QName(root).namespace == kind, root.tag
        (signed,) = root.iterfind(f".//{{{DS}}}SignedInfo")
        named = [signed.find(f".//{{{DS}}}{method}Method").get("Algorithm") for method in ("Signature", "Digest")]
        assert named == [MORE + algorithm, DIGESTS[algorithm.partition("-")[2]]], named
        value = base64.b64decode(root.findtext(f".//{{{DS}}}SignatureValue"))
        assert len(value) == octets, len(value)
        name = f"{'SAML 1.1' if kind == SAML11 else 'SAML 2.0'} by {algorithm}, {8 * octets} bits"
        altered_are_refused(there, name, token)
        ok(f"{name}: judges accept it and refuse it altered")
