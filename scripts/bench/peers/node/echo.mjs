// echo serve SOCKET: answers each frame with itself.   echo ask SOCKET COUNT: asks so often, one at a time.   Frames of 64 bytes.
import net from "node:net";
import { Inbox } from "./common.mjs";
import { args, HEAD, lengthOf, must, result, seconds } from "../javascript/base.mjs";

const [what, path, times] = args, count = Number(times), DATA = 64 - HEAD;

function serve(conn) {
  const inbox = new Inbox((bytes, from, to) => conn.write(bytes.subarray(from, to)));
  conn.on("data", (chunk) => inbox.take(chunk)).on("error", () => {});
}

function ask() {
  const took = new Float64Array(count), frame = Buffer.alloc(HEAD + DATA);
  let done = 0, begun, since;
  frame.writeUInt32LE(DATA, 1);

  function send() {
    frame[0] = 1 + done % 100;
    frame.fill(done & 255, HEAD);
    since = seconds();
    conn.write(frame);
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
    conn.destroy();
  });
  // One buffer of our own for all reads: a buffer for each would be thrown away at once.
  const onread = {
    buffer: Buffer.alloc(65536),
    callback(length, buffer) {
      inbox.take(buffer.subarray(0, length));
      return true;
    },
  };
  const conn = net.connect({ path, onread }, () => {
    begun = seconds();
    send();
  });
}

if (what === "serve") net.createServer({ noDelay: true }, serve).listen(path, () => console.log("ready"));
else ask();
