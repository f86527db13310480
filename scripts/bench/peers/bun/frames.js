// frames send SOCKET COUNT SIZE.   frames take SOCKET COUNT SIZE objects|in-place: a view for each frame's data, or none.
import { Inbox } from "./common.js";
import { args, HEAD, result, seconds } from "../javascript/base.mjs";
import { check, fill, FRAMES } from "../javascript/frames.mjs";

const [what, unix, ...rest] = args, [count, size] = rest.map(Number), how = rest[2];
const FRAME = HEAD + size;

function take() {
  let frames = 0, bytes = 0, sum = 0, since = 0;
  function onMessage(kind, data) {
    frames++;
    bytes += data.length;
    sum += kind + data[0];
  }
  const inbox = new Inbox(how === "objects"
    ? (chunk, from, to) => onMessage(chunk[from], chunk.subarray(from + HEAD, to))
    : (chunk, from, to) => {
      frames++;
      bytes += to - from - HEAD;
      sum += chunk[from] + chunk[from + HEAD];
    });
  const server = Bun.listen({
    unix,
    socket: {
      data(_, chunk) {
        if (since === 0) since = seconds();
        inbox.take(chunk);
      },
      close() {
        const all = seconds() - since;
        check(count, size, frames, bytes, sum);
        result({ count, seconds: all });
        server.stop(true);
      },
    },
  });
  console.log("ready");
}

function send() {
  const perBatch = Math.max(1, Math.floor(FRAMES / FRAME)), data = new Uint8Array(size).fill(120);
  const buffer = new Uint8Array(perBatch * FRAME);
  let made = 0, at = 0, length = 0;

  function batch() {
    const stop = Math.min(count, made + perBatch);
    at = 0;
    length = fill(buffer, data, made, stop);
    made = stop;
  }
  function feed(conn) {
    for (;;) {
      if (at === length) batch();
      if (at === length) return conn.end();
      at += Math.max(conn.write(buffer, at, length - at), 0);
      if (at < length) return; // drain goes on
    }
  }
  Bun.connect({ unix, socket: { open: feed, drain: feed, data() {} } });
}

if (what === "take") take();
else send();
