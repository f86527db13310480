// What the Node programs share.
import { HEAD, lengthOf } from "../javascript/base.mjs";

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
