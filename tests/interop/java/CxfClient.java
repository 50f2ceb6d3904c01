import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.security.auth.callback.CallbackHandler;
import javax.xml.namespace.QName;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.apache.cxf.Bus;
import org.apache.cxf.BusFactory;
import org.apache.cxf.binding.soap.SoapFault;
import org.apache.cxf.configuration.jsse.TLSClientParameters;
import org.apache.cxf.message.Message;
import org.apache.cxf.phase.AbstractPhaseInterceptor;
import org.apache.cxf.phase.Phase;
import org.apache.cxf.transport.http.HTTPConduitConfigurer;
import org.apache.cxf.ws.addressing.VersionTransformer;
import org.apache.cxf.ws.policy.PolicyBuilder;
import org.apache.cxf.ws.policy.PolicyConstants;
import org.apache.cxf.ws.security.tokenstore.SecurityToken;
import org.apache.cxf.ws.security.trust.STSClient;
import org.apache.cxf.ws.security.trust.STSTokenCacher;
import org.apache.neethi.Policy;
import org.apache.wss4j.common.crypto.Crypto;
import org.apache.wss4j.common.crypto.Merlin;
import org.apache.wss4j.common.ext.WSPasswordCallback;
import org.apache.wss4j.dom.WSConstants;
import org.apache.wss4j.dom.message.WSSecEncryptedKey;
import org.apache.xml.security.keys.KeyInfo;
import org.apache.xml.security.signature.XMLSignature;
import org.apache.xml.security.transforms.Transforms;
import org.w3c.dom.Document;
import org.w3c.dom.Element;

/**
 * The STS client of Apache CXF, told by a policy what to do, as its users tell it: a user name with a password or its
 * digest, a signature over the timestamp, the body and its addressing headers by an X.509 certificate, a symmetric and an asymmetric
 * binding, all of it over TLS. What it gets is judged by Santuario. Told the ready file, the account with a digest and its secret, the client's key and its
 * certificate, those of a stranger, the certificate that is sealed for, and the one that answers are signed by. Or told the
 * ready file, how to log in to a realm of Kerberos, the service, and where tickets are taken: then by those, alone and with a MAC by their key.
 * Or told the ready file, that it is about holders, and keys with certificates of a partner, a holder, a stranger and a holder with a key on
 * a curve: then by assertions that Santuario makes, which write the key out, and a signature by it. Or told the ready file, that it is
 * about sharers, keys with certificates of a partner and of a stranger, and the certificate that is sealed for: then by assertions
 * with a secret that WSS4J seals, and a MAC by it.
 */
public class CxfClient {
    static final String TRUST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512";
    static final String SAML11 = "urn:oasis:names:tc:SAML:1.0:assertion";
    static final String SAML20 = "urn:oasis:names:tc:SAML:2.0:assertion";
    static final String DS = "http://www.w3.org/2000/09/xmldsig#";
    static final String SP = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702";

    static final String POLICY = """
        <wsp:Policy xmlns:wsp="http://www.w3.org/ns/ws-policy" xmlns:sp="%1$s"
            xmlns:wsam="http://www.w3.org/2007/05/addressing/metadata"><wsp:ExactlyOne><wsp:All>
          <wsam:Addressing><wsp:Policy/></wsam:Addressing>
          <sp:TransportBinding><wsp:Policy>
            <sp:TransportToken><wsp:Policy><sp:HttpsToken><wsp:Policy/></sp:HttpsToken></wsp:Policy></sp:TransportToken>
            <sp:AlgorithmSuite><wsp:Policy><sp:Basic256Sha256/></wsp:Policy></sp:AlgorithmSuite>
            <sp:Layout><wsp:Policy><sp:Lax/></wsp:Policy></sp:Layout>
            <sp:IncludeTimestamp/>
          </wsp:Policy></sp:TransportBinding>
          %2$s
        </wsp:All></wsp:ExactlyOne></wsp:Policy>""";
    static final String USERNAME = """
        <sp:SignedSupportingTokens><wsp:Policy>
          <sp:UsernameToken sp:IncludeToken="%s/IncludeToken/AlwaysToRecipient"><wsp:Policy>%s</wsp:Policy></sp:UsernameToken>
        </wsp:Policy></sp:SignedSupportingTokens>""";
    static final String CERTIFICATE = """
        <sp:EndorsingSupportingTokens><wsp:Policy>
          <sp:X509Token sp:IncludeToken="%s/IncludeToken/AlwaysToRecipient">
            <wsp:Policy><sp:WssX509V3Token10/></wsp:Policy>
          </sp:X509Token>
          %s
        </wsp:Policy></sp:EndorsingSupportingTokens>""";
    static final String TICKET = """
        <sp:%2$s><wsp:Policy>
          <sp:KerberosToken sp:IncludeToken="%1$s/IncludeToken/Once"><wsp:Policy>
            %3$s<sp:WssGssKerberosV5ApReqToken11/>
          </wsp:Policy></sp:KerberosToken>
          %4$s
        </wsp:Policy></sp:%2$s>""";
    static final String ISSUED = """
        <sp:EndorsingSupportingTokens><wsp:Policy>
          <sp:IssuedToken sp:IncludeToken="%1$s/IncludeToken/AlwaysToRecipient">
            <sp:RequestSecurityTokenTemplate/><wsp:Policy/>
          </sp:IssuedToken>
          %2$s
        </wsp:Policy></sp:EndorsingSupportingTokens>""";
    static final String NEW = """
        <saml2:Assertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" ID="%1$s" IssueInstant="%2$s" Version="2.0">
        <saml2:Issuer>https://idp.agency.example/saml</saml2:Issuer><saml2:Subject><saml2:NameID>sam@agency.example</saml2:NameID>
        <saml2:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"><saml2:SubjectConfirmationData
        xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="saml2:KeyInfoConfirmationDataType"/></saml2:SubjectConfirmation>
        </saml2:Subject><saml2:Conditions NotOnOrAfter="%3$s"><saml2:AudienceRestriction><saml2:Audience>%4$s</saml2:Audience>
        </saml2:AudienceRestriction></saml2:Conditions><saml2:AuthnStatement AuthnInstant="%2$s"><saml2:AuthnContext>
        <saml2:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:X509</saml2:AuthnContextClassRef></saml2:AuthnContext>
        </saml2:AuthnStatement></saml2:Assertion>""";
    static final String OLD = """
        <saml1:Assertion xmlns:saml1="urn:oasis:names:tc:SAML:1.0:assertion" AssertionID="%1$s" IssueInstant="%2$s"
        Issuer="https://idp.agency.example/saml" MajorVersion="1" MinorVersion="1"><saml1:Conditions NotOnOrAfter="%3$s">
        <saml1:AudienceRestrictionCondition><saml1:Audience>%4$s</saml1:Audience></saml1:AudienceRestrictionCondition>
        </saml1:Conditions><saml1:AuthenticationStatement AuthenticationInstant="%2$s"
        AuthenticationMethod="urn:oasis:names:tc:SAML:1.0:am:password"><saml1:Subject>
        <saml1:NameIdentifier>sam@agency.example</saml1:NameIdentifier><saml1:SubjectConfirmation>
        <saml1:ConfirmationMethod>urn:oasis:names:tc:SAML:1.0:cm:holder-of-key</saml1:ConfirmationMethod>
        </saml1:SubjectConfirmation></saml1:Subject></saml1:AuthenticationStatement></saml1:Assertion>""";
    static final String SYMMETRIC = """
        <wsp:Policy xmlns:wsp="http://www.w3.org/ns/ws-policy" xmlns:sp="%1$s"
            xmlns:wsam="http://www.w3.org/2007/05/addressing/metadata"><wsp:ExactlyOne><wsp:All>
          <wsam:Addressing><wsp:Policy/></wsam:Addressing>
          <sp:SymmetricBinding><wsp:Policy>
            <sp:ProtectionToken><wsp:Policy><sp:X509Token sp:IncludeToken="%1$s/IncludeToken/Never"><wsp:Policy>
              %2$s<sp:RequireThumbprintReference/><sp:WssX509V3Token11/>
            </wsp:Policy></sp:X509Token></wsp:Policy></sp:ProtectionToken>
            <sp:AlgorithmSuite><wsp:Policy>
              <cxf:CustomAlgorithmSuite xmlns:cxf="http://cxf.apache.org/custom/security-policy"/>
            </wsp:Policy></sp:AlgorithmSuite>
            <sp:Layout><wsp:Policy><sp:Lax/></wsp:Policy></sp:Layout>
            <sp:IncludeTimestamp/>%3$s<sp:OnlySignEntireHeadersAndBody/>
          </wsp:Policy></sp:SymmetricBinding>
          <sp:SignedSupportingTokens><wsp:Policy>
            <sp:UsernameToken sp:IncludeToken="%1$s/IncludeToken/AlwaysToRecipient"><wsp:Policy>
              <sp:WssUsernameToken11/>
            </wsp:Policy></sp:UsernameToken>
          </wsp:Policy></sp:SignedSupportingTokens>
          <sp:Wss11><wsp:Policy>
            <sp:MustSupportRefKeyIdentifier/><sp:MustSupportRefIssuerSerial/><sp:MustSupportRefThumbprint/>
            <sp:MustSupportRefEncryptedKey/>%4$s
          </wsp:Policy></sp:Wss11>
          <sp:SignedParts><sp:Body/>
            <sp:Header Name="To" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="From" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="FaultTo" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="ReplyTo" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="MessageID" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="RelatesTo" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="Action" Namespace="http://www.w3.org/2005/08/addressing"/>
          </sp:SignedParts>
          <sp:EncryptedParts><sp:Body/></sp:EncryptedParts>
        </wsp:All></wsp:ExactlyOne></wsp:Policy>""";
    static final String ASYMMETRIC = """
        <wsp:Policy xmlns:wsp="http://www.w3.org/ns/ws-policy" xmlns:sp="%1$s"
            xmlns:wsam="http://www.w3.org/2007/05/addressing/metadata"><wsp:ExactlyOne><wsp:All>
          <wsam:Addressing><wsp:Policy/></wsam:Addressing>
          <sp:AsymmetricBinding><wsp:Policy>
            <sp:InitiatorToken><wsp:Policy><sp:X509Token sp:IncludeToken="%1$s/IncludeToken/AlwaysToRecipient"><wsp:Policy>
              <sp:WssX509V3Token10/>
            </wsp:Policy></sp:X509Token></wsp:Policy></sp:InitiatorToken>
            <sp:RecipientToken><wsp:Policy><sp:X509Token sp:IncludeToken="%1$s/IncludeToken/Never"><wsp:Policy>
              <sp:RequireIssuerSerialReference/><sp:WssX509V3Token10/>
            </wsp:Policy></sp:X509Token></wsp:Policy></sp:RecipientToken>
            <sp:AlgorithmSuite><wsp:Policy>%2$s</wsp:Policy></sp:AlgorithmSuite>
            <sp:Layout><wsp:Policy><sp:Lax/></wsp:Policy></sp:Layout>
            <sp:IncludeTimestamp/>%3$s<sp:OnlySignEntireHeadersAndBody/>
          </wsp:Policy></sp:AsymmetricBinding>
          <sp:Wss11><wsp:Policy>
            <sp:MustSupportRefKeyIdentifier/><sp:MustSupportRefIssuerSerial/><sp:MustSupportRefThumbprint/>%4$s
          </wsp:Policy></sp:Wss11>
          %5$s
        </wsp:All></wsp:ExactlyOne></wsp:Policy>""";
    static final String SIGNED_PARTS = """
          <sp:SignedParts><sp:Body/>
            <sp:Header Name="To" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="From" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="FaultTo" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="ReplyTo" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="MessageID" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="RelatesTo" Namespace="http://www.w3.org/2005/08/addressing"/>
            <sp:Header Name="Action" Namespace="http://www.w3.org/2005/08/addressing"/>
          </sp:SignedParts>""";
    static final String SOME_PARTS = """
        <sp:SignedParts><sp:Body/><sp:Header Name="To" Namespace="http://www.w3.org/2005/08/addressing"/></sp:SignedParts>""";

    /** The one token that it has: its own cache would have OpenSAML look into it. */
    record Holds(SecurityToken token) implements STSTokenCacher {
        @Override
        public SecurityToken retrieveToken(Message message, boolean retrieveTokenFromEndpoint) {
            return token;
        }

        @Override
        public SecurityToken retrieveToken(Message message, Element delegationToken, String cacheKey) {
            return null;
        }

        @Override
        public void storeToken(Message message, SecurityToken securityToken, boolean storeTokenInEndpoint) {
        }

        @Override
        public void storeToken(Message message, Element delegationToken, String secTokenId, String cacheKey) {
        }

        @Override
        public void removeToken(Message message, SecurityToken securityToken) {
        }
    }

    static final String SEALS_FIRST = "<sp:EncryptBeforeSigning/>";

    static final String LISTED = "https://localhost:[0-9]+";

    static String ready;
    static X509Certificate tokenSigning;
    static Bus bus;

    static String fact(String name) {
        Matcher found = Pattern.compile("\"" + name + "\": *\"([^\"]*)\"").matcher(ready);
        check(found.find(), "no " + name);
        return found.group(1);
    }

    static void check(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static void ok(String name) {
        System.out.println("ok " + name);
    }

    static Element element(String text) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        return factory.newDocumentBuilder().parse(new ByteArrayInputStream(text.getBytes("UTF-8"))).getDocumentElement();
    }

    static X509Certificate certificate(String file) throws Exception {
        try (InputStream in = Files.newInputStream(Path.of(file))) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
        }
    }

    static PrivateKey key(String file) throws Exception {
        return key(file, "RSA");
    }

    static PrivateKey key(String file, String kind) throws Exception {
        String text = Files.readString(Path.of(file)).replaceAll("-----[^-]*-----|\\s", "");
        return KeyFactory.getInstance(kind).generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text)));
    }

    static KeyStore store() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        return store;
    }

    static TLSClientParameters tls() throws Exception {
        KeyStore anchors = store();
        anchors.setCertificateEntry("ca", certificate(fact("ca")));
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(anchors);
        TLSClientParameters tls = new TLSClientParameters();
        tls.setTrustManagers(trust.getTrustManagers());
        return tls;
    }

    static String address() {
        return "https://localhost:" + fact("address").replaceAll(".*:", "");
    }

    /** The description that the service publishes: it does not know yet that it listens elsewhere now. */
    static String published() throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, tls().getTrustManagers(), null);
        HttpsURLConnection connection = (HttpsURLConnection) new URI(address() + "/wsdl").toURL().openConnection();
        connection.setSSLSocketFactory(context.getSocketFactory());
        try (InputStream in = connection.getInputStream()) {
            return new String(in.readAllBytes(), "UTF-8");
        }
    }

    /** A file with what it would publish if it knew. */
    static String described() throws Exception {
        Path file = Files.createTempFile("chancery", ".wsdl");
        file.toFile().deleteOnExit();
        return Files.writeString(file, published().replaceAll(LISTED, address())).toUri().toString();
    }

    /** The same client, told where it listens and where to ask for the description by WS-MetadataExchange. */
    static STSClient exchanged(String soap, String path, STSClient told) throws Exception {
        return exchanged(soap, path, told, """
            <m:Metadata xmlns:m="http://schemas.xmlsoap.org/ws/2004/09/mex"><m:MetadataSection><m:MetadataReference>
            <a:Address>%s/wsdl</a:Address></m:MetadataReference></m:MetadataSection></m:Metadata>""".formatted(address()));
    }

    /** With no such place it asks where it listens. */
    static STSClient exchanged(String soap, String path, STSClient told, String place) throws Exception {
        STSClient client = new STSClient(bus);
        if (soap.equals("SOAP 1.2")) {
            client.setSoap12();
        }
        client.setTlsClientParameters(tls());
        client.setTokenType(SAML20);
        client.setKeyType(TRUST + "/Bearer");
        client.setProperties(told.getProperties());
        Matcher listed = Pattern.compile(LISTED).matcher(published());
        check(listed.find(), "nothing is described");
        client.configureViaEPR(VersionTransformer.parseEndpointReference(element("""
            <a:EndpointReference xmlns:a="http://www.w3.org/2005/08/addressing"><a:Address>%s%s</a:Address>
            <a:Metadata>%s</a:Metadata></a:EndpointReference>""".formatted(listed.group(), path, place))), place.isEmpty());
        client.getClient().getEndpoint().getEndpointInfo().setAddress(address() + path);
        return client;
    }

    /** The same client, told nothing of policies and addresses but the port of the description. */
    static STSClient by(String wsdl, String port, STSClient told) throws Exception {
        STSClient client = new STSClient(bus);
        client.setWsdlLocation(wsdl);
        client.setServiceName("{" + TRUST + "/}SecurityTokenService");
        client.setEndpointName("{" + TRUST + "/}" + port);
        client.setTlsClientParameters(tls());
        client.setTokenType(SAML20);
        client.setKeyType(TRUST + "/Bearer");
        client.setProperties(told.getProperties());
        return client;
    }

    /** A client for this policy, which asks for SAML 2.0 bearer tokens. */
    static STSClient client(String policy, Map<String, Object> properties) throws Exception {
        return of("/clients", POLICY.formatted(SP, policy), properties);
    }

    static STSClient of(String path, String policy, Map<String, Object> properties) throws Exception {
        STSClient client = new STSClient(bus);
        client.setLocation(address() + path);
        client.setPolicy(element(policy));
        client.setTlsClientParameters(tls());
        client.setTokenType(SAML20);
        client.setKeyType(TRUST + "/Bearer");
        client.setSoap12();
        client.setProperties(properties);
        return client;
    }

    static STSClient user(String name, String password, String kind) throws Exception {
        Map<String, Object> properties = new HashMap<>();
        properties.put("ws-security.username", name);
        properties.put("ws-security.password", password);
        return client(USERNAME.formatted(SP, kind), properties);
    }

    static STSClient signer(String key, String certificate, String parts, String algorithm) throws Exception {
        KeyStore keys = store();
        keys.setKeyEntry("client", key(key), "secret".toCharArray(), new Certificate[] {certificate(certificate)});
        Merlin crypto = new Merlin();
        crypto.setKeyStore(keys);
        Map<String, Object> properties = new HashMap<>();
        properties.put("ws-security.signature.crypto", (Crypto) crypto);
        properties.put("ws-security.signature.username", "client");
        properties.put("ws-security.callback-handler", (CallbackHandler) callbacks ->
            ((WSPasswordCallback) callbacks[0]).setPassword("secret"));
        if (algorithm != null) {
            properties.put("ws-security.asymmetric.signature.algorithm", algorithm);
        }
        return client(CERTIFICATE.formatted(SP, parts), properties);
    }

    /** As it signs where nobody says how: by RSA with SHA-1. Its suite says how the parts are digested. */
    static STSClient untold(String path, String key, String certificate, String suite) throws Exception {
        STSClient client = signer(key, certificate, SIGNED_PARTS, null);
        client.setLocation(address() + path);
        client.setPolicy(element(POLICY.replace("Basic256Sha256", suite).formatted(SP, CERTIFICATE.formatted(SP, SIGNED_PARTS))));
        return client;
    }

    /**
     * As its symmetric binding has it: a key is sealed for the service, and signs and seals in both directions. Its suites
     * with names digest by SHA-1; this is the one of which its user says what it consists of.
     */
    static STSClient symmetric(String path, String password, String sealedFor, String hmac, int bits, String... more)
        throws Exception {
        KeyStore keys = store();
        keys.setCertificateEntry("service", certificate(sealedFor));
        Merlin crypto = new Merlin();
        crypto.setKeyStore(keys);
        Map<String, Object> properties = new HashMap<>();
        properties.put("ws-security.username", fact("user"));
        properties.put("ws-security.password", password);
        properties.put("ws-security.encryption.crypto", (Crypto) crypto);
        properties.put("ws-security.encryption.username", "service");
        String suite = "ws-security.custom.alg.suite.";
        properties.put(suite + "digest.algorithm", "http://www.w3.org/2001/04/xmlenc#sha256");
        properties.put(suite + "encryption.algorithm", "http://www.w3.org/2009/xmlenc11#aes" + bits + "-gcm");
        properties.put(suite + "asymmetric.key.encryption.algorithm", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p");
        properties.put(suite + "symmetric.signature", hmac);
        properties.put(suite + "encryption.derived.key.length", bits);
        properties.put(suite + "signature.derived.key.length", Math.min(bits, 192));
        properties.put(suite + "minimum.symmetric.key.length", 128);
        properties.put(suite + "maximum.symmetric.key.length", 256);
        return of(path, SYMMETRIC.formatted(SP, more[0], more[1], more[2]), properties);
    }

    /** What a confirmation has in its place for a key. */
    interface Confirmed {
        Element in(Document document) throws Exception;
    }

    /** An assertion for whoever has this key, as Santuario writes it out, signed by a partner. */
    static Element made(String words, PublicKey holder, PrivateKey partner) throws Exception {
        return made(words, document -> {
            KeyInfo confirmed = new KeyInfo(document);
            confirmed.add(holder);
            return confirmed.getElement();
        }, partner);
    }

    /** One for whoever has this secret, as WSS4J seals it and the STS of CXF has it, for a certificate that it names so. */
    static Element sealed(String words, byte[] secret, X509Certificate recipient, int named, PrivateKey partner)
        throws Exception {
        return made(words, document -> {
            Merlin crypto = new Merlin();
            crypto.setKeyStore(store());
            WSSecEncryptedKey key = new WSSecEncryptedKey(document);
            key.setKeyIdentifierType(named);
            key.setUseThisCert(recipient);
            key.setKeyEncAlgo("http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p");
            key.prepare(crypto, new SecretKeySpec(secret, "AES"));
            Element confirmed = new KeyInfo(document).getElement();
            confirmed.appendChild(key.getEncryptedKeyElement());
            // Not every namespace is declared before it is written out, and what is not would not be signed.
            StringWriter text = new StringWriter();
            Transformer writer = TransformerFactory.newInstance().newTransformer();
            writer.setOutputProperty(OutputKeys.OMIT_XML_DECLARATION, "yes");
            writer.transform(new DOMSource(confirmed), new StreamResult(text));
            return (Element) document.importNode(element(text.toString()), true);
        }, partner);
    }

    static Element made(String words, Confirmed holder, PrivateKey partner) throws Exception {
        Instant now = Instant.now().truncatedTo(ChronoUnit.MILLIS);
        String id = "_" + UUID.randomUUID();
        Element assertion = element(words.formatted(id, now, now.plusSeconds(300), address() + "/"));
        Document document = assertion.getOwnerDocument();
        boolean saml20 = SAML20.equals(assertion.getNamespaceURI());
        assertion.setIdAttribute(saml20 ? "ID" : "AssertionID", true);
        String place = saml20 ? "SubjectConfirmationData" : "SubjectConfirmation";
        assertion.getElementsByTagNameNS(assertion.getNamespaceURI(), place).item(0).appendChild(holder.in(document));
        XMLSignature signature = new XMLSignature(document, "", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            Transforms.TRANSFORM_C14N_EXCL_OMIT_COMMENTS);
        assertion.insertBefore(signature.getElement(), saml20
            ? assertion.getElementsByTagNameNS(SAML20, "Subject").item(0) : null);
        Transforms transforms = new Transforms(document);
        transforms.addTransform(Transforms.TRANSFORM_ENVELOPED_SIGNATURE);
        transforms.addTransform(Transforms.TRANSFORM_C14N_EXCL_OMIT_COMMENTS);
        signature.addDocument("#" + id, transforms, "http://www.w3.org/2001/04/xmlenc#sha256");
        signature.sign(partner);
        return assertion;
    }

    /** By that assertion, and a signature by that key. */
    static STSClient holder(Element assertion, PrivateKey key, X509Certificate certificate, String algorithm)
        throws Exception {
        boolean saml20 = SAML20.equals(assertion.getNamespaceURI());
        KeyStore keys = store();
        keys.setKeyEntry("holder", key, "secret".toCharArray(), new Certificate[] {certificate});
        Merlin crypto = new Merlin();
        crypto.setKeyStore(keys);
        SecurityToken token = new SecurityToken(assertion.getAttribute(saml20 ? "ID" : "AssertionID"), assertion, null, null);
        token.setTokenType("http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#" + (saml20 ? "SAMLV2.0" : "SAMLV1.1"));
        // WSS4J finds the key by a certificate, of which nothing is sent.
        token.setX509Certificate(certificate, crypto);
        Map<String, Object> properties = new HashMap<>();
        properties.put("ws-security.token", token);
        properties.put("security.sts.token.cacher.impl", new Holds(token));
        properties.put("ws-security.callback-handler", (CallbackHandler) callbacks ->
            ((WSPasswordCallback) callbacks[0]).setPassword("secret"));
        properties.put("ws-security.asymmetric.signature.algorithm", algorithm);
        return of("/saml", POLICY.formatted(SP, ISSUED.formatted(SP, SIGNED_PARTS)), properties);
    }

    /** By that assertion, and a MAC by that secret, or by one derived from it. */
    static STSClient sharing(Element assertion, byte[] secret, String parts, String derived, String hmac) throws Exception {
        return sharing("/saml", assertion, secret, parts, derived, hmac);
    }

    static STSClient sharing(String path, Element assertion, byte[] secret, String parts, String derived, String hmac)
        throws Exception {
        boolean saml20 = SAML20.equals(assertion.getNamespaceURI());
        SecurityToken token = new SecurityToken(assertion.getAttribute(saml20 ? "ID" : "AssertionID"), assertion, null, null);
        token.setTokenType("http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#" + (saml20 ? "SAMLV2.0" : "SAMLV1.1"));
        token.setSecret(secret);
        Map<String, Object> properties = new HashMap<>();
        properties.put("ws-security.token", token);
        properties.put("security.sts.token.cacher.impl", new Holds(token));
        properties.put("ws-security.symmetric.signature.algorithm", hmac);
        String issued = ISSUED.replace("<wsp:Policy/>", "<wsp:Policy>" + derived + "</wsp:Policy>");
        return of(path, POLICY.formatted(SP, issued.formatted(SP, parts)), properties);
    }

    static void sharers(String[] arguments) throws Exception {
        org.apache.xml.security.Init.init();
        PrivateKey partner = key(arguments[2]);
        PrivateKey stranger = key(arguments[4]);
        X509Certificate other = certificate(arguments[5]);
        X509Certificate us = certificate(arguments[6]);
        String sha256 = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";
        String sha1 = "http://www.w3.org/2000/09/xmldsig#hmac-sha1";
        String to = SOME_PARTS.replace("<sp:Body/>", "");
        String mail = "sam@example.com";
        byte[] secret = new byte[32];
        new SecureRandom().nextBytes(secret);
        byte[] another = new byte[32];
        new SecureRandom().nextBytes(another);
        for (String words : List.of(NEW, OLD)) {
            String version = words.equals(NEW) ? "SAML 2.0" : "SAML 1.1";
            for (int named : new int[] {WSConstants.ISSUER_SERIAL, WSConstants.THUMBPRINT_IDENTIFIER}) {
                Element good = sealed(words, secret, us, named, partner);
                check(good.getElementsByTagNameNS("http://www.w3.org/2001/04/xmlenc#", "EncryptedKey").getLength() == 1, "no key");
                gets("a shared key by a MAC over the body, " + version + " " + named,
                    sharing(good, secret, SIGNED_PARTS, "", sha256), mail);
            }
            Element good = sealed(words, secret, us, WSConstants.ISSUER_SERIAL, partner);
            gets("a shared key by a MAC over wsa:To, " + version, sharing(good, secret, to, "", sha256), mail);
            refused("a MAC by another key, " + version, sharing(good, another, SIGNED_PARTS, "", sha256), "FailedAuthentication");
            refused("a key that is sealed for another, " + version, sharing(
                sealed(words, secret, other, WSConstants.ISSUER_SERIAL, partner), secret, SIGNED_PARTS, "", sha256), "FailedAuthentication");
            refused("a key that a stranger sealed, " + version, sharing(
                sealed(words, secret, us, WSConstants.ISSUER_SERIAL, stranger), secret, SIGNED_PARTS, "", sha256), "FailedAuthentication");
            refused("a MAC by SHA-1, " + version, sharing(good, secret, SIGNED_PARTS, "", sha1), "FailedCheck");
            // As beside a ticket, where a key is derived it digests by SHA-1.
            refused("digests by SHA-1 under a MAC by a derived key, " + version,
                sharing(good, secret, SIGNED_PARTS, "<sp:RequireDerivedKeys/>", sha256), "UnsupportedAlgorithm");
            gets("digests by SHA-1 under a MAC by a derived key, where they may, " + version,
                sharing("/saml-by-sha1", good, secret, SIGNED_PARTS, "<sp:RequireDerivedKeys/>", sha256), mail);
            gets("all by SHA-1, where it may, " + version,
                sharing("/saml-by-sha1", good, secret, SIGNED_PARTS, "<sp:RequireDerivedKeys/>", sha1), mail);
        }
    }

    static void holders(String[] arguments) throws Exception {
        org.apache.xml.security.Init.init();
        PrivateKey partner = key(arguments[2]);
        PrivateKey holder = key(arguments[4]);
        X509Certificate certificate = certificate(arguments[5]);
        PrivateKey stranger = key(arguments[6]);
        PrivateKey onCurve = key(arguments[8], "EC");
        X509Certificate ofCurve = certificate(arguments[9]);
        String rsa = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
        String ecdsa = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
        String mail = "sam@example.com";
        for (String words : List.of(NEW, OLD)) {
            String version = words.equals(NEW) ? "SAML 2.0" : "SAML 1.1";
            Element good = made(words, certificate.getPublicKey(), partner);
            check(good.getElementsByTagNameNS(DS, "RSAKeyValue").getLength() == 1, "no key is written out");
            gets("an RSA key that an assertion writes out, " + version, holder(good, holder, certificate, rsa), mail);
            gets("a key on a curve that an assertion writes out, " + version,
                holder(made(words, ofCurve.getPublicKey(), partner), onCurve, ofCurve, ecdsa), mail);
            refused("a stranger's signature, " + version, holder(good, stranger, certificate(arguments[7]), rsa),
                "FailedAuthentication");
            refused("an assertion that a stranger made, " + version,
                holder(made(words, certificate.getPublicKey(), stranger), holder, certificate, rsa), "FailedAuthentication");
        }
    }

    /** By a ticket of whoever is logged in so, as a supporting token of that kind. */
    static STSClient ticket(String path, String[] arguments, String kind, String derived, String parts, String hmac)
        throws Exception {
        Map<String, Object> properties = new HashMap<>();
        properties.put("ws-security.kerberos.jaas.context", arguments[1]);
        properties.put("ws-security.kerberos.spn", arguments[2]);
        properties.put("ws-security.kerberos.is.username.in.servicename.form", "true");
        properties.put("ws-security.symmetric.signature.algorithm", hmac);
        return of(path, POLICY.formatted(SP, TICKET.formatted(SP, kind, derived, parts)), properties);
    }

    static void tickets(String[] arguments) throws Exception {
        String strict = arguments[3];
        String lenient = arguments[4];
        String sha256 = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";
        String sha1 = "http://www.w3.org/2000/09/xmldsig#hmac-sha1";
        String plain = "SignedSupportingTokens";
        String endorsing = "EndorsingSupportingTokens";
        String to = SOME_PARTS.replace("<sp:Body/>", "");
        String mail = "mixed@example.com";
        gets("a ticket that is not bound, where it may", ticket(lenient, arguments, plain, "", "", sha256), mail);
        refused("a ticket that is not bound", ticket(strict, arguments, plain, "", "", sha256), "FailedAuthentication");
        gets("a MAC over wsa:To", ticket(strict, arguments, endorsing, "", to, sha256), mail);
        gets("a MAC over the body", ticket(strict, arguments, endorsing, "", SIGNED_PARTS, sha256), mail);
        // Whatever the suite says: where a key is derived, it digests by SHA-1 here.
        refused("digests by SHA-1 under a MAC by a derived key",
            ticket(strict, arguments, endorsing, "<sp:RequireDerivedKeys/>", SIGNED_PARTS, sha256), "UnsupportedAlgorithm");
        gets("digests by SHA-1 under a MAC by a derived key, where they may",
            ticket(lenient, arguments, endorsing, "<sp:RequireDerivedKeys/>", SIGNED_PARTS, sha256), mail);
        refused("a MAC over the timestamp alone", ticket(strict, arguments, endorsing, "", "", sha256), "InvalidSecurity");
        gets("a MAC by SHA-1, where it may", ticket(lenient, arguments, endorsing, "", to, sha1), mail);
        refused("a MAC by SHA-1", ticket(strict, arguments, endorsing, "", to, sha1), "FailedCheck");
    }

    /**
     * As its asymmetric binding has it: its key signs the request, and ours, whose certificate it has, the answer. Of its
     * suites this is the one it has as it comes, but for how its key signs, which by itself is with SHA-1.
     */
    static STSClient asymmetric(String path, String key, String certificate, String trusted, String algorithm,
        String confirms) throws Exception {
        Map<String, Object> properties = certified(key, certificate, trusted, trusted);
        if (algorithm != null) {
            properties.put("ws-security.asymmetric.signature.algorithm", algorithm);
        }
        return of(path, ASYMMETRIC.formatted(SP, "<sp:Basic256Sha256/>", "", confirms, SIGNED_PARTS), properties);
    }

    /** The same with a certificate that it names and does not send. */
    static STSClient naming(String key, String certificate, String trusted, String by, String covered) throws Exception {
        STSClient client = asymmetric("/answer-signed", key, certificate, trusted,
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "");
        String policy = ASYMMETRIC.replaceFirst("AlwaysToRecipient", "Never").replaceFirst("<sp:WssX509V3", by + "$0")
            .replace("<sp:OnlySign", covered + "<sp:OnlySign");
        client.setPolicy(element(policy.formatted(SP, "<sp:Basic256Sha256/>", "", "", SIGNED_PARTS)));
        return client;
    }

    /** The same, sealed in both directions, by AES-GCM: so it is told what its suite consists of. */
    static STSClient sealing(String key, String certificate, String sealedFor, String trusted, int bits, String seals,
        String confirms) throws Exception {
        Map<String, Object> properties = certified(key, certificate, sealedFor, trusted);
        properties.put("ws-security.asymmetric.signature.algorithm", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
        String gcm = custom(properties, "aes" + bits + "-gcm");
        String parts = SIGNED_PARTS + "<sp:EncryptedParts><sp:Body/></sp:EncryptedParts>";
        return of("/answer-sealed", ASYMMETRIC.formatted(SP, gcm, seals, confirms, parts), properties);
    }

    /**
     * Sealed first and signed then, by AES-CBC where that is what its suite does. Answers are signed first and sealed then, by
     * AES-GCM, or not sealed at all: so it takes them by another policy, as where a description says one of each message.
     */
    static STSClient sealedFirst(String path, String key, String certificate, String sealedFor, String trusted,
        String cipher, String seals, String confirms) throws Exception {
        Map<String, Object> properties = certified(key, certificate, sealedFor, trusted);
        properties.put("ws-security.asymmetric.signature.algorithm", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
        String suite = custom(properties, cipher);
        String sealed = "<sp:EncryptedParts><sp:Body/></sp:EncryptedParts>";
        String request =
            ASYMMETRIC.formatted(SP, suite, SEALS_FIRST + seals, confirms, SIGNED_PARTS + sealed);
        String answer =
            ASYMMETRIC.formatted(SP, suite, seals, confirms, SIGNED_PARTS + (cipher.contains("gcm") ? sealed : ""));
        return answeredBy(answer, of(path, request, properties));
    }

    /** The same for a symmetric binding, in which the user name token is sealed, too: that, and the MAC, after it is made. */
    static STSClient symmetricFirst(String path, String password, String sealedFor, String hmac, int bits, String derived,
        String seals, String confirms) throws Exception {
        STSClient client = symmetric(path, password, sealedFor, hmac, bits, derived, SEALS_FIRST + seals, confirms);
        String request = SYMMETRIC.replace("SignedSupporting", "SignedEncryptedSupporting");
        client.setPolicy(element(request.formatted(SP, derived, SEALS_FIRST + seals, confirms)));
        return answeredBy(request.formatted(SP, derived, seals, confirms), client);
    }

    /** The same client, which takes answers by another policy. */
    static STSClient answeredBy(String policy, STSClient client) throws Exception {
        Policy answers = bus.getExtension(PolicyBuilder.class).getPolicy(element(policy));
        client.getInInterceptors().add(new AbstractPhaseInterceptor<Message>(Phase.RECEIVE) {
            {
                addBefore(PolicyConstants.POLICY_IN_INTERCEPTOR_ID);
            }

            @Override
            public void handleMessage(Message message) {
                message.put(PolicyConstants.POLICY_OVERRIDE, answers);
            }
        });
        return client;
    }

    /** One that it has as it comes, or the one of which its user says what it consists of. */
    static String custom(Map<String, Object> properties, String cipher) {
        if (!cipher.contains("gcm")) {
            return "<sp:%s/>".formatted(cipher);
        }
        String suite = "ws-security.custom.alg.suite.";
        properties.put(suite + "digest.algorithm", "http://www.w3.org/2001/04/xmlenc#sha256");
        properties.put(suite + "encryption.algorithm", "http://www.w3.org/2009/xmlenc11#" + cipher);
        properties.put(suite + "asymmetric.key.encryption.algorithm", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p");
        properties.put(suite + "asymmetric.signature", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
        properties.put(suite + "minimum.asymmetric.key.length", 2048);
        properties.put(suite + "maximum.asymmetric.key.length", 4096);
        properties.put(suite + "minimum.symmetric.key.length", 128);
        properties.put(suite + "maximum.symmetric.key.length", 256);
        return "<cxf:CustomAlgorithmSuite xmlns:cxf='http://cxf.apache.org/custom/security-policy'/>";
    }

    /** Its own key, whom it seals for, and whose signatures it believes. */
    static Map<String, Object> certified(String key, String certificate, String sealedFor, String trusted)
        throws Exception {
        KeyStore keys = store();
        keys.setKeyEntry("client", key(key), "secret".toCharArray(), new Certificate[] {certificate(certificate)});
        Merlin own = new Merlin();
        own.setKeyStore(keys);
        KeyStore services = store();
        services.setCertificateEntry("service", certificate(sealedFor));
        services.setCertificateEntry("signs", certificate(trusted));
        Merlin service = new Merlin();
        service.setKeyStore(services);
        Map<String, Object> properties = new HashMap<>();
        properties.put("ws-security.signature.crypto", (Crypto) own);
        properties.put("ws-security.signature.username", "client");
        properties.put("ws-security.encryption.crypto", (Crypto) service);
        properties.put("ws-security.encryption.username", "service");
        properties.put("ws-security.callback-handler", (CallbackHandler) callbacks ->
            ((WSPasswordCallback) callbacks[0]).setPassword("secret"));
        return properties;
    }

    static STSClient at(String path, STSClient client) {
        client.setLocation(client.getLocation().replaceAll("/[a-z-]*$", path));
        return client;
    }

    static boolean verifies(Element assertion) throws Exception {
        assertion.setIdAttribute(assertion.hasAttribute("ID") ? "ID" : "AssertionID", true);
        Element signature = (Element) assertion.getElementsByTagNameNS(DS, "Signature").item(0);
        return new XMLSignature(signature, "", true).checkSignatureValue(tokenSigning);
    }

    /** Asks for a token, which must be for this account, and which Santuario accepts until it is altered. */
    static void gets(String name, STSClient client, String mail) throws Exception {
        SecurityToken token = client.requestSecurityToken("https://rp.example.com/");
        Element assertion = token.getToken();
        boolean saml20 = SAML20.equals(assertion.getNamespaceURI());
        check(token.getId().equals(assertion.getAttribute(saml20 ? "ID" : "AssertionID")), token.getId());
        check(token.getExpires() != null, "no lifetime");
        check(assertion.getTextContent().contains(mail), assertion.getTextContent());
        check(verifies(assertion), "Santuario refuses it");
        String subject = saml20 ? "NameID" : "NameIdentifier";
        assertion.getElementsByTagNameNS(assertion.getNamespaceURI(), subject).item(0).setTextContent("mallory");
        check(!verifies(assertion), "Santuario accepts it altered");
        ok("CXF gets a token by " + name);
    }

    static void refused(String name, STSClient client, String code) throws Exception {
        try {
            client.requestSecurityToken("https://rp.example.com/");
        } catch (SoapFault fault) {
            List<QName> codes = fault.getSubCodes();
            check(codes != null && codes.get(0).getLocalPart().equals(code), name + ": " + codes);
            ok("CXF with " + name + " is refused");
            return;
        }
        throw new AssertionError(name + " got a token");
    }

    /** Asks, is answered, and does not take the answer: so it looks at what these tests say that it does. */
    static void fails(String name, STSClient client) throws Exception {
        try {
            client.requestSecurityToken("https://rp.example.com/");
        } catch (Exception failure) {
            String why = String.valueOf(failure.getMessage());
            check(!why.contains("wsse:") && !(failure instanceof SoapFault fault && fault.getSubCodes() != null), why);
            ok("CXF refuses an answer with " + name + " (" + why + ")");
            return;
        }
        throw new AssertionError(name + " was taken");
    }

    public static void main(String[] arguments) throws Exception {
        ready = Files.readString(Path.of(arguments[0]));
        tokenSigning = certificate(fact("token_signing"));
        bus = BusFactory.getDefaultBus();
        // Whoever asks for a description uses a conduit of its own.
        TLSClientParameters trusting = tls();
        bus.setExtension((name, address, conduit) -> conduit.setTlsClientParameters(trusting), HTTPConduitConfigurer.class);
        if (arguments[1].equals("holders")) {
            holders(arguments);
            return;
        }
        if (arguments[1].equals("sharers")) {
            sharers(arguments);
            return;
        }
        if (arguments.length == 5) {
            tickets(arguments);
            return;
        }
        String password = Files.readString(Path.of(fact("password_file"))).strip();
        String text = "<sp:WssUsernameToken11/>";

        gets("a password", user(fact("user"), password, text), "alice@example.com");
        STSClient old = user(fact("user"), password, text);
        old.setSoap11();
        old.setTokenType(SAML11);
        gets("a password in SOAP 1.1, SAML 1.1", old, "alice@example.com");
        refused("another password", user(fact("user"), "another", text), "FailedAuthentication");

        String hmac = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";
        String derives = "<sp:RequireDerivedKeys/>";
        String seals = "<sp:EncryptSignature/>";
        String confirms = "<sp:RequireSignatureConfirmation/>";
        for (int bits : new int[] {256, 128}) {
            for (String derived : List.of("", derives)) {
                for (String sealed : List.of("", seals)) {
                    String name = "a symmetric binding of " + bits + " bits " + derived + sealed;
                    STSClient client = symmetric("/symmetric", password, arguments[7], hmac, bits, derived, sealed, "");
                    gets(name, client, "alice@example.com");
                }
            }
        }
        for (String derived : List.of("", derives)) {
            for (String sealed : List.of("", seals)) {
                for (String path : List.of("/symmetric", "/confirming")) {
                    String confirmed = path.equals("/symmetric") ? "" : confirms;
                    String name = "a symmetric binding that seals first " + derived + sealed + confirmed;
                    STSClient client =
                        symmetricFirst(path, password, arguments[7], hmac, 256, derived, sealed, confirmed);
                    gets(name, client, "alice@example.com");
                }
            }
        }
        refused("another password in a symmetric binding that seals first",
            symmetricFirst("/symmetric", "another", arguments[7], hmac, 256, derives, seals, ""), "FailedAuthentication");
        STSClient first = symmetric("/symmetric", password, arguments[7], hmac, 256, derives, seals, "");
        first.setSoap11();
        gets("a symmetric binding in SOAP 1.1", first, "alice@example.com");
        for (String sealed : List.of("", seals)) {
            STSClient client = symmetric("/confirming", password, arguments[7], hmac, 256, derives, sealed, confirms);
            gets("a symmetric binding that is confirmed" + sealed, client, "alice@example.com");
        }
        String sha1 = "http://www.w3.org/2000/09/xmldsig#hmac-sha1";
        gets("a symmetric binding by HMAC-SHA1 where that is let pass",
            symmetric("/confirming", password, arguments[7], sha1, 256, "", seals, confirms), "alice@example.com");
        refused("HMAC-SHA1", symmetric("/symmetric", password, arguments[7], sha1, 256, derives, seals, ""), "FailedCheck");
        refused("another password under a MAC",
            symmetric("/symmetric", "another", arguments[7], hmac, 256, derives, seals, ""), "FailedAuthentication");
        refused("a key sealed for somebody else",
            symmetric("/symmetric", password, arguments[4], hmac, 256, derives, seals, ""), "FailedCheck");

        String digest = "<sp:HashPassword/>";
        gets("a password digest", user(arguments[1], arguments[2], digest), arguments[1] + "@example.com");
        refused("the digest of another secret", user(arguments[1], "another", digest), "FailedAuthentication");

        String sha256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
        for (String algorithm : List.of(sha256, sha256.replace("256", "512"))) {
            String name = "a signature, " + algorithm.replaceAll(".*#", "");
            gets(name, signer(arguments[3], arguments[4], SIGNED_PARTS, algorithm), "machine@example.com");
        }

        String[] ways = {"", "<sp:RequireIssuerSerialReference/>", "<sp:RequireKeyIdentifierReference/>",
            "<sp:RequireThumbprintReference/>"};
        for (String by : ways) {
            for (String covered : List.of("", "<sp:ProtectTokens/>")) {
                String name = "a certificate that is named " + by + covered;
                gets(name, naming(arguments[3], arguments[4], arguments[8], by, covered), "machine@example.com");
                refused("a stranger's, and " + name, naming(arguments[5], arguments[6], arguments[8], by, covered),
                    "FailedAuthentication");
            }
        }

        String wsdl = described();
        STSClient told = user(fact("user"), password, text);
        gets("a password, by the description", by(wsdl, "UserNameWSTrustBinding_IWSTrust13Async1", told), "alice@example.com");
        STSClient untold = user(fact("user"), password, text);
        untold.setKeyType(null);
        refused("the proof key that it asks for where it is told of no key", untold, "RequestFailed");
        for (String query : List.of("?wsdl", "?WSDL")) {
            STSClient fetching = by(address() + "/clients" + query, "UserNameWSTrustBinding_IWSTrust13Async1", told);
            gets("a password, by the description at the endpoint, " + query, fetching, "alice@example.com");
        }
        for (String soap : List.of("SOAP 1.1", "SOAP 1.2")) {
            STSClient asking = exchanged(soap, "/clients", told);
            gets("a password, by the description asked for in " + soap, asking, "alice@example.com");
        }
        String certificate = "CertificateWSTrustBinding_IWSTrust13Async";
        told = signer(arguments[3], arguments[4], SIGNED_PARTS, sha256);
        gets("a signature, by the description", by(wsdl, certificate, told), "machine@example.com");
        told = signer(arguments[3], arguments[4], SIGNED_PARTS, null);
        gets("its own choice of SHA-1, by the description, where it may", by(wsdl, certificate, told), "machine@example.com");
        told = symmetric("/symmetric", password, arguments[7], hmac, 256, "", "", "");
        gets("a symmetric binding, by the description", by(wsdl, "SymmetricWSTrustBinding_IWSTrust13Async", told),
            "alice@example.com");
        String both = "AsymmetricWSTrustBinding_IWSTrust13Async";
        told = asymmetric("/answer-signed", arguments[3], arguments[4], arguments[8], sha256, "");
        gets("an asymmetric binding, by the description", by(wsdl, both, told), "machine@example.com");
        gets("an asymmetric binding that is confirmed, by the description", by(wsdl, both + "1", told), "machine@example.com");
        gets("an asymmetric binding, by the description asked for in SOAP 1.2",
            exchanged("SOAP 1.2", "/answer-signed", told), "machine@example.com");
        for (String soap : List.of("SOAP 1.1", "SOAP 1.2")) {
            gets("an asymmetric binding, by the description asked for there in " + soap,
                exchanged(soap, "/answer-signed", told, ""), "machine@example.com");
        }
        told = asymmetric("/answer-signed", arguments[3], arguments[4], arguments[7], sha256, "");
        fails("a signed answer where it trusts another key, by the description", by(wsdl, both, told));
        told = sealing(arguments[3], arguments[4], arguments[7], arguments[8], 256, "", "");
        gets("an asymmetric binding that seals, by the description", by(wsdl, both + "2", told), "machine@example.com");
        told = signer(arguments[5], arguments[6], SIGNED_PARTS, sha256);
        refused("a stranger's certificate, by the description", by(wsdl, certificate, told), "FailedAuthentication");
        for (String soap : List.of("SOAP 1.1", "SOAP 1.2")) {
            for (String path : List.of("/answer-signed", "/answer-confirmed")) {
                String confirmed = path.equals("/answer-signed") ? "" : confirms;
                STSClient client = asymmetric(path, arguments[3], arguments[4], arguments[8], sha256, confirmed);
                if (soap.equals("SOAP 1.1")) {
                    client.setSoap11();
                }
                gets("an asymmetric binding in " + soap + confirmed, client, "machine@example.com");
            }
        }
        for (int bits : new int[] {256, 128}) {
            for (String sealed : List.of("", seals)) {
                String name = "an asymmetric binding that seals, " + bits + " bits " + sealed;
                STSClient client =
                    sealing(arguments[3], arguments[4], arguments[7], arguments[8], bits, sealed, confirms);
                gets(name, client, "machine@example.com");
            }
        }
        for (String cipher : List.of("aes256-gcm", "aes128-gcm")) {
            STSClient client =
                sealedFirst("/answer-sealed", arguments[3], arguments[4], arguments[7], arguments[8], cipher, "", confirms);
            gets("an asymmetric binding that seals first, " + cipher, client, "machine@example.com");
            client =
                sealedFirst("/answer-sealed", arguments[3], arguments[4], arguments[7], arguments[8], cipher, seals, confirms);
            gets("an asymmetric binding that seals first, and its signature then, " + cipher, client, "machine@example.com");
        }
        refused("a stranger's asymmetric binding that seals first, and its signature then",
            sealedFirst("/answer-signed", arguments[5], arguments[6], arguments[7], arguments[8], "aes256-gcm", seals, ""),
            "FailedAuthentication");
        refused("a signature that is sealed by CBC",
            sealedFirst("/chained", arguments[3], arguments[4], arguments[7], arguments[8], "Basic256Sha256", seals, ""),
            "UnsupportedAlgorithm");
        for (String suite : List.of("Basic256Sha256", "Basic128Sha256")) {
            STSClient client =
                sealedFirst("/chained", arguments[3], arguments[4], arguments[7], arguments[8], suite, "", confirms);
            gets("an asymmetric binding that seals first, by CBC: " + suite, client, "machine@example.com");
            refused("CBC where it is not taken: " + suite,
                sealedFirst("/answer-signed", arguments[3], arguments[4], arguments[7], arguments[8], suite, "", ""),
                "FailedCheck");
        }
        refused("a stranger's asymmetric binding that seals first",
            sealedFirst("/chained", arguments[5], arguments[6], arguments[7], arguments[8], "Basic256Sha256", "", confirms),
            "FailedAuthentication");
        fails("nothing sealed where it wants that", at("/answer-signed",
            sealing(arguments[3], arguments[4], arguments[7], arguments[8], 256, "", "")));
        fails("a signed answer where it trusts another key",
            asymmetric("/answer-signed", arguments[3], arguments[4], arguments[7], sha256, ""));
        fails("no signature in the answer", asymmetric("/clients", arguments[3], arguments[4], arguments[8], sha256, ""));
        fails("no confirmation", asymmetric("/answer-signed", arguments[3], arguments[4], arguments[8], sha256, confirms));
        refused("a stranger's asymmetric binding",
            asymmetric("/answer-signed", arguments[5], arguments[6], arguments[8], sha256, ""), "FailedAuthentication");
        refused("an asymmetric binding and its own choice of SHA-1",
            asymmetric("/answer-signed", arguments[3], arguments[4], arguments[8], null, ""), "UnsupportedAlgorithm");

        refused("a stranger's certificate", signer(arguments[5], arguments[6], SIGNED_PARTS, sha256), "FailedAuthentication");
        refused("another key", signer(arguments[5], arguments[4], SIGNED_PARTS, sha256), "FailedAuthentication");
        refused("its own choice of SHA-1", signer(arguments[3], arguments[4], SIGNED_PARTS, null), "UnsupportedAlgorithm");
        String sha1Suite = "Basic256";
        String sha256Suite = "Basic256Sha256";
        gets("its own choice of SHA-1, where it may", untold("/by-sha1", arguments[3], arguments[4], sha256Suite),
            "machine@example.com");
        gets("a suite that digests by SHA-1 besides, where it may",
            untold("/all-by-sha1", arguments[3], arguments[4], sha1Suite), "machine@example.com");
        refused("a suite that digests by SHA-1, where signatures alone may",
            untold("/by-sha1", arguments[3], arguments[4], sha1Suite), "UnsupportedAlgorithm");
        refused("a stranger's certificate and SHA-1", untold("/all-by-sha1", arguments[5], arguments[6], sha1Suite),
            "FailedAuthentication");
        refused("a signature of the timestamp alone", signer(arguments[3], arguments[4], "", sha256), "InvalidSecurity");
        refused("a signature of the body and of wsa:To alone",
            signer(arguments[3], arguments[4], SOME_PARTS, sha256), "InvalidSecurity");
    }
}
