"""libxml2 of the system, through its C interface: a line with a document and forms, a line with the octets of each. The
set of nodes is chosen by XPath, as the standard defines it, and by nothing that we wrote."""

import base64
import ctypes
import ctypes.util
import sys

NO_NETWORK, NO_ERROR, NO_WARNING = 1 << 11, 1 << 5, 1 << 6
OF_NAMESPACES = 3
# Complaints about a namespace name that is no URI, or a relative one: what is read is read all the same.
ONLY_WARNED = (99, 100)
APEX, GONE = "apex", "gone"

library = ctypes.CDLL(ctypes.util.find_library("xml2"))


class Error(ctypes.Structure):
    _fields_ = [("domain", ctypes.c_int), ("code", ctypes.c_int), ("message", ctypes.c_char_p)]


class Found(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("nodes", ctypes.c_void_p)]


def function(name, result, *arguments):
    made = getattr(library, name)
    made.restype, made.argtypes = result, arguments
    return made


pointer, text, integer = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
parse = function("xmlReadMemory", pointer, text, integer, text, text, integer)
free_document = function("xmlFreeDoc", None, pointer)
last_error = function("xmlGetLastError", ctypes.POINTER(Error))
reset_error = function("xmlResetLastError", None)
internal_subset = function("xmlGetIntSubset", pointer, pointer)
new_context = function("xmlXPathNewContext", pointer, pointer)
free_context = function("xmlXPathFreeContext", None, pointer)
evaluate = function("xmlXPathEval", ctypes.POINTER(Found), text, pointer)
free_found = function("xmlXPathFreeObject", None, pointer)
canonical = function(
    "xmlC14NDocDumpMemory", integer, pointer, pointer, integer, ctypes.POINTER(text), integer, ctypes.POINTER(pointer)
)
free = ctypes.cast(ctypes.c_void_p.in_dll(library, "xmlFree"), ctypes.CFUNCTYPE(None, pointer))


def chosen(marked):
    """Everything from the apex on, its attributes and namespaces with it, less what is left out."""
    apex = f"//*[@{APEX}]" if marked else "/*"
    below = f"ancestor::*[@{APEX}]" if marked else "parent::*"
    left = f"[not(ancestor-or-self::*[@{GONE}][{below}])]"
    nodes = f"{apex}/descendant-or-self::node(){left}"
    return f"{nodes} | {nodes}/attribute::* | {nodes}/namespace::*".encode()


def forms(document, asked):
    context = new_context(document)
    found = evaluate(f"count(//*[@{APEX}])".encode(), context)
    free_found(found)
    marked = evaluate(f"//*[@{APEX}]".encode(), context)
    any_marked = bool(marked.contents.nodes) and ctypes.cast(marked.contents.nodes, ctypes.POINTER(integer))[0] > 0
    free_found(marked)
    found = evaluate(chosen(any_marked), context)
    for form in asked:
        number, _, prefixes = form.partition(" ")
        number, prefixes = int(number), prefixes.encode().split()
        listed = (text * (len(prefixes) + 1))(*prefixes, None)
        out = pointer()
        length = canonical(document, found.contents.nodes, number // 2, listed, number % 2, ctypes.byref(out))
        yield base64.b64encode(ctypes.string_at(out, length)) if length > 0 else b"-"
        if out:
            free(out)
    free_found(found)
    free_context(context)


def said(error):
    message = error.contents.message if error else None
    return ascii((message or b"refused").split(b"\n")[0].decode("utf-8", "replace")).encode()


# Nothing on standard error: what it says, it says to us.
quiet = ctypes.CFUNCTYPE(None, pointer, pointer)(lambda context, error: None)
function("xmlSetStructuredErrorFunc", None, pointer, ctypes.CFUNCTYPE(None, pointer, pointer))(None, quiet)

version = ctypes.c_char_p.in_dll(library, "xmlParserVersion").value.decode()
print(f"libxml2 {version}", flush=True)
for line in sys.stdin:
    octets, *asked = line.rstrip("\n").split("\t")
    octets = base64.b64decode(octets)
    reset_error()
    document = parse(octets, len(octets), None, None, NO_NETWORK | NO_ERROR | NO_WARNING)
    error = last_error()
    if not document:
        answer = b"!" + said(error)
    elif error and error.contents.domain == OF_NAMESPACES and error.contents.code not in ONLY_WARNED:
        answer = b"!" + said(error)
    elif internal_subset(document):
        answer = b"!document type"
    else:
        answer = b"\t".join(forms(document, asked))
    if document:
        free_document(document)
    sys.stdout.buffer.write(answer + b"\n")
    sys.stdout.buffer.flush()
