"""pyvmomi, which signs its requests and wants tokens bound to its key, against an endpoint that puts up with how it
does so. Told the ready file, the client's key and its certificate, and those of a stranger."""

import ssl
import sys

import lxml.etree
from pyVim import sso

from judges import verified
from service import DS, SAML20, ok, service

there = service()
key, certificate = sys.argv[2:4]
client = sso.SsoAuthenticator(there.url + "/vcenter")


def trusting():
    return ssl.create_default_context(cafile=there.ready["ca"])


def said(token):
    """What a token says of who may use it, and how: name, method, certificate."""
    verified(there, token.encode())
    assertion = lxml.etree.fromstring(token)
    (confirmation,) = assertion.iter(f"{{{SAML20}}}SubjectConfirmation")
    bound = confirmation.findtext(f".//{{{DS}}}X509Certificate")
    return assertion.findtext(f".//{{{SAML20}}}NameID"), confirmation.get("Method").rpartition(":")[2], bound


token = client.get_bearer_saml_assertion(there.user, there.password, delegatable=True, ssl_context=trusting())
assert said(token) == ("alice@example.com", "bearer", None), said(token)
ok("pyvmomi gets a bearer token by a password")

token = client.get_hok_saml_assertion(certificate, key, ssl_context=trusting())
pem = "".join(open(certificate).read().split("-----")[2].split())
assert said(token) == ("machine@example.com", "holder-of-key", pem), said(token)
ok("pyvmomi gets a token bound to the key it signed with")

other_key, other_certificate = sys.argv[4:6]
for wrong, keys in [
    ("a stranger's key", {"public_key": other_certificate, "private_key": other_key}),
    ("a key that is not the certificate's", {"public_key": certificate, "private_key": other_key}),
]:
    try:
        request = sso.SecurityTokenRequest(**keys).construct_hok_request()
        client.perform_request(request, ssl_context=trusting())
    except Exception as refused:
        assert "FailedAuthentication" in str(refused), refused
    else:
        raise AssertionError(f"{wrong} got a token")
    ok(f"pyvmomi with {wrong} is refused")
