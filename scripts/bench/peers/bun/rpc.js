// rpc serve SOCKET: answers calls.   rpc ask SOCKET COUNT DEPTH: makes so many calls, so many of them unanswered.
// JSON-RPC 2.0 by hand, a line each.   add(a, b, text) gives { sum, text }; the text has 32 bytes.
import { must, Outbox, result, seconds } from "./common.js";

const [what, unix, times, lanes] = process.argv.slice(2), count = Number(times), depth = Number(lanes);
const methods = { add: ([a, b, text]) => ({ sum: a + b, text }) };

// Either end: what is said while one chunk is read, or by callers that it woke, goes out in one write.
class Peer {
  constructor(write) {
    this.write = write;
    this.pending = new Map();
    this.id = 0;
    this.kept = this.out = "";
  }
  say(message) {
    if (this.out === "") queueMicrotask(() => this.flush());
    this.out += JSON.stringify(message) + "\n";
  }
  flush() {
    const { out } = this;
    this.out = "";
    this.write(out);
  }
  call(method, params) {
    const id = ++this.id;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.say({ jsonrpc: "2.0", id, method, params });
    });
  }
  take(text) {
    if (this.kept !== "") text = this.kept + text;
    let at = 0, stop;
    while ((stop = text.indexOf("\n", at)) >= 0) {
      this.heed(JSON.parse(text.slice(at, stop)));
      at = stop + 1;
    }
    this.kept = text.slice(at);
  }
  heed({ id, method, params, result, error }) {
    if (method === undefined) {
      const waiter = this.pending.get(id);
      this.pending.delete(id);
      if (error !== undefined) waiter.reject(new Error(error.message));
      else waiter.resolve(result);
    } else if (methods[method] === undefined) {
      this.say({ jsonrpc: "2.0", id, error: { code: -32601, message: "no such method" } });
    } else {
      this.say({ jsonrpc: "2.0", id, result: methods[method](params) });
    }
  }
}

async function ask(peer) {
  const took = new Float64Array(count), begun = seconds();
  let made = 0;
  async function caller() {
    while (made < count) {
      const i = made++, text = String.fromCharCode(65 + (i & 255) % 26).repeat(32), since = seconds();
      const v = await peer.call("add", [i, 7, text]);
      took[i] = seconds() - since;
      must(v.sum === i + 7 && v.text === text, "another answer came back");
    }
  }
  await Promise.all(Array.from({ length: depth }, caller));
  const all = seconds() - begun;
  took.sort();
  result({ count, seconds: all, p50: took[count >> 1], p99: took[Math.floor(count * 0.99)] });
}

const encoder = new TextEncoder();
const socket = {
  open(conn) {
    const out = new Outbox(conn), decoder = new TextDecoder();
    conn.data = { out, decoder, peer: new Peer((text) => out.put(encoder.encode(text))) };
    if (what === "ask") ask(conn.data.peer).then(() => conn.end());
  },
  data(conn, chunk) {
    conn.data.peer.take(conn.data.decoder.decode(chunk, { stream: true }));
  },
  drain(conn) {
    conn.data.out.drain();
  },
};

if (what === "serve") {
  Bun.listen({ unix, socket });
  console.log("ready");
} else {
  Bun.connect({ unix, socket });
}
