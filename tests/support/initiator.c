/* A client of GSS-API, for tests: the first token for a service, in hexadecimal digits on a line; then it reads the answer
 * to it from a line, and says whether that completes what it began. MIT Kerberos is what most clients on Linux use. With
 * "key" the key that it shares with the service is on a second line; with "ap-req" there is no GSS-API, and that, too. With
 * "times" it begins as often, a line each time, and reads nothing.
 *
 *   initiator SERVICE@HOST|PRINCIPAL [bind TEXT|hex:DIGITS] [raw] [one-way] [delegate] [key] [times NUMBER]
 *   initiator PRINCIPAL ap-req [sub-session] [checksum]
 */
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gss_OID_desc spnego = {6, "\x2b\x06\x01\x05\x05\x02"};
static gss_OID_desc kerberos = {9, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"};

static void fail(const char *what, OM_uint32 major, OM_uint32 minor)
{
    OM_uint32 ignored, more = 0;
    gss_buffer_desc text;
    gss_display_status(&ignored, minor, GSS_C_MECH_CODE, &kerberos, &more, &text);
    fprintf(stderr, "%s: %x: %.*s\n", what, major, (int)text.length, (char *)text.value);
    exit(1);
}

static void hexadecimal(const void *octets, size_t length)
{
    for (size_t i = 0; i < length; i++) printf("%02x", ((const unsigned char *)octets)[i]);
    printf("\n");
}

/* An AP-REQ as a protocol makes it that knows nothing of GSS-API. */
static int alone(int argc, char **argv)
{
    krb5_context context;
    krb5_ccache cache;
    krb5_creds wanted = {0}, *found;
    krb5_auth_context conversation = NULL;
    krb5_keyblock *key = NULL;
    krb5_data request, other = {0, 9, "something"}, *covered = NULL;
    krb5_flags options = 0;

    for (int i = 3; i < argc; i++) {
        if (!strcmp(argv[i], "sub-session")) options |= AP_OPTS_USE_SUBKEY;
        else if (!strcmp(argv[i], "checksum")) covered = &other;
    }
    if (krb5_init_context(&context) || krb5_cc_default(context, &cache) ||
        krb5_cc_get_principal(context, cache, &wanted.client) || krb5_parse_name(context, argv[1], &wanted.server) ||
        krb5_get_credentials(context, 0, cache, &wanted, &found) ||
        krb5_mk_req_extended(context, &conversation, options, covered, found, &request) ||
        krb5_auth_con_getsendsubkey(context, conversation, &key))
        exit(1);
    if (!key) key = &found->keyblock;
    hexadecimal(request.data, request.length);
    hexadecimal(key->contents, key->length);
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    OM_uint32 major, minor, flags = GSS_C_MUTUAL_FLAG;
    gss_ctx_id_t context = GSS_C_NO_CONTEXT;
    gss_name_t name;
    gss_OID mechanism = &spnego;
    struct gss_channel_bindings_struct bound = {0};
    gss_channel_bindings_t bindings = GSS_C_NO_CHANNEL_BINDINGS;
    gss_buffer_desc service = {strlen(argv[1]), argv[1]}, token = {0, NULL};
    static char line[300000];
    static unsigned char answer[150000];
    int keyed = 0, times = 0;

    if (argc > 2 && !strcmp(argv[2], "ap-req")) return alone(argc, argv);

    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "bind")) {
            bound.application_data.value = argv[++i];
            bound.application_data.length = strlen(argv[i]);
            /* A digest is no text. */
            if (!strncmp(argv[i], "hex:", 4)) {
                size_t length = 0;
                for (char *digit = argv[i] + 4; digit[0] && digit[1]; digit += 2)
                    sscanf(digit, "%2hhx", (unsigned char *)argv[i] + length++);
                bound.application_data.length = length;
            }
            bindings = &bound;
        } else if (!strcmp(argv[i], "raw")) {
            mechanism = &kerberos;
        } else if (!strcmp(argv[i], "one-way")) {
            flags = 0;
        } else if (!strcmp(argv[i], "key")) {
            keyed = 1;
        } else if (!strcmp(argv[i], "times")) {
            times = atoi(argv[++i]);
        } else if (!strcmp(argv[i], "delegate")) {
            flags |= GSS_C_DELEG_FLAG;
        }
    }
    major = gss_import_name(&minor, &service, strchr(argv[1], '/') ? (gss_OID)GSS_KRB5_NT_PRINCIPAL_NAME : GSS_C_NT_HOSTBASED_SERVICE, &name);
    if (GSS_ERROR(major)) fail("name", major, minor);
    for (int i = 0; i < times; i++) {
        major = gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &context, name, mechanism, flags, 0, bindings, GSS_C_NO_BUFFER, NULL, &token, NULL, NULL);
        if (GSS_ERROR(major)) fail("begin", major, minor);
        hexadecimal(token.value, token.length);
        gss_release_buffer(&minor, &token);
        gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
    }
    if (times) return 0;
    major = gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &context, name, mechanism, flags, 0, bindings, GSS_C_NO_BUFFER, NULL, &token, NULL, NULL);
    if (GSS_ERROR(major)) fail("begin", major, minor);
    hexadecimal(token.value, token.length);
    if (keyed) {
        gss_buffer_set_t keys;
        major = gss_inquire_sec_context_by_oid(&minor, context, GSS_C_INQ_SSPI_SESSION_KEY, &keys);
        if (GSS_ERROR(major)) fail("key", major, minor);
        hexadecimal(keys->elements[0].value, keys->elements[0].length);
    }
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) return 0;
    gss_buffer_desc given = {0, answer};
    for (char *digit = line; digit[0] && digit[1] && digit[0] != '\n'; digit += 2)
        sscanf(digit, "%2hhx", &answer[given.length++]);
    major = gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &context, name, mechanism, flags, 0, bindings, &given, NULL, &token, NULL, NULL);
    if (GSS_ERROR(major)) fail("end", major, minor);
    printf("%s\n", major == GSS_S_COMPLETE ? "complete" : "more");
    return 0;
}
