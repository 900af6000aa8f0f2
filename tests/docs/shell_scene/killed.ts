// A program that is killed before it removes what it made.
import { SharedMemoryArray } from "@shm/array";

const name = SharedMemoryArray.buildSmaName("tile");
new SharedMemoryArray([256, 256], "float32", name).create();
Deno.kill(Deno.pid, "SIGKILL");
