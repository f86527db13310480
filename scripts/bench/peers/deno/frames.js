// frames send SOCKET COUNT SIZE.   frames take SOCKET COUNT SIZE objects|in-place: a view for each frame's data, or none.
import { HEAD, Inbox, lengthOf, must, put, result, seconds } from "./common.js";

const [what, path, ...rest] = Deno.args, [count, size] = rest.map(Number), objects = rest[2] === "objects";
const FRAME = HEAD + size;

let frames = 0, bytes = 0, sum = 0;

function onMessage(kind, data) {
  frames++;
  bytes += data.length;
  sum += kind + data[0];
}

// Takes what is whole; gives how much that was.
function parse(chunk, length) {
  let at = 0;
  while (length - at >= HEAD) {
    const next = at + HEAD + lengthOf(chunk, at);
    if (next > length) break;
    if (objects) {
      onMessage(chunk[at], chunk.subarray(at + HEAD, next));
    } else {
      frames++;
      bytes += next - at - HEAD;
      sum += chunk[at] + chunk[at + HEAD];
    }
    at = next;
  }
  return at;
}

async function take(conn) {
  const inbox = new Inbox(conn, 262144);
  let since = 0;
  while (await inbox.more()) {
    if (since === 0) since = seconds();
    inbox.drop(parse(inbox.bytes, inbox.length));
  }
  const all = seconds() - since;
  let want = 0;
  for (let i = 0; i < count; i++) want += 1 + i % 100 + (i & 255);
  must(frames === count && bytes === count * size && sum === want, "other frames came than were sent");
  result({ count, seconds: all });
  conn.close();
}

async function send(conn) {
  const perBatch = Math.max(1, Math.floor(131072 / FRAME)), data = new Uint8Array(size).fill(120);
  let made = 0;

  function batch(buffer) {
    let at = 0;
    for (const stop = Math.min(count, made + perBatch); made < stop; made++, at += FRAME) {
      buffer[at] = 1 + made % 100;
      buffer[at + 1] = size;
      buffer[at + 2] = size >> 8;
      buffer[at + 3] = size >> 16;
      buffer[at + 4] = size >> 24;
      buffer.set(data, at + HEAD);
      buffer[at + HEAD] = made;
    }
    return at;
  }
  // While one buffer is being written, the other is filled.
  let filled = new Uint8Array(perBatch * FRAME), flying = new Uint8Array(perBatch * FRAME), written = null;
  while (made < count) {
    const length = batch(filled);
    await written;
    [filled, flying] = [flying, filled];
    written = put(conn, flying.subarray(0, length));
  }
  await written;
  conn.close();
}

if (what === "take") {
  const listener = Deno.listen({ transport: "unix", path });
  console.log("ready");
  await take(await listener.accept());
  listener.close();
} else {
  await send(await Deno.connect({ transport: "unix", path }));
}
