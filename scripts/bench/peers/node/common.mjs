// What the Node programs share.
export const HEAD = 5; // kind u8, length u32

export function must(what, text) {
  if (!what) throw new Error(text);
}

export function result(numbers) {
  console.log("result " + Object.entries(numbers).map(([key, value]) => `${key}=${value}`).join(" "));
}

export const seconds = () => performance.now() / 1000;

export const lengthOf = (b, at) => (b[at + 1] | (b[at + 2] << 8) | (b[at + 3] << 16) | (b[at + 4] << 24)) >>> 0;

// What is whole is used where it lies in the chunk; only a frame that two chunks share is copied together.
export class Inbox {
  constructor(use) {
    this.use = use; // (bytes, from, to): a whole frame
    this.kept = null;
  }
  take(chunk) {
    if (this.kept !== null) {
      chunk = Buffer.concat([this.kept, chunk]);
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
    if (at < length) this.kept = chunk.subarray(at);
  }
}
