"""Requests in the shapes of three clients whose own code needs another runtime or a cloud behind it, and the
answers read the way each reads them: by prefix, by place, by the first piece the socket gives."""

import datetime
import re
import socket
import ssl
import urllib.parse
import uuid
import xml.dom.minidom

from judges import verified
from service import BEARER, MICROSOFT, SAML20, SOAP, TRUST, WSA, WSSE, WSU, ok, service

POLICY = "http://schemas.xmlsoap.org/ws/2004/09/policy"
TEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"

there = service()


def envelope(header, body):
    spaces = {"s": SOAP["1.2"], "a": WSA, "u": WSU, "o": WSSE, "p": POLICY}
    declared = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in spaces.items())
    return f"<s:Envelope {declared}><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"


def addressed(version):
    action = f'<a:Action s:mustUnderstand="1">{TRUST[version]}/RST/Issue</a:Action>'
    return f'{action}<a:To s:mustUnderstand="1">{there.at(version)}</a:To>'


def wished(version, attributes="", before="", after=""):
    t = TRUST[version]
    party = f"<p:AppliesTo><a:EndpointReference><a:Address>{MICROSOFT}</a:Address></a:EndpointReference></p:AppliesTo>"
    key = f"<t:KeyType>{BEARER[version]}</t:KeyType>"
    request = f"<t:RequestType>{t}/Issue</t:RequestType>"
    inside = before + (request + party + key if attributes else party + key + request) + after
    return f'<t:RequestSecurityToken xmlns:t="{t}"{attributes}>{inside}</t:RequestSecurityToken>'


def username(identifier, kind=None):
    typed = f' Type="{kind}"' if kind else ""
    words = f"<o:Username>{there.user}</o:Username><o:Password{typed}>{there.password}</o:Password>"
    return f'<o:UsernameToken u:Id="{identifier}">{words}</o:UsernameToken>'


def first_read(version, message):
    """What one read of the TLS connection gives, which must be the whole answer: wstrust-client takes the
    first piece for all of it. OpenSSL gives at most one record a read."""
    place = urllib.parse.urlsplit(there.at(version))
    head = [
        f"POST {place.path} HTTP/1.1",
        f"Host: {place.netloc}",
        "Content-Type: application/soap+xml; charset=utf-8",
        f"Content-Length: {len(message.encode())}",
    ]
    trust = ssl.create_default_context(cafile=there.ready["ca"])
    with socket.create_connection((place.hostname, place.port), timeout=30) as plain:
        with trust.wrap_socket(plain, server_hostname=place.hostname) as connection:
            connection.sendall("\r\n".join([*head, "", message]).encode())
            answer = connection.recv(1 << 20)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), answer
    (length,) = re.findall(rb"(?im)^content-length: (\d+)\r?$", head)
    assert len(body) == int(length), f"{len(body)} of {int(length)} octets in the first read"
    return body.decode()


def node_sp_auth():
    """No message id, no timestamp, no SOAPAction; white space around everything."""
    reply = f"<a:ReplyTo><a:Address>{WSA}/anonymous</a:Address></a:ReplyTo>"
    security = f'<o:Security s:mustUnderstand="1">{username("uuid-1", TEXT)}</o:Security>'
    message = envelope(addressed("1.3") + reply + security, wished("1.3"))
    text = first_read("1.3", "\n  " + message.replace("><", ">\n  <") + "\n")

    def named(element, name):
        return next(child for child in element.childNodes if child.nodeName == name)

    # It goes by literal names and places: any text node between elements would be in the way.
    collection = named(xml.dom.minidom.parseString(text).documentElement, "s:Body").firstChild
    prefix = collection.nodeName.split(":")[0]
    assertion = named(collection.firstChild, prefix + ":RequestedSecurityToken").firstChild
    assert assertion.nodeName == "saml:Assertion", assertion.nodeName
    for edge in ("NotBefore", "NotOnOrAfter"):
        assert assertion.firstChild.getAttribute(edge), f"the first child has no {edge}"
    verified(there, assertion.toxml().encode())
    ok("the shape of node-sp-auth gets a token that it can read")


def wstrust_client():
    """As before, with a token type after everything else."""
    security = f'<o:Security s:mustUnderstand="1">{username("uuid-1", TEXT)}</o:Security>'
    kind = f"<t:TokenType>{SAML20}</t:TokenType>"
    text = first_read("1.3", envelope(addressed("1.3") + security, wished("1.3", after=kind)))
    start, end = text.index("<Assertion "), text.index("</Assertion>") + len("</Assertion>")
    verified(there, text[start:end].encode())
    ok("the shape of wstrust-client gets a SAML 2.0 token in one read")


def sharepy():
    """2005: a message id that is no URI, a header nobody knows, Security for whoever likes, a timestamp in
    microseconds after the user name with an Id of no namespace, and an Id on the request."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    created, expires = (f"{moment.isoformat()}Z" for moment in (now, now + datetime.timedelta(minutes=10)))
    passport = "http://schemas.microsoft.com/Passport/SoapServices/PPCRL"
    header = addressed("2005") + f"<a:MessageID>{uuid.uuid4()}</a:MessageID>"
    header += f'<ps:AuthInfo xmlns:ps="{passport}" Id="PPAuthInfo"><ps:BinaryVersion>6</ps:BinaryVersion></ps:AuthInfo>'
    stamp = f'<u:Timestamp Id="Timestamp"><u:Created>{created}</u:Created><u:Expires>{expires}</u:Expires></u:Timestamp>'
    header += f"<o:Security>{username('user')}{stamp}</o:Security>"
    message = envelope(header, wished("2005", attributes=' Id="RST0"')).replace("><", ">\n    <")
    text = first_read("2005", '<?xml version="1.0" encoding="UTF-8"?>\n' + message)
    (token,) = re.findall(r"<saml:Assertion.*</saml:Assertion>", text)
    verified(there, token.encode())
    ok("the shape of sharepy gets a token that its expression finds")


node_sp_auth()
wstrust_client()
sharepy()
