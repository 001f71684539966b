#!/usr/bin/env python3
"""Checks an unpacked evidence bundle with an ordinary JOSE library (jwcrypto) and hashes, and with nothing of the connector.

    tar -xf evidence.tar -C folder && python3 check.py folder

It follows the steps of the bundle's README.txt, prints what it checked and the keys that all of it rests on, and ends with status 1 at the
first thing that is not as it should be. It is meant to be read: every rule is here.
"""
import base64
import hashlib
import json
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwcrypto import jwk, jws
from jwcrypto.common import JWSEHeaderParameter

folder = pathlib.Path(sys.argv[1])
used = set()


def read(name):
    return (folder / name).read_bytes()


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sha256(data):
    return hashlib.sha256(data).digest()


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r}, expected {wanted!r}")


def canonical(value):
    """RFC 8785, for values without fractions."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# ---- the manifest and the hash of every file ------------------------------------------------------------------------------------------
manifest = json.loads(read("manifest.json"))
me, peer = manifest["exporter"], manifest["counterparty"]
found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
expect("the files", found - {"manifest.json", "manifest.jws"}, set(manifest["files"]))
for name, digest in manifest["files"].items():
    expect(f"the hash of {name}", sha256(read(name)).hex(), digest)

# ---- the keys: those that the documents publish for assertions ------------------------------------------------------------------------
keys, log_keys = {}, set()
for version in manifest["documents"]:
    document = json.loads(read(version["file"]))
    expect(f"the owner of {version['file']}", document["id"], version["did"])
    for method in document["verificationMethod"]:
        # A document speaks for the keys of its own DID alone.
        theirs = method["id"].split("#")[0] == document["id"]
        if theirs and method["id"] in document["assertionMethod"] and "publicKeyJwk" in method:
            keys.setdefault(method["id"], []).append(jwk.JWK(**method["publicKeyJwk"]))
    if document["id"] == me:
        log_keys |= {service["logKey"] for service in document.get("service", []) if "logKey" in service}


def verify(what, protected, payload, signature, owner, typ):
    """One JWS: the key is the owner's, by its id in the owner's DID document; the kind of object is the one expected here."""
    header = json.loads(decode(protected))
    expect(f"the type of {what}", header["typ"], typ)
    expect(f"the signer of {what}", header["kid"].split("#")[0], owner)
    # "dspsig" is critical: whoever checks must know what it means, and this script looks at it below.
    registry = {"dspsig": JWSEHeaderParameter("dspsig of DSP-JWS-1", True, True, None)}
    failure = "no such key in the documents"
    for key in keys.get(header["kid"], []):
        token = jws.JWS(header_registry=registry)
        token.allowed_algs = ["ES256", "EdDSA"]
        try:
            token.deserialize(f"{protected}.{encode(payload)}.{signature}")
            token.verify(key)
        except Exception as error:  # each of the library's errors means the same here
            failure = error
            continue
        used.add((header["kid"], key.thumbprint()))
        return header
    sys.exit(f"the signature of {what} does not count: {failure}")


def verify_token(what, text, owner, typ):
    protected, payload, signature = text.split(".")
    verify(what, protected, decode(payload), signature, owner, typ)
    return json.loads(decode(payload))


claims = verify_token("the manifest", read("manifest.jws").decode(), me, "dases-evidence+jws")
expect("the manifest that was signed", claims["manifest"], encode(sha256(read("manifest.json"))))

# ---- the agreement: two signatures over one record ------------------------------------------------------------------------------------
record = None
if (folder / "agreement.json").exists():
    agreement = json.loads(read("agreement.json"))
    record = json.loads(decode(agreement["payload"]))
    parties = {"assigner": record["provider"], "assignee": record["consumer"]}
    signing = sorted(role for role, party in parties.items() if "jkt" in party)
    expect("the parties", {party["did"] for party in parties.values()}, {me, peer})
    roles = []
    for entry in agreement["signatures"]:
        role = json.loads(decode(entry["protected"]))["dspsig"]["role"]
        header = verify("the agreement", entry["protected"], decode(agreement["payload"]), entry["signature"], parties[role]["did"],
                        "dsp-agreement+jws")
        expect("the key that signed the agreement", header["dspsig"]["jkt"], parties[role]["jkt"])
        if (header["kid"], parties[role]["jkt"]) not in used:
            sys.exit("the agreement names another key than the one that signed it")
        roles.append(role)
    # A party that cannot sign has no key in the record; then the agreement is signed by one party, and counts as such.
    expect("the roles of the signatures", sorted(roles), signing)
    expect("the agreement's id", record["agreement"]["@id"], manifest["agreement"])

# ---- the messages: signature, answer, chain, transcript -------------------------------------------------------------------------------
signed = 0
for process in manifest["processes"]:
    items = [item for item in manifest["exhibits"] if item["form"] == "message" and item["process"] == process["pid"]]
    bodies = [sha256(read(item["body"])) for item in items]
    for number, item in enumerate(items):
        sender, recipient = (peer, me) if item["direction"] == "in" else (me, peer)
        if "signature" not in item:
            continue
        text = read(item["signature"]).decode()
        protected, signature = text.split("..")
        sig = verify(item["body"], protected, read(item["body"]), signature, sender, "dsp-msg+jws")["dspsig"]
        expect(f"{item['signature']}: sender, recipient, address", (sig["iss"], sig["aud"], sig["htm"], sig["htu"]),
               (sender, recipient, "POST", item["url"]))
        if number == 0:
            expect(f"{item['signature']}: what the first message follows", sig["prev"], encode(sha256(b"")))
        elif decode(sig["prev"]) not in bodies[:number] + bodies[number + 1:]:
            sys.exit(f"{item['signature']}: what it follows is not among the messages")
        signed += 1
        if "answer" in item:
            answer = item["answer"]
            protected, answered = read(answer["signature"]).decode().split("..")
            sig = verify(answer["body"], protected, read(answer["body"]), answered, recipient, "dsp-msg+jws")["dspsig"]
            expect(f"{answer['signature']}: what it answers", (sig["iss"], sig["aud"], sig["sts"], sig["req"]),
                   (recipient, sender, answer["status"], encode(sha256(signature.encode()))))
            signed += 1
if record:
    hashes = b""
    for item in manifest["exhibits"]:
        message = json.loads(read(item["body"])) if item["form"] == "message" else {}
        if item["kind"] in ("ContractRequestMessage", "ContractOfferMessage") or message.get("eventType", "").endswith("ACCEPTED"):
            hashes += sha256(read(item["body"]))
        if item["kind"] == "ContractAgreementMessage":
            expect("the agreement in the message", canonical(message["agreement"]), canonical(record["agreement"]))
            break
    expect("the transcript", record["transcript"], encode(sha256(hashes)))

# ---- what left: the provider's lines, the consumer's receipts -------------------------------------------------------------------------
provider, consumer = (me, peer) if manifest["role"] == "provider" else (peer, me)
ends = {}
for item in manifest["exhibits"]:
    if item["form"] == "line":
        line = json.loads(read(item["body"]))
        protected, signature = line.pop("sig").split("..")
        verify(item["body"], protected, canonical(line), signature, provider, "dases-stream+jws")
        if line["t"] == "end":
            ends[line["transfer"]] = (line["n"], line["root"])
for item in manifest["exhibits"]:
    if item["form"] == "receipt":
        receipt = verify_token(item["body"], read(item["body"]).decode(), consumer, "dases-receipt+jws")
        expect(f"{item['body']}: agreement", receipt["agreement"], manifest["agreement"])
        expect(f"{item['body']}: what was received", (receipt["count"], receipt["root"]), ends[receipt["transfer"]])

# ---- the log: every entry leads to the signed root ------------------------------------------------------------------------------------
def checkpoint(note):
    """Reads a signed note and checks the log's Ed25519 signature on it; returns size and root."""
    text, signatures = note.split("\n\n", 1)
    for verifier in log_keys:
        name, key_id, key = verifier.split("+", 2)
        for line in signatures.splitlines():
            dash, signer, blob = line.split(" ")
            blob = base64.b64decode(blob)
            if (dash, signer, blob[:4].hex()) == ("\u2014", name, key_id):
                Ed25519PublicKey.from_public_bytes(base64.b64decode(key)[1:]).verify(blob[4:], (text + "\n").encode())
                origin, size, root = text.split("\n")[:3]
                expect("the origin of the checkpoint", origin, name)
                return int(size), base64.b64decode(root)
    sys.exit("the checkpoint is not signed by the log key that the exporter publishes")


def climb(leaf, index, size, path):
    """RFC 9162 section 2.1.3.2."""
    node, last = index, size - 1
    for step in path:
        if node & 1 or node == last:
            leaf = sha256(b"\x01" + step + leaf)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            leaf = sha256(b"\x01" + leaf + step)
        node, last = node >> 1, last >> 1
    return leaf if last == 0 else None


size, root = checkpoint(read("log/checkpoint").decode())
entries = {}
for number in manifest["entries"]:
    entry = read(f"log/entries/{number:09}.json")
    proof, note = read(f"log/proofs/{number:09}.tlog-proof").decode().split("\n\n", 1)
    lines = proof.split("\n")
    expect("the form of a proof", (lines[0], lines[1]), ("c2sp.org/tlog-proof@v1", f"index {number}"))
    expect("the checkpoint of a proof", checkpoint(note), (size, root))
    expect(f"the root above entry {number}", climb(sha256(b"\x00" + entry), number, size, [base64.b64decode(hash) for hash in lines[2:]]), root)
    entries[number] = json.loads(entry)
for item in manifest["exhibits"]:
    digest = encode(sha256(read(item["body"])))
    if not any(digest in entries[number].values() for number in item["entries"]):
        sys.exit(f"{item['body']}: the log did not record it")
for version in manifest["documents"]:
    expect(f"{version['file']}: as recorded", entries[version["entry"]]["document"], encode(sha256(read(version["file"]))))
for consent in manifest["consents"]:
    expect("a consent as recorded", entries[consent["entries"][0]]["object"], consent["given"])

print(f"{len(manifest['files'])} files, {len(signing) if record else 0} signatures on the agreement, {signed} signed messages and answers, "
      f"{len(ends)} streams, {len(manifest['consents'])} consents, {len(entries)} log entries: all as they should be")
for kid, thumbprint in sorted(used):
    print(f"rests on {kid} with thumbprint {thumbprint}")
