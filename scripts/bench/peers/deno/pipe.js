// pipe MIB: so much through `cat`, in blocks of 64 KiB, read back while it is written.
import { args, must, result, seconds } from "../javascript/base.mjs";

const BLOCK = 65536;
const mib = Number(args[0]), total = mib * 2 ** 20;
const block = Uint8Array.from({ length: BLOCK }, (_, i) => i * 7 + (i >> 8));
let heard = 0;

async function send(to) {
  const writer = to.getWriter();
  for (let sent = 0; sent < total; sent += BLOCK) await writer.write(block);
  await writer.close();
}

async function hear(from) {
  const reader = from.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(4 * BLOCK);
  for (;;) {
    const { value: data, done } = await reader.read(new Uint8Array(buffer));
    if (done) return;
    const last = data.length - 1;
    must(data[0] === block[heard % BLOCK] && data[last] === block[(heard + last) % BLOCK], "other bytes came back");
    heard += data.length;
    buffer = data.buffer;
  }
}

const since = seconds();
const cat = new Deno.Command("cat", { stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
const [status] = await Promise.all([cat.status, send(cat.stdin), hear(cat.stdout)]);
must(status.success && heard === total, "cat did not give back everything and end well");
result({ count: mib, seconds: seconds() - since });
