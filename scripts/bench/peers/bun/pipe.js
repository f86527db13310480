// pipe MIB: so much through `cat`, in blocks of 64 KiB, read back while it is written.
import { must, result, seconds } from "../javascript/base.mjs";

const BLOCK = 65536;
const mib = Number(process.argv[2]), total = mib * 2 ** 20;
const block = Uint8Array.from({ length: BLOCK }, (_, i) => i * 7 + (i >> 8));
let heard = 0;

async function send(to) {
  for (let sent = 0; sent < total; sent += BLOCK) {
    const written = to.write(block);
    if (written instanceof Promise) await written;
    const flushed = to.flush();
    if (flushed instanceof Promise) await flushed;
  }
  await to.end();
}

async function hear(from) {
  for await (const data of from) {
    const last = data.length - 1;
    must(data[0] === block[heard % BLOCK] && data[last] === block[(heard + last) % BLOCK], "other bytes came back");
    heard += data.length;
  }
}

const since = seconds();
const cat = Bun.spawn(["cat"], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
const [code] = await Promise.all([cat.exited, send(cat.stdin), hear(cat.stdout)]);
must(code === 0 && heard === total, "cat did not give back everything and end well");
result({ count: mib, seconds: seconds() - since });
