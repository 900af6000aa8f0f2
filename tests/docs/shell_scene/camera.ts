// A program that shares: 25 frames a second in a ring, and the settings of the camera.
import { SharedMemoryArray } from "@shm/array";
import { SharedMemoryRing } from "@shm/array/publish";

const camera = new SharedMemoryRing([4, 6], "uint8", "camera", 8);
camera.create();
const settings = new SharedMemoryArray(3, "float64", "settings");
settings.create().assign([5, 1.5, 40]);
setInterval(() => {
  const least = settings.array!.get(0);
  camera.write((slot) => void slot.assign([least, 50, 100, 150, 200, 250]));
}, 40);
