// Frames of bench's frames: the sender writes them, the taker adds them up.
import { HEAD, must } from "./base.mjs";

export const FRAMES = 131072; // bytes of frames in one buffer, about

// Lays the frames from `made` up to `stop` down in the buffer; data: what each carries, its first byte aside. Gives the bytes.
export function fill(buffer, data, made, stop) {
  let at = 0;
  for (; made < stop; made++, at += HEAD + data.length) {
    buffer[at] = 1 + made % 100;
    buffer[at + 1] = data.length;
    buffer[at + 2] = data.length >> 8;
    buffer[at + 3] = data.length >> 16;
    buffer[at + 4] = data.length >> 24;
    buffer.set(data, at + HEAD);
    buffer[at + HEAD] = made;
  }
  return at;
}

export function check(count, size, frames, bytes, sum) {
  let want = 0;
  for (let i = 0; i < count; i++) want += 1 + i % 100 + (i & 255);
  must(frames === count && bytes === count * size && sum === want, "other frames came than were sent");
}
