// tcp ROOM: echoes frames on a port that it prints; kind 255 is answered with its own account. Each connection's pending read owns
// a buffer of ROOM bytes.
import { Inbox, put } from "./common.js";
import { args, HEAD, lengthOf } from "../javascript/base.mjs";

const room = Number(args[0] ?? 4096);
let frames = 0, sum = 0;

function account() {
  const answer = new Uint8Array(HEAD + 16), view = new DataView(answer.buffer);
  answer[0] = 255;
  view.setUint32(1, 16, true);
  view.setBigUint64(HEAD, BigInt(frames), true);
  view.setBigUint64(HEAD + 8, BigInt(sum), true);
  return answer;
}

async function serve(conn) {
  conn.setNoDelay(true);
  const inbox = new Inbox(conn, room);
  while (await inbox.more()) {
    const { bytes, length } = inbox;
    let at = 0, from = 0;
    while (length - at >= HEAD) {
      const next = at + HEAD + lengthOf(bytes, at);
      if (next > length) break;
      if (bytes[at] === 255) {
        if (at > from) await put(conn, bytes.subarray(from, at));
        await put(conn, account());
        from = next;
      } else {
        frames++;
        sum += bytes[at] + bytes[at + HEAD];
      }
      at = next;
    }
    if (at > from) await put(conn, bytes.subarray(from, at));
    inbox.drop(at);
  }
  conn.close();
}

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log("ready " + listener.addr.port);
for await (const conn of listener) serve(conn).catch(() => {});
