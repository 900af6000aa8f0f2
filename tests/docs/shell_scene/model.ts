// A program that shares: the newest version of its weights, and the lock that it holds while it learns.
import { SharedMemoryVersions } from "@shm/array/publish";
import { SharedMemoryLock } from "@shm/array/sync";

const weights = new SharedMemoryVersions([2, 3], "float32", "weights");
weights.create();
weights.publish((next) => void next.assign([[0, 0.5, 1], [1.5, 2, 2.5]]));
const lock = new SharedMemoryLock("model-lock");
lock.create();
const _guard = lock.acquire();
setInterval(() => {}, 1000);
