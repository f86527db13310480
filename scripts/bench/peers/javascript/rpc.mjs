// What rpc does in each runtime: JSON-RPC 2.0 by hand, a line each.   add(a, b, text) gives { sum, text }; the text has 32 bytes.
import { must, result, seconds } from "./base.mjs";

const methods = { add: ([a, b, text]) => ({ sum: a + b, text }) };

// Either end: what is said while one chunk is read, or by callers that it woke, goes out in one write.
export class Peer {
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

export async function ask(peer, count, depth) {
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
