// Heights become light and shade: a pure function, and the process of a node's pool that calls it.

import { type NDArray, SharedMemoryArray, shmarrayWrap } from "@shm/array";
import workerpool from "workerpool";

/** So many heights around a pixel decide on its shade. */
export const BORDER = 1;
const SPACING = 10; // metres from one height to the next

/** Directions of 64 lights all around, those in the upper left stronger. */
const lights = Array.from({ length: 64 }, (_, i) => {
  const azimuth = Math.PI * (i / 32 - 0.75);
  return { x: Math.cos(azimuth), y: Math.sin(azimuth), strength: (32 - Math.abs(i - 32)) / 1024 };
});

/** Shades the inner part of `heights`, which have a border all around, by Horn's slopes. */
export function hillshade(heights: NDArray<"float32">, shade: NDArray<"uint8">): void {
  const { data: h, stride: [pitch] } = heights;
  for (let row = 0; row < shade.shape[0]; row++) {
    const target = shade.slice(row).subarray();
    for (let i = heights.index(row + 1, 1), column = 0; column < target.length; i++, column++) {
      const [a, b] = [i - pitch, i + pitch]; // above and below
      const east = h[a + 1] + 2 * h[i + 1] + h[b + 1] - h[a - 1] - 2 * h[i - 1] - h[b - 1];
      const south = h[b - 1] + 2 * h[b] + h[b + 1] - h[a - 1] - 2 * h[a] - h[a + 1];
      const [dx, dy] = [east / (8 * SPACING), south / (8 * SPACING)];
      let sum = 0;
      for (const { x, y, strength } of lights) sum += strength * Math.max(0, 1 + x * dx + y * dy);
      target[column] = Math.min(255, 180 * sum / Math.sqrt(1 + dx * dx + dy * dy));
    }
  }
}

if (!workerpool.isMainThread) {
  const [shared, from] = [shmarrayWrap(hillshade), SharedMemoryArray.from];
  workerpool.worker({ hillshade: (heights, shade) => shared(from(heights), from(shade)) });
}
