# The protocol of mw.auth.hmac (host/wire/auth.h) from another language: a client that authenticates, then talks a line.
# usage: auth_client.py PORT SECRET NAME|- LINE    prints "denied" or what the server answered
import hmac, os, socket, sys

port, secret, name, line = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode(), sys.argv[4]
name = b"" if name == b"-" else name


def message(kind, body):
    return b"MWA1" + bytes([kind, 0]) + len(body).to_bytes(2, "big") + body


def exactly(s, n):
    got = b""
    while len(got) < n:
        some = s.recv(n - len(got))
        if not some:
            sys.exit("closed in the middle")
        got += some
    return got


def receive(s):
    head = exactly(s, 8)
    if head[:4] != b"MWA1":
        sys.exit("another protocol")
    return head[4], exactly(s, int.from_bytes(head[6:8], "big"))


with socket.create_connection(("127.0.0.1", port)) as s:
    nonce = os.urandom(32)
    s.sendall(message(1, nonce + name))
    kind, challenge = receive(s)
    assert kind == 2 and len(challenge) == 32
    said = nonce + challenge + bytes([len(name)]) + name + b"\0"

    def mac(label):
        return hmac.new(secret, label + said, "sha256").digest()

    s.sendall(message(3, mac(b"mw-auth-1 client")))
    kind, proof = receive(s)
    if kind == 5:
        print("denied")
    elif kind == 4 and hmac.compare_digest(proof, mac(b"mw-auth-1 server")):
        s.sendall(line.encode() + b"\n")
        print(s.makefile().readline(), end="")
    else:
        sys.exit("a false server")
