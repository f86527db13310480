// pipe MIB: so much through `cat`, in blocks of 64 KiB, read back while it is written.
import { spawn } from "node:child_process";
import { must, result, seconds } from "../javascript/base.mjs";

const BLOCK = 65536, AHEAD = 8;
const mib = Number(process.argv[2]), total = mib * 2 ** 20;
const block = Buffer.from(Uint8Array.from({ length: BLOCK }, (_, i) => i * 7 + (i >> 8)));
let sent = 0, heard = 0, flying = 0;

const since = seconds();
const cat = spawn("cat", [], { stdio: ["pipe", "pipe", "inherit"] });
cat.stdout.on("data", (data) => {
  const last = data.length - 1;
  must(data[0] === block[heard % BLOCK] && data[last] === block[(heard + last) % BLOCK], "other bytes came back");
  heard += data.length;
});

function feed() {
  if (sent < total) {
    sent += BLOCK;
    flying++;
    cat.stdin.write(block, written);
  } else if (flying === 0) {
    cat.stdin.end();
  }
}

function written(err) {
  if (err) throw err;
  flying--;
  feed();
}

for (let i = 0; i < AHEAD; i++) feed();
const code = await new Promise((done) => cat.on("close", done));
must(code === 0 && heard === total, "cat did not give back everything and end well");
result({ count: mib, seconds: seconds() - since });
