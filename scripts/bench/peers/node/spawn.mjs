// spawn COUNT LANES HEAP_MIB: runs /bin/echo so often, so many at a time, and reads what each says.
import { spawn } from "node:child_process";
import { args, must, result, seconds } from "../javascript/base.mjs";

const [count, lanes, mib] = args.map(Number);
const heap = Array.from({ length: mib }, () => Buffer.alloc(1 << 20, "x"));
const blocked = new Float64Array(count);
const hello = ["hello"], options = { stdio: ["ignore", "pipe", "ignore"] };
let started = 0;

function run() {
  return new Promise((done, fail) => {
    const since = seconds();
    const child = spawn("/bin/echo", hello, options);
    blocked[started++] = seconds() - since;
    let said = "";
    child.stdout.setEncoding("latin1").on("data", (text) => (said += text));
    child.on("error", fail).on("close", (code) => {
      if (code === 0 && said === "hello\n") done();
      else fail(new Error("a child did not say hello and end well"));
    });
  });
}

async function lane() {
  while (started < count) await run();
}

const since = seconds();
await Promise.all(Array.from({ length: lanes }, lane));
const took = seconds() - since;
must(heap.every((b) => b[0] === 120), "the heap");
result({ count, seconds: took, blocked: blocked.sort()[count >> 1] });
