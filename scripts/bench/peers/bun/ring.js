// ring COUNT: so many records of 64 bytes, one way through shared memory (a mapped file) to another process.
import { unlinkSync } from "node:fs";
import { BYTES, give, take } from "../javascript/ring.mjs";
import { args, must, result, seconds } from "../javascript/base.mjs";

const [number, other] = args, count = Number(number);
const path = other ?? `/dev/shm/ring-${process.pid}`;
if (!other) await Bun.write(path, new Uint8Array(BYTES));
const memory = Bun.mmap(path, { shared: true });
if (other) {
  console.log("ready");
  take(memory.buffer, memory.byteOffset, count);
} else {
  const child = Bun.spawn([process.execPath, import.meta.path, number, path], { stdout: "pipe", stderr: "inherit" });
  await child.stdout.getReader().read();
  unlinkSync(path);
  const since = seconds();
  give(memory.buffer, memory.byteOffset, count);
  const all = seconds() - since;
  must(await child.exited === 0, "the other process failed");
  result({ count, seconds: all });
}
