// frames send SOCKET COUNT SIZE.   frames take SOCKET COUNT SIZE objects|in-place: a view for each frame's data, or none.
import net from "node:net";
import { Inbox } from "./common.mjs";
import { args, HEAD, result, seconds } from "../javascript/base.mjs";
import { check, fill, FRAMES } from "../javascript/frames.mjs";

const [what, path, ...rest] = args, [count, size] = rest.map(Number), how = rest[2];
const FRAME = HEAD + size, AHEAD = 4;

function take(conn, server) {
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
  conn.on("data", (chunk) => {
    if (since === 0) since = seconds();
    inbox.take(chunk);
  });
  conn.on("end", () => {
    const all = seconds() - since;
    check(count, size, frames, bytes, sum);
    result({ count, seconds: all });
    conn.destroy();
    server.close();
  });
}

function send(conn) {
  const perBatch = Math.max(1, Math.floor(FRAMES / FRAME)), data = Buffer.alloc(size, "x"), free = [];
  let made = 0, flying = 0;

  function batch(buffer) {
    const from = made;
    made = Math.min(count, made + perBatch);
    return fill(buffer, data, from, made);
  }
  function feed() {
    while (flying < AHEAD && made < count) {
      const buffer = free.pop() ?? Buffer.allocUnsafeSlow(perBatch * FRAME);
      const length = batch(buffer);
      flying++;
      conn.write(buffer.subarray(0, length), (err) => {
        if (err) throw err;
        flying--;
        free.push(buffer);
        feed();
      });
    }
    if (flying === 0) conn.end();
  }
  feed();
}

if (what === "take") {
  const server = net.createServer((conn) => take(conn, server)).listen(path, () => console.log("ready"));
} else {
  const conn = net.connect({ path }, () => send(conn));
}
