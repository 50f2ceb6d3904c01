// node-soap: a user name with a password or its digest, and a signature by an X.509 certificate, over TLS. What it gets
// is judged by xml-crypto, which signs for it, too. Told the ready file, the account with a digest and its secret, the
// client's key and its certificate, and those of a stranger.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');
const soap = require('soap');
const { SignedXml } = require('xml-crypto');

const TRUST = 'http://docs.oasis-open.org/ws-sx/ws-trust/200512';
const WSA = 'http://www.w3.org/2005/08/addressing';
const SAML20 = 'urn:oasis:names:tc:SAML:2.0:assertion';
const DS = 'http://www.w3.org/2000/09/xmldsig#';
const EXCLUSIVE = 'http://www.w3.org/2001/10/xml-exc-c14n#';
const WSDL = path.join(__dirname, '..', 'generic.wsdl');

const [readyFile, robot, secret, key, certificate, otherKey, otherCertificate] = process.argv.slice(2);
const read = (file) => fs.readFileSync(file, 'utf8');
const ready = JSON.parse(read(readyFile));
const url = `https://localhost:${ready.address.split(':').pop()}`;
const password = read(ready.password_file).split('\n')[0];
const httpsAgent = new https.Agent({ ca: read(ready.ca) });
const ok = (name) => console.log(`ok ${name}`);

const BODY =
  `<wst:RequestSecurityToken xmlns:wst="${TRUST}"><wst:TokenType>${SAML20}</wst:TokenType>` +
  `<wst:RequestType>${TRUST}/Issue</wst:RequestType>` +
  '<wsp:AppliesTo xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy">' +
  `<wsa:EndpointReference xmlns:wsa="${WSA}"><wsa:Address>https://rp.example.com/</wsa:Address>` +
  '</wsa:EndpointReference></wsp:AppliesTo></wst:RequestSecurityToken>';

// One Issue at that path; the answer as text. node-soap does not know WS-Addressing, and is told its headers.
async function issue(at, security) {
  const client = await soap.createClientAsync(WSDL, { forceSoap12Headers: true });
  client.setEndpoint(url + at);
  client.setSecurity(security);
  client.addSoapHeader(`<wsa:Action xmlns:wsa="${WSA}">${TRUST}/RST/Issue</wsa:Action>`);
  client.addSoapHeader(`<wsa:To xmlns:wsa="${WSA}">${url + at}</wsa:To>`);
  const [, raw] = await client.IssueAsync({ _xml: BODY }, { httpsAgent });
  return raw;
}

function verifies(assertion) {
  const checked = new SignedXml({ publicCert: read(ready.token_signing), idAttributes: ['ID'] });
  const start = assertion.indexOf('<ds:Signature');
  checked.loadSignature(assertion.slice(start, assertion.indexOf('</ds:Signature>') + '</ds:Signature>'.length));
  try {
    return checked.checkSignature(assertion);
  } catch (refused) {
    return false;
  }
}

async function gets(name, mail, ...arguments_) {
  const raw = await issue(...arguments_);
  const [assertion] = raw.match(/<(?:\w+:)?Assertion .*<\/(?:\w+:)?Assertion>/s);
  assert.ok(assertion.includes(mail), assertion);
  assert.ok(assertion.includes(`"${DS}"`), assertion);
  assert.ok(verifies(assertion), 'xml-crypto refuses it');
  assert.ok(!verifies(assertion.replace(mail, 'mallory@example.com')), 'xml-crypto accepts it altered');
  ok(`node-soap gets a token by ${name}`);
}

async function refused(name, code, ...arguments_) {
  await assert.rejects(issue(...arguments_), (fault) => {
    assert.ok(String(fault.body).includes(`:${code}<`), `${name}: ${fault.body ?? fault}`);
    return true;
  });
  ok(`node-soap with ${name} is refused`);
}

const digest = (secret) => new soap.WSSecurity(robot, secret, { passwordType: 'PasswordDigest', hasTimeStamp: true });
// `idMode` gives the ids of WS-Security: node-soap's own have no namespace, and are ids to nobody else.
const signed = (key, certificate, options) =>
  new soap.WSSecurityCert(read(key), read(certificate), '', { signerOptions: { idMode: 'wssecurity' }, ...options });
const covering = { additionalReferences: ['wsa:Action', 'wsa:To'] };
const plainly = { ...covering, signatureTransformations: [EXCLUSIVE] };

async function main() {
  const text = (password) => new soap.WSSecurity(ready.user, password, { hasTimeStamp: true });
  await gets('a password', 'alice@example.com', '/clients', text(password));
  await refused('another password', 'FailedAuthentication', '/clients', text('another'));

  await gets('a password digest', `${robot}@example.com`, '/clients', digest(secret));
  await refused('the digest of another secret', 'FailedAuthentication', '/clients', digest('another'));

  await gets('a signature', 'machine@example.com', '/clients', signed(key, certificate, plainly));
  const stranger = signed(otherKey, otherCertificate, plainly);
  await refused("a stranger's certificate", 'FailedAuthentication', '/clients', stranger);
  const confused = signed(otherKey, certificate, plainly);
  await refused('another key', 'FailedAuthentication', '/clients', confused);

  const partly = signed(key, certificate, { ...plainly, additionalReferences: ['wsa:To'] });
  await refused('a wsa:Action that it does not sign', 'InvalidSecurity', '/clients', partly);

  // Left to itself it names a transform that leaves nothing out, and signs no headers of WS-Addressing.
  await refused('its own transforms', 'InvalidSecurity', '/clients', signed(key, certificate, covering));
  await gets('its own transforms', 'machine@example.com', '/tolerant', signed(key, certificate, covering));
  await gets('its own choice of parts', 'machine@example.com', '/tolerant', signed(key, certificate));
  const other = signed(otherKey, certificate);
  await refused('its own choice of parts and another key', 'FailedAuthentication', '/tolerant', other);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
