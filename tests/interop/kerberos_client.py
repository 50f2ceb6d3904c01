"""Tokens by HTTP Negotiate with requests-kerberos, which binds its tickets to the certificate of the server and does not
take an answer from anybody but the service. Told the ready file and the path; the ticket is in KRB5CCNAME."""

import json
import pathlib
import sys
import xml.etree.ElementTree as tree

import requests
from requests_kerberos import DISABLED, REQUIRED, HTTPKerberosAuth

SAML20 = "urn:oasis:names:tc:SAML:2.0:assertion"
VERSIONS = {"1.3": "http://docs.oasis-open.org/ws-sx/ws-trust/200512"}
WSA = "http://www.w3.org/2005/08/addressing"
PARTY = "https://rp.example.com/"

ready = json.loads(pathlib.Path(sys.argv[1]).read_text())
url = "https://localhost:" + ready["address"].rpartition(":")[2] + sys.argv[2]


def request(trust):
    return f"""<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="{WSA}"><s:Header>
<a:Action s:mustUnderstand="1">{trust}/RST/Issue</a:Action>
<a:MessageID>urn:uuid:7c1e5f0a-3b8e-4c52-9d0e-5c0f5a3c9a11</a:MessageID><a:To s:mustUnderstand="1">{url}</a:To></s:Header>
<s:Body><t:RequestSecurityToken xmlns:t="{trust}"><t:TokenType>{SAML20}</t:TokenType>
<t:RequestType>{trust}/Issue</t:RequestType><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy">
<a:EndpointReference><a:Address>{PARTY}</a:Address></a:EndpointReference></p:AppliesTo></t:RequestSecurityToken></s:Body>
</s:Envelope>"""


def ask(**options):
    session = requests.Session()
    session.trust_env = False
    session.verify = ready["ca"]
    session.auth = HTTPKerberosAuth(hostname_override="localhost", **options)
    headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
    return [session.post(url, data=request(VERSIONS["1.3"]), headers=headers, timeout=30) for _ in range(2)]


for answer in ask(mutual_authentication=REQUIRED):
    assert answer.status_code == 200, (answer.status_code, answer.headers, answer.text)
    name = tree.fromstring(answer.content).findtext(f".//{{{SAML20}}}NameID")
    assert name == "mixed@example.com", answer.text
print("ok a token for a ticket, twice over one session, by a service that proves itself")

answer = ask(mutual_authentication=REQUIRED)[0]
assert answer.history[0].status_code == 401 and answer.history[0].headers["WWW-Authenticate"] == "Negotiate"
print("ok asked first, once")

unbound = ask(mutual_authentication=DISABLED, send_cbt=False)
assert all(answer.status_code == 500 and b"FailedAuthentication" in answer.content for answer in unbound), unbound
print("ok refused where the ticket is bound to nothing")
