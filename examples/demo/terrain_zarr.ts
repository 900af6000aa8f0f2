// Writes the ground of the demo, Maunga Whau, as a Zarr array of heights, a row of chunks at a time. It
// is what examples/cluster/ shades: a picture of PIXELS × PIXELS in tiles, and a border of one height.
// Run it: deno run --allow-read --allow-write examples/demo/terrain_zarr.ts FOLDER [PIXELS [TILE]]

import FileSystemStore from "@zarrita/storage/fs";
import * as zarr from "zarrita";
import { readVolcano } from "./input.ts";
import { buildSurface, SurfaceSampler, surfaceShape } from "./terrain.ts";

const [folder, pixels = 3500, tile = 512] = Deno.args;
const side = Number(pixels) + 2;
const [shape, chunkShape] = [[side, side], [Number(tile), Number(tile)]];
const store = new FileSystemStore(folder);
const root = zarr.root(store);
const array = await zarr.create(root.resolve("heights"), { shape, chunkShape, dtype: "float32" });

const grid = await readVolcano();
const [rows, columns] = surfaceShape(grid);
const surface = new Float64Array(rows * columns);
const sampler = new SurfaceSampler({
  width: side,
  height: side,
  columns: grid.columns,
  rows: grid.rows,
  groundWidth: grid.columns * grid.spacing,
  groundHeight: grid.rows * grid.spacing,
  ...buildSurface(grid, surface),
});
for (let top = 0; top < side; top += chunkShape[0]) {
  const end = Math.min(side, top + chunkShape[0]);
  const data = new Float32Array((end - top) * side);
  sampler.resampleRows(surface, top, data);
  const band = { data, shape: [end - top, side], stride: [side, 1] };
  await zarr.set(array, [zarr.slice(top, end), null], band);
}
