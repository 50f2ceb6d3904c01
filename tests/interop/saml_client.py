"""Assertions made by signxml and by xmlsec itself, with the key of a registered partner, presented in the security header.
Told the ready file, the partner's key, its certificate, and the key and certificate of somebody who is not registered."""

import datetime
import pathlib
import sys
import uuid

import lxml.etree
import signxml
import xmlsec

from judges import verified
from service import DS, GENERIC, SAML11, SAML20, SOAP, TRUST, WSA, WSSE, WSU, ok, service

T = TRUST["1.3"]
ISSUER = "https://idp.agency.example/saml"
AUDIENCE = "https://sts.example.com/"
SCHEMA = "http://www.w3.org/2001/XMLSchema"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"

there = service()
key, certificate, other_key, other_certificate = sys.argv[2:6]


def at(seconds):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def new(name):
    """A SAML 2.0 assertion as libraries write it: typed values whose prefix no canonical form keeps, and line ends."""
    return f"""<saml2:Assertion xmlns:saml2="{SAML20}" xmlns:xs="{SCHEMA}" ID="_{uuid.uuid4().hex}" IssueInstant="{at(0)}" Version="2.0">
  <saml2:Issuer>{ISSUER}</saml2:Issuer>
  <saml2:Subject>
    <saml2:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">{name}</saml2:NameID>
    <saml2:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>
  </saml2:Subject>
  <saml2:Conditions NotBefore="{at(-30)}" NotOnOrAfter="{at(300)}">
    <saml2:AudienceRestriction><saml2:Audience>{AUDIENCE}</saml2:Audience></saml2:AudienceRestriction>
  </saml2:Conditions>
  <saml2:AuthnStatement AuthnInstant="{at(-60)}" SessionIndex="_1"><saml2:AuthnContext>
    <saml2:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:X509</saml2:AuthnContextClassRef>
  </saml2:AuthnContext></saml2:AuthnStatement>
  <saml2:AttributeStatement><saml2:Attribute Name="urn:x">
    <saml2:AttributeValue xmlns:xsi="{INSTANCE}" xsi:type="xs:string">&lt;a&gt;&#13;</saml2:AttributeValue>
  </saml2:Attribute></saml2:AttributeStatement>
</saml2:Assertion>"""


def old(name):
    subject = f"""<Subject><NameIdentifier>{name}</NameIdentifier><SubjectConfirmation>
      <ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:bearer</ConfirmationMethod></SubjectConfirmation></Subject>"""
    return f"""<Assertion xmlns="{SAML11}" AssertionID="_{uuid.uuid4().hex}" IssueInstant="{at(0)}" Issuer="{ISSUER}"
    MajorVersion="1" MinorVersion="1">
  <Conditions NotBefore="{at(-30)}" NotOnOrAfter="{at(300)}"><AudienceRestrictionCondition>
    <Audience>{AUDIENCE}</Audience></AudienceRestrictionCondition></Conditions>
  <AuthenticationStatement AuthenticationInstant="{at(-60)}"
    AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:password">{subject}</AuthenticationStatement>
</Assertion>"""


def id_of(root):
    return root.get("ID") or root.get("AssertionID")


def placed(root, signature):
    if root.tag == f"{{{SAML20}}}Assertion":
        root.insert(1, signature)
    else:
        root.append(signature)


def by_signxml(text, key, certificate, method="rsa-sha256"):
    root = lxml.etree.fromstring(text)
    placed(root, lxml.etree.Element(f"{{{DS}}}Signature", Id="placeholder", nsmap={"ds": DS}))
    signer = signxml.XMLSigner(
        method=signxml.methods.enveloped,
        signature_algorithm=method,
        digest_algorithm="sha256",
        c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",
    )
    identifier = "ID" if root.get("ID") else "AssertionID"
    return signer.sign(
        root,
        key=pathlib.Path(key).read_bytes(),
        cert=pathlib.Path(certificate).read_text(),
        reference_uri=id_of(root),
        id_attribute=identifier,
    )


def by_xmlsec(text, key, certificate):
    root = lxml.etree.fromstring(text)
    xmlsec.tree.add_ids(root, ["ID", "AssertionID"])
    signature = xmlsec.template.create(root, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.RSA_SHA256, ns="ds")
    placed(root, signature)
    reference = xmlsec.template.add_reference(signature, xmlsec.Transform.SHA256, uri="#" + id_of(root))
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_file(key, xmlsec.KeyFormat.PEM)
    context.key.load_cert_from_file(certificate, xmlsec.KeyFormat.PEM)
    context.sign(signature)
    return root


def present(assertion):
    """What the service answers; the assertion stands in the envelope octet for octet as it was serialised."""
    text = assertion if isinstance(assertion, str) else lxml.etree.tostring(assertion).decode()
    envelope = f"""<s:Envelope xmlns:s="{SOAP['1.2']}" xmlns:a="{WSA}" xmlns:xs="urn:another"><s:Header>
<a:Action>{T}/RST/Issue</a:Action><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID><a:To>https://sts.example.com/saml</a:To>
<o:Security xmlns:o="{WSSE}" xmlns:u="{WSU}"><u:Timestamp><u:Created>{at(0)}</u:Created></u:Timestamp>{text}</o:Security>
</s:Header><s:Body><t:RequestSecurityToken xmlns:t="{T}"><t:TokenType>{SAML20}</t:TokenType>
<t:RequestType>{T}/Issue</t:RequestType><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy">
<a:EndpointReference><a:Address>{GENERIC}</a:Address></a:EndpointReference></p:AppliesTo></t:RequestSecurityToken></s:Body>
</s:Envelope>"""
    headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
    return there.session.post(there.url + "/saml", data=envelope.encode(), headers=headers)


def taken(assertion):
    answer = present(assertion)
    assert answer.status_code == 200, answer.text
    token = lxml.etree.fromstring(answer.content).find(f".//{{{SAML20}}}Assertion")
    assert token.findtext(f".//{{{SAML20}}}NameID") == "sam@example.com", answer.text
    verified(there, lxml.etree.tostring(token))


def refused(assertion):
    answer = present(assertion)
    assert answer.status_code == 500 and "FailedAuthentication" in answer.text, answer.text


for version, text in [("2.0", new), ("1.1", old)]:
    for judge, sign in [("signxml", by_signxml), ("xmlsec", by_xmlsec)]:
        taken(sign(text("sam@agency.example"), key, certificate))
        ok(f"a SAML {version} assertion signed by {judge} is taken")
        good = lxml.etree.tostring(sign(text("sam@agency.example"), key, certificate)).decode()
        refused(good.replace("sam@agency.example", "pat@agency.example"))
        refused(sign(text("sam@agency.example"), other_key, other_certificate))
        refused(sign(text("alice@agency.example"), key, certificate))
        ok(f"a SAML {version} assertion signed by {judge} is refused altered, by another key, and about another's account")
for method in ["rsa-sha384", "rsa-sha512", "sha256-rsa-MGF1"]:
    taken(by_signxml(new("sam@agency.example"), key, certificate, method))
    ok(f"an assertion signed with {method} is taken")
