// spawn COUNT LANES HEAP_MIB: runs /bin/echo so often, so many at a time, and reads what each says.
import { args, must, result, seconds } from "../javascript/base.mjs";

const [count, lanes, mib] = args.map(Number);
const heap = Array.from({ length: mib }, () => new Uint8Array(1 << 20).fill(120));
const blocked = new Float64Array(count);
const command = ["/bin/echo", "hello"], options = { stdin: "ignore", stdout: "pipe", stderr: "ignore" };
let started = 0;

async function run() {
  const since = seconds();
  const child = Bun.spawn(command, options);
  blocked[started++] = seconds() - since;
  const [said, code] = await Promise.all([child.stdout.text(), child.exited]);
  must(code === 0 && said === "hello\n", "a child did not say hello and end well");
}

async function lane() {
  while (started < count) await run();
}

const since = seconds();
await Promise.all(Array.from({ length: lanes }, lane));
const took = seconds() - since;
must(heap.every((b) => b[0] === 120), "the heap");
result({ count, seconds: took, blocked: blocked.sort()[count >> 1] });
