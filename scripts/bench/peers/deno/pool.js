// pool COUNT SIZE DEPTH: so many tasks to so many processes, DEPTH in flight for each. A task: a number and 32 bytes.
// Deno has no messages between processes of its own: frames over standard input and output. (Those of Node's fork(): peers/node.)
import { Inbox, put } from "./common.js";
import { args, HEAD, lengthOf, must, result, seconds } from "../javascript/base.mjs";

const payload = "x".repeat(32), UP = 0, TASK = 1, DONE = 2, encoder = new TextEncoder();

// Calls use(bytes, from, view) for each frame, then after().
async function frames(from, use, after) {
  const inbox = new Inbox(from, 65536);
  while (await inbox.more()) {
    const { bytes, length } = inbox, view = new DataView(bytes.buffer);
    let at = 0;
    while (length - at >= HEAD) {
      const next = at + HEAD + lengthOf(bytes, at);
      if (next > length) break;
      use(bytes, at, view);
      at = next;
    }
    inbox.drop(at);
    await after();
  }
}

// A child's output is a Web stream; it is read into a buffer of ours that goes back and forth.
function lent(stream) {
  const reader = stream.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(65536);
  return {
    async read(into) {
      const { value, done } = await reader.read(new Uint8Array(buffer, 0, Math.min(buffer.byteLength, into.length)));
      if (done) return null;
      into.set(value);
      buffer = value.buffer;
      return value.length;
    },
  };
}

async function answer() {
  const out = new Uint8Array(13 * 8192), to = new DataView(out.buffer);
  let used = 0;
  await put(Deno.stdout, new Uint8Array([UP, 0, 0, 0, 0]));
  await frames(Deno.stdin, (bytes, at, view) => {
    must(bytes[at] === TASK && lengthOf(bytes, at) === 36, "a task of another size");
    const id = view.getUint32(at + 5, true);
    out[used] = DONE;
    to.setUint32(used + 1, 8, true);
    to.setUint32(used + 5, id, true);
    to.setUint32(used + 9, 2 * id + 1, true);
    used += 13;
  }, async () => {
    if (used > 0) await put(Deno.stdout, out.subarray(0, used));
    used = 0;
  });
}

async function pool(count, size, depth) {
  const workers = [], command = { args: ["run", "-A", "--quiet", "--no-config", import.meta.filename, "worker"] };
  let next = 0, done = 0, sum = 0, up = 0, begun = 0, finish;
  const finished = new Promise((resolve) => { finish = resolve; });
  const more = (w) => { if (next < count) w.submit(next++); };
  const ready = () => {
    if (++up < size) return;
    begun = seconds();
    for (let i = 0; i < depth; i++) for (const w of workers) more(w);
    for (const w of workers) w.flush();
  };
  for (let i = 0; i < size; i++) {
    const child = new Deno.Command(Deno.execPath(), { ...command, stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
    const writer = child.stdin.getWriter(), out = new Uint8Array(41 * 4096), to = new DataView(out.buffer);
    let used = 0;
    const w = {
      submit(id) {
        out[used] = TASK;
        to.setUint32(used + 1, 36, true);
        to.setUint32(used + 5, id, true);
        encoder.encodeInto(payload, out.subarray(used + 9, used + 41));
        used += 41;
      },
      flush() {
        if (used > 0) writer.write(out.slice(0, used));
        used = 0;
      },
      async stop() {
        await writer.close();
        must((await child.status).success, "a worker did not end well");
      },
    };
    workers.push(w);
    frames(lent(child.stdout), (bytes, at, view) => {
      if (bytes[at] === UP) return ready();
      const id = view.getUint32(at + 5, true), value = view.getUint32(at + 9, true);
      must(value === 2 * id + 1, "another result came back");
      sum += value;
      if (++done === count) finish();
      else more(w);
    }, w.flush);
  }
  await finished;
  const all = seconds() - begun;
  must(sum === count * count, "the sum");
  for (const w of workers) await w.stop();
  result({ count, seconds: all });
}

if (args[0] === "worker") await answer();
else await pool(...args.map(Number));
