// lines SOCKET echo|count: answers each line with itself, or all of them with their number at the end.
import net from "node:net";
import { args } from "../javascript/base.mjs";

const [path, how] = args, echo = how === "echo";

net.createServer({ allowHalfOpen: true }, (conn) => {
  let kept = "", lines = 0, bytes = 0;
  conn.setEncoding("latin1");
  conn.on("data", (text) => {
    if (kept !== "") text = kept + text;
    let at = 0, stop, answer = "";
    while ((stop = text.indexOf("\n", at)) >= 0) {
      const line = text.slice(at, stop);
      lines++;
      bytes += line.length;
      if (echo) answer += line + "\n";
      at = stop + 1;
    }
    kept = text.slice(at);
    if (answer !== "" && !conn.write(answer, "latin1")) {
      conn.pause();
      conn.once("drain", () => conn.resume());
    }
  });
  conn.on("end", () => conn.end(echo ? "" : `${lines} lines, ${bytes} bytes\n`));
  conn.on("error", () => {});
}).listen(path, () => console.log("ready"));
