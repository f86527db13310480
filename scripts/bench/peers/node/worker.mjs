// worker ask COUNT: asks a worker so often, one message at a time.   worker send COUNT: sends it so many, one way.
// A message: { type, id, payload }, the payload 64 bytes.
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import { args, must, result, seconds } from "../javascript/base.mjs";

if (isMainThread) {
  const [what, number] = args, count = Number(number), payload = "p".repeat(64);
  const worker = new Worker(new URL(import.meta.url), { workerData: count });
  await new Promise((resolve) => worker.once("message", resolve));
  const begun = seconds();
  if (what === "ask") {
    const took = new Float64Array(count);
    await new Promise((resolve) => {
      let id = 0, since = 0;
      const ask = () => {
        since = seconds();
        worker.postMessage({ type: "ping", id, payload });
      };
      worker.on("message", (m) => {
        took[id] = seconds() - since;
        must(m.type === "pong" && m.id === id && m.payload.length === 64, "another message came back");
        if (++id < count) ask();
        else resolve();
      });
      ask();
    });
    const all = seconds() - begun;
    took.sort();
    result({ count, seconds: all, p50: took[count >> 1], p99: took[Math.floor(count * 0.99)] });
  } else {
    const done = new Promise((resolve) => worker.once("message", resolve));
    for (let id = 0; id < count; id++) worker.postMessage({ type: "data", id, payload });
    const m = await done, all = seconds() - begun;
    must(m.count === count && m.sum === count * (count - 1) / 2 && m.bytes === 64 * count, "other messages arrived");
    result({ count, seconds: all });
  }
  await worker.terminate();
} else {
  const want = workerData;
  let count = 0, sum = 0, bytes = 0;
  parentPort.on("message", (m) => {
    if (m.type === "ping") return parentPort.postMessage({ type: "pong", id: m.id, payload: m.payload });
    sum += m.id;
    bytes += m.payload.length;
    if (++count === want) parentPort.postMessage({ count, sum, bytes });
  });
  parentPort.postMessage("ready");
}
