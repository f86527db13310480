// tcp: echoes frames on a port that it prints; kind 255 is answered with its own account.
import net from "node:net";
import { HEAD, lengthOf } from "../javascript/base.mjs";

let frames = 0, sum = 0;

function account() {
  const answer = Buffer.alloc(HEAD + 16);
  answer[0] = 255;
  answer.writeUInt32LE(16, 1);
  answer.writeBigUInt64LE(BigInt(frames), HEAD);
  answer.writeBigUInt64LE(BigInt(sum), HEAD + 8);
  return answer;
}

const server = net.createServer({ noDelay: true }, (conn) => {
  let kept = null;
  conn.on("data", (chunk) => {
    if (kept !== null) {
      chunk = Buffer.concat([kept, chunk]);
      kept = null;
    }
    const { length } = chunk;
    let at = 0, from = 0;
    while (length - at >= HEAD) {
      const next = at + HEAD + lengthOf(chunk, at);
      if (next > length) break;
      if (chunk[at] === 255) {
        if (at > from) conn.write(chunk.subarray(from, at));
        conn.write(account());
        from = next;
      } else {
        frames++;
        sum += chunk[at] + chunk[at + HEAD];
      }
      at = next;
    }
    if (at > from) conn.write(from === 0 && at === length ? chunk : chunk.subarray(from, at));
    if (at < length) kept = chunk.subarray(at);
  });
  conn.on("error", () => {});
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => console.log("ready " + server.address().port));
