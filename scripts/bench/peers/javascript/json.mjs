// json COUNT: reads so many messages of 200 bytes of JSON and checks what they hold; one in 16 lacks its type.
import { args, must, result, seconds } from "./base.mjs";

const kinds = ["greet", "task", "result", "metric"], known = new Set(kinds);

function read(text) {
  let m;
  try {
    m = JSON.parse(text);
  } catch {
    return null;
  }
  if (m === null || typeof m !== "object" || typeof m.type !== "string" || !known.has(m.type)) return null;
  const p = m.payload;
  if (p === null || typeof p !== "object" || !Number.isInteger(p.id) || p.id < 0) return null;
  if (typeof p.name !== "string" || p.name.length > 64 || !Array.isArray(p.values)) return null;
  return m;
}

const count = Number(args[0]), messages = [];
for (let i = 0; i < 64; i++) {
  const m = { type: kinds[i % 4], payload: { id: i, name: `worker-${i}`, values: [1, 2.5, 3, i], note: "" } };
  m.payload.note = "n".repeat(200 - JSON.stringify(m).length);
  const text = JSON.stringify(m);
  messages.push(i % 16 === 15 ? text.replace('"type"', '"tipe"') : text);
}

let good = 0, bad = 0, sum = 0;
const begun = seconds();
for (let i = 0; i < count; i++) {
  const m = read(messages[i & 63]);
  if (m !== null) {
    good++;
    sum += m.payload.id;
  } else {
    bad++;
  }
}
const all = seconds() - begun;
must(good + bad === count && bad === Math.floor(count / 16), "other messages were refused");
result({ count, seconds: all, sum });
