// What the Bun programs share.
import { HEAD, lengthOf } from "../javascript/base.mjs";

export function joined(a, b) {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

// What is whole is used where it lies in the chunk. A chunk is lent to the handler only, so what is kept is copied.
export class Inbox {
  constructor(use) {
    this.use = use; // (bytes, from, to): a whole frame
    this.kept = null;
  }
  take(chunk) {
    if (this.kept !== null) {
      chunk = joined(this.kept, chunk);
      this.kept = null;
    }
    const { use } = this, { length } = chunk;
    let at = 0;
    while (length - at >= HEAD) {
      const next = at + HEAD + lengthOf(chunk, at);
      if (next > length) break;
      use(chunk, at, next);
      at = next;
    }
    if (at < length) this.kept = chunk.slice(at);
  }
}

// A socket takes what it can and says how much; the rest waits for `drain`.
export class Outbox {
  constructor(socket) {
    this.socket = socket;
    this.rest = null;
  }
  put(bytes) {
    if (this.rest !== null) {
      this.rest = joined(this.rest, bytes);
      return false;
    }
    const n = Math.max(this.socket.write(bytes), 0);
    if (n < bytes.length) this.rest = bytes.slice(n);
    return this.rest === null;
  }
  drain() {
    if (this.rest === null) return true;
    const { rest } = this;
    this.rest = null;
    return this.put(rest);
  }
}
