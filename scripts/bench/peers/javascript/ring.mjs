// A ring of records of 64 bytes in memory that two processes share; used by Bun and by Deno. JavaScript cannot wait on such memory,
// so both ends spin.
import { must } from "./base.mjs";

const SLOTS = 8192, STRIDE = 72, DATA = 4096, SIZE = 64; // a record: its length, u32, and so many bytes
const HEAD = 0, TAIL = 16, SUM = 32, DONE = 48;         // on lines of their own
export const BYTES = DATA + SLOTS * STRIDE;

export function take(buffer, offset, count) {
  const words = new Int32Array(buffer, offset, 1024), d = new Uint8Array(buffer, offset + DATA, SLOTS * STRIDE);
  let tail = 0, sum = 0;
  while (tail < count) {
    const head = Atomics.load(words, HEAD);
    for (; tail !== head; tail++) {
      const at = (tail & (SLOTS - 1)) * STRIDE;
      must((d[at] | (d[at + 1] << 8) | (d[at + 2] << 16) | (d[at + 3] << 24)) === SIZE, "a record of another size");
      sum = (sum + d[at + 4]) | 0;
    }
    Atomics.store(words, TAIL, tail);
  }
  Atomics.store(words, SUM, sum);
  Atomics.store(words, DONE, 1);
}

export function give(buffer, offset, count) {
  const words = new Int32Array(buffer, offset, 1024), d = new Uint8Array(buffer, offset + DATA, SLOTS * STRIDE);
  const record = new Uint8Array(SIZE).fill(7);
  let head = 0, tail = 0, want = 0;
  while (head < count) {
    while (head - tail > SLOTS - 64) tail = Atomics.load(words, TAIL);
    const end = Math.min(count, head + 64);
    for (; head < end; head++) {
      const at = (head & (SLOTS - 1)) * STRIDE;
      d[at] = SIZE;
      d[at + 1] = d[at + 2] = d[at + 3] = 0;
      record[0] = head & 255;
      d.set(record, at + 4);
      want = (want + (head & 255)) | 0;
    }
    Atomics.store(words, HEAD, head);
  }
  while (Atomics.load(words, DONE) === 0);
  must(Atomics.load(words, SUM) === want, "other records arrived");
}
