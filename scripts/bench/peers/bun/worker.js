// worker ask|send COUNT: the same for both.
import "../javascript/worker.mjs";
