"""Requests signed by zeep and by xmlsec itself, with the key of a certificate registered for an account. Told the
ready file, the client's key, its certificate, and the key and certificate of somebody who is not registered."""

import datetime
import pathlib
import sys
import uuid

import lxml.etree
import xmlsec
import zeep
import zeep.exceptions
import zeep.transports
from zeep.wsse.compose import Compose
from zeep.wsse.signature import BinarySignature, Signature
from zeep.wsse.utils import WSU as UTILITY, get_security_header

from judges import verified
from service import BEARER, GENERIC, SAML20, TRUST, WSA, WSSE, WSU, element, ok, service, token_of

T = TRUST["1.3"]
BINDING = "{urn:chancery:sts}Username"
SOAP = "http://www.w3.org/2003/05/soap-envelope"
X509 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
BASE64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
ADDRESS = "https://sts.example.com/certificate"
SHA256 = {"signature_method": xmlsec.Transform.RSA_SHA256, "digest_method": xmlsec.Transform.SHA256}

there = service()
key, certificate, other_key, other_certificate = sys.argv[2:6]


class Stamp:
    """A timestamp in the header, which zeep then signs."""

    def apply(self, envelope, headers):
        now = datetime.datetime.now(datetime.timezone.utc)
        stamp = UTILITY.Timestamp()
        stamp.append(UTILITY.Created(now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")))
        stamp.append(UTILITY.Expires((now + datetime.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")))
        get_security_header(envelope).append(stamp)
        return envelope, headers

    def verify(self, envelope):
        return envelope


def unverified(kind):
    """zeep's signature, for a service whose replies are protected by TLS alone."""
    return type(kind.__name__, (kind,), {"verify": lambda self, envelope: envelope})


def by_zeep(kind, key, certificate, path="/signed", **methods):
    client = zeep.Client(
        str(pathlib.Path(__file__).with_name("generic.wsdl")),
        transport=zeep.transports.Transport(session=there.session),
        wsse=Compose([Stamp(), unverified(kind)(key, certificate, **methods)]),
    )
    reference = element(f"{{{WSA}}}EndpointReference", None, element(f"{{{WSA}}}Address", GENERIC))
    words = [
        element(f"{{{T}}}TokenType", SAML20),
        element(f"{{{T}}}RequestType", T + "/Issue"),
        element("{http://schemas.xmlsoap.org/ws/2004/09/policy}AppliesTo", None, reference),
    ]
    answer = client.create_service(BINDING, there.url + path).Issue(_value_1=words)
    return answer._value_1[0].find(f".//{{{SAML20}}}Assertion")


def of_machine(assertion):
    verified(there, lxml.etree.tostring(assertion))
    assert assertion.findtext(f".//{{{SAML20}}}NameID") == "machine@example.com", lxml.etree.tostring(assertion)
    context = assertion.findtext(f".//{{{SAML20}}}AuthnContextClassRef")
    assert context == "urn:oasis:names:tc:SAML:2.0:ac:classes:X509", context


for kind in [BinarySignature, Signature]:
    of_machine(by_zeep(kind, key, certificate, **SHA256))
    ok(f"zeep gets a token by its {kind.__name__}")

# As zeep signs when it is told nothing, or one thing of two.
half = {"signature_method": xmlsec.Transform.RSA_SHA256}
for kind, methods in [(BinarySignature, {}), (Signature, {}), (BinarySignature, half)]:
    of_machine(by_zeep(kind, key, certificate, "/by-sha1", **methods))
    ok(f"zeep gets a token by its {kind.__name__} and SHA-1, where it may {methods}")

for what, arguments, subcode in [
    ("a stranger's certificate", ((other_key, other_certificate), SHA256), "FailedAuthentication"),
    ("SHA-1", ((key, certificate), {}), "UnsupportedAlgorithm"),
    ("digests by SHA-1", ((key, certificate), half), "UnsupportedAlgorithm"),
    ("a stranger's certificate and SHA-1", ((other_key, other_certificate, "/by-sha1"), {}), "FailedAuthentication"),
]:
    try:
        by_zeep(BinarySignature, *arguments[0], **arguments[1])
    except zeep.exceptions.Fault as fault:
        assert [code.localname for code in fault.subcodes] == [subcode], (what, fault.subcodes)
    else:
        raise AssertionError(f"{what} got a token")
    ok(f"zeep with {what} is refused")


WHOLE = ("t", "to", "b", "act", "mid")


def message(signs=("t", "to"), to=ADDRESS):
    """A message as an AD FS client with a certificate sends it over TLS: the timestamp and `wsa:To` are signed."""
    now = datetime.datetime.now(datetime.timezone.utc)
    instant = lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    der = "".join(pathlib.Path(certificate).read_text().split("-----")[2].split())
    envelope = lxml.etree.fromstring(
        f"""<s:Envelope xmlns:s="{SOAP}" xmlns:a="{WSA}" xmlns:u="{WSU}"><s:Header>
<a:Action s:mustUnderstand="1" u:Id="act">{T}/RST/Issue</a:Action>
<a:MessageID u:Id="mid">urn:uuid:{uuid.uuid4()}</a:MessageID>
<a:To s:mustUnderstand="1" u:Id="to">{to}</a:To>
<o:Security s:mustUnderstand="1" xmlns:o="{WSSE}">
<u:Timestamp u:Id="t"><u:Created>{instant(now)}</u:Created>
<u:Expires>{instant(now + datetime.timedelta(minutes=5))}</u:Expires></u:Timestamp>
<o:BinarySecurityToken u:Id="x" ValueType="{X509}" EncodingType="{BASE64}">{der}</o:BinarySecurityToken>
</o:Security></s:Header><s:Body u:Id="b"><t:RequestSecurityToken xmlns:t="{T}">
<t:RequestType>{T}/Issue</t:RequestType><t:TokenType>{SAML20}</t:TokenType>
<p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy"><a:EndpointReference>
<a:Address>{GENERIC}</a:Address></a:EndpointReference></p:AppliesTo>
<t:KeyType>{BEARER["1.3"]}</t:KeyType></t:RequestSecurityToken></s:Body></s:Envelope>"""
    )
    template = xmlsec.template.create(envelope, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256)
    envelope.find(f".//{{{WSSE}}}Security").append(template)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_file(key, xmlsec.KeyFormat.PEM)
    for name in signs:
        (element,) = (one for one in envelope.iter() if one.get(f"{{{WSU}}}Id") == name)
        context.register_id(element, "Id", WSU)
        reference = xmlsec.template.add_reference(template, xmlsec.Transform.SHA256, uri="#" + name)
        xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    context.sign(template)
    key_info = xmlsec.template.ensure_key_info(template)
    token = lxml.etree.SubElement(key_info, f"{{{WSSE}}}SecurityTokenReference")
    lxml.etree.SubElement(token, f"{{{WSSE}}}Reference", {"URI": "#x", "ValueType": X509})
    return lxml.etree.tostring(envelope)


def post(octets):
    headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
    return there.session.post(there.url + "/certificate", data=octets, headers=headers, timeout=30)


def refused(octets, code):
    answer = post(octets)
    assert answer.status_code == 500 and f":{code}<" in answer.text, (answer.status_code, answer.text)


for signs in [("t", "to"), WHOLE, ("b", "x", "to", "t", "mid", "act")]:
    sent = message(signs)
    of_machine(lxml.etree.fromstring(token_of(post(sent))))
    refused(sent, "InvalidSecurity")
    ok(f"a message that signs {' '.join(signs)} is good, once")

for what, octets, code in [
    ("another request than was signed", message(WHOLE).replace(b"/Bearer<", b"/Bearer <"), "FailedAuthentication"),
    ("another timestamp", message().replace(b"<u:Created>", b"<u:Created> "), "FailedAuthentication"),
    ("a message to somebody else", message(to="https://sts.example.com/signed"), "InvalidSecurity"),
    ("a message to nobody", message(("t",)), "InvalidSecurity"),
    ("an unsigned timestamp", message(("to", "b")), "InvalidSecurity"),
    ("a body beside an unsigned action", message(("t", "to", "b", "mid")), "InvalidSecurity"),
    ("a body beside an unsigned id", message(("t", "to", "b", "act")), "InvalidSecurity"),
]:
    refused(octets, code)
    ok(f"{what} is refused")
