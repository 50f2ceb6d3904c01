"""JWTs made by PyJWT with keys of cryptography's, presented in the security header, and by a client certificate. First told
`keys` and a directory: it makes the keys, and the set of their public halves as PyJWT writes it. Then told the ready file
and that directory."""

import base64
import datetime
import hashlib
import hmac
import json
import pathlib
import sys
import time
import uuid

import jwt
import lxml.etree
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://login.cloud.example/"
AUDIENCE = "https://sts.example.com/"
# The curve of each key, or the kind, and the algorithms it signs by.
KEYS = {
    "rsa": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    "p256": ["ES256"],
    "p384": ["ES384"],
    "p521": ["ES512"],
    "ed25519": ["EdDSA"],
}
CURVES = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}


def new(kind):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(CURVES[kind]())


def jwk(key):
    """The public half, as PyJWT writes it."""
    public = key.public_key()
    maker = {rsa.RSAPublicKey: RSAAlgorithm, ec.EllipticCurvePublicKey: ECAlgorithm}
    maker = next((maker[kind] for kind in maker if isinstance(public, kind)), OKPAlgorithm)
    return maker.to_jwk(public, as_dict=True)


def pem(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


if sys.argv[1] == "keys":
    directory = pathlib.Path(sys.argv[2])
    made = {kind: new(kind) for kind in KEYS}
    for kind, key in made.items():
        (directory / f"{kind}.key").write_bytes(pem(key))
    keys = [{**jwk(key), "kid": kind, "use": "sig"} for kind, key in made.items()]
    # One for something else, as sets of many issuers have.
    keys.append({**jwk(new("rsa")), "use": "enc", "alg": "RSA-OAEP"})
    for key in keys:
        if key["use"] == "enc":
            key.pop("key_ops", None)
    (directory / "cloud.json").write_text(json.dumps({"keys": keys}))
    print("ok keys")
    sys.exit()

from judges import verified  # noqa: E402
from service import GENERIC, SAML20, SOAP, TRUST, WSA, WSSE, WSU, ok, service  # noqa: E402

T = TRUST["1.3"]
there = service()
directory = pathlib.Path(sys.argv[2])
keys = {
    kind: serialization.load_pem_private_key((directory / f"{kind}.key").read_bytes(), None) for kind in KEYS
}


def claims(**more):
    now = int(time.time())
    made = {"iss": ISSUER, "aud": AUDIENCE, "sub": "sam@cloud.example", "iat": now, "exp": now + 300, **more}
    return {name: value for name, value in made.items() if value is not None}


def signed(kind="p256", algorithm=None, headers=None, key=None, **more):
    algorithm = algorithm or KEYS[kind][0]
    return jwt.encode(claims(**more), key or keys[kind], algorithm, headers={"kid": kind, **(headers or {})})


def present(token, client=None):
    """What the service answers, over a connection of that client's where there is one."""
    created = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = base64.encodebytes(token.encode()).decode()
    encoding = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
    envelope = f"""<s:Envelope xmlns:s="{SOAP['1.2']}" xmlns:a="{WSA}"><s:Header><a:Action>{T}/RST/Issue</a:Action>
<a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID><a:To>https://sts.example.com/jwt</a:To>
<o:Security xmlns:o="{WSSE}" xmlns:u="{WSU}"><u:Timestamp><u:Created>{created}</u:Created></u:Timestamp>
<o:BinarySecurityToken ValueType="urn:ietf:params:oauth:token-type:jwt" EncodingType="{encoding}">{text}</o:BinarySecurityToken>
</o:Security></s:Header><s:Body><t:RequestSecurityToken xmlns:t="{T}"><t:TokenType>{SAML20}</t:TokenType>
<t:RequestType>{T}/Issue</t:RequestType><p:AppliesTo xmlns:p="http://schemas.xmlsoap.org/ws/2004/09/policy">
<a:EndpointReference><a:Address>{GENERIC}</a:Address></a:EndpointReference></p:AppliesTo></t:RequestSecurityToken></s:Body>
</s:Envelope>"""
    url = there.url
    if client:
        url = "https://localhost:" + there.ready["listeners"]["certificates"].rpartition(":")[2]
    headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
    return there.session.post(url + "/jwt", data=envelope.encode(), headers=headers, cert=client, timeout=30)


def taken(token, client=None):
    answer = present(token, client)
    assert answer.status_code == 200, answer.text
    token = lxml.etree.fromstring(answer.content).find(f".//{{{SAML20}}}Assertion")
    assert token.findtext(f".//{{{SAML20}}}NameID") == "sam@example.com", answer.text
    verified(there, lxml.etree.tostring(token))


def refused(token, fault="FailedAuthentication", client=None):
    answer = present(token, client)
    assert answer.status_code == 500 and fault in answer.text, answer.text


for kind, algorithms in KEYS.items():
    for algorithm in algorithms:
        taken(signed(kind, algorithm))
        head, body, signature = signed(kind, algorithm).split(".")
        altered = base64.urlsafe_b64encode(json.dumps(claims(sub="pat@cloud.example")).encode()).decode().rstrip("=")
        refused(f"{head}.{altered}.{signature}")
        refused(signed(kind, algorithm, key=new(kind)))
        ok(f"a JWT signed with {algorithm} is taken, and refused altered or by another key")

taken(signed(aud=["urn:another", AUDIENCE], nbf=int(time.time()), exp=time.time() + 300.5, name="Sam", groups=["a"]))
taken(signed(headers={"typ": "JWT", "x5t": "AAEC"}))
ok("what else PyJWT says in a JWT does not matter")
for what, token in {
    "expired": signed(exp=int(time.time()) - 3600),
    "of tomorrow": signed(iat=int(time.time()) + 86400, exp=int(time.time()) + 90000),
    "for another": signed(aud="https://rp.example.com/"),
    "of another issuer": signed(iss="https://login.other.example/"),
    "about another's account": signed(sub="alice@cloud.example"),
    "without a subject": signed(sub=None),
    "by a key of another name": signed(headers={"kid": "rsa"}),
    "an access token": signed(headers={"typ": "at+jwt"}),
}.items():
    refused(token)
    ok(f"a JWT is refused that is {what}")

public = keys["rsa"].public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
body = f"{base64.urlsafe_b64encode(json.dumps({'alg': 'HS256', 'kid': 'rsa'}).encode()).decode().rstrip('=')}"
body += "." + base64.urlsafe_b64encode(json.dumps(claims()).encode()).decode().rstrip("=")
confused = hmac.digest(public, body.encode(), "sha256")
refused(f"{body}.{base64.urlsafe_b64encode(confused).decode().rstrip('=')}", "UnsupportedAlgorithm")
refused(jwt.encode(claims(), None, "none"), "InvalidSecurity")
refused(signed(headers={"jku": "https://evil.example/keys"}), "InvalidSecurity")
refused(signed(headers={"jwk": jwk(new("p256"))}), "InvalidSecurity")
ok("a JWT is refused that is signed with a public key as a secret, by nobody, or by a key it brings")

once = signed(jti=str(uuid.uuid4()))
taken(once)
refused(once, "InvalidSecurity")
ok("a JWT with an id is good once")


def certified(key):
    """The files of a certificate that nobody knows, and of its key; and its octets."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "holder")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
    certificate = builder.sign(key, hashes.SHA256())
    paths = [directory / f"{uuid.uuid4()}.{kind}" for kind in ("pem", "key")]
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(pem(key))
    return tuple(map(str, paths)), certificate.public_bytes(serialization.Encoding.DER)


def sha256(octets):
    return base64.urlsafe_b64encode(hashlib.sha256(octets).digest()).decode().rstrip("=")


def thumbprint(key):
    """RFC 7638, by what the standard says and nothing of anybody's code."""
    members = {name: value for name, value in jwk(key).items() if name in ("crv", "e", "kty", "n", "x", "y")}
    return sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode())


for kind in ["p256", "rsa", "p384"]:
    key = new(kind)
    holder, octets = certified(key)
    stranger, _ = certified(new(kind))
    for name, cnf in {
        "x5t#S256": {"x5t#S256": sha256(octets)},
        "jkt": {"jkt": thumbprint(key)},
        "jwk": {"jwk": {name: value for name, value in jwk(key).items() if name != "key_ops"}},
    }.items():
        taken(signed(cnf=cnf), holder)
        refused(signed(cnf=cnf))
        refused(signed(cnf=cnf), client=stranger)
        ok(f"a JWT whose cnf has {name} of a {kind} key is its holder's alone")
    refused(signed(cnf={"kid": "1"}), client=holder)
