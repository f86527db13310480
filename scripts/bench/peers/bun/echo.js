// echo serve SOCKET: answers each frame with itself.   echo ask SOCKET COUNT: asks so often, one at a time.   Frames of 64 bytes.
import { Inbox, Outbox } from "./common.js";
import { args, HEAD, lengthOf, must, result, seconds } from "../javascript/base.mjs";

const [what, unix, times] = args, count = Number(times), DATA = 64 - HEAD;

function serve() {
  Bun.listen({
    unix,
    socket: {
      open(conn) {
        const out = new Outbox(conn);
        conn.data = { out, inbox: new Inbox((bytes, from, to) => out.put(bytes.subarray(from, to))) };
      },
      data(conn, chunk) {
        conn.data.inbox.take(chunk);
      },
      drain(conn) {
        conn.data.out.drain();
      },
    },
  });
  console.log("ready");
}

function ask() {
  const took = new Float64Array(count), frame = new Uint8Array(HEAD + DATA);
  let done = 0, begun, since, conn;
  new DataView(frame.buffer).setUint32(1, DATA, true);

  function send() {
    frame[0] = 1 + done % 100;
    frame.fill(done & 255, HEAD);
    since = seconds();
    must(conn.write(frame) === frame.length, "64 bytes were not taken at once");
  }
  const inbox = new Inbox((bytes, from, to) => {
    took[done] = seconds() - since;
    const text = done & 255;
    must(to - from === HEAD + DATA && lengthOf(bytes, from) === DATA && bytes[from] === 1 + done % 100 &&
      bytes[from + HEAD] === text && bytes[to - 1] === text, "another frame came back");
    if (++done < count) return send();
    const all = seconds() - begun;
    took.sort();
    result({ count, seconds: all, p50: took[count >> 1], p99: took[Math.floor(count * 0.99)] });
    conn.end();
  });
  Bun.connect({
    unix,
    socket: {
      open(socket) {
        conn = socket;
        begun = seconds();
        send();
      },
      data(_, chunk) {
        inbox.take(chunk);
      },
    },
  });
}

if (what === "serve") serve();
else ask();
