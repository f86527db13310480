// ring COUNT: so many records of 64 bytes, one way through shared memory to another process. Deno has none; its FFI maps a file.
import { BYTES, give, take } from "../javascript/ring.mjs";
import { args, must, result, seconds } from "../javascript/base.mjs";

const [number, other] = args, count = Number(number), path = other ?? `/dev/shm/ring-${Deno.pid}`;
if (!other) Deno.writeFileSync(path, new Uint8Array(BYTES));
const libc = Deno.dlopen("libc.so.6", {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
});
const fd = libc.symbols.open(new TextEncoder().encode(path + "\0"), 2); // O_RDWR
must(fd >= 0, "the file cannot be opened");
const memory = Deno.UnsafePointerView.getArrayBuffer(libc.symbols.mmap(null, BigInt(BYTES), 3, 1, fd, 0n), BYTES); // read and write, shared
if (other) {
  console.log("ready");
  take(memory, 0, count);
} else {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-config", import.meta.filename, number, path], stdout: "piped", stderr: "inherit",
  }).spawn();
  await child.stdout.getReader().read();
  Deno.removeSync(path);
  const since = seconds();
  give(memory, 0, count);
  const all = seconds() - since;
  must((await child.status).success, "the other process failed");
  result({ count, seconds: all });
}
