"""zeep with a password digest, from its own UsernameToken, against an endpoint that takes digests and passwords. Told
the ready file, the account and its secret."""

import datetime
import pathlib
import re
import sys

import lxml.etree
import zeep
import zeep.exceptions
import zeep.transports
from zeep.wsse.username import UsernameToken
from zeep.wsse.utils import WSU

from judges import verified
from service import BEARER, GENERIC, SAML20, TRUST, WSA, element, ok, service

T = TRUST["1.3"]
PROFILE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0"

there = service()
user, secret = sys.argv[2:4]


class Kept(zeep.transports.Transport):
    """zeep's transport, which remembers what it sent."""

    def post(self, address, message, headers):
        self.sent = address, message, headers
        return super().post(address, message, headers)


def issue(secret, digest=True, **more):
    """One Issue by an unmodified zeep client: the token, and what was sent for it."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp = WSU.Timestamp()
    stamp.append(WSU.Created(now.strftime("%Y-%m-%dT%H:%M:%SZ")))
    stamp.append(WSU.Expires((now + datetime.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")))
    transport = Kept(session=there.session)
    client = zeep.Client(
        str(pathlib.Path(__file__).with_name("generic.wsdl")),
        transport=transport,
        wsse=UsernameToken(user, secret, use_digest=digest, timestamp_token=stamp, **more),
    )
    sts = client.create_service("{urn:chancery:sts}Username", there.url + "/digest")
    reference = element(f"{{{WSA}}}EndpointReference", None, element(f"{{{WSA}}}Address", GENERIC))
    words = [
        element(f"{{{T}}}TokenType", SAML20),
        element(f"{{{T}}}RequestType", T + "/Issue"),
        element("{http://schemas.xmlsoap.org/ws/2004/09/policy}AppliesTo", None, reference),
        element(f"{{{T}}}KeyType", BEARER["1.3"]),
    ]
    (response,) = sts.Issue(_value_1=words)._value_1
    return response.find(f".//{{{SAML20}}}Assertion"), transport.sent


def refused(code, what, *arguments, **more):
    try:
        issue(*arguments, **more)
    except zeep.exceptions.Fault as fault:
        assert [sub.localname for sub in fault.subcodes] == [code], (what, fault.subcodes)
    else:
        raise AssertionError(f"{what} got a token")
    ok(f"{what} is refused")


assertion, (address, message, headers) = issue(secret)
assert (PROFILE + "#PasswordDigest").encode() in message and secret.encode() not in message, message
verified(there, lxml.etree.tostring(assertion))
name = assertion.findtext(f".//{{{SAML20}}}AttributeValue")
assert name == f"{user}@example.com", lxml.etree.tostring(assertion)
ok("zeep gets a token for a digest")

again = there.session.post(address, data=message, headers=headers, timeout=30)
assert again.status_code == 500 and ":InvalidSecurity<" in again.text, (again.status_code, again.text)
ok("the same message again is refused")

other = re.sub(rb"\+00:00</", b"Z</", message)
assert other != message, message
other = there.session.post(address, data=other, headers=headers, timeout=30)
assert other.status_code == 500 and ":FailedAuthentication<" in other.text, (other.status_code, other.text)
ok("the same instant written otherwise is refused")

refused("FailedAuthentication", "the digest of another secret", secret + "!")
refused("FailedAuthentication", "the secret itself", secret, digest=False)
refused("InvalidSecurity", "a nonce of twelve octets", secret, nonce="twelve octet")
now = datetime.datetime.now(datetime.timezone.utc)
refused("MessageExpired", "a digest of six minutes ago", secret, created=now - datetime.timedelta(minutes=6))

issue(secret)
ok("and a new one is taken")
