// pool COUNT SIZE DEPTH HOW: so many tasks to so many processes, DEPTH in flight for each. A task: a number and 32 bytes.
// HOW: "ipc" (Bun's own messages, as JSON), "framed" (frames of our own over standard input and output).
import { Inbox } from "./common.js";
import { args, must, result, seconds } from "../javascript/base.mjs";

const payload = "x".repeat(32), UP = 0, TASK = 1, DONE = 2;
const u32 = (b, at) => (b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24)) >>> 0;

// ---- A worker ---------------------------------------------------------------------------------------------------------------

function answer() {
  process.on("message", (m) => {
    must(m.payload.length === 32, "a task of another size");
    process.send({ id: m.id, value: 2 * m.id + 1 });
  });
  process.on("disconnect", () => process.exit(0));
  process.send({ up: true });
}

async function answerFrames() {
  const to = Bun.stdout.writer(), out = Buffer.alloc(13 * 8192);
  let used = 0;
  const inbox = new Inbox((b, from, next) => {
    must(next - from === 41 && b[from] === TASK, "a task of another size");
    const id = u32(b, from + 5);
    out[used] = DONE;
    out.writeUInt32LE(8, used + 1);
    out.writeUInt32LE(id, used + 5);
    out.writeUInt32LE(2 * id + 1, used + 9);
    used += 13;
  });
  to.write(new Uint8Array([UP, 0, 0, 0, 0]));
  to.flush();
  for await (const chunk of Bun.stdin.stream()) {
    inbox.take(chunk);
    if (used > 0) to.write(out.subarray(0, used));
    to.flush();
    used = 0;
  }
}

// ---- The pool ---------------------------------------------------------------------------------------------------------------

async function pool(count, size, depth, how) {
  const command = [process.execPath, import.meta.path, "worker", how], workers = [];
  let next = 0, done = 0, sum = 0, up = 0, begun = 0, finish;
  const finished = new Promise((resolve) => { finish = resolve; });
  const more = (w) => { if (next < count) w.submit(next++); };
  const ready = () => {
    if (++up < size) return;
    begun = seconds();
    for (let i = 0; i < depth; i++) for (const w of workers) more(w);
    for (const w of workers) w.flush();
  };
  const take = (w, id, value) => {
    must(value === 2 * id + 1, "another result came back");
    sum += value;
    if (++done === count) finish();
    else more(w);
  };
  const byMessage = (w) => {
    w.child = Bun.spawn(command, {
      stdio: ["ignore", "inherit", "inherit"], serialization: "json",
      ipc: (m) => m.up ? ready() : take(w, m.id, m.value),
    });
    w.submit = (id) => w.child.send({ id, payload });
    w.flush = () => {};
    w.stop = () => w.child.disconnect();
  };
  const byFrame = (w) => {
    const out = Buffer.alloc(41 * 4096);
    let used = 0;
    w.child = Bun.spawn(command, { stdio: ["pipe", "pipe", "inherit"] });
    w.submit = (id) => {
      out[used] = TASK;
      out.writeUInt32LE(36, used + 1);
      out.writeUInt32LE(id, used + 5);
      out.write(payload, used + 9, "latin1");
      used += 41;
    };
    w.flush = () => {
      if (used > 0) w.child.stdin.write(out.subarray(0, used));
      w.child.stdin.flush();
      used = 0;
    };
    w.stop = () => w.child.stdin.end();
    const inbox = new Inbox((b, from) => b[from] === UP ? ready() : take(w, u32(b, from + 5), u32(b, from + 9)));
    (async () => {
      for await (const chunk of w.child.stdout) {
        inbox.take(chunk);
        if (done < count) w.flush();
      }
    })();
  };
  for (let i = 0; i < size; i++) {
    const w = {};
    workers.push(w);
    (how === "ipc" ? byMessage : byFrame)(w);
  }
  await finished;
  const all = seconds() - begun;
  must(sum === count * count, "the sum");
  for (const w of workers) w.stop();
  for (const w of workers) must(await w.child.exited === 0, "a worker did not end well");
  result({ count, seconds: all });
}

if (args[0] !== "worker") await pool(Number(args[0]), Number(args[1]), Number(args[2]), args[3]);
else if (args[1] === "ipc") answer();
else await answerFrames();
