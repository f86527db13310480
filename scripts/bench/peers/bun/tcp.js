// tcp: echoes frames on a port that it prints; kind 255 is answered with its own account.
import { joined, Outbox } from "./common.js";
import { HEAD, lengthOf } from "../javascript/base.mjs";

let frames = 0, sum = 0;

function account() {
  const answer = new Uint8Array(HEAD + 16), view = new DataView(answer.buffer);
  answer[0] = 255;
  view.setUint32(1, 16, true);
  view.setBigUint64(HEAD, BigInt(frames), true);
  view.setBigUint64(HEAD + 8, BigInt(sum), true);
  return answer;
}

const server = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open(conn) {
      conn.setNoDelay(true);
      conn.data = new Outbox(conn);
      conn.data.kept = null;
    },
    data(conn, chunk) {
      const out = conn.data;
      if (out.kept !== null) {
        chunk = joined(out.kept, chunk);
        out.kept = null;
      }
      const { length } = chunk;
      let at = 0, from = 0;
      while (length - at >= HEAD) {
        const next = at + HEAD + lengthOf(chunk, at);
        if (next > length) break;
        if (chunk[at] === 255) {
          if (at > from) out.put(chunk.subarray(from, at));
          out.put(account());
          from = next;
        } else {
          frames++;
          sum += chunk[at] + chunk[at + HEAD];
        }
        at = next;
      }
      if (at > from) out.put(from === 0 && at === length ? chunk : chunk.subarray(from, at));
      if (at < length) out.kept = chunk.slice(at);
    },
    drain(conn) {
      conn.data.drain();
    },
    error() {},
  },
});
console.log("ready " + server.port);
