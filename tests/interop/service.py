"""The service under test, from its ready file, and the plainest of requests to it.

Scripts here print one `ok NAME` line a check and `SKIPPED NAME: why` for what cannot run; anything else
that goes wrong is an exception.
"""

import datetime
import json
import pathlib
import sys
import uuid

import lxml.etree
import requests

SOAP = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
TRUST = {
    "1.3": "http://docs.oasis-open.org/ws-sx/ws-trust/200512",
    "2005": "http://schemas.xmlsoap.org/ws/2005/02/trust",
}
BEARER = {
    "1.3": TRUST["1.3"] + "/Bearer",
    "2005": "http://schemas.xmlsoap.org/ws/2005/05/identity/NoProofKey",
}
WSA = "http://www.w3.org/2005/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DS = "http://www.w3.org/2000/09/xmldsig#"
SAML11 = "urn:oasis:names:tc:SAML:1.0:assertion"
SAML20 = "urn:oasis:names:tc:SAML:2.0:assertion"

PATHS = {
    "1.3": "/adfs/services/trust/13/usernamemixed",
    "2005": "/adfs/services/trust/2005/usernamemixed",
    "generic": "/sts",
    "mex": "/adfs/services/trust/mex",
}
MICROSOFT = "urn:federation:MicrosoftOnline"
GENERIC = "https://rp.example.com/"


class Service:
    """Addresses, credentials and an HTTP session that trusts the demo's certificate only."""

    def __init__(self, ready):
        self.ready = json.loads(pathlib.Path(ready).read_text())
        # A configured service listens where it was told; its URL is what clients are to call it.
        self.url = "https://localhost:" + self.ready["address"].rpartition(":")[2]
        self.user = self.ready["user"]
        self.password = pathlib.Path(self.ready["password_file"]).read_text().splitlines()[0]
        self.token_signing = pathlib.Path(self.ready["token_signing"]).read_text()
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = self.ready["ca"]

    def at(self, name):
        return self.url + PATHS[name]

    def issue(self, path, trust="1.3", soap="1.2", token_type=None, applies_to=MICROSOFT, password=None):
        """One Issue request, as the standards write it; the answer, whatever its status."""
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        created, expires = (
            instant.strftime("%Y-%m-%dT%H:%M:%SZ") for instant in (now, now + datetime.timedelta(minutes=5))
        )
        s, t = SOAP[soap], TRUST[trust]
        kind = f"<t:TokenType>{token_type}</t:TokenType>" if token_type else ""
        body = f"""<s:Envelope xmlns:s="{s}" xmlns:a="{WSA}"><s:Header>
<a:Action s:mustUnderstand="1">{t}/RST/Issue</a:Action><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>
<a:To s:mustUnderstand="1">{self.at(path)}</a:To>
<o:Security s:mustUnderstand="1" xmlns:o="{WSSE}" xmlns:u="{WSU}">
<u:Timestamp u:Id="t"><u:Created>{created}</u:Created><u:Expires>{expires}</u:Expires></u:Timestamp>
<o:UsernameToken><o:Username>{self.user}</o:Username><o:Password>{password or self.password}</o:Password></o:UsernameToken>
</o:Security></s:Header><s:Body><t:RequestSecurityToken xmlns:t="{t}">{kind}
<t:RequestType>{t}/Issue</t:RequestType>
<p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy"><a:EndpointReference>
<a:Address>{applies_to}</a:Address></a:EndpointReference></p:AppliesTo>
<t:KeyType>{BEARER[trust]}</t:KeyType></t:RequestSecurityToken></s:Body></s:Envelope>"""
        headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
        if soap == "1.1":
            headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{t}/RST/Issue"'}
        return self.session.post(self.at(path), data=body.encode(), headers=headers, timeout=30)

    def kinds(self):
        """Every kind of token the demo issues: a name and the answer that holds it."""
        yield "SAML 1.1 by 1.3", self.issue("1.3")
        yield "SAML 1.1 by 2005", self.issue("2005", trust="2005")
        yield "SAML 2.0 by 1.3", self.issue("1.3", token_type=SAML20)
        yield "SAML 2.0 by 2005", self.issue("2005", trust="2005", token_type=SAML20)
        yield "SAML 2.0 generic", self.issue("generic", token_type=SAML20, applies_to=GENERIC)
        yield "SAML 1.1 generic", self.issue("generic", token_type=SAML11, applies_to=GENERIC)
        yield "SAML 2.0 generic, SOAP 1.1", self.issue("generic", soap="1.1", token_type=SAML20, applies_to=GENERIC)


def token_of(answer):
    """The assertion, cut out of the answer as text: what a client that knows no XML would take."""
    text = answer.content.decode()
    assert answer.status_code == 200, f"HTTP {answer.status_code}: {text}"
    start, end = text.index(":RequestedSecurityToken>") + len(":RequestedSecurityToken>"), text.rindex(":RequestedSecurityToken>")
    end = text.rindex("</", start, end)
    return text[start:end].encode()


def element(name, text=None, *children):
    made = lxml.etree.Element(name)
    made.text = text
    made.extend(children)
    return made


def ok(name):
    print(f"ok {name}", flush=True)


def skipped(name, why):
    print(f"SKIPPED {name}: {why}", flush=True)


def service():
    """The one named on the command line."""
    return Service(sys.argv[1])
