// echo serve SOCKET: answers each frame with itself.   echo ask SOCKET COUNT: asks so often, one at a time.   Frames of 64 bytes.
import { Inbox, put } from "./common.js";
import { args, HEAD, lengthOf, must, result, seconds } from "../javascript/base.mjs";

const [what, path, times] = args, count = Number(times), DATA = 64 - HEAD;

async function serve(conn) {
  const inbox = new Inbox(conn, 65536);
  while (await inbox.more()) {
    let at = 0;
    while (inbox.length - at >= HEAD) {
      const next = at + HEAD + lengthOf(inbox.bytes, at);
      if (next > inbox.length) break;
      await put(conn, inbox.bytes.subarray(at, next));
      at = next;
    }
    inbox.drop(at);
  }
  conn.close();
}

async function ask(conn) {
  const took = new Float64Array(count), frame = new Uint8Array(HEAD + DATA), inbox = new Inbox(conn, 65536), { bytes } = inbox;
  new DataView(frame.buffer).setUint32(1, DATA, true);
  const begun = seconds();
  for (let i = 0; i < count; i++) {
    const text = i & 255;
    frame[0] = 1 + i % 100;
    frame.fill(text, HEAD);
    const since = seconds();
    await put(conn, frame);
    do must(await inbox.more(), "the server closed");
    while (inbox.length < HEAD || inbox.length < HEAD + lengthOf(bytes, 0));
    took[i] = seconds() - since;
    must(inbox.length === HEAD + DATA && bytes[0] === 1 + i % 100 && bytes[HEAD] === text && bytes[HEAD + DATA - 1] === text,
      "another frame came back");
    inbox.drop(inbox.length);
  }
  const all = seconds() - begun;
  took.sort();
  result({ count, seconds: all, p50: took[count >> 1], p99: took[Math.floor(count * 0.99)] });
  conn.close();
}

if (what === "serve") {
  const listener = Deno.listen({ transport: "unix", path });
  console.log("ready");
  for await (const conn of listener) serve(conn);
} else {
  await ask(await Deno.connect({ transport: "unix", path }));
}
