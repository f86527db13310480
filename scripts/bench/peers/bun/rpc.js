// rpc serve SOCKET: answers calls.   rpc ask SOCKET COUNT DEPTH: makes so many calls, so many of them unanswered.
import { ask, Peer } from "../javascript/rpc.mjs";
import { Outbox } from "./common.js";
import { args } from "../javascript/base.mjs";

const [what, unix, times, lanes] = args, count = Number(times), depth = Number(lanes);
const encoder = new TextEncoder();
const socket = {
  open(conn) {
    const out = new Outbox(conn), decoder = new TextDecoder();
    conn.data = { out, decoder, peer: new Peer((text) => out.put(encoder.encode(text))) };
    if (what === "ask") ask(conn.data.peer, count, depth).then(() => conn.end());
  },
  data(conn, chunk) {
    conn.data.peer.take(conn.data.decoder.decode(chunk, { stream: true }));
  },
  drain(conn) {
    conn.data.out.drain();
  },
};

if (what === "serve") {
  Bun.listen({ unix, socket });
  console.log("ready");
} else {
  Bun.connect({ unix, socket });
}
