// rpc serve SOCKET: answers calls.   rpc ask SOCKET COUNT DEPTH: makes so many calls, so many of them unanswered.
import net from "node:net";
import { ask, Peer } from "../javascript/rpc.mjs";
import { args } from "../javascript/base.mjs";

const [what, path, times, lanes] = args, count = Number(times), depth = Number(lanes);
function open(conn) {
  const peer = new Peer((text) => conn.write(text));
  conn.setEncoding("utf8");
  conn.on("data", (text) => peer.take(text)).on("error", () => {});
  return peer;
}

if (what === "serve") {
  net.createServer({ noDelay: true }, open).listen(path, () => console.log("ready"));
} else {
  const conn = net.connect({ path }, async () => {
    await ask(open(conn), count, depth);
    conn.destroy();
  });
}
