// lines SOCKET echo|count: answers each line with itself, or all of them with their number at the end.
import { Outbox } from "./common.js";
import { args } from "../javascript/base.mjs";

const [unix, how] = args, echo = how === "echo";
const encoder = new TextEncoder();

Bun.listen({
  unix,
  allowHalfOpen: true,
  socket: {
    open(conn) {
      conn.data = { out: new Outbox(conn), decoder: new TextDecoder("latin1"), kept: "", lines: 0, bytes: 0, over: false };
    },
    data(conn, chunk) {
      const state = conn.data;
      let text = state.decoder.decode(chunk), at = 0, stop, answer = "";
      if (state.kept !== "") text = state.kept + text;
      while ((stop = text.indexOf("\n", at)) >= 0) {
        const line = text.slice(at, stop);
        state.lines++;
        state.bytes += line.length;
        if (echo) answer += line + "\n";
        at = stop + 1;
      }
      state.kept = text.slice(at);
      if (answer !== "" && !state.out.put(encoder.encode(answer))) conn.pause();
    },
    drain(conn) {
      if (!conn.data.out.drain()) return;
      if (conn.data.over) conn.end();
      else conn.resume();
    },
    end(conn) {
      const state = conn.data;
      if (!echo) state.out.put(encoder.encode(`${state.lines} lines, ${state.bytes} bytes\n`));
      state.over = true;
      if (state.out.rest === null) conn.end();
    },
    error() {},
  },
});
console.log("ready");
