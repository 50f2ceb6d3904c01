"""MSAL Python, unmodified: its own MEX parser chooses the endpoint, its own code asks for the token."""

import msal.mex
import msal.wstrust_request

from judges import verified
from service import MICROSOFT, ok, service

SAML11 = "urn:oasis:names:tc:SAML:1.0:assertion"

there = service()
# MSAL calls get and post of a requests session; that one trusts the demo's certificate.
http = there.session

chosen = msal.mex.send_request(there.at("mex"), http)
assert chosen == {"address": there.at("1.3"), "action": msal.mex.Mex.ACTION_13}, chosen
ok("msal chooses 1.3 from the metadata")

document = msal.mex.Mex(http.get(there.at("mex")).text)
endpoints = document._get_endpoints(document._get_bindings(), document._get_username_password_policy_ids())
older = [endpoint for endpoint in endpoints if endpoint["action"] == msal.mex.Mex.ACTION_2005]
assert older == [{"address": there.at("2005"), "action": msal.mex.Mex.ACTION_2005}], endpoints
ok("msal finds 2005 in the metadata")

for endpoint in (chosen, older[0]):
    answer = msal.wstrust_request.send_request(
        there.user, there.password, MICROSOFT, endpoint["address"], endpoint["action"], http
    )
    assert answer["type"] == SAML11, answer["type"]
    verified(there, answer["token"])
    ok(f"msal gets a token from {endpoint['address'].removeprefix(there.url)}")

    # AD FS says no in a way MSAL can read; so must we.
    try:
        msal.wstrust_request.send_request(
            there.user, "not the password", MICROSOFT, endpoint["address"], endpoint["action"], http
        )
    except RuntimeError as error:
        assert "FailedAuthentication" in str(error), error
    else:
        raise AssertionError("a wrong password got a token")
    ok(f"msal reads the fault of {endpoint['address'].removeprefix(there.url)}")
