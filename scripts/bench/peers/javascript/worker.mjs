// worker ask COUNT: asks a worker so often, one message at a time.   worker send COUNT: sends it so many, one way.
// A message: { type, id, payload }, the payload 64 bytes.
import { args, must, result, seconds } from "./base.mjs";

const [what, number] = args, count = Number(number), payload = "p".repeat(64);
const worker = new Worker(new URL("./worker_side.mjs", import.meta.url), { type: "module" });
worker.onerror = (e) => must(false, e.message);
const answer = () => new Promise((resolve) => { worker.onmessage = resolve; });
await answer();
worker.postMessage({ type: "count", count });
await answer();
const begun = seconds();
if (what === "ask") {
  const took = new Float64Array(count);
  await new Promise((resolve) => {
    let id = 0, since = 0;
    const ask = () => {
      since = seconds();
      worker.postMessage({ type: "ping", id, payload });
    };
    worker.onmessage = ({ data: m }) => {
      took[id] = seconds() - since;
      must(m.type === "pong" && m.id === id && m.payload.length === 64, "another message came back");
      if (++id < count) ask();
      else resolve();
    };
    ask();
  });
  const all = seconds() - begun;
  took.sort();
  result({ count, seconds: all, p50: took[count >> 1], p99: took[Math.floor(count * 0.99)] });
} else {
  const done = answer();
  for (let id = 0; id < count; id++) worker.postMessage({ type: "data", id, payload });
  const { data: m } = await done, all = seconds() - begun;
  must(m.count === count && m.sum === count * (count - 1) / 2 && m.bytes === 64 * count, "other messages arrived");
  result({ count, seconds: all });
}
worker.terminate();
