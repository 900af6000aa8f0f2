// Heights become light and shade: a pure function, and the process of a node's pool that calls it.

import { type NDArray, shmarrayWrap } from "@shm/array";
import { exitWithParent } from "@shm/array/sync";
import workerpool from "workerpool";

/** So many heights around a pixel decide on its shade. */
export const BORDER = 1;

/** 64 lights all around, half as high as far away, the stronger the nearer to the upper left. */
const lights = Array.from({ length: 64 }, (_, i) => {
  const azimuth = Math.PI * (i / 32 - 0.75);
  return { x: Math.cos(azimuth), y: Math.sin(azimuth), strength: Math.abs(i - 32) / 1024 };
});

/** Shades the inner part of heights, which are `spacing` apart, by Horn's slopes. */
export function hillshade(h: NDArray<"float32">, shade: NDArray<"uint8">, spacing: number): void {
  const { data, stride: [pitch] } = h;
  for (let row = 0; row < shade.shape[0]; row++) {
    const target = shade.slice(row).subarray();
    for (let i = h.index(row + 1, 1), column = 0; column < target.length; i++, column++) {
      const [nw, n, ne] = [data[i - pitch - 1], data[i - pitch], data[i - pitch + 1]];
      const [sw, s, se] = [data[i + pitch - 1], data[i + pitch], data[i + pitch + 1]];
      const dx = (ne + 2 * data[i + 1] + se - nw - 2 * data[i - 1] - sw) / (8 * spacing);
      const dy = (sw + 2 * s + se - nw - 2 * n - ne) / (8 * spacing);
      let sum = 0;
      for (const light of lights) {
        sum += light.strength * Math.max(0, 1 - 2 * (light.x * dx + light.y * dy));
      }
      target[column] = Math.min(255, 180 * sum / Math.sqrt(1 + dx * dx + dy * dy));
    }
  }
}

if (!workerpool.isMainThread) {
  // Deno does not always tell workers that their node was killed (denoland/deno#35961).
  exitWithParent();
  // What arrives are descriptions of arrays; the wrapped function loads them.
  workerpool.worker({ hillshade: shmarrayWrap(hillshade) });
}
