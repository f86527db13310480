// frames send SOCKET COUNT SIZE.   frames take SOCKET COUNT SIZE objects|in-place: a view for each frame's data, or none.
import { Inbox, put } from "./common.js";
import { args, HEAD, lengthOf, result, seconds } from "../javascript/base.mjs";
import { check, fill, FRAMES } from "../javascript/frames.mjs";

const [what, path, ...rest] = args, [count, size] = rest.map(Number), objects = rest[2] === "objects";
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
  check(count, size, frames, bytes, sum);
  result({ count, seconds: all });
  conn.close();
}

async function send(conn) {
  const perBatch = Math.max(1, Math.floor(FRAMES / FRAME)), data = new Uint8Array(size).fill(120);
  let made = 0;

  function batch(buffer) {
    const from = made;
    made = Math.min(count, made + perBatch);
    return fill(buffer, data, from, made);
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
