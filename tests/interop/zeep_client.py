"""zeep, a toolkit that knows SOAP and WS-Security but not WS-Trust, against the generic endpoint."""

import datetime
import pathlib

import lxml.etree
import zeep
import zeep.exceptions
import zeep.transports
from zeep.wsse.username import UsernameToken
from zeep.wsse.utils import WSU

from judges import verified
from service import BEARER, GENERIC, SAML20, TRUST, WSA, element, ok, service

T = TRUST["1.3"]
BINDING = "{urn:chancery:sts}Username"

there = service()


def issue(password):
    """One Issue by an unmodified zeep client; the answer's envelope."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp = WSU.Timestamp()
    stamp.append(WSU.Created(now.strftime("%Y-%m-%dT%H:%M:%SZ")))
    stamp.append(WSU.Expires((now + datetime.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")))
    client = zeep.Client(
        str(pathlib.Path(__file__).with_name("generic.wsdl")),
        transport=zeep.transports.Transport(session=there.session),
        wsse=UsernameToken(there.user, password, timestamp_token=stamp),
    )
    sts = client.create_service(BINDING, there.at("generic"))
    policy = "{http://schemas.xmlsoap.org/ws/2004/09/policy}AppliesTo"
    reference = element(f"{{{WSA}}}EndpointReference", None, element(f"{{{WSA}}}Address", GENERIC))
    words = [
        element(f"{{{T}}}TokenType", SAML20),
        element(f"{{{T}}}RequestType", T + "/Issue"),
        element(policy, None, reference),
        element(f"{{{T}}}KeyType", BEARER["1.3"]),
    ]
    # zeep adds the addressing headers itself, because the WSDL names the action.
    return sts.Issue(_value_1=words)


answer = issue(there.password)
(response,) = answer._value_1
assertion = response.find(f".//{{{SAML20}}}Assertion")
verified(there, lxml.etree.tostring(assertion))
audience = assertion.findtext(f".//{{{SAML20}}}Audience")
assert audience == GENERIC, audience
ok("zeep gets a SAML 2.0 token from the generic endpoint")

try:
    issue("not the password")
except zeep.exceptions.Fault as fault:
    assert [code.localname for code in fault.subcodes] == ["FailedAuthentication"], fault.subcodes
else:
    raise AssertionError("a wrong password got a token")
ok("zeep reads the fault")
